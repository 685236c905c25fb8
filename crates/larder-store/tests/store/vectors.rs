//! The worked examples of `docs/formats.md`, compared with the code.
//!
//! A block of the page that begins with `vector NAME` is an example: hexadecimal digits with comments after `;`, or text to be
//! taken as it is, without its last line end.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use larder_store::fileset::{
    AlternativeRule, DiversionRule, FilesMetadata, Follower, GroupRule, ImageMetadata, Import, InstallRules, Metadata,
    Origin, PackageMetadata, ScriptTier, UserRule,
};
use larder_store::json::{self, Value};
use larder_store::{
    Attributes, Content, Entry, FileSet, ObjectDigest, RefEntry, RefKind, Root, Sha256Digest, Tree, TreeBuilder,
    TreePath,
};

use crate::support::{files, name, path, store};

/// The page's examples, by name.
fn page() -> BTreeMap<String, String> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/formats.md");
    let text = fs::read_to_string(&file).expect("docs/formats.md");
    let mut vectors = BTreeMap::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        if let Some(name) = line.strip_prefix("```vector ") {
            let body: Vec<_> = lines.by_ref().take_while(|line| *line != "```").collect();
            assert!(vectors.insert(name.to_owned(), body.join("\n")).is_none(), "{name} stands twice");
        }
    }
    vectors
}

fn from_hex(text: &str) -> Vec<u8> {
    let digits = text.lines().flat_map(|line| line.split(';').next().unwrap_or_default().chars());
    hex::decode(digits.filter(|c| !c.is_whitespace()).collect::<String>()).expect("hexadecimal digits")
}

/// A Tree with one of everything.
fn example_tree() -> Tree {
    let mut tree = TreeBuilder::new();
    let mut insert = |at: &str, entry, attributes| tree.insert(path(at), entry, attributes).expect(at);
    let hello = Entry::File { digest: ObjectDigest::of(b"hello\n"), size: 6, executable: true };
    let xattrs = [(b"security.capability"[..].into(), [1, 0, 0, 2, 0, 4, 0, 0][..].into())].into();
    insert("usr/bin/hello", hello, Attributes { xattrs, ..Attributes::default() });
    let empty = Entry::File { digest: ObjectDigest::of(b""), size: 0, executable: false };
    let secret = Attributes { mode: Some(0o640), group: Some("shadow".to_owned()), ..Attributes::default() };
    insert("etc/secret", empty, secret);
    insert("usr/bin/hi", Entry::Symlink { target: b"hello"[..].into() }, Attributes::default());
    let mail = Attributes {
        mode: Some(0o2775),
        owner: Some("mail".to_owned()),
        group: Some("mail".to_owned()),
        ..Attributes::default()
    };
    insert("var/mail", Entry::Directory, mail);
    tree.finish().expect("a tree")
}

fn example_package() -> FileSet {
    let alternative = AlternativeRule {
        name: "greeter".to_owned(),
        link: path("usr/bin/greeter"),
        path: path("usr/bin/hello"),
        priority: 50,
        followers: vec![Follower {
            name: "greeter.1.gz".to_owned(),
            link: path("usr/share/man/man1/greeter.1.gz"),
            path: path("usr/share/man/man1/hello.1.gz"),
        }],
    };
    let user = UserRule {
        name: "hello".to_owned(),
        uid: None,
        group: "hello".to_owned(),
        home: "/nonexistent".to_owned(),
        shell: "/usr/sbin/nologin".to_owned(),
        comment: "Hello, World".to_owned(),
        supplementary: vec!["adm".to_owned()],
    };
    let not_utf8 = TreePath::new(b"usr/share/caf\xe9".to_vec()).expect("a path");
    let install = InstallRules {
        replaces_files_of: vec!["hello-traditional".to_owned()],
        users: vec![user],
        groups: vec![GroupRule { name: "hello".to_owned(), gid: Some(999) }],
        alternatives: vec![alternative],
        diversions: vec![DiversionRule { path: not_utf8, to: path("usr/share/cafe.distrib") }],
        links: Vec::new(),
        shells: vec!["/usr/bin/hello".to_owned()],
        script: ScriptTier::Skipped(vec!["it greets".to_owned()]),
    };
    let package = PackageMetadata {
        requires: vec!["libc6 (>= 2.36)".to_owned(), "default-mta | mail-transport-agent".to_owned()],
        multi_arch: Some("foreign".to_owned()),
        description: "says hello".to_owned(),
        section: "misc".to_owned(),
        licence: Some("GPL-3.0-or-later".to_owned()),
        source: Some("hello 1:2.10-3".to_owned()),
        origin: Some(Origin { deb: Sha256Digest::from_bytes([0xab; 32]), rule: "deb/1".to_owned() }),
        install,
        ..PackageMetadata::default()
    };
    FileSet {
        name: name("debian.org/hello"),
        version: "1:2.10-3".to_owned(),
        architecture: "amd64".to_owned(),
        time: 1_671_000_000,
        tree: example_tree().digest(),
        imports: Vec::new(),
        metadata: Metadata::Package(package),
    }
}

fn example_image() -> FileSet {
    let package = example_package();
    let import = Import {
        path: package.name.mount_path(&package.version).expect("a mount path"),
        fileset: package.digest(),
        name: package.name,
        version: package.version,
    };
    let image = ImageMetadata {
        from: vec![name("debian.org/bookworm")],
        base: "none".to_owned(),
        packages: vec!["hello".to_owned()],
        run: vec!["hello".to_owned(), "--greeting=\u{1f600}\n".to_owned()],
        env: [("LANG".to_owned(), "C.UTF-8".to_owned())].into(),
        user: Some("hello".to_owned()),
        composers: [("passwd".to_owned(), 1)].into(),
        ..ImageMetadata::default()
    };
    FileSet {
        name: name("example.com/greeting"),
        version: "1.0".to_owned(),
        architecture: "amd64".to_owned(),
        time: 315_619_200,
        tree: Tree::default().digest(),
        imports: vec![import],
        metadata: Metadata::Image(image),
    }
}

fn example_files() -> FileSet {
    FileSet {
        name: name("debian.org/hello/declarations"),
        version: "1:2.10-3+table1".to_owned(),
        architecture: "all".to_owned(),
        time: 0,
        tree: Tree::default().digest(),
        imports: Vec::new(),
        metadata: Metadata::Files(FilesMetadata::default()),
    }
}

/// What the code makes of the examples: text, or hexadecimal digits.
fn expected() -> BTreeMap<&'static str, (bool, Vec<u8>)> {
    let text = |text: String| (false, text.into_bytes());
    let record = |record: FileSet| {
        let bytes = record.encode();
        assert_eq!(FileSet::decode(&bytes).as_ref(), Ok(&record));
        (false, bytes)
    };
    let tree = |tree: Tree| {
        let bytes = tree.encode();
        assert_eq!(Tree::decode(&bytes), Ok(tree));
        (true, bytes)
    };
    let sorted = ["\u{20ac}", "\u{ff21}", "\u{1f600}", "1", "\u{f6}"].map(|key| (key, Value::from(key)));
    let escapes = Value::Array(vec![
        "\"\\/\u{8}\t\n\u{c}\r\u{0}\u{1f}".into(),
        Value::Integer(json::MAX_INTEGER),
        false.into(),
        Value::Null,
    ]);
    let (image, package) = (example_image(), example_package());
    BTreeMap::from([
        ("object-empty", text(ObjectDigest::of(b"").to_string())),
        ("object-hello", text(ObjectDigest::of(b"hello\n").to_string())),
        ("tree-empty", tree(Tree::default())),
        ("tree-empty-digest", text(Tree::default().digest().to_string())),
        ("tree-example", tree(example_tree())),
        ("tree-example-digest", text(example_tree().digest().to_string())),
        ("json-order", (false, json::encode(&Value::object(sorted)))),
        ("json-values", (false, json::encode(&escapes))),
        ("record-files", record(example_files())),
        ("record-files-digest", text(example_files().digest().to_string())),
        ("record-package", record(package.clone())),
        ("record-package-digest", text(package.digest().to_string())),
        ("record-image", record(image.clone())),
        ("record-image-digest", text(image.digest().to_string())),
        ("mount-path", text(image.imports[0].path.to_string())),
        ("roots", text(example_roots().iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))),
        ("ref", example_ref()),
        ("statement", example_statement()),
    ])
}

fn example_roots() -> larder_store::Roots {
    let (image, tree) = (example_image().digest(), Tree::default().digest());
    let contents = [Content::FileSet(image), Content::Tree(tree), Content::Object(ObjectDigest::of(b"hello\n"))];
    contents.map(Root::Content).into_iter().chain([Root::View(image.hex())]).collect()
}

/// The bytes of a ref, as the store writes them.
fn example_ref() -> (bool, Vec<u8>) {
    let (_folder, store) = store();
    let ingest = store.begin().expect("begin");
    for (version, content) in [("1.0", b"one"), ("1.1", b"two")] {
        let fileset = files(&ingest, "x", content).expect("files");
        let entry = RefEntry { version: version.to_owned(), fileset, at: 1_700_000_000, action: "build".to_owned() };
        store.refs().set(RefKind::Image, "example.com/x", entry).expect("set");
    }
    (false, fs::read(store.root().join("refs/image/example.com@x.ref")).expect("ref"))
}

/// The bytes of a statement, as the store writes them.
fn example_statement() -> (bool, Vec<u8>) {
    let (_folder, store) = store();
    let ingest = store.begin().expect("begin");
    let about = files(&ingest, "x", b"one").expect("files");
    let body = Value::object([("release", Value::from("bookworm"))]);
    ingest.write_statement(&about, "origin/debian", &body).expect("statement");
    let hex = about.hex();
    let folder = store.root().join("statements").join(&hex[..2]).join(&hex[2..]);
    let file = fs::read_dir(folder).expect("list").next().expect("one").expect("one");
    let bytes = fs::read(file.path()).expect("read");
    assert_eq!(file.file_name().to_str(), Some(&*format!("{}.json", ObjectDigest::of(&bytes).hex())));
    (false, bytes)
}

#[test]
fn the_page_and_the_code_agree() {
    let page = page();
    let expected = expected();
    for (name, (is_hex, bytes)) in &expected {
        let shown = || if *is_hex { hex::encode(bytes) } else { String::from_utf8_lossy(bytes).into_owned() };
        let Some(there) = page.get(*name) else { panic!("docs/formats.md lacks ```vector {name}\n{}", shown()) };
        let there = if *is_hex { from_hex(there) } else { there.clone().into_bytes() };
        assert_eq!(there, *bytes, "vector {name} should be\n{}", shown());
    }
    let unknown: Vec<_> = page.keys().filter(|name| !expected.contains_key(name.as_str())).collect();
    assert!(unknown.is_empty(), "nothing checks {unknown:?}");
}
