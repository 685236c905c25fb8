//! Solves against a cached distribution and prints what it chose, for `scripts/bench`, which times the whole process:
//! `solve CACHE SUITE PACKAGE…`, with `CACHE` the folder `cache/debian` of a store. The network is never used.

#![expect(clippy::print_stdout, reason = "the answer is what it is for")]

use std::collections::BTreeMap;
use std::error::Error;

use larder_debian::{Config, Distribution, Mirrors, Refresh, Silent};
use larder_solver::{Base, Request, Update, parse_root, resolve};

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(cache), Some(suite)) = (arguments.next(), arguments.next()) else {
        return Err("usage: solve CACHE SUITE PACKAGE…".into());
    };
    let roots = arguments.map(|argument| parse_root(&argument)).collect::<Result<Vec<_>, _>>()?;
    let mut config = Config::new(Mirrors::Apt("/etc/apt".into()), cache, "amd64");
    config.offline = true;
    let distribution = Distribution::open(&config, &suite, Refresh::Never, &Silent)?;
    let locked = BTreeMap::new();
    let request = Request { roots: &roots, base: Base::None, recommends: false, locked: &locked, update: Update::None };
    let solution = resolve(&distribution, &request).map_err(|failure| failure.explain())?;
    for chosen in &solution.packages {
        println!("{} {}", chosen.name, chosen.version);
    }
    Ok(())
}
