//! What is said of a capture: a row for what became of each path, many of a kind in one.

use std::collections::HashMap;

use larder_debian::capture::Verdict;
use larder_store::json::{self, Value};

use super::layer::How;

/// More refused paths than this that fit one pattern are one row; of what something else makes more than one are.
const MANY: usize = 8;

/// What became of a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// The path, absolute, control characters escaped; a pattern or a folder where it stands for several.
    pub path: String,
    /// What scripts did there.
    pub how: How,
    /// What became of it.
    pub verdict: Verdict,
    /// Why; empty where there is nothing to say.
    pub reason: String,
    /// How many paths it stands for.
    pub paths: u64,
}

/// What was found about one path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Finding {
    /// As a Tree would have it; any bytes.
    pub(super) path: Vec<u8>,
    pub(super) how: How,
    pub(super) verdict: Verdict,
    pub(super) reason: String,
    /// The pattern of the list that it fits.
    pub(super) pattern: Option<&'static str>,
}

impl Finding {
    /// What it has in common with others of its kind.
    fn kind(&self) -> (How, Verdict, &str, Option<&'static str>) {
        (self.how, self.verdict, &self.reason, self.pattern)
    }

    /// How a record says that it was refused. Names may differ each time; patterns don't.
    pub(super) fn refusal(&self) -> String {
        let place = self.pattern.map_or_else(|| super::shown_path(&self.path), str::to_owned);
        format!("{place}: {}", self.reason)
    }
}

/// Findings, sorted by path, as rows: what lies below a folder that shares its fate is told with the folder.
pub(super) fn rows(findings: &[Finding]) -> Vec<Row> {
    let mut of_kind: HashMap<_, usize> = HashMap::new();
    for finding in findings {
        *of_kind.entry(finding.kind()).or_default() += 1;
    }
    let mut rows: Vec<Row> = Vec::new();
    let mut by_pattern: HashMap<_, usize> = HashMap::new();
    let mut by_folder: HashMap<&[u8], (usize, &Finding)> = HashMap::new();
    for finding in findings {
        let kind = finding.kind();
        // Of what is taken each path is told.
        let is_told = finding.verdict == Verdict::Kept;
        let most = if finding.verdict == Verdict::Made { 1 } else { MANY };
        let pattern = finding.pattern.filter(|_| !is_told && of_kind[&kind] > most);
        let above =
            || ancestors(&finding.path).find_map(|above| by_folder.get(above).filter(|(_, of)| of.kind() == kind));
        let known = match pattern {
            Some(_) => by_pattern.get(&kind).copied(),
            None => above().filter(|_| !is_told).map(|(row, _)| *row),
        };
        if let Some(row) = known {
            rows[row].paths += 1;
            continue;
        }
        match pattern {
            Some(_) => drop(by_pattern.insert(kind, rows.len())),
            None => drop(by_folder.insert(&finding.path, (rows.len(), finding))),
        }
        let path = pattern.map_or_else(|| super::shown_path(&finding.path), str::to_owned);
        let Finding { how, verdict, reason, .. } = finding.clone();
        rows.push(Row { path, how, verdict, reason, paths: 1 });
    }
    rows
}

/// The folders above a path, the nearest first.
fn ancestors(path: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::successors(Some(path), |path| path.iter().rposition(|&b| b == b'/').map(|at| &path[..at])).skip(1)
}

/// The word for what scripts did.
pub fn how_word(how: How) -> &'static str {
    match how {
        How::Added => "added",
        How::Changed => "changed",
        How::Removed => "removed",
    }
}

/// The word for what became of it.
pub fn verdict_word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Kept => "taken",
        Verdict::Made => "made",
        Verdict::Refused => "refused",
    }
}

/// The rows as a text that [`decode`] reads.
pub(super) fn encode(rows: &[Row]) -> String {
    let row = |row: &Row| {
        Value::object([
            ("how", Value::from(how_word(row.how))),
            ("path", Value::from(row.path.as_str())),
            ("paths", Value::Integer(i64::try_from(row.paths).unwrap_or(i64::MAX))),
            ("reason", Value::from(row.reason.as_str())),
            ("verdict", Value::from(verdict_word(row.verdict))),
        ])
    };
    String::from_utf8_lossy(&json::encode(&rows.iter().map(row).collect())).into_owned()
}

/// Reads what [`encode`] wrote; `None` for anything else.
pub(super) fn decode(text: &str) -> Option<Vec<Row>> {
    let Value::Array(items) = json::decode(text.as_bytes()).ok()? else { return None };
    let row = |item: &Value| {
        let text = |key| item.get(key).and_then(Value::as_str);
        let Some(Value::Integer(paths)) = item.get("paths") else { return None };
        Some(Row {
            path: text("path")?.to_owned(),
            how: [How::Added, How::Changed, How::Removed]
                .into_iter()
                .find(|how| Some(how_word(*how)) == text("how"))?,
            verdict: [Verdict::Kept, Verdict::Made, Verdict::Refused]
                .into_iter()
                .find(|verdict| Some(verdict_word(*verdict)) == text("verdict"))?,
            reason: text("reason")?.to_owned(),
            paths: u64::try_from(*paths).ok()?,
        })
    };
    items.iter().map(row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finding(path: &str, verdict: Verdict, reason: &str, pattern: Option<&'static str>) -> Finding {
        Finding { path: path.into(), how: How::Added, verdict, reason: reason.to_owned(), pattern }
    }

    #[test]
    fn many_of_a_kind_are_one_row() {
        let mut findings = vec![
            finding("etc/a", Verdict::Kept, "", Some("/etc/**")),
            finding("etc/a/b", Verdict::Kept, "", Some("/etc/**")),
            finding("usr/x", Verdict::Refused, "no place", None),
            finding("usr/x/y", Verdict::Refused, "no place", None),
            finding("usr/x/z/z", Verdict::Refused, "no place", None),
            finding("usr/xx", Verdict::Refused, "no place", None),
        ];
        findings
            .extend((0..9).map(|n| finding(&format!("var/log/{n}"), Verdict::Refused, "a log", Some("/var/log/**"))));
        let rows = rows(&findings);
        let shown: Vec<_> = rows.iter().map(|row| (row.path.as_str(), row.paths)).collect();
        assert_eq!(shown, [("/etc/a", 1), ("/etc/a/b", 1), ("/usr/x", 3), ("/usr/xx", 1), ("/var/log/**", 9)]);
        assert_eq!(decode(&encode(&rows)), Some(rows));
        assert_eq!(decode("[{}]"), None);
    }
}
