//! Preparing, caching and removing views.

use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use larder_runtime::RuntimeError;
use larder_runtime::view::{Exception, View, ViewKind, ViewKindName, ViewTree, by_name, probe_among};
use rustix::fs::XattrFlags;

use crate::fixture::{Fixture, ROOT, TOOL, inside, skip};

pub(crate) fn prepared_once(view: &dyn View, fixture: &Fixture) {
    view.remove(&fixture.views, "01").unwrap();
    let first = fixture.prepare_as(view, "01");
    let again = view.prepare(&fixture.request("01", &|| panic!("listed again"))).unwrap();
    assert_eq!((first.made, again.made), (true, false));
    assert_eq!(first.path, again.path);
    view.mount(&again, None).unwrap();
    fixture.assert_no_leavings();
}

pub(crate) fn prepared_at_once(view: &dyn View, fixture: &Fixture) {
    view.remove(&fixture.views, "02").unwrap();
    let made = AtomicUsize::new(0);
    let kind = view.kind();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let view = by_name(kind);
                let prepared = fixture.prepare_as(view.as_ref(), "02");
                made.fetch_add(usize::from(prepared.made), Ordering::Relaxed);
                view.mount(&prepared, None).unwrap();
            });
        }
    });
    assert_eq!(made.into_inner(), 1);
    fixture.assert_no_leavings();
}

pub(crate) fn swept(view: &dyn View, fixture: &Fixture) {
    let dead = fixture.views.join(".new-of-the-dead/view/tree");
    fs::create_dir_all(&dead).unwrap();
    view.remove(&fixture.views, "03").unwrap();
    fixture.prepare_as(view, "03");
    fixture.assert_no_leavings();
}

pub(crate) fn failed(view: &dyn View, fixture: &Fixture) {
    let error = view.prepare(&fixture.request("04", &|| Err("no listing".into()))).unwrap_err();
    assert!(matches!(error, RuntimeError::ViewListing(_)));
    for key in ["", "..", "a/b", "AB", "x"] {
        let error = view.prepare(&fixture.request(key, &|| Ok(fixture.tree()))).unwrap_err();
        assert!(matches!(error, RuntimeError::ViewKey { .. }), "{key:?}");
    }
    assert!(!fixture.views.join("04").exists());
    fixture.assert_no_leavings();
}

/// A process that prepares is killed at many instants; the view is then whole or not there.
pub(crate) fn killed(view: &dyn View, fixture: &Fixture) {
    let key = "05";
    for delay in (0..8).map(|step| Duration::from_millis(step * step)) {
        view.remove(&fixture.views, key).unwrap();
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--ignored", "--exact", "lifecycle::prepare_in_a_loop"])
            .env("LARDER_TEST_VIEWS_KIND", view.kind().as_str())
            .env("LARDER_TEST_VIEWS_STORE", &fixture.directory)
            .stdout(std::process::Stdio::null())
            .spawn()
            .unwrap();
        while !fixture.directory.join("preparing").exists() {
            std::thread::sleep(Duration::from_millis(1));
        }
        std::thread::sleep(delay);
        child.kill().unwrap();
        assert_eq!(child.wait().unwrap().signal(), Some(9), "killed while it worked");
        fs::remove_file(fixture.directory.join("preparing")).unwrap();
        let mount = view.mount(&fixture.prepare_as(view, key), None).unwrap();
        assert_eq!(fs::read(inside(&mount, "usr/many/entry-599")).unwrap().len(), 3);
        // Killed between the view's name and the removal of the empty folder that it came from: the next who makes one sweeps.
        view.remove(&fixture.views, key).unwrap();
        fixture.prepare_as(view, key);
        fixture.assert_no_leavings();
    }
    view.remove(&fixture.views, key).unwrap();
}

#[test]
#[ignore = "run by `killed`, which kills it"]
fn prepare_in_a_loop() {
    let variable = |name| std::env::var(name).expect("run by another test");
    let view = by_name(ViewKindName::parse(&variable("LARDER_TEST_VIEWS_KIND")).unwrap());
    let store = variable("LARDER_TEST_VIEWS_STORE");
    let fixture = Fixture::at(store.into());
    fs::write(fixture.directory.join("preparing"), "").unwrap();
    loop {
        fixture.prepare_as(view.as_ref(), "05");
        view.remove(&fixture.views, "05").unwrap();
    }
}

pub(crate) fn missing_object(view: &dyn View, fixture: &Fixture) {
    let content = b"will be removed";
    let object = *blake3::hash(content).as_bytes();
    let path = fixture.object_path(&object);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, content).unwrap();
    let entry = larder_runtime::view::ViewEntry {
        path: b"file".to_vec(),
        kind: ViewKind::File { object, size: content.len() as u64 },
        mode: 0o644,
        uid: 0,
        gid: 0,
        mtime: 1,
        xattrs: Vec::new(),
    };
    let tree = ViewTree::new(ROOT, vec![entry]).unwrap();
    view.remove(&fixture.views, "06").unwrap();
    let prepared = view.prepare(&fixture.request("06", &|| Ok(tree.clone()))).unwrap();
    view.mount(&prepared, None).unwrap();
    fs::write(&path, b"of other length").unwrap();
    fs::remove_file(&path).unwrap();
    assert!(matches!(view.mount(&prepared, None).unwrap_err(), RuntimeError::Io { .. }));
    view.remove(&fixture.views, "07").unwrap();
    view.prepare(&fixture.request("07", &|| Ok(tree.clone()))).unwrap_err();
    fixture.assert_no_leavings();
}

/// A layer that was written over one view shows nonsense over another.
pub(crate) fn upper_of_another(view: &dyn View, fixture: &Fixture) {
    let upper = fixture.upper("other-plan");
    let mount = view.mount(&fixture.prepare(view), Some(upper.upper())).unwrap();
    fs::write(inside(&mount, "usr/lib/size-64"), "changed").unwrap();
    drop(mount);
    let other = fixture.prepare_as(view, "09");
    let refused = |result: Result<_, RuntimeError>| match result {
        Err(RuntimeError::OtherUpper { .. }) => {}
        other => panic!("{other:?}"),
    };
    if view.exceptions().contains(&Exception::WritesAreInMemory) {
        // Nothing of it is left: the layer is a new one.
        view.mount(&other, Some(upper.upper())).unwrap();
    } else {
        refused(view.mount(&other, Some(upper.upper())));
        view.mount(&fixture.prepare(view), Some(upper.upper())).unwrap();
        // Without a record nobody knows where the layer has been.
        fs::remove_file(upper.workdir.join("view")).unwrap();
        refused(view.mount(&fixture.prepare(view), Some(upper.upper())));
    }
    // One that nothing was written to may go over any view: a way that doesn't work here may have had it first.
    let unused = fixture.upper("unused");
    view.mount(&fixture.prepare(view), Some(unused.upper())).unwrap();
    view.mount(&other, Some(unused.upper())).unwrap();
    view.remove(&fixture.views, "09").unwrap();
}

/// An attribute from outside can't make a file of the view another object.
pub(crate) fn hostile_attribute(view: &dyn View, fixture: &Fixture) {
    let secret = fixture.entries().iter().find_map(|entry| match &entry.kind {
        ViewKind::File { object, .. } if entry.path == TOOL.as_bytes() => Some(hex::encode(object)),
        _ => None,
    });
    let redirect = secret.map(|hex| format!("/{}/{}", &hex[..2], &hex[2..])).unwrap();
    for prefix in ["user", "trusted"] {
        for name in ["redirect", "metacopy", "opaque", "whiteout", "origin", "overlay.redirect"] {
            let mut entries = fixture.entries().to_vec();
            let file = entries.iter_mut().find(|entry| entry.path == b"usr/lib/size-7").unwrap();
            file.xattrs = vec![(format!("{prefix}.overlay.{name}").into_bytes(), redirect.clone().into_bytes())];
            assert!(matches!(ViewTree::new(ROOT, entries), Err(RuntimeError::ViewEntry { .. })), "{prefix} {name}");
        }
    }
    // One that a container writes into its own layer leads nowhere either: the kernel keeps those names to itself.
    let upper = fixture.upper("hostile");
    let mount = view.mount(&fixture.prepare(view), Some(upper.upper())).unwrap();
    let path = inside(&mount, "usr/lib/size-7");
    let before = fs::read(&path).unwrap();
    for name in ["user.overlay.redirect", "trusted.overlay.redirect"] {
        // Whether it is refused, or kept under another name, is the kernel's choice.
        let _ = rustix::fs::setxattr(&path, name, redirect.as_bytes(), XattrFlags::empty());
        let _ = rustix::fs::setxattr(&path, name.replace("redirect", "metacopy"), b"", XattrFlags::empty());
    }
    drop(mount);
    let mount = view.mount(&fixture.prepare(view), Some(upper.upper())).unwrap();
    assert_eq!(fs::read(inside(&mount, "usr/lib/size-7")).unwrap(), before);
}

/// A stub that leads to another object is found at the mount.
#[test]
fn other_content() {
    if !rustix::process::geteuid().is_root() {
        return skip("other_content", "it needs root");
    }
    let fixture = Fixture::new();
    if let Err(error) = probe_among(&[ViewKindName::Stubs], &fixture.views) {
        return skip("other_content", &error.to_string());
    }
    let view = by_name(ViewKindName::Stubs);
    let prepared = fixture.prepare(view.as_ref());
    let other = hex::encode(blake3::hash(b"beside").as_bytes());
    let redirect = format!("/{}/{}", &other[..2], &other[2..]);
    // The smallest files come first, and of those the first by digest: all of one byte are changed.
    let path = prepared.path.join("tree/usr/lib/size-1");
    let packaged = prepared.path.join("tree/packages/debian.org/size-1");
    for path in [path, packaged] {
        rustix::fs::setxattr(&path, "user.overlay.redirect", redirect.as_bytes(), XattrFlags::REPLACE).unwrap();
    }
    assert!(matches!(view.mount(&prepared, None), Err(RuntimeError::ViewMismatch { .. })));
}

pub(crate) fn removed(view: &dyn View, fixture: &Fixture) {
    let prepared = fixture.prepare_as(view, "08");
    let mount = view.mount(&prepared, None).unwrap();
    view.remove(&fixture.views, "08").unwrap();
    view.remove(&fixture.views, "08").unwrap();
    assert!(!Path::new(&prepared.path).exists() && !fixture.views.join("08").exists());
    assert!(view.mount(&prepared, None).is_err());
    drop(mount);
    fixture.assert_no_leavings();
}
