//! What `store::step` is in tests: a point at which the scheduler says who goes on, within a model; the system call alone elsewhere.

use std::cell::RefCell;
use std::fmt;
use std::fs::{File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use shuttle::current::try_get_current_task;
use shuttle::sync::atomic::{AtomicBool, Ordering};
use shuttle::sync::mpsc;

use super::Weakness;
use crate::store::Hold;
use crate::store::step::program;

thread_local! {
    /// The run of this thread of the operating system, which is that of all threads of the run. Other threads, such as those that
    /// a process hashes with, have none: what they do is a part of the step that started them.
    static RUN: RefCell<Option<Run>> = const { RefCell::new(None) };
}

/// One run of a scenario.
pub(super) struct Run {
    root: PathBuf,
    weakness: Option<Weakness>,
    /// By the numbers that the scheduler gave them; the first sets up and is nobody.
    names: Vec<&'static str>,
    /// Only these paths are points, where any are given: they contain one of these.
    watched: &'static [&'static str],
    trace: Vec<(usize, &'static str, PathBuf)>,
    /// Those that wait for a lock, whichever it is.
    waiting: Vec<mpsc::Sender<()>>,
}

impl Run {
    pub(super) fn begin(root: PathBuf, weakness: Option<Weakness>) {
        let run = Self { root, weakness, names: vec![""], watched: &[], trace: Vec::new(), waiting: Vec::new() };
        RUN.set(Some(run));
    }

    pub(super) fn end() -> Option<Self> {
        RUN.take()
    }

    /// Names the next process.
    pub(super) fn name(name: &'static str) {
        with(|run| run.names.push(name));
    }

    pub(super) fn watch(only: &'static [&'static str]) {
        with(|run| run.watched = only);
    }
}

impl fmt::Display for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (process, what, path) in &self.trace {
            let path = path.strip_prefix(&self.root).unwrap_or(path).display();
            writeln!(f, "{:>10}: {what} {path}", self.names.get(*process).unwrap_or(&"?"))?;
        }
        Ok(())
    }
}

fn with<T>(what: impl FnOnce(&mut Run) -> T) -> Option<T> {
    RUN.with_borrow_mut(|run| run.as_mut().map(what))
}

/// Which process of a run this is; none while the scenario sets up or looks at the end, and none outside of a run.
fn process() -> Option<usize> {
    let is_run = RUN.with_borrow(|run| run.is_some());
    let task = if is_run && !std::thread::panicking() { try_get_current_task() } else { None };
    task.map(usize::from).filter(|task| *task > 0)
}

pub(crate) fn step(what: &'static str, path: &Path) {
    let Some(process) = process() else { return };
    let is_point = with(|run| {
        let is_point = run.watched.is_empty() || run.watched.iter().any(|part| path.to_string_lossy().contains(part));
        if is_point {
            run.trace.push((process, what, path.to_owned()));
        }
        is_point
    });
    if is_point == Some(true) {
        // Any operation of the model's own is one.
        AtomicBool::new(false).load(Ordering::SeqCst);
    }
}

fn is_weak(path: &Path) -> bool {
    let Some(process) = process() else { return false };
    with(|run| {
        let is_it = |weakness: &Weakness| {
            run.names.get(process) == Some(&weakness.process) && path.to_string_lossy().ends_with(weakness.lock)
        };
        run.weakness.as_ref().is_some_and(is_it)
    }) == Some(true)
}

fn want(hold: Hold) -> &'static str {
    match hold {
        Hold::Shared => "lock shared",
        Hold::Exclusive => "lock",
    }
}

pub(crate) fn lock(file: &File, path: &Path, hold: Hold) -> io::Result<()> {
    if process().is_none() {
        return program::lock(file, path, hold);
    }
    loop {
        match try_lock(file, path, hold) {
            Ok(()) => return Ok(()),
            Err(TryLockError::Error(error)) => return Err(error),
            Err(TryLockError::WouldBlock) => {
                let (free, until_free) = mpsc::channel();
                with(|run| run.waiting.push(free));
                until_free.recv().expect("whoever releases a lock says so");
            }
        }
    }
}

pub(crate) fn try_lock(file: &File, path: &Path, hold: Hold) -> Result<(), TryLockError> {
    step(want(hold), path);
    if is_weak(path) { Ok(()) } else { program::try_lock(file, path, hold) }
}

pub(crate) fn sleep(time: Duration) {
    match process() {
        None => program::sleep(time),
        Some(_) => shuttle::thread::yield_now(),
    }
}

/// Is dropped when a lock has been released.
#[derive(Debug)]
pub(crate) struct Freed;

impl Drop for Freed {
    fn drop(&mut self) {
        if process().is_some() {
            for waiting in with(|run| std::mem::take(&mut run.waiting)).unwrap_or_default() {
                // It may have ended, where a run failed.
                _ = waiting.send(());
            }
        }
    }
}
