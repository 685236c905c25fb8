//! Package lists, their mapped indexes, and apt's sources.

use std::os::fd::AsRawFd as _;
use std::path::{Path, PathBuf};

use larder_store::Sha256Digest;

use super::composed::in_memory;
use crate::index::{Index, encode, seal};
use crate::sources::{SignedBy, Source, parse_deb822, parse_list};

/// A list is refused, or becomes an index in which everything is found, the same each time.
pub fn packages(bytes: &[u8]) {
    let list = Sha256Digest::from_bytes([7; 32]);
    let make = || encode(bytes, Path::new("list"), "http://mirror.test/Packages", &list);
    let Ok(index) = make() else { return };
    assert!(make().is_ok_and(|again| again == index), "two indexes of one list differ");
    let index = open(&index, &list).expect("what was built can be opened");
    let mut found = 0;
    for name in index.names() {
        let candidates = index.candidates(name);
        found += candidates.len();
        assert!(candidates.clone().all(|number| index.package(number).name == name), "{name:?}");
        assert!(!candidates.is_empty() || !index.providers(name).is_empty(), "{name:?}");
        assert!(index.mention(name).is_some_and(|mention| (1..=index.mentions()).contains(&mention)), "{name:?}");
    }
    assert_eq!(found, index.len() as usize);
    assert!(index.names().collect::<Vec<_>>().is_sorted());
    for number in 0..index.len() {
        let package = index.package(number);
        assert!(index.candidates(package.name).contains(&number));
        assert_eq!(package.essential, index.essential().contains(&number));
        let filename = index.location(number).filename;
        assert!(!filename.split('/').any(|part| matches!(part, "" | "." | "..")), "{filename:?}");
    }
}

/// A damaged index is refused; one whose checksum is right again leads nowhere outside.
pub fn index(bytes: &[u8]) {
    let list = |bytes: &[u8]| {
        let digest = bytes.get(24..56).and_then(|digest| digest.try_into().ok()).unwrap_or_default();
        Sha256Digest::from_bytes(digest)
    };
    let mut sealed = bytes.to_vec();
    seal(&mut sealed);
    for bytes in [bytes, &sealed] {
        let Some(index) = open(bytes, &list(bytes)) else { continue };
        assert!(index.len() as usize <= bytes.len() && index.mentions() as usize <= bytes.len());
        for name in index.names().take(100) {
            assert!(index.candidates(name).all(|number| number < index.len()));
            assert!(index.providers(name).iter().all(|number| *number < index.len()));
            _ = index.mention(name);
        }
        assert!(index.essential().iter().all(|number| *number < index.len()));
        for number in (0..index.len()).take(100).chain([u32::MAX]) {
            let package = index.package(number);
            assert!([package.name, package.depends, package.provides].iter().all(|text| text.len() <= bytes.len()));
            _ = (index.location(number), index.description(number));
        }
    }
}

fn open(bytes: &[u8], list: &Sha256Digest) -> Option<Index> {
    let file = in_memory(bytes);
    Index::open(&PathBuf::from(format!("/proc/self/fd/{}", file.as_raw_fd())), list).ok()
}

/// Sources in the one-line form are refused, or mean the same in the other form.
pub fn sources_list(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let Ok(sources) = parse_list(text, "list") else { return };
    check(&sources);
    let written: String = sources.iter().map(deb822).collect();
    let again = parse_deb822(&written, "list").expect("what was written is read");
    assert!(sources.iter().map(meaning).eq(again.iter().map(meaning)), "{written}");
}

/// Sources in the deb822 form are refused, or are the same when written and read again.
pub fn sources_deb822(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let Ok(sources) = parse_deb822(text, "sources") else { return };
    check(&sources);
    // An armoured key has a form of its own, and words beside each other may become one.
    let plain = |source: &&Source| match &source.signed_by {
        Some(SignedBy::Inline(_)) => false,
        Some(SignedBy::Fingerprints(prints)) => prints.iter().all(|print| print.bytes().all(|b| b.is_ascii_hexdigit())),
        _ => true,
    };
    let written: String = sources.iter().filter(plain).map(deb822).collect();
    let again = parse_deb822(&written, "sources").expect("what was written is read");
    assert!(sources.iter().filter(plain).map(meaning).eq(again.iter().map(meaning)), "{written}");
}

fn check(sources: &[Source]) {
    for source in sources {
        assert!(!source.uris.is_empty() && !source.suites.is_empty());
        assert!(source.uris.iter().chain(&source.suites).all(|word| !word.is_empty()));
    }
}

/// All but the place.
fn meaning(source: &Source) -> Source {
    Source { place: String::new(), ..source.clone() }
}

fn deb822(source: &Source) -> String {
    let signed_by = match &source.signed_by {
        None => String::new(),
        Some(SignedBy::Files(files)) => files.iter().map(|file| format!(" {}", file.display())).collect(),
        Some(SignedBy::Fingerprints(prints)) => prints.iter().map(|print| format!(" {print}")).collect(),
        Some(SignedBy::Inline(text)) => text.lines().map(|line| format!("\n {line}")).collect(),
    };
    format!(
        "Types: deb\nURIs: {}\nSuites: {}\nComponents: {}\nArchitectures: {}\nSigned-By:{signed_by}\n\n",
        source.uris.join(" "),
        source.suites.join(" "),
        source.components.join(" "),
        source.architectures.join(" "),
    )
}

/// An index of sources is refused, or lists files that stand in folders of the archive.
pub fn source_index(bytes: &[u8]) {
    let Ok(found) = crate::source_index::read(bytes, "hello") else { return };
    for (version, files) in found {
        assert!(larder_store::name::check_version(&version).is_ok());
        assert_eq!(files.iter().filter(|file| file.name().ends_with(".dsc")).count(), 1);
        assert!(files.iter().all(|file| larder_store::TreePath::try_from(file.path.as_str()).is_ok()));
    }
}
