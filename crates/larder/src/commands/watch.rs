//! `larder watch`

use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::process::{Child, Command, ExitCode};
use std::time::{Duration, Instant};

use larder_lib::build::{self, BuildOptions, BuildReport};
use larder_lib::watch::{Signals, Watch, Woken};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open};

use crate::cli::{self, Context};
use crate::commands::build::{new_asks, print, report_json, test};
use crate::failure::{self, DONE, Failure};
use crate::json;
use crate::progress::Reporter;
use crate::ui::{self, BOLD, FAINT, GREEN, RESET};

/// How long a container may take to end when it is asked to.
const GRACE: Duration = Duration::from_secs(10);

// Arguments of `larder watch`.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  larder watch examples/web                          build now, and after every change
  larder watch examples/web --run --net host         and run it; a new container after every change
  larder watch examples/web --run -- nginx -T        the same with another command

A build that fails says why and leaves the running container alone. Ctrl-C ends both.")]
pub(crate) struct Args {
    /// The folder with the recipe, or the recipe itself
    #[arg(default_value = ".", value_name = "DIR")]
    recipe: PathBuf,
    /// Accept that the image begins to ask for more of the host
    #[arg(long)]
    accept_asks: bool,
    /// Leave out the recipe's test
    #[arg(long)]
    no_test: bool,
    /// Run the image, anew after each change; all that follows are options of `larder run`
    #[arg(long, value_name = "OPTION", num_args = 0.., allow_hyphen_values = true)]
    run: Option<Vec<String>>,
    /// The command, after two dashes; the image's own when absent
    #[arg(last = true, requires = "run")]
    command: Vec<String>,
}

pub(crate) fn run(context: &Context, args: &Args) -> Result<ExitCode, Failure> {
    let runner = args.run.as_deref().map(|options| Runner::new(context, options, &args.command)).transpose()?;
    let mut watch = Watch::new(&args.recipe)?;
    let mut signals = Signals::catch().map_err(|error| Failure::plain(format!("can't catch signals: {error}")))?;
    let mut container: Option<Container> = None;
    let mut builds = Builds::default();
    loop {
        // A build may take long, and is stopped at any time without harm: its signals do what they always do.
        signals.pause();
        watch.mark();
        let began = Instant::now();
        let built = build(context, args);
        signals.resume();
        match built {
            Ok(report) => {
                watch.lock_is_ours();
                builds.tell(context, &report, began.elapsed())?;
                if let Some(runner) = &runner {
                    let image = format!("{}@{}", report.name, report.digest);
                    if container.as_ref().is_none_or(|running| running.image != image) {
                        if let Some(old) = container.take()
                            && old.stop(&signals)? == Asked::ToEnd
                        {
                            return DONE;
                        }
                        container = Some(runner.start(image)?);
                    }
                }
            }
            Err(failure) => drop(failure::report(&failure)),
        }
        if watch.is_blind() {
            ui::note(
                "the kernel has no more watches (fs.inotify.max_user_watches): larder looks twice a second instead",
            );
        }
        loop {
            let mut others = vec![signals.as_fd()];
            others.extend(container.as_ref().map(|container| container.end.as_fd()));
            match watch.wait(&others)? {
                Woken::Changed(paths) => {
                    if !context.quiet {
                        let more =
                            if paths.len() > 1 { format!(" and {} more", paths.len() - 1) } else { String::new() };
                        ui::note(format!("{}{more} changed", paths[0].display()));
                    }
                    break;
                }
                Woken::Ready(0) if signals.end_wanted() => {
                    if let Some(container) = container {
                        container.stop(&signals)?;
                    }
                    return DONE;
                }
                Woken::Ready(0) => {}
                Woken::Ready(_) => {
                    if let Some(ended) = container.take() {
                        ended.tell_end()?;
                    }
                }
            }
        }
    }
}

fn build(context: &Context, args: &Args) -> Result<BuildReport, Failure> {
    let host = context.host()?;
    let options =
        BuildOptions { new_asks: new_asks(args.accept_asks), test: test(args.no_test), ..BuildOptions::default() };
    Ok(build::build(&host, &args.recipe, &options, &Reporter::new(context.quiet))?)
}

/// What has been told of builds so far.
#[derive(Default)]
struct Builds {
    any: bool,
}

impl Builds {
    /// The first in full, the others in one line.
    fn tell(&mut self, context: &Context, report: &BuildReport, took: Duration) -> Result<(), Failure> {
        if context.json {
            return Ok(json::print("larder/build/v1", report_json(report))?);
        }
        if !std::mem::replace(&mut self.any, true) || context.quiet {
            return print(report, false, context.quiet);
        }
        let state = if report.changed { "built" } else { "unchanged" };
        Ok(ui::line(format_args!(
            "{GREEN}{state}{RESET} {BOLD}{}@{}{RESET} {} {FAINT}in {:.2} s{RESET}",
            report.name,
            report.version,
            report.digest,
            took.as_secs_f64()
        ))?)
    }
}

/// Starts containers: each is a `larder run` of its own, which takes signals as any does.
struct Runner {
    program: PathBuf,
    before: Vec<String>,
    after: Vec<String>,
}

impl Runner {
    fn new(context: &Context, options: &[String], command: &[String]) -> Result<Self, Failure> {
        let program = std::env::current_exe()
            .map_err(|error| Failure::plain(format!("can't find larder's own program: {error}")))?;
        let mut before = Vec::new();
        for (flag, value) in [("--root", &context.root), ("--config", &context.config)] {
            let text = value.as_ref().map(|path| path.display().to_string());
            before.extend(text.into_iter().flat_map(|text| [flag.to_owned(), text]));
        }
        if context.quiet {
            before.push("--quiet".to_owned());
        }
        before.extend(["run".to_owned(), "--end-with".to_owned(), std::process::id().to_string()]);
        before.extend(options.iter().cloned());
        let after: Vec<_> =
            Some("--".to_owned()).filter(|_| !command.is_empty()).into_iter().chain(command.to_owned()).collect();
        let whole = ["larder"].map(str::to_owned).into_iter().chain(before.clone());
        cli::check(whole.chain(["example.com/image".to_owned()]).chain(after.clone())).map_err(|error| {
            let text = error.to_string();
            let first = text.lines().next().unwrap_or_default().trim_start_matches("error: ").to_owned();
            Failure::usage(format!("--run: {first}"))
                .hint("after --run stand options of `larder run`, without an image")
        })?;
        Ok(Self { program, before, after })
    }

    fn start(&self, image: String) -> Result<Container, Failure> {
        let failed = |error: std::io::Error| Failure::plain(format!("can't start {}: {error}", self.program.display()));
        let child =
            Command::new(&self.program).args(&self.before).arg(&image).args(&self.after).spawn().map_err(failed)?;
        let end = pidfd_open(Pid::from_child(&child), PidfdFlags::empty()).map_err(|error| failed(error.into()))?;
        Ok(Container { image, child, end })
    }
}

/// Whether somebody asked this command to end meanwhile.
#[derive(PartialEq, Eq)]
enum Asked {
    Nothing,
    ToEnd,
}

/// A `larder run` that was started here.
struct Container {
    image: String,
    child: Child,
    /// Readable once it has ended.
    end: OwnedFd,
}

impl Container {
    /// Asks it to end, which gives its program the image's stop signal, and waits. Who asks for the end meanwhile has waited enough.
    fn stop(mut self, signals: &Signals) -> Result<Asked, Failure> {
        let pid = Pid::from_child(&self.child);
        // It may have ended by itself: then there is nobody to ask.
        let _ = kill_process(pid, Signal::TERM);
        let (began, mut asked) = (Instant::now(), Asked::Nothing);
        while asked == Asked::Nothing {
            let left = GRACE.saturating_sub(began.elapsed());
            let timeout = Timespec { tv_sec: left.as_secs().cast_signed(), tv_nsec: left.subsec_nanos().into() };
            let mut fds = [PollFd::new(&self.end, PollFlags::IN), PollFd::new(signals, PollFlags::IN)];
            let ready = poll(&mut fds, Some(&timeout));
            let ended = !fds[0].revents().is_empty();
            if ended {
                break;
            }
            if matches!(ready, Ok(0)) {
                ui::note(format!("the container didn't end within {} seconds and was killed", GRACE.as_secs()));
                let _ = kill_process(pid, Signal::KILL);
                break;
            }
            if signals.end_wanted() {
                let _ = kill_process(pid, Signal::KILL);
                asked = Asked::ToEnd;
            }
        }
        self.wait()?;
        Ok(asked)
    }

    /// Says how it ended.
    fn tell_end(mut self) -> Result<(), Failure> {
        let status = self.wait()?;
        ui::note(format!("the container has ended ({status}); the next change starts another"));
        Ok(())
    }

    fn wait(&mut self) -> Result<std::process::ExitStatus, Failure> {
        self.child.wait().map_err(|error| Failure::plain(format!("can't wait for the container: {error}")))
    }
}
