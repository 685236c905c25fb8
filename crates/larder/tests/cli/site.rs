//! The machine that the sessions happen on: a [`TestEnv`] with a store, and a small signed archive served beside it.

use std::path::PathBuf;

use larder_testkit::archive::{Archive, ArchiveBuilder, Compression, Deb, Server};
use larder_testkit::{Output, TestEnv};

use super::redact::Redactor;

/// The program under test.
pub(crate) const LARDER: &str = env!("CARGO_BIN_EXE_larder");

/// A machine with an archive.
pub(crate) struct Site {
    pub(crate) env: TestEnv,
    pub(crate) archive: Archive,
    pub(crate) server: Server,
}

/// The archive that most sessions use. `greeter` needs `libgreet`, `editor` can do with `vim-tiny` or `nano`, and `server`
/// has a user of its own. The base is what `base-files` and `shell` are.
pub(crate) fn archive() -> ArchiveBuilder {
    Archive::builder()
        .packages(base())
        // Each suite has an index of its own; two that are equal would be fetched once.
        .update(deb("tzdata", "2026a"))
        .security(deb("firmware", "1"))
        .package(library("1.0"))
        .package(greeter("1.0"))
        .package(deb("editor", "2.0").depends("nano | vim-tiny").file("usr/share/editor/default", "nano\n"))
        .package(deb("nano", "7.2").provides("text-editor").program("usr/bin/nano", "#!/bin/sh\n"))
        .package(deb("vim-tiny", "9.0").provides("text-editor").program("usr/bin/vim", "#!/bin/sh\n"))
        .package(
            deb("httpd", "1.4")
                .depends("libgreet")
                .file("etc/httpd/httpd.conf", "listen 80\n")
                .file("var/www/html/index.html", "It works!\n")
                .script("postinst", "#!/bin/sh\nset -e\nadduser --system --group --no-create-home httpd\n"),
        )
}

/// The Essential packages of the archive.
pub(crate) fn base() -> Vec<Deb> {
    vec![
        deb("base-files", "12.4")
            .essential()
            .file("usr/lib/os-release", "ID=debian\n")
            .symlink("etc/os-release", "../usr/lib/os-release")
            .directory_with("tmp", 0o1777, "root", "root"),
        deb("shell", "5.2").essential().program("usr/bin/sh", "not really a shell\n"),
    ]
}

/// An empty package whose size depends on no library's idea of compression.
pub(crate) fn deb(name: &str, version: &str) -> Deb {
    Deb::new(name, version).compression(Compression::None)
}

/// A version of `libgreet`.
pub(crate) fn library(version: &str) -> Deb {
    deb("libgreet", version).file("usr/lib/libgreet.txt", format!("greetings from {version}\n"))
}

/// A version of `greeter`, which needs that `libgreet` or a later one.
pub(crate) fn greeter(version: &str) -> Deb {
    deb("greeter", version)
        .depends(&format!("libgreet (>= {version})"))
        .program("usr/bin/greet", format!("#!/bin/sh\n# {version}\n"))
}

impl Site {
    /// A machine with the usual archive.
    pub(crate) fn new() -> Self {
        Self::with(archive())
    }

    /// A machine with another archive.
    pub(crate) fn with(archive: ArchiveBuilder) -> Self {
        Self::furnish(TestEnv::new(LARDER), archive)
    }

    /// A machine with another archive, whose store is in memory.
    pub(crate) fn in_memory(archive: ArchiveBuilder) -> Self {
        Self::furnish(TestEnv::in_memory(LARDER), archive)
    }

    /// A machine with the usual archive, for an ordinary user; `None` when there is no such user.
    pub(crate) fn for_user() -> Option<Self> {
        Self::for_user_with(archive())
    }

    /// A machine with another archive, for an ordinary user; `None` when there is no such user.
    pub(crate) fn for_user_with(archive: ArchiveBuilder) -> Option<Self> {
        Some(Self::furnish(TestEnv::for_user(LARDER)?, archive))
    }

    fn furnish(mut env: TestEnv, archive: ArchiveBuilder) -> Self {
        let archive = archive.build();
        let server = archive.serve();
        for name in ["LARDER_DEBIAN_MIRROR", "http_proxy", "https_proxy"] {
            env.unset(name);
        }
        // The archive's own folder is closed to other users.
        let keyring = env.write("keyring.gpg", archive.key().public());
        let site = Self { env, archive, server };
        site.configure(&[keyring]);
        site
    }

    /// Writes the configuration: this mirror, and these keyrings.
    pub(crate) fn configure(&self, keyrings: &[PathBuf]) {
        let url = self.server.url();
        self.env.write(
            "home/.config/larder/config.toml",
            format!("[debian]\nmirror = {url:?}\nsecurity-mirror = \"{url}-security\"\nkeyrings = {keyrings:?}\n"),
        );
    }

    /// Writes the recipe of `example.com/FOLDER` with these packages, and whatever lines follow.
    pub(crate) fn recipe(&self, folder: &str, packages: &[&str], rest: &str) {
        let text = format!(
            "[image]\nname = \"example.com/{folder}\"\nversion = \"1.0\"\nfrom = \"debian.org/bookworm\"\n\
             packages = {packages:?}\n{rest}"
        );
        self.env.write(format!("{folder}/larder.toml"), text);
    }

    /// Runs `larder` with the words of a line.
    pub(crate) fn run(&self, line: &str) -> Output {
        self.env.larder(line.split_whitespace())
    }

    /// Runs `larder`, which must succeed.
    #[track_caller]
    pub(crate) fn ok(&self, line: &str) {
        _ = self.run(line).success();
    }

    /// Runs `larder` and gives what must have come out on stdout.
    #[track_caller]
    pub(crate) fn stdout(&self, line: &str) -> String {
        self.run(line).success().stdout
    }

    /// Runs lines as a user would type them, and shows the session: what is the same on every machine and at any time.
    pub(crate) fn session(&self, lines: &[&str]) -> String {
        let mut text = String::new();
        for line in lines {
            text += &self.show(line, &self.run(line));
        }
        self.redact(&text)
    }

    /// Shows one command: what it said on stderr is marked, and so is an exit code other than 0.
    fn show(&self, line: &str, output: &Output) -> String {
        let mut text = format!("$ larder {line}\n");
        let mut lines: Vec<&str> = output.stderr.lines().collect();
        // Downloads begin in any order.
        let is_list = |line: &str| line.starts_with("fetch the package list");
        for run in lines.chunk_by_mut(|a, b| is_list(a) && is_list(b)) {
            run.sort_unstable();
        }
        for line in lines {
            text += format!("2> {line}").trim_end();
            text.push('\n');
        }
        text += &output.stdout;
        if output.code != 0 {
            text += &format!("[exit code {}]\n", output.code);
        }
        text
    }

    /// Takes out of a text what differs from run to run.
    pub(crate) fn redact(&self, text: &str) -> String {
        let mut redactor = Redactor::default();
        redactor.replace(&self.env.folder().display().to_string(), "$DIR");
        redactor.replace(&self.archive.root().display().to_string(), "$ARCHIVE");
        redactor.replace(&self.server.address(), "http://mirror");
        let text = redactor.redact(text);
        text.lines().flat_map(|line| [line.trim_end(), "\n"]).collect()
    }
}
