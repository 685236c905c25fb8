//! `larder run`

use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::builder::PossibleValuesParser;
use larder_lib::actions::ACTIONS;
use larder_lib::asks::consent::{Grant, GrantError};
use larder_lib::run::{
    self, Mount, Network, OtherRuntime, PackagePaths, RunOptions, RuntimeKind, Target, ViewKindName,
};
use rustix::process::{Signal, getppid, set_parent_process_death_signal};

use crate::cli::Context;
use crate::failure::Failure;
use crate::progress::Reporter;
use crate::ui;

mod limits;

/// Exit code of a container that could not be started, as docker has it.
const NOT_STARTED: u8 = 125;

// Arguments of `larder run`.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  larder run --net host examples/web
  larder run debian.org/redis-server -- redis-server --version
  larder run example.com/hello                 a package of one's own, with what it requires
  echo hello | larder run example.com/web -- tr a-z A-Z
  larder run -it --mount ./data:/data:ro example.com/web -- bash
  larder run --memory 512m --cpus 1.5 --pids-limit 100 example.com/web
  larder run --action validate example.com/web
  larder run --allow cap:NET_ADMIN --allow device:/dev/net/tun example.com/vpn")]
pub(crate) struct Args {
    /// A folder with a recipe, an image, or a package: of one's own, or of the configured distribution
    target: String,
    /// The command, after two dashes; the image's own when absent
    #[arg(last = true)]
    command: Vec<String>,
    /// Run an action of the image, its own or inherited from a package, instead of `start`
    #[arg(long, value_name = "ACTION", value_parser = PossibleValuesParser::new(ACTIONS), conflicts_with = "command")]
    action: Option<String>,
    /// Allow what goes beyond the defaults: `cap:NAME` or `device:PATH`; docs/security.md
    #[arg(long, value_name = "WHAT")]
    allow: Vec<String>,
    /// The network: `none`, or the host's with everything that listens on it
    #[arg(long, value_enum, default_value_t = Net::None)]
    net: Net,
    /// Set a variable; a bare NAME takes the caller's value
    #[arg(long, short, value_name = "NAME[=VALUE]")]
    env: Vec<String>,
    /// Run as this user of the container: NAME or number, with an optional :GROUP
    #[arg(long, short, value_name = "USER[:GROUP]")]
    user: Option<String>,
    /// Start in this directory of the container
    #[arg(long, short, value_name = "DIR")]
    workdir: Option<String>,
    /// Show a file or directory of the host in the container
    #[arg(long, value_name = "SOURCE:TARGET[:ro]")]
    mount: Vec<String>,
    /// Let the container write to the packages' paths, in its own layer
    #[arg(long)]
    writable: bool,
    #[command(flatten)]
    limits: limits::LimitArgs,
    /// Let another OCI runtime run the container: `runc` or `crun`
    #[arg(long, value_name = "NAME")]
    runtime: Option<String>,
    /// Make the container's file system in this way only; docs/views.md has them
    #[arg(long, value_name = "WAY", value_parser = PossibleValuesParser::new(ViewKindName::ALL.map(ViewKindName::as_str)))]
    view: Option<String>,
    /// Give the command a terminal of its own
    #[arg(long, short)]
    tty: bool,
    /// End when this process, which started it, does
    #[arg(long, hide = true, value_name = "PID")]
    end_with: Option<i32>,
    /// Keep stdin open (it always is; accepted because everybody types -it)
    #[arg(long, short)]
    interactive: bool,
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum Net {
    /// A network of its own with nothing but loopback
    None,
    /// The host's network
    Host,
}

pub(crate) fn run(context: &Context, args: &Args) -> Result<ExitCode, Failure> {
    if let Some(parent) = args.end_with {
        end_with(parent)?;
    }
    let host = context.host().map_err(not_started)?;
    let options = options(context, args)?;
    let progress = Reporter::new(context.quiet);
    let target = Target::parse(&host, &args.target).map_err(|error| not_started(error.into()))?;
    let image = run::image(&host, &target, &progress).map_err(|error| not_started(error.into()))?;
    match run::start(&host, &image, &options, &progress) {
        Ok(ended) => {
            tell_of_memory(ended.memory_kills, options.limits.memory);
            Ok(ExitCode::from(ended.exit.code()))
        }
        Err(error) => {
            let code = error.exit_code().unwrap_or(NOT_STARTED);
            Err(Failure::from(error).with_code(code))
        }
    }
}

/// Has the kernel end this process as a `TERM` would when the one that started it is gone.
fn end_with(parent: i32) -> Result<(), Failure> {
    let gone = || not_started(Failure::plain("the process that started this container has ended"));
    set_parent_process_death_signal(Some(Signal::TERM)).map_err(|_| gone())?;
    let is_there = getppid().is_some_and(|found| found.as_raw_nonzero().get() == parent);
    if is_there { Ok(()) } else { Err(gone()) }
}

fn not_started(failure: Failure) -> Failure {
    failure.with_code(NOT_STARTED)
}

/// Exit code 137 alone doesn't say who killed.
fn tell_of_memory(kills: u64, limit: Option<u64>) {
    if let (1.., Some(limit)) = (kills, limit) {
        let noun = if kills == 1 { "process" } else { "processes" };
        let limit = ui::bytes(limit);
        ui::note(format!("the container reached its memory limit of {limit}: the kernel killed {kills} {noun} in it"));
    }
}

fn options(context: &Context, args: &Args) -> Result<RunOptions, Failure> {
    if args.tty && !std::io::stdin().is_terminal() {
        return Err(Failure::usage("--tty needs a terminal on stdin, and there is none").hint("leave out -t"));
    }
    let mut env = BTreeMap::new();
    if let Some(term) = context.environment.term.as_ref().filter(|_| args.tty) {
        env.insert("TERM".to_owned(), term.clone());
    }
    for variable in &args.env {
        match variable.split_once('=') {
            Some(("", _)) => {
                return Err(Failure::usage(format!("--env {variable}: the name is missing"))
                    .hint("write NAME=VALUE, or NAME alone for the caller's value"));
            }
            Some((name, value)) => drop(env.insert(name.to_owned(), value.to_owned())),
            None => {
                if let Some(value) = crate::environment::variable(variable) {
                    env.insert(variable.clone(), value);
                }
            }
        }
    }
    Ok(RunOptions {
        command: args.command.clone(),
        action: args.action.clone(),
        allow: args.allow.iter().map(|text| allow(text)).collect::<Result<_, _>>()?,
        env,
        user: args.user.clone(),
        workdir: args.workdir.clone(),
        mounts: args.mount.iter().map(|text| mount(text)).collect::<Result<_, _>>()?,
        net: match args.net {
            Net::None => Network::None,
            Net::Host => Network::Host,
        },
        terminal: args.tty,
        limits: args.limits.limits()?,
        packages: if args.writable { PackagePaths::Writable } else { PackagePaths::ReadOnly },
        runtime: args.runtime.as_deref().map(runtime).transpose()?,
        view: args.view.as_deref().and_then(ViewKindName::parse),
    })
}

fn allow(text: &str) -> Result<Grant, Failure> {
    text.parse().map_err(|error: GrantError| {
        Failure::usage(format!("--allow {text}: {}", error.reason))
            .hint("such as --allow cap:NET_ADMIN --allow device:/dev/fuse")
    })
}

fn runtime(name: &str) -> Result<OtherRuntime, Failure> {
    let Some(kind) = RuntimeKind::ALL.into_iter().find(|kind| kind.name() == name) else {
        return Err(Failure::usage(format!("--runtime {name}: larder can't use such a runtime"))
            .hint("write runc or crun, or leave --runtime out"));
    };
    let program = crate::environment::find_program(name).ok_or_else(|| {
        not_started(Failure::plain(format!("--runtime {name}: there is no program {name} on this host")))
            .hint(format!("install Debian's package {name}, or leave --runtime out"))
    })?;
    Ok(OtherRuntime { kind, program })
}

fn mount(text: &str) -> Result<Mount, Failure> {
    let wrong = |why: &str| {
        Failure::usage(format!("--mount {text}: {why}"))
            .hint("write SOURCE:TARGET or SOURCE:TARGET:ro, such as ./data:/data:ro")
    };
    let (pair, read_only) = match text.strip_suffix(":ro") {
        Some(pair) => (pair, true),
        None => (text.strip_suffix(":rw").unwrap_or(text), false),
    };
    let (source, target) = pair.split_once(':').ok_or_else(|| wrong("there is no colon between source and target"))?;
    if !target.starts_with('/') || target == "/" {
        return Err(wrong("the target isn't an absolute path below the root"));
    }
    if let Some((_, option)) = target.split_once(':') {
        return Err(wrong(&format!("after the target stands ro or rw, not {option:?}")));
    }
    let source = std::fs::canonicalize(source).map_err(|error| wrong(&format!("{source}: {error}")))?;
    Ok(Mount { source, target: PathBuf::from(target), read_only })
}
