//! `larder completions`

use std::io::Write;
use std::process::ExitCode;

use clap_complete::Shell;

use crate::failure::{DONE, Failure};

// Arguments of `larder completions`.
#[derive(clap::Args)]
#[command(after_help = "Example:\n  larder completions bash > /etc/bash_completion.d/larder")]
pub(crate) struct Args {
    /// The shell
    shell: Shell,
}

pub(crate) fn run(args: &Args) -> Result<ExitCode, Failure> {
    // Made whole first: the generator panics where its writer fails, and a reader may close the pipe.
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut crate::cli::definition(), "larder", &mut script);
    std::io::stdout().write_all(&script)?;
    DONE
}
