//! The compiled files that libraries read: what is made, under which key, and what is taken from a program.

use super::super::caches::{self, Work};
use super::*;

const PROGRAM: &str = "usr/lib/x86_64-linux-gnu/glib-2.0/glib-compile-schemas";
const QUERY: &str = "usr/lib/x86_64-linux-gnu/gdk-pixbuf-2.0/gdk-pixbuf-query-loaders";
const LOADERS: &str = "usr/lib/x86_64-linux-gnu/gdk-pixbuf-2.0/2.10.0/loaders";

fn packages(world: &World) -> Vec<Import> {
    let svg = format!("{LOADERS}/svg.so");
    let gif = format!("{LOADERS}/gif.so");
    vec![
        world.package("libglib2.0-0", world.draw(&[(PROGRAM, "elf")])),
        world.package("gsettings-desktop-schemas", world.draw(&[("usr/share/glib-2.0/schemas/a.gschema.xml", "<a/>")])),
        world.package("libgdk-pixbuf-2.0-0", world.draw(&[(QUERY, "elf"), (&svg, "elf"), (&gif, "elf")])),
        world.package(
            "shared-mime-info",
            world.draw(&[
                ("usr/bin/update-mime-database", "elf"),
                ("usr/share/mime/packages/freedesktop.org.xml", "<m/>"),
            ]),
        ),
    ]
}

fn work(plan: &InstallPlan) -> Vec<Work> {
    caches::work(plan, &current_versions(), "/out")
}

fn one(plan: &InstallPlan, composer: &str) -> Work {
    work(plan).into_iter().find(|work| work.composer == composer).expect(composer)
}

#[test]
fn what_is_run() {
    let world = World::new();
    let plan = world.plan(Draw::default(), packages(&world));
    let all: Vec<(&str, String)> = work(&plan).iter().map(|work| (work.composer, work.arguments.join(" "))).collect();
    let expected = [
        ("gdk-pixbuf-loaders", format!("/{QUERY} --update-cache /{LOADERS}/gif.so /{LOADERS}/svg.so")),
        ("glib-schemas", format!("/{PROGRAM} --targetdir=/out /usr/share/glib-2.0/schemas")),
        ("mime-database", "/usr/bin/update-mime-database /out".to_owned()),
    ];
    assert_eq!(all, expected);
    let needs: Vec<String> = one(&plan, "mime-database").needs.into_iter().map(|(name, _)| name).collect();
    assert_eq!(needs, ["packages/freedesktop.org.xml"]);

    let pinned = BTreeMap::from([("glib-schemas".to_owned(), 1)]);
    assert_eq!(caches::work(&plan, &pinned, "/out").len(), 1);
    // Without the library nobody reads its files, and without files there is nothing to make.
    for number in [0, 1] {
        let plan = world.plan(Draw::default(), vec![packages(&world).remove(number)]);
        assert!(work(&plan).is_empty());
    }
}

#[test]
fn keys_cover_what_the_program_reads() {
    let world = World::new();
    let key =
        |own: &[(&str, &str)], imports: Vec<Import>| one(&world.plan(world.draw(own), imports), "glib-schemas").key;
    let plain = key(&[], packages(&world));
    assert_eq!(plain, key(&[("srv/site/index.html", "page")], packages(&world)));
    let mut turned = packages(&world);
    turned.reverse();
    assert_eq!(plain, key(&[], turned));
    let mut more = packages(&world);
    more.push(world.package("libc6", world.draw(&[("usr/lib/libc.so.6", "elf")])));
    assert_ne!(plain, key(&[], more));
    let loader = key(&[("etc/ld.so.preload", "/opt/evil.so")], packages(&world));
    let library = key(&[("usr/local/lib/libglib-2.0.so.0", "elf")], packages(&world));
    assert!(plain != loader && plain != library && loader != library);
}

#[test]
fn results_are_checked_and_placed() {
    let world = World::new();
    let own = world.draw(&[("usr/share/mime/globs", "my own")]);
    let plan = world.plan(own, packages(&world));
    let folder = tempfile::tempdir().expect("a temporary folder");
    let out = |name: &str, content: &[u8]| {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().expect("parent")).expect("folder");
        fs::write(path, content).expect("file");
    };
    let collect = |work: &Work| work.collect(folder.path(), &world.contents);

    let schemas = one(&plan, "glib-schemas");
    assert!(collect(&schemas).is_err(), "nothing was made");
    out("gschemas.compiled", b"GVariant\0\0");
    let results = collect(&schemas).expect("good");
    let placed = caches::place(&plan, &schemas, &results);
    let paths: Vec<String> = placed.iter().map(|entry| entry.path.to_string()).collect();
    assert_eq!(paths, ["usr/share/glib-2.0/schemas/gschemas.compiled"]);
    for bad in [b"".as_slice(), b"variant"] {
        out("gschemas.compiled", bad);
        assert!(collect(&schemas).is_err());
    }
    fs::remove_file(folder.path().join("gschemas.compiled")).expect("remove");
    std::os::unix::fs::symlink("/etc/shadow", folder.path().join("gschemas.compiled")).expect("link");
    assert!(collect(&schemas).is_err(), "a link");
    fs::remove_file(folder.path().join("gschemas.compiled")).expect("remove");

    let mime = one(&plan, "mime-database");
    out("packages/freedesktop.org.xml", b"<m/>");
    out("globs", b"*.a");
    out("image/png.xml", b"<png/>");
    assert!(collect(&mime).is_err(), "without its cache");
    out("mime.cache", &[0, 1, 0, 2]);
    let placed = caches::place(&plan, &mime, &collect(&mime).expect("good"));
    let paths: Vec<String> = placed.iter().map(|entry| entry.path.to_string()).collect();
    // What the image has itself stays, and what the program was given isn't a result.
    assert_eq!(paths, ["usr/share/mime/image", "usr/share/mime/image/png.xml", "usr/share/mime/mime.cache"]);
    std::os::unix::fs::symlink("/etc", folder.path().join("text")).expect("link");
    assert!(collect(&mime).is_err(), "a link in the place of a folder");
}
