//! A parser for the part of POSIX shell that maintainer scripts are written in. It only reads: nothing is ever run.
//!
//! What it can't read is an error with its line, never a guess. Here-documents are skipped, arithmetic is not evaluated.

mod lexer;
mod parser;

pub(super) use parser::parse;

/// A place where the script is not understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct NotUnderstood {
    /// Counted from 1.
    pub(super) line: usize,
}

/// A piece of a word.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Part {
    /// Text; `quoted` text is neither split nor a pattern.
    Text { text: String, quoted: bool },
    /// `$name`, `${name}`, `${name<operator>word}`.
    Parameter { name: String, operator: String, word: Word, quoted: bool },
    /// `$(…)` or backquotes.
    Command(Box<Node>),
    /// What is never evaluated: arithmetic.
    Opaque,
}

/// A word before expansion.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Word(pub(super) Vec<Part>);

impl Word {
    /// The text of a word without any expansion.
    pub(super) fn literal(&self) -> Option<String> {
        let text = |part: &Part| match part {
            Part::Text { text, .. } => Some(text.clone()),
            _ => None,
        };
        self.0.iter().map(text).collect()
    }
}

/// `>file`, `2>&1`, `<<END`; here-documents have no target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Redirect {
    pub(super) operator: String,
    pub(super) target: Word,
}

/// One command with its arguments.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Simple {
    pub(super) line: usize,
    pub(super) assignments: Vec<(String, Word)>,
    pub(super) words: Vec<Word>,
    pub(super) redirects: Vec<Redirect>,
}

/// A command of any kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Node {
    Simple(Simple),
    Sequence(Vec<Self>),
    And(Box<Self>, Box<Self>),
    Or(Box<Self>, Box<Self>),
    Not(Box<Self>),
    Pipeline(Vec<Self>),
    If {
        condition: Box<Self>,
        then: Box<Self>,
        otherwise: Option<Box<Self>>,
    },
    Case {
        word: Word,
        arms: Vec<(Vec<Word>, Self)>,
    },
    For {
        variable: String,
        words: Option<Vec<Word>>,
        body: Box<Self>,
    },
    While {
        condition: Box<Self>,
        body: Box<Self>,
    },
    Function {
        name: String,
        body: Box<Self>,
    },
    /// `( … )`: what it sets is gone afterwards.
    Subshell(Box<Self>),
    /// A group or subshell with redirections.
    Redirected {
        line: usize,
        body: Box<Self>,
        redirects: Vec<Redirect>,
    },
}
