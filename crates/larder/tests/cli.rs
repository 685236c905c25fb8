//! What a user types, and what `larder` answers: each test is a session on a machine of its own, with a small Debian
//! archive on the loopback address. No test needs the internet.

mod cli {
    mod actions;
    mod again;
    mod alternatives;
    mod archive;
    mod ask;
    mod asks;
    mod build;
    mod captured;
    mod configuration;
    mod counts;
    mod crash;
    mod crowd;
    mod deep;
    mod faults;
    mod help;
    mod history;
    mod hostile;
    mod import;
    mod inherit;
    mod inspect;
    mod json;
    mod keep;
    mod key;
    mod kills;
    mod links;
    mod mixed;
    mod own;
    mod package;
    mod power;
    mod provenance;
    mod recipe;
    mod redact;
    mod run;
    mod same;
    mod site;
    mod source;
    mod stack;
    mod stand_in;
    mod store;
    mod terminal;
    mod update;
    mod usage;
    mod watch;
    mod with;
}
