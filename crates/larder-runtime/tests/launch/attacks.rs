//! Ways out that others have been caught by, tried from inside a running container.
//!
//! System calls that busybox has no applet for are made by Perl, which every Debian has: the host's `/usr` is mounted for it.

use std::fs;
use std::io::Write;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;
use std::process::{Command, Stdio};

use crate::Test;
use crate::place::{Ended, Place, User, ended};

pub(crate) const TESTS: &[Test] = &[
    ("no_route_writes_to_a_package", files_of_packages),
    ("no_system_call_writes_to_a_package", calls_on_packages),
    ("handles_open_nothing", handles),
    ("descriptors_of_the_caller_are_not_inherited", descriptors),
    ("a_working_directory_cannot_lead_outside", working_directory),
    ("the_running_program_cannot_be_overwritten", running_program),
    ("a_link_that_changes_cannot_lead_a_mount_outside", races),
    ("a_false_dev_null_unmasks_nothing", false_null),
    ("set_id_programs_are_inert", set_id),
    ("ids_are_the_callers_own", ids),
];

const PACKAGES: &[&str] = &["--read-only", "packages", "--read-only", "usr"];
const FILE: &str = "/packages/example.com/tool@1/file";

/// The contents of a directory tree, with modes: to see that nothing in it has changed.
fn snapshot(directory: &Path) -> Vec<(String, u32, Vec<u8>)> {
    let mut all = Vec::new();
    for entry in fs::read_dir(directory).unwrap().map(Result::unwrap) {
        let meta = entry.path().symlink_metadata().unwrap();
        if meta.is_dir() {
            all.extend(snapshot(&entry.path()));
        } else if meta.is_file() {
            let name = entry.path().display().to_string();
            all.push((name, meta.permissions().mode(), fs::read(entry.path()).unwrap()));
        }
    }
    all.sort();
    all
}

/// The users of a container that an attack is tried as.
fn users() -> [&'static [&'static str]; 2] {
    [&[], &["--user", "www-data"]]
}

fn files_of_packages(place: &Place) {
    place.sh(PACKAGES, "true");
    let before = snapshot(&place.path("store/objects"));
    assert!(!before.is_empty());
    let attempts = [
        format!("mount -o remount,rw /packages && echo x >{FILE}"),
        format!("mount -o remount,bind,rw /packages && echo x >{FILE}"),
        format!("mkdir /tmp/m && mount -o bind / /tmp/m && echo x >/tmp/m{FILE}"),
        format!("umount /packages && echo x >{FILE}"),
        "mount -t tmpfs x /packages".to_owned(),
        format!("for p in /proc/[0-9]*; do echo x >$p/root{FILE} && exit 0; done; exit 1"),
        format!("for p in /proc/[0-9]*; do echo x >$p/cwd{FILE} && exit 0; done; exit 1"),
        format!("exec 3<{FILE}; echo x >/proc/self/fd/3"),
        format!("ln {FILE} /tmp/l && echo x >/tmp/l"),
        format!("ln {FILE} /packages/l"),
        format!("chown 33 {FILE}"),
        format!("touch {FILE}"),
        format!("dd if=/dev/zero of={FILE} bs=1 count=1 conv=notrunc"),
        "mkdir /packages/new".to_owned(),
        "ln -s /tmp /usr/link".to_owned(),
        format!("cd /proc/self/root/packages/example.com && echo x >tool@1/file && cat {FILE} | grep x"),
        format!("unshare -m sh -c 'mount -o remount,rw /packages; echo x >{FILE}'"),
        format!("unshare -U -m -r sh -c 'mount -o remount,rw /packages; echo x >{FILE}'"),
        "mknod /tmp/disk b 254 0 && cat /tmp/disk | head -c 1".to_owned(),
    ];
    for user in users() {
        let options = [PACKAGES, user].concat();
        for attempt in &attempts {
            let ended = place.run(&options, &["sh", "-c", attempt]);
            assert_ne!(ended.code, 0, "{user:?}: {attempt}: {ended:?}");
        }
        // All at once, and what is seen afterwards from inside.
        let all: String = attempts.iter().map(|attempt| format!("({attempt}) 2>/dev/null >/dev/null; ")).collect();
        let seen = place.run(&options, &["sh", "-c", &format!("{all} cat {FILE} /usr/share/data; ls /packages /usr")]);
        assert_eq!(seen.out, "packaged\ndata\n/packages:\nexample.com\n\n/usr:\nshare\n", "{}", seen.err);
    }
    assert_eq!(snapshot(&place.path("store/objects")), before);
}

/// Runs a Perl script in a container; `None`, said aloud, where there is no Perl or another architecture.
fn perl(place: &Place, test: &str, options: &[&str], script: &str) -> Option<Ended> {
    let skip = |reason: &str| println!("SKIPPED {:?}::{test}: {reason}", place.user);
    if !Path::new("/usr/bin/perl").exists() {
        skip("there is no perl, which makes the system calls");
        return None;
    }
    if !cfg!(target_arch = "x86_64") {
        skip("the numbers of the system calls are those of x86-64");
        return None;
    }
    let mounts = ["--mount", "/usr:/host:ro", "--mount", "/usr/lib:/lib:ro", "--mount", "/usr/lib64:/lib64:ro"];
    let options = [&["--read-only", "packages", "--env", "LD_LIBRARY_PATH=/host/lib"], &mounts[..], options].concat();
    let library = fs::read_dir("/usr/lib/x86_64-linux-gnu").unwrap().flatten();
    let base = library.map(|entry| entry.path()).find(|path| path.join("strict.pm").exists());
    let include = base.map_or_else(String::new, |path| path.display().to_string().replacen("/usr", "/host", 1));
    Some(place.run(&options, &["/host/bin/perl", &format!("-I{include}"), "-e", &format!("{CALLS}{script}")]))
}

/// `try NAME, NUMBER, ARGUMENTS…` says a line: the name, and the result or the kernel's answer.
const CALLS: &str = r#"$| = 1; sub try { my ($name, @call) = @_; my $r = syscall($call[0], @call[1..$#call]); print "$name: ", ($r == -1 ? "$!" : "done"), "\n"; $r }
my $file = "/packages/example.com/tool\@1/file"; my $file0 = "$file\0";
"#;

fn calls_on_packages(place: &Place) {
    let test = "no_system_call_writes_to_a_package";
    let before = snapshot(&place.path("store/objects"));
    let script = r#"
my $packages = "/packages\0"; my $none = "\0"; my $attr = pack("QQQQ", 0, 1, 0, 0);
try "mount remount", 165, $none, $packages, $none, 0x20 | 0x1000, 0;
try "mount bind", 165, $packages, "/tmp\0", $none, 0x1000, 0;
try "move a mount", 165, $packages, "/tmp\0", $none, 0x2000, 0;
try "mount_setattr", 442, -100, $packages, 0, $attr, 32;
try "open_tree", 428, -100, $packages, 1;
try "fsopen", 430, "tmpfs\0", 0;
try "pivot_root", 155, "/tmp\0", "/tmp\0";
for my $p ("/proc/1/ns/mnt", "/proc/self/ns/mnt") { if (open(my $f, "<", $p)) { try "setns", 308, fileno($f), 0; } else { print "setns: $!\n"; } }
try "chroot and back", 161, "/proc/1/root\0";
try "truncate", 76, $file0, 0;
try "unlink", 87, $file0;
try "rename", 82, $file0, "/tmp/x\0";
try "chmod", 90, $file0, 0777;
try "setxattr", 188, $file0, "user.x\0", "y", 1, 0;
open(my $f, "<", $file) or die; my $page = syscall(9, 0, 4096, 1, 2, fileno($f), 0);
my $shared = syscall(9, 0, 4096, 1, 1, fileno($f), 0);
try "make a shared page writable", 10, $shared, 4096, 3;
open(my $mem, "+<", "/proc/self/mem") or die "mem: $!";
for my $at ($page, $shared) { sysseek($mem, $at, 0); my $n = syswrite($mem, "XXXX"); print defined $n ? "mem: written\n" : "mem: $!\n"; }
open(my $again, "<", $file) or die; print "file: ", scalar(<$again>);
"#;
    for user in users() {
        let Some(ended) = perl(place, test, user, script) else { return };
        let said: Vec<&str> = ended.out.lines().collect();
        assert_eq!(said.last(), Some(&"file: packaged"), "{ended:?}");
        let done: Vec<_> = said.iter().filter(|line| line.contains(": done")).collect();
        assert!(done.is_empty(), "{user:?}: {done:?}\n{}", ended.out);
        assert_eq!(said.iter().filter(|line| line.contains("not permitted")).count(), 8, "{}", ended.out);
        // A private page of one's own may be written to; a shared one not.
        let memory: Vec<_> = said.iter().filter(|line| line.starts_with("mem: ")).collect();
        assert!(memory.len() == 2 && *memory[1] != "mem: written", "{}", ended.out);
    }
    assert_eq!(snapshot(&place.path("store/objects")), before);
}

/// The way of "shocker": a handle leads to any inode of a file system, past every mount.
fn handles(place: &Place) {
    let script = r#"
open(my $root, "<", "/") or die; my $handle = pack("Ii", 128, 0) . ("\0" x 128); my $id = pack("i", 0);
try "name_to_handle_at", 303, -100, $file0, $handle, $id, 0;
try "open_by_handle_at", 304, fileno($root), $handle, 2;
my $guess = pack("IiQ", 8, 1, 2);
try "open_by_handle_at, guessed", 304, fileno($root), $guess, 0;
"#;
    for capability in [&[][..], &["--capability", "DAC_READ_SEARCH"]] {
        for user in users() {
            let options = [capability, user].concat();
            let Some(ended) = perl(place, "handles_open_nothing", &options, script) else { return };
            let opened: Vec<&str> = ended.out.lines().filter(|line| line.starts_with("open_by_handle_at")).collect();
            let refused = opened.iter().filter(|line| line.ends_with(": Operation not permitted")).count();
            assert_eq!((opened.len(), refused), (2, 2), "{options:?}: {ended:?}");
        }
    }
}

/// The launcher, called with the host's root open as descriptor 9 and as its working directory.
pub(crate) fn leaky(place: &Place, options: &[&str], program: &[&str]) -> Ended {
    let command = place.container(options, program);
    let mut shell = Command::new("sh");
    shell.args(["-c", "cd / && exec 9</ && exec \"$@\"", "sh"]).arg(command.get_program()).args(command.get_args());
    ended(shell.stdin(Stdio::null()).output().unwrap())
}

/// As in CVE-2024-21626: what the caller has open is a way out.
fn descriptors(place: &Place) {
    if place.user == User::Range && rustix::process::geteuid().is_root() {
        // Its wrapper opens and closes on its own.
        println!("SKIPPED {:?}::descriptors_of_the_caller_are_not_inherited: tried as the other users", place.user);
        return;
    }
    let ended =
        leaky(place, &[], &["sh", "-c", "for f in /proc/self/fd/*; do echo ${f##*/}; done; ls /proc/self/fd/9/ 2>&1"]);
    let open: Vec<&str> = ended.out.lines().collect();
    assert!(ended.out.contains("No such file"), "{ended:?}");
    // The shell has the directory open while it lists it.
    assert!(open.iter().all(|line| line.len() > 2 || ["0", "1", "2", "3"].contains(line)), "{ended:?}");
    let cwd = leaky(place, &[], &["sh", "-c", "readlink /proc/self/cwd; pwd; ls -d /proc/self/cwd/bin/busybox"]);
    assert_eq!(cwd.out, "/\n/\n/proc/self/cwd/bin/busybox\n", "{cwd:?}");
}

fn working_directory(place: &Place) {
    let secret = place.path("outside/secret");
    fs::write(&secret, "of the host\n").unwrap();
    let script = format!("cat ../../../../../../../..{0} ..{0} .{0} 2>/dev/null; true", secret.display());
    // Which descriptors there are is the launcher's business, so all are tried: by name, and through a link of the image.
    for number in 0..16 {
        let direct = format!("/proc/self/fd/{number}");
        for directory in [&direct, &format!("/proc/1/fd/{number}"), &format!("/proc/thread-self/fd/{number}")] {
            let ended = leaky(place, &["--workdir", directory], &["sh", "-c", &script]);
            assert!(!ended.out.contains("of the host"), "{directory}: {ended:?}");
            assert!(ended.code == 125 || ended.code == 0, "{directory}: {ended:?}");
        }
    }
    let files = place.path("files");
    let _ = fs::remove_file(files.join("way-out"));
    symlink("/proc/self/fd/9", files.join("way-out")).unwrap();
    let ended = leaky(place, &["--key", "00fc", "--workdir", "/way-out"], &["sh", "-c", &script]);
    fs::remove_file(files.join("way-out")).unwrap();
    assert!(!ended.out.contains("of the host") && ended.code == 125, "{ended:?}");
    // A directory that the caller gave as standard input, as a directory and as the place of the program.
    let mut command = place.container(&["--workdir", "/proc/self/fd/0"], &["sh", "-c", &script]);
    let output = ended_with(command.stdin(fs::File::open("/").unwrap()));
    assert!(!output.out.contains("of the host") && output.code == 125, "{output:?}");
    for number in 3..16 {
        // The host has this program, the image hasn't.
        let ended = leaky(place, &[], &[&format!("/proc/self/fd/{number}/usr/bin/env")]);
        assert!([126, 127].contains(&ended.code), "a program of the host was executed: {number}: {ended:?}");
    }
}

fn ended_with(command: &mut Command) -> Ended {
    ended(command.output().unwrap())
}

/// As in CVE-2019-5736.
fn running_program(place: &Place) {
    let launcher = place.path("launcher");
    let before = fs::read(&launcher).unwrap();
    let files = place.path("files");
    // The program that is executed names the one that executes it, itself or as its interpreter.
    fs::write(files.join("bin/self"), "#!/proc/self/exe\n").unwrap();
    fs::set_permissions(files.join("bin/self"), PermissionsExt::from_mode(0o755)).unwrap();
    for program in [&["/proc/self/exe"][..], &["/proc/1/exe"], &["self"], &["/proc/thread-self/exe", "x"]] {
        let ended = place.run(&["--key", "00fb"], program);
        assert_ne!(ended.code, 0, "{program:?}: {ended:?}");
    }
    fs::remove_file(files.join("bin/self")).unwrap();
    let script = "for p in /proc/[0-9]*; do for i in 1 2 3; do echo x >$p/exe; cat /dev/null >$p/exe; done; done; true";
    for user in users() {
        let ended = place.run(user, &["sh", "-c", script]);
        assert_eq!((ended.code, ended.out.as_str()), (0, ""), "{ended:?}");
    }
    assert!(fs::read(&launcher).unwrap() == before, "the launcher's program was changed");
    // From the host, as root: what runs in the container isn't the launcher's program, and can't be changed by who may open it, neither
    // while it runs nor afterwards.
    if place.user == User::Root {
        let (mut child, _out) = place.start(&[], "echo ready; sleep 60");
        let ours = crate::crash::roles(child.id());
        assert!(ours.len() >= 3, "{ours:?}");
        // The launcher and the supervisor are in no PID namespace of a container.
        let path = format!("/proc/{}/exe", ours[2]);
        let program = fs::File::open(&path).unwrap();
        let (own, other) = (program.metadata().unwrap(), fs::metadata(&launcher).unwrap());
        assert_ne!((own.dev(), own.ino()), (other.dev(), other.ino()));
        let again = format!("/proc/self/fd/{}", program.as_raw_fd());
        let write = || fs::OpenOptions::new().write(true).open(&again).and_then(|mut file| file.write(b"x"));
        assert_eq!(write().unwrap_err().raw_os_error(), Some(26), "ETXTBSY is expected");
        child.kill().unwrap();
        child.wait().unwrap();
        crate::crash::collect_until(place, &[]);
        assert_eq!(write().unwrap_err().raw_os_error(), Some(1), "EPERM is expected: it is sealed");
    }
}

/// Somebody who can write to one mount swaps a directory in it for a link, while another container gets a mount below it.
fn races(place: &Place) {
    let (shared, outside) = (place.path("shared"), place.path("outside"));
    fs::create_dir_all(shared.join("real/planted")).unwrap();
    if rustix::process::geteuid().is_root() {
        for name in ["real", "real/planted"] {
            std::os::unix::fs::chown(shared.join(name), Some(place.uid()), Some(place.uid())).unwrap();
        }
    }
    let links = ["up", "abs", "root", "proc"];
    for (name, target) in links.iter().zip(["../../../../../..", outside.to_str().unwrap(), "/proc/self/root", "/proc"])
    {
        symlink(target, shared.join(name)).unwrap();
    }
    let stop = std::sync::atomic::AtomicBool::new(false);
    let swapped = shared.join("dir");
    symlink("real", &swapped).unwrap();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for name in links.iter().chain(["real"].iter()).cycle() {
                if stop.load(std::sync::atomic::Ordering::Relaxed) {
                    break;
                }
                let next = shared.join("next");
                symlink(name, &next).unwrap();
                fs::rename(&next, &swapped).unwrap();
            }
        });
        let below = format!("{}:/shared", shared.display());
        let planted = format!("{}:/shared/dir/planted", place.path("files/etc").display());
        let before = fs::read_to_string("/proc/self/mountinfo").unwrap();
        for _ in 0..30 {
            let check = "cat /proc/keys; echo x >/proc/sys/kernel/hostname; echo x >/proc/sysrq-trigger; readlink /proc/self/exe";
            let ended = place.run(&["--mount", &below, "--mount", &planted], &["sh", "-c", check]);
            // It runs as it should, or is refused.
            assert!(ended.code == 125 || ended.out == "/bin/busybox\n", "{ended:?}");
            assert!(!outside.join("planted").exists(), "a mount point was made on the host");
        }
        assert_eq!(fs::read_to_string("/proc/self/mountinfo").unwrap(), before);
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
    });
    fs::remove_dir_all(&shared).unwrap();
    assert_eq!(place.left(), Vec::<String>::new());
}

/// As in CVE-2025-31133: what hides a file must be the null device, not what an attacker put in its place.
fn false_null(place: &Place) {
    let dev = place.path("dev");
    let _ = fs::remove_dir_all(&dev);
    fs::create_dir(&dev).unwrap();
    for target in ["/proc/keys", "/proc/sysrq-trigger", "/etc/passwd", "/nowhere"] {
        let _ = fs::remove_file(dev.join("null"));
        symlink(target, dev.join("null")).unwrap();
        let mount = format!("{}:/dev", dev.display());
        let ended = place.run(&["--mount", &mount], &["sh", "-c", "cat /proc/keys /proc/interrupts"]);
        assert!(ended.code == 125 && ended.out.is_empty(), "{target}: {ended:?}");
        assert!(ended.err.contains("/dev/null"), "{target}: {ended:?}");
    }
    // As in CVE-2025-52881: a setting of the kernel is written to the kernel's files only.
    let proc = place.path("proc");
    let _ = fs::remove_dir_all(&proc);
    fs::create_dir_all(proc.join("sys/net/ipv4")).unwrap();
    let bait = place.path("outside/bait");
    fs::write(&bait, "bait").unwrap();
    symlink("/bait", proc.join("sys/net/ipv4/ip_unprivileged_port_start")).unwrap();
    let mounts = [format!("{}:/proc", proc.display()), format!("{}:/bait", bait.display())];
    let ended = place.run(&["--mount", &mounts[0], "--mount", &mounts[1]], &["true"]);
    assert_eq!(fs::read_to_string(&bait).unwrap(), "bait", "{ended:?}");
    fs::remove_dir_all(&proc).unwrap();
    fs::remove_dir_all(&dev).unwrap();
}

fn set_id(place: &Place) {
    let files = place.path("files");
    fs::create_dir_all(files.join("suid")).unwrap();
    fs::copy(files.join("bin/busybox"), files.join("suid/id")).unwrap();
    fs::set_permissions(files.join("suid/id"), PermissionsExt::from_mode(0o6755)).unwrap();
    let options = ["--key", "00fa", "--user", "www-data"];
    assert_eq!(place.sh(&options, "/suid/id -u; /suid/id -g"), "33\n33\n");
    fs::remove_dir_all(files.join("suid")).unwrap();
}

/// User namespaces: root of an ordinary user's container is that user.
fn ids(place: &Place) {
    let map = place.sh(&[], "cat /proc/self/uid_map");
    let map: Vec<Vec<&str>> = map.lines().map(|line| line.split_whitespace().collect()).collect();
    let uid = if rustix::process::geteuid().is_root() { place.uid() } else { rustix::process::geteuid().as_raw() };
    let change = place.run(&[], &["sh", "-c", "touch /tmp/f && chown 33:33 /tmp/f && stat -c %u:%g /tmp/f"]);
    match place.user {
        User::Root => assert_eq!(map, [["0", "0", "4294967295"]]),
        User::Range => {
            assert_eq!(map[0], ["0", &uid.to_string(), "1"]);
            assert_eq!((map.len(), map[1][0]), (2, "1"));
            assert_eq!((change.code, change.out.as_str()), (0, "33:33\n"), "{change:?}");
        }
        User::Single => {
            assert_eq!(map, [["0", &uid.to_string(), "1"]]);
            assert!(change.code != 0 && change.err.contains("Invalid argument"), "{change:?}");
            assert_eq!(place.sh(&[], "cat /proc/self/setgroups"), "deny\n");
        }
    }
    // What it writes to the host is the caller's.
    if place.user != User::Root {
        let mount = format!("{}:/m", place.path("outside").display());
        let _ = fs::remove_file(place.path("outside/mine"));
        place.sh(&["--mount", &mount], "touch /m/mine");
        let meta = fs::metadata(place.path("outside/mine")).unwrap();
        assert_eq!(std::os::unix::fs::MetadataExt::uid(&meta), uid);
    }
}
