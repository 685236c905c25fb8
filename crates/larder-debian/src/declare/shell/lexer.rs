//! Words and operators of a script, with here-documents taken out.

use super::{NotUnderstood, Part, Word, parser};

/// A token and the line it begins on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Token {
    Word(Word),
    /// `; & && || | ( ) ;; < > >> >& <& << <<- >|`, or a newline.
    Operator(&'static str),
    /// The digits before a redirection.
    Descriptor,
}

const OPERATORS: [&str; 17] =
    ["<<-", "&&", "||", ";;", "<<", ">>", ">&", "<&", ">|", "&", "|", ";", "(", ")", "<", ">", "\n"];

/// How deep words may be nested in one another.
pub(super) const DEPTH: usize = 16;

/// Splits a script into tokens.
pub(super) fn tokens(script: &str, first_line: usize, depth: usize) -> Result<Vec<(Token, usize)>, NotUnderstood> {
    let mut lexer = Lexer { rest: script, line: first_line, depth };
    if depth > DEPTH {
        return Err(lexer.lost());
    }
    let mut tokens: Vec<(Token, usize)> = Vec::new();
    let mut here_documents: Vec<(String, bool)> = Vec::new();
    loop {
        lexer.skip_blanks();
        let line = lexer.line;
        let Some(next) = lexer.rest.chars().next() else { break };
        if let Some(operator) = OPERATORS.into_iter().find(|op| lexer.rest.starts_with(op)) {
            lexer.take(operator.len());
            tokens.push((Token::Operator(operator), line));
            if operator == "\n" {
                for (end, strip) in here_documents.drain(..) {
                    lexer.skip_here_document(&end, strip);
                }
            }
            continue;
        }
        let digits = lexer.rest.len() - lexer.rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        if next.is_ascii_digit() && lexer.rest[digits..].starts_with(['<', '>']) {
            lexer.take(digits);
            tokens.push((Token::Descriptor, line));
            continue;
        }
        let word = lexer.word()?;
        if let Some((Token::Operator(operator @ ("<<" | "<<-")), _)) = tokens.last() {
            here_documents.push((word.literal().ok_or_else(|| lexer.lost())?, *operator == "<<-"));
        }
        tokens.push((Token::Word(word), line));
    }
    Ok(tokens)
}

struct Lexer<'a> {
    rest: &'a str,
    line: usize,
    depth: usize,
}

impl<'a> Lexer<'a> {
    fn lost(&self) -> NotUnderstood {
        NotUnderstood { line: self.line }
    }

    fn take(&mut self, count: usize) -> &'a str {
        let (taken, rest) = self.rest.split_at(count);
        self.line += taken.matches('\n').count();
        self.rest = rest;
        taken
    }

    /// Takes what stands before `end`, and `end`.
    fn take_until(&mut self, end: char) -> Result<&'a str, NotUnderstood> {
        let at = self.rest.find(end).ok_or_else(|| self.lost())?;
        let taken = self.take(at);
        self.take(end.len_utf8());
        Ok(taken)
    }

    fn skip_blanks(&mut self) {
        loop {
            if self.rest.starts_with([' ', '\t', '\r']) {
                self.take(1);
            } else if self.rest.starts_with("\\\n") {
                self.take(2);
            } else if self.rest.starts_with('#') {
                let end = self.rest.find('\n').unwrap_or(self.rest.len());
                self.take(end);
            } else {
                return;
            }
        }
    }

    fn skip_here_document(&mut self, end: &str, strip: bool) {
        while !self.rest.is_empty() {
            let length = self.rest.find('\n').map_or(self.rest.len(), |at| at + 1);
            let line = self.take(length).trim_end_matches('\n');
            if (if strip { line.trim_start_matches('\t') } else { line }) == end {
                return;
            }
        }
    }

    fn word(&mut self) -> Result<Word, NotUnderstood> {
        let mut parts = Vec::new();
        let mut text = String::new();
        while let Some(next) = self.rest.chars().next() {
            match next {
                ' ' | '\t' | '\r' | '\n' | ';' | '&' | '|' | '<' | '>' | '(' | ')' => break,
                '\\' => {
                    self.take(1);
                    let Some(escaped) = self.rest.chars().next() else { return Err(self.lost()) };
                    self.take(escaped.len_utf8());
                    if escaped != '\n' {
                        flush(&mut parts, &mut text);
                        parts.push(Part::Text { text: escaped.to_string(), quoted: true });
                    }
                }
                '\'' => {
                    self.take(1);
                    flush(&mut parts, &mut text);
                    let quoted = self.take_until('\'')?;
                    parts.push(Part::Text { text: quoted.to_owned(), quoted: true });
                }
                '"' => {
                    self.take(1);
                    flush(&mut parts, &mut text);
                    self.double_quoted(&mut parts)?;
                }
                '$' | '`' => {
                    flush(&mut parts, &mut text);
                    let part = self.expansion(false)?;
                    parts.push(part);
                }
                _ => {
                    text.push(next);
                    self.take(next.len_utf8());
                }
            }
        }
        flush(&mut parts, &mut text);
        Ok(Word(parts))
    }

    fn double_quoted(&mut self, parts: &mut Vec<Part>) -> Result<(), NotUnderstood> {
        let mut text = String::new();
        let before = parts.len();
        loop {
            let next = self.rest.chars().next().ok_or_else(|| self.lost())?;
            match next {
                '"' => {
                    self.take(1);
                    if !text.is_empty() || parts.len() == before {
                        parts.push(Part::Text { text, quoted: true });
                    }
                    return Ok(());
                }
                '\\' => {
                    self.take(1);
                    let escaped = self.rest.chars().next().ok_or_else(|| self.lost())?;
                    self.take(escaped.len_utf8());
                    match escaped {
                        '$' | '`' | '"' | '\\' => text.push(escaped),
                        '\n' => {}
                        _ => text.extend(['\\', escaped]),
                    }
                }
                '$' | '`' => {
                    if !text.is_empty() {
                        parts.push(Part::Text { text: std::mem::take(&mut text), quoted: true });
                    }
                    let part = self.expansion(true)?;
                    parts.push(part);
                }
                _ => {
                    text.push(next);
                    self.take(next.len_utf8());
                }
            }
        }
    }

    /// What begins with `$` or a backquote.
    fn expansion(&mut self, quoted: bool) -> Result<Part, NotUnderstood> {
        let line = self.line;
        if self.rest.starts_with('`') {
            self.take(1);
            let script = self.take_until('`')?;
            return Ok(Part::Command(Box::new(parser::parse_at(script, line, self.depth + 1)?)));
        }
        self.take(1);
        if self.rest.starts_with('(') {
            self.take(1);
            let end = self.matching('(', ')')?;
            let script = self.take(end);
            self.take(1);
            if script.starts_with('(') && script.ends_with(')') {
                return Ok(Part::Opaque);
            }
            return Ok(Part::Command(Box::new(parser::parse_at(script, line, self.depth + 1)?)));
        }
        if self.rest.starts_with('{') {
            self.take(1);
            let end = self.matching('{', '}')?;
            let inside = self.take(end);
            self.take(1);
            return self.braced(inside, quoted);
        }
        let name = name_length(self.rest);
        if name == 0 {
            return Ok(Part::Text { text: "$".into(), quoted });
        }
        let name = self.take(name).to_owned();
        Ok(Part::Parameter { name, operator: String::new(), word: Word::default(), quoted })
    }

    fn braced(&self, inside: &str, quoted: bool) -> Result<Part, NotUnderstood> {
        if self.depth >= DEPTH {
            return Err(self.lost());
        }
        let length = name_length(inside);
        let (name, rest) = inside.split_at(length);
        if name.is_empty() || name == "#" && !rest.is_empty() {
            return Ok(Part::Opaque);
        }
        let operators = [":-", ":+", ":=", ":?", "##", "%%", "-", "+", "=", "?", "#", "%", "/", ":", "^", ","];
        let operator = operators.into_iter().find(|op| rest.starts_with(op)).unwrap_or_default();
        let word = rest[operator.len()..].replace('\n', " ");
        let mut lexer = Lexer { rest: &word, line: self.line, depth: self.depth + 1 };
        let mut parts = Vec::new();
        while let Some(next) = lexer.rest.chars().next() {
            let before = lexer.rest.len();
            parts.extend(lexer.word()?.0);
            if lexer.rest.len() == before {
                lexer.take(next.len_utf8());
                parts.push(Part::Text { text: next.to_string(), quoted: true });
            }
        }
        Ok(Part::Parameter { name: name.to_owned(), operator: operator.to_owned(), word: Word(parts), quoted })
    }

    /// The offset of the bracket that closes one already taken; quotes are honoured.
    fn matching(&self, open: char, close: char) -> Result<usize, NotUnderstood> {
        let mut depth = 1;
        let mut chars = self.rest.char_indices();
        let mut quote = None;
        while let Some((at, c)) = chars.next() {
            match (quote, c) {
                (Some('\''), '\'') | (Some('"'), '"') => quote = None,
                (Some('\''), _) => {}
                (_, '\\') => _ = chars.next(),
                (None, '\'' | '"') => quote = Some(c),
                (_, c) if c == open => depth += 1,
                (_, c) if c == close => {
                    depth -= 1;
                    if depth == 0 {
                        return Ok(at);
                    }
                }
                _ => {}
            }
        }
        Err(self.lost())
    }
}

fn flush(parts: &mut Vec<Part>, text: &mut String) {
    if !text.is_empty() {
        parts.push(Part::Text { text: std::mem::take(text), quoted: false });
    }
}

/// The length of a parameter's name: an identifier, a digit or a special character.
fn name_length(text: &str) -> usize {
    match text.chars().next() {
        Some(c) if c.is_ascii_alphabetic() || c == '_' => {
            text.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(text.len())
        }
        Some(c) if c.is_ascii_digit() || "@*#?-$!".contains(c) => 1,
        _ => 0,
    }
}
