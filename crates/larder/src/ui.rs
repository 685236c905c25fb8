//! What people see: tables, sizes, colours. Colour only where a terminal wants it (`anstream` strips it elsewhere).

use std::fmt::Display;
use std::io::{self, Write};

use comfy_table::{CellAlignment, ContentArrangement, Table};

/// Bold, as an ANSI sequence.
pub(crate) const BOLD: &str = "\x1b[1m";
/// Green.
pub(crate) const GREEN: &str = "\x1b[32m";
/// Yellow.
pub(crate) const YELLOW: &str = "\x1b[33m";
/// Red.
pub(crate) const RED: &str = "\x1b[31m";
/// Faint.
pub(crate) const FAINT: &str = "\x1b[2m";
/// Back to normal.
pub(crate) const RESET: &str = "\x1b[0m";

/// Writes a line to stdout. A closed pipe ends the program quietly, as it does every filter.
///
/// # Errors
/// Any other failure of stdout.
pub(crate) fn line(text: impl Display) -> io::Result<()> {
    writeln!(anstream::stdout().lock(), "{text}")
}

/// Writes a note to stderr, beside what goes to stdout. A closed stderr leaves nobody to tell.
pub(crate) fn note(text: impl Display) {
    let _ = writeln!(anstream::stderr().lock(), "{YELLOW}note:{RESET} {text}");
}

/// A table without lines: a header and rows, in columns as wide as needed.
pub(crate) struct Listing {
    table: Table,
}

impl Listing {
    /// Begins a table with these column titles.
    pub(crate) fn new<const N: usize>(titles: [&str; N]) -> Self {
        let mut table = Table::new();
        table.load_style(comfy_table::presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
        table.set_header(titles.map(comfy_table::Cell::new));
        for column in table.column_iter_mut() {
            column.set_padding((0, 2));
        }
        Self { table }
    }

    /// Aligns a column's content to the right: for numbers.
    pub(crate) fn right(mut self, column: usize) -> Self {
        if let Some(column) = self.table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
        self
    }

    /// Adds a row.
    pub(crate) fn row<const N: usize>(&mut self, cells: [String; N]) {
        self.table.add_row(cells);
    }

    /// Prints it to stdout.
    ///
    /// # Errors
    /// A failure of stdout.
    pub(crate) fn print(&self) -> io::Result<()> {
        let mut out = anstream::stdout().lock();
        for (index, text) in self.table.lines().enumerate() {
            match index {
                0 => writeln!(out, "{BOLD}{}{RESET}", text.trim_end())?,
                _ => writeln!(out, "{}", text.trim_end())?,
            }
        }
        Ok(())
    }
}

/// A number of bytes as people read it: `812 B`, `4.2 KiB`, `1.3 GiB`.
pub(crate) fn bytes(count: u64) -> String {
    const UNITS: [&str; 5] = ["KiB", "MiB", "GiB", "TiB", "PiB"];
    if count < 1024 {
        return format!("{count} B");
    }
    let mut value = count as f64 / 1024.0;
    let mut unit = 0;
    while value >= 1023.95 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    format!("{value:.1} {}", UNITS[unit])
}

/// A digest's beginning, long enough to tell digests apart by eye.
pub(crate) fn short(digest: &impl Display) -> String {
    let text = digest.to_string();
    let hex = text.split_once(':').map_or(text.as_str(), |(_, hex)| hex);
    hex.get(..12).unwrap_or(hex).to_owned()
}

/// `1 package`, `2 packages`.
pub(crate) fn count(number: usize, noun: &str) -> String {
    if number == 1 { format!("1 {noun}") } else { format!("{number} {noun}s") }
}

/// Seconds since 1970 as `2026-11-20 10:31` in UTC.
pub(crate) fn time(seconds: u64) -> String {
    let (days, rest) = (seconds / 86_400, seconds % 86_400);
    let (year, month, day) = civil(days);
    format!("{year:04}-{month:02}-{day:02} {:02}:{:02}", rest / 3600, rest / 60 % 60)
}

/// The proleptic Gregorian date of a day since 1970-01-01 (Howard Hinnant, "chrono-compatible low-level date algorithms").
fn civil(days: u64) -> (u64, u64, u64) {
    let z = days + 719_468;
    let era = z / 146_097;
    let doe = z % 146_097;
    let yoe = (doe - doe / 1460 + doe / 36_524 - doe / 146_096) / 365;
    let doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    let mp = (5 * doy + 2) / 153;
    let month = if mp < 10 { mp + 3 } else { mp - 9 };
    (yoe + era * 400 + u64::from(month <= 2), month, doy - (153 * mp + 2) / 5 + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_times_read_well() {
        let sizes = [0, 1023, 1024, 1_048_525, 1_048_576, 5_000_000_000].map(bytes);
        assert_eq!(sizes, ["0 B", "1023 B", "1.0 KiB", "1.0 MiB", "1.0 MiB", "4.7 GiB"]);
        assert_eq!(
            [0, 951_782_400, 1_795_170_660].map(time),
            ["1970-01-01 00:00", "2000-02-29 00:00", "2026-11-20 10:31"]
        );
    }
}
