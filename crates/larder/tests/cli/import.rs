//! `larder package`

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};

use insta::assert_snapshot;
use larder_testkit::{is_root, skip};
use serde_json::json;
use sha2::{Digest as _, Sha256};
use tar::EntryType;

use super::site::{Site, deb};

/// An entry of a layer.
struct Item<'a> {
    path: &'a str,
    kind: EntryType,
    /// The content of a file, or where a link leads.
    text: &'a str,
    mode: u32,
    id: u64,
}

fn file<'a>(path: &'a str, text: &'a str) -> Item<'a> {
    Item { path, kind: EntryType::Regular, text, mode: 0o644, id: 0 }
}

fn directory(path: &str) -> Item<'_> {
    Item { path, kind: EntryType::Directory, text: "", mode: 0o755, id: 0 }
}

fn link<'a>(path: &'a str, target: &'a str) -> Item<'a> {
    Item { path, kind: EntryType::Symlink, text: target, mode: 0o777, id: 0 }
}

/// A layer, as it would be unpacked. Names are written byte for byte, whatever they are.
fn layer(items: &[Item<'_>]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for item in items {
        let mut header = tar::Header::new_gnu();
        header.as_old_mut().name[..item.path.len()].copy_from_slice(item.path.as_bytes());
        header.set_entry_type(item.kind);
        header.set_mode(item.mode);
        header.set_uid(item.id);
        header.set_gid(item.id);
        header.set_mtime(1_700_000_000);
        let content = if item.kind == EntryType::Regular { item.text.as_bytes() } else { b"" };
        if item.kind != EntryType::Regular {
            header.as_old_mut().linkname[..item.text.len()].copy_from_slice(item.text.as_bytes());
        }
        header.set_size(content.len() as u64);
        header.set_cksum();
        builder.append(&header, content).expect("entry");
    }
    builder.into_inner().expect("layer")
}

fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn archive(files: &[(String, Vec<u8>)]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (path, content) in files {
        let mut header = tar::Header::new_gnu();
        header.set_mode(0o644);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(0);
        header.set_size(content.len() as u64);
        builder.append_data(&mut header, path, content.as_slice()).expect("file");
    }
    builder.into_inner().expect("archive")
}

fn configuration(layers: &[Vec<u8>]) -> Vec<u8> {
    let diff_ids: Vec<_> = layers.iter().map(|layer| format!("sha256:{}", sha256(layer))).collect();
    let config = json!({
        "Entrypoint": ["/usr/bin/tool"], "Cmd": ["serve", "--now"], "User": "app", "WorkingDir": "/srv",
        "Env": ["PATH=/usr/bin", "A=b=c"], "StopSignal": "SIGQUIT", "ExposedPorts": {"80/tcp": {}},
        "Labels": {"org.opencontainers.image.licenses": "MIT", "org.opencontainers.image.description": "A tool"},
    });
    let all = json!({
        "architecture": "amd64", "os": "linux", "config": config,
        "rootfs": {"type": "layers", "diff_ids": diff_ids}, "history": [],
    });
    serde_json::to_vec(&all).expect("JSON")
}

/// Paths and contents of an archive.
type Files = Vec<(String, Vec<u8>)>;

/// The files of an image layout.
fn layout(layers: &[Vec<u8>]) -> Files {
    let blob = |bytes: &[u8]| (format!("blobs/sha256/{}", sha256(bytes)), bytes.to_vec());
    let descriptor = |kind: &str, bytes: &[u8]| json!({"mediaType": kind, "digest": format!("sha256:{}", sha256(bytes)), "size": bytes.len()});
    let configuration = configuration(layers);
    let tar = "application/vnd.oci.image.layer.v1.tar";
    let manifest = serde_json::to_vec(&json!({
        "schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": descriptor("application/vnd.oci.image.config.v1+json", &configuration),
        "layers": layers.iter().map(|layer| descriptor(tar, layer)).collect::<Vec<_>>(),
    }))
    .expect("JSON");
    let index = json!({
        "schemaVersion": 2, "manifests": [descriptor("application/vnd.oci.image.manifest.v1+json", &manifest)],
    });
    let mut files = vec![
        ("oci-layout".to_owned(), b"{\"imageLayoutVersion\":\"1.0.0\"}".to_vec()),
        ("index.json".to_owned(), serde_json::to_vec(&index).expect("JSON")),
        blob(&manifest),
        blob(&configuration),
    ];
    files.extend(layers.iter().map(|layer| blob(layer)));
    files
}

/// The files that `docker save` writes.
fn saved(layers: &[Vec<u8>]) -> Files {
    let names: Vec<String> = (0..layers.len()).map(|number| format!("{number}/layer.tar")).collect();
    let manifest = json!([{"Config": "config.json", "RepoTags": ["web:latest"], "Layers": names}]);
    let mut files = vec![
        ("manifest.json".to_owned(), serde_json::to_vec(&manifest).expect("JSON")),
        ("config.json".to_owned(), configuration(layers)),
    ];
    files.extend(names.into_iter().zip(layers.iter().cloned()));
    files
}

/// Layers with everything that is usual in them.
fn usual() -> Vec<Vec<u8>> {
    let below = layer(&[
        directory("proc/"),
        directory("etc/"),
        file("etc/passwd", "root:x:0:0:root:/root:/bin/sh\napp:x:1000:1000:App:/srv:/bin/sh\n"),
        file("etc/group", "root:x:0:\napp:x:1000:\n"),
        link("bin", "usr/bin"),
        Item { mode: 0o755, ..file("usr/bin/tool", "#!/usr/bin/tool\n") },
        file("srv/old/a", "a\n"),
        file("srv/old/b", "b\n"),
        file("srv/gone", "gone\n"),
        Item { id: 1000, ..file("srv/data", "data\n") },
    ]);
    let above = layer(&[
        file("srv/old/.wh..wh..opq", ""),
        file("srv/old/c", "c\n"),
        file("srv/.wh.gone", ""),
        file("bin/helper", "helper\n"),
        Item { kind: EntryType::Link, ..link("usr/bin/hard", "usr/bin/tool") },
    ]);
    vec![below, above]
}

#[test]
fn a_folder_becomes_a_package() {
    let site = Site::new();
    site.env.write("root/usr/share/tool/data", "data\n");
    site.env.write("root/bin/tool", "#!/bin/sh\n");
    site.env.make("root/proc");
    fs::set_permissions(site.env.path("root/bin/tool"), fs::Permissions::from_mode(0o775)).expect("mode");
    symlink("/etc/passwd", site.env.path("root/usr/share/tool/link")).expect("link");
    assert_snapshot!(site.session(&[
        "package from-dir root --name example.com/tool --version 1.0 --summary tools --license MIT",
        "package from-dir root --name example.com/tool --version 1.0 --summary tools --license MIT",
        "--quiet package from-dir root --name example.com/tool --version 1.0 --requires debian.org/libc6>=2.36",
        "packages",
        "gc",
        "fsck --deep",
    ]), @"
    $ larder package from-dir root --name example.com/tool --version 1.0 --summary tools --license MIT
    left out: /proc: the kernel or Larder makes it
    3 files, 15 B
    made package example.com/tool@1.0
    blake3:<1>
    $ larder package from-dir root --name example.com/tool --version 1.0 --summary tools --license MIT
    left out: /proc: the kernel or Larder makes it
    3 files, 15 B
    unchanged package example.com/tool@1.0
    blake3:<1>
    $ larder --quiet package from-dir root --name example.com/tool --version 1.0 --requires debian.org/libc6>=2.36
    blake3:<2>
    $ larder packages
    NAME              VERSION  DIGEST        SIZE  IMAGES  SCRIPTS  SIGNED
    example.com/tool  1.0      <2>           15 B       0           unsigned
    example.com/tool  1.0      <1>           15 B       0           unsigned
    $ larder gc
    removed 0 FileSets and 0 objects (0 B), N objects left
    $ larder fsck --deep
    2> hash every object
    checked 2 FileSets, N objects, N B hashed
    nothing wrong
    ");
    let text = record(&site, "example.com/tool");
    assert!(text.contains("debian.org/libc6 (>= 2.36)") && !text.contains("1970"), "{text}");
}

/// The newest record in the store that has this name.
fn record(site: &Site, name: &str) -> String {
    let list = site.stdout("packages --json");
    let list: serde_json::Value = serde_json::from_str(&list).expect("JSON");
    let items = list["items"].as_array().expect("items");
    let found = items.iter().filter(|item| item["name"] == name).filter_map(|item| item["digest"].as_str());
    let texts = found.map(|digest| {
        let (head, tail) = digest["blake3:".len()..].split_at(2);
        fs::read_to_string(site.env.store().join("filesets").join(head).join(tail)).expect("a record")
    });
    texts.collect()
}

#[test]
fn folders_that_make_no_package() {
    let site = Site::new();
    site.env.write("file", "");
    site.env.write("set-id/su", "su\n");
    fs::set_permissions(site.env.path("set-id/su"), fs::Permissions::from_mode(0o4755)).expect("mode");
    _ = site.env.shell("mkdir fifo && mkfifo fifo/pipe").success();
    site.env.write("kernel/proc/version", "6\n");
    site.env.write("twice/bin/tool", "a\n");
    site.env.write("twice/usr/bin/tool", "b\n");
    site.env.make("alias");
    symlink("/somewhere", site.env.path("alias/lib")).expect("link");
    assert_snapshot!(site.session(&[
        "package from-dir nowhere --name example.com/x --version 1",
        "package from-dir file --name example.com/x --version 1",
        "package from-dir set-id --name example.com/x",
        "package from-dir set-id --name debian.org/x --version 1",
        "package from-dir set-id --name example.com/x --version 1/2",
        "package from-dir set-id --name example.com/x --version 1",
        "package from-dir set-id --name example.com/x --version 1 --allow-set-id",
        "package from-dir fifo --name example.com/x --version 1",
        "package from-dir kernel --name example.com/x --version 1",
        "package from-dir twice --name example.com/x --version 1",
        "package from-dir alias --name example.com/x --version 1",
        "package from-dir fifo --name example.com/x --version 1 --requires >>",
        "package from-dir fifo --name x --version 1",
    ]), @r#"
    $ larder package from-dir nowhere --name example.com/x --version 1
    2> error: can't take in nowhere
    2>   because: can't open nowhere
    2>   because: No such file or directory (os error 2)
    [exit code 1]
    $ larder package from-dir file --name example.com/x --version 1
    2> error: can't take in file
    2>   because: file is no folder
    [exit code 1]
    $ larder package from-dir set-id --name example.com/x
    2> error: can't take in set-id
    2>   because: it has no version
    2>   hint: give it one: --version 1.0
    [exit code 1]
    $ larder package from-dir set-id --name debian.org/x --version 1
    2> error: can't take in set-id
    2>   because: debian.org/x can't be the name of a file that no archive vouches for: debian.org is Debian's
    2>   hint: give it a name in a domain of your own: --name example.com/thing
    [exit code 1]
    $ larder package from-dir set-id --name example.com/x --version 1/2
    2> error: can't take in set-id
    2>   because: "1/2" is not a version: only letters, digits and . + - ~ : _ may stand in it
    [exit code 1]
    $ larder package from-dir set-id --name example.com/x --version 1
    2> error: can't take in set-id
    2>   because: /su would raise privileges: it is set-user-id
    2>   hint: --allow-set-id takes it in as it is; in a container it is inert by default
    [exit code 1]
    $ larder package from-dir set-id --name example.com/x --version 1 --allow-set-id
    1 file, 3 B
    made package example.com/x@1
    blake3:<1>
    $ larder package from-dir fifo --name example.com/x --version 1
    2> error: can't take in fifo
    2>   because: /pipe is a device, a fifo or a socket
    [exit code 1]
    $ larder package from-dir kernel --name example.com/x --version 1
    2> error: can't take in kernel
    2>   because: /proc can't be a file of a package or an image: /proc is Larder's or the kernel's
    [exit code 1]
    $ larder package from-dir twice --name example.com/x --version 1
    2> error: can't take in twice
    2>   because: /usr/bin/tool is there twice, once of them in a directory that is a link into /usr
    [exit code 1]
    $ larder package from-dir alias --name example.com/x --version 1
    2> error: can't take in alias
    2>   because: /lib must be a directory, or a link to the same name below /usr
    [exit code 1]
    $ larder package from-dir fifo --name example.com/x --version 1 --requires >>
    2> error: can't take in fifo
    2>   because: ">>" is no requirement, such as debian.org/libc6 >=2.36
    [exit code 1]
    $ larder package from-dir fifo --name x --version 1
    2> error: invalid value 'x' for '--name <NAME>': "x" is not a name: it has no slash (a name is DOMAIN/SEGMENT, such as debian.org/openssl)
    2>
    2> For more information, try '--help'.
    [exit code 2]
    "#);
}

#[test]
fn owners_have_the_names_that_the_folder_gives_them() {
    if !is_root() {
        return skip("owners of a folder", "only root can make files of others");
    }
    let site = Site::new();
    site.env.write("root/srv/data", "data\n");
    std::os::unix::fs::chown(site.env.path("root/srv/data"), Some(4711), Some(4711)).expect("chown");
    assert_snapshot!(site.session(&[
        "package from-dir root --name example.com/x --version 1",
        "package from-dir root --name example.com/x --version 1 --owner root",
    ]), @r"
    $ larder package from-dir root --name example.com/x --version 1
    2> error: can't take in root
    2>   because: /srv/data belongs to the user 4711, and nothing in it gives that number a name
    2>   hint: --owner root makes all files root's
    [exit code 1]
    $ larder package from-dir root --name example.com/x --version 1 --owner root
    1 file, 5 B
    made package example.com/x@1
    blake3:<1>
    ");
    site.env.write("root/etc/passwd", "app:x:4711:4711::/srv:/bin/sh\n");
    site.env.write("root/etc/group", "app:x:4711:\n");
    site.ok("package from-dir root --name example.com/x --version 2");
    let text = record(&site, "example.com/x");
    assert!(text.contains("\"users\":[{") && text.contains("\"name\":\"app\""), "{text}");
}

#[test]
fn an_oci_image_becomes_a_package_or_an_image() {
    let site = Site::new();
    site.env.write("oci.tar", archive(&layout(&usual())));
    site.env.write("docker.tar", archive(&saved(&usual())));
    assert_snapshot!(site.session(&[
        "package from-oci oci.tar --name example.com/tool --version 1.0",
        "package from-oci docker.tar --name example.com/tool --version 1.0",
        "package from-oci docker.tar --name example.com/web --version 1.0 --image",
        "inspect example.com/web",
        "files example.com/web /srv",
        "files example.com/web /usr/bin",
        "gc",
        "fsck --deep",
    ]), @"
    $ larder package from-oci oci.tar --name example.com/tool --version 1.0
    2> layer 1 of 2
    2> layer 2 of 2
    left out: /proc: the kernel or Larder makes it
    7 files, 131 B
    made package example.com/tool@1.0
    blake3:<1>
    $ larder package from-oci docker.tar --name example.com/tool --version 1.0
    2> layer 1 of 2
    2> layer 2 of 2
    left out: /proc: the kernel or Larder makes it
    7 files, 131 B
    unchanged package example.com/tool@1.0
    blake3:<1>
    $ larder package from-oci docker.tar --name example.com/web --version 1.0 --image
    2> layer 1 of 2
    2> layer 2 of 2
    left out: /proc: the kernel or Larder makes it
    left out: the port 80/tcp: `larder run --net` decides
    7 files, 131 B
    made image example.com/web@1.0
    blake3:<2>
    $ larder inspect example.com/web
    image:        example.com/web@1.0
    digest:       blake3:<2>
    signed:       unsigned
    architecture: amd64
    run:          /usr/bin/tool serve --now
    user:         app
    workdir:      /srv
    stop-signal:  SIGQUIT
    env:          A=b=c
    env:          PATH=/usr/bin
    label:        org.opencontainers.image.description=A tool
    label:        org.opencontainers.image.licenses=MIT
    own files:    7 (131 B)
    packages:     0 (0 B)
      PACKAGE  VERSION  SIZE  SCRIPTS  SIGNED  DIGEST
    $ larder files example.com/web /srv
    d0755         root:root          - /srv  (example.com/web@1.0)
    -0644           app:app          5 /srv/data  (example.com/web@1.0)
    d0755         root:root          - /srv/old  (example.com/web@1.0)
    -0644         root:root          2 /srv/old/c  (example.com/web@1.0)
    $ larder files example.com/web /usr/bin
    d0755         root:root          - /usr/bin  (example.com/web@1.0)
    -0755         root:root         16 /usr/bin/hard  (example.com/web@1.0)
    -0644         root:root          7 /usr/bin/helper  (example.com/web@1.0)
    -0755         root:root         16 /usr/bin/tool  (example.com/web@1.0)
    $ larder gc
    removed 0 FileSets and N objects (N B), N objects left
    $ larder fsck --deep
    2> hash every object
    checked 3 FileSets, N objects, N B hashed
    nothing wrong
    ");
    let text = record(&site, "example.com/tool");
    assert!(text.contains("\"licence\":\"MIT\"") && text.contains("\"description\":\"A tool\""), "{text}");
}

#[test]
fn hostile_layers_are_refused() {
    let site = Site::new();
    let cases: &[(&str, Vec<Vec<u8>>)] = &[
        ("out", vec![layer(&[file("../escape", "")])]),
        ("out-inside", vec![layer(&[file("a/../../escape", "")])]),
        ("absolute", vec![layer(&[file("/etc/passwd", "")])]),
        ("below-a-link", vec![layer(&[link("a", "/etc"), file("a/passwd", "")])]),
        ("below-a-lower-link", vec![layer(&[link("a", "..")]), layer(&[file("a/b", "")])]),
        ("below-a-file", vec![layer(&[file("a", "")]), layer(&[file("a/b", "")])]),
        ("hard-link-out", vec![layer(&[Item { kind: EntryType::Link, ..link("a", "../../etc/shadow") }])]),
        ("hard-link-nowhere", vec![layer(&[Item { kind: EntryType::Link, ..link("a", "b") }])]),
        ("hard-link-to-a-link", vec![layer(&[link("b", "/x"), Item { kind: EntryType::Link, ..link("a", "b") }])]),
        ("set-id", vec![layer(&[Item { mode: 0o4755, ..file("su", "") }])]),
        ("device", vec![layer(&[Item { kind: EntryType::Char, ..file("tty", "") }])]),
        ("in-proc", vec![layer(&[file("proc/version", "")])]),
        ("in-packages", vec![layer(&[file("packages/x", "")])]),
        ("nobody", vec![layer(&[Item { id: 77, ..file("a", "") }])]),
        ("whiteout-nothing", vec![layer(&[file("a/.wh.", "")])]),
        ("whiteout-out", vec![layer(&[file("a/.wh...", "")])]),
        ("whiteout-directory", vec![layer(&[directory(".wh.a/")])]),
        ("whiteout-parent", vec![layer(&[file(".wh.a/b", "")])]),
        ("whiteout-alias", vec![layer(&[file(".wh.bin", "")])]),
        ("whiteout-root", vec![layer(&[file(".wh..wh..opq", "")])]),
        ("alias", vec![layer(&[link("lib", "/tmp")])]),
        ("not-a-tar", vec![b"no tar at all".repeat(100)]),
        ("short", vec![layer(&[file("a", "aaaa")])[..600].to_vec()]),
    ];
    let mut text = String::new();
    for (name, layers) in cases {
        site.env.write("image.tar", archive(&layout(layers)));
        let output = site.run("--quiet package from-oci image.tar --name example.com/x --version 1").failure(1);
        let because = output.stderr.split("because: ").nth(1).unwrap_or(&output.stderr).lines().next();
        text += &format!("{name}: {}\n", because.unwrap_or_default());
    }
    assert_snapshot!(text, @r#"
    out: "../escape" can't be a path in a tree: it has a `.` or `..` component
    out-inside: "a/../../escape" can't be a path in a tree: it has a `.` or `..` component
    absolute: "/etc/passwd" can't be a path in a tree: it is absolute
    below-a-link: /a/passwd lies below /a, which is no directory
    below-a-lower-link: /a/b lies below /a, which is no directory
    below-a-file: /a/b lies below /a, which is no directory
    hard-link-out: "../../etc/shadow" can't be a path in a tree: it has a `.` or `..` component
    hard-link-nowhere: /a is a hard link to /b, which is no file of the image so far
    hard-link-to-a-link: /a is a hard link to /b, which is no file of the image so far
    set-id: /su would raise privileges: it is set-user-id
    device: /tty is a device, a fifo or a socket
    in-proc: /proc/version can't be a file of a package or an image: /proc is Larder's or the kernel's
    in-packages: /packages/x can't be a file of a package or an image: /packages is Larder's or the kernel's
    nobody: /a belongs to the user 77, and nothing in it gives that number a name
    whiteout-nothing: a/.wh. can't mark anything as removed: it names nothing
    whiteout-out: "a/.." can't be a path in a tree: it has a `.` or `..` component
    whiteout-directory: .wh.a/ can't mark anything as removed: it is no file
    whiteout-parent: .wh.a/b can't mark anything as removed: a directory can't be such a mark
    whiteout-alias: .wh.bin can't mark anything as removed: what it names can't be removed
    whiteout-root: .wh..wh..opq can't mark anything as removed: nothing below it can be removed at once
    alias: /lib must be a directory, or a link to the same name below /usr
    not-a-tar: a layer is malformed: a header has a malformed number
    short: it is cut short
    "#);
    assert!(!site.env.path("escape").exists());
    assert_eq!(site.stdout("packages").lines().count(), 1);
}

#[test]
fn archives_that_are_no_image_are_refused() {
    let site = Site::new();
    let good = layout(&usual());
    let changed = |change: &dyn Fn(&mut Files)| {
        let mut files = good.clone();
        change(&mut files);
        archive(&files)
    };
    let layers = usual();
    let mut wrong_id = saved(&layers);
    wrong_id[2].1 = layer(&[file("other", "")]);
    let outside = json!([{"Config": "../../etc/passwd", "Layers": []}]);
    let cases: Vec<(&str, Vec<u8>)> = vec![
        ("empty", archive(&[])),
        ("no-tar", b"#!/bin/sh\n".to_vec()),
        ("manifest-changed", changed(&|files| files[2].1.push(b' '))),
        ("layer-changed", changed(&|files| files[4].1 = layer(&[file("other", "")]))),
        ("layer-missing", changed(&|files| _ = files.pop())),
        ("index-wrong", changed(&|files| files[1].1 = b"{\"manifests\": 1}".to_vec())),
        ("index-huge", changed(&|files| files[1].1 = vec![b' '; 5 << 20])),
        ("twice", changed(&|files| files.push(files[1].clone()))),
        ("diff-id", archive(&wrong_id)),
        ("outside", archive(&[("manifest.json".to_owned(), serde_json::to_vec(&outside).expect("JSON"))])),
    ];
    let mut text = String::new();
    for (name, bytes) in cases {
        site.env.write("image.tar", bytes);
        let output = site.run("--quiet package from-oci image.tar --name example.com/x --version 1").failure(1);
        let because = output.stderr.split("because: ").nth(1).unwrap_or(&output.stderr).lines().next();
        text += &format!("{name}: {}\n", because.unwrap_or_default());
    }
    assert_snapshot!(site.redact(&text), @r"
    empty: it is neither an OCI image layout nor what `docker save` writes: it has no index.json and no manifest.json
    no-tar: it is cut short
    manifest-changed: the image's manifest has the digest sha256:<1>, and should have sha256:<2>
    layer-changed: the image's layer, as it is stored, has the digest sha256:<3>, and should have sha256:<4>
    layer-missing: the image names blobs/sha256/<5>, and doesn't have it
    index-wrong: the image's index can't be read
    index-huge: the image's index has more than 4194304 bytes
    twice: it is neither an OCI image layout nor what `docker save` writes: it has a file twice
    diff-id: the image's layer, unpacked, has the digest sha256:<3>, and should have sha256:<4>
    outside: the image names ../../etc/passwd, and doesn't have it
    ");
}

#[test]
fn a_deb_becomes_a_package_of_ones_own() {
    let site = Site::new();
    let tool = deb("tool", "2.0-1")
        .depends("libgreet (>= 1.0) | libother, shell")
        .provides("text-editor")
        .program("bin/tool", "#!/bin/sh\n")
        .directory_with("var/lib/tool", 0o755, "root", "root")
        .script("postinst", "#!/bin/sh\nset -e\nadduser --system --group tool\nsystem-of-its-own --now\n");
    site.env.write("tool.deb", tool.build());
    site.env.write("su.deb", deb("su", "1").file_with("usr/bin/su", "su\n", 0o4755, "root", "root").build());
    site.env.write("no.deb", "no deb\n");
    assert_snapshot!(site.session(&[
        "package from-deb tool.deb --name example.com/tool",
        "package from-deb tool.deb --name debian.org/tool",
        "package from-deb tool.deb",
        "package from-deb no.deb --name example.com/no",
        "package from-deb nowhere.deb --name example.com/no",
        "package from-deb su.deb --name example.com/su",
        "package from-deb su.deb --name example.com/su --allow-set-id --version 3",
        "packages",
    ]), @"
    $ larder package from-deb tool.deb --name example.com/tool
    left out: its scripts: postinst:4: system-of-its-own --now
    2 files, 253 B
    made package example.com/tool@2.0-1
    blake3:<1>
    $ larder package from-deb tool.deb --name debian.org/tool
    2> error: can't take in tool.deb
    2>   because: debian.org/tool can't be the name of a file that no archive vouches for: debian.org is Debian's
    2>   hint: give it a name in a domain of your own: --name example.com/thing
    [exit code 1]
    $ larder package from-deb tool.deb
    2> error: the following required arguments were not provided:
    2>   --name <NAME>
    2>
    2> Usage: larder package from-deb --name <NAME> <FILE.deb>
    2>
    2> For more information, try '--help'.
    [exit code 2]
    $ larder package from-deb no.deb --name example.com/no
    2> error: can't take in no.deb
    2>   because: it is not a Debian package: it is not an ar archive
    [exit code 1]
    $ larder package from-deb nowhere.deb --name example.com/no
    2> error: can't take in nowhere.deb
    2>   because: can't open nowhere.deb
    2>   because: No such file or directory (os error 2)
    [exit code 1]
    $ larder package from-deb su.deb --name example.com/su
    2> error: can't take in su.deb
    2>   because: /usr/bin/su would raise privileges: it is set-user-id
    2>   hint: --allow-set-id takes it in as it is; in a container it is inert by default
    [exit code 1]
    $ larder package from-deb su.deb --name example.com/su --allow-set-id --version 3
    2 files, 171 B
    made package example.com/su@3
    blake3:<2>
    $ larder packages
    NAME              VERSION  DIGEST         SIZE  IMAGES  SCRIPTS  SIGNED
    example.com/su    3        <2>           171 B       0           unsigned
    example.com/tool  2.0-1    <1>           253 B       0           unsigned
    ");
    let text = record(&site, "example.com/tool");
    for part in [
        "\"debian.org/libgreet (>= 1.0) | debian.org/libother\",\"debian.org/shell\"",
        "\"rule\":\"deb-file/1\"",
        "\"provides\":[\"text-editor\"]",
        "\"users\":[{",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
}
