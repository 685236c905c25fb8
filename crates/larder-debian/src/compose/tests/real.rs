//! The composers on packages of the archive, beside the tools that they stand in for.

use super::*;

/// The machine's own tool, or `None` and a loud word.
fn tool(test: &str, name: &str) -> Option<PathBuf> {
    let found = ["/usr/sbin", "/usr/bin", "/sbin"].iter().map(|d| Path::new(d).join(name)).find(|p| p.exists());
    if found.is_none() {
        skip(test, format!("{name} isn't installed"));
    }
    found
}

fn ldconfig_list(tool: &Path, cache: &Path) -> String {
    let listed = Command::new(tool).arg("-p").arg("-C").arg(cache).output().expect("ldconfig -p");
    assert!(listed.status.success(), "{}", String::from_utf8_lossy(&listed.stderr));
    let listed = String::from_utf8(listed.stdout).expect("UTF-8");
    listed.lines().filter(|line| line.contains("=>")).map(|line| format!("{line}\n")).collect()
}

/// The cache with the writer's name and what depends on its length made equal.
fn without_generator(cache: &[u8]) -> Vec<u8> {
    let word = |at: usize| u32::from_le_bytes(cache[at..at + 4].try_into().expect("word")) as usize;
    let extensions = word(32);
    assert_eq!(word(extensions + 8), 0, "the first section is the generator");
    let mut rest = cache.to_vec();
    let (at, size) = (word(extensions + 16), word(extensions + 20));
    assert_eq!(at + size, cache.len());
    rest.truncate(at);
    rest[extensions + 20..extensions + 24].fill(0);
    rest
}

#[test]
fn the_linkers_cache_is_what_ldconfig_writes() {
    let test = "the_linkers_cache_is_what_ldconfig_writes";
    let packages = [
        "libc6",
        "libc-bin",
        "libgcc-s1",
        "libstdc++6",
        "libssl3",
        "zlib1g",
        "libpcre2-8-0",
        "libblas3",
        "libicu72",
        "libncursesw6",
        "libtinfo6",
        "libpython3.11",
        "liblzma5",
        "libzstd1",
        "zlib1g-dev",
    ];
    let Some(ldconfig) = tool(test, "ldconfig") else { return };
    let Some(folder) = unpacked(test, &packages) else { return };
    let root = folder.path().join("root");
    // One without its link, one with two versions, one only for newer machines, one in a directory of the image's own.
    let library = root.join("usr/lib/x86_64-linux-gnu");
    fs::remove_file(library.join("libzstd.so.1")).expect("remove");
    let zlib = fs::canonicalize(library.join("libz.so.1")).expect("zlib");
    fs::copy(&zlib, library.join("libz.so.1.2.9")).expect("copy");
    fs::create_dir_all(library.join("glibc-hwcaps/x86-64-v3")).expect("directory");
    fs::create_dir_all(library.join("glibc-hwcaps/x86-64-v2")).expect("directory");
    fs::copy(&zlib, library.join("glibc-hwcaps/x86-64-v3/libz.so.1.2.13")).expect("copy");
    fs::copy(&zlib, library.join("glibc-hwcaps/x86-64-v2/libz.so.1")).expect("copy");
    fs::create_dir_all(root.join("opt/own")).expect("directory");
    fs::copy(&zlib, root.join("opt/own/libown.so")).expect("copy");
    fs::write(root.join("opt/own/libtext.so"), "INPUT(libown.so)").expect("text");
    fs::write(root.join("etc/ld.so.conf.d/own.conf"), "# ours\n/opt/own/\n/usr/lib/x86_64-linux-gnu/blas\n")
        .expect("conf");

    let world = World::new();
    let import = world.package("all", world.draw_folder(&root));
    let made = world.compose_all(&[], vec![import]).expect("composed");

    let status = Command::new(&ldconfig).arg("-r").arg(&root).status().expect("ldconfig");
    assert!(status.success());
    let real = root.join("etc/ld.so.cache");
    let ours = folder.path().join("ours");
    fs::write(&ours, made.bytes("etc/ld.so.cache")).expect("write");
    assert_eq!(ldconfig_list(&ldconfig, &ours), ldconfig_list(&ldconfig, &real));
    let ours = made.bytes("etc/ld.so.cache");
    let real = fs::read(real).expect("cache");
    assert!(without_generator(&ours) == without_generator(&real), "the bytes before the writer's name differ");
    assert_eq!(
        made.target("usr/lib/x86_64-linux-gnu/libzstd.so.1"),
        fs::read_link(library.join("libzstd.so.1")).expect("link").to_string_lossy()
    );
    let linked: Vec<_> =
        made.composed.files.iter().filter(|f| f.composer == "ld.so.cache").map(|f| f.path.to_string()).collect();
    for path in linked {
        assert!(root.join(&path).symlink_metadata().is_ok(), "ldconfig made no {path}");
    }
}

fn names_and_links(folder: &Path) -> BTreeMap<String, Option<String>> {
    let items = fs::read_dir(folder).expect("folder").map(|item| item.expect("item").path());
    items
        .map(|path| {
            let target = fs::read_link(&path).ok().map(|target| target.to_string_lossy().into_owned());
            (path.file_name().expect("name").to_string_lossy().into_owned(), target)
        })
        .filter(|(name, _)| name != "java")
        .collect()
}

#[test]
fn certificates_are_what_update_ca_certificates_leaves() {
    let test = "certificates_are_what_update_ca_certificates_leaves";
    let Some(update) = tool(test, "update-ca-certificates") else { return };
    if tool(test, "openssl").is_none() {
        return;
    }
    let Some(folder) = unpacked(test, &["ca-certificates"]) else { return };
    let root = folder.path().join("root");
    // Local ones: one without its last line end and with a name that needs changing, one twice, one that is none.
    let packaged = root.join("usr/share/ca-certificates/mozilla");
    let local = root.join("usr/local/share/ca-certificates");
    fs::create_dir_all(local.join("deep")).expect("directory");
    let one = fs::read_to_string(packaged.join("ISRG_Root_X1.crt")).expect("certificate");
    fs::write(local.join("our (own), root.crt"), one.trim_end()).expect("write");
    fs::write(local.join("deep/two.crt"), one.clone() + &one).expect("write");
    fs::write(local.join("none.crt"), "not a certificate\n").expect("write");
    let own = [("etc/ca-certificates.conf", "")];

    let world = World::new();
    let draw = world.draw_folder(&root);
    let import = world.package("ca", draw);
    let made = world.compose_all(&[], vec![import.clone()]).expect("composed");
    made.write_below(&folder.path().join("ours"));

    // The tool's own folders are this image's, so that it names the same targets.
    let real = folder.path().join("real");
    fs::create_dir_all(&real).expect("directory");
    let configuration = folder.path().join("ours/etc/ca-certificates.conf");
    let done = Command::new("sh")
        .arg("-c")
        .arg(r#"exec "$0" --fresh --certsconf "$1" --certsdir "$2" --localcertsdir "$3" --etccertsdir "$4" --hooksdir /nonexistent"#)
        .arg(&update)
        .arg(&configuration)
        .args([root.join("usr/share/ca-certificates"), root.join("usr/local/share/ca-certificates"), real.clone()])
        .env("LC_ALL", "C")
        .output()
        .expect("update-ca-certificates");
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let ours = names_and_links(&folder.path().join("ours/etc/ssl/certs"));
    let prefix = root.to_string_lossy().into_owned();
    let mut theirs = names_and_links(&real);
    for target in theirs.values_mut().flatten() {
        *target = target.strip_prefix(&prefix).unwrap_or(target).to_owned();
    }
    assert_eq!(ours, theirs);
    assert!(ours.len() > 250, "{}", ours.len());
    assert!(
        fs::read(real.join("ca-certificates.crt")).expect("bundle") == made.bytes("etc/ssl/certs/ca-certificates.crt")
    );

    let none = world.compose_all(&own, vec![import.clone()]).expect("composed");
    assert_eq!(
        none.text("etc/ssl/certs/ca-certificates.crt").matches("BEGIN").count(),
        made.text("etc/ssl/certs/ca-certificates.crt").matches("BEGIN").count()
    );
    let without = [("etc/ca-certificates.conf", "# ours\n!mozilla/ISRG_Root_X1.crt\n")];
    let without = world.compose_all(&without, vec![import.clone()]).expect("composed");
    assert!(
        without.at("etc/ssl/certs/ISRG_Root_X1.pem").is_none()
            && without.at("etc/ssl/certs/ISRG_Root_X2.pem").is_some()
    );
    let only =
        [("etc/ca-certificates.conf", "mozilla/ISRG_Root_X2.crt\n!mozilla/ISRG_Root_X1.crt\nmozilla/gone.crt\n")];
    let only = world.compose_all(&only, vec![import]).expect("composed");
    assert!(only.at("etc/ssl/certs/ISRG_Root_X2.pem").is_some() && only.at("etc/ssl/certs/ACCVRAIZ1.pem").is_none());
}

#[test]
fn the_java_keystore_holds_what_is_trusted() {
    let test = "the_java_keystore_holds_what_is_trusted";
    let Some(folder) = unpacked(test, &["ca-certificates", "ca-certificates-java"]) else { return };
    let world = World::new();
    let import = world.package("ca", world.draw_folder(&folder.path().join("root")));
    let made = world.compose_all(&[], vec![import]).expect("composed");
    let bytes = made.bytes("etc/ssl/certs/java/cacerts");
    let links =
        made.composed.files.iter().filter(|f| f.composer == "ca-certificates" && f.path.to_string().ends_with(".pem"));
    let count = links.count();
    assert_eq!(u32::from_be_bytes(bytes[8..12].try_into().expect("count")) as usize, count);
    let Some(keytool) = tool(test, "keytool") else { return };
    let path = folder.path().join("cacerts");
    fs::write(&path, &bytes).expect("write");
    let listed = Command::new(keytool)
        .args(["-list", "-storepass", "changeit", "-keystore"])
        .arg(&path)
        .output()
        .expect("keytool");
    let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
    assert!(listed.contains("Keystore type: JKS") && listed.contains(&format!("contains {count} entries")), "{listed}");
    assert!(listed.contains("debian:isrg_root_x1.pem"), "{listed}");
    assert_eq!(listed.matches("trustedCertEntry").count(), count);
}

#[test]
fn update_alternatives_reads_the_administrative_file() {
    let test = "update_alternatives_reads_the_administrative_file";
    let Some(tool) = tool(test, "update-alternatives") else { return };
    let folder = tempfile::tempdir().expect("a temporary folder");
    let root = folder.path();
    let ours = root.join("ours");
    let real = root.join("real");
    for below in [&ours, &real] {
        for file in ["usr/bin/one", "usr/bin/two", "usr/share/two.1"] {
            let path = below.join(file);
            fs::create_dir_all(path.parent().expect("parent")).expect("directory");
            fs::write(path, file).expect("write");
        }
    }
    let path = |text: &str| TreePath::try_from(text).expect("path");
    let rule = |name: &str, priority| larder_store::fileset::AlternativeRule {
        name: "tool".to_owned(),
        link: path("usr/bin/tool"),
        path: path(&format!("usr/bin/{name}")),
        priority,
        followers: vec![larder_store::fileset::Follower {
            name: "tool.1".to_owned(),
            link: path("usr/share/tool.1"),
            path: path(&format!("usr/share/{name}.1")),
        }],
    };
    let world = World::new();
    let draw = world.draw_folder(&ours).with(|r| r.alternatives.extend([rule("one", 20), rule("two", 30)]));
    let made = world.compose_all(&[], vec![world.package("tool", draw)]).expect("composed");
    made.write_below(&ours);

    // Without --root, whose paths older tools print differently: both folders are told apart by the administrative
    // directory.
    fs::create_dir_all(real.join("var/lib/dpkg/alternatives")).expect("directory");
    fs::create_dir_all(real.join("etc/alternatives")).expect("directory");
    for (name, priority) in [("one", "20"), ("two", "30")] {
        let done = Command::new(&tool)
            .arg("--root")
            .arg(&real)
            .args(["--install", "/usr/bin/tool", "tool", &format!("/usr/bin/{name}"), priority])
            .args(["--slave", "/usr/share/tool.1", "tool.1", &format!("/usr/share/{name}.1")])
            .output()
            .expect("update-alternatives");
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    }
    let admin = "var/lib/dpkg/alternatives/tool";
    assert_eq!(
        fs::read_to_string(ours.join(admin)).expect("ours"),
        fs::read_to_string(real.join(admin)).expect("real")
    );
    for link in ["etc/alternatives/tool", "etc/alternatives/tool.1", "usr/bin/tool", "usr/share/tool.1"] {
        assert_eq!(
            fs::read_link(ours.join(link)).expect("ours"),
            fs::read_link(real.join(link)).expect("real"),
            "{link}"
        );
    }
    let shown = Command::new(&tool)
        .arg("--root")
        .arg(&ours)
        .args(["--display", "tool"])
        .env("LC_ALL", "C")
        .output()
        .expect("display");
    let shown = String::from_utf8_lossy(&shown.stdout).into_owned();
    assert!(shown.contains("tool - auto mode") && shown.contains("/usr/bin/two - priority 30"), "{shown}");
}

#[test]
fn dpkg_reads_the_merged_database() {
    let test = "dpkg_reads_the_merged_database";
    let Some(query) = tool(test, "dpkg-query") else { return };
    let world = World::new();
    let control = |name: &str, more: &str| {
        format!(
            "Package: {name}\nVersion: 1:2.0-1\nArchitecture: amd64\nMaintainer: A <a@example.com>\n{more}Description: about {name}\n more\n .\n end\n\n"
        )
    };
    let package = |name: &str, more: &str| {
        let path = format!("var/lib/dpkg/status.d/{name}");
        let tool = format!("usr/bin/{name}");
        let sums = format!("{path}.md5sums");
        world.package(name, world.draw(&[(&path, &control(name, more)), (&tool, "x"), (&sums, "")]))
    };
    let packages = vec![package("zeta", "Multi-Arch: same\n"), package("alpha", "Status: broken\nDepends: zeta\n")];
    let made = world.compose_all(&[], packages).expect("composed");
    let folder = tempfile::tempdir().expect("a temporary folder");
    made.write_below(folder.path());
    let admin = folder.path().join("var/lib/dpkg");
    let ask = |arguments: &[&str]| {
        let done = Command::new(&query)
            .arg("--admindir")
            .arg(&admin)
            .args(arguments)
            .env("LC_ALL", "C")
            .output()
            .expect("query");
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        String::from_utf8(done.stdout).expect("UTF-8")
    };
    let shown = ask(&["-f", "${binary:Package} ${Version} ${db:Status-Abbrev}|${Depends}\n", "-W"]);
    assert_eq!(shown, "alpha 1:2.0-1 ii |zeta\nzeta:amd64 1:2.0-1 ii |\n");
    assert_eq!(ask(&["-L", "zeta"]).lines().last(), Some("/var/lib/dpkg/status.d/zeta.md5sums"));
    assert_eq!(ask(&["-S", "/usr/bin/alpha"]), "alpha: /usr/bin/alpha\n");
    assert!(ask(&["-l"]).contains("ii  alpha"));
}

#[test]
fn the_built_in_accounts_are_base_passwds() {
    let test = "the_built_in_accounts_are_base_passwds";
    let Some(folder) = unpacked(test, &["base-passwd"]) else { return };
    let world = World::new();
    let import = world.package("base-passwd", world.draw_folder(&folder.path().join("root")));
    let with = world.compose_all(&[], vec![import]).expect("composed");
    let without = world.compose_all(&[], vec![]).expect("composed");
    for file in ["etc/passwd", "etc/group", "etc/shadow", "etc/gshadow"] {
        assert_eq!(with.text(file), without.text(file), "{file}");
    }
}
