//! What a person at a terminal sees besides the output: bars while something is done, colour in what is said.

use std::fs::File;
use std::io::Read;
use std::process::Stdio;

use rustix::pty::{OpenptFlags, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};

use super::site::{Site, deb, library};

/// Runs `larder` with a terminal of 100 columns as its standard error. Gives what was drawn, and standard output.
fn at_a_terminal(site: &Site, arguments: &[&str]) -> (String, String) {
    let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).expect("a terminal");
    unlockpt(&master).expect("unlock");
    tcsetwinsize(&master, Winsize { ws_row: 25, ws_col: 100, ws_xpixel: 0, ws_ypixel: 0 }).expect("size");
    let name = ptsname(&master, Vec::new()).expect("name");
    let slave = File::options().write(true).open(name.to_str().expect("UTF-8")).expect("the other side");
    let mut command = site.env.larder_command(arguments);
    command.env("TERM", "xterm").stdin(Stdio::null()).stdout(Stdio::piped()).stderr(slave);
    let mut child = command.spawn().expect("larder");
    // It holds the other side open.
    drop(command);
    let mut drawn = Vec::new();
    let mut buffer = [0; 4096];
    let mut master = File::from(master);
    // A terminal that nobody has open any more is EIO to its reader.
    while let Ok(count @ 1..) = master.read(&mut buffer) {
        drawn.extend(&buffer[..count]);
    }
    let mut output = String::new();
    child.stdout.take().expect("a pipe").read_to_string(&mut output).expect("output");
    child.wait().expect("an end");
    (String::from_utf8(drawn).expect("UTF-8"), output)
}

#[test]
fn long_work_draws_bars_and_takes_them_away() {
    let large = deb("large", "1").file("usr/share/large", "x".repeat(8 << 20));
    let site = Site::with(super::site::archive().package(large));
    site.recipe("web", &["large"], "");
    let (drawn, output) = at_a_terminal(&site, &["build", "web"]);
    assert!(drawn.contains("fetch the package list of bookworm-security "), "{drawn:?}");
    assert!(drawn.contains("fetch and convert 3 packages"), "{drawn:?}");
    assert!(drawn.contains('━') && drawn.contains("MiB"), "{drawn:?}");
    // The last that is drawn is an erased line: nothing of the bars is left above the prompt.
    let last = drawn.rsplit("\u{1b}[2K").next().expect("a last part");
    assert!(!last.contains(['━', '╌']) && !last.contains("fetch"), "{drawn:?}");
    assert!(output.starts_with("3 packages, 3 fetched") && !output.contains('\u{1b}'), "{output:?}");
}

#[test]
fn quiet_work_draws_nothing() {
    let site = Site::with(super::site::archive().package(library("1.1")));
    site.recipe("web", &["greeter"], "");
    let (drawn, output) = at_a_terminal(&site, &["--quiet", "build", "web"]);
    assert_eq!(drawn, "");
    assert!(!output.is_empty());
}

#[test]
fn an_error_is_coloured_on_a_terminal_alone() {
    let site = Site::new();
    let (drawn, _) = at_a_terminal(&site, &["inspect", "example.com/none"]);
    assert!(drawn.contains("\u{1b}[") && drawn.contains("example.com/none"), "{drawn:?}");
    let plain = site.env.larder(["inspect", "example.com/none"]).failure(1);
    assert!(!String::from_utf8_lossy(plain.stderr.as_bytes()).contains('\u{1b}'));
}
