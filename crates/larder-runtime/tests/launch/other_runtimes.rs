//! runc and crun on the same specification.

use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::Test;
use crate::attacks::leaky;
use crate::crash::{cgroups, collect_until, roles};
use crate::place::{Ended, Place, User, marked};

pub(crate) const TESTS: &[Test] = &[
    ("other_runtimes_run_the_same_container", same),
    ("other_runtimes_have_the_usual_codes", codes),
    ("other_runtimes_take_the_same_privileges", privileges),
    ("other_runtimes_have_read_only_packages", packages),
    ("other_runtimes_take_mounts", mounts),
    ("other_runtimes_inherit_nothing_of_the_caller", descriptors),
    ("other_runtimes_hand_signals_on", signals),
    ("other_runtimes_give_a_terminal", terminal),
    ("other_runtimes_take_limits", limits),
    ("other_runtimes_leave_nothing_after_a_kill", kills),
    ("what_another_runtime_cannot_do_is_said", unable),
];

const PROGRAMS: [&str; 2] = ["/usr/sbin/runc", "/usr/bin/crun"];

/// Each runtime that is here and can run containers of this place's user; the others are skipped by name.
fn each(place: &Place, test: &str, check: fn(&Place, &str)) {
    for program in PROGRAMS {
        let name = Path::new(program).file_name().unwrap().to_string_lossy().into_owned();
        let skip = |reason: &str| println!("SKIPPED {:?}::{test} with {name}: {reason}", place.user);
        if !Path::new(program).exists() {
            skip(&format!("it isn't installed; scripts/setup installs the package {name:?}"));
        } else if refuses_this_host(place, program) {
            skip("it refuses hosts with cgroups of both versions, and an ordinary user can't hide one");
        } else {
            check(place, program);
            assert_eq!(place.left(), Vec::<String>::new(), "{name}");
        }
    }
}

/// crun as an ordinary user on a hybrid host.
fn refuses_this_host(place: &Place, program: &str) -> bool {
    let own = fs::read_to_string("/proc/self/cgroup").unwrap();
    let hybrid = own.lines().any(|line| line.starts_with("0::")) && own.lines().count() > 1;
    hybrid && program.ends_with("crun") && place.user != User::Root
}

fn run(place: &Place, program: &str, options: &[&str], command: &[&str]) -> Ended {
    place.run(&[&["--runtime", program], options].concat(), command)
}

fn sh(place: &Place, program: &str, options: &[&str], script: &str) -> String {
    let ended = run(place, program, options, &["sh", "-c", script]);
    assert_eq!((ended.code, ended.err.as_str()), (0, ""), "{program}: {script}\n{}", ended.out);
    ended.out
}

fn same(place: &Place) {
    each(place, "other_runtimes_run_the_same_container", |place, program| {
        // crun adds a link /dev/core to the hidden /proc/kcore.
        let script = "hostname; pwd; echo $HOME $COLOUR; id -u; cat /usr/share/data; ls /dev /sys/class/net | grep -v core; \
                      cat /proc/sys/net/ipv4/ip_unprivileged_port_start; echo x >/tmp/x; cat /tmp/x";
        let options = ["--hostname", "box", "--env", "COLOUR=red", "--workdir", "/usr"];
        assert_eq!(sh(place, program, &options, script), place.sh(&options, script), "{program}");
    });
}

fn codes(place: &Place) {
    each(place, "other_runtimes_have_the_usual_codes", |place, program| {
        for code in [0, 7, 255] {
            assert_eq!(run(place, program, &[], &["sh", "-c", &format!("exit {code}")]).code, code);
        }
        let ended = run(place, program, &[], &["no-such-program"]);
        assert!(
            ended.code == 127 && ended.err.contains("the container has no program \"no-such-program\""),
            "{ended:?}"
        );
        let ended = run(place, program, &[], &["/bin/no-such-program"]);
        assert_eq!(ended.code, 127, "{ended:?}");
        let ended = run(place, program, &[], &["/etc/not-a-program"]);
        assert_eq!(ended.code, 126, "{ended:?}");
        let ended = run(place, program, &["--user", "nobody-here"], &["true"]);
        assert!(ended.code == 125 && ended.err.contains("no user \"nobody-here\""), "{ended:?}");
        let ended = run(place, program, &["--workdir", "/etc/passwd"], &["true"]);
        assert!(ended.code == 125 && ended.err.contains("can't run the container: "), "{ended:?}");
    });
}

fn privileges(place: &Place) {
    each(place, "other_runtimes_take_the_same_privileges", |place, program| {
        let script = "grep -E '^(Cap|NoNewPrivs|Seccomp:)' /proc/self/status";
        assert_eq!(sh(place, program, &[], script), place.sh(&[], script), "{program}");
        if place.user != User::Single {
            let options = ["--user", "www-data"];
            let script = "id -u; id -g; id -G; grep -E '^(Cap|NoNewPrivs|Seccomp:)' /proc/self/status";
            assert_eq!(sh(place, program, &options, script), place.sh(&options, script), "{program}");
        }
        for attempt in
            ["mount -t tmpfs x /tmp", "unshare -U true", "unshare -m true", "umount /proc", "mknod /tmp/d b 8 0"]
        {
            let ended = run(place, program, &[], &["sh", "-c", attempt]);
            assert_ne!(ended.code, 0, "{program}: {attempt}: {ended:?}");
        }
        assert_eq!(sh(place, program, &[], "cat /proc/keys /proc/timer_list; ls /sys/firmware"), "");
        let ended = run(place, program, &[], &["sh", "-c", "echo x >/proc/sys/kernel/hostname"]);
        assert!(ended.err.contains("Read-only file system"), "{}", ended.err);
    });
}

fn packages(place: &Place) {
    each(place, "other_runtimes_have_read_only_packages", |place, program| {
        let options = ["--read-only", "packages", "--read-only", "usr", "--read-only", "not/there"];
        let out = sh(place, program, &options, "cat /packages/example.com/tool@1/file; echo x >/etc/new; cat /etc/new");
        assert_eq!(out, "packaged\nx\n");
        for attempt in ["echo x >/packages/new", "echo x >/usr/share/data", "mkdir /usr/x"] {
            let ended = run(place, program, &options, &["sh", "-c", attempt]);
            assert!(ended.code != 0 && ended.err.contains("Read-only file system"), "{program}: {attempt}: {ended:?}");
        }
    });
}

fn mounts(place: &Place) {
    each(place, "other_runtimes_take_mounts", |place, program| {
        let outside = place.path("outside");
        fs::write(outside.join("file"), "from outside\n").unwrap();
        let below = format!("{}:/usr/share/host", outside.display());
        let file = format!("{}:/new/file:ro", outside.join("file").display());
        let options = ["--read-only", "usr", "--mount", &below, "--mount", &file];
        assert_eq!(sh(place, program, &options, "cat /new/file /usr/share/host/file"), "from outside\nfrom outside\n");
        let ended = run(place, program, &options, &["sh", "-c", "echo x >/new/file"]);
        assert!(ended.err.contains("Read-only file system"), "{}", ended.err);
        for link in ["absolute", "relative"] {
            let option = format!("{}:/{link}/planted", place.path("files/etc").display());
            let ended = run(place, program, &["--mount", &option], &["true"]);
            assert!(!outside.join("planted").exists(), "{program}: {link}: {ended:?}");
        }
    });
}

/// As in CVE-2024-21626, in whose time runc was caught.
fn descriptors(place: &Place) {
    each(place, "other_runtimes_inherit_nothing_of_the_caller", |place, program| {
        let secret = place.path("outside/secret");
        fs::write(&secret, "of the host\n").unwrap();
        let script = format!("cat ../../../../../../../..{0} ..{0} .{0} 2>/dev/null; true", secret.display());
        for number in 3..12 {
            let directory = format!("/proc/self/fd/{number}");
            let ended = leaky(place, &["--runtime", program, "--workdir", &directory], &["sh", "-c", &script]);
            assert!(!ended.out.contains("of the host"), "{program}: {directory}: {ended:?}");
        }
    });
}

fn signals(place: &Place) {
    each(place, "other_runtimes_hand_signals_on", |place, program| {
        let (mut child, _out) =
            place.start(&["--runtime", program], "trap 'exit 42' TERM; echo ready; while :; do sleep 0.05; done");
        kill_process(Pid::from_child(&child), Signal::TERM).unwrap();
        assert_eq!(child.wait().unwrap().code(), Some(42), "{program}");
    });
}

fn terminal(place: &Place) {
    each(place, "other_runtimes_give_a_terminal", |place, program| {
        let ended = run(place, program, &["--terminal"], &["sh", "-c", "tty; echo to-stderr >&2"]);
        assert_eq!(
            (ended.code, ended.out.as_str(), ended.err.as_str()),
            (0, "/dev/pts/0\r\nto-stderr\r\n", ""),
            "{program}"
        );
    });
}

fn limits(place: &Place) {
    each(place, "other_runtimes_take_limits", |place, program| {
        let ended = run(place, program, &["--pids", "3"], &["sh", "-c", "for n in 1 2 3; do sleep 60 & echo $n; done"]);
        if place.user == User::Root {
            assert!(
                ended.out.starts_with("1\n2\n") && ended.code != 0 && ended.err.contains("can't fork"),
                "{program}: {ended:?}"
            );
            let hog = "x=0123456789abcdef; while :; do x=$x$x; done";
            let ended = run(place, program, &["--memory", "33554432"], &["sh", "-c", hog]);
            assert_eq!((ended.code, ended.err.as_str()), (137, "killed for its memory\n"), "{program}");
        } else {
            assert!(ended.code == 125 && ended.err.contains("can't run the container: "), "{program}: {ended:?}");
        }
    });
}

/// Random instants, from before the runtime starts to after the workload does; then everything of ours is gone, and what
/// is left on disk goes with the next collection.
fn kills(place: &Place) {
    each(place, "other_runtimes_leave_nothing_after_a_kill", |place, program| {
        let before = fs::read_to_string("/proc/self/mountinfo").unwrap();
        let marker = format!("other-{:?}-{}", place.user, std::process::id());
        let option = format!("MARKER={marker}");
        let mut random = u64::from(std::process::id()) * 2_654_435_761 + 1;
        for round in 0..8 {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let id = format!("other-{:?}-{}-{round}", place.user, std::process::id());
            let tree = "trap '' TERM HUP INT; (setsid sleep 300 >/dev/null 2>&1 &); sleep 300 & wait; sleep 300";
            let mut child = place
                .container(&["--runtime", program, "--env", &option, "--id", &id], &["sh", "-c", tree])
                .env("MARKER", &marker)
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .unwrap();
            std::thread::sleep(Duration::from_micros((random >> 33) % 300_000));
            let ours = roles(child.id());
            let victim = ours[(random as usize >> 3) % ours.len()];
            if let Some(pid) = i32::try_from(victim).ok().and_then(Pid::from_raw) {
                // It may have ended by itself.
                let _ = kill_process(pid, Signal::KILL);
            }
            let end = Instant::now() + Duration::from_secs(20);
            while child.try_wait().unwrap().is_none() || !marked(&marker).is_empty() {
                assert!(Instant::now() < end, "{program}: round {round}: {:?} survive", marked(&marker));
                std::thread::sleep(Duration::from_millis(2));
            }
        }
        assert_eq!(fs::read_to_string("/proc/self/mountinfo").unwrap(), before);
        collect_until(place, &[]);
        let name = format!("larder-other-{:?}-{}", place.user, std::process::id());
        assert_eq!(cgroups(&name), Vec::<String>::new(), "{program}");
    });
}

fn unable(place: &Place) {
    for program in PROGRAMS.into_iter().filter(|program| Path::new(program).exists()) {
        if refuses_this_host(place, program) {
            let ended = run(place, program, &[], &["true"]);
            let said =
                "it refuses hosts with cgroups of both versions (hybrid), and an ordinary user can't hide one of them";
            assert!(ended.code == 125 && ended.err.contains(said), "{ended:?}");
        } else if place.user == User::Single {
            let ended = run(place, program, &["--user", "www-data"], &["true"]);
            let said = "without a range of ids in /etc/subuid and /etc/subgid it runs the container's root only";
            assert!(ended.code == 125 && ended.err.contains(said), "{ended:?}");
        }
    }
    let gone = place.path("runc");
    let ended = run(place, gone.to_str().unwrap(), &[], &["true"]);
    assert!(ended.code == 125 && ended.err.contains("can't execute") && ended.err.contains("runc"), "{ended:?}");
}
