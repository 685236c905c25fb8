//! Recipes and locks that can't be used, as their author sees it. None of this needs an archive: the images have no packages.

use std::fs;
use std::os::unix::fs::symlink;

use larder_testkit::TestEnv;

/// A recipe of files alone.
const FILES: &str = "[image]\nname = \"example.com/files\"\nversion = \"1\"\nbase = \"none\"\n\n[files]\n";

fn env() -> TestEnv {
    TestEnv::new(env!("CARGO_BIN_EXE_larder"))
}

/// What `larder build web` says about a recipe, which it must refuse.
#[track_caller]
fn refused(env: &TestEnv, recipe: &str) -> String {
    env.write("web/larder.toml", recipe);
    let output = env.larder(["build", "web"]).failure(1);
    assert_eq!(output.stdout, "");
    assert!(!env.path("web/larder.lock").exists(), "a failed build has written a lock");
    assert_eq!(env.larder(["images", "--json"]).success().stdout.matches("\"digest\"").count(), 0);
    output.stderr.replace(&env.folder().display().to_string(), "$DIR")
}

#[track_caller]
fn says(text: &str, lines: &[&str]) {
    for line in lines {
        assert!(text.contains(line), "{text}\ndoesn't say\n{line}");
    }
}

#[test]
fn wrong_words_are_pointed_at() {
    let env = env();
    let recipe = FILES.replace("version", "verison");
    says(
        &refused(&env, &recipe),
        &["error: web/larder.toml:3:1: [image] has no key `verison`", "did you mean `version`?"],
    );
    says(&refused(&env, "name = {"), &["error: web/larder.toml:1:", "this isn't TOML"]);
    says(
        &refused(&env, &FILES.replace("[files]", "[fils]")),
        &["a recipe has no table [fils]", "did you mean [files]?"],
    );
    says(
        &refused(&env, &FILES.replace("\"1\"", "1")),
        &["web/larder.toml:3:11: `version` must be a string, not a number"],
    );
    says(
        &refused(&env, &FILES.replace("example.com", "debian.org")),
        &[
            "web/larder.toml:2:8: `name`: debian.org/files can't be a name of your own: debian.org is the namespace of Debian's packages",
            "a DNS domain of yours",
        ],
    );
}

#[test]
fn a_folder_without_a_recipe_is_named() {
    let env = env();
    env.make("empty");
    let output = env.larder(["build", "empty"]).failure(1);
    says(&output.stderr, &["error: empty/larder.toml: there is no recipe here", "docs/recipe.md"]);
}

#[test]
fn files_must_be_there_and_inside() {
    let env = env();
    let recipe = format!("{FILES}\"/srv/a\" = \"a\"\n");
    says(&refused(&env, &recipe), &["web/larder.toml:7:12: a: there is no such file or folder"]);
    fs::write(env.path("secret"), "secret").expect("file");
    symlink("../secret", env.path("web/a")).expect("link");
    says(
        &refused(&env, &recipe),
        &["a: it leads outside the recipe's folder", "put a copy of it into the recipe's folder"],
    );
    says(&refused(&env, &format!("{FILES}\"/srv/a\" = \"../secret\"\n")), &["`..` leads outside"]);
}

#[test]
fn a_program_that_cannot_start_is_no_image() {
    let env = env();
    env.write("web/start", "#!/usr/bin/ruby\n");
    let script = env.path("web/start");
    fs::set_permissions(&script, std::os::unix::fs::PermissionsExt::from_mode(0o755)).expect("mode");
    let text = refused(&env, &format!("{FILES}\"/usr/local/bin/start\" = \"start\"\n"));
    says(&text, &["/usr/local/bin/start (the image): its interpreter /usr/bin/ruby isn't in the image"]);
    // Where nobody looks for programs, the same file is worth a remark.
    env.write("web/larder.toml", format!("{FILES}\"/srv/start\" = \"start\"\n"));
    let output = env.larder(["build", "--verbose", "web"]).success();
    says(&output.stdout, &["finding: /srv/start (the image): its interpreter /usr/bin/ruby isn't in the image"]);
}

#[test]
fn locks_are_read_strictly() {
    let env = env();
    env.write("web/larder.toml", format!("{FILES}\"/srv/a\" = \"a\"\n"));
    env.write("web/a", "a");
    let output = env.larder(["build", "--locked", "web"]).failure(1);
    says(&output.stderr, &["there is no lock"]);
    let digest = env.larder(["build", "--quiet", "web"]).success().stdout;
    assert_eq!(env.larder(["build", "--quiet", "--locked", "web"]).success().stdout, digest);
    let lock = fs::read_to_string(env.path("web/larder.lock")).expect("lock");
    for (from, to, expected) in [
        ("format = 1", "format = 9", "has format 9, and this larder reads 3: use a newer larder"),
        ("format = 1", "<<<<<<< ours", "larder.lock:3:9: this isn't a lock"),
        ("base none", "base essential", "the recipe has, and the lock hasn't: base none"),
    ] {
        fs::write(env.path("web/larder.lock"), lock.replace(from, to)).expect("lock");
        let output = env.larder(["build", "--locked", "web"]).failure(1);
        says(&output.stderr, &[expected]);
    }
}

#[test]
fn the_digest_depends_on_the_files_alone() {
    let build = |names: &[&str]| {
        let env = env();
        for name in names {
            env.write(format!("web/site/{name}"), name);
        }
        env.write("web/larder.toml", format!("{FILES}\"/srv\" = \"site\"\n"));
        env.larder(["build", "--quiet", "web"]).success().stdout
    };
    assert_eq!(build(&["a", "b/c", "B"]), build(&["B", "b/c", "a"]));
    assert_ne!(build(&["a"]), build(&["b"]));
}
