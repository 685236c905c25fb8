//! What a container can't do.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::Test;
use crate::place::{Place, User, ended};

pub(crate) const TESTS: &[Test] = &[
    ("capabilities_are_few", capabilities),
    ("namespaces_and_mounts_are_refused", refused),
    ("proc_and_sys_are_masked", masked),
    ("our_processes_are_out_of_reach", our_processes),
    ("files_in_memory_need_not_be_executable", no_programs_in_memory),
    ("packages_are_read_only", packages),
    ("a_read_only_root_takes_no_writes", read_only_root),
    ("mounts_of_the_host", mounts),
    ("a_link_cannot_lead_a_mount_outside", escape),
    ("a_mount_cannot_lie_over_the_root", over_the_root),
    ("a_link_cannot_stand_in_for_proc", links_for_proc),
    ("the_network_is_its_own", network),
    ("devices", devices),
];

fn capabilities(place: &Place) {
    let status = |options: &[&str]| place.sh(options, "grep -E '^(Cap|NoNewPrivs|Seccomp:)' /proc/self/status");
    let sets = |effective: &str| {
        format!(
            "CapInh:\t0000000000000000\nCapPrm:\t{effective}\nCapEff:\t{effective}\nCapBnd:\t00000000000405fb\n\
             CapAmb:\t0000000000000000\nNoNewPrivs:\t1\nSeccomp:\t2\n"
        )
    };
    assert_eq!(status(&[]), sets("00000000000405fb"));
    assert_eq!(status(&["--user", "www-data"]), sets("0000000000000000"));
}

fn refused(place: &Place) {
    for attempt in [
        "mount -t tmpfs x /tmp",
        "unshare -U true",
        "unshare -m true",
        "umount /proc",
        "mknod /tmp/d b 8 0",
        "hostname x",
    ] {
        let ended = place.run(&[], &["sh", "-c", attempt]);
        let said = ["not permitted", "permission denied"].iter().any(|words| ended.err.contains(words));
        assert!(ended.code != 0 && said, "{attempt}: {ended:?}");
    }
}

fn masked(place: &Place) {
    assert_eq!(place.sh(&[], "cat /proc/keys /proc/timer_list /proc/interrupts; ls /sys/firmware /proc/acpi 2>/dev/null | grep -v :; true").trim(), "");
    for path in ["/proc/sys/kernel/core_pattern", "/proc/sysrq-trigger", "/sys/kernel/uevent_helper", "/proc/irq/x"] {
        let ended = place.run(&[], &["sh", "-c", &format!("echo x >{path}")]);
        assert_ne!(ended.code, 0, "{path}");
    }
    let ended = place.run(&[], &["sh", "-c", "echo x >/proc/sys/kernel/hostname"]);
    assert!(ended.err.contains("Read-only file system"), "{}", ended.err);
}

fn our_processes(place: &Place) {
    for attempt in [
        "readlink /proc/1/exe",
        "readlink /proc/1/fd/0",
        "cat /proc/1/fd/0",
        "cat /proc/1/environ",
        "ls /proc/1/root/",
        "cat /proc/1/mem",
    ] {
        assert_ne!(place.run(&[], &["sh", "-c", attempt]).code, 0, "{attempt}");
    }
    // The program that the launcher would have executed itself as.
    let ended = place.run(&[], &["/proc/self/exe", "x"]);
    assert_ne!(ended.code, 0);
    let listed = place.sh(&[], "ps -o pid >/tmp/listed; wc -l </tmp/listed");
    assert_eq!(listed.trim(), "4", "a heading, the init, the shell and ps");
}

/// As the sysctl `vm.memfd_noexec` of a hardened host says, here for the processes below one alone.
fn no_programs_in_memory(place: &Place) {
    let skip = |reason: &str| println!("SKIPPED {:?}::files_in_memory_need_not_be_executable: {reason}", place.user);
    if !rustix::process::geteuid().is_root() {
        return skip("it needs root");
    }
    if !Path::new("/proc/sys/vm/memfd_noexec").exists() {
        return skip("this kernel has no such setting");
    }
    let script = "readlink /proc/self/exe >/dev/null && cat /proc/sys/vm/memfd_noexec && ls /proc/1/exe";
    let container = place.container(&[], &["sh", "-c", script]);
    let mut command = Command::new("unshare");
    command.args([
        "--pid",
        "--fork",
        "--mount-proc",
        "sh",
        "-c",
        "echo 2 >/proc/sys/vm/memfd_noexec && exec \"$@\"",
        "sh",
    ]);
    command.arg(container.get_program()).args(container.get_args()).current_dir(place.path("."));
    let ended = ended(command.stdin(Stdio::null()).output().unwrap());
    assert_eq!((ended.out.trim(), ended.code != 0), ("2", true), "{ended:?}");
    assert!(ended.err.contains("/proc/1/exe") && !ended.err.contains("launch:"), "{ended:?}");
    assert_eq!(place.left(), Vec::<String>::new());
}

fn packages(place: &Place) {
    let read_only = ["--read-only", "packages", "--read-only", "usr", "--read-only", "not/there"];
    assert_eq!(
        place.sh(&read_only, "cat /packages/example.com/tool@1/file /usr/share/data; echo x >/etc/new; cat /etc/new"),
        "packaged\ndata\nx\n"
    );
    for attempt in ["echo x >/packages/new", "echo x >/usr/share/data", "mkdir /usr/x", "ln -s a /packages/b"] {
        let ended = place.run(&read_only, &["sh", "-c", attempt]);
        assert!(ended.code != 0 && ended.err.contains("Read-only file system"), "{attempt}: {ended:?}");
    }
    let writable = [&read_only[..], &["--writable"]].concat();
    assert_eq!(place.sh(&writable, "echo x >/usr/share/data; cat /usr/share/data"), "x\n");
    assert_eq!(place.sh(&[], "cat /usr/share/data"), "data\n", "the next container has none of it");
    let mount = format!("{}:/usr/share/host", place.path("outside").display());
    assert_eq!(
        place.sh(&[&read_only[..], &["--mount", &mount]].concat(), "echo x >/usr/share/host/f; cat /usr/share/host/f"),
        "x\n"
    );
}

fn read_only_root(place: &Place) {
    // The mount points have to be there already.
    for name in ["proc", "dev", "sys"] {
        fs::create_dir_all(place.path("files").join(name)).unwrap();
    }
    let ended = place.run(&["--read-only-root", "--key", "00fe"], &["sh", "-c", "echo x >/tmp/x"]);
    assert!(ended.code != 0 && ended.err.contains("Read-only file system"), "{ended:?}");
}

fn mounts(place: &Place) {
    let outside = place.path("outside");
    fs::write(outside.join("file"), "from outside\n").unwrap();
    let directory = format!("{}:/new/mount/point", outside.display());
    let file = format!("{}:/new/file:ro", outside.join("file").display());
    let options = ["--mount", &directory, "--mount", &file];
    assert_eq!(
        place.sh(&options, "cat /new/mount/point/file /new/file; echo written >/new/mount/point/back"),
        "from outside\nfrom outside\n"
    );
    assert_eq!(fs::read_to_string(outside.join("back")).unwrap(), "written\n");
    let ended = place.run(&options, &["sh", "-c", "echo x >/new/file"]);
    assert!(ended.err.contains("Read-only file system"), "{}", ended.err);
    let read_only = format!("{}:/m:ro", outside.display());
    let ended = place.run(&["--mount", &read_only], &["sh", "-c", "echo x >/m/x"]);
    assert!(ended.err.contains("Read-only file system"), "{}", ended.err);
}

fn escape(place: &Place) {
    let outside = place.path("outside");
    let source = place.path("files/etc");
    for link in ["absolute", "relative", "magic/absolute"] {
        let option = format!("{}:/{link}/planted", source.display());
        let ended = place.run(&["--mount", &option], &["sh", "-c", "true"]);
        assert!(!outside.join("planted").exists(), "{link}: {ended:?}");
    }
    let option = format!("{}:/dangling/planted", source.display());
    let ended = place.run(&["--mount", &option], &["true"]);
    assert!(ended.code == 125 && ended.err.contains("leads to nothing"), "{ended:?}");
    // Inside, the link leads to the same path below the container's root.
    let option = format!("{}:/absolute/planted", source.display());
    let script = format!("ls {}/planted/passwd", outside.display());
    assert_eq!(place.sh(&["--mount", &option], &script).trim(), format!("{}/planted/passwd", outside.display()));
}

/// Found by an attack: `..` behind a link leads to the root, where a mount would be beside the host's root for a moment.
fn over_the_root(place: &Place) {
    let option = format!("{}:/to-root", place.path("outside").display());
    let ended = place.run(&["--mount", &option], &["true"]);
    assert!(ended.code == 125 && ended.err.contains("leads to the container's root"), "{ended:?}");
}

/// Found by an attack: an image with a link for /proc chose where its own masks went.
fn links_for_proc(place: &Place) {
    let files = place.path("files");
    for (name, target) in [("proc", "/var"), ("proc", "/var/../.."), ("sys", "/proc/self"), ("dev", "/bin")] {
        let link = files.join(name);
        // Another test may have made the mount point.
        let _ = fs::remove_dir(&link);
        std::os::unix::fs::symlink(target, &link).unwrap();
        let key = format!("00fd{:02x}{:02x}", name.len(), target.len());
        let ended = place.run(&["--key", &key], &["true"]);
        fs::remove_file(&link).unwrap();
        fs::create_dir(link).unwrap();
        let said = format!("the mount point /{name} is a symbolic link in the image");
        assert!(ended.code == 125 && ended.err.contains(&said), "{name} -> {target}: {ended:?}");
    }
}

fn network(place: &Place) {
    assert_eq!(
        place.sh(&[], "ls /sys/class/net; cat /sys/class/net/lo/operstate; ifconfig lo | grep -c UP"),
        "lo\nunknown\n1\n"
    );
    let host = fs::read_to_string("/proc/net/dev").unwrap().lines().count();
    assert_eq!(place.sh(&["--net-host"], "cat /proc/net/dev | wc -l").trim(), host.to_string());
    assert_eq!(place.sh(&[], "cat /proc/sys/net/ipv4/ip_unprivileged_port_start"), "0\n");
}

fn devices(place: &Place) {
    let out = place.sh(&[], "head -c 4 /dev/urandom | wc -c; head -c 4 /dev/zero | wc -c; echo x >/dev/null; echo y >/dev/shm/z; cat /dev/shm/z; echo v | cat /dev/fd/0; ls /dev/pts");
    assert_eq!(out, "4\n4\ny\nv\nptmx\n");
    assert_eq!(
        place.sh(&["--user", "www-data"], "echo x >/dev/null; echo x >/dev/shm/f; head -c 1 /dev/random | wc -c"),
        "1\n"
    );
    if place.user != User::Root {
        let ended = place.run(&[], &["mknod", "/tmp/null", "c", "1", "3"]);
        assert_ne!(ended.code, 0);
    }
}
