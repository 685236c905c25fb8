//! The examples: each is made twice and to the same, by root and by an ordinary user too; it is verified, looked into, and runs.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::sync::{Mutex, PoisonError};

use larder_testkit::skip;
use serde_json::Value;

use crate::http::Server;
use crate::world::{World, example};

/// What was made of an example by whoever came first: the others must make the same from the same locks, in stores of their own.
struct Made(Mutex<BTreeMap<String, First>>);

/// How often packages are built.
#[derive(Clone, Copy, PartialEq)]
enum Times {
    /// Where a scenario of its own builds them twice.
    Once,
    Twice,
}

/// What one recipe became.
struct First {
    lock: Option<Vec<u8>>,
    digest: String,
}

impl Made {
    const fn new() -> Self {
        Self(Mutex::new(BTreeMap::new()))
    }

    /// Copies examples, builds and verifies them. Gives the reports.
    fn build<const N: usize>(&self, world: &World, times: Times, folders: [&str; N]) -> [Value; N] {
        // One identity at a time: so the first has made everything before the second begins.
        let mut made = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for folder in folders {
            // Recipes within recipes came with the outer one.
            if !world.env.path(folder).exists() {
                world.env.copy(example(folder));
            }
            if let Some(lock) = made.get(folder).and_then(|first| first.lock.as_ref()) {
                world.env.write(Path::new(folder).join("larder.lock"), lock);
            }
        }
        folders.map(|folder| {
            let recipe = std::fs::read_to_string(world.env.path(folder).join("larder.toml")).expect("larder.toml");
            let report = match recipe.contains("[package]") && times == Times::Twice {
                true => world.document(&["build", "--check", folder]),
                false => world.built(folder),
            };
            let name = report["name"].as_str().expect("a name");
            _ = world.env.larder(["verify", name]).success();
            let lock = std::fs::read(world.env.path(folder).join("larder.lock")).ok();
            let digest = report["digest"].as_str().expect("a digest").to_owned();
            let first = made.entry(folder.to_owned()).or_insert(First { lock, digest: digest.clone() });
            assert_eq!(first.digest, digest, "{name} isn't the same in two stores");
            report
        })
    }
}

/// Asserts that a package was compared with a second build and tested, and that another build finds it unchanged.
fn holds(world: &World, folder: &str, report: &Value) {
    assert_eq!((&report["checked"], &report["tested"]), (&Value::Bool(true), &Value::Bool(true)), "{report}");
    let again = world.document(&["build", folder]);
    assert_eq!((&again["cached"], &again["digest"]), (&Value::Bool(true), &report["digest"]));
}

/// What `inspect --deep` finds in an image, each as its ecosystem, name and version.
fn compiled_in(world: &World, image: &str) -> Vec<String> {
    let report = world.document(&["inspect", "--deep", image]);
    let filesets = report["compiled"].as_array().expect("what is compiled in").iter();
    let components = filesets.flat_map(|one| one["components"].as_array().expect("components"));
    let word = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    components.map(|one| [&one["ecosystem"], &one["name"], &one["version"]].map(word).join(" ")).collect()
}

#[track_caller]
fn lists(found: &[String], expected: &[&str]) {
    for one in expected {
        assert!(found.iter().any(|found| found == one), "{found:#?}\ndon't have\n{one}");
    }
}

pub(crate) fn c(world: &World) {
    static MADE: Made = Made::new();
    let [report] = MADE.build(world, Times::Twice, ["hello-c"]);
    holds(world, "hello-c", &report);
    let parts: Vec<_> = report["parts"].as_array().expect("parts").iter().map(|part| &part["name"]).collect();
    assert_eq!(parts, ["example.com/hello", "example.com/hello-doc"]);

    // The program is linked against a library that nothing requires any more.
    let recipe = std::fs::read_to_string(world.env.path("hello-c/larder.toml")).expect("larder.toml");
    let without: String = recipe.lines().filter(|line| !line.starts_with("requires")).flat_map(|l| [l, "\n"]).collect();
    world.env.write("hello-c/larder.toml", without);
    let refused = world.env.larder(["build", "-q", "hello-c"]).failure(1);
    for words in [
        "/usr/bin/hello of example.com/hello needs libc.so.6, which is in debian.org/libc6",
        "ld-linux",
        "hint: add to `requires` of example.com/hello: \"debian.org/libc6\"",
    ] {
        assert!(refused.stderr.contains(words), "{}\ndoesn't say\n{words}", refused.stderr);
    }
}

pub(crate) fn rust(world: &World) {
    static MADE: Made = Made::new();
    let [report] = MADE.build(world, Times::Twice, ["hello-rust"]);
    holds(world, "hello-rust", &report);
    image(world, "titles", &["{ path = \"../hello-rust\" }"]);
    let said = world.env.larder(["run", "example.com/titles", "--", "slug", "Quince", "Jelly!"]).success();
    assert_eq!(said.stdout, "quince-jelly\n");
}

/// The program needs nothing, so an image without a base has it and what it was compiled from.
pub(crate) fn go(world: &World) {
    static MADE: Made = Made::new();
    let [report] = MADE.build(world, Times::Twice, ["hello-go"]);
    holds(world, "hello-go", &report);
    let text = "[image]\nname = \"example.com/counter\"\nversion = \"1\"\nbase = \"none\"\nrun = [\"stock\"]\n\
                packages = [{ path = \"../hello-go\" }]\n";
    world.env.write("counter/larder.toml", text);
    let packages = world.built("counter")["packages"].as_array().expect("packages").len();
    assert_eq!(packages, 1);
    let said = world.env.larder_with(["run", "example.com/counter"], b"[jars]\nquince = 2\n").success();
    assert_eq!(said.stdout, "2 jars\n");
    let found = compiled_in(world, "example.com/counter");
    lists(&found, &["go example.com/stock (devel)", "go github.com/BurntSushi/toml v1.2.0"]);
    assert!(found.iter().any(|one| one.starts_with("go stdlib 1.19")), "{found:?}");
    let has = world.document(&["which", "--deep", "github.com/BurntSushi/toml", "<v1.3.0"]);
    assert_eq!(has["items"][0]["image"], "example.com/counter", "{has}");
}

pub(crate) fn python(world: &World) {
    static MADE: Made = Made::new();
    let wheels = world.env.make("wheels");
    if let Err(why) = fetch_wheels(&wheels) {
        return skip("the example of a Python web app", why);
    }
    let copy = world.env.copy(example("flask"));
    for left in std::fs::read_dir(copy.join("wheels")).expect("wheels") {
        let left = left.expect("a file").path();
        if left.extension().is_some_and(|end| end == "whl") {
            std::fs::remove_file(left).expect("remove");
        }
    }
    let without = world.env.larder(["build", "flask"]).failure(1);
    assert!(without.stderr.contains("there are no wheels yet: run ./fetch"), "{}", without.stderr);
    for wheel in std::fs::read_dir(wheels).expect("wheels") {
        let wheel = wheel.expect("a wheel");
        let content = std::fs::read(wheel.path()).expect("a wheel");
        world.env.write(Path::new("flask/wheels").join(wheel.file_name()), content);
    }
    let [report, _image] = MADE.build(world, Times::Twice, ["flask/wheels", "flask"]);
    holds(world, "flask/wheels", &report);
    lists(&compiled_in(world, "example.com/shelf"), &["python Flask 3.1.3", "python waitress 3.0.2"]);
    let port = world.port + 1;
    let listen = format!("--listen=127.0.0.1:{port}");
    let server = Server::start(world, port, &["example.com/shelf", "--", "waitress-serve", &listen, "shelf:app"]);
    let answer = server.get("/plum", "");
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.ends_with("{\"plum\":3}\n"), "{answer}");

    // A file that isn't the one that is pinned is no source, whatever its name.
    let name = "flask/wheels/blinker-1.9.0-py3-none-any.whl";
    let mut other = std::fs::read(world.env.path(name)).expect("a wheel");
    other.extend(b"!");
    world.env.write(name, other);
    let refused = world.env.larder(["build", "flask"]).failure(1);
    assert!(refused.stderr.contains("DO NOT MATCH THE HASHES"), "{}", refused.stderr);
}

/// Fetches the wheels of the example into a folder, by the caller's pip.
fn fetch_wheels(folder: &Path) -> Result<(), String> {
    let fetch =
        Command::new(example("flask/wheels/fetch")).arg("-d").arg(folder).output().expect("the example's script");
    let said = String::from_utf8_lossy(&fetch.stderr).replace('\n', " ");
    if fetch.status.success() { Ok(()) } else { Err(format!("pip fetches no wheels here: {said}")) }
}

pub(crate) fn node(world: &World) {
    static MADE: Made = Made::new();
    let copy = world.env.copy(example("node"));
    // What `.larderignore` names is no part of the image.
    world.env.write("node/app/npm-debug.log", "not for the image\n");
    let [report] = MADE.build(world, Times::Twice, ["node"]);
    let files = world.env.larder(["files", "example.com/jars", "/srv/app"]).success().stdout;
    assert!(files.contains("server.js") && !files.contains("npm-debug.log"), "{files}");
    lists(&compiled_in(world, "example.com/jars"), &["npm acorn 8.8.1", "npm undici 5.15.0"]);
    let port = world.port + 2;
    let server = Server::start(world, port, &["--env", &format!("PORT={port}"), "example.com/jars"]);
    let answer = server.get("/", "");
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.contains("{\"plum\":3,\"honey\":1}\n"), "{answer}");

    // Its own test keeps what doesn't pass from getting the name.
    let broken = std::fs::read_to_string(copy.join("app/server.js")).expect("server.js").replace("404", "200");
    world.env.write("node/app/server.js", broken);
    let refused = world.env.larder(["build", "node"]).failure(1);
    assert!(refused.stderr.contains("node --test"), "{}", refused.stderr);
    assert_eq!(world.document(&["inspect", "example.com/jars"])["digest"], report["digest"]);
}

/// nginx's configuration is updated and rolled back, and nginx's package is the same all the time.
pub(crate) fn configuration(world: &World) {
    static MADE: Made = Made::new();
    let [package, _image] = MADE.build(world, Times::Twice, ["nginx-conf", "web-conf"]);
    holds(world, "nginx-conf", &package);
    let port = world.port + 3;
    let set = |keepalive: &str| {
        let text = std::fs::read_to_string(example("nginx-conf/files/nginx.conf")).expect("nginx.conf");
        let text = text.replace("listen 8080", &format!("listen 127.0.0.1:{port}"));
        world.env.write("nginx-conf/files/nginx.conf", text.replace("keepalive_timeout 30", keepalive));
        world.document(&["build", "nginx-conf"]);
        world.document(&["update", "example.com/web-conf", "nginx-conf"])
    };
    // With the image alone: neither its recipe nor its files are asked.
    let serves = |keepalive: &str| {
        let server = Server::start(world, port, &["example.com/web-conf"]);
        let answer = server.get("/", "").replace("Connection: close", "");
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.contains("a package of its own"), "{answer}");
        let shown = world.env.larder(["run", "-q", "example.com/web-conf", "--", "nginx", "-T"]).success().stdout;
        assert!(shown.contains(keepalive), "{shown}");
    };
    let debian = |report: &Value| -> Vec<String> {
        let packages = report["packages"].as_array().expect("packages").iter();
        let debian = packages.filter(|one| one["name"].as_str().is_some_and(|name| name.starts_with("debian.org/")));
        debian.map(|one| format!("{} {}", one["name"], one["digest"])).collect()
    };
    let now = || world.document(&["inspect", "example.com/web-conf"]);

    let first = set("keepalive_timeout 30");
    serves("keepalive_timeout 30");
    let second = set("keepalive_timeout 5");
    let changes = second["changes"].as_array().expect("changes");
    assert_eq!(changes.iter().map(|one| &one["name"]).collect::<Vec<_>>(), ["example.com/nginx-conf"]);
    serves("keepalive_timeout 5");
    assert!(debian(&first).len() > 60);
    assert_eq!(debian(&first), debian(&now()));

    _ = world.env.larder(["rollback", "example.com/web-conf"]).success();
    assert_eq!(now()["digest"], first["digest"]);
    serves("keepalive_timeout 30");

    // A configuration that nginx refuses never becomes a package.
    world.env.write("nginx-conf/files/nginx.conf", "events {}\nhtp {}\n");
    let refused = world.env.larder(["build", "nginx-conf"]).failure(1);
    assert!(refused.stderr.contains("unknown directive \"htp\""), "{}", refused.stderr);
}

pub(crate) fn distribution(world: &World) {
    static MADE: Made = Made::new();
    world.env.copy(example("stack"));
    let folders = ["hello-c", "hello-rust", "stack/media-types", "stack", "stack/image"];
    let [.., stack, image] = MADE.build(world, Times::Once, folders);
    let packages = stack["packages"].as_array().expect("packages").iter().map(|one| &one["name"]).collect::<Vec<_>>();
    assert_eq!(packages, ["example.com/hello", "example.com/media-types", "example.com/slug"]);
    let stand_in = &image["stand_ins"][0];
    assert_eq!([&stand_in["of"], &stand_in["by"]], ["debian.org/media-types", "example.com/media-types"]);
    assert_eq!(world.env.larder(["run", "example.com/stack-check"]).success().stdout, "the stack works\n");

    // Another of the three that doesn't do its work: the distribution stays what it was.
    world.env.write("stack/media-types/ours.types", "application/vnd.example.jam\t\t\tmarmalade\n");
    world.document(&["build", "stack/media-types"]);
    let refused = world.env.larder(["build", "stack"]).failure(1);
    assert!(refused.stderr.contains("AssertionError"), "{}", refused.stderr);
}

/// A Java archive and Python's descriptions of Debian's packages, beside a package of one's own.
pub(crate) fn what_is_compiled_in(world: &World) {
    image(world, "libraries", &["\"libcommons-io-java\"", "\"python3-markupsafe\"", "\"node-xtend\""]);
    let found = compiled_in(world, "example.com/libraries");
    lists(&found, &["java commons-io:commons-io 2.11.0", "python MarkupSafe 2.1.2", "npm xtend 4.0.2"]);
}

/// Builds an image of some packages, each as it stands in a recipe.
fn image(world: &World, name: &str, packages: &[&str]) {
    let packages = packages.join(", ");
    let text = format!(
        "[image]\nname = \"example.com/{name}\"\nversion = \"1\"\nfrom = \"debian.org/bookworm\"\npackages = [{packages}]\n"
    );
    world.build(name, &text);
}
