//! A source package of Debian's: found in the suite's signed index of sources, fetched by the digests that stand there, and unpacked in the sandbox.
//!
//! signed InRelease -> index of sources -> `.dsc` and the files with it. The lock keeps what was found, so that nobody looks for it again.
//! What `dpkg-source -x` makes of the files, patches applied, is what `dpkg-source` says and nobody else: so Debian's own is run, in the
//! build's sandbox, of which its package `dpkg-dev` is a part for that reason, and with it of what the package's statement names.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read as _;

use larder_debian::distribution::SourceClaim;
use larder_debian::progress::Progress;
use larder_debian::sources::{self as apt, Part};
use larder_debian::{Refresh, SourceFile, fetch, release};
use larder_solver::{Root, Update};
use larder_store::json::Value;
use larder_store::{Attributes, Entry, ObjectDigest, Sha256Digest, Tree, TreeBuilder, TreePath};

use super::{Pin, RULE, Sources, keep, of_record, recorded};
use crate::lock::{Lock, LockedFile, LockedSource};
use crate::package::error::{PackageError, Phase};
use crate::package::sandbox::{Job, Sandbox, Workshop};
use crate::package::{log, output, versioned};
use crate::provenance::Dependency;
use crate::provenance::statement::Statement;
use crate::recipe::CommandLine;
use crate::recipe::package::{PackageRecipe, SourceSpec};
use crate::solve::{self, is_debians};
use crate::{Error, Host, Result};

/// The package with `dpkg-source`.
pub(in crate::package) const TOOL: &str = "dpkg-dev";
/// What unpacks, in the folder with the files.
const UNPACK: &str = "dpkg-source --no-check -x *.dsc \"$OUT/source\"";
/// Where the unpacked source stands in what that leaves.
const UNPACKED: &str = "source/";
/// From where its time is taken.
const CHANGELOG: &str = "debian/changelog";
/// No changelog's newest entry is longer.
const LONGEST: u64 = 4 << 20;

/// The source package that a recipe asks for, if it asks for one.
pub(in crate::package) fn wanted(recipe: &PackageRecipe) -> Option<&Root> {
    match &recipe.source {
        Some(SourceSpec::Debian(root)) => Some(root),
        _ => None,
    }
}

/// What a lock has of it, unless it is to move.
pub(in crate::package) fn locked(root: &Root, lock: Option<&Lock>, update: &Update) -> Option<LockedSource> {
    let locked = lock.and_then(|lock| lock.source.as_ref()).filter(|_| *update != Update::All)?;
    (locked.package == root.name && accepts(root, &locked.version)).then(|| locked.clone())
}

fn accepts(root: &Root, version: &str) -> bool {
    root.constraints.iter().all(|(relation, wanted)| relation.accepts(larder_solver::compare(version, wanted.as_str())))
}

/// Looks the source package up in the build's suite.
///
/// # Errors
/// [`PackageError::NoSource`]; an archive that can't be read or trusted.
pub(in crate::package) fn find(
    host: &Host,
    recipe: &PackageRecipe,
    (root, update): (&Root, &Update),
    progress: &dyn Progress,
) -> Result<LockedSource> {
    let none = |there_is| PackageError::NoSource {
        source_package: root.to_string(),
        from: recipe.build.from.clone(),
        there_is,
    };
    let from = recipe.build.from.iter().find(|from| is_debians(from)).ok_or_else(|| none(Vec::new()))?;
    let refresh = match (host.debian.offline, update) {
        (true, _) => Refresh::Never,
        (false, Update::None) => Refresh::IfOlder(solve::FRESH),
        (false, _) => Refresh::Always,
    };
    let suite = solve::distribution(host, from, refresh, progress)?;
    let found = suite.source(&host.debian, &root.name, &|version| accepts(root, version), progress)?;
    let found = found.map_err(none)?;
    let file = |file: SourceFile| LockedFile { path: file.path, size: file.size, sha256: file.sha256 };
    Ok(LockedSource {
        package: found.name,
        version: found.version,
        suite: found.suite,
        release: found.release,
        key: found.signer,
        index: found.index,
        files: found.files.into_iter().map(file).collect(),
    })
}

/// What a build is pinned to: each file by its digest. Who vouched for them is said besides, and has no part in what is built.
pub(in crate::package) fn pin(locked: &LockedSource) -> Pin {
    let one = |uri: String, digest: String| Dependency::Source {
        uri,
        digests: BTreeMap::from([("sha256".to_owned(), digest)]),
    };
    let (files, digests) = locked
        .files
        .iter()
        .map(|file| (one(file.path.clone(), file.sha256.hex()), file.sha256.hex()))
        .unzip::<_, _, Vec<_>, Vec<_>>();
    let vouching = [
        one(format!("dists/{}/{LIST}", locked.suite), locked.index.hex()),
        one(format!("dists/{}/InRelease", locked.suite), locked.release.hex()),
    ];
    Pin {
        line: format!("{RULE} deb-src sha256:{}", digests.join(" sha256:")),
        dependencies: files.into_iter().chain(vouching).collect(),
        tree: None,
    }
}

/// The name of an index of sources among the inputs.
pub(crate) const LIST: &str = "Sources";
/// How the names of an archive's files begin among the inputs.
pub(crate) const POOL: &str = "pool/";

/// What a statement says of a source package besides its files.
pub(in crate::package) fn parameter(locked: &LockedSource) -> Value {
    Value::object([
        ("package", Value::from(locked.package.as_str())),
        ("signer", Value::from(locked.key.as_str())),
        ("suite", Value::from(locked.suite.as_str())),
        ("version", Value::from(locked.version.as_str())),
    ])
}

/// The source package that a statement names.
pub(crate) fn claimed(statement: &Statement) -> Option<SourceClaim> {
    let said = statement.facts.parameters.get("deb-src")?;
    let text = |key: &str| said.get(key).and_then(Value::as_str).map(str::to_owned);
    let (mut index, mut release, mut files) = (None, None, Vec::new());
    for dependency in &statement.facts.dependencies {
        let Dependency::Source { uri, digests } = dependency else { continue };
        let Some(sha256) = digests.get("sha256").and_then(|hex| Sha256Digest::from_hex(hex).ok()) else { continue };
        match uri.strip_prefix("dists/").and_then(|rest| rest.rsplit_once('/')) {
            Some((_, LIST)) => index = Some(sha256),
            Some((_, "InRelease")) => release = Some(sha256),
            Some(_) => {}
            None if uri.starts_with(POOL) => files.push((uri.clone(), sha256)),
            None => {}
        }
    }
    Some(SourceClaim {
        package: text("package")?,
        version: text("version")?,
        suite: text("suite")?,
        signer: text("signer")?,
        release: release?,
        index: index?,
        files,
    })
}

/// The addresses of the archive's mirrors that may have a suite's files.
pub(crate) fn mirrors(host: &Host, suite: &str) -> Result<Vec<String>> {
    let part = if suite.ends_with("-security") { Part::Security } else { Part::Main };
    Ok(apt::locate(&host.debian, suite, part)?.mirrors.into_iter().map(|mirror| mirror.url).collect())
}

/// Unpacks the source package in the build's sandbox, unless that was done before.
///
/// # Errors
/// Files that no mirror has; what `dpkg-source` refuses.
pub(in crate::package) fn unpack(
    host: &Host,
    recipe: &PackageRecipe,
    (sandbox, locked): (&Sandbox, &LockedSource),
    progress: &dyn Progress,
) -> Result<Sources> {
    let inputs = format!("{}\n{}\n", pin(locked).line, sandbox.digest());
    let key = format!("{RULE}/deb-{}", ObjectDigest::of(inputs.as_bytes()).hex());
    if let Some(record) = recorded(host, &key)? {
        return of_record(host, &record);
    }
    let raw = raw(host, locked, progress)?;
    let task = progress.start(&format!("unpack {} {}", locked.package, locked.version), None);
    let unpacked: Result<Tree> = (|| {
        let workshop = Workshop::new(host, &raw)?;
        let job = Job {
            package: versioned(recipe),
            phase: Phase::Unpack,
            command: &CommandLine::Shell(UNPACK.to_owned()),
            env: Vec::new(),
            timeout: recipe.build.timeout,
            log: log::path(host, &recipe.name, log::Of::Build),
        };
        sandbox.build(host, &workshop, &job, raw.time, progress)?;
        let ingest = host.store.begin()?;
        let tree = output::read(&ingest, &recipe.name, &workshop.out())?;
        ingest.commit()?;
        Ok(tree)
    })();
    progress.finish(task);
    let mut tree = TreeBuilder::new();
    for entry in unpacked?.entries() {
        if let Some(path) = entry.path.as_bytes().strip_prefix(UNPACKED.as_bytes()) {
            let path = TreePath::new(path).map_err(larder_store::tree::TreeError::from)?;
            tree.insert(path, entry.entry.clone(), entry.attributes.clone())?;
        }
    }
    let tree = tree.finish()?;
    let time = time(host, &tree)?.ok_or_else(|| PackageError::Archive {
        source_name: format!("{} {}", locked.package, locked.version),
        reason: format!("{CHANGELOG} ends with no line that has a time"),
    })?;
    keep(host, &key, Sources { tree, time, signed: None })
}

/// The files of a source package, in one folder.
fn raw(host: &Host, locked: &LockedSource, progress: &dyn Progress) -> Result<Sources> {
    let file = |file: &LockedFile| SourceFile { path: file.path.clone(), size: file.size, sha256: file.sha256 };
    let files: Vec<SourceFile> = locked.files.iter().map(file).collect();
    let paths = fetch::fetch_source_files(&host.debian, &mirrors(host, &locked.suite)?, &files, progress)?;
    let ingest = host.store.begin()?;
    let mut tree = TreeBuilder::new();
    for (file, path) in files.iter().zip(&paths) {
        let mut opened = std::fs::File::open(path).map_err(Error::io("open", path))?;
        let (digest, size) = ingest.write_object(&mut opened, file.size)?;
        let path = TreePath::try_from(file.name()).map_err(larder_store::tree::TreeError::from)?;
        tree.insert(path, Entry::File { digest, size, executable: false }, Attributes::default())?;
    }
    ingest.commit()?;
    for path in paths {
        // The store has it now; a file that stays is only a file in the cache.
        let _ = std::fs::remove_file(path);
    }
    Ok(Sources::of(tree.finish()?))
}

/// The time of the newest entry of the changelog, as `dpkg-buildpackage` takes it.
fn time(host: &Host, tree: &Tree) -> Result<Option<u64>> {
    let Some(Entry::File { digest, .. }) = tree.get(CHANGELOG.as_bytes()).map(|entry| &entry.entry) else {
        return Ok(None);
    };
    let path = host.store.object_path(digest);
    let mut text = Vec::new();
    let file = File::open(&path).map_err(Error::io("open", &path))?;
    file.take(LONGEST).read_to_end(&mut text).map_err(Error::io("read", &path))?;
    Ok(newest(&String::from_utf8_lossy(&text)))
}

/// The time of a changelog's first line ` -- NAME <ADDRESS>  TIME`.
fn newest(changelog: &str) -> Option<u64> {
    let line = changelog.lines().find(|line| line.starts_with(" -- "))?;
    let (moment, zone) = line.rsplit_once(">  ")?.1.trim().rsplit_once(' ')?;
    let moment = release::date(&format!("{moment} UTC"))?;
    let (sign, digits) = zone.split_at_checked(1)?;
    let number = |range| -> Option<u64> {
        digits.get(range).filter(|two: &&str| two.bytes().all(|b| b.is_ascii_digit()))?.parse().ok()
    };
    let offset = number(0..2)? * 3600 + number(2..4)? * 60;
    match (sign, digits.len()) {
        ("+", 4) => moment.checked_sub(offset),
        ("-", 4) => moment.checked_add(offset),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changelog_says_when() {
        let at = |zone: &str| {
            newest(&format!(
                "hello (2.10-3) unstable; urgency=low\n\n  * x\n\n -- A B <a@example.com>  Mon, 26 Dec 2022 16:30:00 {zone}\n\n -- C <c@d>  x\n"
            ))
        };
        assert_eq!(at("+0000"), Some(1_672_072_200));
        assert_eq!(at("+0100"), Some(1_672_068_600));
        assert_eq!(at("-0130"), Some(1_672_077_600));
        for wrong in ["", "UTC", "+100", "+01000", "+1x00", "1000"] {
            assert_eq!(at(wrong), None, "{wrong}");
        }
        assert_eq!(newest(""), None);
    }

    #[test]
    fn a_lock_is_kept_while_it_fits() {
        let lock = |version: &str| LockedSource {
            package: "hello".to_owned(),
            version: version.to_owned(),
            suite: "bookworm".to_owned(),
            release: larder_store::Sha256Digest::from_bytes([1; 32]),
            key: "A".to_owned(),
            index: larder_store::Sha256Digest::from_bytes([2; 32]),
            files: Vec::new(),
        };
        let fits = |root: &str, version: &str| {
            accepts(&larder_solver::parse_root(root).expect("a root"), &lock(version).version)
        };
        assert!(fits("hello", "2.10-3") && fits("hello =2.10-3", "2.10-3") && fits("hello >=2, <3", "2.10-3"));
        assert!(!fits("hello =2.10-3", "2.10-3+b1") && !fits("hello >=3", "2.10-3"));
    }
}
