//! Where containers are tested: a kind of user with a store, an image made of busybox, and a way to run the launcher.

use std::fs;
use std::io::Write;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use larder_runtime::launch::{UserMap, user_map};
use tempfile::TempDir;

use crate::command::WORD;

/// Programs of the image, all of them busybox.
const PROGRAMS: &[&str] = &[
    "cat", "chown", "cut", "dd", "echo", "env", "grep", "head", "hostname", "id", "ifconfig", "kill", "ln", "ls",
    "mkdir", "mknod", "mount", "nproc", "ps", "pwd", "readlink", "setsid", "sh", "sleep", "stat", "stty", "touch",
    "tr", "true", "tty", "umount", "unshare", "wc",
];

/// A kind of caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum User {
    Root,
    /// An ordinary user with a range of ids.
    Range,
    /// An ordinary user without.
    Single,
}

impl User {
    pub(crate) const ALL: [Self; 3] = [Self::Root, Self::Range, Self::Single];

    /// No such users exist here, so nothing else is touched by accident.
    const fn uid(self) -> u32 {
        match self {
            Self::Root => 0,
            Self::Range => 54_322,
            Self::Single => 54_321,
        }
    }
}

/// A kind of user with everything a container needs.
pub(crate) struct Place {
    pub(crate) user: User,
    directory: TempDir,
}

/// How a launcher ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Ended {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Place {
    pub(crate) fn new(user: User) -> Result<Self, String> {
        let root = rustix::process::geteuid().is_root();
        if !root && user == User::Root {
            return Err("this needs root".to_owned());
        }
        if !root && user == User::Range && !matches!(user_map(), UserMap::Range { .. }) {
            return Err(
                "this needs root (it makes itself such a user), or a user with a line in /etc/subuid".to_owned()
            );
        }
        if user == User::Range && !Path::new("/usr/bin/newuidmap").exists() {
            return Err("newuidmap is missing: install the package \"uidmap\"".to_owned());
        }
        let busybox = ["/usr/bin/busybox", "/bin/busybox"].into_iter().find(|path| Path::new(path).exists());
        let busybox = busybox.ok_or("busybox is missing: install the package \"busybox-static\"")?;
        let directory = TempDir::with_prefix("larder-launch-").expect("a directory");
        fs::set_permissions(directory.path(), PermissionsExt::from_mode(0o755)).expect("a mode");
        let place = Self { user, directory };
        for name in ["c", "store/objects", "store/views", "outside"] {
            fs::create_dir_all(place.path(name)).expect("a directory");
        }
        // The test binary lies where only its builder may look.
        fs::copy(std::env::current_exe().expect("this program"), place.path("launcher")).expect("a copy");
        place.make_image(Path::new(busybox));
        if root && user != User::Root {
            own(place.directory.path(), user.uid());
        }
        place.write_user_files();
        Ok(place)
    }

    fn make_image(&self, busybox: &Path) {
        let files = self.path("files");
        for name in ["bin", "etc", "usr/share", "packages/example.com/tool@1", "var/www", "home/me", "tmp"] {
            fs::create_dir_all(files.join(name)).expect("a directory");
        }
        fs::set_permissions(files.join("tmp"), PermissionsExt::from_mode(0o1777)).expect("a mode");
        fs::copy(busybox, files.join("bin/busybox")).expect("a copy");
        for program in PROGRAMS {
            symlink("busybox", files.join("bin").join(program)).expect("a link");
        }
        let outside = self.path("outside");
        symlink(&outside, files.join("absolute")).expect("a link");
        symlink(format!("../../../../../../../..{}", outside.display()), files.join("relative")).expect("a link");
        symlink("/nowhere", files.join("dangling")).expect("a link");
        symlink("/var/../..", files.join("to-root")).expect("a link");
        // What the links lead to, as the container sees it.
        fs::create_dir_all(files.join(outside.strip_prefix("/").expect("an absolute path"))).expect("a directory");
        symlink("/proc/self/root", files.join("magic")).expect("a link");
        let text = |path: &str, text: &str| fs::write(files.join(path), text).expect("a file");
        text("etc/passwd", "root:x:0:0::/root:/bin/sh\nwww-data:x:33:33::/var/www:/bin/sh\n");
        text("etc/group", "root:x:0:\nwww-data:x:33:\nextra:x:50:www-data\n");
        text("usr/share/data", "data\n");
        text("packages/example.com/tool@1/file", "packaged\n");
        text("etc/not-a-program", "text\n");
        text("bin/no-interpreter", "#!/no/such/interpreter\n");
        fs::set_permissions(files.join("bin/no-interpreter"), PermissionsExt::from_mode(0o755)).expect("a mode");
    }

    /// User files that only the processes of this test see.
    fn write_user_files(&self) {
        if self.user != User::Range || !rustix::process::geteuid().is_root() {
            return;
        }
        let uid = self.user.uid();
        let passwd = fs::read_to_string("/etc/passwd").expect("/etc/passwd");
        fs::write(self.path("passwd"), format!("{passwd}larder-test:x:{uid}:{uid}::/:/bin/sh\n")).expect("a file");
        for name in ["subuid", "subgid"] {
            fs::write(self.path(name), "larder-test:700000:65536\n").expect("a file");
        }
    }

    /// The number of its user.
    pub(crate) const fn uid(&self) -> u32 {
        self.user.uid()
    }

    /// A path of this place on the host.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// The directory of containers.
    pub(crate) fn containers(&self) -> PathBuf {
        self.path("c")
    }

    /// What is in the directory of containers, hidden files aside.
    pub(crate) fn left(&self) -> Vec<String> {
        let names =
            fs::read_dir(self.containers()).expect("a directory").map(|entry| entry.expect("an entry").file_name());
        names.map(|name| name.to_string_lossy().into_owned()).filter(|name| name != ".lock").collect()
    }

    /// The launcher as this kind of user, with arguments of its own.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let uid = self.user.uid().to_string();
        let mut command = Command::new("env");
        // What the tests were started by may ignore a signal, as a shell's `&` does.
        command.arg("--default-signal");
        if rustix::process::geteuid().is_root() && self.user == User::Single {
            command.args(["setpriv", "--reuid", &uid, "--regid", &uid, "--clear-groups"]);
        } else if rustix::process::geteuid().is_root() && self.user != User::Root {
            let script = "for f in passwd subuid subgid; do mount --bind \"$1/$f\" /etc/$f || exit 99; done; cd \"$1\"; u=$2; shift 2; \
                          exec setpriv --reuid $u --regid $u --clear-groups \"$@\"";
            command.args(["unshare", "--mount", "sh", "-c", script, "sh"]).arg(self.directory.path()).arg(&uid);
        }
        command.arg(self.path("launcher")).arg(WORD).args(arguments).current_dir(self.directory.path());
        command
    }

    /// The launcher with the image's view.
    pub(crate) fn container(&self, options: &[&str], program: &[&str]) -> Command {
        let mut command = self.command(&[]);
        command.arg("--containers").arg(self.containers());
        command.arg("--store").arg(self.path("store")).arg("--files").arg(self.path("files"));
        if self.user == User::Single && !rustix::process::geteuid().is_root() {
            // The caller may have a range.
            command.arg("--single");
        }
        command.args(options).arg("--").args(program);
        command
    }

    /// Runs a program in the image to its end, without input.
    pub(crate) fn run(&self, options: &[&str], program: &[&str]) -> Ended {
        ended(self.container(options, program).stdin(Stdio::null()).output().expect("a launcher"))
    }

    /// Runs a shell script in the image, which must succeed, and gives its output.
    pub(crate) fn sh(&self, options: &[&str], script: &str) -> String {
        let ended = self.run(options, &["sh", "-c", script]);
        assert_eq!((ended.code, ended.err.as_str()), (0, ""), "{script}\n{}", ended.out);
        ended.out
    }

    /// Runs a shell script with input.
    pub(crate) fn feed(&self, script: &str, input: &[u8]) -> Ended {
        let mut command = self.container(&[], &["sh", "-c", script]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("a launcher");
        child.stdin.take().expect("a pipe").write_all(input).expect("a reader");
        ended(child.wait_with_output().expect("an end"))
    }

    /// Starts a shell script, and waits until it has written a first line.
    pub(crate) fn start(
        &self,
        options: &[&str],
        script: &str,
    ) -> (Child, std::io::BufReader<std::process::ChildStdout>) {
        self.await_ready(self.container(options, &["sh", "-c", script]))
    }

    /// Starts a launcher whose container writes the line "ready".
    pub(crate) fn await_ready(&self, mut command: Command) -> (Child, std::io::BufReader<std::process::ChildStdout>) {
        use std::io::BufRead;
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().expect("a launcher");
        let mut out = std::io::BufReader::new(child.stdout.take().expect("a pipe"));
        let mut line = String::new();
        out.read_line(&mut line).expect("a line");
        assert_eq!(line, "ready\n");
        (child, out)
    }
}

pub(crate) fn ended(output: Output) -> Ended {
    Ended {
        code: output.status.code().unwrap_or(-1),
        out: String::from_utf8_lossy(&output.stdout).into_owned(),
        err: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

fn own(path: &Path, uid: u32) {
    std::os::unix::fs::lchown(path, Some(uid), Some(uid)).expect("an owner");
    if path.symlink_metadata().expect("metadata").is_dir() {
        for entry in fs::read_dir(path).expect("a directory") {
            own(&entry.expect("an entry").path(), uid);
        }
    }
}

/// The processes of this machine that have a variable `MARKER=<marker>`: the containers' and nobody else's.
pub(crate) fn marked(marker: &str) -> Vec<u32> {
    let wanted = format!("MARKER={marker}\0");
    let processes = fs::read_dir("/proc").expect("/proc").flatten();
    let ids = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    ids.filter(|id| {
        let environment = fs::read(format!("/proc/{id}/environ")).unwrap_or_default();
        environment.windows(wanted.len()).any(|window| window == wanted.as_bytes())
    })
    .collect()
}
