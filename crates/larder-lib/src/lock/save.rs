//! Writing a lock beside its recipe: whole or not at all, and so that it lasts.
//!
//! The text is first written to `larder.lock.<process>.new`, which the writer holds a lock on. One that nobody holds is a
//! killed process's: the next writer removes it, or it would become part of an image whose files are that folder.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;

/// How often the file is written again because another writer took it for a killed process's.
const ATTEMPTS: usize = 5;
const SUFFIX: &str = ".new";

/// Replaces the file.
pub(super) fn replace(file: &Path, text: &str) -> io::Result<()> {
    remove_abandoned(file);
    let temporary = temporary(file);
    for _ in 1..ATTEMPTS {
        match write(file, &temporary, text) {
            Err(error) if error.kind() == io::ErrorKind::NotFound && folder(file).is_dir() => {}
            written => return written,
        }
    }
    write(file, &temporary, text)
}

fn write(file: &Path, temporary: &Path, text: &str) -> io::Result<()> {
    // The folder may be another user's, who may have put a link there: none is followed.
    _ = fs::remove_file(temporary);
    let written = File::create_new(temporary).and_then(|mut new| {
        new.lock()?;
        new.write_all(text.as_bytes())?;
        new.sync_all()?;
        fs::rename(temporary, file)
    });
    if written.is_err() {
        _ = fs::remove_file(temporary);
    }
    written?;
    // Only then does the new name outlive a loss of power.
    File::open(folder(file))?.sync_all()
}

fn folder(file: &Path) -> &Path {
    file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

fn temporary(file: &Path) -> PathBuf {
    let mut name = file.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}{SUFFIX}", std::process::id()));
    file.with_file_name(name)
}

/// Removes what killed writers of this file have left. It is in nobody's way, so no error is worth telling.
fn remove_abandoned(file: &Path) {
    let Some(name) = file.file_name().and_then(|name| name.to_str()) else { return };
    for entry in fs::read_dir(folder(file)).into_iter().flatten().flatten() {
        let found = entry.file_name();
        let number = found.to_str().and_then(|found| found.strip_prefix(name)?.strip_prefix('.')?.strip_suffix(SUFFIX));
        if number.is_some_and(|number| number.bytes().all(|byte| byte.is_ascii_digit())) && is_free(&entry.path()) {
            _ = fs::remove_file(entry.path());
        }
    }
}

/// Whether it is a file that nobody is writing.
fn is_free(path: &Path) -> bool {
    let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits().cast_signed();
    let opened = OpenOptions::new().read(true).custom_flags(flags).open(path);
    opened.is_ok_and(|file| file.metadata().is_ok_and(|metadata| metadata.is_file()) && file.try_lock().is_ok())
}
