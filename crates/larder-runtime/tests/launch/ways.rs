//! A container with each way of making its view.

use larder_runtime::view::ViewKindName;

use crate::Test;
use crate::place::{Place, User};

pub(crate) const TESTS: &[Test] = &[("every_view_runs_a_container", every_view)];

fn every_view(place: &Place) {
    let usual = if place.user == User::Root { ViewKindName::Erofs } else { ViewKindName::Stubs };
    let options = |way: ViewKindName| ["--view", way.as_str(), "--read-only", "/packages", "--read-only", "/usr"];
    let mut worked = Vec::new();
    for way in ViewKindName::ALL {
        let ended = place.run(&options(way), &["sh", "-c", "cat /usr/share/data /packages/example.com/tool@1/file"]);
        if place.user != User::Root && matches!(way, ViewKindName::Erofs | ViewKindName::ErofsLoop) {
            assert_eq!(ended.code, 125, "{way}: {ended:?}");
            assert!(ended.err.contains(&format!("no way of making a view works here: {way}: can't ")), "{ended:?}");
            assert_eq!(place.left(), Vec::<String>::new());
            continue;
        }
        if ended.code == 125 && ended.err.contains("no way of making a view works here") {
            println!("SKIPPED a container with {way} as {:?}: {}", place.user, ended.err.trim());
            continue;
        }
        worked.push(way);
        let said = if way == usual { String::new() } else { format!("unusual: {way}\n") };
        assert_eq!((ended.code, ended.out.as_str(), ended.err), (0, "data\npackaged\n", said), "{way}");
        for path in ["/packages/example.com/tool@1/file", "/usr/share/data", "/packages/new", "/usr/new"] {
            let ended = place.run(&options(way), &["sh", "-c", &format!("echo x >{path}")]);
            assert!(ended.code != 0 && ended.err.contains("Read-only file system"), "{way}: {path}: {ended:?}");
        }
        let script = "echo mine >/etc/new && echo mine >/etc/not-a-program && rm /etc/group && cat /etc/new && ls /etc";
        let ended = place.run(&options(way), &["sh", "-c", script]);
        assert_eq!((ended.code, ended.out.as_str()), (0, "mine\nnew\nnot-a-program\npasswd\n"), "{way}: {}", ended.err);
        // The next container sees nothing of it.
        let ended = place.run(&options(way), &["sh", "-c", "cat /etc/not-a-program; ls /etc"]);
        assert_eq!(
            (ended.code, ended.out.as_str()),
            (0, "text\ngroup\nnot-a-program\npasswd\n"),
            "{way}: {}",
            ended.err
        );
        assert_eq!(place.left(), Vec::<String>::new(), "{way}");
    }
    assert!(worked.contains(&ViewKindName::Symlink), "{worked:?}");
}
