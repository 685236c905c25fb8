//! Compiles `init/`, the program that runs inside containers, which the library carries as bytes.
//!
//! It is compiled by the compiler that Cargo uses, for the same target, without the standard library and without a C library: one
//! static program at any address, with nothing in it that would have to be fixed up when it is loaded.

use std::env;
use std::ffi::OsString;
use std::path::PathBuf;
use std::process::Command;

const ARGUMENTS: [&str; 13] = [
    "--edition=2024",
    "--crate-name=init",
    "--crate-type=bin",
    "-Copt-level=s",
    "-Cpanic=abort",
    "-Cstrip=symbols",
    "-Crelocation-model=pie",
    "-Clink-arg=-nostartfiles",
    "-Clink-arg=-nostdlib",
    "-Clink-arg=-static-pie",
    "-Clink-arg=-Wl,--build-id=none",
    "-Clink-arg=-Wl,--gc-sections",
    "-Clink-arg=-Wl,-z,noexecstack",
];

fn main() {
    println!("cargo::rerun-if-changed=init");
    let out = PathBuf::from(variable("OUT_DIR")).join("init");
    let mut rustc = Command::new(variable("RUSTC"));
    rustc.args(ARGUMENTS).arg("--target").arg(variable("TARGET")).arg("-o").arg(out).arg("init/main.rs");
    if let Some(linker) = env::var_os("RUSTC_LINKER") {
        let mut option = OsString::from("-Clinker=");
        option.push(linker);
        rustc.arg(option);
    }
    let status = rustc.status().expect("the compiler can be executed");
    assert!(status.success(), "init/main.rs could not be compiled: {status}");
}

fn variable(name: &str) -> OsString {
    env::var_os(name).unwrap_or_else(|| panic!("Cargo sets {name}"))
}
