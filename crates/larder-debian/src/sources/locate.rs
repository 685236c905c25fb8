//! Which mirrors carry a suite, and which keys to ask.

use std::path::PathBuf;

use super::{SignedBy, Source, read};
use crate::config::{Config, Mirrors};
use crate::error::DebianError;

/// Names that Debian gives its suites. With them a source of Debian itself is told from a third party's whose suites
/// carry a codename too.
const DEBIAN_SUITES: &[&str] = &[
    "stable",
    "oldstable",
    "oldoldstable",
    "testing",
    "unstable",
    "experimental",
    "sid",
    "stretch",
    "buster",
    "bullseye",
    "bookworm",
    "trixie",
    "forky",
    "duke",
];
const DEBIAN_SUFFIXES: &[&str] = &["-updates", "-proposed-updates", "-backports", "-backports-sloppy"];

/// The part that a suite plays in a distribution.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// The suite itself, or its updates: they are on one mirror.
    Main,
    /// The security updates, which have a mirror of their own.
    Security,
}

/// Where one suite is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The mirrors, the preferred first; never empty.
    pub mirrors: Vec<Mirror>,
    /// Whether the address was derived from another rather than named for this suite.
    pub derived: bool,
}

/// One mirror and the keys that may speak for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mirror {
    /// Its address, without a slash at the end.
    pub url: String,
    /// Where its keys are.
    pub keys: Vec<KeySource>,
}

/// A place where keys are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeySource {
    /// A keyring that must exist.
    File(PathBuf),
    /// A keyring that is passed over when it does not exist.
    IfPresent(PathBuf),
    /// An armoured key in an apt source.
    Inline {
        /// The source's file and line.
        place: String,
        /// The armoured text.
        text: String,
    },
    /// Those keys of the other places that have these fingerprints (of the primary key or a subkey).
    Fingerprints(Vec<String>),
}

/// Finds the mirrors that carry a suite.
///
/// With apt sources, those that name the suite are taken; for a suite that none names, those that carry Debian's other
/// suites, with the system's keyring beside their own. A security mirror that is not named is looked for beside the main one.
///
/// # Errors
/// The sources can't be read or name no mirror of Debian.
pub fn locate(config: &Config, suite: &str, part: Part) -> Result<Place, DebianError> {
    match &config.mirrors {
        Mirrors::Explicit { main, security } => {
            let main = main.trim_end_matches('/');
            let (url, derived) = match (part, security) {
                (Part::Main, _) => (main.to_owned(), false),
                (Part::Security, Some(security)) => (security.trim_end_matches('/').to_owned(), false),
                (Part::Security, None) => (format!("{main}-security"), true),
            };
            Ok(Place { mirrors: vec![Mirror { url, keys: keys(config, None, true) }], derived })
        }
        Mirrors::Apt(apt) => {
            let sources: Vec<Source> = read(apt)?.into_iter().filter(|source| usable(source, config)).collect();
            among(&sources, config, suite, part)
                .ok_or_else(|| DebianError::NoMirror { suite: suite.to_owned(), apt: apt.clone() })
        }
    }
}

fn usable(source: &Source, config: &Config) -> bool {
    let architecture = source.architectures.is_empty() || source.architectures.contains(&config.architecture);
    architecture
        && source.components.iter().any(|component| config.components.contains(component))
        && source.uris.iter().any(|uri| reachable(uri))
}

fn reachable(uri: &str) -> bool {
    ["http://", "https://", "file:", "copy:"].iter().any(|scheme| uri.starts_with(scheme))
}

fn among(sources: &[Source], config: &Config, suite: &str, part: Part) -> Option<Place> {
    let old_name = suite.strip_suffix("-security").map(|base| format!("{base}/updates"));
    let names_it = |source: &&Source| source.suites.iter().any(|name| name == suite || Some(name) == old_name.as_ref());
    let mut exact: Vec<&Source> = sources.iter().filter(names_it).collect();
    if !exact.is_empty() {
        keep_best(&mut exact, sources);
        return Some(place(&exact, config, true));
    }
    let mut related: Vec<&Source> =
        sources.iter().filter(|source| source.suites.iter().any(|name| belongs(name, part))).collect();
    keep_best(&mut related, sources);
    if !related.is_empty() {
        return Some(place(&related, config, false));
    }
    if part == Part::Security {
        let mut beside = among(sources, config, suite.strip_suffix("-security")?, Part::Main)?;
        for mirror in &mut beside.mirrors {
            mirror.url.push_str("-security");
        }
        beside.derived = true;
        return Some(beside);
    }
    None
}

/// Whether a suite's name is one of Debian's for that part.
fn belongs(name: &str, part: Part) -> bool {
    let known = |base: &str| DEBIAN_SUITES.contains(&base);
    match part {
        Part::Main => known(name) || DEBIAN_SUFFIXES.iter().any(|suffix| name.strip_suffix(suffix).is_some_and(known)),
        Part::Security => name.strip_suffix("-security").or_else(|| name.strip_suffix("/updates")).is_some_and(known),
    }
}

/// Keeps the sources that look most like Debian's own archive, in the order of the machine's files.
fn keep_best(candidates: &mut Vec<&Source>, all: &[Source]) {
    let best = candidates.iter().map(|source| likeness(source, all)).max();
    candidates.retain(|source| Some(likeness(source, all)) == best);
}

/// How much a source looks like a distribution's own archive rather than a third party's.
fn likeness(source: &Source, all: &[Source]) -> i32 {
    let key = match &source.signed_by {
        None => 0,
        Some(SignedBy::Files(files)) => {
            let archive = files.iter().any(|file| file.to_string_lossy().contains("archive-keyring"));
            if archive { 4 } else { -4 }
        }
        Some(SignedBy::Inline(_) | SignedBy::Fingerprints(_)) => -1,
    };
    let updates = all.iter().any(|other| {
        other.uris.iter().any(|uri| source.uris.contains(uri))
            && other.suites.iter().any(|suite| suite.ends_with("-updates") || suite.ends_with("-security"))
    });
    let path = source.uris.iter().any(|uri| uri.ends_with("/debian") || uri.ends_with("/debian-security"));
    key + if updates { 2 } else { 0 } + i32::from(path)
}

fn place(sources: &[&Source], config: &Config, named: bool) -> Place {
    let mut mirrors: Vec<Mirror> = Vec::new();
    for source in sources {
        for uri in source.uris.iter().filter(|uri| reachable(uri)) {
            if mirrors.iter().all(|mirror| mirror.url != *uri) {
                mirrors.push(Mirror { url: uri.clone(), keys: keys(config, Some(source), named) });
            }
        }
    }
    Place { mirrors, derived: false }
}

/// The keys for a source: those the configuration gives, else its own, else (or, for a suite that it does not name, also)
/// the system's.
fn keys(config: &Config, source: Option<&Source>, named: bool) -> Vec<KeySource> {
    if !config.keyrings.is_empty() {
        return config.keyrings.iter().cloned().map(KeySource::File).collect();
    }
    let system = || config.system_keyrings.iter().cloned().map(KeySource::IfPresent);
    let Some((source, signed_by)) = source.and_then(|source| Some((source, source.signed_by.as_ref()?))) else {
        return system().collect();
    };
    let own: Vec<KeySource> = match signed_by {
        SignedBy::Files(files) => files.iter().cloned().map(KeySource::File).collect(),
        SignedBy::Inline(text) => vec![KeySource::Inline { place: source.place.clone(), text: text.clone() }],
        SignedBy::Fingerprints(prints) => {
            return system().chain([KeySource::Fingerprints(prints.clone())]).collect();
        }
    };
    if named { own } else { own.into_iter().chain(system()).collect() }
}
