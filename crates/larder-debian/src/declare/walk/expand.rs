//! Expansion of words: parameters, fields, patterns.

use super::{Value, Walk};
use crate::declare::effects::tree_path;
use crate::declare::shell::{Node, Part, Word};

/// The longest value that is followed.
const LONGEST: usize = 4096;
/// The most fields that are followed: `set -- "$@" "$@"` doubles them.
const MOST: usize = 1024;

/// One field while it's put together.
#[derive(Default)]
struct Field {
    text: String,
    known: bool,
    begun: bool,
    /// The offset of its first unquoted `*`, `?` or `[`.
    glob: Option<usize>,
}

/// Lets go of fields that are too many to follow; the last is then unknown. Says whether there were few enough.
fn bound(fields: &mut Vec<Value>) -> bool {
    if fields.len() <= MOST {
        return true;
    }
    fields.truncate(MOST - 1);
    fields.push(None);
    false
}

impl Walk<'_> {
    /// Expands without splitting: an assignment's value, a redirection's target.
    pub(super) fn expand_one(&mut self, word: &Word) -> Value {
        let mut text = Some(String::new());
        for part in &word.0 {
            let value = match part {
                Part::Text { text, .. } => Some(text.clone()),
                _ => self.part(part),
            };
            text = text.zip(value).map(|(text, value)| text + &value).filter(|text| text.len() <= LONGEST);
        }
        text
    }

    /// Expands to fields. The second value is false where their number isn't known; fields after that point are unknown.
    pub(super) fn expand_all(&mut self, words: &[Word]) -> (Vec<Value>, bool) {
        let mut fields = Vec::new();
        let mut complete = true;
        for word in words {
            complete &= self.split(word, &mut fields);
            complete &= bound(&mut fields);
        }
        (fields, complete)
    }

    fn split(&mut self, word: &Word, fields: &mut Vec<Value>) -> bool {
        let mut field = Field { known: true, ..Field::default() };
        let mut complete = true;
        for part in &word.0 {
            complete &= bound(fields);
            if field.text.len() > LONGEST {
                field = Field { begun: true, ..Field::default() };
            }
            match part {
                Part::Text { text, quoted } => {
                    field.begun = true;
                    if !quoted && field.glob.is_none() {
                        field.glob = glob_at(text).map(|at| field.text.len() + at);
                    }
                    field.text.push_str(text);
                }
                Part::Parameter { name, quoted: true, .. } if name == "@" => {
                    for value in self.arguments.clone() {
                        fields.push(value);
                    }
                    complete &= self.arguments_known;
                }
                Part::Parameter { quoted: false, .. } | Part::Command(_) => {
                    match self.part(part).filter(|_| self.splits_at_blanks()) {
                        Some(value) => {
                            let mut pieces = value.split_ascii_whitespace().peekable();
                            if value.starts_with([' ', '\t', '\n']) && field.begun {
                                self.finish(
                                    std::mem::replace(&mut field, Field { known: true, ..Field::default() }),
                                    fields,
                                );
                            }
                            while let Some(piece) = pieces.next() {
                                field.begun = true;
                                field.text.push_str(piece);
                                if pieces.peek().is_some() || value.ends_with([' ', '\t', '\n']) {
                                    self.finish(
                                        std::mem::replace(&mut field, Field { known: true, ..Field::default() }),
                                        fields,
                                    );
                                }
                            }
                        }
                        None => {
                            field.begun = true;
                            field.known = false;
                            complete = false;
                        }
                    }
                }
                Part::Parameter { .. } | Part::Opaque => {
                    field.begun = true;
                    match self.part(part) {
                        Some(value) => field.text.push_str(&value),
                        None => field.known = false,
                    }
                }
            }
        }
        if field.begun {
            self.finish(field, fields);
        }
        complete
    }

    /// Whether fields are split as they are by default.
    fn splits_at_blanks(&self) -> bool {
        self.variables.get("IFS").is_none_or(|value| value.as_deref() == Some(" \t\n"))
    }

    /// A pattern that no path of the package matches stays as it is, as it does on a fresh system.
    fn finish(&self, field: Field, fields: &mut Vec<Value>) {
        let may_match = field.glob.is_some_and(|at| {
            let prefix = field.text[..at].rsplit_once('/').map_or("", |(folder, _)| folder);
            tree_path(prefix).is_none_or(|folder| self.subject.tree.get(folder.as_bytes()).is_some())
        });
        let is_known = field.known && !may_match && field.text.len() <= LONGEST;
        fields.push(is_known.then_some(field.text));
    }

    fn part(&mut self, part: &Part) -> Value {
        match part {
            Part::Text { text, .. } => Some(text.clone()),
            Part::Opaque => None,
            Part::Command(node) => self.substitute(node),
            Part::Parameter { name, operator, word, .. } => {
                let value = self.parameter(name);
                match operator.as_str() {
                    "" => value.unwrap_or(Some(String::new())),
                    ":-" | "-" | ":=" | "=" => match value {
                        Some(Some(text)) if !text.is_empty() || !operator.starts_with(':') => Some(text),
                        Some(None) => None,
                        _ => self.expand_one(word),
                    },
                    ":+" | "+" => match value {
                        Some(Some(text)) if !text.is_empty() || operator == "+" => self.expand_one(word),
                        Some(None) => None,
                        _ => Some(String::new()),
                    },
                    _ => None,
                }
            }
        }
    }

    /// A parameter: not set, or set to a value that is known or not.
    fn parameter(&self, name: &str) -> Option<Value> {
        match name {
            "@" | "*" | "#" if !self.arguments_known => Some(None),
            "@" | "*" => Some(self.arguments.iter().cloned().collect::<Option<Vec<_>>>().map(|all| all.join(" "))),
            "#" => Some(Some(self.arguments.len().to_string())),
            "?" | "$" | "!" | "-" => Some(None),
            "0" => Some(Some(format!("/var/lib/dpkg/info/{}.{}", self.subject.package, self.script))),
            _ => match name.parse::<usize>() {
                Ok(number) => match number.checked_sub(1).and_then(|at| self.arguments.get(at)) {
                    Some(value) => Some(value.clone()),
                    None => (!self.arguments_known).then_some(None),
                },
                Err(_) => match self.variables.get(name) {
                    Some(value) => Some(value.clone()),
                    None if matches!(name, "PATH" | "IFS" | "HOME" | "PWD" | "TERM" | "USER" | "RET") => Some(None),
                    None => None,
                },
            },
        }
    }

    /// `$(…)`: its effects, if it has any, are not understood; of its output, a few are known.
    fn substitute(&mut self, node: &Node) -> Value {
        let single = match node {
            Node::Sequence(nodes) if nodes.len() == 1 => &nodes[0],
            other => other,
        };
        if let Node::Pipeline(parts) = single
            && let [Node::Simple(left), Node::Simple(right)] = parts.as_slice()
        {
            let (left, right) = (self.expand_all(&left.words).0, self.expand_all(&right.words).0);
            if let Some(output) = cut(&left, &right) {
                return Some(output);
            }
        }
        if let Node::Simple(simple) = single
            && simple.assignments.is_empty()
        {
            let (words, _) = self.expand_all(&simple.words);
            let words: Vec<&str> = words.iter().map(|w| w.as_deref().unwrap_or("\0")).collect();
            match words.as_slice() {
                // A package for all architectures doesn't know the host's.
                ["dpkg", "--print-architecture"] => {
                    return Some(self.subject.architecture.to_owned()).filter(|name| name != "all");
                }
                ["mktemp" | "tempfile", ..] => return Some("/tmp/mktemp".to_owned()),
                ["uname", "-s"] | ["uname"] => return Some("Linux".to_owned()),
                ["dirname", path] if path.starts_with('/') => {
                    return path.rsplit_once('/').map(|(folder, _)| folder.to_owned());
                }
                ["basename", path] if !path.contains('\0') => return path.rsplit('/').next().map(str::to_owned),
                // An account that isn't there has no number and no line.
                ["id", "-u" | "-g", name] | ["getent", "passwd" | "group", name] if !name.contains('\0') => {
                    let asked = [Some("passwd".to_owned()), Some((*name).to_owned())];
                    let asked = if words[1] == "group" { [Some("group".to_owned()), asked[1].clone()] } else { asked };
                    if self.command("getent", &asked) == Some(false) {
                        return Some(String::new());
                    }
                }
                ["dpkg-realpath", path] if !path.contains('\0') => return Some((*path).to_owned()),
                ["echo", rest @ ..] if rest.iter().all(|w| !w.contains('\0') && !w.starts_with('-')) => {
                    return Some(rest.join(" "));
                }
                _ => {}
            }
        }
        self.undecided += 1;
        self.apart(node);
        self.undecided -= 1;
        None
    }

    /// Whether a value matches one of a case's patterns.
    pub(super) fn matches(&mut self, patterns: &[Word], value: &Value) -> Option<bool> {
        let mut result = Some(false);
        for pattern in patterns {
            match self.pattern(pattern) {
                Some(pattern) if pattern == ['*'] => return Some(true),
                Some(pattern) => match value {
                    Some(value) if glob(&pattern, &value.chars().collect::<Vec<_>>()) => return Some(true),
                    Some(_) => {}
                    None => result = None,
                },
                None => result = None,
            }
        }
        result
    }

    /// A pattern with everything quoted escaped by backslashes.
    fn pattern(&mut self, word: &Word) -> Option<Vec<char>> {
        let mut pattern = Vec::new();
        for part in &word.0 {
            let (text, quoted) = match part {
                Part::Text { text, quoted } => (text.clone(), *quoted),
                Part::Parameter { quoted, .. } => (self.part(part)?, *quoted),
                _ => return None,
            };
            for c in text.chars() {
                if quoted {
                    pattern.push('\\');
                }
                pattern.push(c);
            }
        }
        Some(pattern)
    }
}

/// `echo TEXT | cut -dC -fN`.
fn cut(left: &[Value], right: &[Value]) -> Value {
    let text = |words: &[Value]| words.iter().cloned().collect::<Option<Vec<String>>>();
    let (left, right) = (text(left)?, text(right)?.join(" "));
    let (echo, words) = left.split_first()?;
    let rest = right.strip_prefix("cut -d")?.trim_start();
    let delimiter = rest.chars().next()?;
    let field: usize = rest[delimiter.len_utf8()..].trim_start().strip_prefix("-f")?.trim().parse().ok()?;
    let line = words.join(" ");
    (echo == "echo").then(|| line.split(delimiter).nth(field.checked_sub(1)?).map(str::to_owned))?
}

/// The offset of the first character that makes a text a pattern.
fn glob_at(text: &str) -> Option<usize> {
    let bracket = text.find('[').filter(|&at| text[at..].contains(']'));
    [text.find(['*', '?']), bracket].into_iter().flatten().min()
}

/// Shell patterns: `*`, `?`, `[…]`, backslash.
pub(super) fn glob(pattern: &[char], text: &[char]) -> bool {
    let (mut at_pattern, mut at_text) = (0, 0);
    let mut star = None;
    loop {
        let step = match pattern.get(at_pattern) {
            Some('*') => {
                star = Some((at_pattern, at_text));
                at_pattern += 1;
                continue;
            }
            None if at_text == text.len() => return true,
            None => None,
            Some(_) => text.get(at_text).and_then(|&c| one(&pattern[at_pattern..], c)),
        };
        match (step, star) {
            (Some(length), _) => {
                at_pattern += length;
                at_text += 1;
            }
            (None, Some((pattern_star, text_star))) if text_star < text.len() => {
                star = Some((pattern_star, text_star + 1));
                (at_pattern, at_text) = (pattern_star + 1, text_star + 1);
            }
            _ => return false,
        }
    }
}

/// How long the pattern's first item is, if it matches the character.
fn one(pattern: &[char], c: char) -> Option<usize> {
    match pattern {
        ['?', ..] => Some(1),
        ['\\', escaped, ..] => (*escaped == c).then_some(2),
        ['[', rest @ ..] => {
            let end = rest.iter().skip(1).position(|&c| c == ']')? + 1;
            let set = &rest[..end];
            let (negated, set) = match set.first() {
                Some('!' | '^') => (true, &set[1..]),
                _ => (false, set),
            };
            let mut found = false;
            let mut at = 0;
            while at < set.len() {
                if at + 2 < set.len() && set[at + 1] == '-' {
                    found |= (set[at]..=set[at + 2]).contains(&c);
                    at += 3;
                } else {
                    found |= set[at] == c;
                    at += 1;
                }
            }
            (found != negated).then_some(end + 2)
        }
        [literal, ..] => (*literal == c).then_some(1),
        [] => None,
    }
}
