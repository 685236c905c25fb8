//! Disks that are full or read-only, and stores that this user may not read or write.

use std::fs::{self, Permissions};
use std::io::{ErrorKind, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use larder_store::{FsckOptions, ObjectDigest, Store, StoreError};

use crate::support::{CHILD_STORE, child, child_arguments, image, package, point, skip, store};

/// Runs a test of this file in a process that a shell prepares; `prepare` may use `$STORE`. Returns whether it could be
/// prepared here; if not, says so.
fn prepared(wrapper: &[&str], prepare: &str, test: &str, root: &Path) -> bool {
    let script = format!("{prepare} || exit 77; exec \"$0\" \"$@\"");
    let mut command = Command::new(wrapper[0]);
    command.args(&wrapper[1..]).args(["sh", "-c", &script]).arg(std::env::current_exe().expect("this program"));
    command.args(child_arguments(test)).env("STORE", root).env(CHILD_STORE, root);
    let output = command.output();
    match output.as_ref().map(|output| output.status.code()) {
        Ok(Some(0)) => return true,
        Ok(Some(77)) | Err(_) => skip(test, format_args!("{prepare:?} doesn't work here")),
        // `unshare` and `setpriv` say 1 when they may not; a failed test says 101.
        Ok(Some(1)) => skip(test, format_args!("{wrapper:?} is not allowed here")),
        Ok(code) => {
            let said = output.as_ref().map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
            panic!("{test} failed with {code:?}: {said:?}");
        }
    }
    false
}

fn example(store: &Store) {
    let ingest = store.begin().expect("begin");
    let a = package(&ingest, "a", &[("a", b"content")]).expect("package");
    let web = image(&ingest, "web", "1", &[a]).expect("image");
    ingest.commit().expect("commit");
    point(store, "web", "1", web).expect("ref");
}

/// Runs where files can't become larger than a few hundred kilobytes, or the disk is full with a megabyte.
#[test]
#[ignore = "a part that other tests run in a process of its own"]
fn child_on_a_small_disk() {
    let Some(root) = std::env::var_os(CHILD_STORE) else { return };
    let store = Store::open(root.as_ref()).expect("store");
    example(&store);
    let ingest = store.begin().expect("begin");
    let error = ingest.write_object(&mut std::io::repeat(1).take(8 << 20), u64::MAX).expect_err("no room for 8 MiB");
    let StoreError::Io { source, .. } = &error else { panic!("{error:?}") };
    assert!(matches!(source.kind(), ErrorKind::StorageFull | ErrorKind::FileTooLarge), "{source}");
    ingest.write_bytes(b"a small one").expect("there is room again");
    ingest.commit().expect("commit");
    let report = store.fsck(FsckOptions { deep: true, progress: None }).expect("fsck");
    assert!(report.problems.is_empty() && report.checked.objects == 2, "{report:?}");
}

#[test]
fn a_file_that_may_not_grow_is_an_error_and_leaves_nothing() {
    let (_folder, store) = store();
    let prepare = "trap '' XFSZ && ulimit -f 512";
    assert!(prepared(&["env"], prepare, "limits::child_on_a_small_disk", store.root()));
}

#[test]
fn a_full_disk_is_an_error_and_leaves_nothing_needs_root() {
    let (_folder, store) = store();
    let mount = "mount -t tmpfs -o size=1m tmpfs \"$STORE\"";
    prepared(&["unshare", "-m"], mount, "limits::child_on_a_small_disk", store.root());
}

/// Runs where the store can be read and not written.
#[test]
#[ignore = "a part that other tests run in a process of its own"]
fn child_may_only_read() {
    let Some(root) = std::env::var_os(CHILD_STORE) else { return };
    let store = Store::open(root.as_ref()).expect("it opens");
    assert!(store.is_read_only());
    assert_eq!(store.read_object(&ObjectDigest::of(b"content"), 100).expect("object"), b"content");
    let web = store.refs().get(larder_store::RefKind::Image, "example.com/web").expect("get").expect("ref");
    let fileset = web.current_entry().fileset;
    assert!(store.has_fileset(&fileset));
    let _lease = store.lease().expect("lease");
    assert_eq!(store.index().expect("index").filesets(larder_store::Filter::default()).expect("list").len(), 2);
    assert!(store.fsck(FsckOptions { deep: true, progress: None }).expect("fsck").problems.is_empty());
    assert_eq!(store.usage().expect("usage").images.len(), 1);

    let read_only = |error: StoreError| {
        assert!(matches!(error, StoreError::ReadOnly { .. }), "{error}");
        assert!(error.to_string().contains("can only be read"), "{error}");
    };
    read_only(store.begin().expect_err("begin"));
    read_only(point(&store, "web", "2", fileset).expect_err("ref"));
    read_only(store.gc(larder_store::GcOptions::default()).expect_err("gc"));
    read_only(store.discard_damaged(&larder_store::Content::FileSet(fileset)).expect_err("discard"));
    read_only(store.write_container_roots("c", &larder_store::Roots::new()).expect_err("roots"));
}

#[test]
fn read_only_media_are_read_needs_root() {
    let (_folder, store) = store();
    example(&store);
    let mount = "mount --bind \"$STORE\" \"$STORE\" && mount -o remount,ro,bind \"$STORE\"";
    prepared(&["unshare", "-m"], mount, "limits::child_may_only_read", store.root());
}

/// The user `nobody` where this is root, this user otherwise.
fn ordinary_user() -> &'static [&'static str] {
    if rustix::process::geteuid().is_root() {
        &["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
    } else {
        &["env"]
    }
}

/// Lets everybody in, or nobody but root.
fn set_modes(folder: &Path, mode: u32) {
    fs::set_permissions(folder, Permissions::from_mode(mode)).expect("mode");
}

#[test]
fn another_users_store_is_read() {
    let (folder, store) = store();
    example(&store);
    set_modes(folder.path(), 0o755);
    for entry in [store.objects_dir(), store.root().to_owned()] {
        set_modes(&entry, 0o555);
    }
    prepared(ordinary_user(), "true", "limits::child_may_only_read", store.root());
    for entry in [store.root().to_owned(), store.objects_dir()] {
        set_modes(&entry, 0o755);
    }
}

/// Runs where the store can't be read.
#[test]
#[ignore = "a part that other tests run in a process of its own"]
fn child_may_not_read() {
    let Some(root) = std::env::var_os(CHILD_STORE) else { return };
    let error = Store::open(root.as_ref()).expect_err("unreadable");
    assert!(matches!(error, StoreError::Unreadable { .. }), "{error}");
    assert!(error.to_string().contains("can't be read by this user"), "{error}");
}

#[test]
fn an_unreadable_store_is_an_error() {
    let (folder, store) = store();
    set_modes(folder.path(), 0o755);
    set_modes(store.root(), 0o000);
    prepared(ordinary_user(), "true", "limits::child_may_not_read", store.root());
    set_modes(store.root(), 0o755);
}

#[test]
fn a_child_that_is_not_prepared_does_nothing() {
    // So that running the ignored tests by hand fails none of them.
    let mut command = child("limits::child_may_not_read", Path::new(""));
    assert!(command.env_remove(CHILD_STORE).output().expect("run").status.success());
}
