//! The `larder` command: hands over to [`cli`], and to a container's own processes when they are executed.

#![forbid(unsafe_code)]

mod cli;
mod commands;
mod environment;
mod failure;
mod host;
mod json;
mod passphrase;
mod progress;
mod ui;

use std::process::ExitCode;

fn main() -> ExitCode {
    larder_lib::run::supervise();
    cli::main()
}
