//! From a lock to its text.

use std::collections::BTreeSet;
use std::fmt::Write;

use larder_store::fileset::Override;

use super::{Lock, LockedOrigin, LockedPackage, LockedSource, LockedSuite};

const HEADER: &str = "\
# Written by Larder. Keep it beside the recipe, under version control.
# `larder update` changes it; nobody else should.
";

pub(super) fn text(lock: &Lock) -> String {
    let mut out =
        format!("{HEADER}format = {}\narchitecture = {}\nasked = [\n", lock.format(), quoted(&lock.architecture));
    for line in &lock.asked {
        _ = writeln!(out, "    {},", quoted(line));
    }
    out.push_str("]\n");
    if let Some(distribution) = &lock.distribution {
        _ = write!(out, "\n[distribution]\nname = {}\n", quoted(distribution.name.as_str()));
        for suite in &distribution.suites {
            self::suite(&mut out, suite);
        }
    }
    for (name, curated) in &lock.curated {
        let fileset = quoted(&curated.fileset.to_string());
        let (name, version) = (quoted(name.as_str()), quoted(&curated.version));
        _ = write!(out, "\n[[curated]]\nname = {name}\nversion = {version}\nfileset = {fileset}\n");
    }
    for Override { of, by, forced } in lock.overrides.iter().collect::<BTreeSet<_>>() {
        _ = write!(out, "\n[[override]]\nof = {}\nby = {}\n", quoted(of.as_str()), quoted(by.as_str()));
        if let Some(reason) = forced {
            _ = writeln!(out, "forced = {}", quoted(reason));
        }
    }
    if let Some(source) = &lock.source {
        self::source(&mut out, source);
    }
    for (name, package) in &lock.packages {
        self::package(&mut out, name.as_str(), package);
    }
    out
}

fn suite(out: &mut String, suite: &LockedSuite) {
    out.push_str("\n[[distribution.suite]]\n");
    for (key, value) in [
        ("name", quoted(&suite.name)),
        ("release", quoted(&suite.release.to_string())),
        ("date", date(suite.date)),
        ("key", quoted(&suite.key)),
    ] {
        _ = writeln!(out, "{key} = {value}");
    }
}

fn source(out: &mut String, source: &LockedSource) {
    out.push_str("\n[source]\n");
    for (key, value) in [
        ("package", quoted(&source.package)),
        ("version", quoted(&source.version)),
        ("suite", quoted(&source.suite)),
        ("release", quoted(&source.release.to_string())),
        ("key", quoted(&source.key)),
        ("index", quoted(&source.index.to_string())),
    ] {
        _ = writeln!(out, "{key} = {value}");
    }
    for file in &source.files {
        let (path, sha256) = (quoted(&file.path), quoted(&file.sha256.hex()));
        _ = write!(out, "\n[[source.file]]\npath = {path}\nsize = {}\nsha256 = {sha256}\n", file.size);
    }
}

fn package(out: &mut String, name: &str, package: &LockedPackage) {
    out.push_str("\n[[package]]\n");
    for (key, value) in [
        ("name", quoted(name)),
        ("version", quoted(&package.version)),
        ("architecture", quoted(&package.architecture)),
        ("fileset", quoted(&package.fileset.to_string())),
    ] {
        _ = writeln!(out, "{key} = {value}");
    }
    if let Some(declarations) = &package.declarations {
        _ = writeln!(out, "declarations = {}", quoted(&declarations.fileset.to_string()));
        _ = writeln!(out, "table = {}", declarations.table);
    }
    if let Some(captured) = &package.captured {
        _ = writeln!(out, "captured = {}", quoted(&captured.fileset.to_string()));
        _ = writeln!(out, "capture-rule = {}", quoted(&captured.rule));
        out.push_str("captured-files = [\n");
        captured.files.iter().for_each(|line| _ = writeln!(out, "    {},", quoted(line)));
        out.push_str("]\n");
    }
    if let Some(distribution) = &package.distribution {
        _ = writeln!(out, "distribution = {}", quoted(distribution.as_str()));
    }
    let archive = match &package.origin {
        LockedOrigin::Archive(archive) => archive,
        LockedOrigin::Store => {
            _ = writeln!(out, "origin = \"store\"");
            return;
        }
    };
    for (key, value) in [
        ("rule", quoted(&archive.rule)),
        ("archive", quoted(&archive.path)),
        ("size", archive.size.to_string()),
        ("sha256", quoted(&archive.sha256.hex())),
    ] {
        _ = writeln!(out, "{key} = {value}");
    }
}

/// A TOML basic string.
fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            c if c.is_control() => _ = write!(out, "\\u{:04X}", u32::from(c)),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// Seconds since 1970 as a date and time in UTC.
///
/// The calendar is Howard Hinnant's `civil_from_days`, with eras of 400 years that begin in March.
pub(super) fn date(seconds: u64) -> String {
    let (days, second) = (seconds / 86_400 + 719_468, seconds % 86_400);
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}Z", second / 3_600, second / 60 % 60, second % 60)
}

/// The inverse of [`date`], for a month and a day of the calendar.
pub(crate) fn seconds(year: u16, month: u8, day: u8, second_of_day: u64) -> Option<u64> {
    let (year, month, day) = (u64::from(year), u64::from(month), u64::from(day));
    let year = if month <= 2 { year.checked_sub(1)? } else { year };
    let month_from_march = if month > 2 { month - 3 } else { month + 9 };
    let day_of_year = (153 * month_from_march + 2) / 5 + day - 1;
    let year_of_era = year % 400;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    let days = (year / 400 * 146_097 + day_of_era).checked_sub(719_468)?;
    Some(days * 86_400 + second_of_day)
}
