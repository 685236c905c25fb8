//! Sizes as people write them, which are docker's: a number, which may have a fraction, and a unit of 1024s.

/// A size in bytes: docker's `64m`, `1g`, `1.5 GiB`, `67108864`.
pub fn parse(text: &str) -> Option<u64> {
    let text = text.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let unit = unit.trim_start().to_ascii_lowercase();
    let exponent = match unit.strip_suffix("ib").or_else(|| unit.strip_suffix('b')).unwrap_or(&unit) {
        "" if unit == "ib" => return None,
        "" => 0,
        "k" => 1,
        "m" => 2,
        "g" => 3,
        "t" => 4,
        "p" => 5,
        _ => return None,
    };
    let factor = 1_u64 << (10 * exponent);
    match number.split_once('.') {
        None => number.parse::<u64>().ok()?.checked_mul(factor),
        Some((whole, part)) if !(whole.is_empty() || part.is_empty() || part.contains('.')) => {
            let bytes = number.parse::<f64>().ok()? * factor as f64;
            (bytes < i64::MAX as f64).then_some(bytes as u64)
        }
        Some(_) => None,
    }
    .filter(|&bytes| i64::try_from(bytes).is_ok())
}

/// What was probably meant: the first number, and the first unit after it or else anywhere.
pub fn nearest(text: &str) -> Option<String> {
    let text = text.replace(',', ".").to_ascii_lowercase();
    let start = text.find(|c: char| c.is_ascii_digit())?;
    let number: String = text[start..].chars().take_while(|c| c.is_ascii_digit() || *c == '.').collect();
    let unit = |part: &str| part.chars().find(|c| "kmgtp".contains(*c));
    let unit = unit(&text[start + number.len()..]).or_else(|| unit(&text[..start])).unwrap_or('m');
    let guess = format!("{}{unit}", number.trim_end_matches('.'));
    parse(&guess).is_some().then_some(guess)
}

/// The shortest way to write a size exactly: `512m`, `1g`, `1000`.
pub fn write(bytes: u64) -> String {
    let units = [("p", 50), ("t", 40), ("g", 30), ("m", 20), ("k", 10)];
    let exact = units.into_iter().find(|(_, shift)| bytes > 0 && bytes.trailing_zeros() >= *shift);
    exact.map_or_else(|| bytes.to_string(), |(unit, shift)| format!("{}{unit}", bytes >> shift))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_dockers() {
        let right = [
            ("67108864", 67_108_864),
            ("67108864b", 67_108_864),
            ("64m", 64 << 20),
            ("64M", 64 << 20),
            ("64mb", 64 << 20),
            ("64MiB", 64 << 20),
            ("64 m", 64 << 20),
            ("1g", 1 << 30),
            ("1.5g", 3 << 29),
            ("0.5t", 1 << 39),
            ("1p", 1 << 50),
            ("65536k", 64 << 20),
        ];
        for (text, bytes) in right {
            assert_eq!(parse(text), Some(bytes), "{text}");
        }
        for text in [
            "",
            "m",
            "64x",
            "-64m",
            "64mm",
            "1,5g",
            "1.g",
            ".5g",
            "1.2.3g",
            "64ib",
            "0x10",
            "1e9",
            "99999999p",
            "9e",
            "nan",
            "inf",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    #[test]
    fn the_nearest_size_is_a_size() {
        for (text, expected) in [
            ("64x", Some("64m")),
            ("-64m", Some("64m")),
            ("1,5g", Some("1.5g")),
            ("m64", Some("64m")),
            ("2 gigs", Some("2g")),
            ("512megabytes", Some("512m")),
            ("lots", None),
            ("", None),
        ] {
            assert_eq!(nearest(text).as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn what_is_written_is_read_again() {
        for bytes in [0, 1, 1000, 1024, 64 << 20, 3 << 29, 1 << 40, u64::from(u32::MAX)] {
            assert_eq!(parse(&write(bytes)), Some(bytes), "{}", write(bytes));
        }
        assert_eq!((write(512 << 20), write(1 << 30), write(1000)), ("512m".into(), "1g".into(), "1000".into()));
    }
}
