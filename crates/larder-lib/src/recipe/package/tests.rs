//! What a package's recipe means, and what the errors say about wrong ones.

use std::path::Path;
use std::time::Duration;

use super::super::{CommandLine, Document, RecipeError};
use super::{PackageRecipe, SourceSpec};

const HELLO: &str = r#"
[package]
name     = "example.com/hello"
version  = "2.12.1"
summary  = "A friendly greeting"
license  = "GPL-3.0-or-later"
homepage = "https://example.com/hello"
requires = ["debian.org/libc6 >=2.36", "debian.org/zlib1g >=1, <2"]
stands-in-for = ["debian.org/hello"]
configuration = ["/etc/hello.conf"]
imports = { "/usr/lib/hello/words" = "debian.org/wamerican" }

[source]
path = "src"

[build]
from = "debian.org/bookworm"
with = ["make", "gcc", "debian.org/libc6-dev"]
run  = "make && make install DESTDIR=$OUT"
timeout = "30m"
env = { CFLAGS = "-O2" }

[host]
kernel       = ">=5.10"
features     = ["overlayfs"]
capabilities = ["CAP_NET_BIND_SERVICE"]
memory       = "64m"
arch         = ["arm64", "amd64"]

[split.dev]
paths   = ["/usr/include"]
summary = "Headers"

[install]
links = { "/usr/bin/hi" = "hello" }
alternatives = [{ name = "greet", link = "/usr/bin/greet", path = "/usr/bin/hello", priority = -5, followers = [
    { name = "greet.1", link = "/usr/share/man/man1/greet.1", path = "/usr/share/man/man1/hello.1" },
] }]
users = [{ name = "greeter", home = "/var/lib/greeter" }]

[actions]
start = ["hello", "--forever"]

[test]
run  = "hello | grep -q Hello"
with = ["grep"]
"#;

fn parse(text: &str) -> Result<PackageRecipe, RecipeError> {
    PackageRecipe::parse(Path::new("hello/larder.toml"), text)
}

/// The example with one text in the place of another.
fn with(from: &str, to: &str) -> Result<PackageRecipe, RecipeError> {
    assert!(HELLO.contains(from), "{from}");
    parse(&HELLO.replacen(from, to, 1))
}

fn told(result: Result<PackageRecipe, RecipeError>) -> String {
    let error = result.expect_err("must be refused");
    format!("{error} | {}", error.help().unwrap_or_default())
}

#[test]
fn the_example_means_what_it_says() {
    let recipe = parse(HELLO).expect("a recipe");
    assert_eq!((recipe.name.as_str(), recipe.version.as_str()), ("example.com/hello", "2.12.1"));
    let parts: Vec<_> = recipe.relations.requires.iter().flat_map(super::Requirement::parts).collect();
    assert_eq!(parts, ["debian.org/libc6 (>= 2.36)", "debian.org/zlib1g (>= 1)", "debian.org/zlib1g (<< 2)"]);
    assert_eq!(recipe.relations.stands_in_for[0].parts(), ["debian.org/hello"]);
    assert!(matches!(&recipe.source, Some(SourceSpec::Path(source)) if source.path == "src"));
    let tools: Vec<_> = recipe.build.with.iter().map(ToString::to_string).collect();
    assert_eq!(tools, ["gcc", "libc6-dev", "make"]);
    assert_eq!(recipe.build.timeout, Duration::from_secs(1800));
    assert_eq!(recipe.asks.kernel.map(|kernel| kernel.to_string()).as_deref(), Some("5.10"));
    assert_eq!(
        (recipe.asks.capabilities.as_slice(), recipe.asks.memory),
        (&["NET_BIND_SERVICE".to_owned()][..], 64 << 20)
    );
    assert_eq!(recipe.architectures, ["amd64", "arm64"]);
    assert_eq!(recipe.splits["dev"].summary, "Headers");
    assert_eq!((recipe.links[0].path.to_string(), recipe.links[0].target.as_str()), ("usr/bin/hi".to_owned(), "hello"));
    let alternative = &recipe.alternatives[0];
    assert_eq!((alternative.name.as_str(), alternative.priority, alternative.followers.len()), ("greet", -5, 1));
    assert_eq!((recipe.users[0].group.as_str(), recipe.users[0].shell.as_str()), ("greeter", "/usr/sbin/nologin"));
    assert_eq!(
        recipe.imports.iter().map(|(path, name)| format!("{path} {name}")).collect::<Vec<_>>(),
        ["usr/lib/hello/words debian.org/wamerican"]
    );
    assert_eq!(recipe.actions["start"], ["hello", "--forever"]);
    let test = recipe.test.expect("a test");
    assert_eq!(test.run, CommandLine::Shell("hello | grep -q Hello".to_owned()));
    let list = with("\"hello | grep -q Hello\"", "[\"hello\", \"--version\"]").expect("a recipe");
    assert_eq!(list.test.expect("a test").run.words(), ["hello", "--version"]);
    assert!(matches!(Document::parse(Path::new("larder.toml"), HELLO), Ok(Document::Package(_))));
}

#[test]
fn wrong_words_are_pointed_at() {
    for (from, to, says) in [
        ("summary  =", "sumary =", "[package] has no key `sumary` | did you mean `summary`?"),
        ("[source]", "[sources]", "a recipe has no table [sources] | did you mean [source]?"),
        (
            "[package]",
            "run = \"make\"\n[package]",
            "`run` belongs in [build] | move the line with `run` below the line [build]",
        ),
        ("[package]", "[image]\n[package]", "this one has both [package] and [image]"),
        ("paths ", "path ", "[split.dev] has no key `path` | did you mean `paths`?"),
        ("version  = \"2.12.1\"\n", "", "[package] has no `version` | add a line such as: version = \"1.0\""),
        ("\"2.12.1\"", "\"2 beta\"", "\"2 beta\" isn't a version"),
        ("example.com/hello\"", "debian.org/hello\"", "can't be a name of your own"),
        (
            "debian.org/libc6 >=2.36",
            "libc6 >=2.36",
            "whose package it is isn't said | write it as in \"debian.org/libc6\"",
        ),
        ("debian.org/libc6 >=2.36", "debian.org/libc6 >>", "a constraint has no version"),
        ("path = \"src\"", "path = \"../src\"", "`..` leads outside"),
        (
            "path = \"src\"",
            "url = \"https://x/y\"\nsha256 = \"0000000000000000000000000000000000000000000000000000000000000000\"\nsignature = \"y.sig\"",
            "[source] says `sha256` and `signature` and `url`; it must say one of `path`",
        ),
        (
            "path = \"src\"",
            "url = \"https://x/y\"\nsha256 = \"0000000000000000000000000000000000000000000000000000000000000000\"\nsignature = \"ftp://x/y.sig\"\nsigned-by = \"key\"",
            "`signature`: \"ftp://x/y.sig\" isn't an address: it begins with none of the schemes",
        ),
        (
            "path = \"src\"",
            "url = \"https://x/y\"\nsha256 = \"0000000000000000000000000000000000000000000000000000000000000000\"\nsignature = \"y.sig\"\nsigned-by = \"/etc/key\"",
            "\"/etc/key\"",
        ),
        ("path = \"src\"", "url = \"https://x/y\"", "[source] says `url`; it must say one of `path`"),
        ("path = \"src\"", "git = \"ext::sh\"\ncommit = \"abc\"", "it begins with none of the schemes"),
        ("path = \"src\"", "git = \"https://x/y\"\ncommit = \"main\"", "\"main\" isn't a commit"),
        ("path = \"src\"", "url = \"https://x/y\"\nsha256 = \"12\"", "\"12\" isn't a SHA-256"),
        ("\"30m\"", "\"30 minutes\"", "isn't a time"),
        ("\"64m\"", "\"0m\"", "isn't an amount of memory"),
        ("\">=5.10\"", "\"5.10\"", "isn't the oldest kernel that will do | write \">=\" and"),
        ("CAP_NET", "cap-net", "isn't a capability"),
        ("\"make && make install DESTDIR=$OUT\"", "\"\"", "`run`: it is empty"),
        ("name = \"greeter\"", "name = \"Greeter\"", "\"Greeter\" isn't the name of a user"),
        ("home = \"/var", "homes = \"/var", "[install.users] has no key `homes` | did you mean `home`?"),
        ("\"/var/lib/greeter\"", "\"/var:x\"", "it has a colon"),
        ("\"debian.org/wamerican\"", "\"wamerican\"", "`imports`: \"wamerican\" isn't a name"),
        ("\"/usr/bin/hi\"", "\"/\"", "`links`: \"/\" isn't a path: it is empty"),
        ("\"/usr/bin/hi\"", "\"usr/bin/hi\"", "\"usr/bin/hi\" isn't a path: it doesn't begin with a slash"),
        ("\"/usr/bin/hi\"", "\"/usr/../etc/passwd\"", "isn't a path"),
        ("\"/usr/bin/hi\"", "\"/usr//bin\"", "isn't a path"),
        ("\"/usr/bin/hi\"", "\"/bin/hi\"", "that folder is only another name of one below /usr"),
        ("\"/usr/bin/hi\"", "\"/packages/x\"", "that folder belongs to Larder or the kernel"),
        ("\"/usr/bin/hi\"", "\"/proc\"", "that folder belongs to Larder or the kernel"),
        ("= \"hello\" }", "= \"\" }", "`links`: it is empty"),
        (
            "\"/usr/bin/hi\" = \"hello\"",
            "\"/opt/a\" = \"b\", \"/opt/a/b/c\" = \"d\"",
            "/opt/a/b/c lies below /opt/a, which is to be a link | ",
        ),
        (
            "users = [{",
            "\nalternatives = [ { name = \"x\", link = \"/x\", path = \"/y\", priority = 1 } ]\nusers = [{",
            "this isn't TOML: duplicate key",
        ),
        (
            "] }]\n",
            "] }, { name = \"greet\", link = \"/usr/bin/greet\", path = \"/usr/bin/hello\", priority = 1 }]\n",
            "[install] has /usr/bin/hello for the alternative \"greet\" twice | leave one of the two out",
        ),
        ("priority = -5", "priority = 1.5", "`priority` must be a whole number of 64 bits, not a number"),
        ("priority = -5", "priority = 9223372036854775808", "`priority` must be a whole number of 64 bits"),
        (", priority = -5", "", "[install.alternatives] has no `priority`"),
        ("link = \"/usr/bin/greet\", ", "", "[install.alternatives] has no `link`"),
        ("followers", "slaves", "[install.alternatives] has no key `slaves`"),
        ("name = \"greet\"", "name = \"../greet\"", "\"../greet\" isn't the name of an alternative"),
        ("name = \"greet\"", "name = \"\"", "isn't the name of an alternative"),
        ("link = \"/usr/bin/greet\"", "link = \"/packages/x\"", "that folder belongs to Larder"),
        (
            "\"/usr/bin/greet\"",
            "\"/usr/bin/hi\"",
            "/usr/bin/hi is to be a link of the alternative \"greet\", and another one of [install] as well",
        ),
        ("run  = \"hello", "ran  = \"hello", "[test] has no key `ran`"),
        ("run  = \"hello | grep -q Hello\"\n", "", "[test] has no `run` | add a line such as: run = \"nginx -t\""),
        ("\"hello | grep -q Hello\"", "\" \"", "`run`: it is empty"),
        ("\"hello | grep -q Hello\"", "[]", "the list names no program"),
        ("\"hello | grep -q Hello\"", "7", "`run` must be a line for the shell or a list of strings, not a number"),
        ("start = [\"hello\", \"--forever\"]", "start = []", "the list names no program"),
        ("start = [", "begin = [", "[actions] has no key `begin`"),
        ("\"/usr/include\"", "\"usr/include\"", "it doesn't begin with a slash"),
    ] {
        let told = told(with(from, to));
        assert!(told.starts_with("hello/larder.toml:") && told.contains(says), "{told}\ndoesn't say\n{says}");
    }
}

#[test]
fn the_recipe_of_a_package_is_none_of_an_image() {
    let error = super::super::Recipe::parse(Path::new("larder.toml"), HELLO).expect_err("no image");
    assert_eq!(error.to_string(), "larder.toml: this is the recipe of a package, and that of an image is needed here");
}
