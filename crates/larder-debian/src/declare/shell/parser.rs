//! From tokens to commands: the grammar of POSIX shell, by recursive descent.

use super::lexer::{self, Token};
use super::{Node, NotUnderstood, Part, Redirect, Simple, Word};

/// How deep commands may be nested, and how long a chain of `&&` and `||` may be.
const DEPTH: usize = 48;

/// Reads a whole script.
pub(in crate::declare) fn parse(script: &str) -> Result<Node, NotUnderstood> {
    parse_at(script, 1, 0)
}

pub(super) fn parse_at(script: &str, line: usize, depth: usize) -> Result<Node, NotUnderstood> {
    let tokens = lexer::tokens(script, line, depth)?;
    let last = tokens.last().map_or(line, |(_, line)| *line);
    let mut parser = Parser { tokens, at: 0, last, depth: 0 };
    let node = parser.list(&[])?;
    match parser.at == parser.tokens.len() {
        true => Ok(node),
        false => Err(parser.lost()),
    }
}

struct Parser {
    tokens: Vec<(Token, usize)>,
    at: usize,
    last: usize,
    depth: usize,
}

impl Parser {
    fn line(&self) -> usize {
        self.tokens.get(self.at).map_or(self.last, |(_, line)| *line)
    }

    fn lost(&self) -> NotUnderstood {
        NotUnderstood { line: self.line() }
    }

    fn operator(&self) -> Option<&'static str> {
        match self.tokens.get(self.at) {
            Some((Token::Operator(operator), _)) => Some(operator),
            _ => None,
        }
    }

    /// The next word, if it is plain unquoted text.
    fn keyword(&self) -> Option<&str> {
        match self.tokens.get(self.at) {
            Some((Token::Word(Word(parts)), _)) => match parts.as_slice() {
                [Part::Text { text, quoted: false }] => Some(text),
                _ => None,
            },
            _ => None,
        }
    }

    fn accept(&mut self, operator: &str) -> bool {
        let found = self.operator() == Some(operator);
        self.at += usize::from(found);
        found
    }

    fn accept_word(&mut self, keyword: &str) -> bool {
        let found = self.keyword() == Some(keyword);
        self.at += usize::from(found);
        found
    }

    fn expect_word(&mut self, keyword: &str) -> Result<(), NotUnderstood> {
        if self.accept_word(keyword) { Ok(()) } else { Err(self.lost()) }
    }

    fn word(&mut self) -> Result<Word, NotUnderstood> {
        match self.tokens.get(self.at) {
            Some((Token::Word(word), _)) => {
                let word = word.clone();
                self.at += 1;
                Ok(word)
            }
            _ => Err(self.lost()),
        }
    }

    fn skip_newlines(&mut self) {
        while self.accept("\n") {}
    }

    /// Commands up to one of the given words, a closing bracket, `;;` or the end.
    fn list(&mut self, ends: &[&str]) -> Result<Node, NotUnderstood> {
        self.depth += 1;
        if self.depth > DEPTH {
            return Err(self.lost());
        }
        let mut nodes = Vec::new();
        loop {
            while matches!(self.operator(), Some("\n" | ";" | "&")) {
                self.at += 1;
            }
            let at_end = self.at == self.tokens.len() || matches!(self.operator(), Some(")" | ";;"));
            if at_end || self.keyword().is_some_and(|word| ends.contains(&word)) {
                self.depth -= 1;
                return Ok(Node::Sequence(nodes));
            }
            nodes.push(self.and_or()?);
        }
    }

    fn and_or(&mut self) -> Result<Node, NotUnderstood> {
        let mut left = self.pipeline()?;
        let mut length = 0;
        loop {
            length += 1;
            if length > DEPTH {
                return Err(self.lost());
            }
            let is_and = match self.operator() {
                Some("&&") => true,
                Some("||") => false,
                _ => return Ok(left),
            };
            self.at += 1;
            self.skip_newlines();
            let right = Box::new(self.pipeline()?);
            left = if is_and { Node::And(Box::new(left), right) } else { Node::Or(Box::new(left), right) };
        }
    }

    fn pipeline(&mut self) -> Result<Node, NotUnderstood> {
        let mut negated = false;
        while self.accept_word("!") {
            negated = !negated;
        }
        let mut parts = vec![self.command()?];
        while self.accept("|") {
            self.skip_newlines();
            parts.push(self.command()?);
        }
        let node = if parts.len() == 1 { parts.remove(0) } else { Node::Pipeline(parts) };
        Ok(if negated { Node::Not(Box::new(node)) } else { node })
    }

    fn command(&mut self) -> Result<Node, NotUnderstood> {
        let line = self.line();
        let body = if self.accept("(") {
            let body = self.list(&[])?;
            if !self.accept(")") {
                return Err(self.lost());
            }
            Node::Subshell(Box::new(body))
        } else {
            match self.keyword() {
                Some("if") => self.if_command()?,
                Some("case") => self.case_command()?,
                Some("for") => self.for_command()?,
                Some("while" | "until") => self.while_command()?,
                Some("{") => {
                    self.at += 1;
                    let body = self.list(&["}"])?;
                    self.expect_word("}")?;
                    body
                }
                Some("then" | "else" | "elif" | "fi" | "do" | "done" | "esac" | "}" | "[[" | "select" | "function") => {
                    return Err(self.lost());
                }
                _ => return self.simple(),
            }
        };
        let mut redirects = Vec::new();
        while let Some(redirect) = self.redirect()? {
            redirects.push(redirect);
        }
        match redirects.is_empty() {
            true => Ok(body),
            false => Ok(Node::Redirected { line, body: Box::new(body), redirects }),
        }
    }

    /// After `if` or `elif`.
    fn if_command(&mut self) -> Result<Node, NotUnderstood> {
        self.at += 1;
        let condition = Box::new(self.list(&["then"])?);
        self.expect_word("then")?;
        let then = Box::new(self.list(&["elif", "else", "fi"])?);
        let otherwise = match self.keyword() {
            Some("elif") => {
                self.depth += 1;
                if self.depth > DEPTH {
                    return Err(self.lost());
                }
                let otherwise = Some(Box::new(self.if_command()?));
                self.depth -= 1;
                return Ok(Node::If { condition, then, otherwise });
            }
            Some("else") => {
                self.at += 1;
                Some(Box::new(self.list(&["fi"])?))
            }
            _ => None,
        };
        self.expect_word("fi")?;
        Ok(Node::If { condition, then, otherwise })
    }

    fn case_command(&mut self) -> Result<Node, NotUnderstood> {
        self.at += 1;
        let word = self.word()?;
        self.skip_newlines();
        self.expect_word("in")?;
        let mut arms = Vec::new();
        loop {
            self.skip_newlines();
            if self.accept_word("esac") {
                return Ok(Node::Case { word, arms });
            }
            self.accept("(");
            let mut patterns = vec![self.word()?];
            while self.accept("|") {
                patterns.push(self.word()?);
            }
            if !self.accept(")") {
                return Err(self.lost());
            }
            let body = self.list(&["esac"])?;
            arms.push((patterns, body));
            if !self.accept(";;") && self.keyword() != Some("esac") {
                return Err(self.lost());
            }
        }
    }

    fn for_command(&mut self) -> Result<Node, NotUnderstood> {
        self.at += 1;
        let variable = self.word()?.literal().ok_or_else(|| self.lost())?;
        self.skip_newlines();
        let words = if self.accept_word("in") {
            let mut words = Vec::new();
            while matches!(self.tokens.get(self.at), Some((Token::Word(_), _))) {
                words.push(self.word()?);
            }
            Some(words)
        } else {
            None
        };
        Ok(Node::For { variable, words, body: Box::new(self.do_group()?) })
    }

    fn while_command(&mut self) -> Result<Node, NotUnderstood> {
        self.at += 1;
        let condition = Box::new(self.list(&["do"])?);
        Ok(Node::While { condition, body: Box::new(self.do_group()?) })
    }

    fn do_group(&mut self) -> Result<Node, NotUnderstood> {
        while matches!(self.operator(), Some("\n" | ";")) {
            self.at += 1;
        }
        self.expect_word("do")?;
        let body = self.list(&["done"])?;
        self.expect_word("done")?;
        Ok(body)
    }

    fn redirect(&mut self) -> Result<Option<Redirect>, NotUnderstood> {
        if let Some((Token::Descriptor, _)) = self.tokens.get(self.at) {
            self.at += 1;
        }
        match self.operator() {
            Some(operator @ ("<" | ">" | ">>" | ">&" | "<&" | "<<" | "<<-" | ">|")) => {
                self.at += 1;
                Ok(Some(Redirect { operator: operator.to_owned(), target: self.word()? }))
            }
            _ => Ok(None),
        }
    }

    fn simple(&mut self) -> Result<Node, NotUnderstood> {
        let mut simple = Simple { line: self.line(), ..Simple::default() };
        loop {
            if let Some(redirect) = self.redirect()? {
                simple.redirects.push(redirect);
                continue;
            }
            match self.tokens.get(self.at) {
                Some((Token::Word(word), _)) => {
                    let word = word.clone();
                    self.at += 1;
                    match assignment(&word) {
                        Some(assignment) if simple.words.is_empty() => simple.assignments.push(assignment),
                        _ => simple.words.push(word),
                    }
                }
                Some((Token::Operator("("), _)) if simple.words.len() == 1 && simple.assignments.is_empty() => {
                    return self.function(&simple.words[0]);
                }
                _ if simple == (Simple { line: simple.line, ..Simple::default() }) => return Err(self.lost()),
                _ => return Ok(Node::Simple(simple)),
            }
        }
    }

    fn function(&mut self, name: &Word) -> Result<Node, NotUnderstood> {
        let name = name.literal().ok_or_else(|| self.lost())?;
        self.at += 1;
        if !self.accept(")") {
            return Err(self.lost());
        }
        self.skip_newlines();
        self.depth += 1;
        if self.depth > DEPTH {
            return Err(self.lost());
        }
        let body = Box::new(self.command()?);
        self.depth -= 1;
        Ok(Node::Function { name, body })
    }
}

/// `name=word`.
fn assignment(Word(parts): &Word) -> Option<(String, Word)> {
    let Some(Part::Text { text, quoted: false }) = parts.first() else { return None };
    let (name, value) = text.split_once('=')?;
    let is_name = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    if !is_name {
        return None;
    }
    let mut value_parts = Vec::new();
    if !value.is_empty() {
        value_parts.push(Part::Text { text: value.to_owned(), quoted: false });
    }
    value_parts.extend_from_slice(&parts[1..]);
    Some((name.to_owned(), Word(value_parts)))
}
