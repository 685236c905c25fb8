//! A small signed Debian archive in a temporary folder, and a server for it that can fail on purpose.
//!
//! ```no_run
//! use larder_testkit::archive::{Archive, Deb, Fault};
//!
//! let archive = Archive::builder()
//!     .package(Deb::new("hello", "1.0").depends("libhello").program("usr/bin/hello", "#!/bin/sh\n"))
//!     .package(Deb::new("libhello", "1.0").file("usr/lib/libhello.so", "..."))
//!     .security(Deb::new("libhello", "1.0+deb12u1"))
//!     .build();
//! let server = archive.serve();
//! let mirror = server.url();              // "http://127.0.0.1:…/debian"; the security suite is beside it
//! let keyring = archive.keyring();
//! server.fault("pool/", Fault::DieAfter(1000));
//! ```
//!
//! On disk: `debian/{dists,pool}` with the suite and its updates, `debian-security/{dists,pool}`, `keyring.gpg`.
//! Everything panics when it can't go on: this is for tests.

mod deb;
mod key;
mod repository;
mod server;

pub use deb::{Compression, Deb};
pub use key::Key;
pub use repository::{Archive, ArchiveBuilder, Source};
pub use server::{Fault, Request, Server};
