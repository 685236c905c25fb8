//! `larder fsck`, `larder gc`, `larder df`

use std::path::PathBuf;

use insta::assert_snapshot;

use super::site::Site;

fn built() -> Site {
    let site = Site::new();
    site.recipe("web", &["greeter", "httpd"], "[files]\n\"/motd\" = \"motd\"\n");
    site.env.write("web/motd", "welcome\n");
    site.ok("build web");
    site
}

/// The object that holds this text.
pub(super) fn object(site: &Site, text: &str) -> PathBuf {
    let folders = std::fs::read_dir(site.env.store().join("objects")).expect("objects");
    let files = folders.flat_map(|folder| std::fs::read_dir(folder.expect("folder").path()).expect("folder"));
    let mut paths = files.map(|file| file.expect("file").path());
    paths.find(|path| std::fs::read(path).expect("object") == text.as_bytes()).expect("an object with this text")
}

/// Writes other bytes into an object, which is read-only for everybody else.
pub(super) fn damage(path: &PathBuf) {
    let length = std::fs::metadata(path).expect("object").len();
    std::fs::remove_file(path).expect("removed");
    std::fs::write(path, vec![b'x'; usize::try_from(length).expect("small")]).expect("written");
}

#[test]
fn a_sound_store() {
    let site = built();
    assert_snapshot!(site.session(&["fsck", "fsck --deep", "fsck --deep --repair"]), @r"
    $ larder fsck
    checked 9 FileSets, N objects
    nothing wrong
    $ larder fsck --deep
    2> hash every object
    checked 9 FileSets, N objects, N KiB hashed
    nothing wrong
    $ larder fsck --deep --repair
    2> hash every object
    checked 9 FileSets, N objects, N KiB hashed
    nothing wrong
    ");
}

#[test]
fn a_damaged_object_is_found_and_fetched_again() {
    let site = built();
    let digest = site.stdout("build -q web");
    damage(&object(&site, "greetings from 1.0\n"));
    assert_snapshot!(site.session(&["fsck", "fsck --deep"]), @r"
    $ larder fsck
    checked 9 FileSets, N objects
    nothing wrong
    $ larder fsck --deep
    2> hash every object
    object blake3:<1> is damaged
      at $DIR/store/objects/ec/b4ad21994d03f3cd14aae4a094363d34e1a738e63d71667856af5aa78bf687
      needed by debian.org/libgreet 1.0
      needed by example.com/web 1.0
    checked 9 FileSets, N objects, N KiB hashed
    1 problem; `larder fsck --repair` fetches again what it can
    [exit code 1]
    ");
    _ = site.server.take_requests();
    assert_snapshot!(site.session(&["fsck --deep --repair", "fsck --deep"]), @r"
    $ larder fsck --deep --repair
    2> hash every object
    2> fetch and convert 1 package
    2> hash every object
    object blake3:<1> is damaged
      at $DIR/store/objects/ec/b4ad21994d03f3cd14aae4a094363d34e1a738e63d71667856af5aa78bf687
      needed by debian.org/libgreet 1.0
      needed by example.com/web 1.0
    fetched again: debian.org/libgreet 1.0
    checked 9 FileSets, N objects, N KiB hashed
    nothing wrong
    $ larder fsck --deep
    2> hash every object
    checked 9 FileSets, N objects, N KiB hashed
    nothing wrong
    ");
    let fetched = site.server.take_requests();
    assert!(fetched.iter().all(|request| request.path.contains("/libgreet/")), "{fetched:?}");
    assert_eq!(site.stdout("build -q web"), digest);
}

#[test]
fn a_missing_object_is_found_without_reading_any() {
    let site = built();
    std::fs::remove_file(object(&site, "greetings from 1.0\n")).expect("removed");
    assert_snapshot!(site.session(&["fsck", "fsck --repair", "fsck"]), @r"
    $ larder fsck
    object blake3:<1> is missing
      at $DIR/store/objects/ec/b4ad21994d03f3cd14aae4a094363d34e1a738e63d71667856af5aa78bf687
      needed by debian.org/libgreet 1.0
      needed by example.com/web 1.0
    checked 9 FileSets, N objects
    1 problem; `larder fsck --repair` fetches again what it can
    [exit code 1]
    $ larder fsck --repair
    2> fetch and convert 1 package
    object blake3:<1> is missing
      at $DIR/store/objects/ec/b4ad21994d03f3cd14aae4a094363d34e1a738e63d71667856af5aa78bf687
      needed by debian.org/libgreet 1.0
      needed by example.com/web 1.0
    fetched again: debian.org/libgreet 1.0
    checked 9 FileSets, N objects
    nothing wrong
    $ larder fsck
    checked 9 FileSets, N objects
    nothing wrong
    ");
}

#[test]
fn what_no_archive_has_is_built_again_from_its_recipe() {
    let site = built();
    let digest = site.stdout("build -q web");
    damage(&object(&site, "welcome\n"));
    assert_snapshot!(site.session(&["fsck --deep --repair", "build -q web", "fsck --deep"]), @r"
    $ larder fsck --deep --repair
    2> hash every object
    2> hash every object
    object blake3:<1> is damaged
      at $DIR/store/objects/15/c39cdbe600f7d3f16414bcbcbf28430c4359a49e962acc396c7d1a2e42df86
      needed by example.com/web 1.0
    can't be fetched: example.com/web 1.0 (build it again from its recipe)
    checked 9 FileSets, N objects, N KiB hashed
    1 problem left
    [exit code 1]
    $ larder build -q web
    blake3:<2>
    $ larder fsck --deep
    2> hash every object
    checked 9 FileSets, N objects, N KiB hashed
    nothing wrong
    ");
    assert_eq!(site.stdout("build -q web"), digest);
}

#[test]
fn repair_without_a_mirror_says_what_is_missing() {
    let site = built();
    damage(&object(&site, "greetings from 1.0\n"));
    std::fs::remove_dir_all(site.archive.root().join("debian/pool")).expect("removed");
    assert_snapshot!(site.session(&["fsck --deep --repair"]), @r"
    $ larder fsck --deep --repair
    2> hash every object
    2> fetch and convert 1 package
    2> hash every object
    object blake3:<1> is damaged
      at $DIR/store/objects/ec/b4ad21994d03f3cd14aae4a094363d34e1a738e63d71667856af5aa78bf687
      needed by debian.org/libgreet 1.0
      needed by example.com/web 1.0
    can't be fetched: debian.org/libgreet 1.0 (http://mirror/debian-security/pool/main/libgreet/libgreet_1.0_amd64.deb does not exist on the mirror (status 404))
    checked 9 FileSets, N objects, N KiB hashed
    1 problem left
    [exit code 1]
    ");
}

#[test]
fn collection_takes_what_nothing_needs() {
    let site = built();
    site.recipe("web", &["greeter"], "");
    site.ok("build web");
    assert_snapshot!(site.session(&["gc", "remove --earlier example.com/web", "gc --dry-run", "gc"]), @r"
    $ larder gc
    removed 0 FileSets and 0 objects (0 B), N objects left
    $ larder remove --earlier example.com/web
    dropped 1 record of example.com/web; `larder gc` frees what only they needed
    $ larder gc --dry-run
    would remove 4 FileSets and N objects (N KiB), N objects left
    $ larder gc
    removed 4 FileSets and N objects (N KiB), N objects left
    ");
}

#[test]
fn disk_usage_tells_shared_from_alone() {
    let site = built();
    site.recipe("shop", &["greeter", "nano"], "");
    site.ok("build shop");
    let text = site.stdout("df");
    // Records hold digests and numbers of changing length, and file systems count blocks: only the shape is shown.
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 9, "{text}");
    assert!(lines[1].starts_with("example.com/shop@1.0") && lines[2].starts_with("example.com/web@1.0"), "{text}");
    let shared: Vec<&str> = lines[4].split_whitespace().collect();
    assert_eq!(shared[..3], ["shared", "between", "images"], "{text}");
    assert_ne!(shared[3], "0", "{text}");
}

#[test]
fn what_composers_made_is_made_again() {
    let site = built();
    damage(&object(&site, "localhost\n"));
    assert_snapshot!(site.session(&["fsck --deep --repair", "fsck --deep"]), @r"
    $ larder fsck --deep --repair
    2> hash every object
    2> hash every object
    object blake3:<1> is damaged
      at $DIR/store/objects/7d/c7eff3269479cd011f3d0475457022f498173e41561eaaff1e8e2c9e5cb16e
      needed by host.internal/composed <2>
    composed again: example.com/web 1.0
    checked 9 FileSets, N objects, N KiB hashed
    nothing wrong
    $ larder fsck --deep
    2> hash every object
    checked 9 FileSets, N objects, N KiB hashed
    nothing wrong
    ");
}
