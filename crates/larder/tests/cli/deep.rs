//! `larder inspect --deep`

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use insta::assert_snapshot;
use larder_testkit::{hostile, skip};
use serde_json::Value;

use super::keep::object;
use super::site::{Site, archive, deb};

fn seed(target: &str, name: &str) -> Vec<u8> {
    fs::read(hostile::folder(target).join(name)).expect("a seed")
}

/// An image with a package that has something of each ecosystem, and files of its own.
fn site() -> Site {
    let tool = deb("tool", "0.1")
        .program("usr/bin/tool", seed("compiled", "go"))
        .file("usr/lib/libtool.so.1", seed("compiled", "rust"))
        .file("usr/lib/python3/dist-packages/requests-2.28.1.dist-info/METADATA", seed("described", "metadata"))
        .file("usr/share/nodejs/@scope/thing/package.json", seed("described", "package"))
        .file("usr/share/java/app.jar", seed("jar", "nested"))
        .file("usr/share/java/broken.jar", "not a zip\n");
    let site = Site::with(archive().package(tool));
    site.env.write("web/node_modules/left-pad/package.json", "{\"name\": \"left-pad\", \"version\": \"1.3.0\"}");
    site.recipe("web", &["tool", "greeter"], "[files]\n\"/srv/app/node_modules\" = \"node_modules\"\n");
    site.ok("build web");
    site
}

#[test]
fn what_is_compiled_in_stands_next_to_the_packages() {
    let site = site();
    let session = site.session(&["inspect --deep example.com/web"]);
    let (_, compiled) = session.split_once("compiled in:").expect("what is compiled in");
    assert_snapshot!(format!("compiled in:{compiled}"), @r"
    compiled in:  11 components
      example.com/web 1.0
        npm left-pad 1.3.0  /srv/app/node_modules/left-pad/package.json
      debian.org/tool 0.1
        /usr/bin/tool
          go example.com/new v1.1.0
          go example.com/tool (devel)
          go golang.org/x/text v0.3.7
          go stdlib 1.22.3
        /usr/lib/libtool.so.1
          rust adler 1.0.2
          rust tool 0.1.0
        python requests 2.28.1  /usr/lib/python3/dist-packages/requests-2.28.1.dist-info/METADATA
        /usr/share/java/app.jar
          java app 1
          java org.apache.logging.log4j:log4j-core 2.14.1  in BOOT-INF/lib/log4j-core-2.14.1.jar
        npm @scope/thing 1.2.3  /usr/share/nodejs/@scope/thing/package.json
        /usr/share/java/broken.jar  unread: the archive can't be read: it is no zip file, or a damaged one
    ");
    let plain = site.stdout("inspect example.com/web");
    assert!(!plain.contains("compiled in"), "{plain}");
}

#[test]
fn a_second_look_reads_no_file_and_a_collection_takes_what_was_kept() {
    let site = site();
    let look = || serde_json::from_str::<Value>(&site.stdout("inspect --deep --json example.com/web")).expect("JSON");
    let kept = |document: &Value| {
        let list = document["compiled"].as_array().expect("a list").clone();
        list.iter().map(|one| one["kept"].as_bool().expect("kept")).collect::<Vec<_>>()
    };
    let first = look();
    assert_eq!(kept(&first), [false, false]);
    // Not even what is gone is missed.
    fs::remove_file(object(&site, &String::from_utf8(seed("described", "metadata")).expect("text"))).expect("remove");
    let second = look();
    assert_eq!(kept(&second), [true, true]);
    assert_eq!(first["compiled"][1]["components"], second["compiled"][1]["components"]);
    assert_eq!(first["compiled"][1]["unread"], second["compiled"][1]["unread"]);

    let folder = store(&site).join("cache/readings/compiled");
    let readings = || fs::read_dir(&folder).expect("readings").map(|one| one.expect("one").path()).collect::<Vec<_>>();
    assert_eq!(readings().len(), 6, "the image, greeter, libgreet, tool, and the base's two");
    // Another version of the reader wrote them, or a loss of power did: the files are read again, and now one is missed.
    for reading in readings() {
        let text = fs::read_to_string(&reading).expect("a reading");
        fs::write(&reading, text.replace("\"version\":2", "\"version\":1")).expect("write");
    }
    let output = site.run("inspect --deep example.com/web").failure(1);
    assert!(output.stderr.contains("is not in the store"), "{output:?}");
    site.ok("remove example.com/web");
    site.ok("gc");
    assert_eq!(readings(), Vec::<std::path::PathBuf>::new());
}

#[test]
fn images_are_found_by_what_is_compiled_in() {
    let site = site();
    assert_snapshot!(site.session(&[
        "which --deep log4j-core <2.17",
        "which --deep org.apache.logging.log4j:log4j-core >=2.17",
        "which --deep golang.org/x/text <v0.3.8",
        "which --deep example.com/tool <0.1",
        "which --deep left-pat",
        "which --deep --quiet left-pad",
        "which --deep log4j-core =<2",
    ]), @r#"
    $ larder which --deep log4j-core <2.17
    2> note: 1 file can't be read: `larder inspect --deep` names them and says why
    IMAGE                DIGEST        PACKAGE              COMPILED IN                                      FILE
    example.com/web@1.0  <1>           debian.org/tool 0.1  java org.apache.logging.log4j:log4j-core 2.14.1  /usr/share/java/app.jar, in BOOT-INF/lib/log4j-core-2.14.1.jar
    $ larder which --deep org.apache.logging.log4j:log4j-core >=2.17
    2> note: 1 file can't be read: `larder inspect --deep` names them and says why
    IMAGE  DIGEST  PACKAGE  COMPILED IN  FILE
    $ larder which --deep golang.org/x/text <v0.3.8
    2> note: 1 file can't be read: `larder inspect --deep` names them and says why
    IMAGE                DIGEST        PACKAGE              COMPILED IN                  FILE
    example.com/web@1.0  <1>           debian.org/tool 0.1  go golang.org/x/text v0.3.7  /usr/bin/tool
    $ larder which --deep example.com/tool <0.1
    2> note: 1 file can't be read: `larder inspect --deep` names them and says why
    IMAGE                DIGEST        PACKAGE              COMPILED IN                  FILE
    example.com/web@1.0  <1>           debian.org/tool 0.1  go example.com/tool (devel)  /usr/bin/tool
    $ larder which --deep left-pat
    2> note: nothing that says what is compiled into it has left-pat; did you mean left-pad?
    2> note: 1 file can't be read: `larder inspect --deep` names them and says why
    IMAGE  DIGEST  PACKAGE  COMPILED IN  FILE
    $ larder which --deep --quiet left-pad
    IMAGE                DIGEST        PACKAGE              COMPILED IN         FILE
    example.com/web@1.0  <1>           example.com/web 1.0  npm left-pad 1.3.0  /srv/app/node_modules/left-pad/package.json
    $ larder which --deep log4j-core =<2
    2> error: "component =<2" is not a package: a constraint begins with one of < <= = >= > (write "name", "name =1.2-3" or "name >=1.2, <2")
    [exit code 1]
    "#);
    // The image has no right-pad any more, and one of its earlier records had.
    site.env.write("web/node_modules/left-pad/package.json", "{\"name\": \"right-pad\", \"version\": \"1.0.0\"}");
    site.ok("build web");
    assert_snapshot!(site.session(&["which --deep -q left-pad", "which --deep -q --all left-pad"]), @"
    $ larder which --deep -q left-pad
    IMAGE  DIGEST  PACKAGE  COMPILED IN  FILE
    $ larder which --deep -q --all left-pad
    IMAGE                DIGEST        PACKAGE              COMPILED IN         FILE
    example.com/web@1.0  <1>           example.com/web 1.0  npm left-pad 1.3.0  /srv/app/node_modules/left-pad/package.json
    ");
}

fn store(site: &Site) -> std::path::PathBuf {
    let found = object(site, &String::from_utf8(seed("described", "package")).expect("text"));
    found.ancestors().nth(3).expect("a store").to_owned()
}

/// What `cargo auditable` does, done by hand with the compiler that is here.
#[test]
fn a_program_made_here_says_its_crates() {
    let site = Site::new();
    let list = seed("compiled", "rust");
    let at = list.windows(2).position(|part| part == b"\x78\x9c").expect("zlib");
    let bytes: Vec<String> = list[at..at + 160].iter().map(u8::to_string).collect();
    let source = format!(
        "#[used]\n#[unsafe(link_section = \".dep-v0\")]\nstatic LIST: [u8; 160] = [{}];\nfn main() {{}}\n",
        bytes.join(", ")
    );
    let file = site.env.write("program.rs", source);
    let program = site.env.path("web/program");
    site.recipe("web", &["greeter"], "base = \"none\"\n[files]\n\"/srv/libprogram.so\" = \"program\"\n");
    let compiled = Command::new("rustc").args(["--edition", "2024", "-o"]).arg(&program).arg(&file).output();
    match compiled {
        Ok(output) if output.status.success() => {}
        other => return skip("a program made here", format!("rustc makes none: {other:?}")),
    }
    // The archive of the tests has no C library to run it with.
    fs::set_permissions(&program, fs::Permissions::from_mode(0o644)).expect("mode");
    site.ok("build web");
    let text = site.stdout("inspect --deep example.com/web");
    assert!(text.contains("rust adler 1.0.2") && text.contains("rust tool 0.1.0"), "{text}");
}
