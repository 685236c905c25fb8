//! Running a program under `strace`, and reading what that wrote.

use std::collections::HashMap;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

/// A system call that has returned.
#[derive(Debug, Clone)]
pub struct Call {
    /// The thread.
    pub thread: u32,
    /// Its name, such as `openat`.
    pub name: String,
    /// The arguments as `strace` writes them, strings and paths as `\x…`.
    pub arguments: Vec<String>,
    /// What it returned: a number, and what that stands for; `-1 ENOENT (…)`.
    pub result: String,
}

impl Call {
    /// Whether it did what it was asked to.
    #[must_use]
    pub fn succeeded(&self) -> bool {
        !self.result.starts_with('-') && !self.result.starts_with('?')
    }

    /// The string that is this argument.
    ///
    /// # Panics
    /// When it isn't a whole string.
    #[must_use]
    pub fn string(&self, number: usize) -> Vec<u8> {
        let text = self.arguments[number].strip_prefix('"').and_then(|text| text.strip_suffix('"'));
        unhex(text.unwrap_or_else(|| panic!("a string is cut short: {self:?}")))
    }

    /// The path that a descriptor stands for, and whether it has been removed or never had a name.
    #[must_use]
    pub fn descriptor(&self, number: usize) -> Option<(String, bool)> {
        annotation(&self.arguments[number])
    }

    /// The same of a descriptor that was returned.
    #[must_use]
    pub fn returned(&self) -> Option<(String, bool)> {
        annotation(&self.result)
    }
}

/// `3<\x2f…>(deleted)`.
fn annotation(text: &str) -> Option<(String, bool)> {
    let (_, rest) = text.split_once('<')?;
    let (path, after) = rest.split_once('>')?;
    Some((String::from_utf8(unhex(path)).ok()?, after.starts_with("(deleted)")))
}

fn unhex(text: &str) -> Vec<u8> {
    let digits = text.split("\\x").skip(1);
    digits.map(|digits| u8::from_str_radix(digits, 16).expect("strace -xx writes hexadecimal digits")).collect()
}

/// Whether a program can be traced here.
#[must_use]
pub fn available() -> bool {
    let tried =
        Command::new("strace").args(["-o", "/dev/null", "true"]).stdout(Stdio::null()).stderr(Stdio::null()).status();
    tried.is_ok_and(|status| status.success())
}

/// Runs a program under `strace` with these options (such as `-e trace=%file`), and gives its calls in the order in which they
/// returned, with the program's own end.
///
/// # Panics
/// When `strace` can't be started.
#[must_use]
pub fn calls(command: &Command, options: &[&str]) -> (Vec<Call>, std::process::Output) {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("trace");
    let mut traced = Command::new("strace");
    traced.args(["-f", "-y", "-xx", "-qq", "-s", "16777216", "-e", "signal=none"]).args(options).arg("-o").arg(&file);
    traced.arg("--").arg(command.get_program()).args(command.get_args());
    if let Some(folder) = command.get_current_dir() {
        traced.current_dir(folder);
    }
    traced.env_clear();
    traced.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let output = traced.stdin(Stdio::null()).output().expect("strace; scripts/setup installs it");
    (read(&file), output)
}

fn read(file: &Path) -> Vec<Call> {
    let text = fs::read_to_string(file).expect("a trace");
    let mut halves: HashMap<u32, String> = HashMap::new();
    let mut calls = Vec::new();
    for line in text.lines() {
        let (thread, rest) = line.trim_start().split_once(' ').expect("a thread");
        let thread = thread.parse().expect("a number");
        let rest = rest.trim_start();
        if let Some(first) = rest.strip_suffix(" <unfinished ...>") {
            halves.insert(thread, first.to_owned());
        } else if let Some((_, second)) = rest.strip_prefix("<... ").and_then(|rest| rest.split_once(" resumed>")) {
            let first = halves.remove(&thread).unwrap_or_default();
            calls.extend(parse(thread, &(first + second)));
        } else {
            calls.extend(parse(thread, rest));
        }
    }
    calls
}

/// `name(argument, …) = result`; anything else is no call.
fn parse(thread: u32, text: &str) -> Option<Call> {
    let (name, rest) = text.split_once('(')?;
    let mut arguments = vec![String::new()];
    let mut depth = 0;
    for (at, character) in rest.char_indices() {
        match character {
            ')' if depth == 0 => {
                let result = rest[at + 1..].trim_start().strip_prefix("= ")?.to_owned();
                arguments.retain(|argument| !argument.is_empty());
                return Some(Call { thread, name: name.to_owned(), arguments, result });
            }
            ',' if depth == 0 => arguments.push(String::new()),
            ' ' if arguments.last().is_some_and(String::is_empty) => {}
            _ => {
                depth += i32::from("({[".contains(character)) - i32::from(")}]".contains(character));
                arguments.last_mut()?.push(character);
            }
        }
    }
    None
}
