//! `larder provenance`

use std::io::Write as _;
use std::process::ExitCode;

use larder_lib::Reference;
use larder_lib::provenance::statement::Statement;
use larder_lib::provenance::{self, About, BuildKind, Dependency, FromArchive, Origin, Signer};

use super::build::signed_words;
use crate::cli::Context;
use crate::failure::{DONE, Failure};
use crate::ui;

// Arguments of `larder provenance`.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  larder provenance example.com/web
  larder provenance example.com/web --json        the in-toto statement
  larder provenance example.com/web --envelope    the DSSE envelope that holds it, with its signatures

It shows what is said; `larder verify` checks it.")]
pub(crate) struct Args {
    #[arg(help = "An image or a package: NAME[@VERSION|@blake3:DIGEST]")]
    name: Reference,
    /// Print the DSSE envelope of the statement
    #[arg(long)]
    envelope: bool,
}

pub(crate) fn run(context: &Context, args: &Args) -> Result<ExitCode, Failure> {
    let host = context.host()?;
    let about = provenance::about(&host, &args.name)?;
    if args.envelope {
        let Origin::Made { envelope, .. } = &about.origin else { return Err(no_envelope(&about)) };
        return raw(envelope);
    }
    if context.json {
        return raw(&about.statement().ok_or_else(|| nothing(&about))?);
    }
    print(&about)?;
    DONE
}

/// Prints a document that others have specified: in canonical form, without anything of our own in it.
fn raw(value: &provenance::Value) -> Result<ExitCode, Failure> {
    let mut out = std::io::stdout().lock();
    out.write_all(&provenance::encode(value))?;
    out.write_all(b"\n")?;
    DONE
}

fn no_envelope(about: &About) -> Failure {
    match about.origin {
        Origin::Archive(_) => Failure::plain(format!(
            "{}@{} came from an archive, whose release file is what is signed: there is no envelope",
            about.name, about.version
        ))
        .hint("--json prints the chain as an in-toto statement"),
        _ => nothing(about),
    }
}

fn nothing(about: &About) -> Failure {
    let name = format!("{}@{}", about.name, about.version);
    match &about.origin {
        Origin::Broken(reason) => Failure::plain(format!("what is said of {name} can't be believed: {reason}"))
            .hint(format!("`larder verify {}` says more; building it again says it anew", about.name)),
        _ => Failure::plain(format!("nothing says where {name} came from"))
            .hint("build it again: every build writes down how it was made"),
    }
}

fn print(about: &About) -> Result<(), Failure> {
    match &about.origin {
        Origin::Made { statement, signers, .. } => made(about, statement, signers),
        Origin::Archive(archive) => converted(about, archive),
        Origin::Missing | Origin::Broken(_) => Err(nothing(about)),
    }
}

fn field(name: &str, value: impl std::fmt::Display) -> Result<(), Failure> {
    Ok(ui::line(format_args!("{:13} {value}", format!("{name}:")))?)
}

fn made(about: &About, statement: &Statement, signers: &[Signer]) -> Result<(), Failure> {
    let facts = &statement.facts;
    field("what", format_args!("{}@{}", about.name, about.version))?;
    field("digest", about.digest)?;
    let how = match facts.kind {
        BuildKind::Package => "built in a sandbox",
        BuildKind::Image => "put together from packages and files",
        BuildKind::Distribution => "put together from packages",
        BuildKind::Import => "taken in as it was",
        BuildKind::Capture => "captured from maintainer scripts in a sandbox",
    };
    field("made", format_args!("{how}, by larder {}", statement.larder))?;
    field("when", format_args!("{} to {}", ui::time(facts.started), ui::time(facts.finished)))?;
    field("signed", signed_words(signers).trim_start_matches("signed "))?;
    for other in facts.subjects.iter().filter(|subject| subject.fileset != about.digest) {
        field("with it", format_args!("{}@{} {}", other.name, other.version, ui::short(&other.fileset)))?;
    }
    for (name, value) in &facts.parameters {
        field("parameter", format_args!("{name} = {}", provenance::text(value)))?;
    }
    for dependency in &facts.dependencies {
        if let Dependency::Source { uri, digests } = dependency {
            let digests: Vec<_> = digests.iter().map(|(algorithm, digest)| format!("{algorithm}:{digest}")).collect();
            field("source", format_args!("{uri} {}", digests.join(" ")))?;
        }
    }
    for dependency in &facts.dependencies {
        if let Dependency::FileSet(input) = dependency {
            field("input", format_args!("{}@{} {}", input.name, input.version, ui::short(&input.fileset)))?;
        }
    }
    Ok(())
}

fn converted(about: &About, archive: &FromArchive) -> Result<(), Failure> {
    let file = &archive.file;
    field("what", format_args!("{}@{}", about.name, about.version))?;
    field("digest", about.digest)?;
    let table = archive.table.map(|table| format!(", declarations by table {table}")).unwrap_or_default();
    field("made", format_args!("converted by the rule {}{table}", archive.rule))?;
    field("deb", format_args!("{} {}", file.filename, file.sha256))?;
    match archive.is_pinned() {
        true => field("list", "a lock has pinned the file; which list had it isn't known")?,
        false => field("list", file.index)?,
    }
    field("release", format_args!("{} of {}, {}", file.suite, archive.distribution, file.release))?;
    field("signer", &file.signer)
}
