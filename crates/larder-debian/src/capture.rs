//! What maintainer scripts left in a sandbox: what of it may be kept, what a composer makes anyway, and what must never be in a package.
//!
//! The list is reviewed (`capture/rules.toml`), each line with its reason. Contents are looked at whatever their name: a private key is
//! refused wherever it lies. What scripts told the package manager (users, alternatives, diversions, shells) becomes rules of
//! installation: [`observed`].

mod content;
mod observed;

use std::sync::LazyLock;

use larder_store::TreePath;
use serde::Deserialize;

use crate::DebianError;

pub use content::look;
pub use observed::{Databases, SHELLS, observed};

/// The rule by which what scripts left becomes a FileSet. A change of what is kept, or of how scripts are run, is a new one.
pub const RULE: &str = "capture/1";

const BUILT_IN: &str = include_str!("capture/rules.toml");

/// What becomes of a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// It is kept.
    Kept,
    /// Something else makes it: it is left out, and nothing is lost.
    Made,
    /// It may not be in a package.
    Refused,
}

/// What the list says of a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Judged {
    /// What becomes of it.
    pub verdict: Verdict,
    /// Why.
    pub reason: &'static str,
    /// The pattern that it fits: where names differ each time, the pattern doesn't.
    pub pattern: &'static str,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Rules {
    rule: Vec<Rule>,
}

/// Paths, and what becomes of them.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Rule {
    /// Absolute; `*` stands for anything within a component, `**` for any number of components, at the end for at least one.
    paths: Vec<String>,
    what: Verdict,
    reason: String,
    /// Folders are kept all the same, as services want them to be there with their owner.
    #[serde(default)]
    keeps_directories: bool,
}

/// What kind of path is judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    /// A folder.
    Directory,
    /// Anything else.
    Other,
}

/// What the list says of a path that scripts made, changed or removed; `None` where it says nothing.
///
/// # Errors
/// None in a released version: a test reads the rules.
pub fn judge(path: &TreePath, what: What) -> Result<Option<Judged>, DebianError> {
    static RULES: LazyLock<Result<Rules, String>> =
        LazyLock::new(|| toml::from_str(BUILT_IN).map_err(|e| e.to_string()));
    let rules = RULES.as_ref().map_err(|problem| DebianError::Syntax {
        place: "the rules of what is captured".into(),
        line: 1,
        problem: problem.clone(),
    })?;
    let fits = |rule: &'static Rule| Some((rule, rule.paths.iter().find(|pattern| matches(pattern, path))?));
    Ok(rules.rule.iter().find_map(fits).map(|(rule, pattern)| {
        let is_kept = rule.keeps_directories && what == What::Directory;
        Judged {
            verdict: if is_kept { Verdict::Kept } else { rule.what },
            reason: if is_kept { "it is a folder that a service may want" } else { &rule.reason },
            pattern,
        }
    }))
}

fn matches(pattern: &str, path: &TreePath) -> bool {
    let pattern: Vec<&[u8]> = pattern.trim_start_matches('/').as_bytes().split(|&b| b == b'/').collect();
    let path: Vec<&[u8]> = path.as_bytes().split(|&b| b == b'/').collect();
    components(&pattern, &path)
}

fn components(pattern: &[&[u8]], path: &[&[u8]]) -> bool {
    match (pattern, path) {
        ([], []) => true,
        ([b"**"], rest) => !rest.is_empty(),
        ([b"**", pattern @ ..], _) => (0..=path.len()).any(|skipped| components(pattern, &path[skipped..])),
        ([first, pattern @ ..], [part, path @ ..]) => within(first, part) && components(pattern, path),
        _ => false,
    }
}

/// Whether a component fits a pattern in which `*` is any number of any bytes.
fn within(pattern: &[u8], part: &[u8]) -> bool {
    let mut pieces = pattern.split(|&b| b == b'*');
    let Some(mut rest) = part.strip_prefix(pieces.next().unwrap_or_default()) else { return false };
    let mut pieces: Vec<&[u8]> = pieces.collect();
    let Some(last) = pieces.pop() else { return rest.is_empty() };
    for piece in pieces {
        match memchr::memmem::find(rest, piece) {
            Some(at) => rest = &rest[at + piece.len()..],
            None => return false,
        }
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(path: &str) -> Option<Verdict> {
        let path = TreePath::try_from(path).expect("path");
        judge(&path, What::Other).expect("rules").map(|judged| judged.verdict)
    }

    #[test]
    fn keys_databases_and_machine_ids_are_refused() {
        for path in [
            "etc/ssh/ssh_host_rsa_key",
            "etc/ssh/ssh_host_ed25519_key.pub",
            "etc/ssl/private/ssl-cert-snakeoil.key",
            "etc/ssl/certs/ssl-cert-snakeoil.pem",
            "var/lib/mysql/ibdata1",
            "var/lib/postgresql/15/main/PG_VERSION",
            "var/lib/rabbitmq/.erlang.cookie",
            "etc/machine-id",
            "var/log/thing.log",
            "root/.bashrc",
        ] {
            assert_eq!(verdict(path), Some(Verdict::Refused), "{path}");
        }
        // Nothing is said of these: only the package itself may have changed them.
        for path in ["usr/bin/thing", "new/thing", "etc"] {
            assert_eq!(verdict(path), None, "{path}");
        }
    }

    #[test]
    fn what_composers_make_is_no_loss_and_the_rest_is_kept() {
        for made in [
            "etc/passwd",
            "etc/shadow-",
            "var/lib/dpkg/status",
            "etc/alternatives/editor",
            "etc/ld.so.cache",
            "usr/lib/python3/dist-packages/a/__pycache__/b.cpython-311.pyc",
        ] {
            assert_eq!(verdict(made), Some(Verdict::Made), "{made}");
        }
        for kept in ["etc/pam.d/common-auth", "etc/ssh/sshd_config", "var/lib/pam/auth", "var/spool/thing/queue"] {
            assert_eq!(verdict(kept), Some(Verdict::Kept), "{kept}");
        }
        let log = judge(&TreePath::try_from("var/log/mysql").expect("path"), What::Directory).expect("rules");
        assert_eq!(log.map(|judged| judged.verdict), Some(Verdict::Kept));
    }

    #[test]
    fn patterns_mean_components() {
        let is = |pattern, path| matches(pattern, &TreePath::try_from(path).expect("path"));
        assert!(is("/a/**", "a/b") && is("/a/**", "a/b/c") && !is("/a/**", "a") && !is("/a/**", "ab/c"));
        assert!(is("/a/*_key", "a/x_key") && !is("/a/*_key", "a/b/x_key") && !is("/a/x*x", "a/x"));
        assert!(is("/a/*b*", "a/xbx") && is("/a/*b*", "a/b") && !is("/a/*b*", "a/x") && !is("/a/b", "a/bc"));
        assert!(is("/a/**/c/**", "a/c/d") && is("/a/**/c/**", "a/b/b/c/d") && !is("/a/**/c/**", "a/b/c"));
    }
}
