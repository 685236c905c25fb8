//! A commit of a git repository: fetched by its hash, and read as git has it, without a work tree.
//!
//! The host's `git` is started with arguments, never through a shell, without its configuration, hooks, helpers and prompts, and may speak
//! https, http and file only. The objects are read by `ls-tree` and `cat-file`, so that no filter, attribute or line-end rule of the
//! repository has a say, and what comes is what the commit's hash covers.

use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use larder_debian::progress::Progress;
use larder_store::{Attributes, Entry, Ingest, TreeBuilder, TreePath};

use super::Sources;
use crate::package::PackageError;
use crate::program::Folder;
use crate::{Error, Host, Result};

/// The largest listing that is read.
const MAX_LISTING: u64 = 256 << 20;

struct Git<'a> {
    folder: &'a Path,
    url: &'a str,
    commit: &'a str,
    proxies: [(&'static str, Option<String>); 2],
}

pub(super) fn fetch(
    host: &Host,
    ingest: &Ingest<'_>,
    (url, commit): (&str, &str),
    progress: &dyn Progress,
) -> Result<Sources> {
    let folder = Folder::new(host.store.root().join("tmp"))?;
    let proxies = &host.debian.proxies;
    let proxies = [("http_proxy", proxies.http.clone()), ("https_proxy", proxies.https.clone())];
    let git = Git { folder: &folder.0, url, commit, proxies };
    if host.debian.offline && !url.starts_with("file:") {
        return Err(git.failed("the network isn't to be used").into());
    }
    let task = progress.start(&format!("fetch commit {commit} of {url}"), None);
    let fetched = git.fetch();
    progress.finish(task);
    fetched?;
    let time = git.said(&["show", "-s", "--format=%ct", commit])?;
    let time = time.trim().parse().map_err(|_| git.failed("git gives it no time"))?;
    Ok(Sources { tree: git.tree(ingest)?, time, signed: None })
}

impl Git<'_> {
    fn failed(&self, reason: impl Into<String>) -> PackageError {
        PackageError::Git { url: self.url.to_owned(), commit: self.commit.to_owned(), reason: reason.into() }
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("git");
        let length = if self.commit.len() == 64 { "sha256" } else { "sha1" };
        command
            .env_clear()
            .envs(self.proxies.iter().filter_map(|(name, value)| Some((name, value.as_ref()?))))
            .env("PATH", "/usr/local/bin:/usr/bin:/bin")
            .env("LC_ALL", "C")
            .env("HOME", self.folder)
            .env("GIT_DIR", self.folder.join("git"))
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_ALLOW_PROTOCOL", "https:http:file")
            .env("GIT_TERMINAL_PROMPT", "0")
            .env("GIT_ASKPASS", "true")
            .env("GIT_NO_LAZY_FETCH", "1")
            .env("GIT_DEFAULT_HASH", length)
            // Another user's repository is a source like any other: nothing of its configuration is used.
            .args(["-c", "safe.directory=*", "-c", "core.hooksPath=/dev/null", "-c", "transfer.fsckObjects=true"])
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    fn start(&self, command: &mut Command) -> Result<Child> {
        command.spawn().map_err(|source| PackageError::NoGit { url: self.url.to_owned(), source }.into())
    }

    /// What git says when asked.
    fn said(&self, arguments: &[&str]) -> Result<String> {
        let output = self.start(&mut self.command(arguments))?.wait_with_output();
        let output = output.map_err(Error::io("wait for", Path::new("git")))?;
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
        }
        let words = String::from_utf8_lossy(&output.stderr);
        let reason = words.lines().find(|line| line.starts_with("fatal: ")).or_else(|| words.lines().last());
        Err(self.failed(reason.unwrap_or("git says nothing").trim_start_matches("fatal: ")).into())
    }

    fn fetch(&self) -> Result<()> {
        self.said(&["init", "-q", "--bare"])?;
        let shallow = self.said(&["fetch", "-q", "--no-tags", "--depth=1", "--", self.url, self.commit]);
        if shallow.is_err() {
            // Not every server gives commits by their hash; then the branches are asked for, and one of them must have it.
            let all = self.said(&["fetch", "-q", "--tags", "--", self.url, "+refs/heads/*:refs/heads/*"]);
            all.and_then(|_| self.said(&["cat-file", "-e", &format!("{}^{{commit}}", self.commit)])).map(drop)?;
        }
        Ok(())
    }

    fn tree(&self, ingest: &Ingest<'_>) -> Result<larder_store::Tree> {
        let listing = self.said(&["ls-tree", "-r", "-z", "--full-tree", self.commit])?;
        if listing.len() as u64 > MAX_LISTING {
            return Err(self.failed("it has too many files").into());
        }
        let mut child = self.start(self.command(&["cat-file", "--batch"]).stdin(Stdio::piped()))?;
        let (Some(mut asks), Some(answers)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(self.failed("git has no streams").into());
        };
        let mut answers = BufReader::new(answers);
        let mut tree = TreeBuilder::new();
        let read = (|| {
            for line in listing.split('\0').filter(|line| !line.is_empty()) {
                let parts = line.split_once('\t').and_then(|(head, path)| {
                    let mut words = head.split(' ');
                    Some((words.next()?, words.next()?, words.next()?, path))
                });
                let Some((mode, kind, hash, path)) = parts else {
                    return Err(self.failed("git's listing is malformed").into());
                };
                if kind != "blob" {
                    return Err(self
                        .failed(format!("{path} is a submodule; name its repository as a source of its own"))
                        .into());
                }
                let entry = self.blob(ingest, (&mut asks, &mut answers), (mode, hash))?;
                let path =
                    TreePath::try_from(path).map_err(|error| self.failed(format!("{path:?}: {}", error.reason)))?;
                tree.insert(path, entry, Attributes::default())?;
            }
            Ok(())
        })();
        drop((asks, answers));
        // It has ended, or ends now that nobody asks any more.
        let _ = child.kill();
        let _ = child.wait();
        read.and_then(|()| Ok(tree.finish()?))
    }

    /// Asks for one file.
    fn blob(
        &self,
        ingest: &Ingest<'_>,
        (asks, answers): (&mut impl Write, &mut impl BufRead),
        (mode, hash): (&str, &str),
    ) -> Result<Entry> {
        let failed = || Error::io("talk to", Path::new("git cat-file"));
        writeln!(asks, "{hash}").and_then(|()| asks.flush()).map_err(failed())?;
        let mut head = String::new();
        answers.by_ref().take(4096).read_line(&mut head).map_err(failed())?;
        let size = head.trim_end().rsplit(' ').next().and_then(|size| size.parse::<u64>().ok());
        let Some(size) = size.filter(|_| head.contains(" blob ")) else {
            return Err(self.failed(format!("git has no content {hash}")).into());
        };
        let mut content = answers.by_ref().take(size);
        let entry = match mode {
            "120000" => {
                let mut target = Vec::new();
                content.read_to_end(&mut target).map_err(failed())?;
                Entry::Symlink { target: target.into() }
            }
            _ => {
                let (digest, written) = ingest.write_object(&mut content, size)?;
                if written != size {
                    return Err(self.failed(format!("git cut the content {hash} short")).into());
                }
                Entry::File { digest, size, executable: mode == "100755" }
            }
        };
        let mut end = [0];
        answers.read_exact(&mut end).map_err(failed())?;
        Ok(entry)
    }
}
