//! One file a command: its arguments, and a short handler around an operation of the library.

pub(crate) mod build;
pub(crate) mod completions;
pub(crate) mod debian;
pub(crate) mod df;
pub(crate) mod diff;
pub(crate) mod distributions;
pub(crate) mod files;
pub(crate) mod fsck;
pub(crate) mod gc;
pub(crate) mod history;
pub(crate) mod images;
pub(crate) mod inspect;
pub(crate) mod key;
pub(crate) mod man;
pub(crate) mod package;
pub(crate) mod packages;
pub(crate) mod provenance;
pub(crate) mod remove;
pub(crate) mod rollback;
pub(crate) mod run;
pub(crate) mod shell;
pub(crate) mod update;
pub(crate) mod verify;
pub(crate) mod watch;
pub(crate) mod which;
pub(crate) mod why;
