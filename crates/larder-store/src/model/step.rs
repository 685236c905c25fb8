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
    held: Vec<(usize, PathBuf)>,
    /// Those that wait for a lock, whichever it is.
    waiting: Vec<mpsc::Sender<()>>,
}

impl Run {
    pub(super) fn begin(root: &Path, weakness: Option<Weakness>) {
        let root = root.to_owned();
        let (watched, trace, held, waiting) = Default::default();
        RUN.set(Some(Self { root, weakness, names: vec![""], watched, trace, held, waiting }));
    }

    pub(super) fn end() -> Option<Self> {
        RUN.take()
    }

    /// The folder in which the store is.
    pub(super) fn folder(&self) -> &Path {
        self.root.parent().unwrap_or(&self.root)
    }

    /// Names the next process.
    pub(super) fn name(name: &'static str) {
        with(|run| run.names.push(name));
    }

    /// What was done so far: by whom, what, and with which path.
    pub(super) fn trace() -> Vec<(&'static str, &'static str, PathBuf)> {
        let named = |run: &mut Self| {
            let named =
                |(process, what, path): &(usize, &'static str, PathBuf)| (run.names[*process], *what, path.clone());
            run.trace.iter().map(named).collect()
        };
        with(named).unwrap_or_default()
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
    if let Some(process) = process() {
        check_order(process, path, hold);
    }
    step(want(hold), path);
    if is_weak(path) { Ok(()) } else { program::try_lock(file, path, hold) }
}

pub(crate) fn sleep(time: Duration) {
    match process() {
        None => program::sleep(time),
        Some(_) => shuttle::thread::yield_now(),
    }
}

/// Stands for a lock that is held, and is dropped when it has been released.
#[derive(Debug)]
pub(crate) struct Held {
    by: Option<usize>,
    path: PathBuf,
}

impl Held {
    pub(crate) fn new(path: &Path) -> Self {
        let held = Self { by: process(), path: path.to_owned() };
        with(|run| run.held.extend(held.by.map(|by| (by, held.path.clone()))));
        held
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let Some(by) = self.by.filter(|_| process().is_some()) else { return };
        let released = |run: &mut Run| {
            run.trace.push((by, "release", self.path.clone()));
            let at = run.held.iter().position(|held| *held == (by, self.path.clone()));
            at.map(|at| run.held.remove(at));
            std::mem::take(&mut run.waiting)
        };
        for waiting in with(released).unwrap_or_default() {
            // It may have ended, where a run failed.
            _ = waiting.send(());
        }
    }
}

/// Where a lock stands in the order of `store::lock`; 0 for one that it doesn't know.
fn rank(path: &Path) -> u8 {
    match path.file_name().and_then(|name| name.to_str()) {
        Some("gc.lock") => 1,
        Some("mend.lock") => 3,
        Some("index.lock") => 4,
        _ if path.to_string_lossy().contains("/refs/") => 2,
        _ => 0,
    }
}

/// Whoever holds a lock takes only those below it; and `gc.lock` as often as it likes, shared.
fn check_order(process: usize, path: &Path, hold: Hold) {
    let above = |run: &mut Run| {
        let above = |(by, held): &&(usize, PathBuf)| {
            let is_again = rank(held) == 1 && rank(path) == 1 && hold == Hold::Shared;
            *by == process && rank(path) > 0 && rank(held) >= rank(path) && !is_again
        };
        run.held.iter().find(above).map(|(_, held)| held.clone())
    };
    let above = with(above).flatten();
    assert!(above.is_none(), "{} is taken while {above:?} is held", path.display());
}
