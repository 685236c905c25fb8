//! A container is a process: codes, signals, streams, environment.

use std::io::Read;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use crate::Test;
use crate::place::{Place, User, ended, marked};

pub(crate) const TESTS: &[Test] = &[
    ("exit_codes_are_the_workloads", exit_codes),
    ("a_killed_workload_is_128_and_the_signal", killed),
    ("what_cannot_run_has_the_usual_codes", cannot_run),
    ("streams_are_inherited", streams),
    ("dev_null_works_as_every_stream", null_streams),
    ("signals_reach_the_workload", signals),
    ("term_becomes_the_stop_signal", stop_signal),
    ("a_signal_before_the_start_is_not_lost", early_signal),
    ("a_caller_that_ignores_the_ends_of_children", careless_caller),
    ("environment_and_directory", environment),
    ("users_are_looked_up_inside", users),
    ("orphans_are_reaped", orphans),
    ("the_end_of_the_workload_ends_the_container", stragglers),
    ("nothing_is_left", nothing_left),
    ("several_at_once", several),
];

/// For a user without a range only.
pub(crate) const SINGLE: &[Test] = &[("inside_a_user_namespace_of_one_id", nested)];

fn exit_codes(place: &Place) {
    for code in [0, 1, 7, 125, 255] {
        assert_eq!(place.run(&[], &["sh", "-c", &format!("exit {code}")]).code, code);
    }
}

fn killed(place: &Place) {
    assert_eq!(place.run(&[], &["sh", "-c", "kill -9 $$"]).code, 137);
    assert_eq!(place.run(&[], &["sh", "-c", "kill -TERM $$"]).code, 143);
}

fn cannot_run(place: &Place) {
    let ended = place.run(&[], &["no-such-program"]);
    assert_eq!((ended.code, ended.err.as_str()), (127, "launch: the container has no program \"no-such-program\"\n"));
    assert_eq!(place.run(&[], &["/bin/no-such-program"]).code, 127);
    let ended = place.run(&[], &["/etc/not-a-program"]);
    assert_eq!(ended.code, 126);
    assert!(ended.err.starts_with("launch: can't execute \"/etc/not-a-program\" in the container"), "{}", ended.err);
    assert_eq!(place.run(&[], &["no-interpreter"]).code, 126);
    let ended = place.run(&["--workdir", "/nowhere"], &["true"]);
    assert_eq!(ended.code, 125);
    assert!(ended.err.contains("/nowhere"), "{}", ended.err);
    let ended = place.run(&["--user", "nobody-here"], &["true"]);
    assert_eq!((ended.code, ended.err.as_str()), (125, "launch: the container has no user \"nobody-here\"\n"));
    assert_eq!(place.run(&["--mount", "/no/such/source:/x"], &["true"]).code, 125);
    assert_eq!(place.run(&["--mount", "/etc:relative"], &["true"]).code, 125);
    assert_eq!(place.run(&["--mount", "/etc:/../x"], &["true"]).code, 125);
    assert_eq!(place.left(), Vec::<String>::new());
}

fn streams(place: &Place) {
    let ended = place.feed("tr a-z A-Z; echo to-err >&2", b"hello\n");
    assert_eq!((ended.code, ended.out.as_str(), ended.err.as_str()), (0, "HELLO\n", "to-err\n"));
    let big = vec![b'x'; 3_000_000];
    assert_eq!(place.feed("wc -c", &big).out.trim(), "3000000");
    assert_eq!(place.sh(&[], "ls /proc/self/fd | wc -l").trim(), "4", "0, 1, 2 and the listing itself");
}

fn null_streams(place: &Place) {
    let script = "cat && echo out && echo err >&2 && echo x >/dev/stdout && cat </dev/stdin";
    let mut command = place.container(&[], &["sh", "-c", script]);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    assert!(command.status().unwrap().success());
}

fn signals(place: &Place) {
    for (signal, name, code) in [
        (Signal::TERM, "TERM", 11),
        (Signal::INT, "INT", 12),
        (Signal::HUP, "HUP", 13),
        (Signal::QUIT, "QUIT", 14),
        (Signal::USR1, "USR1", 15),
        (Signal::USR2, "USR2", 16),
        (Signal::WINCH, "WINCH", 17),
    ] {
        let script = format!("trap 'echo got; exit {code}' {name}; echo ready; while true; do sleep 0.05; done");
        let (mut child, mut out) = place.start(&[], &script);
        kill_process(Pid::from_child(&child), signal).unwrap();
        let mut rest = String::new();
        out.read_to_string(&mut rest).unwrap();
        assert_eq!(rest, "got\n", "{name} once");
        assert_eq!(child.wait().unwrap().code(), Some(code), "{name}");
    }
    // Without a handler the workload dies of it, though it would be ignored by a PID 1.
    let (mut child, _out) = place.start(&[], "echo ready; exec sleep 60");
    kill_process(Pid::from_child(&child), Signal::TERM).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(143));
}

fn stop_signal(place: &Place) {
    for (sent, name) in [(Signal::TERM, "QUIT"), (Signal::INT, "INT")] {
        let script =
            "for s in TERM QUIT INT; do trap \"echo $s; exit 3\" $s; done; echo ready; while true; do sleep 0.05; done";
        let (mut child, mut out) = place.start(&["--stop-signal", "SIGQUIT"], script);
        kill_process(Pid::from_child(&child), sent).unwrap();
        let mut rest = String::new();
        out.read_to_string(&mut rest).unwrap();
        assert_eq!((rest.trim(), child.wait().unwrap().code()), (name, Some(3)));
    }
    let ended = place.run(&["--stop-signal", "SIGKILL"], &["true"]);
    assert_eq!(ended.code, 125, "nobody can be asked by a signal that can't be caught");
}

fn early_signal(place: &Place) {
    for delay in [0, 1, 2, 4, 8, 16] {
        let mut child =
            place.container(&[], &["sleep", "20"]).stdin(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        sleep(Duration::from_millis(delay));
        kill_process(Pid::from_child(&child), Signal::TERM).unwrap();
        let status = child.wait().unwrap();
        // Either the launcher was not there yet to catch it, or the workload died of it.
        assert!(!status.success(), "{status}");
    }
    crate::crash::collect_until(place, &[]);
}

/// It waited for ever: programs inherit what is ignored, and then the kernel keeps no end of a child.
fn careless_caller(place: &Place) {
    let container = place.container(&[], &["sh", "-c", "sleep 0.1; exit 3"]);
    let mut command = Command::new("env");
    let words = container.get_args().skip(1);
    command.arg("--ignore-signal=CHLD").args(words).current_dir(place.path("."));
    assert_eq!(container.get_args().next().and_then(|word| word.to_str()), Some("--default-signal"));
    let mut child = command.stdin(Stdio::null()).spawn().unwrap();
    let status = (0..200).find_map(|_| {
        std::thread::sleep(Duration::from_millis(50));
        child.try_wait().unwrap()
    });
    if status.is_none() {
        child.kill().unwrap();
    }
    assert_eq!(status.and_then(|status| status.code()), Some(3));
}

fn environment(place: &Place) {
    let out = place.sh(
        &["--env", "A=b c", "--env", "PATH=/bin", "--workdir", "/usr/share"],
        "echo \"$A\"; echo $PATH; pwd; echo $HOME",
    );
    assert_eq!(out, "b c\n/bin\n/usr/share\n/root\n");
    let out = place.run(&["--env", "ONLY=1"], &["env"]).out;
    let mut lines: Vec<&str> = out.lines().collect();
    lines.sort_unstable();
    assert_eq!(lines, ["HOME=/root", "ONLY=1", "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"]);
    assert_eq!(place.sh(&["--user", "www-data"], "echo $HOME"), "/var/www\n");
    assert_eq!(place.sh(&["--hostname", "box"], "hostname"), "box\n");
}

fn users(place: &Place) {
    let id = "echo $(id -u) $(id -g) $(id -G)";
    let groups = |with: &'static str, without: &'static str| if place.user == User::Single { without } else { with };
    assert_eq!(place.sh(&[], id), groups("0 0 0\n", "0 0 0\n"));
    assert_eq!(place.sh(&["--user", "www-data"], id), groups("33 33 33 50\n", "33 33 33\n"));
    assert_eq!(place.sh(&["--user", "www-data:extra"], id), "33 50 50\n");
    assert_eq!(place.sh(&["--user", "33"], id), groups("33 33 33 50\n", "33 33 33\n"));
    assert_eq!(place.sh(&["--user", "1234:5678"], id), "1234 5678 5678\n");
    let out = place.sh(&["--user", "www-data"], "echo x >/tmp/f && stat -c '%u %g' /tmp/f");
    assert_eq!(out, "33 33\n");
    if place.user == User::Range {
        let ended = place.run(&["--user", "70000"], &["true"]);
        assert_eq!(ended.code, 125);
        assert!(ended.err.contains("/etc/subuid"), "{}", ended.err);
    }
}

fn orphans(place: &Place) {
    let out = place.sh(&[], "for i in 1 2 3; do (sleep 0.05 &); done; sleep 0.4; ps -o stat,comm | grep -c Z; true");
    assert_eq!(out, "0\n");
}

fn stragglers(place: &Place) {
    let marker = format!("straggler-{:?}", place.user);
    let option = format!("MARKER={marker}");
    let output = place
        .container(
            &["--env", &option],
            &["sh", "-c", "trap '' TERM HUP; sleep 600 >/dev/null 2>&1 & sleep 600 >/dev/null 2>&1 & exit 3"],
        )
        .output()
        .unwrap();
    assert_eq!(ended(output).code, 3);
    assert_eq!(marked(&marker), Vec::<u32>::new());
}

fn nothing_left(place: &Place) {
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
    place.sh(&[], "mkdir -p /var/a/b && echo x >/var/a/b/c && touch /etc/passwd");
    place.sh(&["--user", "www-data"], "echo x >/tmp/c");
    assert_eq!(place.left(), Vec::<String>::new());
    assert_eq!(std::fs::read_to_string("/proc/self/mountinfo").unwrap(), mounts);
}

fn several(place: &Place) {
    let children: Vec<_> = (0..8)
        .map(|number| {
            let script = format!("echo {number} >/tmp/mine; sleep 0.1; cat /tmp/mine");
            place.container(&[], &["sh", "-c", &script]).stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap()
        })
        .collect();
    for (number, child) in children.into_iter().enumerate() {
        assert_eq!(ended(child.wait_with_output().unwrap()).out, format!("{number}\n"));
    }
    assert_eq!(place.left(), Vec::<String>::new());
}

fn nested(place: &Place) {
    let wrapped = place.container(&["--user", "www-data"], &["sh", "-c", "id -u; echo $$"]);
    let arguments: Vec<_> = wrapped.get_args().collect();
    // The namespace belongs to the user, not to root, and so is made last before the launcher.
    let user = arguments.iter().position(|argument| *argument == "--clear-groups").map_or(1, |place| place + 1);
    let mut command = std::process::Command::new(wrapped.get_program());
    command.args(&arguments[..user]);
    command.args(["unshare", "--map-root-user", "--mount", "--pid", "--fork", "--mount-proc"]);
    command.args(&arguments[user..]);
    let ended = ended(command.current_dir(place.path(".")).output().unwrap());
    assert_eq!((ended.code, ended.out.as_str()), (0, "33\n2\n"), "{}", ended.err);
}
