//! The architecture is a parameter: what is made for another machine is whole, and nothing of this one gets into it.

use larder_lib::Error;
use larder_lib::build::BuildOptions;
use larder_lib::lock::Lock;

use super::machine::{Machine, archive};

const RECIPE: &str = "[image]\nname = \"example.com/web\"\nversion = \"1\"\nfrom = \"debian.org/bookworm\"\npackages = [\"editor\", \"manual\"]\n";

#[test]
fn an_image_for_arm64() {
    let archive = archive("arm64");
    let machine = Machine::new(&archive, "arm64", 1);
    let report = machine.build("web", RECIPE);
    let record = machine.record(&report);
    assert_eq!(record.architecture, "arm64");
    let mut seen = Vec::new();
    for package in &report.packages {
        let record = machine.host.store.fileset(&package.digest).expect("a package");
        seen.push(format!("{} {}", record.name.short(), record.architecture));
    }
    assert_eq!(seen, ["base-files arm64", "editor arm64", "manual all", "nano arm64", "shell arm64"]);
    let lock = Lock::load(&machine.path("web/larder.lock")).expect("a lock").expect("one");
    assert_eq!(lock.architecture, "arm64");
    assert!(lock.packages.values().all(|package| ["arm64", "all"].contains(&package.architecture.as_str())));
    assert_eq!(
        machine.try_build("web", &BuildOptions { locked: true, ..Default::default() }).expect("one").digest,
        report.digest
    );
}

#[test]
fn the_same_recipe_is_another_image_for_another_machine() {
    let digests = ["amd64", "arm64"].map(|architecture| {
        let archive = archive(architecture);
        let machine = Machine::new(&archive, architecture, 1);
        machine.build("web", "[image]\nname = \"example.com/web\"\nversion = \"1\"\nfrom = \"debian.org/bookworm\"\nbase = \"none\"\npackages = [\"manual\"]\n").digest
    });
    assert_ne!(digests[0], digests[1], "even with the same packages");
}

#[test]
fn a_lock_is_for_one_architecture() {
    let archives = ["amd64", "arm64"].map(archive);
    let arm = Machine::new(&archives[1], "arm64", 1);
    arm.build("web", RECIPE);
    let amd = Machine::new(&archives[0], "amd64", 1);
    amd.write("web/larder.toml", RECIPE);
    std::fs::copy(arm.path("web/larder.lock"), amd.path("web/larder.lock")).expect("a copy");
    let refused = amd.try_build("web", &BuildOptions { locked: true, ..Default::default() });
    match refused {
        Err(Error::LockArchitecture { locked, wanted, .. }) => {
            assert_eq!((locked.as_str(), wanted.as_str()), ("arm64", "amd64"));
        }
        other => panic!("{other:?}"),
    }
    let report = amd.try_build("web", &BuildOptions::default()).expect("a build");
    assert_eq!(amd.record(&report).architecture, "amd64");
}
