//! Converts packages into a store, for `scripts/bench`, which times the whole process: `ingest STORE`, with a line on standard
//! input for each, `SHA256 PACKAGE VERSION ARCHITECTURE PATH`. Two at a time, as `larder build` does while it fetches.

use std::error::Error;
use std::fs::File;
use std::io::{read_to_string, stdin};
use std::sync::Mutex;

use larder_debian::convert::{self, Expected};
use larder_store::{Sha256Digest, Store};

const WORKERS: usize = 2;

type Failure = Box<dyn Error + Send + Sync>;

fn main() -> Result<(), Failure> {
    let root = std::env::args_os().nth(1).ok_or("usage: ingest STORE <LIST")?;
    let store = Store::open(root.as_ref())?;
    let list = read_to_string(stdin())?;
    let lines = Mutex::new(list.lines());
    let work = || -> Result<(), Failure> {
        loop {
            // Taken out first: the lock must not be held while a package is converted.
            let line = lines.lock().map_err(|_| "a worker is gone")?.next();
            match line {
                Some(line) => convert_one(&store, line)?,
                None => return Ok(()),
            }
        }
    };
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..WORKERS).map(|_| scope.spawn(work)).collect();
        workers.into_iter().try_for_each(|worker| worker.join().map_err(|_| "a worker is gone")?)
    })
}

fn convert_one(store: &Store, line: &str) -> Result<(), Failure> {
    let fields: Vec<&str> = line.split_whitespace().collect();
    let [sha256, package, version, architecture, path] = fields[..] else { return Err("not five words".into()) };
    let expected = Expected { sha256: Sha256Digest::from_hex(sha256)?, package, version, architecture };
    let ingest = store.begin()?;
    let converted = convert::read::<Failure>(File::open(path)?, &expected, &mut |content, size| {
        Ok(ingest.write_object(content, size)?.0)
    })?;
    ingest.write_tree(&converted.tree)?;
    ingest.write_fileset(&converted.record)?;
    ingest.commit()?;
    Ok(())
}
