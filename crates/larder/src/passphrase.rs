//! Passphrases of secret keys: from a file that the environment names, or typed at the terminal without being shown.

use std::ffi::OsStr;
use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, IsTerminal, Read, Write};
use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;

use larder_lib::keys::{Domain, Passphrases, Purpose};
use rustix::termios::{self, LocalModes, OptionalActions, Termios};
use zeroize::Zeroizing;

/// The longest passphrase, in bytes.
const MAX: u64 = 1024;

/// Where passphrases are asked for.
pub(crate) struct Asker {
    /// `LARDER_KEY_PASSPHRASE_FILE`.
    pub(crate) file: Option<PathBuf>,
}

impl Passphrases for Asker {
    fn passphrase(&self, domain: &Domain, purpose: Purpose) -> io::Result<Zeroizing<String>> {
        if let Some(path) = &self.file {
            let said =
                |error: io::Error| io::Error::new(error.kind(), format!("can't read {}: {error}", path.display()));
            return first_line(File::open(path).map_err(said)?).map_err(said);
        }
        if !io::stdin().is_terminal() {
            return Err(io::Error::new(io::ErrorKind::NotConnected, "there is no terminal to ask at"));
        }
        let typed = ask(&format!("passphrase of the key of {domain}: "))?;
        if purpose == Purpose::Protect {
            if typed.is_empty() {
                return Err(io::Error::new(
                    io::ErrorKind::InvalidInput,
                    "it is empty; --no-passphrase makes a key without one",
                ));
            }
            if *ask("the same again: ")? != *typed {
                return Err(io::Error::new(io::ErrorKind::InvalidInput, "the two are not the same"));
            }
        }
        Ok(typed)
    }
}

/// Asks at the terminal that stdin is, whatever stdout and stderr are.
fn ask(question: &str) -> io::Result<Zeroizing<String>> {
    let name = termios::ttyname(io::stdin(), Vec::new())?;
    let mut terminal = OpenOptions::new().read(true).write(true).open(OsStr::from_bytes(name.as_bytes()))?;
    // First of all, because it throws away what was typed before.
    let hidden = Hidden::new(terminal.try_clone()?)?;
    terminal.write_all(question.as_bytes())?;
    let line = first_line(&terminal);
    drop(hidden);
    terminal.write_all(b"\n")?;
    line
}

/// Reads up to the first line break or the end.
fn first_line(from: impl Read) -> io::Result<Zeroizing<String>> {
    let mut line = Zeroizing::new(String::with_capacity(MAX as usize + 1));
    BufReader::with_capacity(1, from.take(MAX + 1)).read_line(&mut line)?;
    if line.len() as u64 > MAX {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "a passphrase is at most 1024 bytes"));
    }
    let length = line.trim_end_matches(['\r', '\n']).len();
    line.truncate(length);
    Ok(line)
}

/// A terminal that doesn't show what is typed, until this is dropped.
struct Hidden {
    terminal: File,
    before: Termios,
}

impl Hidden {
    fn new(terminal: File) -> io::Result<Self> {
        let before = termios::tcgetattr(&terminal)?;
        let mut quiet = before.clone();
        quiet.local_modes.remove(LocalModes::ECHO);
        termios::tcsetattr(&terminal, OptionalActions::Flush, &quiet)?;
        Ok(Self { terminal, before })
    }
}

impl Drop for Hidden {
    fn drop(&mut self) {
        // A terminal that is gone has nothing to show.
        _ = termios::tcsetattr(&self.terminal, OptionalActions::Flush, &self.before);
    }
}
