//! Takes out of an answer what differs from run to run, and keeps whether two of it are the same.

/// Replaces digests, times, keys and names of places.
#[derive(Debug, Default)]
pub(crate) struct Redactor {
    places: Vec<(String, String)>,
}

impl Redactor {
    /// Writes `name` for every `place`.
    pub(crate) fn replace(&mut self, place: &str, name: &str) {
        self.places.push((place.to_owned(), name.to_owned()));
    }

    /// The text without what differs.
    pub(crate) fn redact(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for (place, name) in &self.places {
            text = text.replace(place, name);
        }
        let mut digests: Vec<String> = Vec::new();
        let mut out = String::new();
        let mut rest = text.as_str();
        while !rest.is_empty() {
            let length = date_length(rest);
            if length > 0 {
                out += if length == 16 { "YYYY-MM-DD hh:mm" } else { "<date>" };
                rest = &rest[length..];
                continue;
            }
            let word = rest.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(rest.len());
            let word = &rest[..word.max(rest.chars().next().map_or(0, char::len_utf8))];
            out += &redact_word(word, &mut digests);
            rest = &rest[word.len()..];
        }
        out.split('\n').map(redact_sums).collect::<Vec<_>>().join("\n")
    }
}

/// Takes the counts and sizes out of what `fsck` and `gc` sum up: each composer that makes one more file would change
/// them all. Nothing stays nothing.
fn redact_sums(line: &str) -> String {
    if !["checked ", "removed ", "would remove "].iter().any(|verb| line.starts_with(verb)) {
        return line.to_owned();
    }
    let words: Vec<&str> = line.split(' ').collect();
    let next = |index: usize| words.get(index + 1).copied().unwrap_or_default();
    let is_unit = |word: &str| word.trim_end_matches([')', ',']).ends_with('B');
    let shown = words.iter().enumerate().map(|(index, word)| match word.trim_start_matches('(').parse::<f64>() {
        Ok(0.0) | Err(_) => (*word).to_owned(),
        Ok(_) if next(index).starts_with("object") || is_unit(next(index)) => {
            format!("{}N", if word.starts_with('(') { "(" } else { "" })
        }
        Ok(_) => (*word).to_owned(),
    });
    shown.collect::<Vec<_>>().join(" ")
}

fn redact_word(word: &str, digests: &mut Vec<String>) -> String {
    let is_hex = |word: &str| word.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
    match word.len() {
        // A fingerprint.
        40 if word.bytes().all(|b| b.is_ascii_hexdigit() && !b.is_ascii_lowercase()) => "<KEY>".to_owned(),
        // A digest, or its beginning in a listing, which keeps its width there.
        length @ (12 | 64) if is_hex(word) => {
            let known = digests.iter().position(|digest| digest[..12] == word[..12]);
            let number = known.unwrap_or_else(|| {
                digests.push(word.to_owned());
                digests.len() - 1
            }) + 1;
            if length == 12 { format!("{:12}", format!("<{number}>")) } else { format!("<{number}>") }
        }
        _ => word.to_owned(),
    }
}

/// The length of a date that the text begins with: `2026-11-20 10:31` or `Fri, 20 Nov 2026 10:31:07 GMT`; 0 if none.
fn date_length(text: &str) -> usize {
    ["dddd-dd-ddTdd:dd:ddZ", "dddd-dd-dd dd:dd", "aaa, dd aaa dddd dd:dd:dd GMT"]
        .into_iter()
        .find(|pattern| {
            text.len() >= pattern.len()
                && pattern.bytes().zip(text.bytes()).all(|(wanted, byte)| match wanted {
                    b'd' => byte.is_ascii_digit(),
                    b'a' => byte.is_ascii_alphabetic(),
                    _ => wanted == byte,
                })
        })
        .map_or(0, str::len)
}

#[test]
fn what_differs_is_taken_out() {
    let mut redactor = Redactor::default();
    redactor.replace("/tmp/x", "$DIR");
    let (one, two) = ("ab".repeat(32), "cd".repeat(32));
    let text = format!("/tmp/x/a blake3:{one} {two}\nabababababab 2026-11-20 10:31 é Fri, 20 Nov 2026 10:31:07 GMT.");
    let sums = "checked 9 FileSets, 28 objects, 5.2 KiB hashed\nremoved 5 FileSets and 0 objects (0 B), 30 objects left\n5 KiB";
    let shown =
        "checked 9 FileSets, N objects, N KiB hashed\nremoved 5 FileSets and 0 objects (0 B), N objects left\n5 KiB";
    assert_eq!(redactor.redact(sums), shown);
    assert_eq!(redactor.redact(&text), "$DIR/a blake3:<1> <2>\n<1>          YYYY-MM-DD hh:mm é <date>.");
}
