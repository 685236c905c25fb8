//! What takes the disk, and for whom.

use larder_store::{Content, ObjectDigest, RefEntry, RefKind, Root};

use crate::support::{files, image, package, point, store};

#[test]
fn an_image_costs_what_nothing_else_needs() {
    let (_folder, store) = store();
    let ingest = store.begin().expect("begin");
    let a = package(&ingest, "a", &[("a", &[1; 1000]), ("again", &[1; 1000]), ("s", &[2; 200])]).expect("a");
    let b = package(&ingest, "b", &[("s", &[2; 200]), ("b", &[3; 30])]).expect("b");
    let c = package(&ingest, "c", &[("c", &[4; 4])]).expect("c");
    let own = files(&ingest, "own", &[5; 5]).expect("own");
    let one = image(&ingest, "one", "1", &[a, c]).expect("one");
    let two = image(&ingest, "two", "1", &[b, c, own]).expect("two");
    ingest.write_bytes(&[6; 60]).expect("loose");
    ingest.write_bytes(&[7; 70]).expect("a container's");
    ingest.commit().expect("commit");
    point(&store, "one", "1", one).expect("ref");
    point(&store, "two", "1", two).expect("ref");
    point(&store, "twin", "1", two).expect("a second name");
    let entry = RefEntry { version: "1".to_owned(), fileset: own, at: 0, action: "build".to_owned() };
    store.refs().set(RefKind::Package, "example.com/own", entry).expect("ref");
    let container = Root::Content(Content::Object(ObjectDigest::of(&[7; 70])));
    store.write_container_roots("c1", &[container].into()).expect("roots");

    let usage = store.usage().expect("usage");
    let images: Vec<_> = usage.images.iter().map(|i| (i.name.as_str(), i.bytes, i.own_bytes, i.current)).collect();
    let expected = [
        ("example.com/one", 1204, 1000, true),
        ("example.com/twin", 239, 30, true),
        ("example.com/two", 239, 30, true),
    ];
    assert_eq!(images, expected);
    assert_eq!((usage.objects, usage.object_bytes), (7, 1000 + 200 + 30 + 4 + 5 + 60 + 70));
    assert_eq!((usage.shared_bytes, usage.unneeded_bytes), (200 + 4 + 5, 60));
    assert!(usage.disk_bytes > 0 && usage.record_bytes > 0);
}
