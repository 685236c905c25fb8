//! `larder files`

use std::process::ExitCode;

use larder_lib::Reference;
use larder_lib::files::{self, FileKind};
use larder_lib::progress::Silent;
use serde_json::json;

use crate::cli::Context;
use crate::failure::{DONE, Failure};
use crate::{json, ui};

// Arguments of `larder files`.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  larder files example.com/web                  every path of the root
  larder files example.com/web /etc/nginx       what is below a folder, and whose it is
  larder files example.com/hello                what a package has")]
pub(crate) struct Args {
    #[arg(help = "NAME[@VERSION|@blake3:DIGEST]")]
    image: Reference,
    /// Only this path and what is below it
    path: Option<String>,
}

pub(crate) fn run(context: &Context, args: &Args) -> Result<ExitCode, Failure> {
    let host = context.host()?;
    let files = files::files(&host, &args.image, args.path.as_deref(), &Silent)?;
    if context.json {
        let items = files.iter().map(|file| {
            let (kind, size, target) = match &file.kind {
                FileKind::Directory => ("directory", None, None),
                FileKind::File { size, .. } => ("file", Some(*size), None),
                FileKind::Symlink { target } => ("symlink", None, Some(String::from_utf8_lossy(target))),
            };
            json!({
                "path": format!("/{}", file.path), "kind": kind, "mode": format!("{:04o}", file.mode),
                "owner": file.owner, "group": file.group, "size": size, "target": target, "of": file.of,
                "digest": match &file.kind { FileKind::File { digest, .. } => Some(digest.to_string()), _ => None },
            })
        });
        json::print("larder/files/v1", items.collect())?;
        return DONE;
    }
    for file in &files {
        let (letter, size, target) = match &file.kind {
            FileKind::Directory => ('d', 0, String::new()),
            FileKind::File { size, .. } => ('-', *size, String::new()),
            FileKind::Symlink { target } => ('l', 0, format!(" -> {}", String::from_utf8_lossy(target))),
        };
        ui::line(format_args!(
            "{letter}{:04o} {:>17} {:>10} /{}{target}  {}({}){}",
            file.mode,
            format!("{}:{}", file.owner, file.group),
            if letter == '-' { size.to_string() } else { "-".to_owned() },
            file.path,
            ui::FAINT,
            file.of,
            ui::RESET,
        ))?;
    }
    DONE
}
