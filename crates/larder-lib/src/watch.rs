//! `larder watch`: noticing that a recipe or one of its files has changed.
//!
//! inotify only says *when* to look. Whether anything changed is found by comparing two snapshots of everything that the
//! recipe's folder gives to a build: what was there before the last build began, and what is there now. So nothing is lost
//! that happens during a build, in a folder that is new, or while events overflow; and a build's own lock, a file that was only
//! read, or an editor's file that came and went start nothing.
//!
//! Invariant: a folder is watched before it is listed. Whatever comes into it after the listing is an event.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::inotify::{self, CreateFlags, WatchFlags};
use rustix::io::Errno;

use crate::recipe::{FILE_NAME, Recipe};
use crate::{Error, Result};

mod snapshot;

pub use larder_runtime::signals::Signals;
use snapshot::{Scan, Snapshot};

/// How long nothing must happen before it is looked: an editor's save is several events.
const QUIET: Duration = Duration::from_millis(30);
/// After so long it is looked in any case.
const PATIENCE: Duration = Duration::from_millis(500);
/// How often it is looked where the kernel can't tell of every folder, or the recipe's own folder is gone.
const POLL: Duration = Duration::from_millis(500);

const EVENTS: WatchFlags = WatchFlags::CREATE
    .union(WatchFlags::DELETE)
    .union(WatchFlags::MODIFY)
    .union(WatchFlags::CLOSE_WRITE)
    .union(WatchFlags::ATTRIB)
    .union(WatchFlags::MOVE)
    .union(WatchFlags::DELETE_SELF)
    .union(WatchFlags::MOVE_SELF)
    .union(WatchFlags::ONLYDIR);

/// A recipe that is watched.
pub struct Watch {
    inotify: OwnedFd,
    folder: PathBuf,
    file: PathBuf,
    seen: Snapshot,
    /// The recipe as it could last be read: it says what else to look at.
    recipe: Option<Recipe>,
    /// Whether there are folders that the kernel doesn't tell of.
    blind: bool,
}

/// Why [`Watch::wait`] came back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Woken {
    /// These changed, by their paths in the recipe's folder; sorted.
    Changed(Vec<PathBuf>),
    /// One of the descriptors has something to read: its place.
    Ready(usize),
}

impl Watch {
    /// Begins to watch the recipe at `path`: its folder, or the file itself.
    ///
    /// # Errors
    /// There is no such folder, or the kernel has no more watches to give at all.
    pub fn new(path: &Path) -> Result<Self> {
        let file = if path.is_dir() { path.join(FILE_NAME) } else { path.to_owned() };
        let folder = match file.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
            _ => PathBuf::from("."),
        };
        let failed = |source: Errno| Error::Watch { path: folder.clone(), source: source.into() };
        // What isn't there at all is said as a build says it; a folder may get its recipe later.
        if !path.exists() {
            Recipe::load(path)?;
        }
        let inotify = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK).map_err(failed)?;
        let mut watch = Self { inotify, folder, file, seen: Snapshot::default(), recipe: None, blind: false };
        watch.mark();
        Ok(watch)
    }

    /// Whether some changes are only noticed by looking now and then, because the kernel has no more watches to give
    /// (`fs.inotify.max_user_watches`).
    pub fn is_blind(&self) -> bool {
        self.blind
    }

    /// Takes what is there now for what the next build sees. To be called before it.
    pub fn mark(&mut self) {
        self.seen = self.scan();
    }

    /// Takes the lock that is there now for known. To be called after a build, which writes it.
    pub fn lock_is_ours(&mut self) {
        let now = self.scan();
        self.seen.take_lock(&now);
    }

    /// Waits until what is there differs from what was marked, or one of the descriptors has something to read.
    ///
    /// # Errors
    /// The kernel refuses to wait.
    pub fn wait(&mut self, others: &[BorrowedFd<'_>]) -> Result<Woken> {
        loop {
            let now = self.scan();
            if self.seen != now {
                // A file may be half written, and a save half done.
                self.settle()?;
                let now = self.scan();
                let changed = self.seen.differences(&now);
                if !changed.is_empty() {
                    return Ok(Woken::Changed(changed));
                }
            }
            let timeout = (self.blind || now.is_gone()).then_some(POLL);
            if let Some(place) = self.sleep(others, timeout)? {
                return Ok(Woken::Ready(place));
            }
            self.drain();
        }
    }

    /// Sleeps until something happens: which of the others it was, or `None` for the folder or the end of the time.
    fn sleep(&self, others: &[BorrowedFd<'_>], timeout: Option<Duration>) -> Result<Option<usize>> {
        let mut fds = vec![PollFd::new(&self.inotify, PollFlags::IN)];
        fds.extend(others.iter().map(|fd| PollFd::from_borrowed_fd(*fd, PollFlags::IN)));
        self.poll(&mut fds, timeout)?;
        Ok(fds[1..].iter().position(|fd| !fd.revents().is_empty()))
    }

    /// Takes events until there are none for a while.
    fn settle(&self) -> Result<()> {
        let began = Instant::now();
        while began.elapsed() < PATIENCE {
            self.drain();
            let mut fds = [PollFd::new(&self.inotify, PollFlags::IN)];
            self.poll(&mut fds, Some(QUIET))?;
            if fds[0].revents().is_empty() {
                break;
            }
        }
        Ok(())
    }

    fn poll(&self, fds: &mut [PollFd<'_>], timeout: Option<Duration>) -> Result<()> {
        let timeout = timeout.map(|timeout| Timespec {
            tv_sec: timeout.as_secs().cast_signed(),
            tv_nsec: timeout.subsec_nanos().into(),
        });
        match poll(fds, timeout.as_ref()) {
            Ok(_) | Err(Errno::INTR) => Ok(()),
            Err(error) => Err(Error::Watch { path: self.folder.clone(), source: error.into() }),
        }
    }

    /// What the events say in detail doesn't matter.
    fn drain(&self) {
        let mut buffer = [0_u8; 16 << 10];
        while rustix::io::read(&self.inotify, &mut buffer).is_ok_and(|count| count > 0) {}
    }

    fn scan(&mut self) -> Snapshot {
        if let Ok(recipe) = Recipe::load(&self.file) {
            self.recipe = Some(recipe);
        }
        let mut blind = false;
        let mut watch = |folder: &Path| match inotify::add_watch(self.inotify.as_fd(), folder, EVENTS) {
            // A folder that went meanwhile is seen as gone.
            Ok(_) | Err(Errno::NOENT | Errno::NOTDIR) => {}
            Err(_) => blind = true,
        };
        let scan = Scan { folder: &self.folder, file: &self.file, recipe: self.recipe.as_ref() };
        let snapshot = scan.take(&mut watch);
        self.blind = blind;
        snapshot
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{PermissionsExt, symlink};
    use std::thread;

    use super::*;

    const RECIPE: &str = "[image]\nname = \"example.com/w\"\nversion = \"1\"\nbase = \"none\"\n\n[files]\n\"/srv\" = \"site\"\n\"/etc/one\" = \"conf/one\"\n";

    struct Folder(tempfile::TempDir);

    impl Folder {
        fn new() -> Self {
            let folder = Self(tempfile::tempdir().expect("folder"));
            folder.write("larder.toml", RECIPE);
            folder.write("site/index.html", "one\n");
            folder.write("conf/one", "1\n");
            folder
        }

        fn path(&self, name: &str) -> PathBuf {
            self.0.path().join(name)
        }

        fn write(&self, name: &str, text: &str) {
            let path = self.path(name);
            fs::create_dir_all(path.parent().expect("parent")).expect("folders");
            fs::write(path, text).expect("file");
        }
    }

    /// What has changed, looked at once: the far end of the pipe is closed, so that nothing is waited for.
    fn changed(watch: &mut Watch) -> Vec<String> {
        let (read, write) = rustix::pipe::pipe().expect("pipe");
        drop(write);
        match watch.wait(&[read.as_fd()]).expect("a wait") {
            Woken::Changed(paths) => paths.iter().map(|path| path.display().to_string()).collect(),
            Woken::Ready(_) => Vec::new(),
        }
    }

    #[test]
    fn what_a_build_reads_is_looked_at_and_nothing_else() {
        let folder = Folder::new();
        let mut watch = Watch::new(folder.0.path()).expect("a watch");
        type Step<'a> = (&'a str, &'a dyn Fn(), &'a [&'a str]);
        let steps: &[Step<'_>] = &[
            ("nothing", &|| {}, &[]),
            ("reading", &|| drop(fs::read(folder.path("site/index.html")).expect("read")), &[]),
            ("another file", &|| folder.write("notes", "x"), &[]),
            ("another folder", &|| folder.write("other/file", "x"), &[]),
            ("a file beside a named one", &|| folder.write("conf/two", "x"), &[]),
            ("a change", &|| folder.write("site/index.html", "two\n"), &["site/index.html"]),
            ("a named file", &|| folder.write("conf/one", "2\n"), &["conf/one"]),
            (
                "a new folder",
                &|| folder.write("site/deep/er/file", "x"),
                &["site/deep", "site/deep/er", "site/deep/er/file"],
            ),
            ("a file in it", &|| folder.write("site/deep/er/file", "longer"), &["site/deep/er/file"]),
            (
                "a save by renaming",
                &|| {
                    folder.write("site/.index.tmp", "one\n");
                    fs::rename(folder.path("site/.index.tmp"), folder.path("site/index.html")).expect("rename");
                },
                &["site/index.html"],
            ),
            (
                "a file that came and went",
                &|| {
                    folder.write("site/4913", "");
                    fs::remove_file(folder.path("site/4913")).expect("remove");
                },
                &[],
            ),
            (
                "the execute bit",
                &|| {
                    fs::set_permissions(folder.path("site/index.html"), fs::Permissions::from_mode(0o755))
                        .expect("mode");
                },
                &["site/index.html"],
            ),
            ("a link", &|| symlink("index.html", folder.path("site/link")).expect("link"), &["site/link"]),
            (
                "a folder deleted and made again",
                &|| {
                    fs::remove_dir_all(folder.path("site/deep")).expect("remove");
                    folder.write("site/deep/er/file", "again");
                },
                &["site/deep/er/file"],
            ),
            ("what is in it now", &|| folder.write("site/deep/er/file", "and again"), &["site/deep/er/file"]),
            ("a removal", &|| fs::remove_file(folder.path("site/link")).expect("remove"), &["site/link"]),
            ("something to ignore", &|| folder.write(".larderignore", "*.o\n"), &[".larderignore"]),
            ("what is ignored", &|| folder.write("site/a.o", "x"), &[]),
            ("a wrong recipe", &|| folder.write("larder.toml", "["), &["larder.toml"]),
            ("a file of the recipe before", &|| folder.write("site/index.html", "three\n"), &["site/index.html"]),
            ("the right recipe", &|| folder.write("larder.toml", RECIPE), &["larder.toml"]),
            ("somebody's lock", &|| folder.write("larder.lock", "x"), &["larder.lock"]),
        ];
        for (what, act, expected) in steps {
            act();
            assert_eq!(changed(&mut watch), *expected, "{what}");
            watch.mark();
        }
        folder.write("larder.lock", "written by a build");
        folder.write("larder.lock.12.new", "being written");
        watch.lock_is_ours();
        assert_eq!(changed(&mut watch), [""; 0], "a build's own lock");
        fs::remove_dir_all(folder.path("site")).expect("remove");
        assert!(changed(&mut watch).contains(&"site".to_owned()));
    }

    #[test]
    fn the_recipes_folder_may_go_and_come_back() {
        let parent = tempfile::tempdir().expect("folder");
        let folder = Folder(tempfile::tempdir_in(parent.path()).expect("folder"));
        folder.write("larder.toml", RECIPE);
        let mut watch = Watch::new(folder.0.path()).expect("a watch");
        let elsewhere = parent.path().join("elsewhere");
        fs::rename(folder.0.path(), &elsewhere).expect("rename");
        assert_eq!(changed(&mut watch), ["larder.toml"]);
        watch.mark();
        let (read, _write) = rustix::pipe::pipe().expect("pipe");
        thread::scope(|scope| {
            let woken = scope.spawn(|| watch.wait(&[read.as_fd()]).expect("a wait"));
            fs::rename(&elsewhere, folder.0.path()).expect("rename");
            assert_eq!(woken.join().expect("a thread"), Woken::Changed(vec!["larder.toml".into()]));
        });
    }

    /// The whole way, through the kernel's events.
    #[test]
    fn a_change_wakes_who_waits() {
        let folder = Folder::new();
        let mut watch = Watch::new(folder.0.path()).expect("a watch");
        let (read, _write) = rustix::pipe::pipe().expect("pipe");
        for text in ["two", "three"] {
            thread::scope(|scope| {
                let woken = scope.spawn(|| watch.wait(&[read.as_fd()]).expect("a wait"));
                folder.write("site/index.html", text);
                assert_eq!(woken.join().expect("a thread"), Woken::Changed(vec!["site/index.html".into()]));
            });
            watch.mark();
        }
    }
}
