//! Which packages: distributions are opened, the solver asked, its answer given the archive's files.

mod choose;
pub(crate) mod curated;
pub(crate) mod names;
pub(crate) mod stanza;
mod stock;
mod universe;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use larder_debian::progress::Progress;
use larder_debian::sources::{self, Part};
use larder_debian::{ArchiveFile, Distribution, Evidence, Refresh};
use larder_solver::{Base, Request, Root, Solution, Universe, Update};
use larder_store::Name;

use crate::{Error, Host, Result};

pub(crate) use choose::resolved;
pub use choose::{Ask, Choice, Earlier, Replaced, Source, choose, is_debians};
pub use curated::Curated;
pub use names::{freed, full_name, solver_name, solver_root};

/// How long a suite's state counts as fresh for a first build: the archive changes four times a day.
pub(crate) const FRESH: Duration = Duration::from_secs(3600);

/// Debian's statement that `/bin`, `/lib` and `/sbin` are links into `/usr`. Essential packages require it or the program
/// that makes them so, which brings perl along; in an image they always are.
pub(crate) const MERGED: &str = "usr-is-merged";

/// What an image asks of the solver.
#[derive(Debug, Clone)]
pub struct Wanted<'a> {
    /// The distribution.
    pub from: &'a Name,
    /// The packages asked for.
    pub roots: &'a [Root],
    /// What is there besides.
    pub base: Base,
    /// Whether Recommends are followed.
    pub recommends: bool,
    /// Versions of an earlier answer, by short name.
    pub locked: BTreeMap<String, String>,
    /// Which of them may change.
    pub update: Update,
}

/// The solver's answer with what the archive says about it.
#[derive(Debug, Clone)]
pub struct Solved {
    /// The packages, sorted by name.
    pub solution: Solution,
    /// Each package's file, in the same order.
    pub files: Vec<ArchiveFile>,
    /// What the answer rests on.
    pub evidence: Evidence,
}

/// Says where files of a lock can be fetched, without reading any index: their digests are known already.
///
/// # Errors
/// A name that no bridge serves, or no mirror that carries the suite.
pub fn locate(host: &Host, from: &Name, files: &mut [ArchiveFile]) -> Result<()> {
    let suite = suite(from)?;
    let mut mirrors = sources::locate(&host.debian, suite, Part::Main)?.mirrors;
    mirrors.extend(sources::locate(&host.debian, &format!("{suite}-security"), Part::Security)?.mirrors);
    for file in files {
        file.urls = mirrors.iter().map(|mirror| format!("{}/{}", mirror.url, file.filename)).collect();
    }
    Ok(())
}

/// The suite of the Debian archive that a distribution's name stands for.
fn suite(from: &Name) -> Result<&str> {
    match (from.domain(), from.path()) {
        (larder_debian::convert::DOMAIN, suite) if !suite.contains('/') => Ok(suite),
        _ => Err(Error::UnknownDistribution { name: from.clone() }),
    }
}

/// Opens the distribution that a name stands for.
///
/// # Errors
/// A name that no bridge serves, and whatever keeps the archive from being read.
pub fn distribution(host: &Host, from: &Name, refresh: Refresh, progress: &dyn Progress) -> Result<Distribution> {
    Ok(Distribution::open(&host.debian, suite(from)?, refresh, progress)?)
}

/// Solves. An update always asks the mirror first; otherwise a state that was checked within the hour will do.
///
/// # Errors
/// No answer exists, a name of `update` is not locked, or the archive can't be read.
pub fn solve(host: &Host, wanted: &Wanted<'_>, progress: &dyn Progress) -> Result<Solved> {
    let refresh = match (&wanted.update, host.debian.offline) {
        (_, true) => Refresh::Never,
        (Update::None, false) => Refresh::IfOlder(FRESH),
        (_, false) => Refresh::Always,
    };
    if let Update::Some(names) = &wanted.update {
        check_names(names, &wanted.locked)?;
    }
    let distribution = distribution(host, wanted.from, refresh, progress)?;
    let mut roots = wanted.roots.to_vec();
    if wanted.base == Base::Essential && !distribution.candidates(MERGED).is_empty() {
        roots.push(Root::any(MERGED));
    }
    let request = Request {
        roots: &roots,
        base: wanted.base,
        recommends: wanted.recommends,
        locked: &wanted.locked,
        update: wanted.update.clone(),
    };
    let solution = larder_solver::resolve(&distribution, &request).map_err(|failure| Error::Unsolvable {
        from: wanted.from.to_string(),
        failure,
        overrides: Vec::new(),
    })?;
    let files = solution.packages.iter().map(|chosen| distribution.archive_file(chosen.id)).collect();
    Ok(Solved { solution, files, evidence: distribution.evidence() })
}

fn check_names(names: &BTreeSet<String>, locked: &BTreeMap<String, String>) -> Result<()> {
    match names.iter().find(|name| !locked.contains_key(*name)) {
        None => Ok(()),
        Some(name) => Err(Error::NotInImage {
            package: name.clone(),
            nearest: larder_solver::nearest_names(name, locked.keys().map(String::as_str)),
        }),
    }
}
