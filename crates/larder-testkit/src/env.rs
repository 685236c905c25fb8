//! A hermetic environment for the `larder` program.
//!
//! ```no_run
//! # use larder_testkit::TestEnv;
//! let env = TestEnv::new("/path/to/larder");
//! env.write("web/larder.toml", "[image]\n");
//! let output = env.larder(["build", "web"]).failure(1);
//! assert!(output.stderr.contains("has no `name`"));
//! ```

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;

/// The programs' search path; nothing of the caller's.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// Variables of the caller that are kept: they say how to reach the Debian archive.
const KEPT: &[&str] = &["LARDER_DEBIAN_MIRROR", "http_proxy", "https_proxy"];

/// As whom the program runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Who {
    /// As whoever runs the test.
    Caller,
    /// As an ordinary user, with the right to change to it.
    User {
        /// The user's name.
        name: String,
        /// The user's number.
        uid: u32,
        /// The number of the user's group.
        gid: u32,
    },
}

/// A folder of its own, with a home and a store, that the program runs in and is removed at the end.
#[derive(Debug)]
pub struct TestEnv {
    folder: tempfile::TempDir,
    binary: PathBuf,
    who: Who,
    variables: Vec<(OsString, OsString)>,
}

/// What a program left behind.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub struct Output {
    /// The exit code, or 128 and the number of the signal that ended it.
    pub code: i32,
    /// What it wrote on stdout; bytes that aren't UTF-8 are replaced.
    pub stdout: String,
    /// What it wrote on stderr.
    pub stderr: String,
}

impl TestEnv {
    /// An environment for the caller. `binary` is usually `env!("CARGO_BIN_EXE_larder")`.
    ///
    /// # Panics
    /// When the folder can't be made.
    pub fn new(binary: impl Into<PathBuf>) -> Self {
        Self::with(binary.into(), Who::Caller, &std::env::temp_dir())
    }

    /// The same in memory, where the machine has a file system there: for tests that start a program hundreds of times and
    /// would wait for the disk all the time. What a killed process wrote stays in memory as well as on a disk.
    ///
    /// # Panics
    /// When the folder can't be made.
    pub fn in_memory(binary: impl Into<PathBuf>) -> Self {
        let memory = Path::new("/dev/shm");
        let place = if memory.is_dir() { memory.to_owned() } else { std::env::temp_dir() };
        Self::with(binary.into(), Who::Caller, &place)
    }

    /// An environment for an ordinary user: the caller if that is one, else the user that `LARDER_TEST_USER` names, or
    /// `larder-test`. `None` when there is no such user: skip the test, loudly.
    ///
    /// # Panics
    /// When the folder can't be made.
    pub fn for_user(binary: impl Into<PathBuf>) -> Option<Self> {
        if !is_root() {
            return Some(Self::new(binary));
        }
        let name = std::env::var("LARDER_TEST_USER").unwrap_or_else(|_| "larder-test".to_owned());
        let users = fs::read_to_string("/etc/passwd").expect("/etc/passwd");
        let line = users.lines().find(|line| line.split(':').next() == Some(&name))?;
        let mut numbers = line.split(':').skip(2).map(|number| number.parse().expect("a number in /etc/passwd"));
        let (uid, gid) = (numbers.next()?, numbers.next()?);
        Some(Self::with(binary.into(), Who::User { name, uid, gid }, &std::env::temp_dir()))
    }

    fn with(binary: PathBuf, who: Who, place: &Path) -> Self {
        let folder = tempfile::Builder::new().prefix("larder-test-").tempdir_in(place).expect("a folder");
        let mut env = Self { folder, binary, who, variables: Vec::new() };
        fs::set_permissions(env.folder.path(), fs::Permissions::from_mode(0o755)).expect("permissions");
        env.give(env.folder.path());
        for name in ["home", "runtime"] {
            env.make(name);
        }
        if env.who != Who::Caller {
            // The build folder may be closed to the user.
            let copy = env.path("larder");
            fs::copy(&env.binary, &copy).expect("copy of the program");
            env.binary = copy;
        }
        env.variables = env.defaults();
        env
    }

    fn defaults(&self) -> Vec<(OsString, OsString)> {
        let home = self.path("home");
        let mut all: Vec<(OsString, OsString)> = vec![
            ("PATH".into(), PATH.into()),
            ("LANG".into(), "C.UTF-8".into()),
            ("TERM".into(), "dumb".into()),
            ("HOME".into(), home.clone().into()),
            ("LARDER_KEYS".into(), home.join(".config/larder/keys").into()),
            ("LARDER_ROOT".into(), self.store().into()),
            ("XDG_DATA_HOME".into(), home.join(".local/share").into()),
            ("XDG_CONFIG_HOME".into(), home.join(".config").into()),
            ("XDG_CACHE_HOME".into(), home.join(".cache").into()),
            ("XDG_RUNTIME_DIR".into(), self.path("runtime").into()),
        ];
        let kept = KEPT.iter().filter_map(|name| Some((OsString::from(name), std::env::var_os(name)?)));
        all.extend(kept);
        all
    }

    /// Sets a variable for what runs from now on.
    pub fn set(&mut self, name: impl Into<OsString>, value: impl Into<OsString>) {
        let name = name.into();
        self.variables.retain(|(known, _)| *known != name);
        self.variables.push((name, value.into()));
    }

    /// Takes a variable away.
    pub fn unset(&mut self, name: &str) {
        self.variables.retain(|(known, _)| known != name);
    }

    /// The folder that programs start in.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The store's folder; Larder makes it.
    pub fn store(&self) -> PathBuf {
        self.path("store")
    }

    /// A path below the folder.
    pub fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Makes a folder, with its parents, that belongs to whoever runs the program.
    ///
    /// # Panics
    /// When it can't be made.
    pub fn make(&self, name: impl AsRef<Path>) -> PathBuf {
        let mut path = self.folder.path().to_owned();
        for part in name.as_ref() {
            path.push(part);
            if !path.exists() {
                fs::create_dir(&path).expect("folder");
                self.give(&path);
            }
        }
        path
    }

    /// Writes a file, with its parents.
    ///
    /// # Panics
    /// When it can't be written.
    pub fn write(&self, name: impl AsRef<Path>, content: impl AsRef<[u8]>) -> PathBuf {
        let name = name.as_ref();
        self.make(name.parent().unwrap_or_else(|| Path::new("")));
        let path = self.path(name);
        fs::write(&path, content).expect("file");
        self.give(&path);
        path
    }

    /// Copies a folder of the project, such as `examples/web`, into this one under the same last name.
    ///
    /// # Panics
    /// When it can't be copied.
    pub fn copy(&self, source: impl AsRef<Path>) -> PathBuf {
        let source = source.as_ref();
        let name = Path::new(source.file_name().expect("a folder's name"));
        self.copy_into(source, name);
        self.path(name)
    }

    fn copy_into(&self, source: &Path, name: &Path) {
        self.make(name);
        for entry in fs::read_dir(source).expect("source folder") {
            let entry = entry.expect("entry");
            let inside = name.join(entry.file_name());
            if entry.file_type().expect("kind").is_dir() {
                self.copy_into(&entry.path(), &inside);
            } else {
                self.write(inside, fs::read(entry.path()).expect("source file"));
            }
        }
    }

    fn give(&self, path: &Path) {
        if let Who::User { uid, gid, .. } = self.who {
            chown(path, Some(uid), Some(gid)).expect("ownership");
        }
    }

    /// Runs `larder` with these arguments and no input.
    ///
    /// # Panics
    /// When it can't be started.
    pub fn larder<S: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = S>) -> Output {
        self.larder_with(arguments, b"")
    }

    /// Runs `larder` with these arguments and this input.
    ///
    /// # Panics
    /// When it can't be started.
    pub fn larder_with<S: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = S>, input: &[u8]) -> Output {
        let mut command = self.command(&self.binary);
        command.args(arguments);
        finish(command, input)
    }

    /// Runs a line of shell in the environment, with `larder` on its path.
    ///
    /// # Panics
    /// When it can't be started.
    pub fn shell(&self, line: &str) -> Output {
        let mut command = self.command(Path::new("/bin/sh"));
        command.args(["-c", line]).env("PATH", self.path_with_larder());
        finish(command, b"")
    }

    /// The search path of [`TestEnv::shell`].
    pub fn path_with_larder(&self) -> String {
        let folder = self.binary.parent().unwrap_or_else(|| Path::new("/"));
        format!("{}:{PATH}", folder.display())
    }

    /// `larder`, ready to be started by a test that needs more than its output. It ignores no signal, whatever the tests were
    /// started by does.
    pub fn larder_command<S: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = S>) -> Command {
        let mut command = self.command(Path::new("/usr/bin/env"));
        command.arg("--default-signal").arg(&self.binary).args(arguments);
        command
    }

    /// A program in the environment, as the user of the environment.
    pub fn command(&self, program: &Path) -> Command {
        let mut command = match &self.who {
            Who::Caller => Command::new(program),
            Who::User { uid, gid, .. } => {
                let mut command = Command::new("setpriv");
                command.args([format!("--reuid={uid}"), format!("--regid={gid}")]);
                command.args(["--clear-groups", "--"]).arg(program);
                command
            }
        };
        command.current_dir(self.folder.path()).env_clear().envs(self.variables.iter().cloned());
        command
    }
}

impl Drop for TestEnv {
    fn drop(&mut self) {
        // What containers of the user left may belong to other numbers, or be closed even to their owner.
        open_folders(self.folder.path());
    }
}

fn open_folders(folder: &Path) {
    let Ok(metadata) = folder.symlink_metadata() else { return };
    if !metadata.is_dir() {
        return;
    }
    if metadata.mode() & 0o700 != 0o700 {
        _ = fs::set_permissions(folder, fs::Permissions::from_mode(0o700));
    }
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        open_folders(&entry.path());
    }
}

/// Whether the caller is root.
pub fn is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|metadata| metadata.uid() == 0)
}

fn finish(mut command: Command, input: &[u8]) -> Output {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child: Child = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let mut stdin = child.stdin.take().expect("piped");
    let mut stderr = child.stderr.take().expect("piped");
    let mut stdout = child.stdout.take().expect("piped");
    thread::scope(|scope| {
        // A program that doesn't read its input closes it early; that is its right.
        scope.spawn(move || _ = stdin.write_all(input));
        let errors = scope.spawn(move || read(&mut stderr));
        let stdout = read(&mut stdout);
        let stderr = errors.join().expect("reader");
        let code = code(child.wait().expect("the program's end"));
        Output { code, stdout, stderr }
    })
}

fn read(stream: &mut dyn Read) -> String {
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).expect("output");
    String::from_utf8_lossy(&bytes).into_owned()
}

fn code(status: ExitStatus) -> i32 {
    status.code().or_else(|| Some(128 + status.signal()?)).unwrap_or(-1)
}

impl Output {
    /// Gives itself back when the program succeeded.
    ///
    /// # Panics
    /// With the whole output when it failed.
    #[track_caller]
    pub fn success(self) -> Self {
        self.failure(0)
    }

    /// Gives itself back when the program ended with this code.
    ///
    /// # Panics
    /// With the whole output when it ended otherwise.
    #[track_caller]
    pub fn failure(self, code: i32) -> Self {
        let Self { code: got, stdout, stderr } = &self;
        assert!(*got == code, "exit code {got} instead of {code}\n--- stdout\n{stdout}--- stderr\n{stderr}---");
        self
    }

    /// Both streams as one text, for snapshots: the environment's folder is written `$DIR`.
    pub fn text(&self, env: &TestEnv) -> String {
        let mut text = format!("exit code {}\n", self.code);
        for (name, stream) in [("stdout", &self.stdout), ("stderr", &self.stderr)] {
            if !stream.is_empty() {
                text.push_str(&format!("--- {name}\n{stream}"));
            }
        }
        text.replace(&env.folder().display().to_string(), "$DIR")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_see_the_environment_and_nothing_else() {
        let mut env = TestEnv::new("/usr/bin/env");
        env.set("EXTRA", "yes");
        let output = env.larder([""; 0]).success();
        let mut names: Vec<_> = output.stdout.lines().filter_map(|line| line.split('=').next()).collect();
        names.retain(|name| !KEPT.contains(name));
        names.sort_unstable();
        let expected = [
            "EXTRA",
            "HOME",
            "LANG",
            "LARDER_KEYS",
            "LARDER_ROOT",
            "PATH",
            "TERM",
            "XDG_CACHE_HOME",
            "XDG_CONFIG_HOME",
            "XDG_DATA_HOME",
            "XDG_RUNTIME_DIR",
        ];
        assert_eq!(names, expected);
    }

    #[test]
    fn input_output_and_codes_come_through() {
        let env = TestEnv::new("/bin/sh");
        let output = env.larder_with(["-c", "tr a-z A-Z; echo oops >&2; exit 3"], b"hello\n").failure(3);
        assert_eq!((output.stdout.as_str(), output.stderr.as_str()), ("HELLO\n", "oops\n"));
        assert_eq!(env.larder(["-c", "kill -TERM $$"]).code, 143);
        let large = vec![b'x'; 1 << 20];
        assert_eq!(env.larder_with(["-c", "cat"], &large).success().stdout.len(), large.len());
        assert_eq!(env.larder_with(["-c", "exit 0"], &large).code, 0);
    }

    #[test]
    fn an_ordinary_user_owns_the_environment() {
        let Some(env) = TestEnv::for_user("/usr/bin/id") else {
            return crate::skip(
                "environments of ordinary users",
                "there is no user larder-test; scripts/setup makes it",
            );
        };
        let output = env.larder(["-u"]).success();
        assert_ne!(output.stdout.trim(), "0");
        env.write("a/b/file", "x");
        assert_eq!(env.shell("touch a/b/other && mkdir store && cat a/b/file").success().stdout, "x");
    }
}
