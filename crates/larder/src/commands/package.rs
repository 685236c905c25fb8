//! `larder package`

use std::path::PathBuf;
use std::process::ExitCode;

use larder_lib::Name;
use larder_lib::import::{self, Imported, Made, Options, Owners, Privileges};
use serde_json::json;

use crate::cli::Context;
use crate::failure::{DONE, Failure};
use crate::json;
use crate::progress::Reporter;
use crate::ui::{self, BOLD, GREEN, RESET, YELLOW};

// Arguments of `larder package`.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  larder package from-dir build/root --name example.com/tool --version 1.0
  larder package from-oci image.tar --name example.com/web --version 1.0 --image
  larder package from-deb tool_1.0_amd64.deb --name example.com/tool

Nothing is built, and nobody vouches for what is taken in: it can't be named below debian.org. Times
are dropped. Set-id files and file capabilities are refused unless they are asked for; devices always are.")]
pub(crate) struct Args {
    #[command(subcommand)]
    from: From,
}

#[derive(clap::Subcommand)]
enum From {
    /// Make a package of the files of a folder
    #[command(after_help = "\
Examples:
  larder package from-dir build/root --name example.com/tool --version 1.0
  larder package from-dir root --name example.com/tool --version 1.0 --requires 'debian.org/libc6 >=2.36'")]
    #[command(name = "from-dir")]
    Dir {
        /// The folder that becomes the root of the package
        #[arg(value_name = "DIR")]
        folder: PathBuf,
        #[command(flatten)]
        options: Given,
    },
    /// Make a package, or an image, of an OCI image layout or of what `docker save` writes
    #[command(after_help = "\
Examples:
  larder package from-oci web.tar --name example.com/web --version 1.0
  larder package from-oci web.tar --name example.com/web --version 1.0 --image")]
    #[command(name = "from-oci")]
    Oci {
        /// The tar archive
        #[arg(value_name = "IMAGE.tar")]
        file: PathBuf,
        /// Make an image with its command, user, environment and working directory
        #[arg(long)]
        image: bool,
        #[command(flatten)]
        options: Given,
    },
    /// Make a package of a .deb that no archive vouches for
    #[command(after_help = "\
Examples:
  larder package from-deb tool_1.0_amd64.deb --name example.com/tool
  larder package from-deb ./tool.deb --name example.com/tool --license MIT --json")]
    #[command(name = "from-deb")]
    Deb {
        /// The file
        #[arg(value_name = "FILE.deb")]
        file: PathBuf,
        #[command(flatten)]
        options: Given,
    },
}

/// What is said of every package.
#[derive(clap::Args)]
struct Given {
    /// Its name, in a domain of your own: example.com/tool
    #[arg(long)]
    name: Name,
    /// Its version; a .deb has one of its own
    #[arg(long)]
    version: Option<String>,
    /// One line about it
    #[arg(long, value_name = "TEXT")]
    summary: Option<String>,
    /// Its licence, as an SPDX expression
    #[arg(long, value_name = "SPDX")]
    license: Option<String>,
    /// What must be there with it, such as 'debian.org/libc6 >=2.36'; may be repeated
    #[arg(long, value_name = "PACKAGE")]
    requires: Vec<String>,
    /// Its architecture, as Debian names it, or `all`
    #[arg(long, value_name = "ARCH")]
    arch: Option<String>,
    /// Take in set-id files and file capabilities
    #[arg(long)]
    allow_set_id: bool,
    /// Whose the files become: `name` as its own /etc/passwd says, or `root`
    #[arg(long, value_enum, default_value = "name", hide_possible_values = true)]
    owner: Owner,
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum Owner {
    Name,
    Root,
}

impl Given {
    fn options(&self) -> Options {
        Options {
            name: self.name.clone(),
            version: self.version.clone(),
            architecture: self.arch.clone(),
            summary: self.summary.clone(),
            licence: self.license.clone(),
            requires: self.requires.clone(),
            privileges: if self.allow_set_id { Privileges::Kept } else { Privileges::Refused },
            owners: match self.owner {
                Owner::Name => Owners::ByName,
                Owner::Root => Owners::Root,
            },
        }
    }
}

pub(crate) fn run(context: &Context, args: &Args) -> Result<ExitCode, Failure> {
    let host = context.host()?;
    let imported = match &args.from {
        From::Dir { folder, options } => import::from_dir(&host, folder, &options.options())?,
        From::Oci { file, image, options } => {
            let made = if *image { Made::Image } else { Made::Package };
            import::from_oci(&host, file, made, &options.options(), &Reporter::new(context.quiet))?
        }
        From::Deb { file, options } => import::from_deb(&host, file, &options.options())?,
    };
    if context.json {
        json::print("larder/package/v1", document(&imported))?;
        return DONE;
    }
    print(&imported, context.quiet)?;
    DONE
}

fn print(imported: &Imported, quiet: bool) -> Result<(), Failure> {
    if quiet {
        return Ok(ui::line(imported.digest)?);
    }
    for what in &imported.left_out {
        ui::line(format_args!("{YELLOW}left out:{RESET} {}", plain(what)))?;
    }
    ui::line(format_args!("{}, {}", ui::count(imported.files, "file"), ui::bytes(imported.bytes)))?;
    let kind = imported.kind.as_str();
    let state = if imported.changed { "made" } else { "unchanged" };
    ui::line(format_args!("{GREEN}{state}{RESET} {kind} {BOLD}{}@{}{RESET}", imported.name, imported.version))?;
    Ok(ui::line(imported.digest)?)
}

/// Somebody else's words, which must not speak to the terminal.
fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

fn document(imported: &Imported) -> serde_json::Value {
    json!({
        "name": imported.name.as_str(),
        "version": imported.version,
        "architecture": imported.architecture,
        "digest": imported.digest.to_string(),
        "kind": imported.kind.as_str(),
        "files": imported.files,
        "bytes": imported.bytes,
        "changed": imported.changed,
        "left_out": imported.left_out,
    })
}
