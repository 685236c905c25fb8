//! What the fuzz targets of [`crate::fuzzing`] need of this module's inside.

use std::fs::File;
use std::os::unix::fs::FileExt as _;

use rustix::fs::{MemfdFlags, memfd_create};

use super::{elf, script};

/// An ELF file is refused, or says what it needs in names of a bounded length and number. Reading it never fails.
pub fn elf(bytes: &[u8]) {
    let file = File::from(memfd_create("elf", MemfdFlags::CLOEXEC).expect("memory"));
    file.write_all_at(bytes, 0).expect("memory");
    let Ok(Some(elf)) = elf::read(&file).expect("a file in memory can be read") else { return };
    assert!(elf.needed.len() <= elf::MAX_NEEDED);
    let names = elf.needed.iter().chain(&elf.soname).chain(&elf.interpreter).chain(&elf.rpath).chain(&elf.runpath);
    // A byte that is not UTF-8 becomes a character of three.
    assert!(names.clone().all(|name| !name.contains('\0') && name.len() <= 3 * elf::MAX_NAME));
    assert!(elf.runpath.is_empty() || elf.rpath.is_empty());
}

/// A script's first line names an interpreter, or nothing; what lies behind the first 256 bytes means nothing.
pub fn shebang(bytes: &[u8]) {
    let script = script::parse(bytes);
    assert_eq!(script, script::parse(&bytes[..bytes.len().min(256)]));
    if let Some(script) = script {
        assert!(bytes.starts_with(b"#!") && !script.interpreter.is_empty());
        assert!(!script.interpreter.contains(['\0', '\n', ' ', '\t']));
    }
}
