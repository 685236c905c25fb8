//! `larder completions`

use std::process::ExitCode;

use clap_complete::Shell;

use crate::failure::{DONE, Failure};

/// Arguments of `larder completions`.
#[derive(clap::Args)]
#[command(after_help = "Example:\n  larder completions bash > /etc/bash_completion.d/larder")]
pub(crate) struct Args {
    /// The shell
    shell: Shell,
}

pub(crate) fn run(args: &Args) -> Result<ExitCode, Failure> {
    clap_complete::generate(args.shell, &mut crate::cli::definition(), "larder", &mut std::io::stdout());
    DONE
}
