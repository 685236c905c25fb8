//! What scripts are understood to do, on small scripts made here.

#[path = "convert/support.rs"]
mod support;

use larder_debian::declare::{self, Declared, Table};
use larder_store::fileset::{InstallRules, ScriptTier};
use larder_store::{Entry, FileSet, Metadata};
use proptest::prelude::*;
use support::*;

fn declared_with(scripts: &[(&str, &str)], items: &[Item]) -> Declared {
    let converted = read(&deb_of(CONTROL, scripts, tar(items))).expect("converts");
    declare::declare(&converted).expect("declares")
}

fn payload() -> Vec<Item> {
    vec![
        dir("./etc/sample/"),
        file("./etc/sample/sample.conf", "x"),
        file("./usr/share/sample/default.conf", "default"),
        Item { mode: 0o755, ..file("./usr/bin/sample", "x") },
        dir("./var/lib/sample/"),
    ]
}

fn postinst(script: &str) -> Declared {
    declared_with(&[("postinst", &format!("#!/bin/sh\nset -e\n{script}\n"))], &payload())
}

fn rules(declared: &Declared) -> &InstallRules {
    match &declared.record.metadata {
        Metadata::Files(files) => &files.install,
        _ => panic!("not a FileSet of kind files"),
    }
}

fn reasons(declared: &Declared) -> Vec<String> {
    match declared.tier() {
        ScriptTier::Skipped(reasons) => reasons.clone(),
        tier => panic!("{tier:?}"),
    }
}

#[test]
fn what_does_nothing_in_a_container_is_none() {
    for script in [
        "exit 0",
        "case \"$1\" in\nconfigure|abort-upgrade) ;;\n*) echo unknown >&2; exit 1;;\nesac",
        "# Automatically added by dh_installsystemd/13.11.4\nif [ \"$1\" = \"configure\" ]; then\n\tdeb-systemd-helper unmask 'x.service' >/dev/null || true\nfi\n# End automatically added section",
        "if [ \"$1\" = configure ] && [ -n \"$2\" ]; then rm -rf /etc/sample; chown -R nobody /; fi",
        "if dpkg --compare-versions \"$2\" lt-nl 1.0; then mv /a /b; fi",
        "dpkg-maintscript-helper rm_conffile /etc/old 1.0~ -- \"$@\"",
        "if ! [ -x /usr/bin/sample ]; then dangerous; fi",
        "update-alternatives --remove old /usr/bin/old",
        "if [ -d /run/systemd/system ]; then systemctl daemon-reload >/dev/null || true; fi",
        "for d in a b; do [ -d /etc/sample ] || mkdir /$d; done",
        "cat <<EOF\nrm -rf /etc/sample\nEOF",
        "/etc/init.d/sample restart",
        "if [ -x /etc/init.d/sample ]; then /etc/init.d/sample restart || exit $?; fi",
    ] {
        let declared = postinst(script);
        assert_eq!(declared.tier(), &ScriptTier::None, "{script}");
        assert!(declared.tree.entries().is_empty(), "{script}");
    }
    assert_eq!(declared_with(&[], &payload()).tier(), &ScriptTier::None);
}

#[test]
fn users_and_groups() {
    let declared = postinst(
        "if [ \"$1\" = configure ]; then\n\
         if ! getent passwd sample >/dev/null; then\n\
         adduser --system --group --home /var/lib/sample --shell /bin/sh --gecos 'Sample daemon' --quiet sample\nfi\n\
         addgroup --system more\nadduser sample more\nadduser sample adm\nfi",
    );
    assert_eq!(declared.tier(), &ScriptTier::Declared);
    let user = &rules(&declared).users[0];
    assert_eq!((user.name.as_str(), user.group.as_str()), ("sample", "sample"));
    assert_eq!((user.home.as_str(), user.shell.as_str()), ("/var/lib/sample", "/bin/sh"));
    assert_eq!((user.comment.as_str(), user.uid), ("Sample daemon", None));
    assert_eq!(user.supplementary, ["adm", "more"]);
    let groups: Vec<&str> = rules(&declared).groups.iter().map(|g| g.name.as_str()).collect();
    assert_eq!(groups, ["more", "sample"]);
}

#[test]
fn accounts_that_change_and_shells() {
    let declared = postinst(
        "adduser --system --group sample\naddgroup --system more\nusermod -c 'The sample' -d /run/sample sample\n\
         usermod -a -G more sample\ngpasswd -a sample adm\nadd-shell /usr/bin/sample",
    );
    assert_eq!(declared.tier(), &ScriptTier::Declared);
    let user = &rules(&declared).users[0];
    assert_eq!((user.comment.as_str(), user.home.as_str()), ("The sample", "/run/sample"));
    assert_eq!(user.supplementary, ["adm", "more"]);
    assert_eq!(rules(&declared).shells, ["/usr/bin/sample"]);
    assert_eq!(reasons(&postinst("usermod -L sample")), ["postinst:3: usermod -L sample"]);
    assert_eq!(reasons(&postinst("gpasswd -a other adm")), ["postinst:3: gpasswd -a other adm"]);
}

#[test]
fn modes_by_letters_and_whole_trees() {
    let declared = postinst(
        "chmod u=rw,g=r,o= /etc/sample/sample.conf\nchmod g+s,o-rx /etc/sample\nchmod a+X /usr/bin/sample\n\
         mkdir -p /var/lib/sample/deep\nchown -R www-data:adm /var/lib/sample\nchmod -R go-w /var/lib/sample",
    );
    assert_eq!(declared.tier(), &ScriptTier::Declared);
    let get = |path: &str| declared.tree.get(path.as_bytes()).unwrap_or_else(|| panic!("{path}"));
    assert_eq!(get("etc/sample/sample.conf").mode(), 0o640);
    assert_eq!(get("etc/sample").mode(), 0o2750);
    for path in ["var/lib/sample", "var/lib/sample/deep"] {
        assert_eq!((get(path).mode(), get(path).attributes.owner.as_deref()), (0o755, Some("www-data")), "{path}");
    }
    // Without a class it is the umask that counts, and permissions of another class aren't known here.
    for mode in ["+x", "g=u", "u+q", "x"] {
        let script = format!("chmod {mode} /etc/sample/sample.conf");
        assert_eq!(reasons(&postinst(&script)), [format!("postinst:3: {script}")]);
    }
}

#[test]
fn what_a_package_brings_for_the_web_server() {
    let script = "#!/bin/sh\nif [ -e /usr/share/apache2/apache2-maintscript-helper ]; then\n\
        . /usr/share/apache2/apache2-maintscript-helper\napache2_invoke enmod sample\napache2_invoke enconf sample || exit $?\nfi\n";
    let items = ["mods-available/sample.load", "mods-available/sample.conf", "conf-available/sample.conf"]
        .map(|name| file(&format!("./etc/apache2/{name}"), "x"));
    let declared = declared_with(&[("postinst", script)], &items);
    assert_eq!(declared.tier(), &ScriptTier::Declared);
    let links: Vec<String> = declared
        .tree
        .entries()
        .iter()
        .filter_map(|e| match &e.entry {
            Entry::Symlink { target } => Some(format!("{} -> {}", e.path, String::from_utf8_lossy(target))),
            _ => None,
        })
        .collect();
    let expected = [
        "etc/apache2/conf-enabled/sample.conf -> ../conf-available/sample.conf",
        "etc/apache2/mods-enabled/sample.conf -> ../mods-available/sample.conf",
        "etc/apache2/mods-enabled/sample.load -> ../mods-available/sample.load",
    ];
    assert_eq!(links, expected);
    let other = script.replace("enmod sample", "enmod other");
    assert_eq!(reasons(&declared_with(&[("postinst", &other)], &items)), ["postinst:4: apache2_invoke enmod other"]);
}

#[test]
fn directories_owners_copies_and_links() {
    let declared = postinst(
        "DIR=/var/lib/sample\nsetup() { mkdir -p \"$1\"; chown root:\"$2\" $1; chmod 2750 $1; }\n\
         setup $DIR/spool adm\nchown www-data: $DIR\ninstall -d -m 1777 -o root -g mail /var/run/sample\n\
         if [ ! -e /etc/sample/active.conf ]; then cp -p /usr/share/sample/default.conf /etc/sample/active.conf; fi\n\
         ln -sf /etc/sample/active.conf /etc/sample/link.conf\n: > /etc/sample/empty\n\
         dpkg-statoverride --update --add www-data adm 0640 /etc/sample/sample.conf",
    );
    assert_eq!(declared.tier(), &ScriptTier::Declared);
    let get = |path: &str| declared.tree.get(path.as_bytes()).unwrap_or_else(|| panic!("{path}"));
    assert_eq!(
        (get("var/lib/sample/spool").mode(), get("var/lib/sample/spool").attributes.group.as_deref()),
        (0o2750, Some("adm"))
    );
    assert_eq!(get("var/lib/sample").attributes.owner.as_deref(), Some("www-data"));
    assert_eq!((get("run/sample").mode(), get("run/sample").attributes.group.as_deref()), (0o1777, Some("mail")));
    assert!(matches!(get("etc/sample/active.conf").entry, Entry::File { size: 7, .. }));
    assert!(
        matches!(&get("etc/sample/link.conf").entry, Entry::Symlink { target } if &**target == b"/etc/sample/active.conf")
    );
    assert!(matches!(get("etc/sample/empty").entry, Entry::File { size: 0, .. }));
    assert_eq!(get("etc/sample/sample.conf").mode(), 0o640);
    assert_eq!(declared.contents().collect::<Vec<_>>(), [b"".as_slice()]);
}

#[test]
fn alternatives_and_diversions() {
    let declared = declared_with(
        &[
            (
                "preinst",
                "#!/bin/sh\ndpkg-divert --package sample --rename --divert /usr/bin/other.orig --add /bin/other\n",
            ),
            (
                "postinst",
                "#!/bin/sh\nfor i in one two; do\n update-alternatives --install /usr/bin/$i $i /usr/lib/sample/$i 50 \\\n  --slave /usr/share/man/man1/$i.1.gz $i.1.gz /usr/share/man/man1/sample-$i.1.gz\ndone\n",
            ),
        ],
        &payload(),
    );
    let rules = rules(&declared);
    assert_eq!(rules.diversions[0].path.to_string(), "usr/bin/other");
    let names: Vec<(&str, String, i64)> =
        rules.alternatives.iter().map(|a| (a.name.as_str(), a.path.to_string(), a.priority)).collect();
    assert_eq!(names, [("one", "usr/lib/sample/one".into(), 50), ("two", "usr/lib/sample/two".into(), 50)]);
    assert_eq!(rules.alternatives[0].followers[0].name, "one.1.gz");
}

#[test]
fn payload_that_declares() {
    let items = [
        file(
            "./usr/lib/sysusers.d/sample.conf",
            "u sample - \"Sample daemon\" /var/lib/sample\ng extra 123\nm sample extra\nu root 0 - /root\n",
        ),
        file(
            "./usr/lib/tmpfiles.d/sample.conf",
            "# comment\nd /run/sample 0750 sample adm -\nL /etc/sample - - - - /usr/share/sample\nr! /run/old\nd /run/%i\n",
        ),
    ];
    let declared = declared_with(&[], &items);
    assert_eq!(declared.tier(), &ScriptTier::Declared);
    assert_eq!(rules(&declared).users.len(), 1);
    assert_eq!(rules(&declared).users[0].supplementary, ["extra"]);
    assert_eq!(rules(&declared).groups[0].gid, Some(123));
    let paths: Vec<String> = declared.tree.entries().iter().map(|e| e.path.to_string()).collect();
    assert_eq!(paths, ["etc", "etc/sample", "run", "run/sample"]);
}

#[test]
fn what_is_not_understood_is_named_by_line() {
    for (script, wanted) in [
        ("frobnicate --now", "postinst:3: frobnicate --now"),
        ("\n\nopenssl genrsa > /etc/sample/key", "postinst:5: writes /etc/sample/key"),
        ("if [ -x /usr/bin/other ]; then chown nobody /var/lib/sample; fi", "postinst:3: chown nobody /var/lib/sample"),
        ("X=$(date); mkdir /srv/$X", "postinst:3: mkdir …"),
        ("eval \"$(cat /proc/cmdline)\"", "postinst:3: eval …"),
        ("rm -rf /usr/bin/sample", "postinst:3: rm -rf /usr/bin/sample"),
        ("$TOOL --run; $(which tool) --run", "postinst:3: runs a command whose name isn't known here"),
        ("set -- a b\nmkdir /$1/$(date)", "postinst:4: mkdir …"),
        ("read line\nset -- $line\nmkdir \"$1\"", "postinst:5: mkdir …"),
        ("IFS=:; X=a:b; mkdir /$X", "postinst:3: mkdir …"),
        ("(x=a; exit 0); frobnicate $x", "postinst:3: frobnicate"),
        ("if true; then", "postinst:3: the syntax is not understood"),
        (". /etc/default/sample", "postinst:3: . /etc/default/sample"),
    ] {
        let found = reasons(&postinst(script));
        assert!(found.iter().any(|reason| reason == wanted), "{wanted:?} expected, but: {found:?}");
    }
    let perl = declared_with(&[("postinst", "#!/usr/bin/perl\nprint 1;\n")], &payload());
    assert_eq!(reasons(&perl), ["postinst is not a shell script"]);
}

#[test]
fn a_script_without_end_ends() {
    for script in [
        "f() { f; f; }\nf",
        "while true; do :; done",
        "for a in 1 2 3 4 5 6 7 8 9; do for b in 1 2 3 4 5 6 7 8 9; do for c in 1 2 3 4 5 6 7 8 9; do for d in 1 2 3 4 5 6 7 8 9; do for e in 1 2 3 4 5 6 7 8 9; do :; done; done; done; done; done",
    ] {
        let _ = postinst(script);
    }
    let deep = "(".repeat(5000) + &")".repeat(5000);
    let _ = postinst(&deep);
    let _ = postinst(&"$(".repeat(5000));
    let _ = postinst(&"if true; then ".repeat(5000));
    let _ = postinst(&("! ".repeat(20_000) + "true"));
    let _ = postinst(&format!("x=a\n{}", "x=$x$x\n".repeat(200)));
}

/// Found by an attack: forty lines asked for terabytes.
#[test]
fn values_that_grow_are_let_go() {
    for script in [
        format!("set -- a\n{}adduser --system \"$1\"", "set -- \"$@\" \"$@\"\n".repeat(60)),
        format!("set -- a\n{}adduser --system \"$1\"", "set -- $@ $@\n".repeat(60)),
        format!("a=x\n{}adduser --system \"$a\"", "a=$a$a\n".repeat(60)),
        format!("a={}\nadduser --system {}", "x".repeat(4000), "$a".repeat(50_000)),
        format!("a={}\nadduser --system {}", "x".repeat(4000), "\"$a\"".repeat(50_000)),
    ] {
        assert!(!reasons(&postinst(&script)).is_empty());
    }
    postinst("echo ${00}");
    // What was let go is not taken for nothing.
    let forgotten = "[ -e /etc/unknown ] || shift $(date)\nset -- \"$@\"\nadduser --system \"u$1\"";
    assert!(!reasons(&postinst(forgotten)).is_empty());
}

#[test]
fn a_table_is_read_strictly() {
    let wrong = |text: &str| Table::parse(text).map(|_| ()).expect_err(text).to_string();
    assert!(wrong("version = 1\n[[package]]\nname = [\"a\"]\nscirpt = \"x\"\n").contains("line 4"));
    assert!(wrong("package = []\n").contains("version"));
}

#[test]
fn the_table_covers_ranges_of_versions_and_replaces_what_was_not_understood() {
    let table = "version = 1\n\
        [[package]]\nname = [\"sample\"]\nbefore = \"1:1.0\"\nscript = \"old\"\n\
        [[package]]\nname = [\"sample\"]\nsince = \"1:1.0\"\nscript = \"nothing\"\n\
        seeds = [{ path = \"/etc/a\", text = \"a\" }, { path = \"/etc/b\", from = \"/no/such/file\" }]\n";
    let scripts = [("postinst", "#!/bin/sh\nfrobnicate\nmkdir -p /srv/sample\n")];
    let converted = read(&deb_of(CONTROL, &scripts, tar(&payload()))).expect("converts");
    let declared = declare::declare_by(&converted, &Table::parse(table).expect("table")).expect("declares");
    assert_eq!(declared.tier(), &ScriptTier::Declared);
    let paths: Vec<String> = declared.tree.entries().iter().map(|e| e.path.to_string()).collect();
    assert_eq!(paths, ["etc", "etc/a", "srv", "srv/sample"]);
    assert!(declared.record.version.ends_with("+table1"));
}

/// Found by the fuzz target `script`: a name that no record can hold made converting the package fail.
#[test]
fn what_no_record_can_hold_is_skipped_and_said() {
    for script in [
        "chown samplé /var/lib/sample",
        "adduser --system 'a:b'",
        "addgroup --system 'a b'",
        "adduser --system --gecos 'x:y' daemon2",
        "update-alternatives --install /usr/bin/x a/b /usr/bin/sample 5",
    ] {
        let declared = postinst(script);
        assert!(matches!(declared.tier(), ScriptTier::Skipped(_)), "{script}");
        assert_eq!(FileSet::decode(&declared.record.encode()).as_ref(), Ok(&declared.record), "{script}");
    }
    let declared = postinst("addgroup --system --gid 4294967295 sample");
    assert!(rules(&declared).groups.is_empty() && !reasons(&declared).is_empty());
    let line = |text: &str| declared_with(&[], &[file("./usr/lib/sysusers.d/a.conf", text)]);
    assert_eq!(rules(&line("g sample 4294967295\n")).groups[0].gid, None);
    assert_eq!(rules(&line("u sample 4294967295\n")).users[0].uid, None);
    assert!(!reasons(&line("u samplé -\nu a,b -\n")).is_empty());
}

/// Found while the fuzz target `script` was written: a function's body that is a function was followed without a bound, to
/// the end of the stack.
#[test]
fn functions_within_functions_have_a_bound() {
    for script in ["f()".repeat(200_000), "f() { ".repeat(200_000), "! ".repeat(200_000)] {
        assert!(!reasons(&postinst(&script)).is_empty());
    }
    assert_eq!(postinst("f() g() { exit 0; }").tier(), &ScriptTier::None);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn arbitrary_scripts_never_panic(words in proptest::collection::vec(
        proptest::sample::select(vec![
            "if", "then", "fi", "else", "case", "esac", "in", "for", "do", "done", "while", "{", "}", "(", ")", ";", ";;", "\n", "&&", "||",
            "|", "!", "[", "]", "-e", "-o", "-a", "=", "$1", "\"$2\"", "$(", "`", "${x:-", "}", "'", "\"", "\\", "x=$x", "<<EOF", ">", "2>&1",
            "mkdir", "-m", "chown", "a:b", "ln", "-s", "cp", "rm", "/etc/a", "/", "adduser", "--system", "update-alternatives", "--install",
            "dpkg-divert", "exit", "0", "return", "local", "f()", "f", "é", "*", "[a-", "shift", "read", "break", "$((", "))",
        ]), 0..60)) {
        let _ = postinst(&words.join(" "));
    }

    #[test]
    fn arbitrary_text_never_panics(text in ".{0,300}") {
        let _ = postinst(&text);
    }
}
