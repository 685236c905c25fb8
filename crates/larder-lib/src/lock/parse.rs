//! From a text to a lock.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fmt::Display;
use std::ops::Range;
use std::path::Path;
use std::str::FromStr;

use larder_store::fileset::Override;
use larder_store::name::{check_architecture, check_version};
use larder_store::{Name, Sha256Digest};
use serde::Deserialize;
use toml::Spanned;
use toml::value::{Datetime, Offset};

use super::{
    FORMAT, Lock, LockError, LockedArchive, LockedCapture, LockedCurated, LockedDeclarations, LockedDistribution,
    LockedFile, LockedOrigin, LockedPackage, LockedSource, LockedSuite, write,
};
use crate::recipe::Place;

#[derive(Deserialize)]
struct WireFormat {
    format: i64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wire {
    #[serde(rename = "format")]
    _format: i64,
    architecture: Spanned<String>,
    asked: Vec<String>,
    distribution: Option<WireDistribution>,
    #[serde(default)]
    curated: Vec<WireCurated>,
    #[serde(default, rename = "override")]
    overrides: Vec<WireOverride>,
    source: Option<WireSource>,
    #[serde(default)]
    package: Vec<WirePackage>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WireDistribution {
    name: Spanned<String>,
    #[serde(default)]
    suite: Vec<WireSuite>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WireCurated {
    name: Spanned<String>,
    version: Spanned<String>,
    fileset: Spanned<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WireOverride {
    of: Spanned<String>,
    by: Spanned<String>,
    forced: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WireSuite {
    name: String,
    release: Spanned<String>,
    date: Spanned<Datetime>,
    key: Spanned<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WireSource {
    package: Spanned<String>,
    version: Spanned<String>,
    suite: String,
    release: Spanned<String>,
    key: Spanned<String>,
    index: Spanned<String>,
    #[serde(default)]
    file: Vec<WireFile>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WireFile {
    path: Spanned<String>,
    size: u64,
    sha256: Spanned<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[serde(rename_all = "kebab-case")]
struct WirePackage {
    name: Spanned<String>,
    version: Spanned<String>,
    architecture: Spanned<String>,
    fileset: Spanned<String>,
    declarations: Option<Spanned<String>>,
    table: Option<u32>,
    captured: Option<Spanned<String>>,
    capture_rule: Option<String>,
    captured_files: Option<Vec<String>>,
    distribution: Option<Spanned<String>>,
    origin: Option<Spanned<String>>,
    rule: Option<String>,
    archive: Option<Spanned<String>>,
    size: Option<u64>,
    sha256: Option<Spanned<String>>,
}

pub(super) fn lock(file: &Path, text: &str) -> Result<Lock, LockError> {
    let source = Source { file, text };
    // A later format may have other keys, so that its number must be looked at first.
    if let Ok(WireFormat { format }) = toml::from_str(text)
        && !(1..=FORMAT).contains(&format)
    {
        return Err(LockError::Later { file: file.to_owned(), format });
    }
    let wire: Wire = toml::from_str(text).map_err(|error| {
        let reason = error.message().trim().replace('\n', ", ");
        source.error(error.span().unwrap_or(0..0), reason)
    })?;
    source.lock(wire)
}

struct Source<'a> {
    file: &'a Path,
    text: &'a str,
}

impl Source<'_> {
    fn error(&self, range: Range<usize>, reason: impl Display) -> LockError {
        let place = Box::new(Place::new(self.text, range));
        LockError::Text { file: self.file.to_owned(), place, reason: reason.to_string() }
    }

    fn lock(&self, wire: Wire) -> Result<Lock, LockError> {
        let mut packages = BTreeMap::new();
        for package in wire.package {
            let range = package.name.span();
            let name: Name = self.parsed(&package.name)?;
            match packages.entry(name) {
                Entry::Occupied(slot) => return Err(self.error(range, format_args!("{} is there twice", slot.key()))),
                Entry::Vacant(slot) => _ = slot.insert(self.package(package)?),
            }
        }
        let mut curated = BTreeMap::new();
        for wire in wire.curated {
            let version = self.checked(wire.version, check_version)?;
            let locked = LockedCurated { version, fileset: self.parsed(&wire.fileset)? };
            if curated.insert(self.parsed(&wire.name)?, locked).is_some() {
                return Err(self.error(wire.name.span(), format_args!("{} is there twice", wire.name.get_ref())));
            }
        }
        let mut overrides: Vec<Override> = Vec::new();
        for wire in wire.overrides {
            let found = Override { of: self.parsed(&wire.of)?, by: self.parsed(&wire.by)?, forced: wire.forced };
            if found.forced.as_deref() == Some("") {
                return Err(self.error(wire.of.span(), "`forced` is a reason, and not empty"));
            }
            if overrides.iter().any(|other| other.of == found.of) {
                return Err(self.error(wire.of.span(), format_args!("{} is there twice", found.of)));
            }
            overrides.push(found);
        }
        overrides.sort();
        Ok(Lock {
            curated,
            overrides,
            architecture: self.checked(wire.architecture, check_architecture)?,
            asked: wire.asked,
            distribution: wire.distribution.map(|distribution| self.distribution(distribution)).transpose()?,
            source: wire.source.map(|source| self.source(source)).transpose()?,
            packages,
        })
    }

    fn distribution(&self, wire: WireDistribution) -> Result<LockedDistribution, LockError> {
        let suites = wire.suite.into_iter().map(|suite| self.suite(suite)).collect::<Result<_, _>>()?;
        Ok(LockedDistribution { name: self.parsed(&wire.name)?, suites })
    }

    fn suite(&self, wire: WireSuite) -> Result<LockedSuite, LockError> {
        let range = wire.date.span();
        let date = seconds(wire.date.get_ref())
            .ok_or_else(|| self.error(range, "a date is written as 2026-11-20T10:00:00Z"))?;
        let key = self.checked(wire.key, fingerprint)?;
        Ok(LockedSuite { name: wire.name, release: self.parsed(&wire.release)?, date, key })
    }

    fn source(&self, wire: WireSource) -> Result<LockedSource, LockError> {
        let range = wire.package.span();
        let file = |file: WireFile| -> Result<LockedFile, LockError> {
            Ok(LockedFile { sha256: self.sha256(&file.sha256)?, path: self.path(file.path)?, size: file.size })
        };
        let files: Vec<LockedFile> = wire.file.into_iter().map(file).collect::<Result<_, _>>()?;
        let is_description = |file: &&LockedFile| file.path.ends_with(".dsc");
        if files.iter().filter(is_description).count() != 1 {
            return Err(self.error(range, "a source package has one file that ends in .dsc"));
        }
        let plain = |text: &str| match larder_solver::parse_root(text) {
            Ok(root) if root.name == text => Ok(()),
            _ => Err("it is no package's name"),
        };
        Ok(LockedSource {
            package: self.checked(wire.package, plain)?,
            version: self.checked(wire.version, check_version)?,
            suite: wire.suite,
            release: self.parsed(&wire.release)?,
            key: self.checked(wire.key, fingerprint)?,
            index: self.parsed(&wire.index)?,
            files,
        })
    }

    fn sha256(&self, text: &Spanned<String>) -> Result<Sha256Digest, LockError> {
        let digest = Sha256Digest::from_hex(text.get_ref());
        digest.map_err(|_| self.error(text.span(), "sha256 is 64 lower-case hexadecimal digits"))
    }

    /// A path in the archive.
    fn path(&self, text: Spanned<String>) -> Result<String, LockError> {
        self.checked(text, |path| larder_store::TreePath::try_from(path).map(|_| ()).map_err(|error| error.reason))
    }

    fn package(&self, wire: WirePackage) -> Result<LockedPackage, LockError> {
        let declarations = match (wire.declarations, wire.table) {
            (None, None) => None,
            (Some(fileset), Some(table)) => Some(LockedDeclarations { fileset: self.parsed(&fileset)?, table }),
            _ => return Err(self.error(wire.name.span(), "`declarations` and `table` stand together or not at all")),
        };
        let captured = match (wire.captured, wire.capture_rule, wire.captured_files) {
            (None, None, None) => None,
            (Some(fileset), Some(rule), Some(files)) => {
                Some(LockedCapture { fileset: self.parsed(&fileset)?, rule, files })
            }
            _ => {
                let rule = "`captured`, `capture-rule` and `captured-files` stand together or not at all";
                return Err(self.error(wire.name.span(), rule));
            }
        };
        let range = wire.name.span();
        let origin = match (wire.origin, wire.rule, wire.archive, wire.size, wire.sha256) {
            (Some(origin), None, None, None, None) if origin.get_ref() == "store" => LockedOrigin::Store,
            (None, Some(rule), Some(archive), Some(size), Some(sha256)) => {
                let (sha256, path) = (self.sha256(&sha256)?, self.path(archive)?);
                LockedOrigin::Archive(LockedArchive { rule, path, size, sha256 })
            }
            _ => {
                let rule = "a package has `rule`, `archive`, `size` and `sha256`, or else `origin = \"store\"`";
                return Err(self.error(range, rule));
            }
        };
        Ok(LockedPackage {
            distribution: wire.distribution.map(|name| self.parsed(&name)).transpose()?,
            origin,
            version: self.checked(wire.version, check_version)?,
            architecture: self.checked(wire.architecture, check_architecture)?,
            fileset: self.parsed(&wire.fileset)?,
            declarations,
            captured,
        })
    }

    fn parsed<T: FromStr<Err: Display>>(&self, text: &Spanned<String>) -> Result<T, LockError> {
        text.get_ref().parse().map_err(|error: T::Err| self.error(text.span(), error))
    }

    fn checked<E: Display>(
        &self,
        text: Spanned<String>,
        check: impl Fn(&str) -> Result<(), E>,
    ) -> Result<String, LockError> {
        check(text.get_ref()).map_err(|error| self.error(text.span(), error))?;
        Ok(text.into_inner())
    }
}

fn fingerprint(key: &str) -> Result<(), &'static str> {
    let hexadecimal = |b: u8| b.is_ascii_digit() || (b'A'..=b'F').contains(&b);
    let fine = !key.is_empty() && key.bytes().all(hexadecimal);
    if fine { Ok(()) } else { Err("a key's fingerprint is upper-case hexadecimal") }
}

/// Seconds since 1970 of a whole second in UTC.
fn seconds(date: &Datetime) -> Option<u64> {
    let (day, time) = (date.date?, date.time?);
    let whole = matches!(date.offset, Some(Offset::Z)) && time.nanosecond.unwrap_or(0) == 0;
    let of_day = u64::from(time.hour) * 3_600 + u64::from(time.minute) * 60 + u64::from(time.second?);
    let seconds = write::seconds(day.year, day.month, day.day, of_day)?;
    whole.then_some(seconds)
}
