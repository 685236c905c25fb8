//! `[build] with` packages of one's own: by name, by the folders of their recipes, from distributions.

use std::fs;

use insta::assert_snapshot;

use super::own::own;
use super::package::{machine, recipe, refused, says};
use super::site::Site;

/// The same recipe, built with something else.
fn built_with(site: &Site, name: &str, with: &str) {
    let path = format!("{name}/larder.toml");
    let text = fs::read_to_string(site.env.path(&path)).expect("the recipe");
    site.env.write(&path, text.replacen("with = [\"buildtools\"]", &format!("with = [\"buildtools\", {with}]"), 1));
}

/// `example.com/lib`, whose header is a split, and which says `word`.
fn library(site: &Site, word: &str) {
    let make = format!(
        "mkdir -p $OUT/opt/lib $OUT/usr/include\necho {word} > $OUT/opt/lib/word\necho {word} > $OUT/usr/include/word.h"
    );
    recipe(site, "lib", ("", &make, "[split.dev]\npaths = [\"/usr/include\"]\nsummary = \"Headers\""));
}

const USE: &str = "mkdir -p $OUT/opt/app\ncat /opt/lib/word > $OUT/opt/app/said\ntest ! -e /usr/include/word.h || cat /usr/include/word.h >> $OUT/opt/app/said";

#[test]
fn what_a_package_is_built_with_is_built_first() {
    let Some(site) = machine() else { return };
    library(&site, "one");
    recipe(&site, "app", ("", USE, ""));
    built_with(&site, "app", "{ path = \"../lib\" }");
    let lines = ["build app", "build app", "provenance example.com/app"];
    assert_snapshot!(site.session(&lines), @"
    $ larder build app
    2> fetch and convert 1 package
    2> build example.com/lib@1.0
    2> build example.com/app@1.0
      example.com/app 1 file, 4 B
    4 packages in the sandbox, 0 fetched (0 B); no test
    built example.com/app@1.0, unsigned
    blake3:<1>
    $ larder build app
      example.com/app 1 file, 4 B
    built before from the same inputs; nothing was run
    unchanged example.com/app@1.0, unsigned
    blake3:<1>
    $ larder provenance example.com/app
    what:         example.com/app@1.0
    digest:       blake3:<1>
    made:         built in a sandbox, by larder 0.1.0
    when:         YYYY-MM-DD hh:mm to YYYY-MM-DD hh:mm
    signed:       unsigned
    parameter:    architecture = amd64
    parameter:    env = {}
    parameter:    from = debian.org/bookworm
    parameter:    inputs = blake3:<2>
    parameter:    rule = build/1
    parameter:    run = mkdir -p $OUT/opt/app
    cat /opt/lib/word > $OUT/opt/app/said
    test ! -e /usr/include/word.h || cat /usr/include/word.h >> $OUT/opt/app/said

    parameter:    source_date_epoch = 432679132
    parameter:    with = buildtools, example.com/lib
    source:       larder.toml sha256:<3>
    input:        debian.org/base-files/declarations@12.4+table1 <4>
    input:        debian.org/base-files@12.4 <5>
    input:        debian.org/buildtools@1 <6>
    input:        debian.org/toolbox@1.36 <7>
    input:        example.com/lib@1.0 <8>
    input:        host.internal/sandbox-user@1 <9>
    ");
    let lock = fs::read_to_string(site.env.path("app/larder.lock")).expect("a lock");
    assert!(lock.contains("name = \"example.com/lib\"") && lock.contains("origin = \"store\""), "{lock}");
    site.ok("verify --rebuild example.com/app");
    // What it is built with has changed, and so has the package.
    library(&site, "two");
    assert_snapshot!(site.session(&["build -q --locked app", "build app"]), @"
    $ larder build -q --locked app
    2> error: example.com/lib is built to blake3:<1>, and the lock has blake3:<2>
    2>   hint: build without --locked to take what its recipe has become
    [exit code 1]
    $ larder build app
    2> build example.com/app@1.0
      ~ example.com/lib 1.0, other content
      example.com/app 1 file, 4 B
    4 packages in the sandbox, 0 fetched (0 B); no test
    built example.com/app@1.0, unsigned
    blake3:<3>
    ");
    // A split by its name is the one that was just built, whatever the lock has.
    built_with(&site, "app", "{ path = \"../lib\" }, ");
    let text = fs::read_to_string(site.env.path("app/larder.toml")).expect("the recipe");
    site.env.write("app/larder.toml", text.replace("with = [", "with = [\"example.com/lib-dev\", "));
    let before = site.stdout("build -q app");
    let make =
        "mkdir -p $OUT/opt/lib $OUT/usr/include\necho two > $OUT/opt/lib/word\necho three > $OUT/usr/include/word.h";
    recipe(&site, "lib", ("", make, "[split.dev]\npaths = [\"/usr/include\"]\nsummary = \"Headers\""));
    assert_ne!(site.stdout("build -q app"), before);
}

#[test]
fn packages_of_the_store_and_of_distributions() {
    let Some(site) = machine() else { return };
    own("example.com/lib", "1").file("opt/lib/word", "one\n").publish(&site);
    recipe(&site, "app", ("", USE, ""));
    built_with(&site, "app", "\"example.com/lib <2\"");
    site.ok("build -q app");
    let built = site.stdout("build --json app");
    assert!(built.contains("\"cached\": true"), "{built}");
    // What the lock has stays until it is updated.
    own("example.com/lib", "1.5").file("opt/lib/word", "one and a half\n").publish(&site);
    assert!(site.stdout("build --json app").contains("\"cached\": true"));
    assert_snapshot!(site.session(&["update app lib"]), @"
    $ larder update app lib
    2> build example.com/app@1.0
      ~ example.com/lib 1 -> 1.5
      example.com/app 1 file, 15 B
    4 packages in the sandbox, 0 fetched (0 B); no test
    built example.com/app@1.0, unsigned
    blake3:<1>
    ");
    own("example.com/lib", "2").file("opt/lib/word", "two\n").publish(&site);
    let stack = "[distribution]\nname = \"example.com/stack\"\nversion = \"1\"\npackages = [\"example.com/lib =1\"]\nfrom = \"debian.org/bookworm\"\n\
                 [test]\npackages = [\"lib\"]\nrun = [\"true\"]\n";
    site.env.write("stack/larder.toml", stack);
    site.ok("build -q stack");
    recipe(&site, "app", ("", USE, "[test]\nrun = \"cat /opt/app/said\""));
    built_with(&site, "app", "\"lib\"");
    let text = fs::read_to_string(site.env.path("app/larder.toml")).expect("the recipe");
    let text =
        text.replace("from = \"debian.org/bookworm\"", "from = [\"example.com/stack\", \"debian.org/bookworm\"]");
    site.env.write("app/larder.toml", text);
    let output = site.run("build app").success();
    assert!(output.stdout.contains("~ example.com/lib 1.5 -> 1"), "{output:?}");
}

#[test]
fn a_circle_is_named_in_full() {
    let Some(site) = machine() else { return };
    for (name, next) in [("a", "b"), ("b", "c"), ("c", "a")] {
        recipe(&site, name, ("", "mkdir $OUT/opt\ntouch $OUT/opt/x", ""));
        built_with(&site, name, &format!("{{ path = \"../{next}\" }}"));
    }
    let words =
        "these packages need each other to be built: example.com/a -> example.com/b -> example.com/c -> example.com/a";
    says(&refused(&site, "a"), &[words]);
    says(&site.run("shell a").failure(125).stderr, &[words]);
    says(&site.run("build a b c").failure(1).stderr, &[words]);
    site.env.write("box/larder.toml", "[image]\nname = \"example.com/box\"\nversion = \"1\"\nfrom = \"debian.org/bookworm\"\npackages = [{ path = \"../a\" }]\n");
    says(&site.run("build box").failure(1).stderr, &[words]);
    // Itself, by folder and by name.
    recipe(&site, "self", ("", "true", ""));
    built_with(&site, "self", "{ path = \"../self\" }");
    let words = "these packages need each other to be built: example.com/self -> example.com/self";
    says(&refused(&site, "self"), &[words]);
    recipe(&site, "self", ("", "true", ""));
    built_with(&site, "self", "\"example.com/self\"");
    says(&refused(&site, "self"), &[words]);
    // By what a package of the store requires.
    own("example.com/deep", "1").requires(&["example.com/round"]).publish(&site);
    own("example.com/wide", "1").requires(&["example.com/deep"]).publish(&site);
    own("example.com/round", "1").publish(&site);
    recipe(&site, "round", ("", "true", ""));
    built_with(&site, "round", "\"example.com/wide\"");
    says(
        &site.run("build round").failure(1).stderr,
        &["built: example.com/round -> example.com/wide -> example.com/deep -> example.com/round"],
    );
    // By what a package that is built first requires.
    recipe(&site, "c", ("requires = [\"example.com/a\"]", "true", ""));
    says(&refused(&site, "a"), &["built: example.com/a -> example.com/b -> example.com/c -> example.com/a"]);
}

#[test]
fn what_cant_be_built_with_is_said() {
    let Some(site) = machine() else { return };
    recipe(&site, "app", ("", "true", ""));
    let good = fs::read_to_string(site.env.path("app/larder.toml")).expect("the recipe");
    let mut said = String::new();
    for with in [
        "\"example.com/nothing\"",
        "{ path = \"../nowhere\" }",
        "{ path = \"../box\" }",
        "{ path = \"/etc\" }",
        "{ folder = \"../lib\" }",
        "{ }",
        "7",
    ] {
        site.env.write("app/larder.toml", &good);
        built_with(&site, "app", with);
        said += &site.session(&["build -q app"]);
    }
    assert_snapshot!(said, @r#"
    $ larder build -q app
    2> error: there is no package example.com/nothing in the store
    2>   hint: `larder build` its recipe first, or name the folder of the recipe: { path = "../hello" }
    [exit code 1]
    $ larder build -q app
    2> error: app/../nowhere: there is no recipe here
    2>   hint: name a folder that holds a larder.toml, or write one: docs/recipe.md shows how
    [exit code 1]
    $ larder build -q app
    2> error: app/../box/larder.toml: this is the recipe of an image, and that of a package is needed here
    2>   hint: name the folder of the other recipe
    [exit code 1]
    $ larder build -q app
    2> error: app/larder.toml:8:32: `path`: "/etc" can't be the folder of a recipe: it is absolute
    2>   |
    2> 8 | with = ["buildtools", { path = "/etc" }]
    2>   |                                ^^^^^^
    2>   hint: write it relative to this recipe's folder, such as { path = "../hello" }
    [exit code 1]
    $ larder build -q app
    2> error: app/larder.toml:8:25: with[] has no key `folder`
    2>   |
    2> 8 | with = ["buildtools", { folder = "../lib" }]
    2>   |                         ^^^^^^
    2>   hint: its keys are `path`
    [exit code 1]
    $ larder build -q app
    2> error: app/larder.toml:8:23: with[] has no `path`
    2>   |
    2> 8 | with = ["buildtools", { }]
    2>   |                       ^^^
    2>   hint: write, for example: { path = "../hello" }
    [exit code 1]
    $ larder build -q app
    2> error: app/larder.toml:8:23: `with[]` must be a string or a table such as { path = "../hello" }, not a number
    2>   |
    2> 8 | with = ["buildtools", 7]
    2>   |                       ^
    [exit code 1]
    "#);
}
