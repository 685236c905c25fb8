//! Instants at which a program is killed: spread evenly over how long it takes, which is measured again and again.

use std::io::Write as _;
use std::os::unix::process::ExitStatusExt as _;
use std::process::Child;
use std::thread::sleep;
use std::time::{Duration, Instant};

/// Of how many undisturbed runs the length is the median, and after how many kills the next one is measured.
const WINDOW: usize = 5;
const AGAIN: usize = 10;
const BARS: usize = 10;

/// The kills of one operation.
pub(super) struct Instants {
    what: &'static str,
    /// The newest undisturbed runs.
    lengths: Vec<Duration>,
    killed: [usize; BARS],
    late: [usize; BARS],
    count: usize,
}

/// What happened to a program.
pub(super) struct Killed {
    /// What it had written on stdout by then.
    pub(super) stdout: String,
    /// Into which part of its length the kill was aimed.
    pub(super) at: f64,
}

impl Instants {
    pub(super) fn new(what: &'static str) -> Self {
        Self { what, lengths: Vec::new(), killed: [0; BARS], late: [0; BARS], count: 0 }
    }

    /// How many undisturbed runs are due before the next kill.
    pub(super) fn due(&self) -> usize {
        match self.count {
            0 => WINDOW,
            count => usize::from(count.is_multiple_of(AGAIN)),
        }
    }

    /// Takes in how long an undisturbed run took.
    pub(super) fn measured(&mut self, length: Duration) {
        if self.lengths.len() == WINDOW {
            self.lengths.remove(0);
        }
        self.lengths.push(length);
    }

    fn length(&self) -> Duration {
        let mut sorted = self.lengths.clone();
        sorted.sort_unstable();
        sorted[sorted.len() / 2]
    }

    /// Starts a program and kills it (`-9`) at the next instant. The golden ratio's multiples leave no gap, however many
    /// there are.
    pub(super) fn kill(&mut self, start: impl FnOnce() -> Child, kill: impl FnOnce(&mut Child)) -> Killed {
        self.count += 1;
        let at = (self.count as f64 * 0.618_033_988_749_894_9).fract();
        let moment = Instant::now() + self.length().mul_f64(at);
        let mut child = start();
        sleep(moment.saturating_duration_since(Instant::now()));
        kill(&mut child);
        let output = child.wait_with_output().expect("its end");
        let bars = if output.status.signal() == Some(9) { &mut self.killed } else { &mut self.late };
        bars[(at * BARS as f64) as usize] += 1;
        Killed { stdout: String::from_utf8_lossy(&output.stdout).into_owned(), at }
    }

    /// Prints the histogram past the test harness, and fails where most kills came too late to show anything.
    pub(super) fn report(&self) {
        let killed: usize = self.killed.iter().sum();
        let mut text = format!(
            "KILLED {}: {killed} of {} before its end; by tenth of its length ({:?}): ",
            self.what,
            self.count,
            self.length()
        );
        for (killed, late) in self.killed.iter().zip(&self.late) {
            text += &if *late == 0 { format!("{killed} ") } else { format!("{killed}+{late} late ") };
        }
        // One write, so that tests beside this one don't get into the line.
        _ = std::io::stderr().write_all(format!("{}\n", text.trim_end()).as_bytes());
        assert!(2 * killed >= self.count, "most kills came after the end: the test tests nothing. {text}");
    }
}
