//! From an error to what a person reads: what happened, to what, why, and what to do next. The only place that picks
//! exit codes and words hints.

use std::error::Error as StdError;
use std::fmt::Write as _;
use std::io::Write as _;
use std::process::ExitCode;

use larder_lib::Error;

use crate::ui::{BOLD, RED, RESET, YELLOW};

/// Exit code of anything that failed.
const FAILED: u8 = 1;
/// Exit code of a command line that can't be understood.
const USAGE: u8 = 2;

/// Why a command did not do what it was asked.
#[derive(Debug)]
pub(crate) struct Failure {
    error: anyhow::Error,
    excerpt: String,
    hints: Vec<String>,
    code: u8,
}

impl Failure {
    /// A mistake on the command line that clap can't see.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self { code: USAGE, ..Self::plain(message) }
    }

    /// Something that failed for a reason that the message states.
    pub(crate) fn plain(message: impl Into<String>) -> Self {
        Self { error: anyhow::anyhow!(message.into()), excerpt: String::new(), hints: Vec::new(), code: FAILED }
    }

    /// Adds a next step.
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    /// Replaces the exit code: `larder run` has docker's codes.
    pub(crate) fn with_code(mut self, code: u8) -> Self {
        self.code = code;
        self
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let (excerpt, hints) = (error.excerpt(), error.hints());
        Self { error: error.into(), excerpt, hints, code: FAILED }
    }
}

/// Results are all that commands write themselves; files are the operations' business, whose errors name them.
impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Self { error: anyhow::Error::from(error).context("can't write to stdout"), ..Self::plain("") }
    }
}

/// Prints a failure on stderr and gives its exit code. A closed stdout (`larder images | head -1`) is no failure.
pub(crate) fn report(failure: &Failure) -> ExitCode {
    let broken_pipe = failure.error.chain().any(|cause| {
        cause.downcast_ref::<std::io::Error>().is_some_and(|e| e.kind() == std::io::ErrorKind::BrokenPipe)
    });
    if broken_pipe {
        return ExitCode::SUCCESS;
    }
    let mut text = format!("{RED}{BOLD}error:{RESET} {}", failure.error);
    if !failure.excerpt.is_empty() {
        let _ = write!(text, "\n{}", failure.excerpt);
    }
    for cause in causes(failure.error.as_ref()) {
        let _ = write!(text, "\n  because: {cause}");
    }
    for hint in &failure.hints {
        let _ = write!(text, "\n  {YELLOW}hint:{RESET} {hint}");
    }
    // A closed stderr leaves nobody to tell.
    let _ = writeln!(anstream::stderr().lock(), "{text}");
    ExitCode::from(failure.code)
}

/// The causes below an error, without those that only repeat the one above.
fn causes(error: &(dyn StdError + 'static)) -> Vec<String> {
    let mut above = error.to_string();
    let mut causes = Vec::new();
    let mut next = error.source();
    while let Some(cause) = next {
        let text = cause.to_string();
        if !above.contains(&text) {
            causes.push(text.clone());
        }
        above = text;
        next = cause.source();
    }
    causes
}

/// `Ok` with exit code 0.
pub(crate) const DONE: Result<ExitCode, Failure> = Ok(ExitCode::SUCCESS);
