//! The model check: what the locks between processes promise, shown by trying the orders in which processes can meet.
//!
//! Threads of `shuttle` play the processes. Each has a [`Store`](crate::Store) of its own on one folder, and runs the code that programs
//! run: locks that are taken through different files exclude each other within one process too. At each point where processes can
//! meet (`store::step`) the scheduler says who goes on. Whoever waits for a lock is blocked until one is released, so a deadlock
//! is found as one; time passes only where somebody sleeps, so a collection's ten seconds are a thousand naps and no time at all.
//!
//! Each scenario is run in three ways, always the same ones:
//! - every order with at most one interruption of a process that could have gone on, and then with two, as far as the limits go
//!   (`bounded`; what is printed says whether that were all);
//! - at random;
//! - by priorities that change at a few random points (PCT).
//!
//! And each lock is taken away once (`weak`): the check must find that within the same effort. What it can't see: anything between
//! two points, which runs as one step; kills and losses of power, which other tests have; another kernel's `flock`.
//!
//! `LARDER_TEST_SCHEDULES=N` runs each scenario N times at random and N by priorities, and tries ten times as many orders with one
//! and with two interruptions, instead of the few hundred of every test run. What fails prints its schedule; `LARDER_TEST_SCHEDULE=<that>` with the test's name runs that alone, again.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use shuttle::scheduler::{
    PctScheduler, RandomScheduler, ReplayScheduler, Scheduler, UncontrolledNondeterminismCheckScheduler,
};
use shuttle::{Config, MaxSteps, Runner};

use bounded::{Bounded, SetUpFirst};
use step::Run;
use world::World;

mod bounded;
mod collect;
mod index;
mod refs;
pub(crate) mod step;
mod weak;
mod world;
mod write;

/// The first number of what is random.
const SEED: u64 = 0x6c61_7264_6572;
/// How many orders of each kind are tried in every test run.
const FEW: usize = 100;
/// Where the search through all orders with one interruption ends, and that with two.
const LIMITS: [usize; 2] = [750, 400];
/// How often a priority changes in a run by priorities.
const CHANGES: usize = 3;

/// A lock that one process doesn't take, though its code does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Weakness {
    pub(crate) process: &'static str,
    /// How the lock's path ends.
    pub(crate) lock: &'static str,
}

/// What happens in a model: prepares a store, lets processes meet and looks at what is left.
type Scenario = fn(&World);

/// Tries the orders in which the processes of a scenario can meet. What fails in any of them fails here.
fn check(scenario: Scenario) {
    let model = Model { scenario, weakness: None, runs: Arc::default() };
    if let Some(schedule) = std::env::var_os("LARDER_TEST_SCHEDULE") {
        model.run(ReplayScheduler::new_from_encoded(schedule.to_str().expect("a schedule")));
        return;
    }
    let complete = model.all(&effort());
    say(&format!("{} orders, none wrong{complete}", model.runs()));
}

/// Makes sure that a lock is missed where a process doesn't take it; returns what went wrong.
fn finds(scenario: Scenario, weakness: Weakness) -> String {
    let model = Model { scenario, weakness: Some(weakness), runs: Arc::default() };
    let done = catch_unwind(AssertUnwindSafe(|| model.all(&Effort { schedules: FEW, limits: LIMITS })));
    let runs = model.runs();
    let Err(reason) = done else { panic!("{runs} orders, and nobody missed {weakness:?}") };
    say(&format!("{} without {}: wrong in order {runs}", weakness.process, weakness.lock));
    let text = reason.downcast_ref::<String>().cloned();
    text.or_else(|| reason.downcast_ref::<&str>().map(|text| (*text).to_owned())).unwrap_or_default()
}

/// How much is tried.
struct Effort {
    schedules: usize,
    limits: [usize; 2],
}

fn effort() -> Effort {
    match std::env::var("LARDER_TEST_SCHEDULES") {
        Err(_) => Effort { schedules: FEW, limits: LIMITS },
        Ok(text) => {
            let schedules: usize = text.parse().expect("a number of schedules");
            Effort { schedules, limits: [schedules.saturating_mul(10); 2] }
        }
    }
}

/// Says what was done, past the test harness.
fn say(what: &str) {
    use std::io::Write;
    let thread = std::thread::current();
    let line = format!("MODEL {}: {what}\n", thread.name().unwrap_or_default().trim_start_matches("model::"));
    _ = std::io::stderr().write_all(line.as_bytes());
}

struct Model {
    scenario: Scenario,
    weakness: Option<Weakness>,
    runs: Arc<AtomicUsize>,
}

impl Model {
    /// Returns what can be said of it where all orders of a kind were tried.
    fn all(&self, effort: &Effort) -> &'static str {
        let is_all = |interruptions: usize| {
            let (before, limit) = (self.runs(), effort.limits[interruptions - 1]);
            self.run(SetUpFirst(Bounded::new(interruptions, limit)));
            self.runs() - before < limit
        };
        let complete = match (is_all(1), is_all(2)) {
            (_, true) => "; among them all with up to two interruptions",
            (true, false) => "; among them all with one interruption",
            (false, false) => "",
        };
        self.run(SetUpFirst(RandomScheduler::new_from_seed(SEED, effort.schedules)));
        self.run(SetUpFirst(PctScheduler::new_from_seed(SEED, CHANGES, effort.schedules)));
        complete
    }

    fn runs(&self) -> usize {
        self.runs.load(Ordering::Relaxed)
    }

    fn run(&self, scheduler: impl Scheduler + 'static) {
        // What a process does with several threads is one step here, and the fewer of them the faster. It may be set already.
        _ = rayon::ThreadPoolBuilder::new().num_threads(1).build_global();
        let mut config = Config::new();
        // SQLite and BLAKE3 want more than the little that is usual there.
        config.stack_size = 1 << 20;
        config.max_steps = MaxSteps::FailAfter(100_000);
        let (scenario, weakness, runs) = (self.scenario, self.weakness, Arc::clone(&self.runs));
        let run = move || {
            runs.fetch_add(1, Ordering::Relaxed);
            let world = World::new();
            Run::begin(&world.root, weakness);
            scenario(&world);
            drop(Run::end());
        };
        let done = catch_unwind(AssertUnwindSafe(|| Runner::new(scheduler, config).run(run)));
        if let Err(reason) = done {
            if let Some(run) = Run::end() {
                // The stacks of a failed run are never unwound, so nobody else does this.
                _ = std::fs::remove_dir_all(run.folder());
                if self.weakness.is_none() {
                    say(&format!("wrong; what was done, in this order:\n{run}"));
                }
            }
            std::panic::resume_unwind(reason);
        }
    }
}

/// The same choices lead the same way again, or no schedule could be replayed.
#[test]
fn an_order_can_be_repeated() {
    let model = Model { scenario: collect::beside_a_removal_and_a_build, weakness: None, runs: Arc::default() };
    model.run(UncontrolledNondeterminismCheckScheduler::new(RandomScheduler::new_from_seed(SEED, 20)));
    assert_eq!(model.runs(), 40);
}

/// Tries every order there is, of a scenario with few enough points.
fn check_all(scenario: Scenario) {
    let model = Model { scenario, weakness: None, runs: Arc::default() };
    model.run(SetUpFirst(Bounded::new(usize::MAX, usize::MAX)));
    say(&format!("{} orders, all there are, none wrong", model.runs()));
}
