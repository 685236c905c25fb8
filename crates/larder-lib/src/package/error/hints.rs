//! What to do next about a package that can't be built.

use std::path::Path;

use larder_debian::{DebianError, ReleaseRefusal};
use larder_store::Name;

use super::{Missing, OutputProblem, PackageError, Phase, Stop};

impl PackageError {
    /// What to do next.
    pub fn hints(&self) -> Vec<String> {
        match self {
            Self::Failed { phase: phase @ (Phase::Configure | Phase::Install), last, log, .. } => {
                let network = last.iter().any(|line| NETWORK.iter().any(|words| line.contains(words)));
                let hint = match (network, phase) {
                    (true, _) => "scripts have no network: what they would fetch must be in a package",
                    (false, Phase::Configure) => {
                        "nothing was kept: leave the package out of `captured`, and put what it lacks into the image with [files]"
                    }
                    (false, _) => "nothing was kept: the script runs once, as root, in a container of the package",
                };
                vec![hint.to_owned(), format!("the whole log is {}", log.display())]
            }
            Self::Stopped { phase: Phase::Configure, log, .. } => {
                vec![
                    "nothing was kept: leave the package out of `captured`, and put what it lacks into the image with [files]"
                        .to_owned(),
                    format!("the whole log is {}", log.display()),
                ]
            }
            Self::Failed { last, log, .. } => {
                let network = last.iter().any(|line| NETWORK.iter().any(|words| line.contains(words)));
                let says = |words: &str| last.iter().any(|line| line.contains(words));
                let (disk, read_only) = (says("No space left on device"), says("Read-only file system"));
                let hint = |there: bool, text: &str| there.then(|| text.to_owned());
                let hints = [
                    hint(network, "a build has no network: name what it needs in [source] or in `with`"),
                    hint(disk, "the disk of the store is full"),
                    hint(read_only, "packages are read-only in a sandbox: install into $OUT, as in DESTDIR=$OUT"),
                    Some(whole_log(log)),
                ];
                hints.into_iter().flatten().collect()
            }
            Self::Stopped { reason, log, .. } => {
                let hint = match reason {
                    Stop::Timeout(_) => "say `timeout = \"2h\"` in [build] for one that needs longer",
                    Stop::Disk { .. } => "make room on the disk of the store, or build with --root on another",
                    Stop::Log(_) => "let the command say less",
                };
                vec![hint.to_owned(), whole_log(log)]
            }
            Self::NothingMade { log, .. } => {
                vec![
                    "let `run` install into the folder $OUT, as in: make install DESTDIR=$OUT".to_owned(),
                    whole_log(log),
                ]
            }
            Self::Output { problem, .. } => vec![problem.hint().to_owned()],
            Self::EmptySplit { .. } => vec!["change its `paths`, or leave it out".to_owned()],
            Self::NoConfiguration { .. } => vec!["change `configuration`, or install the file".to_owned()],
            Self::LinkTaken { .. } => vec!["change the link in [install], or leave out what is in the way".to_owned()],
            Self::NoAlternative { .. } => vec!["change `path` of the alternative, or install the file".to_owned()],
            Self::Undeclared { missing, .. } => undeclared(missing),
            Self::NotReproducible { .. } => vec![
                "take times from SOURCE_DATE_EPOCH, sort what is listed, and leave out random numbers and names"
                    .to_owned(),
            ],
            Self::Architecture { .. } => vec!["add it to `arch` in [host] if it works there".to_owned()],
            Self::SourceDigest { received, .. } => vec![format!(
                "it was changed at its origin: if you trust what is there now, write sha256 = \"{}\"",
                received.hex()
            )],
            Self::NotInSandbox { name, .. } => vec![format!("add \"{}\" to `with` in [build]", name.short())],
            Self::NotFetched { source, .. } => match **source {
                DebianError::Offline { .. } => vec!["unset LARDER_OFFLINE to fetch it".to_owned()],
                DebianError::Missing { .. } => vec!["check the address, or look where the project has moved it".to_owned()],
                _ => Vec::new(),
            },
            Self::NoSource { there_is, .. } if there_is.is_empty() => vec![
                "it is the name of the source that counts (`Source:` in `larder inspect debian.org/PACKAGE`), of a Debian suite in `from`".to_owned(),
            ],
            Self::NoSource { .. } => vec!["change the version, or name a suite in `from` that has it".to_owned()],
            Self::NotSigned { reason, .. } => vec![match reason {
                ReleaseRefusal::WrongKey { .. } => {
                    "`signed-by` must have that key: take it from the publisher in a way that you trust, not from beside the file"
                }
                ReleaseRefusal::KeyRevoked { .. } => "don't use it: whoever has that key now may not be the publisher",
                ReleaseRefusal::KeyExpired { .. } => "take the renewed key from the publisher",
                ReleaseRefusal::Tampered { .. } => {
                    "don't use it: either the file isn't what the publisher signed, or the signature is of another file"
                }
                _ => "`signature` must be a detached OpenPGP signature of the file as it is fetched, as `gpg --detach-sign` makes it",
            }
            .to_owned()],
            Self::PublisherKey { .. } => vec!["`gpg --export --armor KEY` writes one".to_owned()],
            Self::SourcesChanged { .. } => vec!["build again".to_owned()],
            Self::NoGit { .. } => vec!["install Debian's package git".to_owned()],
            Self::Requirement { .. } => vec!["build that package first".to_owned()],
            Self::Cycle { .. } => vec!["leave out one of these requirements, or make one package of two".to_owned()],
            Self::Archive { .. } | Self::ArchiveEntry { .. } | Self::Git { .. } | Self::Twice { .. } => Vec::new(),
        }
    }
}

/// What programs say that find no network.
const NETWORK: [&str; 6] = [
    "Network is unreachable",
    "Temporary failure in name resolution",
    "Could not resolve host",
    "Name or service not known",
    "bad address",
    "Could not connect to",
];

fn whole_log(log: &Path) -> String {
    format!("the whole log is {}; `larder shell` opens the same sandbox", log.display())
}

/// The line that would make each part of the package complete.
fn undeclared(missing: &[Missing]) -> Vec<String> {
    let mut hints = Vec::new();
    let mut parts: Vec<&Name> = missing.iter().map(|missing| &missing.part).collect();
    parts.dedup();
    for part in parts {
        let mut names: Vec<String> = missing
            .iter()
            .filter(|missing| missing.part == *part)
            .filter_map(|missing| missing.providers.first())
            .map(|name| format!("\"{name}\""))
            .collect();
        names.sort();
        names.dedup();
        if !names.is_empty() {
            hints.push(format!("add to `requires` of {part}: {}", names.join(", ")));
        }
    }
    if missing.iter().any(|missing| missing.providers.is_empty()) {
        hints.push("what no package of the sandbox has must be in `with`, or made by the build itself".to_owned());
    }
    hints
}

impl OutputProblem {
    fn hint(&self) -> &'static str {
        match self {
            Self::SetId(_) => {
                "install it without the bit: containers give no rights to such files, and [host] capabilities asks for what is needed"
            }
            Self::Special(_) => "leave it out: what runs makes it where it needs it",
            Self::Alias => "install below /usr: prefix=/usr, or the like",
            Self::NoRoom(_) => "make room, or make it smaller: a file with holes is as large as it says",
            Self::Reserved | Self::Path(_) => "install it somewhere else",
        }
    }
}
