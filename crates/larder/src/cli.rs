//! The command line: what can be typed, and which file answers it.
//!
//! Help, completions and man pages all come from the definitions here and in `commands/`.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};

use crate::commands as c;
use crate::environment::Environment;
use crate::failure::{self, Failure};

/// A container-native package system: images made of shared, verified packages.
#[derive(Parser)]
#[command(name = "larder", version, about, max_term_width = 100, disable_help_subcommand = true)]
#[command(after_help = "\
Examples:
  larder build examples/web                 solve, fetch, verify and lock; make the image
  larder build examples/hello-c             make a package in a sandbox, and test it
  larder run --net host examples/web        build if needed, then start
  larder run debian.org/redis-server -- redis-server --version
  larder inspect example.com/web            what is in it, without opening it

An IMAGE is NAME[@VERSION|@blake3:DIGEST]. Exit codes: 0 done, 1 failed, 2 usage; `larder run`
gives the container's own, 125 when it can't be started, 126 or 127 when its command can't be run
or isn't there.")]
pub(crate) struct Cli {
    /// The store's folder [default: /var/lib/larder for root, $XDG_DATA_HOME/larder for others]
    #[arg(long, global = true, value_name = "DIR", help_heading = "Global options")]
    pub(crate) root: Option<PathBuf>,
    /// Read this configuration instead of the usual files
    #[arg(long, global = true, value_name = "FILE", help_heading = "Global options")]
    pub(crate) config: Option<PathBuf>,
    /// Print one JSON document on stdout instead of text
    #[arg(long, global = true, help_heading = "Global options")]
    pub(crate) json: bool,
    /// Say nothing but results and errors
    #[arg(long, short, global = true, help_heading = "Global options")]
    pub(crate) quiet: bool,
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What can be done. Each is defined in full only where it is asked for, with the words that stand here.
#[derive(Subcommand)]
#[command(defer = true)]
pub(crate) enum Command {
    /// Make an image or a package from a recipe
    Build(c::build::Args),
    /// Open a shell in the sandbox in which a package is built
    Shell(c::shell::Args),
    /// Run a command in a container of an image, a recipe or a package
    Run(Box<c::run::Args>),
    /// Build a recipe anew whenever it or one of its files changes
    Watch(c::watch::Args),
    /// List the images of this host
    Images(c::images::Args),
    /// Make a package without a build: of a folder, an OCI image or a .deb
    Package(c::package::Args),
    /// Run a Debian package's scripts in a sandbox, and keep what they leave
    Debian(c::debian::Args),
    /// List the packages of this host
    Packages(c::packages::Args),
    /// List the distributions of one's own on this host
    Distributions(c::distributions::Args),
    /// Show what an image or a distribution is and what is in it
    Inspect(c::inspect::Args),
    /// Say why a package is in an image
    Why(c::why::Args),
    /// List the images that hold a package
    Which(c::which::Args),
    /// List an image's files and whose they are
    Files(c::files::Args),
    /// Compare two images
    Diff(c::diff::Args),
    /// Move packages of a recipe or an image to newer versions, and nothing else
    Update(c::update::Args),
    /// List the records that an image's name has had
    History(c::history::Args),
    /// Go back to an image's earlier record
    Rollback(c::rollback::Args),
    /// Drop an image's name, or the records before its current one
    Remove(c::remove::Args),
    /// Remove what no image, container or lock needs
    Gc(c::gc::Args),
    /// Check the store
    Fsck(c::fsck::Args),
    /// Show what the store holds, what is shared and what an image costs alone
    Df(c::df::Args),
    /// Follow what was said of an image or package to what it was made from, and check it
    Verify(c::verify::Args),
    /// Show how an image or package came about
    Provenance(c::provenance::Args),
    /// Make, list, export and trust the keys that sign what is made
    Key(c::key::Args),
    /// Print a completion script for a shell
    Completions(c::completions::Args),
    /// Write the man pages
    #[command(hide = true)]
    Man(c::man::Args),
}

/// What every command is given.
pub(crate) struct Context {
    /// Everything that the environment says.
    pub(crate) environment: Environment,
    /// `--root`.
    pub(crate) root: Option<PathBuf>,
    /// `--config`.
    pub(crate) config: Option<PathBuf>,
    /// `--json`.
    pub(crate) json: bool,
    /// `--quiet`.
    pub(crate) quiet: bool,
}

/// Parses the command line, does what it says and gives the exit code.
pub(crate) fn main() -> ExitCode {
    let cli = Cli::parse();
    let context = Context {
        environment: Environment::read(),
        root: cli.root,
        config: cli.config,
        json: cli.json,
        quiet: cli.quiet,
    };
    match dispatch(&context, cli.command) {
        Ok(code) => code,
        Err(failure) => failure::report(&failure),
    }
}

fn dispatch(context: &Context, command: Command) -> Result<ExitCode, Failure> {
    match command {
        Command::Build(args) => c::build::run(context, &args),
        Command::Shell(args) => c::shell::run(context, &args),
        Command::Run(args) => c::run::run(context, &args),
        Command::Watch(args) => c::watch::run(context, &args),
        Command::Images(args) => c::images::run(context, &args),
        Command::Package(args) => c::package::run(context, &args),
        Command::Debian(args) => c::debian::run(context, &args),
        Command::Packages(args) => c::packages::run(context, &args),
        Command::Distributions(args) => c::distributions::run(context, &args),
        Command::Inspect(args) => c::inspect::run(context, &args),
        Command::Why(args) => c::why::run(context, &args),
        Command::Which(args) => c::which::run(context, &args),
        Command::Files(args) => c::files::run(context, &args),
        Command::Diff(args) => c::diff::run(context, &args),
        Command::Update(args) => c::update::run(context, &args),
        Command::History(args) => c::history::run(context, &args),
        Command::Rollback(args) => c::rollback::run(context, &args),
        Command::Remove(args) => c::remove::run(context, &args),
        Command::Gc(args) => c::gc::run(context, &args),
        Command::Fsck(args) => c::fsck::run(context, &args),
        Command::Df(args) => c::df::run(context, &args),
        Command::Verify(args) => c::verify::run(context, &args),
        Command::Provenance(args) => c::provenance::run(context, &args),
        Command::Key(args) => c::key::run(context, &args),
        Command::Completions(args) => c::completions::run(&args),
        Command::Man(args) => c::man::run(&args),
    }
}

/// Whether a command line can be understood, for one that is to be given to another process.
pub(crate) fn check(arguments: impl IntoIterator<Item = String>) -> Result<(), clap::Error> {
    Cli::try_parse_from(arguments).map(drop)
}

/// The whole definition, for completions and man pages.
pub(crate) fn definition() -> clap::Command {
    Cli::command()
}
