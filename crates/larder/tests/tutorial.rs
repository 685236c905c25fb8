//! `docs/tutorial.md` is typed, line by line, and what it says Larder answers is compared.
//!
//! In blocks marked `console`, `$ ` begins a command, `> ` continues it, and all else is output: what a line shows must be
//! there, in this order, with `…` for anything, also for any number of lines. Shell, variables and folder are kept from
//! one command to the next.

use std::path::Path;

use larder_testkit::{TestEnv, skip};

/// A command of the tutorial with the output that it shows.
#[derive(Debug, Default)]
struct Step {
    line: usize,
    command: String,
    shown: Vec<String>,
}

fn steps(page: &str) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    let mut in_console = false;
    for (number, line) in page.lines().enumerate() {
        if line.starts_with("```") {
            in_console = line == "```console";
        } else if !in_console {
            continue;
        } else if let Some(command) = line.strip_prefix("$ ") {
            steps.push(Step { line: number + 1, command: command.to_owned(), shown: Vec::new() });
        } else {
            let step = steps.last_mut().expect("a block begins with a command");
            match line.strip_prefix('>').filter(|_| step.shown.is_empty()) {
                Some(more) => step.command += &format!("\n{}", more.strip_prefix(' ').unwrap_or(more)),
                None => step.shown.push(line.to_owned()),
            }
        }
    }
    steps
}

/// Whether an output is what is shown. Lines that aren't shown may stand before, between and after.
fn agrees(shown: &[String], output: &str) -> Result<(), String> {
    let mut lines = output.lines();
    for wanted in shown.iter().filter(|wanted| *wanted != "…") {
        if !lines.any(|line| fits(wanted, line)) {
            return Err(wanted.clone());
        }
    }
    Ok(())
}

fn fits(wanted: &str, line: &str) -> bool {
    let parts: Vec<&str> = wanted.split('…').collect();
    let [first, .., last] = parts.as_slice() else { return wanted == line };
    let Some(mut rest) = line.strip_prefix(first).filter(|rest| rest.ends_with(last)) else { return false };
    parts[1..].iter().all(|part| match rest.find(part) {
        Some(at) => {
            rest = &rest[at + part.len()..];
            true
        }
        None => false,
    })
}

/// Whether the Debian archive can be read, by the smallest of builds; if not, why.
fn archive(env: &TestEnv) -> Result<(), String> {
    let recipe = "[image]\nname = \"example.com/probe\"\nversion = \"1\"\nfrom = \"debian.org/bookworm\"\n\
                  base = \"none\"\npackages = [\"netbase\"]\n";
    env.write("probe/larder.toml", recipe);
    let output = env.larder(["build", "--quiet", "probe"]);
    let reason = output.stderr.lines().find(|line| line.starts_with("error: ")).unwrap_or_default();
    // Only what the machine lacks is a reason to skip; anything else is a failure.
    if ["can't fetch", "apt source", "keyring"].iter().any(|lack| reason.contains(lack)) {
        return Err(reason.to_owned());
    }
    _ = output.success();
    Ok(())
}

fn follow(env: &TestEnv) {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/tutorial.md");
    let page = std::fs::read_to_string(page).expect("docs/tutorial.md");
    let steps = steps(&page);
    assert!(steps.len() > 20, "the tutorial has lost its commands");
    // One shell for all, so that what one command changes is there for the next.
    let mark = |index: usize| format!("--- tutorial step {index} ---");
    let mut script = String::from("exec 2>&1\n");
    for (index, step) in steps.iter().enumerate() {
        script += &format!("echo '{}'\n{}\n", mark(index), step.command);
    }
    let output = env.shell(&script).stdout;
    for (index, step) in steps.iter().enumerate() {
        let answer = output.split(&mark(index)).nth(1).and_then(|rest| rest.split("--- tutorial step ").next());
        let answer = answer.unwrap_or_else(|| panic!("docs/tutorial.md:{}: never came to this\n{output}", step.line));
        let expects_error = step.shown.iter().any(|line| line.starts_with("error: "));
        let failed = answer.lines().any(|line| line.starts_with("error: "));
        assert!(expects_error || !failed, "docs/tutorial.md:{}: $ {}\n{answer}", step.line, step.command);
        if let Err(missing) = agrees(&step.shown, answer) {
            panic!(
                "docs/tutorial.md:{}: $ {}\nshows\n  {missing}\nwhich isn't in the answer:\n{answer}",
                step.line, step.command
            );
        }
    }
}

#[test]
fn the_tutorial_works_for_the_caller() {
    let env = TestEnv::new(env!("CARGO_BIN_EXE_larder"));
    if let Err(reason) = archive(&env) {
        return skip("the tutorial", format!("the Debian archive can't be read: {reason}"));
    }
    follow(&env);
}

#[test]
fn the_tutorial_works_for_an_ordinary_user() {
    if !larder_testkit::env::is_root() {
        return skip(
            "the tutorial for another user",
            "the caller is an ordinary user, so the other test is that already",
        );
    }
    let Some(env) = TestEnv::for_user(env!("CARGO_BIN_EXE_larder")) else {
        return skip("the tutorial for an ordinary user", "there is no user larder-test; scripts/setup makes it");
    };
    if let Err(reason) = archive(&env) {
        return skip("the tutorial for an ordinary user", format!("the Debian archive can't be read: {reason}"));
    }
    follow(&env);
}

#[test]
fn what_is_shown_must_be_there() {
    let shown = |lines: &[&str]| lines.iter().map(|&line| line.to_owned()).collect::<Vec<_>>();
    assert!(agrees(&shown(&["a", "…", "c…e"]), "a\nb\nc-d-e\n").is_ok());
    assert!(agrees(&shown(&["…", "c"]), "c\n").is_ok());
    assert_eq!(agrees(&shown(&["c", "a"]), "a\nc\n"), Err("a".to_owned()));
    assert!(!fits("a…b…c", "a-c-b") && fits("…", "") && !fits("ab…b", "ab"));
}
