//! `larder man`

use std::path::PathBuf;
use std::process::ExitCode;

use crate::failure::{DONE, Failure};

// Arguments of `larder man`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The folder to write larder.1, larder-build.1 … to
    #[arg(default_value = ".")]
    folder: PathBuf,
}

pub(crate) fn run(args: &Args) -> Result<ExitCode, Failure> {
    let failed = |error| Failure::plain(format!("can't write man pages to {}: {error}", args.folder.display()));
    std::fs::create_dir_all(&args.folder).map_err(failed)?;
    clap_mangen::generate_to(crate::cli::definition(), &args.folder).map_err(failed)?;
    DONE
}
