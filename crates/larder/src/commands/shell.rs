//! `larder shell`

use std::io::IsTerminal;
use std::path::PathBuf;
use std::process::ExitCode;

use larder_lib::package::{self, ShellOptions};

use crate::cli::Context;
use crate::failure::Failure;
use crate::progress::Reporter;
use crate::ui;

/// Exit code of a sandbox that could not be opened, as `larder run` has it.
const NOT_STARTED: u8 = 125;

// Arguments of `larder shell`.
#[derive(clap::Args)]
#[command(after_help = "\
The sources are in /build, a copy that goes with the shell; $OUT is the folder that a build fills.

Examples:
  larder shell examples/hello-c             look around, try what `run` in the recipe does
  larder shell examples/hello-c -- make     run one command in it")]
pub(crate) struct Args {
    /// The folder with the recipe of a package, or the recipe itself
    #[arg(default_value = ".", value_name = "DIR")]
    recipe: PathBuf,
    /// The command, after two dashes; a shell when absent
    #[arg(last = true)]
    command: Vec<String>,
}

pub(crate) fn run(context: &Context, args: &Args) -> Result<ExitCode, Failure> {
    let failed = |failure: Failure| failure.with_code(NOT_STARTED);
    let recipe = package::load(&args.recipe).map_err(|error| failed(error.into()))?;
    let host = context.host().map_err(failed)?;
    let terminal = std::io::stdin().is_terminal() && std::io::stdout().is_terminal();
    let term = context.environment.term.iter().filter(|_| terminal);
    let env = term.map(|term| ("TERM".to_owned(), term.clone())).collect();
    let options = ShellOptions { command: args.command.clone(), env, terminal };
    if terminal && !context.quiet {
        ui::note(format!("the sandbox of {}; a build would do: {}", recipe.name, recipe.build.run.trim()));
    }
    match package::shell(&host, &recipe, &options, &Reporter::new(context.quiet)) {
        Ok(exit) => Ok(ExitCode::from(exit.code())),
        Err(error) => {
            let code = error.exit_code().unwrap_or(NOT_STARTED);
            Err(Failure::from(error).with_code(code))
        }
    }
}
