//! Containers, started for real.
//!
//! This binary is its own harness because it has to be the launcher and the supervisor too.

use std::process::ExitCode;

#[path = "launch/command.rs"]
mod command;

fn main() -> ExitCode {
    larder_runtime::launch::entry();
    let mut arguments = std::env::args().skip(1);
    if arguments.next().as_deref() == Some(command::WORD) {
        return command::main(arguments);
    }
    ExitCode::SUCCESS
}
