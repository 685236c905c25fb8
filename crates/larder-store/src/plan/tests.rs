use std::collections::HashMap;
use std::sync::Arc;

use thiserror::Error;

use super::{Catalog, Loaded, PlanError, expand, install};
use crate::fileset::{
    DiversionRule, FileSet, FilesMetadata, ImageMetadata, Import, InstallRules, LinkRule, Metadata, PackageMetadata,
};
use crate::tree::{Attributes, Entry, Tree, TreeEntry};
use crate::{FileSetDigest, Name, ObjectDigest, TreeDigest, TreePath};

#[derive(Debug, Error)]
#[error("not there")]
struct Absent;

/// FileSets in memory, each under a digest made from its name: the plan looks at nothing else.
#[derive(Default)]
struct Shelf(HashMap<FileSetDigest, Arc<Loaded>>);

impl Catalog for Shelf {
    type Error = Absent;

    fn load(&self, digest: &FileSetDigest) -> Result<Arc<Loaded>, Absent> {
        self.0.get(digest).cloned().ok_or(Absent)
    }
}

fn path(text: &str) -> TreePath {
    TreePath::try_from(text).expect("path")
}

fn file(content: &str) -> Entry {
    Entry::File { digest: ObjectDigest::of(content.as_bytes()), size: content.len() as u64, executable: false }
}

fn tree(files: &[(&str, &str)]) -> Tree {
    let entries = files.iter().map(|(at, content)| TreeEntry {
        path: path(at),
        entry: if *content == "/" { Entry::Directory } else { file(content) },
        attributes: Attributes::default(),
    });
    Tree::new(entries.collect()).expect("tree")
}

impl Shelf {
    fn add(
        &mut self,
        name: &str,
        files: &[(&str, &str)],
        imports: &[(&str, FileSetDigest)],
        metadata: Metadata,
    ) -> Arc<Loaded> {
        let imports = imports.iter().map(|(at, fileset)| Import {
            path: path(at),
            name: self.0[fileset].record.name.clone(),
            version: "1".into(),
            fileset: *fileset,
        });
        let record = FileSet {
            name: Name::parse(name).expect("name"),
            version: "1".into(),
            architecture: "all".into(),
            time: 0,
            tree: TreeDigest::of(name.as_bytes()),
            imports: imports.collect(),
            metadata,
        };
        let digest = FileSetDigest::of(name.as_bytes());
        let loaded = Arc::new(Loaded { digest, record, tree: tree(files) });
        self.0.insert(digest, Arc::clone(&loaded));
        loaded
    }

    fn files(&mut self, name: &str, files: &[(&str, &str)], imports: &[(&str, FileSetDigest)]) -> FileSetDigest {
        self.add(name, files, imports, Metadata::Files(FilesMetadata::default())).digest
    }

    fn package(&mut self, name: &str, files: &[(&str, &str)], install: InstallRules) -> FileSetDigest {
        let metadata = PackageMetadata { install, ..PackageMetadata::default() };
        self.add(name, files, &[], Metadata::Package(metadata)).digest
    }

    fn image(&mut self, files: &[(&str, &str)], packages: &[FileSetDigest]) -> Arc<Loaded> {
        let imports: Vec<_> = packages
            .iter()
            .map(|digest| (self.0[digest].record.name.mount_path("1").expect("mount").to_string(), *digest))
            .collect();
        let imports: Vec<_> = imports.iter().map(|(at, digest)| (at.as_str(), *digest)).collect();
        self.add("example.com/image", files, &imports, Metadata::Image(ImageMetadata::default()))
    }
}

/// Three parents, two levels, a diamond: `top` imports `left`, `middle` and `right`, all of which import `base`.
fn diamond(shelf: &mut Shelf, shuffled: bool) -> Arc<Loaded> {
    let base = shelf.files("example.com/base", &[("lib", "/"), ("lib/base", "b")], &[]);
    let left = shelf.files("example.com/left", &[("l", "l")], &[("shared", base)]);
    let middle = shelf.files("example.com/middle", &[("m", "m")], &[("shared", base)]);
    let right = shelf.files("example.com/right", &[("r", "r")], &[("own/shared", base)]);
    let mut imports = vec![("parts", left), ("parts", middle), ("deep/er", right), ("parts/shared", base)];
    if shuffled {
        imports.reverse();
    }
    shelf.add("example.com/top", &[("top", "t")], &imports, Metadata::Files(FilesMetadata::default()))
}

#[test]
fn a_diamond_is_kept_once_and_order_means_nothing() {
    let mut shelf = Shelf::default();
    let top = diamond(&mut shelf, false);
    let expanded = expand(&shelf, &top).expect("expand");
    let paths: Vec<_> = expanded.entries.keys().map(ToString::to_string).collect();
    assert_eq!(
        paths,
        [
            "deep",
            "deep/er",
            "deep/er/own",
            "deep/er/own/shared",
            "deep/er/own/shared/lib",
            "deep/er/own/shared/lib/base",
            "deep/er/r",
            "parts",
            "parts/l",
            "parts/m",
            "parts/shared",
            "parts/shared/lib",
            "parts/shared/lib/base",
            "top",
        ]
    );
    let names: Vec<_> = expanded.sources.iter().map(ToString::to_string).collect();
    assert_eq!(
        names,
        [
            "example.com/base@1",
            "example.com/left@1",
            "example.com/middle@1",
            "example.com/right@1",
            "example.com/top@1"
        ]
    );
    let mut shelf = Shelf::default();
    let shuffled = diamond(&mut shelf, true);
    assert_eq!(expand(&shelf, &shuffled).expect("expand").entries, expanded.entries);
}

#[test]
fn two_contents_at_one_path_name_both_owners() {
    let mut shelf = Shelf::default();
    let a = shelf.files("example.com/a", &[("same", "1"), ("x", "1")], &[]);
    let b = shelf.files("example.com/b", &[("same", "1"), ("x", "2")], &[]);
    for imports in [[("at", a), ("at", b)], [("at", b), ("at", a)]] {
        let top = shelf.add("example.com/top", &[], &imports, Metadata::Files(FilesMetadata::default()));
        let error = expand(&shelf, &top).expect_err("conflict");
        assert_eq!(error.to_string(), "/at/x is in both example.com/a@1 and example.com/b@1, with different content");
    }
}

#[test]
fn nothing_stands_below_a_file() {
    let mut shelf = Shelf::default();
    let a = shelf.files("example.com/a", &[("at", "file")], &[]);
    let b = shelf.files("example.com/b", &[("c", "1")], &[]);
    let top = shelf.add("example.com/top", &[], &[("x", a), ("x/at", b)], Metadata::Files(FilesMetadata::default()));
    assert!(matches!(expand(&shelf, &top), Err(PlanError::Conflict { .. } | PlanError::BelowNonDirectory { .. })));
}

#[test]
fn an_absent_import_is_named() {
    let mut shelf = Shelf::default();
    let a = shelf.files("example.com/a", &[], &[]);
    let top = shelf.add("example.com/top", &[], &[("x", a)], Metadata::Files(FilesMetadata::default()));
    shelf.0.remove(&a);
    let error = expand(&shelf, &top).expect_err("absent");
    assert_eq!(error.to_string(), "can't load example.com/a@1, imported by example.com/top@1");
}

#[test]
fn packages_are_visible_whole_and_installed_in_the_root() {
    let mut shelf = Shelf::default();
    let tool = shelf.package("debian.org/tool", &[("usr", "/"), ("usr/tool", "t")], InstallRules::default());
    let image = shelf.image(&[("etc", "/"), ("etc/own", "o")], &[tool]);
    let plan = install(&shelf, &image).expect("install");
    let paths: Vec<_> = plan.entries.keys().map(ToString::to_string).collect();
    assert_eq!(paths, ["etc", "etc/own", "usr", "usr/tool"]);
    let below: Vec<_> = plan.package_entries().expect("paths").into_keys().map(|p| p.to_string()).collect();
    assert_eq!(
        below,
        [
            "packages",
            "packages/debian.org",
            "packages/debian.org/tool@1",
            "packages/debian.org/tool@1/usr",
            "packages/debian.org/tool@1/usr/tool"
        ]
    );
}

#[test]
fn own_files_win_and_are_reported() {
    let mut shelf = Shelf::default();
    let tool = shelf.package("debian.org/tool", &[("etc", "/"), ("etc/conf", "theirs")], InstallRules::default());
    let image = shelf.image(&[("etc", "/"), ("etc/conf", "mine")], &[tool]);
    let plan = install(&shelf, &image).expect("install");
    assert_eq!(plan.entries[&path("etc/conf")].entry.entry, file("mine"));
    let [over] = plan.overridden.as_slice() else { panic!("{:?}", plan.overridden) };
    assert_eq!(plan.sources[over.by].to_string(), "example.com/image@1");
    assert_eq!(plan.sources[over.of].to_string(), "debian.org/tool@1");
}

#[test]
fn two_packages_with_one_path_need_a_reason() {
    let mut shelf = Shelf::default();
    let a = shelf.package("debian.org/a", &[("f", "1")], InstallRules::default());
    let b = shelf.package("debian.org/b", &[("f", "2")], InstallRules::default());
    let image = shelf.image(&[], &[a, b]);
    let error = install(&shelf, &image).expect_err("conflict");
    assert_eq!(error.to_string(), "/f is in both debian.org/a@1 and debian.org/b@1, with different content");

    for (taker, loser) in [("a", "b"), ("b", "a")] {
        let mut shelf = Shelf::default();
        let rules = InstallRules { replaces_files_of: vec![loser.into()], ..InstallRules::default() };
        let taker = shelf.package(&format!("debian.org/{taker}"), &[("f", "mine")], rules);
        let loser = shelf.package(&format!("debian.org/{loser}"), &[("f", "theirs")], InstallRules::default());
        let image = shelf.image(&[], &[loser, taker]);
        let plan = install(&shelf, &image).expect("replaced");
        assert_eq!(plan.entries[&path("f")].entry.entry, file("mine"));
        assert_eq!(plan.overridden.len(), 1);
    }
}

#[test]
fn a_diversion_moves_the_others_file_aside() {
    let mut shelf = Shelf::default();
    let diversions = vec![DiversionRule { path: path("f"), to: path("f.orig") }];
    let a = shelf.package("debian.org/a", &[("f", "a")], InstallRules { diversions, ..InstallRules::default() });
    let b = shelf.package("debian.org/b", &[("f", "b")], InstallRules::default());
    let image = shelf.image(&[], &[a, b]);
    let plan = install(&shelf, &image).expect("diverted");
    assert_eq!(plan.entries[&path("f")].entry.entry, file("a"));
    assert_eq!(plan.entries[&path("f.orig")].entry.entry, file("b"));
    assert_eq!(plan.entries[&path("f.orig")].moved_from, Some(path("f")));
    assert!(plan.overridden.is_empty());
}

#[test]
fn directories_merge_and_the_knowing_one_wins() {
    let special = Attributes { mode: Some(0o2775), group: Some("mail".into()), ..Attributes::default() };
    for names in [["a", "b"], ["b", "a"]] {
        let mut shelf = Shelf::default();
        let knowing = shelf.package(&format!("debian.org/{}", names[0]), &[], InstallRules::default());
        let mut loaded = (*shelf.0[&knowing]).clone();
        let entry = TreeEntry { path: path("mail"), entry: Entry::Directory, attributes: special.clone() };
        loaded.tree = Tree::new(vec![entry]).expect("tree");
        shelf.0.insert(knowing, Arc::new(loaded));
        let passing = shelf.package(&format!("debian.org/{}", names[1]), &[("mail", "/")], InstallRules::default());
        let image = shelf.image(&[], &[passing, knowing]);
        let plan = install(&shelf, &image).expect("merged");
        assert_eq!(plan.entries[&path("mail")].entry.attributes, special);
    }
}

#[test]
fn a_declaration_has_the_last_word_about_a_directory() {
    let attributes = |mode| Attributes { mode: Some(mode), ..Attributes::default() };
    for names in [["a", "b"], ["b", "a"]] {
        let mut shelf = Shelf::default();
        let payload = shelf.package(&format!("debian.org/{}", names[0]), &[], InstallRules::default());
        let declared = shelf.files(&format!("debian.org/{}/declarations", names[1]), &[], &[]);
        for (digest, mode) in [(payload, 0o700), (declared, 0o710)] {
            let mut loaded = (*shelf.0[&digest]).clone();
            let entry = TreeEntry { path: path("private"), entry: Entry::Directory, attributes: attributes(mode) };
            loaded.tree = Tree::new(vec![entry]).expect("tree");
            shelf.0.insert(digest, Arc::new(loaded));
        }
        let image = shelf.image(&[], &[payload, declared]);
        let plan = install(&shelf, &image).expect("merged");
        assert_eq!(plan.entries[&path("private")].entry.attributes, attributes(0o710));
    }
}

#[test]
fn nothing_but_imports_stands_where_packages_are_shown() {
    let mut shelf = Shelf::default();
    let honest = shelf.package("debian.org/honest", &[("packages", "/"), ("usr", "/")], InstallRules::default());
    let evil = [("packages", "/"), ("packages/debian.org", "/"), ("packages/debian.org/x", "x")];
    let evil = shelf.package("debian.org/evil", &evil, InstallRules::default());
    let image = shelf.image(&[], &[honest, evil]);
    let error = install(&shelf, &image).expect_err("reserved").to_string();
    assert!(error.contains("/packages/debian.org of debian.org/evil@1 can't be there"), "{error}");
    let image = shelf.image(&[("packages", "x")], &[honest]);
    let error = install(&shelf, &image).expect_err("reserved").to_string();
    assert!(error.contains("/packages of example.com/image@1 can't be there"), "{error}");
    let image = shelf.image(&[], &[honest]);
    install(&shelf, &image).expect("an empty folder is no harm");
}

fn links(links: &[(&str, &str)]) -> InstallRules {
    let rule = |(at, target): &(&str, &str)| LinkRule { path: path(at), target: (*target).to_owned() };
    InstallRules { links: links.iter().map(rule).collect(), ..InstallRules::default() }
}

fn link(target: &str) -> Entry {
    Entry::Symlink { target: target.as_bytes().into() }
}

const BIN: [(&str, &str); 2] = [("usr", "/"), ("usr/bin", "/")];

#[test]
fn links_are_made_in_the_root_alone() {
    let mut shelf = Shelf::default();
    let a = shelf.package("example.com/a", &BIN, links(&[("usr/bin/hi", "hello"), ("opt/deep/er", "/usr/bin/hi")]));
    let b = shelf.package("example.com/b", &BIN, links(&[("usr/bin/hi", "hello")]));
    let image = shelf.image(&[], &[a, b]);
    let plan = install(&shelf, &image).expect("one link, wanted twice");
    assert_eq!(plan.entries[&path("usr/bin/hi")].entry.entry, link("hello"));
    assert_eq!(plan.sources[plan.entries[&path("usr/bin/hi")].source].to_string(), "example.com/a@1");
    assert_eq!(plan.entries[&path("opt/deep/er")].entry.entry, link("/usr/bin/hi"));
    assert_eq!(plan.entries[&path("opt/deep")].entry.entry, Entry::Directory);
    assert!(plan.is_made_link(&path("opt/deep/er")) && !plan.is_made_link(&path("usr/bin")));
    assert!(plan.overridden.is_empty());
    let whole = plan.package_entries().expect("paths");
    assert!(!whole.contains_key(&path("packages/example.com/a@1/usr/bin/hi")), "a package's own tree stays as it is");
}

#[test]
fn a_link_has_one_target_or_both_packages_are_named() {
    for names in [["a", "b"], ["b", "a"]] {
        let mut shelf = Shelf::default();
        let [one, two] = names.map(|name| format!("example.com/{name}"));
        let one = shelf.package(&one, &BIN, links(&[("usr/bin/hi", "here")]));
        let two = shelf.package(&two, &BIN, links(&[("usr/bin/hi", "there")]));
        let image = shelf.image(&[], &[one, two]);
        let error = install(&shelf, &image).expect_err("two targets").to_string();
        let (first, second) = if names[0] == "a" { ("here", "there") } else { ("there", "here") };
        let expected = format!(
            "example.com/b@1 wants a link to {second} at /usr/bin/hi, where example.com/a@1 has a link to {first}"
        );
        assert_eq!(error, expected);
    }
}

#[test]
fn a_link_takes_no_others_place() {
    let there = [("usr", "/"), ("usr/bin", "/"), ("usr/bin/hi", "file"), ("usr/lib", "/"), ("usr/lib/x", "x")];
    for (at, words) in [
        ("usr/bin/hi", "wants a link to x at /usr/bin/hi, where debian.org/there@1 has a file"),
        ("usr/lib", "wants a link to x at /usr/lib, where debian.org/there@1 has a directory"),
        ("usr", "where debian.org/there@1 has a directory"),
        (
            "usr/bin/hi/x",
            "/usr/bin/hi/x of example.com/a@1 lies below /usr/bin/hi, which is no directory in debian.org/there@1",
        ),
        ("packages", "/packages of example.com/a@1 can't be there"),
        ("packages/debian.org/there@1/usr/bin/hi", "of example.com/a@1 can't be there: /packages is where"),
    ] {
        let mut shelf = Shelf::default();
        let there = shelf.package("debian.org/there", &there, InstallRules::default());
        let a = shelf.package("example.com/a", &[], links(&[(at, "x")]));
        let image = shelf.image(&[], &[there, a]);
        let error = install(&shelf, &image).expect_err(at).to_string();
        assert!(error.contains(words), "{error}\nnot\n{words}");
    }
    // Nor that of a file of its own, whichever link it is below.
    let mut shelf = Shelf::default();
    let a = shelf.package("example.com/a", &[("f", "1")], links(&[("f", "x")]));
    let image = shelf.image(&[], &[a]);
    let error = install(&shelf, &image).expect_err("its own").to_string();
    assert_eq!(error, "example.com/a@1 wants a link to x at /f, where example.com/a@1 has a file");
    let a = shelf.package("example.com/a", &[], links(&[("f", "/etc"), ("f/passwd", "x")]));
    let image = shelf.image(&[], &[a]);
    let error = install(&shelf, &image).expect_err("through its own").to_string();
    assert_eq!(error, "/f/passwd of example.com/a@1 lies below /f, which is no directory in example.com/a@1");
}

#[test]
fn links_give_way_as_files_do() {
    // To the image's own files, of whatever kind.
    for own in [&[("hi", "mine")][..], &[("hi", "/"), ("hi/x", "mine")]] {
        let mut shelf = Shelf::default();
        let a = shelf.package("example.com/a", &[], links(&[("hi", "hello")]));
        let image = shelf.image(own, &[a]);
        let plan = install(&shelf, &image).expect("own files win");
        assert_eq!(plan.entries[&path("hi")].source, plan.image);
        assert!(!plan.is_made_link(&path("hi")));
        let [over] = plan.overridden.as_slice() else { panic!("{:?}", plan.overridden) };
        assert_eq!((over.by, plan.sources[over.of].to_string()), (plan.image, "example.com/a@1".to_owned()));
    }
    // To a package that says that it replaces them, and they take the place of what their package may replace.
    for (replacing, kept) in [("a", "hello"), ("b", "other")] {
        let mut shelf = Shelf::default();
        let other = if replacing == "a" { "b" } else { "a" };
        let mut package = |name: &str, target: &str| {
            let replaces_files_of = if name == replacing { vec![other.to_owned()] } else { Vec::new() };
            let rules = InstallRules { replaces_files_of, ..links(&[("hi", target)]) };
            shelf.package(&format!("example.com/{name}"), &[], rules)
        };
        let both = [package("a", "hello"), package("b", "other")];
        let image = shelf.image(&[], &both);
        let plan = install(&shelf, &image).expect("replaced");
        assert_eq!(plan.entries[&path("hi")].entry.entry, link(kept));
        assert_eq!(plan.overridden.len(), 1);
    }
    // Aside, where another package diverts their path.
    let mut shelf = Shelf::default();
    let diversions = vec![DiversionRule { path: path("hi"), to: path("hi.orig") }];
    let a = shelf.package("example.com/a", &[("hi", "a")], InstallRules { diversions, ..InstallRules::default() });
    let b = shelf.package("example.com/b", &[], links(&[("hi", "hello")]));
    let image = shelf.image(&[], &[a, b]);
    let plan = install(&shelf, &image).expect("diverted");
    assert_eq!(plan.entries[&path("hi")].entry.entry, file("a"));
    assert_eq!(plan.entries[&path("hi.orig")].entry.entry, link("hello"));
    assert!(plan.is_made_link(&path("hi.orig")));
}
