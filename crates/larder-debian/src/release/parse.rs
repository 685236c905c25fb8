//! The fields of a release file.

use std::collections::BTreeMap;

use larder_store::Sha256Digest;

use super::{Listed, Release};
use crate::error::ReleaseRefusal;

/// A release that lists more files than this is refused.
const MAX_FILES: usize = 200_000;

/// Parses a signed text strictly: one stanza, no field twice, a Date and a SHA256 list.
pub(crate) fn parse(text: &[u8]) -> Result<Release, ReleaseRefusal> {
    let syntax = |line: usize, problem: &str| ReleaseRefusal::Syntax { line, problem: problem.to_owned() };
    let text = std::str::from_utf8(text).map_err(|_| syntax(1, "it is not UTF-8"))?;
    let mut fields: BTreeMap<String, (usize, &str)> = BTreeMap::new();
    let mut files = BTreeMap::new();
    let mut current = String::new();
    for (number, line) in (1..).zip(text.trim_end().lines()) {
        let line = line.trim_end();
        if line.is_empty() {
            return Err(syntax(number, "an empty line ends the stanza, but more follows"));
        }
        if line.starts_with([' ', '\t']) {
            match current.as_str() {
                "" => return Err(syntax(number, "a continuation line has no field above it")),
                "sha256" => list(line, &mut files).map_err(|problem| syntax(number, problem))?,
                _ => {}
            }
            continue;
        }
        let (name, value) = line.split_once(':').ok_or_else(|| syntax(number, "it is no field (there is no colon)"))?;
        if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(syntax(number, "the field has no proper name"));
        }
        current = name.to_ascii_lowercase();
        if fields.insert(current.clone(), (number, value.trim())).is_some() {
            return Err(syntax(number, "the field is there twice"));
        }
    }
    if files.is_empty() {
        return Err(syntax(1, "it has no SHA256 list"));
    }
    let value = |name: &str| fields.get(name).map_or("", |(_, value)| *value);
    let time = |name: &str| match fields.get(name) {
        None => Ok(None),
        Some((line, value)) => date(value).map(Some).ok_or_else(|| syntax(*line, "it is not a date in UTC")),
    };
    let words = |name: &str| value(name).split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    Ok(Release {
        digest: Sha256Digest::from_bytes([0; 32]),
        signer: String::new(),
        origin: value("origin").to_owned(),
        label: value("label").to_owned(),
        suite: value("suite").to_owned(),
        codename: value("codename").to_owned(),
        version: fields.get("version").map(|(_, value)| (*value).to_owned()),
        date: time("date")?.ok_or_else(|| syntax(1, "it has no Date"))?,
        valid_until: time("valid-until")?,
        architectures: words("architectures"),
        by_hash: value("acquire-by-hash").eq_ignore_ascii_case("yes"),
        all_included: words("no-support-for-architecture-all").iter().any(|index| index == "Packages"),
        files,
    })
}

/// One line of the SHA256 list: digest, size, path.
fn list(line: &str, files: &mut BTreeMap<String, Listed>) -> Result<(), &'static str> {
    let mut words = line.split_whitespace();
    let (Some(digest), Some(size), Some(path), None) = (words.next(), words.next(), words.next(), words.next()) else {
        return Err("an entry is digest, size and path");
    };
    let sha256 = Sha256Digest::from_hex(digest).map_err(|_| "the digest is not a SHA-256")?;
    if !size.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err("the size is not a number");
    }
    let size = size.parse().map_err(|_| "the size is not a number")?;
    if path.starts_with('/') || path.split('/').any(|part| matches!(part, "" | "." | "..")) || path.contains('\\') {
        return Err("the path leads out of the suite");
    }
    if files.len() >= MAX_FILES {
        return Err("there are too many files");
    }
    match files.insert(path.to_owned(), Listed { size, sha256 }) {
        Some(before) if before != (Listed { size, sha256 }) => Err("the path is there twice with different content"),
        _ => Ok(()),
    }
}

/// Reads `Sat, 11 Jul 2026 10:16:37 UTC`, the only form that the archive's programs write, to seconds since 1970.
pub fn date(text: &str) -> Option<u64> {
    const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let words: Vec<&str> = text.split_whitespace().collect();
    let [weekday, day, month, year, time, zone] = words.as_slice() else { return None };
    if !weekday.ends_with(',') || !matches!(*zone, "UTC" | "GMT" | "Z" | "+0000") {
        return None;
    }
    let month = MONTHS.iter().position(|name| name == month)?;
    let (day, year) = (number(day, 1, 31)?, number(year, 1970, 9999)?);
    let mut clock = time.split(':');
    let (hour, minute, second) =
        (number(clock.next()?, 0, 23)?, number(clock.next()?, 0, 59)?, number(clock.next()?, 0, 60)?);
    if clock.next().is_some() {
        return None;
    }
    // Days since 1970 with years that begin in March, so that the leap day is the last.
    let shifted = (u64::try_from(month).ok()? + 10) % 12;
    let years = if shifted >= 10 { year - 1 } else { year };
    let days = 365 * years + years / 4 - years / 100 + years / 400 + (153 * shifted + 2) / 5 + day - 1;
    let since = days.checked_sub(719_468)?;
    Some(since * 86_400 + hour * 3600 + minute * 60 + second)
}

fn number(text: &str, least: u64, most: u64) -> Option<u64> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let value = text.parse().ok().filter(|_| digits)?;
    (least..=most).contains(&value).then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIGEST: &str = "515e692f2c4121c6fcec444ef100cc18f79a991910615f3a88c8b7becfc94d2f";

    fn text() -> String {
        format!(
            "Origin: Debian\nLabel: Debian\nSuite: oldstable\nVersion: 12.15\nCodename: bookworm\n\
             Date: Sat, 11 Jul 2026 10:16:37 UTC\nAcquire-By-Hash: yes\nNo-Support-for-Architecture-all: Packages\n\
             Architectures: all amd64\nMD5Sum:\n 00 1 x\nSHA256:\n {DIGEST} 5 main/binary-amd64/Packages.xz\n \
             {DIGEST} 7 main/binary-amd64/Packages.gz\n"
        )
    }

    #[test]
    fn fields_are_read() {
        let release = parse(text().as_bytes()).unwrap();
        assert_eq!((release.suite.as_str(), release.codename.as_str()), ("oldstable", "bookworm"));
        assert_eq!(release.date, 1_783_764_997);
        assert!(release.by_hash && release.all_included && release.valid_until.is_none());
        let indexes = release.package_indexes("main", "amd64");
        assert_eq!(indexes.len(), 1);
        assert_eq!((indexes[0].0.as_str(), indexes[0].1.size), ("main/binary-amd64/Packages.xz", 5));
        assert!(release.package_indexes("main", "arm64").is_empty());
    }

    #[test]
    fn an_index_for_all_architectures_that_is_apart_is_read_too() {
        let apart = text().replace("No-Support-for-Architecture-all: Packages\n", "")
            + &format!(" {DIGEST} 9 main/binary-all/Packages.xz\n");
        let indexes = parse(apart.as_bytes()).unwrap().package_indexes("main", "amd64");
        assert_eq!(indexes[1].0, "main/binary-all/Packages.xz");
    }

    #[test]
    fn what_is_not_a_release_is_refused() {
        let cases = [
            (text().replace("Date: ", "Then: "), "no Date"),
            (text().replace("UTC", "CEST"), "date"),
            (text() + "Date: Sat, 11 Jul 2026 10:16:37 UTC\n", "twice"),
            (text().replace("main/binary-amd64/Packages.xz", "../Packages.xz"), "leads out"),
            (text().replace("main/binary-amd64/Packages.xz", "/Packages.xz"), "leads out"),
            (text().replace("Packages.gz", "Packages.xz"), "twice"),
            (text().replace(DIGEST, "00"), "not a SHA-256"),
            (text().replace(" 5 ", " +5 "), "not a number"),
            (text().replace(" 5 ", " 99999999999999999999 "), "not a number"),
            (text().replace("SHA256:", "\nSHA256:"), "empty line"),
            (text().replace("Label: Debian", "Label"), "colon"),
            (format!(" x\n{}", text()), "continuation"),
            ("Date: Sat, 11 Jul 2026 10:16:37 UTC\n".to_owned(), "no SHA256"),
        ];
        for (text, problem) in cases {
            let error = parse(text.as_bytes()).unwrap_err().to_string();
            assert!(error.contains(problem), "{error} should say {problem}");
        }
        assert!(parse(b"\xff").is_err());
    }

    #[test]
    fn dates_count_leap_days() {
        assert_eq!(date("Thu, 01 Jan 1970 00:00:00 UTC"), Some(0));
        assert_eq!(date("Thu, 29 Feb 2024 12:00:00 GMT"), Some(1_709_208_000));
        assert_eq!(date("Wed, 18 Nov 2026 22:17:43 +0000"), Some(1_795_040_263));
        for wrong in [
            "",
            "18 Nov 2026",
            "Wed, 18 Nov 2026 22:17 UTC",
            "Wed, 32 Nov 2026 22:17:43 UTC",
            "Wed, 1 Foo 2026 1:1:1 UTC",
        ] {
            assert_eq!(date(wrong), None, "{wrong}");
        }
    }
}
