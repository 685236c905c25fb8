//! Small roots made of small programs.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::{Seek, Write};

use larder_store::{Entry, ObjectDigest, TreePath};
use proptest::prelude::*;

use super::*;

/// What a made-up program or library says of itself.
#[derive(Default, Clone)]
struct Made<'a> {
    machine: u16,
    interpreter: Option<&'a str>,
    needed: &'a [&'a str],
    soname: Option<&'a str>,
    rpath: Option<&'a str>,
    runpath: Option<&'a str>,
}

const LOADER: &str = "/lib64/ld-linux-x86-64.so.2";

/// A 64-bit ELF file that has headers and nothing else.
fn elf(made: &Made<'_>) -> Vec<u8> {
    let machine = if made.machine == 0 { 62 } else { made.machine };
    let mut strings = vec![0_u8];
    let mut dynamic: Vec<(u64, u64)> = Vec::new();
    let tags = made.needed.iter().map(|name| (1, *name)).chain(made.soname.map(|name| (14, name)));
    for (tag, name) in tags.chain(made.rpath.map(|list| (15, list))).chain(made.runpath.map(|list| (29, list))) {
        dynamic.push((tag, strings.len() as u64));
        strings.extend(name.bytes().chain([0]));
    }
    let interpreter = made.interpreter.map(|name| [name.as_bytes(), b"\0"].concat()).unwrap_or_default();
    let (headers, base) = (3_u64, 0x1000_u64);
    let at_interpreter = 64 + 56 * headers;
    let at_strings = at_interpreter + interpreter.len() as u64;
    let at_dynamic = at_strings + strings.len() as u64;
    dynamic.extend([(5, base + at_strings), (10, strings.len() as u64), (0, 0)]);
    let end = at_dynamic + 16 * dynamic.len() as u64;

    let mut out = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0".to_vec();
    out.extend([3_u16, machine].iter().flat_map(|v| v.to_le_bytes()));
    out.extend(1_u32.to_le_bytes());
    out.extend([0_u64, 64, 0].iter().flat_map(|v| v.to_le_bytes()));
    out.extend(0_u32.to_le_bytes());
    out.extend([64_u16, 56, headers as u16, 64, 0, 0].iter().flat_map(|v| v.to_le_bytes()));
    // A missing interpreter is a PT_NULL header.
    let interp = if interpreter.is_empty() { 0 } else { 3 };
    for (kind, offset, size) in [
        (1_u32, 0, end),
        (interp, at_interpreter, interpreter.len() as u64),
        (2, at_dynamic, 16 * dynamic.len() as u64),
    ] {
        out.extend(kind.to_le_bytes());
        out.extend(4_u32.to_le_bytes());
        out.extend([offset, base + offset, base + offset, size, size, 8].iter().flat_map(|v| v.to_le_bytes()));
    }
    out.extend(interpreter);
    out.extend(strings);
    out.extend(dynamic.iter().flat_map(|(tag, value)| [tag.to_le_bytes(), value.to_le_bytes()].concat()));
    out
}

fn program<'a>(needed: &'a [&'a str]) -> Made<'a> {
    Made { interpreter: Some(LOADER), needed, ..Made::default() }
}

#[derive(Default)]
struct Image {
    entries: BTreeMap<TreePath, (Entry, bool, Option<&'static str>)>,
    contents: HashMap<ObjectDigest, Vec<u8>>,
    shipped: Vec<&'static str>,
    made: Vec<&'static str>,
    env: BTreeMap<String, String>,
    run: Option<&'static str>,
    bare: bool,
}

impl Image {
    /// A root with the loader, a shell and Debian's aliases.
    fn new() -> Self {
        let mut image = Self::default();
        for alias in ["bin", "sbin", "lib", "lib64"] {
            image.link(alias, &format!("usr/{alias}"));
        }
        image.put("usr/sbin", Entry::Directory, false);
        image.elf(
            "usr/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2",
            &Made { soname: Some("ld-linux-x86-64.so.2"), ..Made::default() },
        );
        image.link("usr/lib64/ld-linux-x86-64.so.2", "../lib/x86_64-linux-gnu/ld-linux-x86-64.so.2");
        image.library("usr/lib/x86_64-linux-gnu/libc.so.6", &["ld-linux-x86-64.so.2"]);
        image.elf("usr/bin/dash", &program(&["libc.so.6"]));
        image.link("usr/bin/sh", "dash");
        image
    }

    fn put(&mut self, path: &str, entry: Entry, executable: bool) {
        let path = TreePath::try_from(path).expect("path");
        self.entries.insert(path, (entry, executable, Some("pkg")));
    }

    fn file(&mut self, path: &str, content: &[u8], executable: bool) {
        let digest = ObjectDigest::of(content);
        self.contents.insert(digest, content.to_vec());
        self.put(path, Entry::File { digest, size: content.len() as u64, executable }, executable);
    }

    fn elf(&mut self, path: &str, made: &Made<'_>) {
        self.file(path, &elf(made), made.interpreter.is_some());
    }

    fn library(&mut self, path: &str, needed: &[&str]) {
        let soname = path.rsplit('/').next();
        self.elf(path, &Made { needed, soname, ..Made::default() });
    }

    fn script(&mut self, path: &str, line: &str) {
        self.file(path, format!("#!{line}\necho\n").as_bytes(), true);
    }

    fn link(&mut self, path: &str, target: &str) {
        self.put(path, Entry::Symlink { target: target.as_bytes().into() }, false);
    }

    fn made_link(&mut self, path: &'static str, target: &str) {
        self.link(path, target);
        self.made.push(path);
    }

    fn owned_by_image(&mut self, path: &str) {
        self.entries.get_mut(path.as_bytes()).expect("entry").2 = None;
    }

    fn report(&self) -> Report {
        let entries: Vec<_> = self
            .entries
            .iter()
            .map(|(path, (entry, executable, owner))| RootEntry {
                path,
                entry,
                executable: *executable,
                owner: match owner {
                    None => Owner::Image,
                    Some(package) if self.made.iter().any(|made| made.as_bytes() == path.as_bytes()) => {
                        Owner::MadeLink(package)
                    }
                    Some(package) => Owner::Package(package),
                },
            })
            .collect();
        verify(&Input {
            entries: &entries,
            ships: &|path| self.shipped.iter().any(|shipped| shipped.as_bytes() == path),
            env: &self.env,
            run: self.run,
            base: if self.bare { Base::None } else { Base::Essential },
            open: &|digest| {
                let mut file = tempfile::tempfile()?;
                file.write_all(&self.contents[digest])?;
                file.rewind()?;
                Ok(file)
            },
        })
        .expect("readable")
    }

    fn said(&self) -> Vec<String> {
        let report = self.report();
        report.findings.iter().map(|finding| format!("{:?} {finding}", finding.severity)).collect()
    }
}

#[test]
fn a_whole_root_has_no_findings() {
    let mut image = Image::new();
    image.library("usr/lib/x86_64-linux-gnu/liba.so.1", &["libc.so.6", "libb.so.1"]);
    image.library("usr/lib/x86_64-linux-gnu/libb.so.1", &["libc.so.6"]);
    image.elf("usr/bin/tool", &program(&["liba.so.1", "libc.so.6"]));
    image.script("usr/bin/script", "/bin/sh -e");
    image.script("usr/bin/by-name", "/usr/bin/sh");
    image.file("usr/share/readme", b"#!/nowhere\n", false);
    let report = image.report();
    assert_eq!(report.findings, []);
    assert_eq!((report.objects, report.scripts, report.dangling), (6, 2, 0));
}

#[test]
fn a_missing_interpreter_fails_on_path_and_is_a_finding_elsewhere() {
    let mut image = Image::new();
    image.script("usr/bin/a", "/usr/bin/ruby");
    image.script("usr/share/doc/a/example", "/usr/bin/ruby -w");
    image.elf("usr/local/sbin/b", &Made { interpreter: Some("/lib/ld-musl-x86_64.so.1"), ..Made::default() });
    image.elf("usr/bin/c", &Made { machine: 183, interpreter: Some(LOADER), ..Made::default() });
    image.script("usr/bin/d", "/usr/bin/env -S python3 -u");
    image.script("usr/bin/env", "/bin/sh");
    assert_eq!(
        image.said(),
        [
            "Failure /usr/bin/a (pkg): its interpreter /usr/bin/ruby isn't in the image",
            "Failure /usr/bin/c (pkg): its interpreter /lib64/ld-linux-x86-64.so.2 can't run it",
            "Failure /usr/local/sbin/b (pkg): its interpreter /lib/ld-musl-x86_64.so.1 isn't in the image",
            "Finding /usr/bin/d (pkg): it asks env for python3, which isn't on PATH",
            "Finding /usr/share/doc/a/example (pkg): its interpreter /usr/bin/ruby isn't in the image",
        ]
    );
    assert!(image.report().failed());
}

#[test]
fn what_path_leads_to_is_on_path() {
    let mut image = Image::new();
    image.script("usr/lib/tool/run", "/usr/bin/ruby");
    image.link("etc/alternatives/tool", "/usr/lib/tool/run");
    image.link("usr/bin/tool", "/etc/alternatives/tool");
    assert_eq!(image.said(), ["Failure /usr/lib/tool/run (pkg): its interpreter /usr/bin/ruby isn't in the image"]);
    image.env.insert("PATH".to_owned(), "/opt/bin".to_owned());
    assert_eq!(image.said(), ["Finding /usr/lib/tool/run (pkg): its interpreter /usr/bin/ruby isn't in the image"]);
    image.run = Some("/usr/bin/tool");
    assert_eq!(image.said(), ["Failure /usr/lib/tool/run (pkg): its interpreter /usr/bin/ruby isn't in the image"]);
}

#[test]
fn without_a_base_what_debian_assumes_is_no_failure() {
    let mut image = Image { bare: true, ..Image::new() };
    image.entries.remove("usr/bin/sh".as_bytes());
    image.script("usr/bin/a", "/bin/sh");
    image.script("usr/bin/b", "/usr/bin/ruby");
    assert_eq!(
        image.said(),
        [
            "Failure /usr/bin/b (pkg): its interpreter /usr/bin/ruby isn't in the image",
            "Finding /usr/bin/a (pkg): its interpreter /bin/sh is left out by base = \"none\"",
        ]
    );
    image.entries.remove("usr/bin/b".as_bytes());
    image.run = Some("a");
    assert_eq!(image.said(), ["Failure /usr/bin/a (pkg): its interpreter /bin/sh is left out by base = \"none\""]);
    image.run = None;
    image.owned_by_image("usr/bin/a");
    assert_eq!(
        image.said(),
        ["Failure /usr/bin/a (the image): its interpreter /bin/sh is left out by base = \"none\""]
    );
}

#[test]
fn a_missing_library_names_who_needs_it() {
    let mut image = Image::new();
    image.library("usr/lib/x86_64-linux-gnu/liba.so.1", &["libgone.so.2", "libc.so.6"]);
    image.library("usr/lib/plugins/plugin.so", &["libabsent.so.3", "liba.so.1"]);
    image.elf("usr/bin/tool", &program(&["liba.so.1"]));
    assert_eq!(
        image.said(),
        [
            "Failure /usr/lib/x86_64-linux-gnu/liba.so.1 (pkg): it needs libgone.so.2, which isn't in the image; /usr/bin/tool needs it",
            "Finding /usr/lib/plugins/plugin.so (pkg): it needs libabsent.so.3, which isn't in the image",
        ]
    );
    // Without the program, the library is a finding of its own.
    image.entries.remove("usr/bin/tool".as_bytes());
    assert!(!image.report().failed());
    assert_eq!(image.report().findings.len(), 2);
}

#[test]
fn libraries_are_found_as_the_loader_finds_them() {
    let private = "usr/lib/tool/libprivate.so";
    let found = |made: &Made<'_>, prepare: &dyn Fn(&mut Image)| {
        let mut image = Image::new();
        image.library(private, &["libc.so.6"]);
        image.elf("usr/bin/tool", made);
        prepare(&mut image);
        image.said()
    };
    let needs = program(&["libprivate.so"]);
    let out_of_sight = [
        "Failure /usr/bin/tool (pkg): it needs libprivate.so, which is at /usr/lib/tool/libprivate.so, where it isn't looked for",
    ];
    assert_eq!(found(&needs, &|_| {}), out_of_sight);
    let none: [&str; 0] = [];
    for list in ["/usr/lib/tool", "$ORIGIN/../lib/tool", "/nowhere:${ORIGIN}/../lib/tool"] {
        assert_eq!(found(&Made { runpath: Some(list), ..needs.clone() }, &|_| {}), none, "{list}");
        assert_eq!(found(&Made { rpath: Some(list), ..needs.clone() }, &|_| {}), none, "{list}");
    }
    let with_slash = program(&["/usr/lib/tool/libprivate.so"]);
    assert_eq!(found(&with_slash, &|_| {}), none);
    assert_eq!(
        found(&needs, &|image| {
            image.file("etc/ld.so.conf", b"# comment\ninclude ld.so.conf.d/*.conf\n", false);
            image.file("etc/ld.so.conf.d/tool.conf", b"/usr/lib/tool # private\n", false);
        }),
        none
    );
    assert_eq!(
        found(&needs, &|image| {
            image.env.insert("LD_LIBRARY_PATH".to_owned(), "/x:/usr/lib/tool".to_owned());
        }),
        none
    );
    // A library of another machine is passed over.
    assert_eq!(
        found(&Made { runpath: Some("/usr/lib/tool"), ..needs.clone() }, &|image| {
            image.elf(private, &Made { machine: 183, ..Made::default() });
        }),
        ["Failure /usr/bin/tool (pkg): it needs libprivate.so, which isn't in the image"]
    );
}

#[test]
fn rpath_is_inherited_and_runpath_is_not() {
    let findings = |made: Made<'_>| {
        let mut image = Image::new();
        image.library("usr/lib/tool/libone.so", &["libtwo.so"]);
        image.library("usr/lib/tool/libtwo.so", &["libc.so.6"]);
        image.elf("usr/bin/tool", &made);
        image.said()
    };
    let needs = program(&["libone.so"]);
    let none: [&str; 0] = [];
    assert_eq!(findings(Made { rpath: Some("/usr/lib/tool"), ..needs.clone() }), none);
    assert_eq!(findings(Made { runpath: Some("/usr/lib/tool"), ..needs }).len(), 1);
    // What is loaded already serves everybody.
    let both = Made { runpath: Some("/usr/lib/tool"), ..program(&["libone.so", "libtwo.so"]) };
    assert_eq!(findings(both), none);
}

#[test]
fn a_plugin_may_need_what_its_host_has_loaded() {
    let mut image = Image::new();
    image.elf("usr/lib/jvm/bin/java", &Made { runpath: Some("$ORIGIN/../lib"), ..program(&["libjli.so"]) });
    image.library("usr/lib/jvm/lib/libjli.so", &["libc.so.6"]);
    image.library("usr/lib/jvm/lib/server/libjvm.so", &["libc.so.6"]);
    image.library("usr/lib/jvm/lib/libjava.so", &["libjvm.so"]);
    assert_eq!(image.said(), [""; 0]);
}

#[test]
fn only_links_that_the_composition_broke_are_findings() {
    let mut image = Image::new();
    image.link("usr/lib/liba.so", "liba.so.1.2");
    image.link("usr/share/doc/a/changelog", "../b/changelog");
    image.link("etc/resolv", "/run/resolv.conf");
    assert_eq!((image.said(), image.report().dangling), (vec![], 2));
    image.shipped = vec!["usr/lib/liba.so.1.2"];
    image.link("srv/own", "nowhere");
    image.owned_by_image("srv/own");
    image.link("srv/loop", "loop");
    image.link("usr/bin/broken", "../lib/liba.so.1.2");
    assert_eq!(
        image.said(),
        [
            "Failure /usr/bin/broken (pkg): it points to /usr/lib/liba.so.1.2, which isn't in the image",
            "Finding /srv/loop (pkg): it leads in a circle",
            "Finding /srv/own (the image): it points to /srv/nowhere, which isn't in the image",
            "Finding /usr/lib/liba.so (pkg): it points to /usr/lib/liba.so.1.2, which isn't in the image",
        ]
    );
    assert_eq!(image.report().dangling, 1);
}

/// A package's own dangling link is its publisher's business; one that it wants made has no other reason to be there.
#[test]
fn a_link_that_a_package_wants_made_leads_somewhere() {
    let mut image = Image::new();
    image.made_link("usr/bin/hi", "dash");
    image.made_link("opt/state", "/run/state");
    assert_eq!((image.said(), image.report().dangling), (vec![], 0));
    image.made_link("opt/gone", "nowhere");
    image.made_link("usr/bin/ho", "hello");
    assert_eq!(
        image.said(),
        [
            "Failure /usr/bin/ho (pkg): it points to /usr/bin/hello, which isn't in the image",
            "Finding /opt/gone (pkg): it points to /opt/nowhere, which isn't in the image",
        ]
    );
}

#[test]
fn links_are_followed_as_the_kernel_follows_them() {
    let mut image = Image::new();
    image.file("a/b/file", b"x", false);
    image.link("up", "a/b/..");
    image.link("absolute", "/up/b");
    image.link("climber", "../../../a/b/file");
    image.link("through-file", "a/b/file/x");
    let entries: Vec<_> = image.entries.iter().map(|(path, (entry, ..))| (path.clone(), entry.clone())).collect();
    let entries: Vec<_> =
        entries.iter().map(|(path, entry)| RootEntry { path, entry, executable: false, owner: Owner::Image }).collect();
    let input = Input {
        entries: &entries,
        ships: &|_| false,
        env: &BTreeMap::new(),
        run: None,
        base: Base::None,
        open: &|_| File::open("/dev/null"),
    };
    let root = Root::new(&input);
    let file = root.entry(b"a/b/file").expect("file");
    for path in ["a/b/file", "/a//b/./file", "up/b/file", "absolute/file", "climber", "absolute/../b/file"] {
        assert_eq!(root.file(path.as_bytes()), Some(file), "{path}");
    }
    assert_eq!(root.place(b"up"), root::Place::Directory(b"a".to_vec()));
    assert_eq!(root.place(b"up/c/d"), root::Place::Missing(b"a/c/d".to_vec()));
    assert_eq!(root.place(b"through-file"), root::Place::Missing(b"a/b/file".to_vec()));
}

#[test]
fn malformed_programs_are_findings_and_no_more() {
    let mut image = Image::new();
    let mut cut = elf(&program(&["libc.so.6"]));
    cut.truncate(100);
    image.file("usr/bin/cut", &cut, true);
    assert_eq!(image.said(), ["Finding /usr/bin/cut (pkg): it is malformed: its program headers are cut short"]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn no_bytes_panic(changes in proptest::collection::vec((0_usize..400, any::<u8>()), 0..24), length in 0_usize..400) {
        let made = Made { rpath: Some("/a:$ORIGIN"), soname: Some("x"), ..program(&["liba.so", "libb.so"]) };
        let mut bytes = elf(&made);
        for (at, byte) in changes {
            if let Some(slot) = bytes.get_mut(at) {
                *slot = byte;
            }
        }
        bytes.truncate(length.max(4));
        let mut file = tempfile::tempfile().expect("file");
        file.write_all(&bytes).expect("write");
        let _ = elf::read(&file).expect("readable");
    }

    #[test]
    fn no_first_line_panics(head in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = script::parse(&head);
        let _ = script::parse(&[b"#!", head.as_slice()].concat());
    }
}
