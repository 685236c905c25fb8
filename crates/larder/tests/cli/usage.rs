//! The command line itself: arguments that make no sense, exit codes, closed pipes.

use std::process::Stdio;

use insta::assert_snapshot;

use super::site::Site;

#[test]
fn arguments_that_make_no_sense() {
    let site = Site::new();
    assert_snapshot!(site.session(&[
        "biuld",
        "build --lokced",
        "inspect",
        "which",
        "history a b",
        "gc --keep-newer soon",
    ]), @"
    $ larder biuld
    2> error: unrecognized subcommand 'biuld'
    2>
    2>   tip: a similar subcommand exists: 'build'
    2>
    2> Usage: larder [OPTIONS] <COMMAND>
    2>
    2> For more information, try '--help'.
    [exit code 2]
    $ larder build --lokced
    2> error: unexpected argument '--lokced' found
    2>
    2>   tip: a similar argument exists: '--locked'
    2>
    2> Usage: larder build --locked [DIR]...
    2>
    2> For more information, try '--help'.
    [exit code 2]
    $ larder inspect
    2> error: the following required arguments were not provided:
    2>   <NAME>
    2>
    2> Usage: larder inspect <NAME>
    2>
    2> For more information, try '--help'.
    [exit code 2]
    $ larder which
    2> error: the following required arguments were not provided:
    2>   <PACKAGE>
    2>
    2> Usage: larder which <PACKAGE> [RANGE]
    2>
    2> For more information, try '--help'.
    [exit code 2]
    $ larder history a b
    2> error: unexpected argument 'b' found
    2>
    2> Usage: larder history [OPTIONS] <IMAGE>
    2>
    2> For more information, try '--help'.
    [exit code 2]
    $ larder gc --keep-newer soon
    2> error: invalid value 'soon' for '--keep-newer <MINUTES>': invalid digit found in string
    2>
    2> For more information, try '--help'.
    [exit code 2]
    ");
}

#[test]
fn arguments_of_run_that_make_no_sense() {
    let site = Site::new();
    site.env.write("data", "x");
    assert_snapshot!(site.session(&[
        "run --mount data example.com/web",
        "run --mount data:relative example.com/web",
        "run --mount data:/ example.com/web",
        "run --mount nowhere:/data example.com/web",
        "run --mount data:/data:rx example.com/web",
        "run --env =x example.com/web",
        "run --net bridge example.com/web",
        "run --runtime docker example.com/web",
        "run --tty example.com/web",
        "run example.com/web ls",
        "run",
    ]), @r#"
    $ larder run --mount data example.com/web
    2> error: --mount data: there is no colon between source and target
    2>   hint: write SOURCE:TARGET or SOURCE:TARGET:ro, such as ./data:/data:ro
    [exit code 2]
    $ larder run --mount data:relative example.com/web
    2> error: --mount data:relative: the target isn't an absolute path below the root
    2>   hint: write SOURCE:TARGET or SOURCE:TARGET:ro, such as ./data:/data:ro
    [exit code 2]
    $ larder run --mount data:/ example.com/web
    2> error: --mount data:/: the target isn't an absolute path below the root
    2>   hint: write SOURCE:TARGET or SOURCE:TARGET:ro, such as ./data:/data:ro
    [exit code 2]
    $ larder run --mount nowhere:/data example.com/web
    2> error: --mount nowhere:/data: nowhere: No such file or directory (os error 2)
    2>   hint: write SOURCE:TARGET or SOURCE:TARGET:ro, such as ./data:/data:ro
    [exit code 2]
    $ larder run --mount data:/data:rx example.com/web
    2> error: --mount data:/data:rx: after the target stands ro or rw, not "rx"
    2>   hint: write SOURCE:TARGET or SOURCE:TARGET:ro, such as ./data:/data:ro
    [exit code 2]
    $ larder run --env =x example.com/web
    2> error: --env =x: the name is missing
    2>   hint: write NAME=VALUE, or NAME alone for the caller's value
    [exit code 2]
    $ larder run --net bridge example.com/web
    2> error: invalid value 'bridge' for '--net <NET>'
    2>   [possible values: none, host]
    2>
    2> For more information, try '--help'.
    [exit code 2]
    $ larder run --runtime docker example.com/web
    2> error: --runtime docker: larder can't use such a runtime
    2>   hint: write runc or crun, or leave --runtime out
    [exit code 2]
    $ larder run --tty example.com/web
    2> error: --tty needs a terminal on stdin, and there is none
    2>   hint: leave out -t
    [exit code 2]
    $ larder run example.com/web ls
    2> error: unexpected argument 'ls' found
    2>
    2> Usage: larder run [OPTIONS] <TARGET> [-- <COMMAND>...]
    2>
    2> For more information, try '--help'.
    [exit code 2]
    $ larder run
    2> error: the following required arguments were not provided:
    2>   <TARGET>
    2>
    2> Usage: larder run <TARGET> [-- <COMMAND>...]
    2>
    2> For more information, try '--help'.
    [exit code 2]
    "#);
}

#[test]
fn limits_that_make_no_sense() {
    let site = Site::new();
    assert_snapshot!(site.session(&[
        "run --memory 64x example.com/web",
        "run --memory -64m example.com/web",
        "run --memory 1,5g example.com/web",
        "run --memory lots example.com/web",
        "run --memory 512 example.com/web",
        "run --memory 4k example.com/web",
        "run --cpus 0 example.com/web",
        "run --cpus 1,5 example.com/web",
        "run --cpus 50% example.com/web",
        "run --cpus 250m example.com/web",
        "run --cpus 0.0125 example.com/web",
        "run --cpus two example.com/web",
        "run --pids-limit -1 example.com/web",
        "run --pids-limit unlimited example.com/web",
        "run --pids-limit 100k example.com/web",
        "run --pids-limit 99999999 example.com/web",
        "run --io-weight 5 example.com/web",
        "run --io-weight high example.com/web",
    ]), @r"
    $ larder run --memory 64x example.com/web
    2> error: --memory 64x: this is no size
    2>   hint: write 64m
    [exit code 2]
    $ larder run --memory -64m example.com/web
    2> error: --memory -64m: this is no size
    2>   hint: write 64m
    [exit code 2]
    $ larder run --memory 1,5g example.com/web
    2> error: --memory 1,5g: this is no size
    2>   hint: write 1.5g
    [exit code 2]
    $ larder run --memory lots example.com/web
    2> error: --memory lots: this is no size
    2>   hint: write 64m, for example
    [exit code 2]
    $ larder run --memory 512 example.com/web
    2> error: --memory 512: no program can start in so little
    2>   hint: for 512 MiB write 512m; the least is 6m
    [exit code 2]
    $ larder run --memory 4k example.com/web
    2> error: --memory 4k: no program can start in so little
    2>   hint: the least is 6m
    [exit code 2]
    $ larder run --cpus 0 example.com/web
    2> error: --cpus 0: a container needs some CPU time
    2>   hint: leave --cpus out for no limit; the least is 0.01
    [exit code 2]
    $ larder run --cpus 1,5 example.com/web
    2> error: --cpus 1,5: this is no number of CPUs
    2>   hint: write 1.5
    [exit code 2]
    $ larder run --cpus 50% example.com/web
    2> error: --cpus 50%: this is no number of CPUs
    2>   hint: write 0.5
    [exit code 2]
    $ larder run --cpus 250m example.com/web
    2> error: --cpus 250m: this is no number of CPUs
    2>   hint: write 0.25
    [exit code 2]
    $ larder run --cpus 0.0125 example.com/web
    2> error: --cpus 0.0125: this is finer than a thousandth
    2>   hint: write 0.013
    [exit code 2]
    $ larder run --cpus two example.com/web
    2> error: --cpus two: this is no number of CPUs
    2>   hint: write 0.5 or 2, for example
    [exit code 2]
    $ larder run --pids-limit -1 example.com/web
    2> error: --pids-limit -1: a container has at least one process
    2>   hint: leave --pids-limit out for no limit
    [exit code 2]
    $ larder run --pids-limit unlimited example.com/web
    2> error: --pids-limit unlimited: this is no number
    2>   hint: leave --pids-limit out for no limit
    [exit code 2]
    $ larder run --pids-limit 100k example.com/web
    2> error: --pids-limit 100k: this is no whole number
    2>   hint: write 100
    [exit code 2]
    $ larder run --pids-limit 99999999 example.com/web
    2> error: --pids-limit 99999999: the kernel has no more than 4194304 processes
    2>   hint: leave --pids-limit out for no limit
    [exit code 2]
    $ larder run --io-weight 5 example.com/web
    2> error: --io-weight 5: a weight is from 10 to 1000
    2>   hint: write 10
    [exit code 2]
    $ larder run --io-weight high example.com/web
    2> error: --io-weight high: a weight is a whole number from 10 to 1000
    2>   hint: write 500, for example: others have 100
    [exit code 2]
    ");
}

#[test]
fn targets_that_are_not_there() {
    let site = Site::new();
    site.recipe("web", &["greeter"], "");
    site.ok("build web");
    assert_snapshot!(site.session(&[
        "run example.com/wbe",
        "run wbe",
        "run web2",
        "run ./wbe",
        "run example.com/web@3.0",
        "run example.com/web",
        "run -q debian.org/greter",
    ]), @r#"
    $ larder run example.com/wbe
    2> error: there is no image example.com/wbe on this host
    2>   hint: did you mean example.com/web?
    [exit code 125]
    $ larder run wbe
    2> error: "wbe" is neither a folder with a larder.toml in it nor a name such as debian.org/redis-server
    2>   hint: did you mean example.com/web?
    [exit code 125]
    $ larder run web2
    2> error: "web2" is neither a folder with a larder.toml in it nor a name such as debian.org/redis-server
    2>   hint: did you mean example.com/web?
    [exit code 125]
    $ larder run ./wbe
    2> error: "./wbe" is neither a folder with a larder.toml in it nor a name such as debian.org/redis-server
    2>   hint: did you mean example.com/web?
    [exit code 125]
    $ larder run example.com/web@3.0
    2> error: example.com/web has no record of version 3.0
    2>   hint: it has 1.0; `larder history example.com/web` lists its records
    [exit code 125]
    $ larder run example.com/web
    2> error: example.com/web@1.0 doesn't say what to run
    2>   hint: say it after two dashes: larder run IMAGE -- COMMAND, or set `run` in the recipe
    [exit code 125]
    $ larder run -q debian.org/greter
    2> error: can't choose packages from debian.org/bookworm:
    2>   nothing is called "greter", and nothing provides it; did you mean greeter?
    [exit code 125]
    "#);
}

/// Runs `larder` with a stdout that nobody reads any more.
fn with_closed_stdout(site: &Site, line: &str) -> (Option<i32>, String) {
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    let mut command = site.env.larder_command(line.split_whitespace());
    let child = command.stdin(Stdio::null()).stdout(writer).stderr(Stdio::piped()).spawn().expect("started");
    let output = child.wait_with_output().expect("its end");
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
}

#[test]
fn a_closed_pipe_is_the_readers_right() {
    let site = Site::new();
    site.recipe("web", &["greeter"], "");
    site.ok("build web");
    let lines = [
        "images",
        "images --json",
        "packages",
        "inspect example.com/web",
        "inspect --json example.com/web",
        "files example.com/web",
        "files --json example.com/web",
        "df",
        "fsck",
        "history example.com/web",
        "which greeter",
        "why example.com/web libgreet",
        "gc",
        "completions bash",
        "completions zsh",
        "--help",
        "build --help",
        "--version",
        "build -q web",
        "build web",
    ];
    for line in lines {
        assert_eq!(with_closed_stdout(&site, line), (Some(0), String::new()), "larder {line}");
    }
}

#[test]
fn results_go_to_stdout_and_all_else_to_stderr() {
    let site = Site::new();
    site.recipe("web", &["greeter"], "");
    let output = site.run("build --json web").success();
    assert!(output.stdout.starts_with('{') && output.stdout.ends_with("}\n"), "{}", output.stdout);
    assert!(output.stderr.contains("fetch and convert 4 packages"), "{}", output.stderr);
    let output = site.run("build -q nowhere").failure(1);
    assert!(output.stdout.is_empty() && output.stderr.starts_with("error: "), "{output:?}");
    let output = site.run("images --json extra").failure(2);
    assert!(output.stdout.is_empty(), "{output:?}");
}

#[test]
fn a_full_disk_behind_stdout_is_a_failure() {
    let site = Site::new();
    let output = site.env.shell("larder images > /dev/full; echo $?; larder df --json > /dev/full; echo $?");
    assert_snapshot!(site.redact(&(output.stderr + &output.stdout)), @r"
    error: can't write to stdout
      because: No space left on device (os error 28)
    error: can't write to stdout
      because: No space left on device (os error 28)
    1
    1
    ");
}
