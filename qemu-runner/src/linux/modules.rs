//! Which kernel modules a guest needs, and in what order.
//!
//! Owns: what a module says about itself (`depends=` in its section `.modinfo`), the order.
//! Leaves to others: where modules come from (`kernel`).
//! Why this way: a module is loaded when those that it needs are there. What it needs changes
//! from kernel to kernel, so each is asked.

use anyhow::{Context, Result, bail};
use std::collections::BTreeMap;

/// A module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Module {
    /// Its name, with underscores.
    pub name: String,
    /// The object file.
    pub bytes: Vec<u8>,
}

/// A module's name as modules name each other: files have dashes where names have underscores.
pub fn name_of(file: &str) -> Option<String> {
    let stem = file.rsplit('/').next()?.strip_suffix(".ko")?;
    Some(stem.replace('-', "_"))
}

/// The names of the modules that a module needs.
///
/// # Errors
/// The bytes are no module.
pub fn needs(bytes: &[u8]) -> Result<Vec<String>> {
    const KEY: &[u8] = b"\0depends=";
    let place = bytes.windows(KEY.len()).position(|window| window == KEY);
    let place = place.context("it does not say what it depends on")? + KEY.len();
    let value = bytes[place..]
        .split(|byte| *byte == 0)
        .next()
        .unwrap_or_default();
    let value = std::str::from_utf8(value).context("what it depends on is no text")?;
    let names = value.split(',').filter(|name| !name.is_empty());
    Ok(names.map(|name| name.replace('-', "_")).collect())
}

/// `wanted` and all that they need, each behind what it needs. `read` gives a module's bytes, or
/// nothing where it is part of the kernel.
///
/// # Errors
/// One is missing, is no module, or they need each other in a circle.
pub fn in_order(
    wanted: &[&str],
    mut read: impl FnMut(&str) -> Result<Option<Vec<u8>>>,
) -> Result<Vec<Module>> {
    let mut order = Vec::new();
    let mut seen = BTreeMap::new();
    for name in wanted {
        visit(name, &mut read, &mut seen, &mut order)?;
    }
    Ok(order)
}

fn visit(
    name: &str,
    read: &mut impl FnMut(&str) -> Result<Option<Vec<u8>>>,
    seen: &mut BTreeMap<String, bool>,
    order: &mut Vec<Module>,
) -> Result<()> {
    match seen.get(name) {
        Some(true) => return Ok(()),
        Some(false) => bail!("the module {name} needs itself"),
        None => {}
    }
    seen.insert(name.to_owned(), false);
    if let Some(bytes) = read(name).with_context(|| format!("kernel module {name}"))? {
        for needed in needs(&bytes).with_context(|| format!("kernel module {name}"))? {
            visit(&needed, read, seen, order)?;
        }
        order.push(Module {
            name: name.to_owned(),
            bytes,
        });
    }
    seen.insert(name.to_owned(), true);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn module(depends: &str) -> Vec<u8> {
        format!("\x7fELF\0license=GPL\0depends={depends}\0name=x\0").into_bytes()
    }

    fn order(list: &[(&str, &str)], wanted: &[&str]) -> Result<Vec<String>> {
        let modules = in_order(wanted, |name| {
            let found = list.iter().find(|(known, _)| *known == name);
            let (_, depends) = found.context("there is none")?;
            Ok((*depends != "built in").then(|| module(depends)))
        })?;
        Ok(modules.into_iter().map(|module| module.name).collect())
    }

    #[test]
    fn each_comes_behind_what_it_needs_and_once() {
        let list = [
            ("virtio_net", "virtio,net-failover"),
            ("virtio_mmio", "virtio"),
            ("virtio", "virtio_ring"),
            ("virtio_ring", ""),
            ("net_failover", "failover"),
            ("failover", "built in"),
        ];
        assert_eq!(
            order(&list, &["virtio_mmio", "virtio_net"]).unwrap(),
            [
                "virtio_ring",
                "virtio",
                "virtio_mmio",
                "net_failover",
                "virtio_net"
            ]
        );
    }

    #[test]
    fn what_is_missing_or_turns_in_a_circle_is_an_error() {
        let error = order(&[("a", "b")], &["a"]).unwrap_err();
        assert!(format!("{error:#}").contains("kernel module b: there is none"));
        assert!(order(&[("a", "b"), ("b", "a")], &["a"]).is_err());
        assert!(needs(b"something else").is_err());
    }

    #[test]
    fn files_are_called_by_their_modules_names() {
        let path = "kernel/drivers/char/hw_random/virtio-rng.ko";
        assert_eq!(name_of(path).as_deref(), Some("virtio_rng"));
        assert_eq!(name_of("modules.builtin"), None);
    }
}
