//! `[install] alternatives`: names that packages of one's own answer to beside Debian's.

use insta::assert_snapshot;

use super::own::own;
use super::site::{Site, archive, deb};

const EDITOR: (&str, &str) = ("usr/bin/editor", "usr/bin/ed");

fn site() -> Site {
    let script = "#!/bin/sh\nset -e\nupdate-alternatives --install /usr/bin/editor editor /usr/bin/joe 50\n";
    Site::with(archive().package(deb("joe", "4").program("usr/bin/joe", "#!/bin/sh\n").script("postinst", script)))
}

#[test]
fn the_highest_priority_wins_whoever_has_it() {
    let site = site();
    let mut said = String::new();
    for priority in [40, 60] {
        own("example.com/ed", "1")
            .program("usr/bin/ed", "#!/bin/sh\n")
            .alternative("editor", EDITOR, priority)
            .publish(&site);
        site.recipe("web", &["joe", "example.com/ed"], "");
        site.ok("update -q web");
        said += &site.session(&["files example.com/web /etc/alternatives", "files example.com/web /usr/bin/editor"]);
    }
    assert_snapshot!(said, @"
    $ larder files example.com/web /etc/alternatives
    d0755         root:root          - /etc/alternatives  (alternatives)
    l0777         root:root          - /etc/alternatives/editor -> /usr/bin/joe  (alternatives)
    $ larder files example.com/web /usr/bin/editor
    l0777         root:root          - /usr/bin/editor -> /etc/alternatives/editor  (alternatives)
    $ larder files example.com/web /etc/alternatives
    d0755         root:root          - /etc/alternatives  (alternatives)
    l0777         root:root          - /etc/alternatives/editor -> /usr/bin/ed  (alternatives)
    $ larder files example.com/web /usr/bin/editor
    l0777         root:root          - /usr/bin/editor -> /etc/alternatives/editor  (alternatives)
    ");
}

#[test]
fn a_file_is_no_alternative() {
    let site = site();
    own("example.com/ed", "1").program("usr/bin/ed", "#!/bin/sh\n").alternative("editor", EDITOR, 60).publish(&site);
    site.env.write("web/editor", "mine\n");
    site.recipe("web", &["joe", "example.com/ed"], "[files]\n\"/usr/bin/editor\" = \"editor\"\n");
    site.ok("build -q web");
    let file = site.stdout("files example.com/web /usr/bin/editor");
    assert!(file.contains("(example.com/web@1.0)"), "{file}");
    // Nor is what isn't there.
    own("example.com/ed", "1").file("etc/ed", "x").alternative("editor", EDITOR, 60).publish(&site);
    site.recipe("web", &["joe", "example.com/ed"], "");
    site.ok("update -q web");
    assert!(site.stdout("files example.com/web /etc/alternatives/editor").contains("-> /usr/bin/joe"));
}
