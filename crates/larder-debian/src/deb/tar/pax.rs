//! pax extended headers: records of `<length> <keyword>=<value>\n`.

use std::collections::HashSet;

use super::Extension;

/// A keyword and its value.
type Record<'a> = (&'a [u8], &'a [u8]);

/// Splits a header into its records, strictly.
fn records(mut bytes: &[u8]) -> Result<Vec<Record<'_>>, &'static str> {
    const WRONG: &str = "a pax record is malformed";
    let mut records: Vec<Record<'_>> = Vec::new();
    let mut known = HashSet::new();
    while !bytes.is_empty() {
        let blank = memchr::memchr(b' ', &bytes[..bytes.len().min(20)]).ok_or(WRONG)?;
        let digits = std::str::from_utf8(&bytes[..blank]).map_err(|_| WRONG)?;
        if !digits.bytes().all(|b| b.is_ascii_digit()) {
            return Err(WRONG);
        }
        let length: usize = digits.parse().map_err(|_| WRONG)?;
        if length <= blank + 2 || length > bytes.len() || bytes[length - 1] != b'\n' {
            return Err(WRONG);
        }
        let record = &bytes[blank + 1..length - 1];
        let equals = memchr::memchr(b'=', record).filter(|&at| at > 0).ok_or(WRONG)?;
        let (key, value) = (&record[..equals], &record[equals + 1..]);
        if !known.insert(key) {
            return Err("a pax header names one keyword twice");
        }
        records.push((key, value));
        bytes = &bytes[length..];
    }
    Ok(records)
}

/// Applies the records of one entry's header.
pub(super) fn read(bytes: &[u8], extension: &mut Extension) -> Result<(), &'static str> {
    extension.pax = true;
    for (key, value) in records(bytes)? {
        match key {
            b"path" => once(&mut extension.path, value)?,
            b"linkpath" => once(&mut extension.link, value)?,
            b"uname" => extension.owner = Some(value.to_vec()),
            b"gname" => extension.group = Some(value.to_vec()),
            b"size" => extension.size = Some(number(value)?),
            b"uid" => extension.uid = Some(number(value)?),
            b"gid" => extension.gid = Some(number(value)?),
            b"mtime" => extension.mtime = Some(seconds(value)?),
            b"atime" | b"ctime" | b"comment" | b"LIBARCHIVE.creationtime" => {}
            _ => match key.strip_prefix(b"SCHILY.xattr.") {
                Some(name) if !name.is_empty() => {
                    extension.xattrs.insert(name.into(), value.into());
                }
                _ => return Err("a pax header has a keyword that isn't supported"),
            },
        }
    }
    Ok(())
}

/// A global header may only carry a comment (as archives made from a version control system do).
pub(super) fn check_global(bytes: &[u8]) -> Result<(), &'static str> {
    match records(bytes)?.iter().all(|(key, _)| *key == b"comment") {
        true => Ok(()),
        false => Err("it has a global pax header"),
    }
}

fn once(slot: &mut Option<Vec<u8>>, value: &[u8]) -> Result<(), &'static str> {
    if value.is_empty() || value.contains(&0) {
        return Err("a pax path is empty or has a NUL byte");
    }
    match slot.replace(value.to_vec()) {
        None => Ok(()),
        Some(_) => Err("an entry has two long names"),
    }
}

fn number(value: &[u8]) -> Result<u64, &'static str> {
    std::str::from_utf8(value)
        .ok()
        .filter(|text| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()))
        .and_then(|text| text.parse().ok())
        .ok_or("a pax number is malformed")
}

/// Whole seconds; a fraction is dropped, and what lies before 1970 is 0.
fn seconds(value: &[u8]) -> Result<u64, &'static str> {
    if let Some(rest) = value.strip_prefix(b"-") {
        return seconds(rest).map(|_| 0);
    }
    let (whole, fraction) = match memchr::memchr(b'.', value) {
        Some(dot) => (&value[..dot], &value[dot + 1..]),
        None => (value, [].as_slice()),
    };
    if !fraction.iter().all(u8::is_ascii_digit) {
        return Err("a pax time is malformed");
    }
    number(whole)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Found by an attack: 80,000 keywords, each compared with all before it, took a minute a header.
    #[test]
    fn many_keywords_take_no_longer_than_few() {
        let bytes: Vec<u8> = (100_000..180_000).flat_map(|key| format!("11 {key}=\n").into_bytes()).collect();
        let begun = std::time::Instant::now();
        assert_eq!(records(&bytes).map(|records| records.len()), Ok(80_000));
        assert!(begun.elapsed().as_secs() < 5, "{:?}", begun.elapsed());
        let twice = [&bytes[..], b"11 100000=\n"].concat();
        assert_eq!(records(&twice), Err("a pax header names one keyword twice"));
    }
}
