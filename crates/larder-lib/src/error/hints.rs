//! The next step after what the archive or the store refuses. Their own crates say what happened, and don't know how
//! this program is told otherwise.

use larder_debian::{DebianError, ReleaseRefusal};
use larder_solver::{Failure, Reason};
use larder_store::StoreError;
use larder_store::fileset::Override;

/// After a package that can't be converted.
pub(super) const REFUSED_PACKAGE: &str = "nothing of it was kept: leave the package out, or take another version of it";

const OTHER_MIRROR: &str =
    "try again later, or name another mirror in LARDER_DEBIAN_MIRROR or, in the configuration, [debian] mirror";
const KEYRINGS: &str = "the package debian-archive-keyring has the archive's keys; \
                        [debian] keyrings in the configuration names others";

/// Where a package of one's own comes from.
pub(super) const OWN_PACKAGE: &str =
    "`larder build` its recipe first, or name the folder of the recipe: { path = \"../hello\" }";

/// The next step after a package that doesn't fit in another's place.
pub(super) fn stand_in(better: &str) -> String {
    format!("{better}, or force it and say why: {{ by = …, force = true, reason = \"…\" }}")
}

/// The next step where there is no choice of packages.
pub(super) fn unsolvable(failure: &Failure, overrides: &[Override]) -> Option<String> {
    let is_own = |text: &str| {
        text.split([',', '|']).any(|atom| atom.trim().split([' ', '(', ':']).next().is_some_and(|n| n.contains('/')))
    };
    let is_lacking = |reason: &Reason| matches!(reason, Reason::Unknown { requirement, there_is, .. } if there_is.is_empty() && is_own(requirement));
    if failure.reasons.iter().any(is_lacking) {
        return Some("packages of one's own come from the store: `larder build` their recipes first".to_owned());
    }
    let list: Vec<_> = overrides.iter().map(|o| format!("{} answers for {}", o.by, o.of)).collect();
    (!list.is_empty()).then(|| format!("by [override] {}, at its own version unless it is forced", list.join(", ")))
}

/// The next step after an error of the Debian archive.
pub(super) fn debian(error: &DebianError) -> Option<String> {
    let hint = match error {
        DebianError::NoMirror { .. } => {
            "name a mirror in LARDER_DEBIAN_MIRROR or, in the configuration, [debian] mirror".to_owned()
        }
        DebianError::BadMirror { .. } => {
            "write it as http://HOST/debian, https://HOST/debian or file:///FOLDER/debian".to_owned()
        }
        DebianError::NoKeyring { .. } | DebianError::BadKeyring { .. } => KEYRINGS.to_owned(),
        DebianError::NoSuchSuite { suite, .. } => {
            format!(
                "check the spelling of `from = \"debian.org/{suite}\"`: bookworm and trixie are suites, for example"
            )
        }
        DebianError::Release { reason, .. } => release(reason)?.to_owned(),
        DebianError::Mismatch { .. } | DebianError::WrongSize { .. } | DebianError::Refused { .. } => {
            format!("nothing of it was kept: {OTHER_MIRROR}")
        }
        DebianError::Missing { .. } => {
            "mirrors drop replaced versions: `larder update` takes those that are there now".to_owned()
        }
        DebianError::Unreachable { .. } => format!("what has come so far is kept: {OTHER_MIRROR}"),
        DebianError::Offline { .. } => "unset LARDER_OFFLINE to fetch it".to_owned(),
        DebianError::DamagedIndex { path, .. } => format!("it is a cache: delete {}", path.display()),
        _ => return None,
    };
    Some(hint)
}

fn release(reason: &ReleaseRefusal) -> Option<&'static str> {
    Some(match reason {
        ReleaseRefusal::WrongKey { .. } | ReleaseRefusal::KeyExpired { .. } => KEYRINGS,
        ReleaseRefusal::Expired { .. }
        | ReleaseRefusal::RolledBack { .. }
        | ReleaseRefusal::Tampered { .. }
        | ReleaseRefusal::NotSigned
        | ReleaseRefusal::Malformed { .. } => OTHER_MIRROR,
        ReleaseRefusal::FromTheFuture { .. } => "set this machine's clock",
        ReleaseRefusal::OtherSuite { .. } => "ask for the suite by its codename, such as debian.org/bookworm",
        _ => return None,
    })
}

/// The next step after an error of the store.
pub(super) fn store(error: &StoreError) -> Option<String> {
    match error {
        StoreError::Unreadable { .. }
        | StoreError::ReadOnly { .. }
        | StoreError::NotAStore { .. }
        | StoreError::Foreign { .. } => Some("--root or LARDER_ROOT names another store".to_owned()),
        StoreError::Missing { .. } | StoreError::Text { .. } => {
            Some("`larder fsck` says what else is wrong, and `larder fsck --repair` mends what it can".to_owned())
        }
        StoreError::NoEarlier { name } => Some(format!("`larder history {name}` lists its records")),
        _ => None,
    }
}
