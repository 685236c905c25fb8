//! What a user types, and what `larder` answers: each test is a session on a machine of its own, with a small Debian
//! archive on the loopback address. No test needs the internet.

mod cli {
    mod archive;
    mod ask;
    mod build;
    mod counts;
    mod crash;
    mod crowd;
    mod faults;
    mod help;
    mod history;
    mod hostile;
    mod json;
    mod keep;
    mod key;
    mod kills;
    mod power;
    mod provenance;
    mod recipe;
    mod redact;
    mod run;
    mod same;
    mod site;
    mod store;
    mod terminal;
    mod update;
    mod usage;
}
