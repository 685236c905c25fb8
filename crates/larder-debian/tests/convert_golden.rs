//! Golden digests of real packages: what `deb/1` and the table of declarations make of them, for ever.
//!
//! The packages come from the mirror of this machine's apt sources. Where none is reachable, or a mirror has dropped a
//! version, the test says so and does nothing. `LARDER_TEST_CACHE` names a folder to keep what was fetched between runs. After a
//! deliberate change of the *table*, `LARDER_BLESS=1` rewrites the last two columns; the digests of `deb/1` never change.

#[path = "convert/support.rs"]
mod support;

use std::fs::File;
use std::path::{Path, PathBuf};

use larder_debian::convert::Expected;
use larder_debian::{ArchiveFile, Config, DebianError, Mirrors, Silent, declare, fetch_all, sources};
use larder_store::Sha256Digest;
use larder_store::fileset::ScriptTier;

const TABLE: &str = include_str!("convert/golden.txt");

/// One line of the table.
struct Golden<'a> {
    fields: Vec<&'a str>,
}

impl Golden<'_> {
    fn sha256(&self) -> Sha256Digest {
        Sha256Digest::from_hex(self.fields[3]).expect("sha256")
    }

    fn file(&self, mirrors: &[String]) -> ArchiveFile {
        ArchiveFile {
            name: self.fields[0].into(),
            version: self.fields[1].into(),
            architecture: self.fields[2].into(),
            urls: mirrors.iter().map(|mirror| format!("{mirror}/{}", self.fields[5])).collect(),
            filename: self.fields[5].into(),
            size: self.fields[4].parse().expect("size"),
            sha256: self.sha256(),
            suite: String::new(),
            release: Sha256Digest::from_bytes([0; 32]),
            index: Sha256Digest::from_bytes([0; 32]),
            signer: String::new(),
        }
    }

    /// What the package gives now, in the table's form.
    fn compute(&self, deb: &Path) -> String {
        let expected = Expected {
            sha256: self.sha256(),
            package: self.fields[0],
            version: self.fields[1],
            architecture: self.fields[2],
        };
        let converted = support::read_as(File::open(deb).expect("open"), &expected).expect(self.fields[0]);
        let declared = declare::declare(&converted).expect(self.fields[0]);
        let tier = match declared.tier() {
            ScriptTier::None => "none".to_owned(),
            ScriptTier::Declared => "declared".to_owned(),
            ScriptTier::Captured(refused) => format!("captured:{}", refused.len()),
            ScriptTier::Skipped(reasons) => format!("skipped:{}", reasons.len()),
        };
        let (fileset, tree) = (converted.package.hex(), converted.tree.digest().hex());
        format!("{} {fileset} {tree} {tier} {}", self.fields[..6].join(" "), declared.record.digest().hex())
    }
}

fn lines() -> impl Iterator<Item = Golden<'static>> {
    let lines = TABLE.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines.map(|line| Golden { fields: line.split(' ').collect() })
}

#[test]
fn real_packages_keep_their_digests() {
    let apt = std::env::var_os("LARDER_TEST_APT").map_or_else(|| "/etc/apt".into(), PathBuf::from);
    let known = sources::read(&apt).unwrap_or_default();
    let mirrors: Vec<String> =
        known.into_iter().flat_map(|source| source.uris).filter(|uri| uri.contains("debian")).collect();
    if mirrors.is_empty() {
        eprintln!("SKIPPED: no mirror in {}", apt.display());
        return;
    }
    let temporary = tempfile::tempdir().expect("folder");
    let cache = std::env::var_os("LARDER_TEST_CACHE").map_or_else(|| temporary.path().to_owned(), PathBuf::from);
    let config = Config::new(Mirrors::Apt(apt), cache, "amd64");
    let (mut wrong, mut computed, mut checked) = (Vec::new(), Vec::new(), 0);
    for golden in lines() {
        let before = golden.fields.join(" ");
        match fetch_all(&config, &[golden.file(&mirrors)], &Silent) {
            Ok(paths) => {
                let now = golden.compute(&paths[0]);
                checked += 1;
                if now != before {
                    wrong.push(format!("- {before}\n+ {now}"));
                }
                computed.push(now);
            }
            Err(error @ DebianError::Unreachable { .. }) => {
                eprintln!("SKIPPED: {error}");
                return;
            }
            Err(error) => {
                eprintln!("SKIPPED {}: {error}", golden.fields[0]);
                computed.push(before);
            }
        }
    }
    eprintln!("{checked} of {} packages compared", lines().count());
    if std::env::var_os("LARDER_BLESS").is_some() {
        let comments = TABLE.lines().take_while(|line| line.starts_with('#')).collect::<Vec<_>>().join("\n");
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/convert/golden.txt");
        std::fs::write(path, format!("{comments}\n{}\n", computed.join("\n"))).expect("write");
    }
    assert!(wrong.is_empty(), "digests differ:\n{}", wrong.join("\n"));
}
