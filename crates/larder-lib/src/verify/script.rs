//! The first line of a script.

/// What a `#!` line asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Script {
    /// The interpreter.
    pub(super) interpreter: String,
    /// The program that `env` is asked for.
    pub(super) env_program: Option<String>,
}

/// Reads a script's first line, as the kernel does: 256 bytes at most.
pub(super) fn parse(head: &[u8]) -> Option<Script> {
    let line = head.get(..head.len().min(256))?.strip_prefix(b"#!")?;
    let line = line.split(|&b| b == b'\n').next()?;
    let line = String::from_utf8_lossy(line);
    let mut words = line.split([' ', '\t']).filter(|word| !word.is_empty());
    let interpreter = words.next()?.trim_end_matches('\r').to_owned();
    if interpreter.contains('\0') || interpreter.is_empty() {
        return None;
    }
    let is_env = interpreter.rsplit('/').next() == Some("env");
    let env_program = if is_env { env_program(words) } else { None };
    Some(Script { interpreter, env_program })
}

/// The program among `env`'s words. Options other than `-S` and its kin make it unknown.
fn env_program<'a>(words: impl Iterator<Item = &'a str>) -> Option<String> {
    for word in words {
        match word {
            "-S" | "-i" | "-" | "--split-string" | "-v" | "-vS" => {}
            option if option.starts_with('-') => return None,
            assignment if assignment.contains('=') => {}
            program => return Some(program.trim_end_matches('\r').to_owned()),
        }
    }
    None
}
