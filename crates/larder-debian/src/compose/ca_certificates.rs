//! The composer `ca-certificates`: what `update-ca-certificates` and `openssl rehash` would have left in
//! `/etc/ssl/certs`.
//!
//! Active where there is any `*.crt` below `/usr/share/ca-certificates` or `/usr/local/share/ca-certificates`.
//! Trusted are, in this order: of the first folder, what `/etc/ca-certificates.conf` says; of the second, everything.
//! A configuration of the image's own is honoured as `update-ca-certificates` does, with one addition: if it only
//! deselects (`!mozilla/x.crt`), all others stay. Without one, all are trusted, and the file that says so is written.
//!
//! Each certificate is appended to `ca-certificates.crt`, gets a link `NAME.pem`, and one named by the hash of its
//! subject (`openssl rehash`: SHA-1 of the canonical subject, eight digits, numbered from 0 in the order of the
//! names). A file that isn't exactly one certificate has no hash link, and the same certificate twice has one.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use larder_store::Entry;

use super::certificate::{self, Certificate};
use super::{ComposeError, Draft};

const PACKAGED: &str = "usr/share/ca-certificates";
const LOCAL: &str = "usr/local/share/ca-certificates";
const CONFIGURATION: &str = "etc/ca-certificates.conf";
/// A certificate file larger than this is refused.
const MAX_FILE: u64 = 4 << 20;
/// Folders nested deeper than this are not searched.
const MAX_DEPTH: usize = 16;

/// A trusted certificate file.
pub(super) struct Trusted {
    /// `NAME.pem`, its name in `/etc/ssl/certs`.
    pub(super) name: String,
    /// Where it is, without leading slash.
    path: Vec<u8>,
    /// As it is.
    pub(super) text: Vec<u8>,
}

impl Trusted {
    /// Its certificates.
    pub(super) fn certificates(&self) -> Vec<Certificate> {
        // What can't be read stays in the bundle and gets neither link nor keystore entry, as with Debian's tools.
        certificate::read_all(&self.text)
    }
}

pub(super) fn compose(draft: &mut Draft<'_>) -> Result<(), ComposeError> {
    let trusted = trusted(draft)?;
    if trusted.is_empty() {
        return Ok(());
    }
    write_configuration(draft)?;
    let mut bundle = Vec::new();
    for file in &trusted {
        bundle.extend(&file.text);
        if !file.text.ends_with(b"\n") {
            bundle.push(b'\n');
        }
        draft.link(format!("etc/ssl/certs/{}", file.name).as_bytes(), &[b"/", &file.path[..]].concat())?;
    }
    draft.file("etc/ssl/certs/ca-certificates.crt", &bundle)?;
    for (link, name) in hash_links(&trusted) {
        draft.link(format!("etc/ssl/certs/{link}").as_bytes(), name.as_bytes())?;
    }
    Ok(())
}

/// The files that the image trusts, in the bundle's order.
pub(super) fn trusted(draft: &Draft<'_>) -> Result<Vec<Trusted>, ComposeError> {
    let packaged = find(draft, PACKAGED);
    let configuration = match draft.at(CONFIGURATION.as_bytes()) {
        Some(_) => draft.read(CONFIGURATION.as_bytes(), MAX_FILE)?,
        None => None,
    };
    let mut paths = match configuration {
        Some(text) => selected(&String::from_utf8_lossy(&text), &packaged),
        None => packaged.into_iter().collect(),
    };
    paths.extend(find(draft, LOCAL));
    let mut all = Vec::new();
    for path in paths {
        let Some(text) = draft.read(&path, MAX_FILE)? else { continue };
        let name = path.rsplit(|&b| b == b'/').next().unwrap_or_default();
        let name = String::from_utf8_lossy(name.strip_suffix(b".crt").unwrap_or(name)).into_owned();
        let name = name.replace([' ', ','], "_").replace(['(', ')'], "=") + ".pem";
        all.push(Trusted { name, path, text });
    }
    Ok(all)
}

/// What a configuration selects of the packaged certificates.
fn selected(configuration: &str, packaged: &BTreeSet<Vec<u8>>) -> Vec<Vec<u8>> {
    let full = |name: &str| format!("{PACKAGED}/{}", name.trim_end()).into_bytes();
    let lines = configuration.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    let (refused, wanted): (Vec<&str>, Vec<&str>) = lines.partition(|line| line.starts_with('!'));
    if wanted.is_empty() {
        let refused: BTreeSet<_> = refused.iter().map(|line| full(&line[1..])).collect();
        return packaged.difference(&refused).cloned().collect();
    }
    let mut seen = BTreeSet::new();
    wanted.into_iter().map(full).filter(|path| packaged.contains(path) && seen.insert(path.clone())).collect()
}

/// All `*.crt` below a folder, links followed, sorted by bytes.
fn find(draft: &Draft<'_>, folder: &str) -> BTreeSet<Vec<u8>> {
    let mut found = BTreeSet::new();
    let mut pending = vec![(folder.as_bytes().to_vec(), 0)];
    while let Some((shown, depth)) = pending.pop() {
        let Some(real) = draft.resolve(&shown) else { continue };
        match draft.at(&real) {
            Some(Entry::Directory) if depth < MAX_DEPTH => {
                pending.extend(draft.names(&real).iter().map(|name| ([&shown[..], b"/", name].concat(), depth + 1)));
            }
            Some(Entry::File { .. }) if shown.ends_with(b".crt") => _ = found.insert(shown),
            _ => {}
        }
    }
    found
}

/// Writes what `dpkg-reconfigure ca-certificates` would, so that `update-ca-certificates` can be run in a container.
fn write_configuration(draft: &mut Draft<'_>) -> Result<(), ComposeError> {
    let mut text = String::from(
        "# Certificates below /usr/share/ca-certificates that are trusted (see update-ca-certificates(8)).\n\
         # A line that begins with ! deselects one.\n",
    );
    for path in find(draft, PACKAGED) {
        let name = String::from_utf8_lossy(&path[PACKAGED.len() + 1..]).into_owned();
        // Writing to a String can't fail.
        _ = writeln!(text, "{name}");
    }
    draft.file(CONFIGURATION, text.as_bytes())
}

/// `xxxxxxxx.N` -> `NAME.pem`.
fn hash_links(trusted: &[Trusted]) -> BTreeMap<String, String> {
    let by_name: BTreeMap<&str, &Trusted> = trusted.iter().map(|file| (file.name.as_str(), file)).collect();
    let mut buckets: BTreeMap<u32, Vec<([u8; 32], &str)>> = BTreeMap::new();
    for (name, file) in by_name {
        let [certificate] = &file.certificates()[..] else { continue };
        let fingerprint = certificate.fingerprint();
        let bucket = buckets.entry(certificate.subject_hash).or_default();
        if bucket.iter().all(|(other, _)| *other != fingerprint) {
            bucket.push((fingerprint, name));
        }
    }
    let numbered = buckets.into_iter().flat_map(|(hash, bucket)| {
        bucket.into_iter().enumerate().map(move |(n, (_, name))| (format!("{hash:08x}.{n}"), name.to_owned()))
    });
    numbered.collect()
}
