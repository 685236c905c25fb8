//! Actions of images, and the tests that their recipes name.

use insta::assert_snapshot;

use super::run::machine;
use super::site::Site;

#[test]
fn an_image_has_actions() {
    let Some(site) = machine(false) else { return };
    site.recipe(
        "served",
        &["hello"],
        "[actions]\nstart = [\"hello\", \"start\"]\nvalidate = [\"sh\", \"-c\", \"echo fine; exit 3\"]\n",
    );
    site.ok("build -q served");
    assert_snapshot!(site.session(&[
        "run served",
        "run --action start served",
        "run --action validate served",
        "run --action metrics served",
        "run --action restart served",
        "run --action validate box",
    ]), @r"
    $ larder run served
    hello, start
    $ larder run --action start served
    hello, start
    $ larder run --action validate served
    fine
    [exit code 3]
    $ larder run --action metrics served
    2> error: example.com/served@1.0 has no action metrics
    2>   hint: it has start, validate
    [exit code 125]
    $ larder run --action restart served
    2> error: invalid value 'restart' for '--action <ACTION>'
    2>   [possible values: metrics, monitor, start, validate]
    2>
    2>   tip: a similar value exists: 'start'
    2>
    2> For more information, try '--help'.
    [exit code 2]
    $ larder run --action validate box
    2> error: example.com/box@1.0 has no action validate
    2>   hint: it has start
    [exit code 125]
    ");
    let shown = site.stdout("inspect example.com/served");
    let lines: Vec<_> = shown.lines().filter(|line| line.starts_with("run:") || line.starts_with("action:")).collect();
    assert_eq!(
        lines,
        ["run:          hello start", "action:       validate = sh -c 'echo fine; exit 3' (example.com/served@1.0)"]
    );
}

#[test]
fn wrong_actions_and_tests_are_refused() {
    let site = Site::new();
    for (rest, expected) in [
        ("run = [\"a\"]\n[actions]\nstart = [\"b\"]\n", "`start` of [actions] is what `run` of [image] says already"),
        ("[actions]\nstrat = [\"b\"]\n", "[actions] has no key `strat`"),
        ("[actions]\nmetrics = []\n", "`metrics`: the list names no program"),
        ("[test]\nwith = [\"greeter\"]\n", "[test] has no `run`"),
        ("[test]\nrun = 7\n", "`run` must be a line for the shell or a list of strings, not a number"),
        ("[test]\nrun = [\"a\"]\nwith = [\"xyz.com/other\"]\n", "there is no package xyz.com/other in the store"),
    ] {
        site.recipe("web", &["greeter"], rest);
        let output = site.run("build web").failure(1);
        assert!(output.stderr.contains(expected), "{rest}: {output:?}");
    }
}

#[test]
fn a_test_must_pass_before_the_image_gets_its_name() {
    let Some(site) = machine(false) else { return };
    let write = |word: &str, script: &str| {
        site.recipe(
            "tested",
            &[],
            &format!("env = {{ WORD = \"{word}\" }}\n[test]\nrun = [\"sh\", \"-c\", {script:?}]\n"),
        );
    };
    write("one", "test $WORD = one");
    site.ok("build -q tested");
    let first = site.stdout("history --json example.com/tested");
    write("two", "echo the word is $WORD; test $WORD = one");
    assert_snapshot!(site.session(&["build tested"]), @"
    $ larder build tested
    2> test example.com/tested@1.0
    2> error: testing example.com/tested@1.0 failed: `sh -c echo the word is $WORD; test $WORD = one` ended with code 1
    2>   | the word is two
    2>   hint: the whole log is $DIR/store/cache/logs/example.com@tested.test.log; the name stands for what it did before; --no-test builds without the test
    [exit code 1]
    ");
    assert_eq!(site.stdout("history --json example.com/tested"), first, "the name stands for what it did");
    site.ok("build -q --no-test tested");
    assert_eq!(site.run("build -q tested").code, 1, "what wasn't tested is tested by the next build");

    // As a line for the shell it says which command failed, and its log is kept.
    let line =
        |line: &str| site.recipe("tested", &[], &format!("env = {{ WORD = \"three\" }}\n[test]\nrun = {line:?}\n"));
    line("echo the word is $WORD\ntest $WORD = four\necho never");
    assert_snapshot!(site.session(&["build tested"]), @"
    $ larder build tested
    2> test example.com/tested@1.0
    2> error: testing example.com/tested@1.0 failed: `test three '=' four` ended with code 1
    2>   | larder$ echo the word is three
    2>   | the word is three
    2>   | larder$ test three '=' four
    2>   hint: the whole log is $DIR/store/cache/logs/example.com@tested.test.log; the name stands for what it did before; --no-test builds without the test
    [exit code 1]
    ");
    let log = std::fs::read_to_string(site.env.store().join("cache/logs/example.com@tested.test.log")).expect("a log");
    assert!(log.starts_with("larder$ echo the word is three\n"), "{log}");
    line("test $WORD = three");
    let built = site.stdout("build --json tested");
    assert!(built.contains("\"tested\": true"), "{built}");
    line("not-there");
    assert!(site.run("build tested").failure(1).stderr.contains("failed: `not-there` ended with code 127"));
    site.recipe("tested", &[], "[test]\nrun = [\"not-there\", \"x\"]\n");
    assert_snapshot!(site.session(&["build tested"]), @r#"
    $ larder build tested
    2> test example.com/tested@1.0
    2> error: the test of example.com/tested@1.0 can't be run: not-there x
    2>   because: the container has no program "not-there"
    [exit code 1]
    "#);
    site.ok("gc");
    assert!(site.env.store().join("cache/logs/example.com@tested.test.log").exists());
    site.ok("remove example.com/tested");
    site.ok("gc");
    assert!(!site.env.store().join("cache/logs/example.com@tested.test.log").exists(), "a log without a name");

    // A test that has passed is not run again for the same image.
    write("two", "test $WORD = two");
    let told = |output: &larder_testkit::Output| output.stderr.contains("test example.com/tested@1.0");
    assert!(told(&site.run("build tested").success()));
    assert!(!told(&site.run("build tested").success()));
    write("two", "test $WORD != one");
    assert!(told(&site.run("build tested").success()), "another test is run");
}

/// A build that takes over what an earlier one found out must not take over its test.
#[test]
fn a_changed_file_is_tested() {
    let Some(site) = machine(false) else { return };
    site.recipe("tested", &[], "[files]\n\"/srv\" = \"data\"\n[test]\nrun = [\"sh\", \"-c\", \"cat /srv/word; test $(cat /srv/word) != bad\"]\n");
    site.env.write("tested/data/word", "good");
    site.ok("build -q tested");
    let good = site.stdout("build -q tested");
    site.env.write("tested/data/word", "bad");
    let output = site.run("build -q tested").failure(1);
    assert!(output.stderr.contains("ended with code 1\n  | bad\n"), "{output:?}");
    assert!(site.stdout("inspect example.com/tested").contains(good.trim()), "the name stands for what it did");
    site.env.write("tested/data/word", "better");
    assert_ne!(site.stdout("build -q tested"), good);
}

#[test]
fn packages_of_the_test_are_there_for_the_test_alone() {
    let Some(site) = machine(false) else { return };
    site.recipe("tested", &[], "[test]\nrun = [\"hello\", \"test\"]\nwith = [\"hello\"]\n");
    site.ok("build -q tested");
    assert!(!site.stdout("inspect example.com/tested").contains("debian.org/hello"));
    assert!(!std::fs::read_to_string(site.env.path("tested/larder.lock")).expect("a lock").contains("hello"));
    assert_eq!(site.run("run -q tested -- hello you").code, 127);
    site.recipe("untested", &[], "[test]\nrun = [\"hello\", \"test\"]\n");
    let output = site.run("build -q untested").failure(1);
    assert!(output.stderr.contains("the container has no program \"hello\""), "{output:?}");
    assert_eq!(site.run("inspect example.com/untested").code, 1);
}
