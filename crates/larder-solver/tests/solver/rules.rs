//! Debian's rules, one test each.

use larder_solver::{Base, Link, why};

use crate::universe::{Small, shown};

fn solved(text: &str, roots: &[&str]) -> Vec<String> {
    shown(&Small::parse(text).solve(roots).unwrap())
}

#[test]
fn the_newest_version_is_taken() {
    assert_eq!(solved("a 1.9\na 1.10\na 1.10~rc1", &["a"]), ["a 1.10"]);
}

#[test]
fn the_first_alternative_is_taken() {
    let text = "a 1\n  Depends: b | c\nb 1\nc 1";
    assert_eq!(solved(text, &["a"]), ["a 1", "b 1"]);
    assert_eq!(solved(text, &["a", "c"]), ["a 1", "c 1"]);
}

#[test]
fn the_first_alternative_that_can_be_installed_is_taken() {
    let text = "a 1\n  Depends: b | c\nb 1\n  Depends: gone\nc 1";
    assert_eq!(solved(text, &["a"]), ["a 1", "c 1"]);
}

#[test]
fn a_real_package_wins_over_providers_then_priority_then_name() {
    let providers = "p 1\n  Provides: v\nq 1\n  Provides: v\nr 1\n  Provides: v\n  Priority: required\n";
    assert_eq!(solved(&format!("a 1\n  Depends: v\n{providers}v 1"), &["a"]), ["a 1", "v 1"]);
    assert_eq!(solved(&format!("a 1\n  Depends: v\n{providers}"), &["a"]), ["a 1", "r 1"]);
    let equal = providers.replace("  Priority: required\n", "");
    assert_eq!(solved(&format!("a 1\n  Depends: v\n{equal}"), &["a"]), ["a 1", "p 1"]);
    assert_eq!(solved(&format!("a 1\n  Depends: v\n{equal}"), &["a", "q"]), ["a 1", "q 1"]);
}

#[test]
fn a_versioned_need_takes_versioned_provides_only() {
    let text = "a 1\n  Depends: v (>= 2)\np 9\n  Provides: v\nq 1\n  Provides: v (= 1)\nr 1\n  Provides: v (= 2)";
    assert_eq!(solved(text, &["a"]), ["a 1", "r 1"]);
}

#[test]
fn a_package_may_conflict_with_what_it_provides() {
    let text = "a 1\n  Provides: mta\n  Conflicts: mta\nb 1\n  Provides: mta\n  Conflicts: mta";
    assert_eq!(solved(text, &["a"]), ["a 1"]);
    assert!(Small::parse(text).solve(&["a", "b"]).is_err());
}

#[test]
fn breaks_rule_out_versions() {
    let text = "a 1\n  Depends: b\n  Breaks: c (<< 2)\nb 1\n  Depends: c\nc 1\nc 2";
    assert_eq!(solved(text, &["a"]), ["a 1", "b 1", "c 2"]);
    assert!(Small::parse(text).solve(&["a", "c =1"]).is_err());
}

#[test]
fn an_older_version_is_taken_where_only_that_fits() {
    let text = "a 1\n  Depends: b (= 1)\nc 1\n  Depends: b\nb 1\nb 2";
    assert_eq!(solved(text, &["a", "c"]), ["a 1", "b 1", "c 1"]);
}

#[test]
fn multi_arch_qualifiers() {
    let text = "a 1\n  Depends: p:any\np 1\n  Multi-Arch: allowed";
    assert_eq!(solved(text, &["a"]), ["a 1", "p 1"]);
    assert!(Small::parse("a 1\n  Depends: p:any\np 1").solve(&["a"]).is_err());
    assert!(Small::parse("a 1\n  Depends: p:any\np 1\n  Multi-Arch: foreign").solve(&["a"]).is_err());
    assert_eq!(solved("a 1\n  Depends: p:native\np 1", &["a"]), ["a 1", "p 1"]);
    assert_eq!(solved("a 1\n  Depends: p:amd64\np 1", &["a"]), ["a 1", "p 1"]);
    assert!(Small::parse("a 1\n  Depends: p:i386\np 1").solve(&["a"]).is_err());
    assert_eq!(solved("a 1\n  Depends: p:i386 | p\n  Conflicts: p:i386\np 1", &["a"]), ["a 1", "p 1"]);
}

#[test]
fn packages_of_other_architectures_are_not_there() {
    let text = "a 2\n  Architecture: arm64\na 1\n  Architecture: all\n";
    assert_eq!(solved(text, &["a"]), ["a 1"]);
}

#[test]
fn circles_are_fine() {
    assert_eq!(solved("a 1\n  Depends: b\nb 1\n  Depends: c\nc 1\n  Depends: a", &["b"]), ["a 1", "b 1", "c 1"]);
}

#[test]
fn a_root_may_be_a_provided_name() {
    let text = "mawk 1\n  Provides: awk\n  Priority: required\ngawk 1\n  Provides: awk";
    assert_eq!(solved(text, &["awk"]), ["mawk 1"]);
    assert_eq!(solved(text, &["awk", "gawk"]), ["gawk 1"]);
}

#[test]
fn the_base_is_what_is_essential() {
    let small = Small::parse("bash 5\n  Essential: yes\n  Depends: libc\nlibc 2\na 1");
    let solution = small.ask(&["a"], |request| request.base = Base::Essential).unwrap();
    assert_eq!(shown(&solution), ["a 1", "bash 5", "libc 2"]);
    assert_eq!(solution.get("bash").unwrap().link, Link::Base);
    assert_eq!(shown(&small.solve(&["a"]).unwrap()), ["a 1"]);
}

#[test]
fn recommends_are_taken_where_they_can_be() {
    let text = "a 1\n  Recommends: b, gone, c | d\nb 1\n  Recommends: e\nc 1\n  Conflicts: a\nd 1\ne 1";
    let small = Small::parse(text);
    let solution = small.ask(&["a"], |request| request.recommends = true).unwrap();
    assert_eq!(shown(&solution), ["a 1", "b 1", "d 1", "e 1"]);
    assert_eq!(shown(&small.solve(&["a"]).unwrap()), ["a 1"]);
}

#[test]
fn recommends_are_taken_too_where_versions_had_to_give_way() {
    let text = "a 1\n  Depends: lib (= 1)\n  Recommends: b, c\nlib 1\nlib 2\nb 1\nc 1\n  Depends: lib (>= 2)\nz 1\n  Depends: lib";
    let small = Small::parse(text);
    let solution = small.ask(&["a", "z"], |request| request.recommends = true).unwrap();
    assert_eq!(shown(&solution), ["a 1", "b 1", "lib 1", "z 1"]);
}

#[test]
fn why_gives_a_shortest_path() {
    let text = "app 1\n  Depends: long, short\nlong 1\n  Depends: longer\nlonger 1\n  Depends: lib\nshort 1\n  Depends: lib (>= 1) | other\nlib 1\n  Provides: virtual\nother 1";
    let small = Small::parse(text);
    let solution = small.solve(&["app"]).unwrap();
    let names =
        |name: &str| why(&small, &solution, name).map(|why| why.steps.into_iter().map(|s| s.name).collect::<Vec<_>>());
    assert_eq!(names("lib").unwrap(), ["app", "short", "lib"]);
    assert_eq!(names("virtual").unwrap(), ["app", "short", "lib"]);
    assert_eq!(names("app").unwrap(), ["app"]);
    assert_eq!(names("other"), None);
    let link = Link::Needed { by: "short".to_owned(), requirement: "lib (>= 1) | other".to_owned() };
    assert_eq!(solution.get("lib").unwrap().link, link);
    assert_eq!(solution.get("app").unwrap().link, Link::Root("app".to_owned()));
}

#[test]
fn a_chain_longer_than_the_stack_allows() {
    let mut text = String::new();
    for i in 0..4000 {
        text.push_str(&format!("p{i} 1\n  Depends: p{}\n", i + 1));
    }
    text.push_str("p4000 1\n");
    assert_eq!(solved(&text, &["p0"]).len(), 4001);
}

#[test]
fn a_name_may_have_a_domain() {
    let text = "example.com/hello 2\n  Depends: libc6 (>= 2.36), example.com/greet | motd\n  Provides: greeter (= 1)\n\
                example.com/hello 1\nexample.com/greet 1\nlibc6 2.36\nmotd 1\ncli 1\n  Depends: greeter (>= 1)\n\
                rude 1\n  Conflicts: example.com/hello (>= 2)\nhello 9";
    let all = ["example.com/greet 1", "example.com/hello 2", "libc6 2.36"];
    assert_eq!(solved(text, &["example.com/hello"]), all);
    assert_eq!(solved(text, &["example.com/hello <2"]), ["example.com/hello 1"]);
    assert_eq!(solved(text, &["cli", "example.com/hello"]), ["cli 1", all[0], all[1], all[2]]);
    assert_eq!(solved(text, &["rude", "example.com/hello"]), ["example.com/hello 1", "rude 1"]);
    assert_eq!(solved(text, &["hello"]), ["hello 9"]);
}
