//! gdb: whether it is there, and runs Python, in which norma's commands are written.

use super::{Finding, Package, PackageManager, State, output};
use std::process::Command;

/// The program.
pub const PROGRAM: &str = "gdb";

/// The program, its version and its Python. Only `cargo norma gdb` and its test need it.
pub(super) fn program() -> Finding {
    let banner = output(Command::new(PROGRAM).arg("--version"));
    let configuration = output(Command::new(PROGRAM).arg("--configuration"));
    Finding {
        what: "gdb",
        required: false,
        state: judge(banner.as_deref(), configuration.as_deref()),
    }
}

fn judge(banner: Option<&str>, configuration: Option<&str>) -> State {
    let missing = |found: String| State::Missing {
        found,
        fix: match PackageManager::find() {
            Some(manager) => manager.command_line(Package::Gdb),
            None => "install gdb with Python (https://sourceware.org/gdb)".into(),
        },
    };
    let Some(banner) = banner else {
        return missing(format!("{PROGRAM} is not installed"));
    };
    let configuration = configuration.unwrap_or_default();
    if !configuration.contains("--with-python") || configuration.contains("--without-python") {
        return missing(format!("{PROGRAM} was built without Python"));
    }
    State::Found(banner.lines().next().unwrap_or_default().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(banner: Option<&str>, configuration: Option<&str>) -> String {
        match judge(banner, configuration) {
            State::Found(text) => text,
            State::Missing { found, .. } => found,
        }
    }

    #[test]
    fn what_is_wrong_is_named() {
        let banner = Some("GNU gdb (Debian 13.1-3) 13.1\nCopyright");
        let whole = "configure --with-python=/usr (relocatable)";
        assert_eq!(found(banner, Some(whole)), "GNU gdb (Debian 13.1-3) 13.1");
        let without = "configure --without-python";
        assert!(found(banner, Some(without)).contains("without Python"));
        assert!(found(banner, None).contains("without Python"));
        assert!(found(None, None).contains("not installed"));
    }

    #[test]
    fn what_mends_it_is_named() {
        let State::Missing { fix, .. } = judge(None, None) else {
            panic!("there is none");
        };
        assert!(fix.contains("gdb"), "{fix}");
    }
}
