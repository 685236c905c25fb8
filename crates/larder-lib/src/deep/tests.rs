//! Readers over what toolchains leave, and over what nobody's toolchain would.

use std::fs::File;
use std::io::Write as _;

use larder_testkit::hostile::seeds;

use super::*;

fn file(bytes: &[u8]) -> File {
    let mut file = tempfile::tempfile().expect("file");
    file.write_all(bytes).expect("write");
    io::Seek::rewind(&mut file).expect("rewind");
    file
}

fn seed(target: &str, name: &str) -> Vec<u8> {
    seeds(target).into_iter().find(|(of, _)| of == name).expect(name).1
}

fn read(format: Format, bytes: &[u8]) -> Result<Vec<String>, String> {
    match format.read(&file(bytes)) {
        Ok(found) => Ok(found
            .into_iter()
            .map(|found| {
                let inside = found.inside.map_or_else(String::new, |inside| format!(" in {inside}"));
                format!("{} {}{inside}", found.name, found.version.as_deref().unwrap_or("-"))
            })
            .collect()),
        Err(Failed::Refused(refused)) => Err(refused.to_string()),
        Err(Failed::Io(error)) => panic!("{error}"),
    }
}

#[test]
fn go_programs_of_every_age_say_their_modules() {
    let modules = |release: &str| {
        vec!["example.com/new v1.1.0", "example.com/tool (devel)", "golang.org/x/text v0.3.7", release]
            .into_iter()
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    assert_eq!(read(Format::Elf, &seed("compiled", "go")).expect("go"), modules("stdlib 1.22.3"));
    for old in ["go-pointers", "go-no-sections"] {
        assert_eq!(read(Format::Elf, &seed("compiled", old)).expect(old), modules("stdlib 1.16.5"));
    }
    let path = read(Format::Elf, &seed("compiled", "go-path")).expect("go");
    assert_eq!(path, ["example.com/cmd/tool -", "stdlib 1.19.8"]);
}

#[test]
fn rust_programs_say_their_crates_but_not_those_of_the_build() {
    assert_eq!(read(Format::Elf, &seed("compiled", "rust")).expect("rust"), ["adler 1.0.2", "tool 0.1.0"]);
}

#[test]
fn a_go_program_whose_pointers_lead_nowhere_is_refused() {
    let mut bytes = seed("compiled", "go-pointers");
    let at = bytes.windows(14).position(|part| part == b"\xff Go buildinf:").expect("magic");
    bytes[at + 20] = 0xff;
    let refused = read(Format::Elf, &bytes).expect_err("refused");
    assert_eq!(refused, "Go's build information can't be read: a pointer leads nowhere");
    let mut bytes = seed("compiled", "go");
    let at = bytes.windows(8).position(|part| part == b"go1.22.3").expect("version");
    bytes[at - 1] = 0xff;
    assert!(read(Format::Elf, &bytes).is_err());
}

#[test]
fn python_and_npm_say_their_names() {
    assert_eq!(read(Format::Python, &seed("described", "metadata")).expect("python"), ["requests 2.28.1"]);
    assert_eq!(read(Format::Npm, &seed("described", "package")).expect("npm"), ["@scope/thing 1.2.3"]);
    assert_eq!(read(Format::Npm, b"{\"type\": \"module\"}").expect("npm"), Vec::<String>::new());
    for wrong in [&b"{"[..], b"[]", b"{\"name\": 1}", b"{\"name\": \"\"}", b"{\"name\": \"a\\u001b[2J\"}"] {
        assert!(read(Format::Npm, wrong).is_err(), "{}", wrong.escape_ascii());
    }
    for wrong in [&b""[..], b"Version: 1\n", b"Name: a\nName: b\n", b"\nName: a\n", b"Name: a\x1b[2J\n"] {
        assert!(read(Format::Python, wrong).is_err(), "{}", wrong.escape_ascii());
    }
    let deep = "[".repeat(1_000_000);
    assert!(read(Format::Npm, format!("{{\"name\":\"a\",\"x\":{deep}").as_bytes()).is_err());
}

#[test]
fn only_a_packages_own_description_counts() {
    let is = |path: &str| format_of(&TreePath::try_from(path).expect("path"), 1, false);
    for own in [
        "usr/share/nodejs/semver/package.json",
        "usr/lib/node_modules/npm/package.json",
        "srv/node_modules/@scope/a/package.json",
        "srv/node_modules/a/node_modules/b/package.json",
    ] {
        assert_eq!(is(own), Some(Format::Npm), "{own}");
    }
    for other in
        ["package.json", "srv/package.json", "srv/node_modules/a/test/package.json", "node_modules/package.json"]
    {
        assert_eq!(is(other), None, "{other}");
    }
    assert_eq!(is("usr/lib/python3/dist-packages/six-1.16.0.egg-info"), Some(Format::Python));
    assert_eq!(is("usr/lib/x86_64-linux-gnu/libz.so.1.2.13"), Some(Format::Elf));
    assert_eq!(is("usr/share/doc/a.soap"), None);
}

#[test]
fn java_archives_say_their_names_and_those_of_the_archives_within() {
    assert_eq!(read(Format::Java, &seed("jar", "bundle")).expect("jar"), ["org.example.core 1.2.3"]);
    let nested = read(Format::Java, &seed("jar", "nested")).expect("jar");
    let inner = "org.apache.logging.log4j:log4j-core 2.14.1 in BOOT-INF/lib/log4j-core-2.14.1.jar";
    assert_eq!(nested, ["app 1", inner]);
}

/// A zip of one entry, packed with DEFLATE, that says of itself what it likes.
fn zip(path: &str, content: &[u8], claimed: Option<u64>) -> Vec<u8> {
    let mut output = Vec::new();
    let mut archive = rawzip::ZipArchiveWriter::new(&mut output);
    let (mut entry, config) =
        archive.new_file(path).compression_method(rawzip::CompressionMethod::DEFLATE).start().expect("entry");
    let encoder = flate2::write::DeflateEncoder::new(&mut entry, flate2::Compression::best());
    let mut writer = config.wrap(encoder);
    writer.write_all(content).expect("write");
    let (encoder, descriptor) = writer.finish().expect("finish");
    encoder.finish().expect("finish");
    entry.finish(descriptor).expect("finish");
    archive.finish().expect("finish");
    if let Some(claimed) = claimed {
        let true_length = (content.len() as u32).to_le_bytes();
        let claimed = (claimed as u32).to_le_bytes();
        for at in 0..output.len() - 4 {
            if output[at..at + 4] == true_length {
                output[at..at + 4].copy_from_slice(&claimed);
            }
        }
    }
    output
}

#[test]
fn a_zip_bomb_is_refused_whatever_it_says_of_itself() {
    let bomb = vec![b'a'; 64 << 20];
    let refused = read(Format::Java, &zip("META-INF/MANIFEST.MF", &bomb, None)).expect_err("refused");
    assert_eq!(refused, "what is packed in it is empty or has more than 1048576 bytes");
    let refused = read(Format::Java, &zip("META-INF/MANIFEST.MF", &bomb, Some(10))).expect_err("refused");
    assert_eq!(refused, "the archive can't be read: what is packed in it is damaged, or longer than it may be");
    let inner = zip("META-INF/MANIFEST.MF", &bomb, None);
    assert!(read(Format::Java, &zip("lib/a.jar", &inner, None)).is_err());
    let list = [b"Name: a\n".as_slice(), &bomb].concat();
    assert!(read(Format::Python, &list).is_err());
}

#[test]
fn archives_are_looked_into_once() {
    let bottom = zip("META-INF/MANIFEST.MF", b"Implementation-Title: bottom\n", None);
    let middle = zip("lib/bottom.jar", &bottom, None);
    assert_eq!(read(Format::Java, &middle).expect("jar"), ["bottom - in lib/bottom.jar"]);
    assert_eq!(read(Format::Java, &zip("lib/middle.jar", &middle, None)).expect("jar"), Vec::<String>::new());
}

#[test]
fn an_archive_that_is_none_is_refused() {
    for wrong in [&b"PK\x03\x04"[..], b"#!/bin/sh\n", &[0; 100]] {
        let refused = read(Format::Java, wrong).expect_err("refused");
        assert_eq!(refused, "the archive can't be read: it is no zip file, or a damaged one");
    }
}
