//! The index answers what the records say, and can be thrown away.

use std::fs;

use larder_store::fileset::Kind;
use larder_store::{Filter, GcOptions, Store};

use crate::support::{image, name, package, point, store};

fn names(found: &[larder_store::Indexed]) -> Vec<String> {
    found.iter().map(|f| format!("{}@{}", f.name, f.version)).collect()
}

fn example(store: &Store) {
    let ingest = store.begin().expect("begin");
    let ssl = package(&ingest, "openssl", &[("usr/bin/openssl", b"openssl")]).expect("openssl");
    let web = image(&ingest, "web", "1", &[ssl]).expect("web");
    let more = image(&ingest, "more", "2", &[web]).expect("more");
    let other = image(&ingest, "other", "1", &[]).expect("other");
    ingest.commit().expect("commit");
    point(store, "web", "1", web).expect("ref");
    point(store, "more", "2", more).expect("ref");
    point(store, "other", "1", other).expect("ref");
}

fn questions(store: &Store) {
    let index = store.index().expect("index");
    let images = index.filesets(Filter { kind: Some(Kind::Image), ..Filter::default() }).expect("images");
    assert_eq!(names(&images), ["example.com/more@2", "example.com/other@1", "example.com/web@1"]);
    let ssl = name("debian.org/openssl");
    let found = index.filesets(Filter { name: Some(&ssl), version: Some("1.0"), kind: None }).expect("openssl");
    assert_eq!((found.len(), found[0].files, found[0].bytes), (1, 1, 7));
    assert_eq!(index.fileset(&found[0].digest).expect("one").as_ref(), Some(&found[0]));
    let imports = index.imports_of_name(&ssl).expect("imports");
    assert_eq!(imports.len(), 1);
    assert_eq!(imports[0].importer.name, name("example.com/web"));
    assert_eq!(imports[0].path.as_bytes(), b"packages/debian.org/openssl@1.0");
    assert_eq!(index.imports_of(&found[0].digest).expect("imports"), imports);
    assert_eq!(names(&index.needing(&ssl, Kind::Image).expect("needing")), ["example.com/more@2", "example.com/web@1"]);
    assert!(index.needing(&name("debian.org/none"), Kind::Image).expect("needing").is_empty());
}

#[test]
fn it_is_rebuilt_when_deleted_damaged_or_of_another_version() {
    let (_folder, store) = store();
    example(&store);
    questions(&store);
    let file = store.root().join("index.sqlite");
    fs::remove_file(&file).expect("remove");
    questions(&store);
    for wrong in [&b""[..], b"not a database at all, but long enough to have a header of one hundred bytes, which is what SQLite reads first"] {
        fs::write(&file, wrong).expect("write");
        questions(&store);
    }
    let mut bytes = fs::read(&file).expect("read");
    bytes[60..64].copy_from_slice(&[0, 0, 0, 99]); // PRAGMA user_version
    fs::write(&file, bytes).expect("write");
    questions(&store);
}

#[test]
fn it_follows_the_records() {
    let (_folder, store) = store();
    assert!(store.index().expect("index").filesets(Filter::default()).expect("none").is_empty());
    example(&store);
    questions(&store);
    store.refs().remove(larder_store::RefKind::Image, "example.com/other").expect("remove");
    store.gc(GcOptions::default()).expect("gc");
    let index = store.index().expect("index");
    let images = index.filesets(Filter { kind: Some(Kind::Image), ..Filter::default() }).expect("images");
    assert_eq!(names(&images), ["example.com/more@2", "example.com/web@1"]);
    // A record that can't be read isn't listed.
    let hex = images[0].digest.hex();
    let path = store.root().join("filesets").join(&hex[..2]).join(&hex[2..]);
    fs::remove_file(&path).expect("remove");
    fs::write(&path, "").expect("write");
    fs::remove_file(store.root().join("index.sqlite")).expect("remove");
    let index = store.index().expect("index");
    assert_eq!(index.filesets(Filter { kind: Some(Kind::Image), ..Filter::default() }).expect("images").len(), 1);
}

#[test]
fn several_open_it_at_once() {
    let (_folder, store) = store();
    example(&store);
    let root = store.root().to_owned();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            let root = &root;
            scope.spawn(move || {
                let store = Store::open(root).expect("store");
                for _ in 0..5 {
                    questions(&store);
                }
            });
        }
    });
}
