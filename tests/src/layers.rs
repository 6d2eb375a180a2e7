//! Arrows point down only.
//!
//! Owns the list of layers and the check of every dependency against it. A crate that is not in
//! the list fails the check too: its place has to be thought about.

use qemu_runner::workspace::{Package, Workspace};

/// The layers, top to bottom. A crate depends on crates below its own line and on none beside
/// it.
const LAYERS: [&[&str]; 16] = [
    &["norma-tests"],
    &["qemu-runner"],
    &["norma-sim", "norma-insn-plugin", "norma-peer", "netmsgd"],
    &["norma-client"],
    &["norma-boot"],
    &["norma-kernel"],
    &["norma-inspect"],
    &["norma-net"],
    &["norma-flip"],
    &["norma-user"],
    &["norma-wire"],
    &["norma-ipc"],
    &["norma-abi"],
    &["norma-trace"],
    &["norma-drivers"],
    &["norma-faults"],
];

/// Crates of the host. Nothing that runs on the bare machine may need one.
const HOST: [&str; 8] = [
    "norma-tests",
    "qemu-runner",
    "netmsgd",
    "norma-client",
    "norma-sim",
    "norma-insn-plugin",
    "norma-peer",
    "norma-faults",
];

/// Crates that are pure: no device, no clock, no thread, no `unsafe`, no `std`.
const PURE: [&str; 7] = [
    "norma-abi",
    "norma-trace",
    "norma-ipc",
    "norma-wire",
    "norma-flip",
    "norma-net",
    "norma-inspect",
];

fn layer(name: &str) -> Option<usize> {
    LAYERS.iter().position(|layer| layer.contains(&name))
}

/// Images and examples stand above everything that runs on the bare machine.
fn is_image(workspace: &Workspace, package: &Package) -> bool {
    ["images", "examples", "user/programs"]
        .iter()
        .any(|folder| {
            package
                .manifest_path
                .starts_with(workspace.root.join(folder))
        })
}

/// The packages of the workspace that a package needs to be built.
fn needs(package: &Package) -> impl Iterator<Item = &str> {
    let ours = package
        .dependencies
        .iter()
        .filter(|needed| needed.path.is_some());
    ours.filter(|needed| needed.kind.as_deref() != Some("dev"))
        .map(|needed| needed.name.as_str())
}

#[test]
fn arrows_point_down() {
    let workspace = Workspace::find().unwrap();
    let mut wrong = Vec::new();
    for package in &workspace.packages {
        let image = is_image(&workspace, package);
        let Some(own) = layer(&package.name).or(image.then_some(0)) else {
            wrong.push(format!("{} is in no layer", package.name));
            continue;
        };
        for needed in needs(package) {
            if layer(needed).is_none_or(|other| other <= own) {
                wrong.push(format!("{} must not need {needed}", package.name));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_bare_machine_needs_nothing_of_the_host() {
    let workspace = Workspace::find().unwrap();
    for package in workspace
        .packages
        .iter()
        .filter(|package| !HOST.contains(&package.name.as_str()))
    {
        for needed in needs(package) {
            assert!(
                !HOST.contains(&needed),
                "{} must not need {needed}",
                package.name
            );
        }
    }
}

#[test]
fn drivers_know_no_protocol() {
    let workspace = Workspace::find().unwrap();
    let drivers = workspace
        .packages
        .iter()
        .find(|package| package.name == "norma-drivers")
        .unwrap();
    assert_eq!(needs(drivers).collect::<Vec<_>>(), Vec::<&str>::new());
}

#[test]
fn pure_crates_say_so() {
    let workspace = Workspace::find().unwrap();
    for package in workspace
        .packages
        .iter()
        .filter(|package| PURE.contains(&package.name.as_str()))
    {
        let root = package.manifest_path.with_file_name("src").join("lib.rs");
        let text = std::fs::read_to_string(&root).unwrap();
        assert!(
            text.contains("#![forbid(unsafe_code)]"),
            "{} may be unsafe",
            package.name
        );
        assert!(text.contains("no_std"), "{} may use std", package.name);
    }
}
