//! `larder update`

use std::process::ExitCode;

use larder_lib::build::{self, BuildOptions};
use larder_lib::package::{self, PackageOptions};
use larder_lib::recipe::Document;
use larder_lib::run::Target;
use larder_lib::update;

use crate::cli::Context;
use crate::commands::build::{new_asks, print, report_json, test};
use crate::failure::{DONE, Failure};
use crate::json;
use crate::progress::Reporter;

// Arguments of `larder update`.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  larder update examples/web openssl      openssl and what constraints force, nothing else
  larder update examples/web              everything
  larder update examples/hello-c gcc      a package of the sandbox, and build with it
  larder update example.com/web openssl   the image alone: a new record, no recipe needed")]
pub(crate) struct Args {
    /// A folder with a recipe, or an image
    target: String,
    /// The packages to move to newer versions; all when none is named
    packages: Vec<String>,
    /// Accept that the image begins to ask for more of the host
    #[arg(long)]
    accept_asks: bool,
    /// Leave out the recipe's test
    #[arg(long)]
    no_test: bool,
    /// List every package with what became of its scripts
    #[arg(long, short)]
    verbose: bool,
}

pub(crate) fn run(context: &Context, args: &Args) -> Result<ExitCode, Failure> {
    let host = context.host()?;
    let progress = Reporter::new(context.quiet);
    let report = match Target::parse(&host, &args.target)? {
        Target::Recipe(path) => {
            if let Document::Package(recipe) = Document::load(&path).map_err(larder_lib::Error::from)? {
                let options = PackageOptions { update: update::named(&args.packages), ..PackageOptions::default() };
                let report = package::build(&host, &recipe, &options, &progress)?;
                return super::build::package::tell(context, &report, args.verbose);
            }
            let options = BuildOptions {
                update: update::named(&args.packages),
                new_asks: new_asks(args.accept_asks),
                test: test(args.no_test),
                ..BuildOptions::default()
            };
            build::build(&host, &path, &options, &progress)?
        }
        Target::Image(reference) => {
            update::update(&host, &reference, &args.packages, new_asks(args.accept_asks), &progress)?
        }
    };
    if context.json {
        json::print("larder/build/v1", report_json(&report))?;
    } else {
        print(&report, args.verbose, context.quiet)?;
    }
    DONE
}
