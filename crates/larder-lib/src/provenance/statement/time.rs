//! Times as RFC 3339 has them, in UTC and whole seconds: `2026-11-20T10:31:00Z`.

/// The last second that four digits of a year can say.
const LAST: u64 = 253_402_300_799;

/// Writes seconds since 1970.
pub(super) fn write(seconds: u64) -> String {
    let seconds = seconds.min(LAST);
    let (year, month, day) = date(seconds / 86_400);
    let clock = seconds % 86_400;
    format!("{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}Z", clock / 3600, clock / 60 % 60, clock % 60)
}

/// Reads exactly what [`write`] writes.
pub(super) fn read(text: &str) -> Option<u64> {
    let bytes = text.as_bytes();
    if bytes.len() != 20 || !bytes.is_ascii() {
        return None;
    }
    let number = |from: usize, to: usize| {
        let digits = bytes.get(from..to)?;
        digits.iter().try_fold(0_u64, |sum, digit| digit.is_ascii_digit().then(|| sum * 10 + u64::from(digit - b'0')))
    };
    let days = days(number(0, 4)?, number(5, 7)?, number(8, 10)?)?;
    let seconds = days * 86_400 + number(11, 13)? * 3600 + number(14, 16)? * 60 + number(17, 19)?;
    (write(seconds) == text).then_some(seconds)
}

/// The day's date (Howard Hinnant, "chrono-compatible low-level date algorithms").
fn date(days: u64) -> (u64, u64, u64) {
    let shifted = days + 719_468;
    let (era, of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (year_of_era + era * 400 + u64::from(month <= 2), month, day)
}

/// The date's day since 1970; dates that aren't in the calendar give some day or none.
fn days(year: u64, month: u64, day: u64) -> Option<u64> {
    if year < 1970 || !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    let year = if month <= 2 { year - 1 } else { year };
    let (era, year_of_era) = (year / 400, year % 400);
    let of_year = (153 * (if month > 2 { month - 3 } else { month + 9 }) + 2) / 5 + day - 1;
    (era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + of_year).checked_sub(719_468)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_round_trip_and_nothing_else_is_read() {
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_399, "2000-02-28T23:59:59Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (1_795_170_660, "2026-11-20T10:31:00Z"),
            (LAST, "9999-12-31T23:59:59Z"),
        ] {
            assert_eq!((write(seconds).as_str(), read(text)), (text, Some(seconds)));
        }
        for wrong in [
            "",
            "1969-12-31T23:59:59Z",
            "2026-02-29T00:00:00Z",
            "2026-11-31T00:00:00Z",
            "2026-13-01T00:00:00Z",
            "2026-00-01T00:00:00Z",
            "2026-11-20T24:00:00Z",
            "2026-11-20T10:60:00Z",
            "2026-11-20T10:31:60Z",
            "2026-11-20 10:31:00Z",
            "2026-11-20T10:31:00+",
            "2026-11-20T10:31:00.0Z",
            "+026-11-20T10:31:00Z",
            "2026-11-2xT10:31:00Z",
        ] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }
}
