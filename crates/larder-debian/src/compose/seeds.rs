//! The composer `seeds`: small files of `/etc` that no package ships and programs expect.
//!
//! - `hosts`, `hostname`, `resolv.conf`: what holds without a network. A launcher that gives the container a network
//!   binds its own over them, which needs something to bind over; `resolv.conf` is empty, so that no resolver of the
//!   build's is in an image. postgres and others refuse to start without `hosts`.
//! - `nsswitch.conf`: libc-bin's own example, which its script copies, or the part of it that works with glibc alone.
//! - `shells`: debianutils' template, what packages leave in `/usr/share/debianutils/shells.d`, and declared shells.
//! - `mtab`: the link that `df` and `mount` follow.
//!
//! Absent on purpose: seed files of one package (they are in its declarations), `adjtime`, `fstab`, `timezone` and
//! `locale`, whose absence means UTC and C.

use std::collections::BTreeSet;

use super::{ComposeError, Draft, draft};

/// A file larger than this is not what it should be.
const MAX_FILE: u64 = 1 << 20;

const HOSTS: &str = "\
127.0.0.1\tlocalhost
::1\tlocalhost ip6-localhost ip6-loopback
ff02::1\tip6-allnodes
ff02::2\tip6-allrouters
";

const NSSWITCH: &str = "\
passwd:         files
group:          files
shadow:         files
gshadow:        files

hosts:          files dns
networks:       files

protocols:      files
services:       files
ethers:         files
rpc:            files
";

pub(super) fn compose(draft: &mut Draft<'_>) -> Result<(), ComposeError> {
    draft.file("etc/hosts", HOSTS.as_bytes())?;
    draft.file("etc/hostname", b"localhost\n")?;
    draft.file("etc/resolv.conf", b"")?;
    draft.link(b"etc/mtab", b"../proc/self/mounts")?;
    let nsswitch = draft.read(b"usr/share/libc-bin/nsswitch.conf", MAX_FILE)?;
    draft.file("etc/nsswitch.conf", nsswitch.as_deref().unwrap_or(NSSWITCH.as_bytes()))?;
    let shells = shells(draft)?;
    draft.file("etc/shells", shells.as_bytes())
}

/// The template's lines, then every other shell, sorted.
///
/// As `update-shells` does, a shell is listed under the directory that it really is in as well: `/bin/sh` and
/// `/usr/bin/sh`.
fn shells(draft: &Draft<'_>) -> Result<String, ComposeError> {
    let template = draft.read(b"usr/share/debianutils/shells", MAX_FILE)?;
    let template = template.map_or_else(
        || "# /etc/shells: valid login shells\n".to_owned(),
        |text| String::from_utf8_lossy(&text).into_owned(),
    );
    let mut listed: Vec<String> = template.lines().map(shell_of).collect();
    let directory = b"usr/share/debianutils/shells.d";
    for name in draft.names(directory) {
        if let Some(text) = draft.read(&[directory.as_slice(), b"/", &name].concat(), MAX_FILE)? {
            listed.extend(String::from_utf8_lossy(&text).lines().map(shell_of));
        }
    }
    for (source, rules) in draft.plan().rules() {
        for shell in &rules.shells {
            if !shell.starts_with('/') || shell.contains(['\n', '#']) {
                let package = draft::owner(&draft.plan().sources[source]);
                let what = format!("the shell {shell:?}");
                return Err(ComposeError::BadRule { package, what, reason: "that is no absolute path" });
            }
            listed.push(shell.clone());
        }
    }
    let mut more: BTreeSet<String> = listed.iter().filter_map(|shell| real_shell(draft, shell)).collect();
    more.extend(listed);
    let there: BTreeSet<&str> = template.lines().collect();
    more.retain(|shell| !shell.is_empty() && !there.contains(shell.as_str()));
    let mut text = template.clone();
    for shell in more {
        text.push_str(&shell);
        text.push('\n');
    }
    Ok(text)
}

/// A line without its comment.
fn shell_of(line: &str) -> String {
    line.split('#').next().unwrap_or_default().trim().to_owned()
}

/// The shell's name below the directory that its own really is.
fn real_shell(draft: &Draft<'_>, shell: &str) -> Option<String> {
    let (directory, name) = shell.rsplit_once('/')?;
    let real = draft.resolve(directory.as_bytes())?;
    Some(format!("/{}/{name}", String::from_utf8(real).ok()?))
}
