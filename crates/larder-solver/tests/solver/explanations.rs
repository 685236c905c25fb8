//! What a user reads when there is no answer: the whole text.

use crate::universe::{Small, failure};

fn mail() -> Small {
    Small::parse(
        "
postfix 3.7.11
  Provides: mail-transport-agent
  Conflicts: mail-transport-agent
exim4 4.96
  Depends: exim4-base (>= 4.96), exim4-daemon-light | exim4-daemon-heavy
exim4-base 4.96
exim4-daemon-light 4.96
  Provides: mail-transport-agent
  Conflicts: mail-transport-agent
exim4-daemon-heavy 4.96
  Provides: mail-transport-agent
  Conflicts: mail-transport-agent
",
    )
}

#[test]
fn two_roots_that_exclude_each_other() {
    assert_eq!(
        failure(mail().solve(&["exim4-base", "postfix", "exim4-daemon-light"])),
        "exim4-daemon-light and postfix can't be installed together:\n  \
         exim4-daemon-light 4.96 conflicts with postfix 3.7.11 (\"Conflicts: mail-transport-agent\")"
    );
}

#[test]
fn every_alternative_is_excluded() {
    assert_eq!(
        failure(mail().solve(&["postfix", "exim4"])),
        "exim4 and postfix can't be installed together:\n  \
         exim4 4.96 needs exim4-daemon-light | exim4-daemon-heavy, and nothing that meets it can be installed:\n    \
         postfix 3.7.11 conflicts with exim4-daemon-light 4.96 (needed by exim4 4.96) (\"Conflicts: mail-transport-agent\")\n    \
         postfix 3.7.11 conflicts with exim4-daemon-heavy 4.96 (needed by exim4 4.96) (\"Conflicts: mail-transport-agent\")"
    );
}

#[test]
fn a_pin_that_no_version_meets() {
    let small = Small::parse("openssl 3.0.17-1\nopenssl 3.0.15-1\nopenssl 3.0.9-1");
    assert_eq!(
        failure(small.solve(&["openssl >=4"])),
        "no version meets \"openssl >=4\": there is 3.0.17-1, 3.0.15-1 and 3.0.9-1"
    );
}

#[test]
fn two_pins_that_no_version_meets() {
    let small = Small::parse("openssl 3.0.17-1\nopenssl 3.0.15-1");
    assert_eq!(
        failure(small.solve(&["openssl >3.0.15-1", "openssl <3.0.17-1"])),
        "openssl <3.0.17-1 and openssl >3.0.15-1 can't be installed together:\n  \
         openssl 3.0.17-1 can't stand beside openssl 3.0.15-1, which \"openssl <3.0.17-1\" asks for"
    );
}

#[test]
fn misspelled_names_are_all_reported() {
    let small = Small::parse("nginx 1\nredis-server 1\n  Provides: redis-tool");
    assert_eq!(
        failure(small.solve(&["ngnix", "redis-sever", "qqqqqqqq"])),
        "nothing is called \"ngnix\", and nothing provides it; did you mean nginx?\n\
         nothing is called \"qqqqqqqq\", and nothing provides it\n\
         nothing is called \"redis-sever\", and nothing provides it; did you mean redis-server?"
    );
}

#[test]
fn a_version_that_does_not_exist_is_needed_deep_down() {
    let small = Small::parse(
        "
app 1
  Depends: middle
middle 2
  Depends: lib, libc6 (>= 3)
lib 1
libc6 2.36
",
    );
    assert_eq!(
        failure(small.solve(&["app"])),
        "app can't be installed:\n  \
         middle 2 (needed by app 1) needs libc6 (>= 3), but there is only libc6 2.36"
    );
}

#[test]
fn a_name_that_does_not_exist_is_needed() {
    let small = Small::parse("app 1\n  Depends: nowhere | never");
    assert_eq!(
        failure(small.solve(&["app"])),
        "app can't be installed:\n  app 1 needs nowhere | never, which does not exist"
    );
}

#[test]
fn two_requirements_ask_for_different_versions() {
    let small = Small::parse(
        "
old 1
  Depends: lib (<< 2)
new 1
  Depends: plugin
plugin 5
  Depends: lib (>= 2)
lib 2
lib 1
",
    );
    assert_eq!(
        failure(small.solve(&["new", "old"])),
        "new and old can't be installed together:\n  \
         lib 2 (needed by plugin 5, for new 1) can't stand beside lib 1 (needed by old 1), which \"lib (<< 2)\" asks for"
    );
}

#[test]
fn the_base_can_be_the_reason() {
    let small = Small::parse("bash 5\n  Essential: yes\nodd 1\n  Breaks: bash (<< 6)");
    let result = small.ask(&["odd"], |request| request.base = larder_solver::Base::Essential);
    assert_eq!(
        failure(result),
        "odd and bash (of the base) can't be installed together:\n  odd 1 breaks bash 5 (\"Breaks: bash (<< 6)\")"
    );
}
