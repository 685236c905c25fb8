//! Recipes that can't be used: each message names the place, the reason and the next step.

use insta::assert_snapshot;

use super::site::Site;

/// What building this recipe says.
fn build(text: &str) -> String {
    let site = Site::new();
    site.env.write("web/larder.toml", text);
    let shown = site.session(&["build web"]);
    assert!(!site.env.path("web/larder.lock").exists(), "no lock may be written");
    shown
}

/// A recipe with this in its `[image]`.
fn image(lines: &str) -> String {
    format!("[image]\nname = \"example.com/web\"\nversion = \"1.0\"\nfrom = \"debian.org/bookworm\"\n{lines}")
}

#[test]
fn a_misspelled_key() {
    assert_snapshot!(build(&image("pakages = [\"greeter\"]\n")), @r#"
    $ larder build web
    2> error: web/larder.toml:5:1: [image] has no key `pakages`
    2>   |
    2> 5 | pakages = ["greeter"]
    2>   | ^^^^^^^
    2>   hint: did you mean `packages`?
    [exit code 1]
    "#);
    assert_snapshot!(build(&image("colour = \"red\"\n")), @r#"
    $ larder build web
    2> error: web/larder.toml:5:1: [image] has no key `colour`
    2>   |
    2> 5 | colour = "red"
    2>   | ^^^^^^
    2>   hint: its keys are `name`, `version`, `from`, `base`, `packages`, `captured`, `recommends`, `run`, `env`, `user`, `workdir`, `stop-signal`, `labels`, `documentation`
    [exit code 1]
    "#);
    assert_snapshot!(build(&image("[file]\n\"/a\" = \"b\"\n")), @r"
    $ larder build web
    2> error: web/larder.toml:5:2: a recipe has no table [file]
    2>   |
    2> 5 | [file]
    2>   |  ^^^^
    2>   hint: did you mean [files]?
    [exit code 1]
    ");
}

#[test]
fn a_misspelled_package() {
    assert_snapshot!(build(&image("packages = [\"greter\"]\n")), @r#"
    $ larder build web
    2> fetch the package list of bookworm
    2> fetch the package list of bookworm-security
    2> fetch the package list of bookworm-updates
    2> error: can't choose packages from debian.org/bookworm:
    2>   nothing is called "greter", and nothing provides it; did you mean greeter?
    [exit code 1]
    "#);
    assert_snapshot!(build(&image("packages = [\"zzzzzz\"]\n")), @r#"
    $ larder build web
    2> fetch the package list of bookworm
    2> fetch the package list of bookworm-security
    2> fetch the package list of bookworm-updates
    2> error: can't choose packages from debian.org/bookworm:
    2>   nothing is called "zzzzzz", and nothing provides it
    [exit code 1]
    "#);
    assert_snapshot!(build(&image("packages = [\"Greeter\"]\n")), @r#"
    $ larder build web
    2> fetch the package list of bookworm
    2> fetch the package list of bookworm-security
    2> fetch the package list of bookworm-updates
    2> error: can't choose packages from debian.org/bookworm:
    2>   nothing is called "Greeter", and nothing provides it; did you mean greeter?
    [exit code 1]
    "#);
}

#[test]
fn a_constraint_that_nothing_meets() {
    assert_snapshot!(build(&image("packages = [\"greeter >=2.0\"]\n")), @r#"
    $ larder build web
    2> fetch the package list of bookworm
    2> fetch the package list of bookworm-security
    2> fetch the package list of bookworm-updates
    2> error: can't choose packages from debian.org/bookworm:
    2>   no version meets "greeter >=2.0": there is 1.0
    [exit code 1]
    "#);
    assert_snapshot!(build(&image("packages = [\"greeter >=>2.0\"]\n")), @r#"
    $ larder build web
    2> error: web/larder.toml:5:13: `packages`: "greeter >=>2.0" is not a package: a constraint begins with one of < <= = >= > (write "name", "name =1.2-3" or "name >=1.2, <2")
    2>   |
    2> 5 | packages = ["greeter >=>2.0"]
    2>   |             ^^^^^^^^^^^^^^^^
    2>   hint: write a package's name, with constraints if you need them: "openssl", "openssl >=3.0", "openssl >=3.0, <4"
    [exit code 1]
    "#);
}

#[test]
fn a_distribution_that_is_not_there() {
    assert_snapshot!(build(&image("").replace("bookworm", "bokworm")), @r#"
    $ larder build web
    2> error: the mirror http://mirror/debian has no suite bokworm (http://mirror/debian/dists/bokworm/InRelease does not exist)
    2>   hint: check the spelling of `from = "debian.org/bokworm"`: bookworm and trixie are suites, for example
    [exit code 1]
    "#);
    assert_snapshot!(build(&image("").replace("debian.org/bookworm", "example.com/bookworm")), @r"
    $ larder build web
    2> error: example.com/bookworm is no distribution that this host knows
    2>   hint: `larder build` its recipe first; Debian's suites are known, such as debian.org/bookworm
    [exit code 1]
    ");
    assert_snapshot!(build(&image("").replace("debian.org/bookworm", "bookworm")), @r#"
    $ larder build web
    2> error: web/larder.toml:4:8: `from`: "bookworm" isn't a name: it has no slash (a name is DOMAIN/SEGMENT, such as debian.org/openssl)
    2>   |
    2> 4 | from = "bookworm"
    2>   |        ^^^^^^^^^^
    2>   hint: a name is a DNS domain of yours, a slash and a word in lower case, such as "example.com/web"
    [exit code 1]
    "#);
}

#[test]
fn text_that_is_not_toml() {
    assert_snapshot!(build("[image\nname = 1\n"), @r"
    $ larder build web
    2> error: web/larder.toml:1:7: this isn't TOML: unclosed table, expected `]`
    2>   |
    2> 1 | [image
    2>   |       ^
    [exit code 1]
    ");
    assert_snapshot!(build("FROM debian:12\nRUN apt-get install nginx\n"), @r"
    $ larder build web
    2> error: web/larder.toml:1:6: this isn't TOML: key with no value, expected `=`
    2>   |
    2> 1 | FROM debian:12
    2>   |      ^
    [exit code 1]
    ");
}

#[test]
fn keys_that_are_missing_or_of_another_type() {
    assert_snapshot!(build(""), @r#"
    $ larder build web
    2> error: web/larder.toml: the recipe has no table [image]
    2>   hint: begin the recipe with the line [image], or [package] for something to build, then: name = "example.com/web"
    [exit code 1]
    "#);
    assert_snapshot!(build("[image]\nversion = \"1\"\n"), @r#"
    $ larder build web
    2> error: web/larder.toml:1:2: [image] has no `name`
    2>   |
    2> 1 | [image]
    2>   |  ^^^^^
    2>   hint: write, for example: name = "example.com/web"
    [exit code 1]
    "#);
    assert_snapshot!(build(&image("packages = \"greeter\"\n")), @r#"
    $ larder build web
    2> error: web/larder.toml:5:12: `packages` must be a list of packages, not a string
    2>   |
    2> 5 | packages = "greeter"
    2>   |            ^^^^^^^^^
    [exit code 1]
    "#);
    assert_snapshot!(build(&image("run = [\"sh\", 1]\n")), @r#"
    $ larder build web
    2> error: web/larder.toml:5:14: `run[]` must be a string, not a number
    2>   |
    2> 5 | run = ["sh", 1]
    2>   |              ^
    [exit code 1]
    "#);
    assert_snapshot!(build(&image("").replace("example.com/web", "web")), @r#"
    $ larder build web
    2> error: web/larder.toml:2:8: `name`: "web" isn't a name: it has no slash (a name is DOMAIN/SEGMENT, such as debian.org/openssl)
    2>   |
    2> 2 | name = "web"
    2>   |        ^^^^^
    2>   hint: a name is a DNS domain of yours, a slash and a word in lower case, such as "example.com/web"
    [exit code 1]
    "#);
}

#[test]
fn no_recipe_at_all() {
    let site = Site::new();
    site.env.make("empty");
    assert_snapshot!(site.session(&["build empty", "build nowhere", "build", "run empty"]), @r"
    $ larder build empty
    2> error: empty/larder.toml: there is no recipe here
    2>   hint: name a folder that holds a larder.toml, or write one: docs/recipe.md shows how
    [exit code 1]
    $ larder build nowhere
    2> error: nowhere: there is no recipe here
    2>   hint: name a folder that holds a larder.toml, or write one: docs/recipe.md shows how
    [exit code 1]
    $ larder build
    2> error: ./larder.toml: there is no recipe here
    2>   hint: name a folder that holds a larder.toml, or write one: docs/recipe.md shows how
    [exit code 1]
    $ larder run empty
    2> error: empty/larder.toml: there is no recipe here
    2>   hint: name a folder that holds a larder.toml, or write one: docs/recipe.md shows how
    [exit code 125]
    ");
}

#[test]
fn files_that_are_not_there() {
    assert_snapshot!(build(&image("base = \"none\"\n[files]\n\"/a\" = \"nothing\"\n")), @r#"
    $ larder build web
    2> error: web/larder.toml:7:8: nothing: there is no such file or folder
    2>   |
    2> 7 | "/a" = "nothing"
    2>   |        ^^^^^^^^^
    2>   hint: sources in [files] are relative to the recipe's folder: check the spelling
    [exit code 1]
    "#);
}

#[test]
fn files_that_lead_outside() {
    assert_snapshot!(build(&image("base = \"none\"\n[files]\n\"/a\" = \"../secret\"\n")), @r#"
    $ larder build web
    2> error: web/larder.toml:7:8: "../secret" can't be a path within the recipe's folder: `..` leads outside
    2>   |
    2> 7 | "/a" = "../secret"
    2>   |        ^^^^^^^^^^^
    2>   hint: put the file into the recipe's folder and name it relative to that folder, such as "site/index.html"
    [exit code 1]
    "#);
    assert_snapshot!(build(&image("base = \"none\"\n[files]\n\"/a\" = \"/etc/passwd\"\n")), @r#"
    $ larder build web
    2> error: web/larder.toml:7:8: "/etc/passwd" can't be a path within the recipe's folder: it is absolute
    2>   |
    2> 7 | "/a" = "/etc/passwd"
    2>   |        ^^^^^^^^^^^^^
    2>   hint: put the file into the recipe's folder and name it relative to that folder, such as "site/index.html"
    [exit code 1]
    "#);
    assert_snapshot!(build(&image("base = \"none\"\n[files]\n\"a\" = \"larder.toml\"\n")), @r#"
    $ larder build web
    2> error: web/larder.toml:7:1: "a" can't be a path in the container: it doesn't begin with a slash
    2>   |
    2> 7 | "a" = "larder.toml"
    2>   | ^^^
    2>   hint: write it as an absolute path, such as "/etc/nginx/nginx.conf"
    [exit code 1]
    "#);
    assert_snapshot!(build(&image("base = \"none\"\n[files]\n\"/../a\" = \"larder.toml\"\n")), @r#"
    $ larder build web
    2> error: web/larder.toml:7:1: "/../a" can't be a path in the container: it has a `.` or `..` component
    2>   |
    2> 7 | "/../a" = "larder.toml"
    2>   | ^^^^^^^
    2>   hint: write it as an absolute path, such as "/etc/nginx/nginx.conf"
    [exit code 1]
    "#);
    assert_snapshot!(build(&image("base = \"none\"\n[files]\n\"/packages/a\" = \"larder.toml\"\n")), @r#"
    $ larder build web
    2> error: web/larder.toml:7:1: "/packages/a" can't be a path in the container: /packages belongs to Larder and the kernel
    2>   |
    2> 7 | "/packages/a" = "larder.toml"
    2>   | ^^^^^^^^^^^^^
    2>   hint: write it as an absolute path, such as "/etc/nginx/nginx.conf"
    [exit code 1]
    "#);
}

#[test]
fn links_that_lead_outside() {
    let site = Site::new();
    site.env.write("secret", "secret\n");
    site.env
        .write("web/larder.toml", image("base = \"none\"\n[files]\n\"/a\" = \"link\"\n\"/b\" = \"folder/secret\"\n"));
    std::os::unix::fs::symlink("../secret", site.env.path("web/link")).expect("link");
    std::os::unix::fs::symlink("..", site.env.path("web/folder")).expect("link");
    assert_snapshot!(site.session(&["build web"]), @r#"
    $ larder build web
    2> error: web/larder.toml:7:8: link: it leads outside the recipe's folder
    2>   |
    2> 7 | "/a" = "link"
    2>   |        ^^^^^^
    2>   hint: put a copy of it into the recipe's folder
    [exit code 1]
    "#);
    site.env.write("web/larder.toml", image("base = \"none\"\n[files]\n\"/b\" = \"folder/secret\"\n"));
    assert_snapshot!(site.session(&["build web"]), @r#"
    $ larder build web
    2> error: web/larder.toml:7:8: folder/secret: it leads outside the recipe's folder
    2>   |
    2> 7 | "/b" = "folder/secret"
    2>   |        ^^^^^^^^^^^^^^^
    2>   hint: put a copy of it into the recipe's folder
    [exit code 1]
    "#);
}

#[test]
fn a_set_that_cannot_be_installed_together() {
    use super::site::{archive, deb};
    let site = Site::with(
        archive().package(deb("old", "1").conflicts("greeter")).package(deb("needy", "1").depends("absent (>= 2)")),
    );
    site.recipe("web", &["greeter", "old"], "");
    assert_snapshot!(site.session(&["build web"]), @r#"
    $ larder build web
    2> fetch the package list of bookworm
    2> fetch the package list of bookworm-security
    2> fetch the package list of bookworm-updates
    2> error: can't choose packages from debian.org/bookworm:
    2>   greeter and old can't be installed together:
    2>     old 1 conflicts with greeter 1.0 ("Conflicts: greeter")
    [exit code 1]
    "#);
    site.recipe("web", &["needy"], "");
    assert_snapshot!(site.session(&["build web"]), @r"
    $ larder build web
    2> error: can't choose packages from debian.org/bookworm:
    2>   needy can't be installed:
    2>     needy 1 needs absent (>= 2), which does not exist
    [exit code 1]
    ");
}

#[test]
fn two_packages_with_one_path() {
    use super::site::{archive, deb};
    let site = Site::with(
        archive().package(deb("one", "1").file("usr/share/x", "1")).package(deb("two", "1").file("usr/share/x", "2")),
    );
    site.recipe("web", &["one", "two"], "");
    assert_snapshot!(site.session(&["build web"]), @r"
    $ larder build web
    2> fetch the package list of bookworm
    2> fetch the package list of bookworm-security
    2> fetch the package list of bookworm-updates
    2> fetch and convert 4 packages
    2> error: /usr/share/x is in both debian.org/one@1 and debian.org/two@1, with different content
    2>   hint: leave one of the two out, or put a file of your own there with [files]
    [exit code 1]
    ");
}

#[test]
fn an_image_that_would_not_work() {
    use super::site::{archive, deb};
    let site = Site::with(archive().package(deb("script", "1").program("usr/bin/script", "#!/usr/bin/perl\n")));
    site.recipe("web", &["script"], "");
    assert_snapshot!(site.session(&["build web", "images"]), @r"
    $ larder build web
    2> fetch the package list of bookworm
    2> fetch the package list of bookworm-security
    2> fetch the package list of bookworm-updates
    2> fetch and convert 3 packages
    2> error: the image would not work:
    2>   /usr/bin/script (debian.org/script@1): its interpreter /usr/bin/perl isn't in the image
    2>   hint: add the package that has what is missing, or put a file of your own there with [files]
    [exit code 1]
    $ larder images
    NAME  VERSION  DIGEST  PACKAGES  CREATED (UTC)  SIGNED
    ");
}

#[test]
fn a_file_where_a_directory_belongs() {
    let site = Site::new();
    site.env.write("web/larder.toml", image("base = \"none\"\n[files]\n\"/etc\" = \"file\"\n"));
    site.env.write("web/file", "x\n");
    assert_snapshot!(site.session(&["build -q web", "images"]), @r"
    $ larder build -q web
    2> error: /etc of example.com/web@1.0 is no directory, so /etc/group, which the composer users makes, has no place
    2>   hint: put the file somewhere else
    [exit code 1]
    $ larder images
    NAME  VERSION  DIGEST  PACKAGES  CREATED (UTC)  SIGNED
    ");
}

#[test]
fn a_recipe_that_is_no_text() {
    let site = Site::new();
    site.env.write("web/larder.toml", b"\xff\xfe");
    assert_snapshot!(site.session(&["build web"]), @r"
    $ larder build web
    2> error: web/larder.toml: the recipe isn't UTF-8 text: byte 0 is wrong
    2>   hint: check that this is the file you mean
    [exit code 1]
    ");
    site.env.write("web/larder.toml", vec![b'#'; 2 << 20]);
    assert_snapshot!(site.session(&["build web"]), @r"
    $ larder build web
    2> error: web/larder.toml: the recipe is larger than 1 MiB
    2>   hint: check that this is the file you mean
    [exit code 1]
    ");
}
