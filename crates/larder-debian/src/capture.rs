//! What maintainer scripts left in a sandbox: what of it may be kept, what a composer makes anyway, and what must never be in a package.
//!
//! The list is reviewed (`capture/rules.toml`), each line with its reason. Where it says nothing a path is kept only in the places that are a
//! package's to fill. Contents are looked at whatever their name: a private key is refused wherever it lies.

use std::sync::LazyLock;

use larder_store::{Entry, TreePath};
use serde::Deserialize;

use crate::DebianError;

/// Counts the changes of what is kept.
pub const RULES_VERSION: u32 = 1;

const BUILT_IN: &str = include_str!("capture/rules.toml");

/// How much of a file is looked at for what it is.
pub const LOOKED_AT: usize = 1 << 20;

/// What becomes of a path.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// It is kept.
    Kept,
    /// Something else makes it: it is left out, and nothing is lost.
    Made(String),
    /// It may not be in a package.
    Refused(String),
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
    /// Absolute; `*` stands for what is within a component, `/**` at the end for everything below.
    paths: Vec<String>,
    what: What,
    reason: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum What {
    Made,
    Refused,
    Kept,
}

/// What becomes of a path that scripts made or changed; `head` is the beginning of a file, of at most [`LOOKED_AT`] bytes.
///
/// # Errors
/// None in a released version: a test reads the rules.
pub fn judge(path: &TreePath, entry: &Entry, head: &[u8]) -> Result<Verdict, DebianError> {
    static RULES: LazyLock<Result<Rules, String>> =
        LazyLock::new(|| toml::from_str(BUILT_IN).map_err(|e| e.to_string()));
    let rules = RULES.as_ref().map_err(|problem| DebianError::Syntax {
        place: "the rules of what is captured".into(),
        line: 1,
        problem: problem.clone(),
    })?;
    let rule = rules.rule.iter().find(|rule| rule.paths.iter().any(|pattern| matches(pattern, path)));
    let reason = |rule: &Rule| rule.reason.clone();
    // What nobody may have is refused before anything can keep it.
    match rule {
        Some(rule) if rule.what == What::Made => return Ok(Verdict::Made(reason(rule))),
        Some(rule) if rule.what == What::Refused => return Ok(Verdict::Refused(reason(rule))),
        _ => {}
    }
    if let Entry::File { .. } = entry
        && let Some(what) = secret_or_database(head)
    {
        return Ok(Verdict::Refused(what.to_owned()));
    }
    match (rule, entry) {
        (Some(_), _) => Ok(Verdict::Kept),
        (None, _) => Ok(Verdict::Refused("no place that a package's scripts may fill".to_owned())),
    }
}

/// What a file is by its content.
fn secret_or_database(head: &[u8]) -> Option<&'static str> {
    let has = |text: &[u8]| memchr::memmem::find(head, text).is_some();
    if has(b"PRIVATE KEY-----") || has(b"PRIVATE KEY BLOCK-----") {
        return Some("it holds a private key, which every image would share");
    }
    if head.starts_with(b"SQLite format 3\0") {
        return Some("it is a database (SQLite)");
    }
    let word = |at: usize| head.get(at..at + 4).and_then(|bytes| bytes.try_into().ok());
    // Berkeley DB: the magic of a hash, a btree, a queue or a log at 12, in either byte order.
    let berkeley = [0x0006_1561_u32, 0x0005_3162, 0x0004_2253, 0x0004_0988];
    if word(12)
        .is_some_and(|w: [u8; 4]| berkeley.iter().any(|m| *m == u32::from_le_bytes(w) || *m == u32::from_be_bytes(w)))
    {
        return Some("it is a database (Berkeley DB)");
    }
    let gdbm = [0x13_57_9a_cd_u32, 0x13_57_9a_ce, 0x13_57_9a_cf];
    if word(0).is_some_and(|w: [u8; 4]| gdbm.iter().any(|m| *m == u32::from_le_bytes(w) || *m == u32::from_be_bytes(w)))
    {
        return Some("it is a database (GDBM)");
    }
    None
}

fn matches(pattern: &str, path: &TreePath) -> bool {
    let pattern = pattern.trim_start_matches('/').as_bytes();
    if let Some(folder) = pattern.strip_suffix(b"/**") {
        let depth = folder.split(|&b| b == b'/').count();
        let parts: Vec<&[u8]> = path.as_bytes().split(|&b| b == b'/').collect();
        return parts.len() > depth && same(folder, &parts[..depth].join(&b'/'));
    }
    same(pattern, path.as_bytes())
}

/// Component by component, each with at most one `*`.
fn same(pattern: &[u8], path: &[u8]) -> bool {
    let (pattern, path): (Vec<_>, Vec<_>) =
        (pattern.split(|&b| b == b'/').collect(), path.split(|&b| b == b'/').collect());
    let part = |(pattern, part): (&&[u8], &&[u8])| match pattern.iter().position(|&b| b == b'*') {
        None => pattern == part,
        Some(at) => {
            let (head, tail) = (&pattern[..at], &pattern[at + 1..]);
            part.len() >= head.len() + tail.len() && part.starts_with(head) && part.ends_with(tail)
        }
    };
    pattern.len() == path.len() && pattern.iter().zip(&path).all(part)
}

#[cfg(test)]
mod tests {
    use larder_store::ObjectDigest;

    use super::*;

    fn verdict(path: &str, head: &[u8]) -> Verdict {
        let entry = Entry::File { digest: ObjectDigest::of(head), size: head.len() as u64, executable: false };
        judge(&TreePath::try_from(path).expect("path"), &entry, head).expect("rules")
    }

    #[test]
    fn keys_databases_and_machine_ids_are_refused_wherever_they_lie() {
        for (path, head) in [
            ("etc/ssh/ssh_host_rsa_key", &b""[..]),
            ("etc/ssh/ssh_host_ed25519_key.pub", b""),
            ("etc/ssl/private/ssl-cert-snakeoil.key", b""),
            ("etc/ssl/certs/ssl-cert-snakeoil.pem", b""),
            ("etc/thing/key.pem", b"-----BEGIN RSA PRIVATE KEY-----\n"),
            ("etc/thing/key", b"# mine\n-----BEGIN OPENSSH PRIVATE KEY-----\n"),
            ("var/lib/mysql/ibdata1", b""),
            ("var/lib/postgresql/15/main/PG_VERSION", b"15\n"),
            ("var/lib/thing/db", b"SQLite format 3\0"),
            ("var/lib/thing/sasldb", b"\0\0\0\0\0\0\0\0\0\0\0\0\x61\x15\x06\0"),
            ("var/lib/thing/sasldb", b"\0\0\0\0\0\0\0\0\0\0\0\0\0\x05\x31\x62"),
            ("etc/machine-id", b"0\n"),
            ("var/log/thing.log", b"x"),
            ("root/.bashrc", b""),
            ("usr/bin/thing", b""),
            ("new/thing", b""),
        ] {
            assert!(matches!(verdict(path, head), Verdict::Refused(_)), "{path}: {:?}", verdict(path, head));
        }
    }

    #[test]
    fn what_composers_make_is_no_loss_and_the_rest_is_kept() {
        for made in ["etc/passwd", "etc/shadow-", "var/lib/dpkg/status", "etc/alternatives/editor", "etc/ld.so.cache"] {
            assert!(matches!(verdict(made, b""), Verdict::Made(_)), "{made}");
        }
        for kept in ["etc/pam.d/common-auth", "etc/ssh/sshd_config", "var/lib/pam/auth", "var/spool/thing/queue"] {
            assert_eq!(verdict(kept, b"text\n"), Verdict::Kept, "{kept}");
        }
    }

    #[test]
    fn patterns_mean_components() {
        let is = |pattern, path| matches(pattern, &TreePath::try_from(path).expect("path"));
        assert!(is("/a/**", "a/b") && is("/a/**", "a/b/c") && !is("/a/**", "a") && !is("/a/**", "ab/c"));
        assert!(is("/a/*_key", "a/x_key") && !is("/a/*_key", "a/b/x_key") && !is("/a/x*x", "a/x"));
    }
}
