//! All orders with few interruptions.
//!
//! Of two processes with a hundred points each there are more orders than can ever be tried; but what goes wrong nearly always does so
//! with one or two interruptions at the wrong point (Musuvathi and Qadeer, "Iterative Context Bounding for Systematic Testing of
//! Multithreaded Programs", PLDI 2007). Whose turn it is when a process ends, waits or sleeps is free, and all choices are tried.

use shuttle::scheduler::{Schedule, Scheduler, Task, TaskId};

/// Lets the first thread, which sets up and waits for the end, go on whenever it can: whose turn it is meanwhile matters to nobody.
#[derive(Debug)]
pub(super) struct SetUpFirst<S>(pub(super) S);

impl<S: Scheduler> Scheduler for SetUpFirst<S> {
    fn new_execution(&mut self) -> Option<Schedule> {
        self.0.new_execution()
    }

    fn next_task(&mut self, runnable: &[&Task], current: Option<TaskId>, is_yielding: bool) -> Option<TaskId> {
        match runnable.iter().map(|task| task.id()).find(|task| usize::from(*task) == 0) {
            Some(first) => Some(first),
            None => self.0.next_task(runnable, current, is_yielding),
        }
    }

    fn next_u64(&mut self) -> u64 {
        self.0.next_u64()
    }
}

/// Tries all orders with so many interruptions, depth first.
#[derive(Debug)]
pub(super) struct Bounded {
    interruptions: usize,
    limit: usize,
    runs: usize,
    /// The choices of this run so far, and those that the next one begins with.
    choices: Vec<Choice>,
    at: usize,
    interrupted: usize,
}

#[derive(Debug)]
struct Choice {
    of: Vec<TaskId>,
    taken: usize,
    /// Whether all but the first interrupt somebody.
    interrupts: bool,
}

impl Bounded {
    pub(super) fn new(interruptions: usize, limit: usize) -> Self {
        Self { interruptions, limit, runs: 0, choices: Vec::new(), at: 0, interrupted: 0 }
    }

    fn choice(&self, runnable: &[&Task], current: Option<TaskId>, is_yielding: bool) -> Choice {
        let ids = || runnable.iter().map(|task| task.id());
        let goes_on = current.filter(|current| ids().any(|id| id == *current));
        let others = ids().filter(|id| Some(*id) != current);
        let (of, interrupts): (Vec<_>, _) = match goes_on {
            None => (ids().collect(), false),
            Some(_) if is_yielding && runnable.len() > 1 => (others.collect(), false),
            Some(current) if self.interrupted == self.interruptions => (vec![current], false),
            Some(current) => (std::iter::once(current).chain(others).collect(), true),
        };
        Choice { of, taken: 0, interrupts }
    }
}

impl Scheduler for Bounded {
    fn new_execution(&mut self) -> Option<Schedule> {
        if self.runs > 0 {
            while self.choices.last().is_some_and(|choice| choice.taken + 1 == choice.of.len()) {
                self.choices.pop();
            }
            self.choices.last_mut()?.taken += 1;
        }
        if self.runs == self.limit {
            return None;
        }
        self.runs += 1;
        (self.at, self.interrupted) = (0, 0);
        Some(Schedule::new(0))
    }

    fn next_task(&mut self, runnable: &[&Task], current: Option<TaskId>, is_yielding: bool) -> Option<TaskId> {
        if self.at == self.choices.len() {
            self.choices.push(self.choice(runnable, current, is_yielding));
        }
        let choice = &self.choices[self.at];
        self.at += 1;
        self.interrupted += usize::from(choice.interrupts && choice.taken > 0);
        let task = choice.of[choice.taken];
        assert!(runnable.iter().any(|runnable| runnable.id() == task), "the same order took another way");
        Some(task)
    }

    fn next_u64(&mut self) -> u64 {
        0
    }
}
