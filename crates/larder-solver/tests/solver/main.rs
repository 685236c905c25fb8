//! The solver as its users see it.

mod dpkg;
mod oracle;
mod rules;
mod universe;
mod updates;
