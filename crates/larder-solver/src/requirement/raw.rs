//! The grammar itself, over borrowed text. Versions are not checked here.

use super::Relation;

/// An atom whose parts point into the field it was read from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RawAtom<'a> {
    pub(crate) name: &'a str,
    pub(crate) qualifier: Option<&'a str>,
    pub(crate) constraint: Option<(Relation, &'a str)>,
    /// What stands between `[` and `]`; empty where there is no list.
    pub(crate) architectures: &'a str,
}

/// The clauses of a field, as text, trimmed; empty ones are passed over.
pub(crate) fn clauses(field: &str) -> impl Iterator<Item = &str> {
    field.split(',').map(str::trim).filter(|clause| !clause.is_empty())
}

/// Parses one alternative: `name[:qualifier] [(relation version)] [[architectures]]`.
pub(crate) fn atom(text: &str) -> Result<RawAtom<'_>, &'static str> {
    let text = text.trim();
    let end = text.find(|c: char| c.is_whitespace() || "([<,|".contains(c)).unwrap_or(text.len());
    let (name, mut rest) = text.split_at(end);
    let (name, qualifier) = match name.split_once(':') {
        Some((name, qualifier)) => (name, Some(qualifier)),
        None => (name, None),
    };
    if name.is_empty() {
        return Err("a package's name is missing");
    }
    if !is_name(name) {
        return Err("a package's name has letters, digits and \"+-.\" only");
    }
    if qualifier.is_some_and(|q| q.is_empty() || !q.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')) {
        return Err("the qualifier after ':' is not an architecture");
    }
    let mut constraint = None;
    rest = rest.trim_start();
    if let Some(inner) = rest.strip_prefix('(') {
        let (inside, after) = inner.split_once(')').ok_or("a '(' is not closed")?;
        constraint = Some(version_constraint(inside)?);
        rest = after.trim_start();
    }
    let mut architectures = "";
    if let Some(inner) = rest.strip_prefix('[') {
        let (inside, after) = inner.split_once(']').ok_or("a '[' is not closed")?;
        let word_ok = |word: &str| {
            let word = word.strip_prefix('!').unwrap_or(word);
            !word.is_empty() && word.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
        };
        if inside.trim().is_empty() || !inside.split_ascii_whitespace().all(word_ok) {
            return Err("what stands between '[' and ']' is not a list of architectures");
        }
        architectures = inside.trim();
        rest = after.trim_start();
    }
    if !rest.is_empty() {
        return Err("something unexpected follows the name and version");
    }
    Ok(RawAtom { name, qualifier, constraint, architectures })
}

fn version_constraint(inside: &str) -> Result<(Relation, &str), &'static str> {
    let inside = inside.trim();
    let end = inside.find(|c| !"<>=".contains(c)).unwrap_or(inside.len());
    let (relation, version) = inside.split_at(end);
    let relation = match relation {
        "<<" => Relation::Earlier,
        // "<" and ">" are dpkg's old spellings of "<=" and ">=".
        "<=" | "<" => Relation::EarlierEqual,
        "=" => Relation::Equal,
        ">=" | ">" => Relation::LaterEqual,
        ">>" => Relation::Later,
        _ => return Err("the version needs one of << <= = >= >> before it"),
    };
    let version = version.trim();
    if version.is_empty() || version.contains(char::is_whitespace) {
        return Err("the version between '(' and ')' is missing or has a space");
    }
    Ok((relation, version))
}

/// Whether a text is a package's name: one word, or words after a domain (`example.com/team/hello`), which has a dot.
pub(crate) fn is_name(name: &str) -> bool {
    let is_word =
        |word: &str| word.as_bytes().first().is_some_and(u8::is_ascii_alphanumeric) && word.bytes().all(is_name_byte);
    match name.split_once('/') {
        None => is_word(name),
        Some((domain, path)) => domain.contains('.') && is_word(domain) && path.split('/').all(is_word),
    }
}

/// What a word of a package's name consists of. Upper case is tolerated: a few old archives have it.
fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"+-._".contains(&byte)
}
