//! A container with a terminal of its own.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::process::Child;
use std::time::{Duration, Instant};

use rustix::fs::{Mode, OFlags, open};
use rustix::process::{Pid, Signal, kill_process};
use rustix::pty::{OpenptFlags, openpt, ptsname, unlockpt};
use rustix::termios::{LocalModes, Winsize, tcgetattr, tcsetwinsize};

use crate::Test;
use crate::place::Place;

pub(crate) const TESTS: &[Test] = &[
    ("a_terminal_echoes_and_has_a_size", echo),
    ("the_callers_terminal_is_restored", restored),
    ("a_terminal_without_one_outside", without),
];

/// A terminal with a launcher on it.
struct Screen {
    master: File,
    terminal: OwnedFd,
    child: Child,
    /// The terminal's modes before the launcher had it.
    before: LocalModes,
    seen: String,
}

impl Screen {
    fn open(place: &Place, options: &[&str], script: &str) -> Self {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
        unlockpt(&master).unwrap();
        let name = ptsname(&master, Vec::new()).unwrap();
        let terminal = open(name.as_c_str(), OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC, Mode::empty()).unwrap();
        tcsetwinsize(&terminal, Winsize { ws_row: 31, ws_col: 97, ws_xpixel: 0, ws_ypixel: 0 }).unwrap();
        rustix::io::ioctl_fionbio(&master, true).unwrap();
        let mut command = place.container(&[&["--terminal"], options].concat(), &["sh", "-c", script]);
        let before = tcgetattr(&terminal).unwrap().local_modes;
        let stream = || terminal.try_clone().unwrap();
        let child = command.stdin(stream()).stdout(stream()).stderr(stream()).spawn().unwrap();
        Self { master: master.into(), terminal, child, before, seen: String::new() }
    }

    /// Reads until the text has been seen.
    fn expect(&mut self, text: &str) {
        let end = Instant::now() + Duration::from_secs(10);
        while !self.seen.contains(text) {
            assert!(Instant::now() < end, "waiting for {text:?}, seen {:?}", self.seen);
            self.read();
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    fn read(&mut self) {
        let mut buffer = [0; 4096];
        if let Ok(count) = self.master.read(&mut buffer) {
            self.seen.push_str(&String::from_utf8_lossy(&buffer[..count]));
        }
    }

    fn end(&mut self) -> (Option<i32>, String) {
        let code = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status.code();
            }
            self.read();
        };
        self.read();
        (code, self.seen.clone())
    }
}

fn echo(place: &Place) {
    let script =
        "tty; stty size; ls -l /dev/console | cut -c1; read line; echo \"got $line\"; read size; stty size; exit 5";
    let mut screen = Screen::open(place, &[], script);
    screen.expect("31 97\r\nc\r\n");
    assert!(screen.seen.contains("/dev/pts/0"), "{}", screen.seen);
    screen.master.write_all(b"hello\r").unwrap();
    screen.expect("got hello");
    assert!(screen.seen.contains("hello\r\ngot hello"), "the container's terminal echoes: {:?}", screen.seen);
    tcsetwinsize(&screen.terminal, Winsize { ws_row: 40, ws_col: 120, ws_xpixel: 0, ws_ypixel: 0 }).unwrap();
    kill_process(Pid::from_child(&screen.child), Signal::WINCH).unwrap();
    std::thread::sleep(Duration::from_millis(50));
    screen.master.write_all(b"now\r").unwrap();
    screen.expect("40 120");
    assert_eq!(screen.end().0, Some(5));
}

fn restored(place: &Place) {
    for (script, signal, code) in [
        ("echo up; read x; exit 0", None, 0),
        ("echo up; kill -9 $$", None, 137),
        ("echo up; exec sleep 60", Some(Signal::TERM), 143),
    ] {
        let mut screen = Screen::open(place, &["--user", "www-data"], script);
        let before = screen.before;
        screen.expect("up");
        if code == 0 {
            assert!(!tcgetattr(&screen.terminal).unwrap().local_modes.contains(LocalModes::ECHO), "raw meanwhile");
            screen.master.write_all(b"\r").unwrap();
        }
        if let Some(signal) = signal {
            kill_process(Pid::from_child(&screen.child), signal).unwrap();
        }
        assert_eq!(screen.end().0, Some(code));
        assert_eq!(tcgetattr(&screen.terminal).unwrap().local_modes, before);
    }
    // The interrupt character is the container's business.
    let mut screen =
        Screen::open(place, &[], "trap 'echo caught; exit 4' INT; echo up; while true; do sleep 0.05; done");
    screen.expect("up");
    screen.master.write_all(&[3]).unwrap();
    let (code, seen) = screen.end();
    assert_eq!(code, Some(4), "{seen:?}");
}

fn without(place: &Place) {
    let ended = place.run(&["--terminal"], &["sh", "-c", "tty; cat; echo done"]);
    assert_eq!(ended.code, 0);
    assert!(ended.out.starts_with("/dev/pts/0\r\n") && ended.out.ends_with("done\r\n"), "{:?}", ended.out);
}
