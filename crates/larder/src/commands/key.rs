//! `larder key`

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Subcommand;
use larder_lib::Error;
use larder_lib::keys::{Domain, Keys, Listed, Protection};
use serde_json::json;

use crate::cli::Context;
use crate::failure::{DONE, Failure};
use crate::{json, ui};

// Arguments of `larder key`.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  larder key new example.com                    asks for a passphrase
  larder key new --no-passphrase example.com    for machines that build without anybody there
  larder key export example.com > example.pem   the public half, for those who are to trust it
  larder key trust example.com example.pem      signatures of this key count for example.com/…
  larder key list

What is built under a domain's name is signed by its key. LARDER_KEY_PASSPHRASE_FILE names a file
with the passphrase, where there is no terminal to ask at.")]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Make a domain's key, and trust it
    New {
        /// The domain whose names it signs: example.com
        domain: Domain,
        /// Keep it readable for whoever can read the file
        #[arg(long)]
        no_passphrase: bool,
    },
    /// List the keys that sign here and those that are trusted
    List,
    /// Print a domain's public key as PEM
    Export {
        /// The domain
        domain: Domain,
    },
    /// Trust a public key for a domain's names, and for no others
    Trust {
        /// The domain
        domain: Domain,
        /// A file with the public key as PEM
        file: PathBuf,
    },
    /// Trust a domain's keys no longer, and remove its secret key
    Forget {
        /// The domain
        domain: Domain,
        /// Only the key whose id begins like this
        #[arg(long, value_name = "ID")]
        key: Option<String>,
    },
}

pub(crate) fn run(context: &Context, args: &Args) -> Result<ExitCode, Failure> {
    let keys = context.keys();
    match &args.command {
        Command::New { domain, no_passphrase } => new(context, &keys, domain, *no_passphrase),
        Command::List => list(context, &keys),
        Command::Export { domain } => export(context, &keys, domain),
        Command::Trust { domain, file } => trust(context, &keys, domain, file),
        Command::Forget { domain, key } => forget(context, &keys, domain, key.as_deref()),
    }
}

fn new(context: &Context, keys: &Keys, domain: &Domain, no_passphrase: bool) -> Result<ExitCode, Failure> {
    let protection = if no_passphrase { Protection::None } else { Protection::Passphrase };
    let made = keys.create(domain, protection).map_err(Error::from)?;
    if context.json {
        json::print("larder/key/v1", document(&made))?;
        return DONE;
    }
    ui::line(format_args!("made the key {} of {domain}", made.id))?;
    if !context.quiet {
        ui::note(format_args!(
            "keep a copy of {}: nobody can make it again; `larder key export {domain}` prints the public half",
            made.file.display()
        ));
    }
    DONE
}

fn list(context: &Context, keys: &Keys) -> Result<ExitCode, Failure> {
    let listed = keys.list().map_err(Error::from)?;
    if context.json {
        json::print("larder/keys/v1", listed.iter().map(document).collect())?;
        return DONE;
    }
    let mut listing = ui::Listing::new(["DOMAIN", "KEY", "SECRET", "FILE"]);
    for key in &listed {
        let secret = protection_word(key.secret).unwrap_or("");
        listing.row([key.domain.to_string(), key.id.short(), secret.to_owned(), key.file.display().to_string()]);
    }
    listing.print()?;
    DONE
}

fn export(context: &Context, keys: &Keys, domain: &Domain) -> Result<ExitCode, Failure> {
    let found = keys.export(domain).map_err(Error::from)?;
    if context.json {
        let items = found.iter().map(|key| json!({"key": key.id().to_string(), "pem": key.to_pem()}));
        json::print("larder/key-export/v1", items.collect())?;
        return DONE;
    }
    for key in &found {
        ui::line(key.to_pem().trim_end())?;
    }
    DONE
}

fn trust(context: &Context, keys: &Keys, domain: &Domain, file: &std::path::Path) -> Result<ExitCode, Failure> {
    let (id, news) = keys.trust(domain, file).map_err(Error::from)?;
    if context.json {
        json::print("larder/key-trust/v1", json!({"domain": domain.as_str(), "key": id.to_string(), "changed": news}))?;
        return DONE;
    }
    let already = if news { "" } else { " (it was already)" };
    ui::line(format_args!("the key {id} is trusted for {domain}{already}"))?;
    DONE
}

fn forget(context: &Context, keys: &Keys, domain: &Domain, key: Option<&str>) -> Result<ExitCode, Failure> {
    let forgotten = keys.forget(domain, key).map_err(Error::from)?;
    if context.json {
        json::print("larder/key-forget/v1", json!({"domain": domain.as_str(), "keys": json::texts(&forgotten)}))?;
        return DONE;
    }
    for id in &forgotten {
        ui::line(format_args!("the key {id} is no longer trusted for {domain}"))?;
    }
    DONE
}

fn document(key: &Listed) -> serde_json::Value {
    json!({
        "domain": key.domain.as_str(),
        "key": key.id.to_string(),
        "file": key.file.display().to_string(),
        "secret": protection_word(key.secret),
    })
}

/// How a secret key is kept; `None` where only its public half is here.
fn protection_word(secret: Option<Protection>) -> Option<&'static str> {
    secret.map(|protection| match protection {
        Protection::Passphrase => "passphrase",
        Protection::None => "no passphrase",
    })
}
