//! A distribution: the suites that are known to work together.
//!
//! `bookworm` is the suite of that name, its updates and its security updates, each with a signed release file and package
//! lists of its own. Opening it verifies the release files (also those that are cached), maps the indexes and joins them
//! into one [`Universe`](larder_solver::Universe); where two suites list the same package in the same version, the first counts.
//!
//! The cache, which any number of processes share:
//!
//! ```text
//! suites/<suite>/InRelease   the verified release file       suites/<suite>/state   when and where it was asked for
//! suites/<suite>/lock        held while a suite is refreshed
//! releases/<sha256>          release files that something in the store rests on
//! seen/<digest>              the newest Date of a suite, by the identity that is signed, whatever the mirror
//! lists/<sha256>.<form>      package lists as fetched        indexes/<sha256>.<version>.idx   made from them
//! debs/<sha256>.deb          packages
//! ```

mod cached;
mod evidence;
mod recheck;
mod suite;
mod universe;

use std::thread;

use larder_solver::PackageId;

use crate::archive_file::ArchiveFile;
use crate::config::{Config, Refresh};
use crate::error::DebianError;
use crate::progress::Progress;
use crate::source_index::SourcePackage;
use crate::sources::Part;

pub use cached::sweep_releases;
pub use evidence::{AbsentSuite, Evidence, SuiteEvidence};
pub use recheck::{ChainBreak, Link, Rechecked, Rechecker, SourceClaim};
use suite::{Found, Need, Opener, Suite};
pub use universe::Description;
use universe::Joined;

/// An opened distribution: what its signed indexes list for one architecture.
#[derive(Debug)]
pub struct Distribution {
    codename: String,
    architecture: String,
    suites: Vec<Suite>,
    absent: Vec<AbsentSuite>,
    joined: Joined,
}

impl Distribution {
    /// Opens a suite (`bookworm`, `trixie`, `stable`, `sid`…) with its updates and security updates.
    ///
    /// Updates or security updates that the mirror does not have are a note and are listed in [`Evidence::absent`]; a suite
    /// that was there before must not go missing.
    ///
    /// # Errors
    /// No mirror or keyring, a release file that is refused, an index that differs from what is signed, a mirror that
    /// can't be reached when it must be. What was cached before is then still there.
    pub fn open(config: &Config, suite: &str, refresh: Refresh, progress: &dyn Progress) -> Result<Self, DebianError> {
        check_name(suite)?;
        let opener = Opener::new(config, refresh, progress);
        let part = if suite.ends_with("-security") { Part::Security } else { Part::Main };
        let main = match opener.release(suite, part, Need::Required)? {
            Found::Suite(main) => main,
            Found::Absent(absent) => return Err(absent_main(&absent)),
        };
        let codename = main.release.codename.clone();
        let mut wanted = Vec::new();
        let rolling = ["sid", "unstable", "experimental"].iter().any(|name| *name == codename || *name == suite);
        if !suite.contains('-') && !rolling {
            check_name(&codename)?;
            wanted.push((format!("{codename}-updates"), Part::Main));
            wanted.push((format!("{codename}-security"), Part::Security));
        }
        let results: Vec<Result<Found, DebianError>> = thread::scope(|scope| {
            let opener = &opener;
            let main = scope.spawn(move || opener.indexes(*main, Need::Required));
            let others: Vec<_> =
                wanted.iter().map(|(name, part)| scope.spawn(move || opener.suite(name, *part))).collect();
            std::iter::once(main)
                .chain(others)
                .map(|thread| thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
                .collect()
        });
        let mut suites = Vec::new();
        let mut absent = Vec::new();
        for result in results {
            match result? {
                Found::Suite(suite) => suites.push(*suite),
                Found::Absent(suite) => absent.push(suite),
            }
        }
        let joined = Joined::new(suites.iter_mut().enumerate());
        Ok(Self { codename, architecture: config.architecture.clone(), suites, absent, joined })
    }

    /// The name that stays: `bookworm`, also when it was asked for as `stable`.
    pub fn codename(&self) -> &str {
        &self.codename
    }

    /// What the content rests on.
    pub fn evidence(&self) -> Evidence {
        let suites = self.suites.iter().map(Suite::evidence).collect();
        Evidence { suites, absent: self.absent.clone() }
    }

    /// The file of a package, and the chain that vouches for it. The id came from this distribution.
    pub fn archive_file(&self, id: PackageId) -> ArchiveFile {
        let (entry, local) = self.joined.entry(id);
        let suite = &self.suites[entry.suite];
        let (info, location) = (entry.index.package(local), entry.index.location(local));
        ArchiveFile {
            name: info.name.to_owned(),
            version: info.version.to_owned(),
            architecture: info.architecture.to_owned(),
            urls: suite.mirrors.iter().map(|mirror| format!("{mirror}/{}", location.filename)).collect(),
            filename: location.filename.to_owned(),
            size: location.size,
            sha256: location.sha256,
            suite: suite.name.clone(),
            release: suite.release.digest,
            index: entry.list,
            signer: suite.release.signer.clone(),
        }
    }

    /// Finds the newest version of a source package that is accepted; or else the versions that there are, newest first.
    ///
    /// # Errors
    /// An index that can't be fetched or read.
    pub fn source(
        &self,
        config: &Config,
        name: &str,
        accepts: &dyn Fn(&str) -> bool,
        progress: &dyn Progress,
    ) -> Result<Result<SourcePackage, Vec<String>>, DebianError> {
        let mut all: Vec<SourcePackage> = Vec::new();
        for suite in &self.suites {
            all.extend(suite.sources(config, name, progress)?);
        }
        // Of equal versions the first suite's stays in front.
        all.sort_by(|a, b| larder_solver::compare(&b.version, &a.version));
        let there_is = all.iter().map(|source| source.version.clone()).collect();
        Ok(all.into_iter().find(|source| accepts(&source.version)).ok_or(there_is))
    }

    /// What people want to know of a package. The id came from this distribution.
    pub fn describe(&self, id: PackageId) -> Description<'_> {
        self.joined.describe(id)
    }

    /// All names that a package has or provides, sorted.
    pub fn names(&self) -> Vec<&str> {
        self.joined.names()
    }
}

/// A suite's name stands in paths and addresses.
fn check_name(suite: &str) -> Result<(), DebianError> {
    let proper = |byte: u8| byte.is_ascii_alphanumeric() || b"-._+".contains(&byte);
    if suite.bytes().next().is_some_and(|byte| byte.is_ascii_alphanumeric()) && suite.bytes().all(proper) {
        return Ok(());
    }
    Err(DebianError::BadSuite { suite: suite.to_owned() })
}

fn absent_main(absent: &AbsentSuite) -> DebianError {
    DebianError::Offline { what: format!("the suite {}", absent.suite) }
}

#[cfg(test)]
mod tests;
