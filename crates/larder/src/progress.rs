//! Progress of long work: bars on a terminal, plain lines elsewhere, nothing with `--quiet`.

use std::collections::HashMap;
use std::io::IsTerminal;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use indicatif::{BinaryBytes, MultiProgress, ProgressBar, ProgressState, ProgressStyle};
use larder_lib::progress::{Progress, TaskId};

/// Reports progress on stderr.
pub(crate) struct Reporter {
    mode: Mode,
    next: AtomicU64,
}

enum Mode {
    Quiet,
    Lines,
    Bars { all: MultiProgress, bars: Mutex<HashMap<TaskId, ProgressBar>> },
}

impl Reporter {
    /// Chooses by what stderr is.
    pub(crate) fn new(quiet: bool) -> Self {
        let mode = if quiet {
            Mode::Quiet
        } else if std::io::stderr().is_terminal() {
            Mode::Bars { all: MultiProgress::new(), bars: Mutex::default() }
        } else {
            Mode::Lines
        };
        Self { mode, next: AtomicU64::new(1) }
    }

    fn say(text: &str) {
        use std::io::Write;
        // A closed stderr must not stop the work.
        let _ = writeln!(anstream::stderr().lock(), "{text}");
    }
}

impl Progress for Reporter {
    fn start(&self, what: &str, total: Option<u64>) -> TaskId {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        match &self.mode {
            Mode::Quiet => {}
            Mode::Lines => Self::say(what),
            Mode::Bars { all, bars } => {
                let (bar, style) = match total {
                    Some(total) => {
                        (ProgressBar::new(total), "{msg:44!} {bar:20} {bytes:>10} of {total_bytes:<10} {rate}")
                    }
                    None => (ProgressBar::new_spinner(), "{msg} {spinner}"),
                };
                let bar = all.add(bar);
                if let Ok(style) = ProgressStyle::with_template(style) {
                    bar.set_style(style.progress_chars("━━╌").with_key("rate", rate));
                }
                bar.set_message(what.to_owned());
                if total.is_none() {
                    bar.enable_steady_tick(Duration::from_millis(100));
                }
                lock(bars).insert(id, bar);
            }
        }
        id
    }

    fn advance(&self, task: TaskId, bytes: u64) {
        if let Mode::Bars { bars, .. } = &self.mode
            && let Some(bar) = lock(bars).get(&task)
        {
            bar.inc(bytes);
        }
    }

    fn finish(&self, task: TaskId) {
        if let Mode::Bars { bars, .. } = &self.mode
            && let Some(bar) = lock(bars).remove(&task)
        {
            bar.finish_and_clear();
        }
    }

    fn note(&self, text: &str) {
        match &self.mode {
            Mode::Quiet => {}
            Mode::Lines => Self::say(&format!("note: {text}")),
            // Without a terminal to draw on there is nowhere to say it.
            Mode::Bars { all, .. } => drop(all.println(format!("note: {text}"))),
        }
    }
}

/// Bytes a second since the bar began: a moving average would be far below them for the first quarter of a minute.
fn rate(state: &ProgressState, out: &mut dyn std::fmt::Write) {
    let seconds = state.elapsed().as_secs_f64();
    if seconds > 0.0 {
        // A bar that can't be drawn is no reason to stop.
        let _ = write!(out, "{}/s", BinaryBytes((state.pos() as f64 / seconds) as u64));
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}
