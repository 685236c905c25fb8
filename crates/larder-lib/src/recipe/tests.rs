//! What recipes mean, and what the errors say about wrong ones.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use larder_store::{Entry, ObjectDigest, Tree};
use proptest::prelude::*;

use super::{Base, Problem, Recipe, RecipeError};

const WEB: &str = r#"
[image]
name     = "example.com/web"
version  = "1.0"
from     = "debian.org/bookworm"
packages = ["nginx-light", "ca-certificates"]
run      = ["nginx", "-g", "daemon off;"]
user     = "www-data"

[files]
"/var/www/html"         = "site"
"/etc/nginx/nginx.conf" = "nginx.conf"
"#;

fn parse(text: &str) -> Result<Recipe, RecipeError> {
    Recipe::parse(Path::new("web/larder.toml"), text)
}

/// A recipe whose `[image]` has one more line.
fn with(line: &str) -> Result<Recipe, RecipeError> {
    parse(&format!("[image]\nname = \"example.com/web\"\nversion = \"1.0\"\nfrom = \"debian.org/bookworm\"\n{line}\n"))
}

#[test]
fn documentation_is_a_set_of_addresses() {
    let line = "documentation = [\"https://b.example/\", \"http://a.example/x\", \"https://b.example/\"]";
    assert_eq!(with(line).expect("a recipe").documentation, ["http://a.example/x", "https://b.example/"]);
    for (wrong, says) in [
        ("documentation = \"https://a.example\"", "`documentation` must be a list of strings, not a string"),
        ("documentation = [\"the manual\"]", "`documentation`: \"the manual\" isn't an address"),
        ("documentation = [\"file:///etc/passwd\"]", "it begins with none of the schemes"),
    ] {
        let told = told(with(wrong));
        assert!(told.contains(says), "{told}\ndoesn't say\n{says}");
    }
}

/// The error and its next step, as one text.
fn told(result: Result<Recipe, RecipeError>) -> String {
    let error = result.expect_err("must be refused");
    format!("{error} | {}", error.help().unwrap_or_default())
}

#[test]
fn packages_come_from_debian_from_the_store_and_from_recipes_beside() {
    let text = "[image]\nname = \"a.b/c\"\nversion = \"1\"\nfrom = [\"x.y/stack\", \"debian.org/bookworm\", \"x.y/stack\"]\n\
                packages = [\"git\", \"debian.org/git\", \"x.y/hello >=2\", { path = \"../hello-c/\" }]\n\
                [override]\n\"debian.org/openssl\" = { by = \"x.y/tls\", force = true, reason = \" we know \" }\n";
    let recipe = parse(text).expect("recipe");
    assert_eq!(
        recipe.solver_inputs(),
        [
            "base essential",
            "from debian.org/bookworm",
            "from x.y/stack",
            "package debian.org/git",
            "package git",
            "package x.y/hello >=2",
            "override debian.org/openssl by x.y/tls, forced: we know",
        ]
    );
    assert_eq!(recipe.paths.iter().map(|path| path.path.as_str()).collect::<Vec<_>>(), ["../hello-c"]);
    // Where there is only Debian, both ways to write its package are one.
    let one =
        parse(&text.replace("[\"x.y/stack\", \"debian.org/bookworm\", \"x.y/stack\"]", "\"debian.org/bookworm\""));
    assert_eq!(one.expect("recipe").solver_inputs().iter().filter(|line| line.ends_with("git")).count(), 1);
}

#[test]
fn the_example_means_what_it_says() {
    let recipe = parse(WEB).expect("recipe");
    assert_eq!((recipe.name.as_str(), recipe.version.as_str()), ("example.com/web", "1.0"));
    assert_eq!(recipe.from.iter().map(ToString::to_string).collect::<Vec<_>>(), ["debian.org/bookworm"]);
    assert_eq!(recipe.base, Base::Essential);
    let packages: Vec<_> = recipe.packages.iter().map(ToString::to_string).collect();
    assert_eq!(packages, ["ca-certificates", "nginx-light"]);
    assert_eq!(recipe.run, ["nginx", "-g", "daemon off;"]);
    assert_eq!(recipe.user.as_ref().expect("user").as_str(), "www-data");
    assert_eq!(recipe.folder(), Path::new("web"));
    let files: Vec<_> = recipe.files.iter().map(|(path, source)| (path.to_string(), source.path.as_str())).collect();
    assert_eq!(files, [("etc/nginx/nginx.conf".to_owned(), "nginx.conf"), ("var/www/html".to_owned(), "site")]);
}

#[test]
fn every_key_is_read() {
    let recipe = parse(
        r#"
        [image]
        name = "example.com/team/app"
        version = "1:2.0~rc1-1"
        from = "debian.org/trixie"
        base = "none"
        packages = ["openssl >=3.0, <4", "debian.org/git", "openssl <4, >=3.0"]
        recommends = true
        run = ["git"]
        env = { LANG = "C.UTF-8", EMPTY = "" }
        user = "1000:backup"
        workdir = "/srv/app"
        stop-signal = "QUIT"
        labels = { "org.example.team" = "web" }
        "#,
    )
    .expect("recipe");
    let packages: Vec<_> = recipe.packages.iter().map(ToString::to_string).collect();
    assert_eq!(packages, ["git", "openssl >=3.0, <4"]);
    assert!(recipe.recommends && recipe.base == Base::None);
    let env: Vec<_> = recipe.env.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    assert_eq!(env, [("EMPTY", ""), ("LANG", "C.UTF-8")]);
    assert_eq!(recipe.workdir.expect("workdir").as_str(), "/srv/app");
    assert_eq!(recipe.stop_signal.expect("signal").as_str(), "SIGQUIT");
    assert_eq!(recipe.labels, BTreeMap::from([("org.example.team".to_owned(), "web".to_owned())]));
}

#[test]
fn errors_say_where_what_and_what_next() {
    let error = parse(&WEB.replace("packages", "pakages")).expect_err("misspelled");
    assert_eq!(error.to_string(), "web/larder.toml:6:1: [image] has no key `pakages`");
    assert_eq!(error.help().expect("help"), "did you mean `packages`?");
    assert_eq!(error.excerpt(), "  |\n6 | pakages = [\"nginx-light\", \"ca-certificates\"]\n  | ^^^^^^^");
    let error = with("run = \"nginx\"").expect_err("type");
    assert_eq!(error.to_string(), "web/larder.toml:5:7: `run` must be a list of strings, not a string");
}

#[test]
fn wrong_recipes_are_refused() {
    for (recipe, expected) in [
        (parse(&WEB.replace("[files]", "[file]")), "10:2: a recipe has no table [file] | did you mean [files]?"),
        (
            parse(&WEB.replace("[files]", "[zebra]")),
            "has no table [zebra] | the tables are [image], [override], [files], [host]",
        ),
        (parse("name = \"a.b/c\""), "1:1: `name` belongs in [image] | move the line"),
        (parse(&format!("{WEB}run = [\"x\"]")), "`run` belongs in [image]"),
        (parse(""), "no table [image] | begin the recipe with"),
        (parse("[image]\nversion = \"1\""), "1:2: [image] has no `name` | add a line such as: name ="),
        (parse("[image]\nname = \"a.b/c\""), "[image] has no `version`"),
        (parse("[image]\nname = \"a.b/c\"\nversion = \"1\""), "no distribution to take packages from"),
        (parse("[image]\nname = \"a.b/c\"\nversion = \"1\"\nbase = \"none\"\npackages = [\"git\"]"), "no `from`"),
        (parse("image = 1"), "`image` must be a table, not a number"),
        (parse("[image\nname"), "1:7: this isn't TOML: "),
        (parse(&format!("{WEB}[image]")), "this isn't TOML: duplicate key"),
        (with("name = \"a.b/c\""), "5:1: this isn't TOML: duplicate key"),
        (with("zzz = 1"), "[image] has no key `zzz` | its keys are `name`"),
        (with("stop_signal = \"TERM\""), "did you mean `stop-signal`?"),
        (with("packages = [\"ngi&nx\"]"), "5:13: `packages`: \"ngi&nx\" is not a package name"),
        (with("packages = [\"openssl >\"]"), "is not a package: a constraint has no version"),
        (with("packages = [\"xyz.com/-openssl\"]"), "is not a package name"),
        (with("packages = [3]"), "must be a string or a table such as"),
        (with("packages = [{ path = \"/x\" }]"), "\"/x\" can't be the folder of a recipe: it is absolute"),
        (with("packages = [{ path = \".\" }]"), "it is this recipe's own folder"),
        (with("packages = [{ paht = \"x\" }]"), "packages[] has no key `paht` | did you mean `path`?"),
        (with("packages = [{}]"), "packages[] has no `path`"),
        (
            parse("[image]\nname = \"a.b/c\"\nversion = \"1\"\nbase = \"none\"\npackages = [\"debian.org/git\"]"),
            "\"debian.org/git\" is Debian's, and the recipe has no `from`",
        ),
        (with("[override]\nopenssl = \"a.b/tls\""), "isn't a name"),
        (
            with("[override]\n\"debian.org/openssl\" = \"debian.org/tls\""),
            "a package of Debian's never says that it can",
        ),
        (with("[override]\n\"a.b/tls\" = \"a.b/tls\""), "it is the same package"),
        (with("[override]\n\"a.b/x\" = { by = \"a.b/y\", force = true }"), "who forces it says why, in `reason`"),
        (with("[override]\n\"a.b/x\" = { by = \"a.b/y\", force = true, reason = \" \" }"), "the reason is empty"),
        (with("[override]\n\"a.b/x\" = { by = \"a.b/y\", reason = \"so\" }"), "a reason is for `force = true`"),
        (with("[override]\n\"a.b/x\" = { bye = \"a.b/y\" }"), "did you mean `by`?"),
        (with("[override]\n\"a.b/x\" = {}"), "override.a.b/x has no `by`"),
        (with("[override]\n\"a.b/x\" = 3"), "must be a name or a table"),
        (
            with("[override]\n\"a.b/x\" = \"a.b/y\"\n\"a.b/y\" = \"a.b/z\""),
            "something else is to stand in for it in turn",
        ),
        (
            with("packages = [1]"),
            "`packages[]` must be a string or a table such as { path = \"../hello\" }, not a number",
        ),
        (with("base = \"full\""), "`base`: \"full\" isn't a base | write \"essential\""),
        (with("recommends = \"yes\""), "`recommends` must be true or false, not a string"),
        (with("run = []"), "`run`: the list names no program"),
        (with("run = [\"a\\u0000b\"]"), "`run`: it contains a NUL byte"),
        (with("env = { \"A=B\" = \"1\" }"), "isn't the name of an environment variable"),
        (with("env = { A = 1 }"), "`env.A` must be a string, not a number"),
        (with("user = \"a b\""), "isn't a user"),
        (with("user = \"99999999999\""), "the number is too large"),
        (with("workdir = \"srv\""), "it doesn't begin with a slash"),
        (with("workdir = \"/a/../b\""), "isn't an absolute, normal path"),
        (with("stop-signal = \"SIGTREM\""), "isn't a signal | did you mean \"SIGTERM\"?"),
        (with("[files]\n\"etc/x\" = \"x\""), "\"etc/x\" can't be a path in the container: it doesn't begin with"),
        (with("[files]\n\"/\" = \"x\""), "the whole root can't be replaced"),
        (with("[files]\n\"/a/../b\" = \"x\""), "can't be a path in the container"),
        (with("[files]\n\"/packages/x\" = \"x\""), "/packages belongs to Larder"),
        (with("[files]\n\"/a\" = \"/etc/passwd\""), "\"/etc/passwd\" can't be a path within the recipe's folder"),
        (with("[files]\n\"/a\" = \"../x\""), "`..` leads outside"),
        (with("[files]\n\"/a\" = \"\""), "it is empty"),
    ] {
        let said = told(recipe);
        assert!(said.contains(expected), "{said}\n  should contain\n{expected}");
    }
}

#[test]
fn a_missing_recipe_is_named() {
    let folder = tempfile::tempdir().expect("folder");
    let error = Recipe::load(folder.path()).expect_err("nothing there");
    assert!(matches!(*error.problem, Problem::NoRecipe), "{error}");
    assert!(error.to_string().ends_with("/larder.toml: there is no recipe here"), "{error}");
    fs::write(folder.path().join("larder.toml"), b"\xff").expect("write");
    let error = Recipe::load(folder.path()).expect_err("not text");
    assert!(matches!(*error.problem, Problem::NotText { offset: 0 }), "{error}");
}

/// A recipe in a folder of its own, whose `[files]` are given.
struct Folder {
    directory: tempfile::TempDir,
}

impl Folder {
    fn new(files: &str) -> Self {
        let directory = tempfile::tempdir().expect("folder");
        let image = "[image]\nname = \"a.b/c\"\nversion = \"1\"\nbase = \"none\"\n[files]\n";
        fs::write(directory.path().join("larder.toml"), format!("{image}{files}\n")).expect("write");
        Self { directory }
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        let path = self.directory.path().join(name);
        fs::create_dir_all(path.parent().expect("parent")).expect("folders");
        path
    }

    fn write(&self, name: &str, content: &str) {
        fs::write(self.path(name), content).expect("write");
    }

    fn read(&self) -> Result<Tree, RecipeError> {
        Recipe::load(self.directory.path()).expect("recipe").read_files(&mut |content| {
            let mut bytes = Vec::new();
            content.read_to_end(&mut bytes)?;
            Ok((ObjectDigest::of(&bytes), bytes.len() as u64))
        })
    }

    fn listing(&self) -> Vec<String> {
        let tree = self.read().expect("files");
        tree.entries()
            .iter()
            .map(|entry| match &entry.entry {
                Entry::Directory => format!("{}/", entry.path),
                Entry::File { size, .. } => format!("{} {size} {:o}", entry.path, entry.mode()),
                Entry::Symlink { target } => format!("{} -> {}", entry.path, String::from_utf8_lossy(target)),
            })
            .collect()
    }

    fn refused(&self) -> String {
        let error = self.read().expect_err("must be refused");
        let text = error.to_string();
        text.replace(&format!("{}/", self.directory.path().display()), "")
    }
}

#[test]
fn files_and_folders_become_a_tree() {
    let folder =
        Folder::new("\"/srv/www\" = \"./site/\"\n\"/usr/bin/tool\" = \"tool\"\n\"/srv/www/sub/extra\" = \"extra\"");
    folder.write("site/index.html", "hello");
    folder.write("site/sub/a", "");
    symlink("../index.html", folder.path("site/sub/link")).expect("link");
    symlink("nowhere", folder.path("site/dangling")).expect("link");
    folder.write("tool", "#!/bin/sh\n");
    folder.write("extra", "more");
    fs::set_permissions(folder.path("tool"), fs::Permissions::from_mode(0o710)).expect("mode");
    fs::set_permissions(folder.path("site/index.html"), fs::Permissions::from_mode(0o606)).expect("mode");
    assert_eq!(
        folder.listing(),
        [
            "srv/",
            "srv/www/",
            "srv/www/dangling -> nowhere",
            "srv/www/index.html 5 644",
            "srv/www/sub/",
            "srv/www/sub/a 0 644",
            "srv/www/sub/extra 4 644",
            "srv/www/sub/link -> ../index.html",
            "usr/",
            "usr/bin/",
            "usr/bin/tool 10 755",
        ]
    );
}

#[test]
fn the_folder_itself_may_be_a_source_without_its_recipe_and_lock() {
    let folder = Folder::new("\"/app\" = \".\"");
    folder.write("main.py", "");
    folder.write("larder.lock", "");
    folder.write("sub/larder.toml", "");
    assert_eq!(folder.listing(), ["app/", "app/main.py 0 644", "app/sub/", "app/sub/larder.toml 0 644"]);
}

#[test]
fn what_is_not_there_or_not_a_file_is_refused() {
    let folder = Folder::new("\"/a\" = \"missing\"");
    assert_eq!(folder.refused(), "larder.toml:6:8: missing: there is no such file or folder");
    let folder = Folder::new("\"/a\" = \"pipe\"");
    let mode = rustix::fs::Mode::from_raw_mode(0o600);
    rustix::fs::mkfifoat(rustix::fs::CWD, folder.path("pipe"), mode).expect("pipe");
    assert_eq!(
        folder.refused(),
        "larder.toml:6:8: pipe: it is a named pipe; an image holds files, folders and symlinks only"
    );
    let folder = Folder::new("\"/a\" = \"site\"");
    std::os::unix::net::UnixListener::bind(folder.path("site/socket")).expect("socket");
    assert!(folder.refused().contains("site/socket: it is a socket"), "{}", folder.refused());
    let folder = Folder::new("\"/a\" = \"one\"\n\"/a/f\" = \"two\"");
    folder.write("one/f", "1");
    folder.write("two", "2");
    assert!(
        folder.refused().contains("two: it would be at /a/f in the container, and so would \"one/f\""),
        "{}",
        folder.refused()
    );
    let folder = Folder::new("\"/a\" = \"one\"\n\"/a/f\" = \"one\"");
    folder.write("one", "1");
    assert!(folder.refused().contains("stands below something that is not a directory"), "{}", folder.refused());
}

#[test]
fn nothing_leads_outside_the_folder() {
    let outside = tempfile::tempdir().expect("outside");
    fs::write(outside.path().join("secret"), "secret").expect("write");

    // A source that is a symlink is followed within the folder and never out of it.
    let folder = Folder::new("\"/a\" = \"link\"");
    folder.write("real", "inside");
    symlink("real", folder.path("link")).expect("link");
    assert_eq!(folder.listing(), ["a 6 644"]);
    for target in [outside.path().join("secret"), "../x".into(), "/proc/self/root/etc/passwd".into()] {
        fs::remove_file(folder.path("link")).expect("remove");
        symlink(&target, folder.path("link")).expect("link");
        assert!(folder.refused().contains("link: it leads outside the recipe's folder"), "{}", folder.refused());
    }
    let folder = Folder::new("\"/a\" = \"door/secret\"");
    symlink(outside.path(), folder.path("door")).expect("link");
    assert!(folder.refused().contains("door/secret: it leads outside"), "{}", folder.refused());

    // Symlinks below a source are kept, so they must make sense where they are put.
    for (target, expected) in [
        ("/etc/passwd", "site/link: it is a symlink to the absolute path \"/etc/passwd\""),
        ("../../x", "site/link: it is a symlink to \"../../x\", which leads outside \"site\""),
        ("../real", "which leads outside \"site\""),
        ("sub/up/../../real", "which leads outside \"site\""),
    ] {
        let folder = Folder::new("\"/a\" = \"site\"");
        // Read word by word the last target stays inside; followed through `up` it doesn't.
        symlink("..", folder.path("site/sub/up")).expect("link");
        symlink(target, folder.path("site/link")).expect("link");
        assert!(folder.refused().contains(expected), "{}", folder.refused());
    }
}

#[test]
fn the_tree_depends_on_the_files_alone() {
    let make = |names: &[&str], mode: u32| {
        let folder = Folder::new("\"/a\" = \"site\"");
        for name in names {
            folder.write(name, name);
            fs::set_permissions(folder.path(name), fs::Permissions::from_mode(mode)).expect("mode");
        }
        folder.read().expect("files").digest()
    };
    let forward = make(&["site/a", "site/B", "site/é", "site/z/1"], 0o600);
    let backward = make(&["site/z/1", "site/é", "site/B", "site/a"], 0o666);
    assert_eq!(forward, backward);
}

proptest! {
    #[test]
    fn no_text_panics(text in "\\PC{0,200}") {
        let _ = parse(&text);
        let _ = with(&text);
    }

    #[test]
    fn the_order_of_packages_means_nothing(
        (given, shuffled) in proptest::collection::vec("[a-z][a-z0-9+.-]{1,8}( >=[0-9]{1,3})?", 0..8)
            .prop_flat_map(|packages| (Just(packages.clone()), Just(packages).prop_shuffle()))
    ) {
        let read = |packages: &[String]| with(&format!("packages = {packages:?}"));
        let (one, two) = (read(&given).expect("recipe"), read(&shuffled).expect("recipe"));
        prop_assert_eq!(one.solver_inputs(), two.solver_inputs());
        prop_assert_eq!(one.packages, two.packages);
    }
}

/// A recipe whose `[host]` has this line.
fn asking(line: &str) -> Result<Recipe, RecipeError> {
    parse(&format!("{WEB}\n[host]\n{line}\n"))
}

#[test]
fn what_is_asked_of_the_host_is_read() {
    let recipe = asking(
        r#"
        kernel = ">= 5.10"
        features = ["tun", "overlayfs", "tun"]
        capabilities = ["CAP_NET_ADMIN", "net_bind_service"]
        memory = "1.5g"
        devices = ["/dev/net/tun"]
        arch = ["arm64", "amd64"]
        "#,
    )
    .expect("recipe");
    let asks = &recipe.host.asks;
    assert_eq!(asks.kernel.expect("a kernel").to_string(), "5.10");
    assert_eq!(asks.features, ["overlayfs", "tun"]);
    assert_eq!(asks.capabilities, ["NET_ADMIN", "NET_BIND_SERVICE"]);
    assert_eq!((asks.memory, asks.devices.as_slice()), (3 << 29, &["/dev/net/tun".to_owned()][..]));
    assert!(recipe.host.fits("amd64") && recipe.host.fits("arm64") && !recipe.host.fits("riscv64"));
    assert!(parse(WEB).expect("recipe").host.asks.is_empty());
}

#[test]
fn a_wrong_ask_is_told_with_the_nearest_right_one() {
    for (line, problem, help) in [
        ("kernel = \"5.10\"", "`kernel`: \"5.10\" isn't the oldest kernel that will do", "such as \">=5.10\""),
        ("kernel = \">=5\"", "isn't the oldest kernel", "two or three numbers"),
        (
            "features = [\"overlay-fs\"]",
            "this larder doesn't know how to probe \"overlay-fs\"",
            "did you mean \"overlayfs\"?",
        ),
        ("features = [\"magic\"]", "doesn't know how to probe \"magic\"", "the known ones are cgroup2, erofs, fuse"),
        ("capabilities = [\"NET_ADMN\"]", "\"NET_ADMN\" isn't a capability", "did you mean \"NET_ADMIN\"?"),
        ("capabilities = [\"EVERYTHING\"]", "\"EVERYTHING\" isn't a capability", "such as \"NET_ADMIN\""),
        ("memory = \"lots\"", "\"lots\" isn't an amount of memory", "write \"512m\""),
        ("memory = \"64 megs\"", "isn't an amount of memory", "write \"64m\""),
        ("memory = 512", "`memory` must be a string, not a number", ""),
        ("devices = [\"/dev/../etc/shadow\"]", "isn't a device", "\"/dev/net/tun\""),
        ("devices = [\"fuse\"]", "isn't a device", "\"/dev/net/tun\""),
        ("arch = [\"amd46\"]", "\"amd46\" isn't an architecture", "did you mean \"amd64\"?"),
        ("capability = []", "[host] has no key `capability`", "did you mean `capabilities`?"),
        ("disk = \"1g\"", "[host] has no key `disk`", "its keys are `kernel`, `features`"),
    ] {
        let told = told(asking(line));
        assert!(
            told.starts_with("web/larder.toml:") && told.contains(problem) && told.contains(help),
            "{line}: {told}"
        );
    }
}

#[test]
fn what_is_ignored_is_no_part_of_a_copied_folder() {
    let folder =
        Folder::new("\"/app\" = \".\"\n\"/srv\" = \"site\"\n\"/one\" = \"site/named.o\"\n\"/out\" = \"build\"");
    for name in ["main.o", "main.py", "site/a.o", "site/keep.o", "site/named.o", "site/sub/b", "build/result"] {
        folder.write(name, "x");
    }
    folder.write(".git/config", "x");
    folder.write(".larderignore", "# what git would leave out\n*.o\n!keep.o\n/build/\n.git\nsite/socket\n");
    std::os::unix::net::UnixListener::bind(folder.path("site/socket")).expect("socket");
    assert_eq!(
        folder.listing(),
        [
            "app/",
            "app/main.py 1 644",
            "app/site/",
            "app/site/keep.o 1 644",
            "app/site/sub/",
            "app/site/sub/b 1 644",
            // What the recipe names itself is meant.
            "one 1 644",
            "out/",
            "out/result 1 644",
            "srv/",
            "srv/keep.o 1 644",
            "srv/sub/",
            "srv/sub/b 1 644",
        ]
    );
    let before = folder.read().expect("files").digest();
    folder.write(".larderignore", "*.o\n!keep.o\nbuild/\n.git/\n**/socket\n");
    assert_eq!(folder.read().expect("files").digest(), before, "only what it does counts");
    folder.write(".larderignore", "*.o\n[z-a]\n");
    assert!(folder.refused().starts_with("larder.toml: .larderignore: line 2: "), "{}", folder.refused());
    fs::remove_file(folder.path(".larderignore")).expect("removed");
    symlink("/etc/passwd", folder.path(".larderignore")).expect("link");
    assert!(folder.refused().contains(".larderignore: it can't be read"), "{}", folder.refused());
}
