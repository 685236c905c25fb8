//! Containers, started for real: as root, as an ordinary user with a range of ids, and as one without.
//!
//! This binary is its own harness because it has to be the launcher and the supervisor too. Arguments are parts of test
//! names; a test that can't run here says so by name.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a test harness that reports by itself"
)]

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;

#[path = "launch/attacks.rs"]
mod attacks;
#[path = "launch/command.rs"]
mod command;
#[path = "launch/crash.rs"]
mod crash;
#[path = "launch/isolation.rs"]
mod isolation;
#[path = "launch/limits.rs"]
mod limits;
#[path = "launch/other_runtimes.rs"]
mod other_runtimes;
#[path = "launch/place.rs"]
mod place;
#[path = "launch/process.rs"]
mod process;
#[path = "launch/terminal.rs"]
mod terminal;
#[path = "launch/ways.rs"]
mod ways;

use place::{Place, User};

/// A test and its name.
type Test = (&'static str, fn(&Place));

fn main() -> ExitCode {
    larder_runtime::launch::entry();
    let mut arguments = std::env::args().skip(1);
    if arguments.next().as_deref() == Some(command::WORD) {
        return command::main(arguments);
    }
    let filters: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    let tests: Vec<Test> = [
        process::TESTS,
        isolation::TESTS,
        attacks::TESTS,
        limits::TESTS,
        other_runtimes::TESTS,
        terminal::TESTS,
        crash::TESTS,
        ways::TESTS,
    ]
    .concat();
    let (mut passed, mut failed) = (0, Vec::new());
    for user in User::ALL {
        let place = match Place::new(user) {
            Ok(place) => place,
            Err(reason) => {
                println!("SKIPPED the launcher's tests as {user:?}: {reason}");
                // Like a test that says so and returns.
                passed += 1;
                continue;
            }
        };
        let single = if user == User::Single { process::SINGLE } else { &[] };
        for (name, test) in tests.iter().chain(single) {
            let name = format!("{user:?}::{name}");
            if !filters.is_empty() && !filters.iter().any(|filter| name.contains(filter.as_str())) {
                continue;
            }
            match catch_unwind(AssertUnwindSafe(|| test(&place))) {
                Ok(()) => passed += 1,
                Err(_) => failed.push(name.clone()),
            }
            println!("test {name} ... {}", if failed.last() == Some(&name) { "FAILED" } else { "ok" });
        }
    }
    // In the words of Rust's own harness, for whoever adds up.
    let word = if failed.is_empty() { "ok" } else { "FAILED" };
    println!("\ntest result: {word}. {passed} passed; {} failed; 0 ignored", failed.len());
    if failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
