//! A package's maintainer scripts, laid out as dpkg has them while it installs the package, and what runs them.
//!
//! ```text
//! /var/lib/dpkg/tmp.ci/        control, preinst, config, templates: where debconf looks during preinst
//! /var/lib/dpkg/info/NAME.*    all of them, for postinst; the templates of other packages that ask
//! /usr/sbin/policy-rc.d        forbids services to be started
//! ```
//! The package's files are in place already when preinst runs, which dpkg does before it unpacks them.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::ErrorKind;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use larder_debian::ArchiveFile;
use larder_debian::convert::{self, Converted, Expected};
use larder_debian::deb::{Deb, Limits};
use larder_debian::declare::{self, Declared};
use larder_debian::fetch;
use larder_debian::progress::Progress;
use larder_store::{Attributes, Entry, FileSet, Ingest, ObjectDigest, Tree, TreeBuilder, TreePath};

use crate::{Error, Host, Result};

/// The debconf templates of a `.deb`, if it has any.
fn templates(file: &ArchiveFile, path: &Path) -> Result<Option<Vec<u8>>> {
    let opened = File::open(path).map_err(Error::io("open", path))?;
    let control = Deb::open(opened, Limits::default()).and_then(|mut deb| deb.control());
    let control = control.map_err(|error| Error::from(error).about_package(format!("{} {}", file.name, file.version)));
    Ok(control?.remove("templates"))
}

/// What dpkg tells scripts that it is, where the image has no dpkg.
const DPKG: &str = "1.21.0";
/// What says that no service may be started.
const POLICY: &str = "#!/bin/sh\nexit 101\n";
/// How often files are fetched that others delete.
const TRIES: u32 = 5;
const EXECUTABLES: [&str; 5] = ["config", "postinst", "postrm", "preinst", "prerm"];
const FIRST: [&str; 3] = ["config", "preinst", "templates"];

/// The scripts of one package.
pub(super) struct Scripts {
    converted: Converted,
    declared: Declared,
    /// The questions that other packages may ask through debconf, by the name under which dpkg keeps them: ucf asks its own in others' scripts.
    templates: BTreeMap<String, Vec<u8>>,
}

/// What is fetched for a capture.
pub(super) struct Files<'a> {
    /// The package's `.deb`.
    pub(super) package: &'a ArchiveFile,
    /// Those of the packages with questions of their own.
    pub(super) asking: &'a [ArchiveFile],
}

/// Whether a package may have questions: it requires debconf.
pub(super) fn asks(record: &FileSet) -> bool {
    let metadata = record.package();
    let is_debconf = |part: &str| {
        let name = part.trim().split([' ', '(', ':']).next().unwrap_or_default();
        matches!(name, "debconf" | "debconf-2.0" | "cdebconf")
    };
    metadata.is_some_and(|metadata| metadata.requires.iter().any(|clause| clause.split('|').any(is_debconf)))
}

impl Scripts {
    /// Fetches `.deb`s and reads their control archives.
    ///
    /// # Errors
    /// A file that can't be fetched or isn't the expected one.
    pub(super) fn fetch(host: &Host, files: &Files<'_>, progress: &dyn Progress) -> Result<Self> {
        let mut tries = 1..TRIES;
        loop {
            match Self::try_fetch(host, files, progress) {
                // Another process wanted the same file, was done with it first, and has deleted it.
                Err(Error::Io { source, .. }) if source.kind() == ErrorKind::NotFound && tries.next().is_some() => {}
                fetched => return fetched,
            }
        }
    }

    fn try_fetch(host: &Host, files: &Files<'_>, progress: &dyn Progress) -> Result<Self> {
        let all: Vec<ArchiveFile> = [files.package].into_iter().chain(files.asking).cloned().collect();
        let (scripts, others) = (Mutex::default(), Mutex::new(BTreeMap::new()));
        fetch::fetch_each::<Error>(&host.debian, &all, progress, &|number, path| {
            let file = &all[number];
            if number == 0 {
                let read = Self::read(file, path)?;
                *scripts.lock().unwrap_or_else(PoisonError::into_inner) = Some(read);
            } else if let Some(templates) = templates(file, path)? {
                others.lock().unwrap_or_else(PoisonError::into_inner).insert(file.name.clone(), templates);
            }
            // It is needed this once; one that stays is only a file in the cache.
            let _ = std::fs::remove_file(path);
            Ok(())
        })?;
        let scripts: Option<Self> = scripts.into_inner().unwrap_or_else(PoisonError::into_inner);
        let templates = others.into_inner().unwrap_or_else(PoisonError::into_inner);
        let nothing = || Error::io("read", Path::new(&files.package.filename))(ErrorKind::NotFound.into());
        Ok(Self { templates, ..scripts.ok_or_else(nothing)? })
    }

    fn read(file: &ArchiveFile, path: &Path) -> Result<Self> {
        let what = || format!("{} {}", file.name, file.version);
        let expected = Expected {
            sha256: file.sha256,
            package: &file.name,
            version: &file.version,
            architecture: &file.architecture,
        };
        let opened = File::open(path).map_err(Error::io("open", path))?;
        let converted = convert::read::<Error>(opened, &expected, &mut |content, _| {
            Ok(ObjectDigest::of_reader(content).map_err(Error::io("read", path))?.0)
        })
        .map_err(|error| error.about_package(what()))?;
        let declared = declare::declare(&converted).map_err(|error| Error::from(error).about_package(what()))?;
        Ok(Self { converted, declared, templates: BTreeMap::new() })
    }

    /// What can be said of them without running them.
    pub(super) fn declared(&self) -> &Declared {
        &self.declared
    }

    /// Whether there is anything to run.
    pub(super) fn is_empty(&self) -> bool {
        self.command().is_empty()
    }

    /// The name under which dpkg keeps them.
    fn stem(&self) -> String {
        let record = &self.converted.record;
        match self.converted.control.get("Multi-Arch") {
            Some("same") => format!("{}:{}", record.name.short(), record.architecture),
            _ => record.name.short().to_owned(),
        }
    }

    /// Writes them to the store: what the sandbox's image has besides its packages.
    ///
    /// # Errors
    /// A store that can't be written.
    pub(super) fn lay_out(&self, ingest: &Ingest<'_>) -> Result<Tree> {
        let Converted { record, tree, scripts, .. } = &self.converted;
        let mut builder = TreeBuilder::new();
        let mut put = |path: String, content: &[u8], executable: bool| -> Result<()> {
            let (digest, size) = (ingest.write_bytes(content)?, content.len() as u64);
            let attributes = Attributes { mode: Some(if executable { 0o755 } else { 0o644 }), ..Attributes::default() };
            let path = TreePath::try_from(path.as_str()).map_err(|source| Error::ViewPath { source })?;
            Ok(builder.insert(path, Entry::File { digest, size, executable }, attributes)?)
        };
        put("usr/sbin/policy-rc.d".to_owned(), POLICY.as_bytes(), true)?;
        let stem = self.stem();
        for (name, content) in scripts {
            let executable = EXECUTABLES.contains(&name.as_str());
            put(format!("var/lib/dpkg/info/{stem}.{name}"), content, executable)?;
            if FIRST.contains(&name.as_str()) {
                put(format!("var/lib/dpkg/tmp.ci/{name}"), content, executable)?;
            }
        }
        for (package, text) in &self.templates {
            put(format!("var/lib/dpkg/info/{package}.templates"), text, false)?;
        }
        let control = format!("var/lib/dpkg/status.d/{}", record.name.short());
        if let Some(entry) = tree.get(control.as_bytes()) {
            let path = TreePath::try_from("var/lib/dpkg/tmp.ci/control");
            let path = path.map_err(|source| Error::ViewPath { source })?;
            builder.insert(path, entry.entry.clone(), Attributes::default())?;
        }
        Ok(builder.finish()?)
    }

    /// What is run: what dpkg runs of a package that was never there before. Empty where there is nothing.
    pub(super) fn command(&self) -> String {
        // As if those packages had been configured before.
        let known = self.templates.keys().map(|package| {
            let file = format!("/var/lib/dpkg/info/{package}.templates");
            format!("echo X_LOADTEMPLATEFILE {file} {package} | debconf-communicate {package} > /dev/null")
        });
        let mut lines = Vec::new();
        let mut step = |name: &str, call: String| {
            if self.converted.scripts.contains_key(name) {
                lines.extend([format!("export DPKG_MAINTSCRIPT_NAME={name}"), call]);
            }
        };
        step("preinst", "/var/lib/dpkg/tmp.ci/preinst install".to_owned());
        step("postinst", format!("/var/lib/dpkg/info/{}.postinst configure ''", self.stem()));
        if lines.is_empty() { String::new() } else { known.chain(lines).collect::<Vec<_>>().join("\n") }
    }

    /// What dpkg puts into scripts' environment, and what keeps debconf from asking.
    pub(super) fn environment(&self, dpkg: Option<&str>) -> Vec<(String, String)> {
        let record = &self.converted.record;
        let fixed = BTreeMap::from([
            ("DEBCONF_NONINTERACTIVE_SEEN", "true".to_owned()),
            ("DEBIAN_FRONTEND", "noninteractive".to_owned()),
            ("DPKG_ADMINDIR", "/var/lib/dpkg".to_owned()),
            ("DPKG_FORCE", "security-mac,downgrade".to_owned()),
            ("DPKG_MAINTSCRIPT_ARCH", record.architecture.clone()),
            ("DPKG_MAINTSCRIPT_DEBUG", "0".to_owned()),
            ("DPKG_MAINTSCRIPT_PACKAGE", record.name.short().to_owned()),
            ("DPKG_MAINTSCRIPT_PACKAGE_REFCOUNT", "1".to_owned()),
            ("DPKG_ROOT", String::new()),
            ("DPKG_RUNNING_VERSION", dpkg.unwrap_or(DPKG).to_owned()),
            ("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin".to_owned()),
            ("PERL_DL_NONLAZY", "1".to_owned()),
            ("SOURCE_DATE_EPOCH", record.time.to_string()),
            ("TERM", "dumb".to_owned()),
        ]);
        fixed.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
    }
}
