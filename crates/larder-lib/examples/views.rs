//! Makes and mounts the view of an image as a start does, for `scripts/bench`: `views LARDER STORE IMAGE VIEWS WAY ROUNDS`.
//!
//! LARDER is the program that composers may start. The view is made under the folder VIEWS, so that the store's own stay. Prints a line
//! for each time, `WORD MILLISECONDS`, after one with the number of packages and one with the number of paths. Root measures
//! every way; an ordinary user runs it as `unshare -Urm views …`.

#![expect(clippy::print_stdout, reason = "a benchmark prints its result")]

use std::error::Error;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use larder_lib::debian::{Config, Mirrors};
use larder_lib::progress::Silent;
use larder_lib::{Host, Store, architecture, compose, images};
use larder_runtime::view::{ViewKindName, ViewRequest, Written, by_name};
use larder_store::plan::Loaded;

type Failure = Box<dyn Error + Send + Sync>;

fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [program, store, image, views, way, rounds] = arguments.as_slice() else {
        return Err("usage: views LARDER STORE IMAGE VIEWS WAY ROUNDS".into());
    };
    let store = Store::open(Path::new(store))?;
    let host = Host {
        debian: Config::new(Mirrors::Apt("/etc/apt".into()), store.root().join("cache/debian"), architecture()),
        distribution: "debian.org/bookworm".parse()?,
        keys: larder_lib::keys::Keys::none(),
        view: None,
        allow: std::collections::BTreeMap::new(),
        program: program.into(),
        now: 0,
        store,
    };
    let found = images::find(&host.store, &image.parse()?)?;
    let tree = host.store.tree(&found.record.tree)?;
    let packages = found.record.imports.iter().filter(|import| import.name.domain() != "host.internal").count();
    let loaded = Arc::new(Loaded { digest: found.digest, record: found.record, tree });
    println!("packages {packages}");

    let view = by_name(ViewKindName::parse(way).ok_or("there is no such way")?);
    let (views, objects) = (Path::new(views), host.store.objects_dir());
    let composition = compose::compose(&host, &loaded, &Silent)?;
    let key = composition.composed.hex();
    println!("paths {}", composition.listing()?.entries().len());
    let known = || composition.listing().map_err(Failure::from);
    let anew = || compose::compose(&host, &loaded, &Silent)?.listing().map_err(Failure::from);
    let known = ViewRequest { tree: &known, key: &key, objects: &objects, views, written: Written::OutsidePackages };
    let anew = ViewRequest { tree: &anew, ..known };
    let shown = |request: &ViewRequest<'_>| -> Result<(), Failure> {
        view.mount(&view.prepare(request)?, None)?;
        Ok(())
    };
    for _ in 0..rounds.parse()? {
        view.remove(views, &key)?;
        timed("first", || shown(&anew))?;
        view.remove(views, &key)?;
        timed("made", || shown(&known))?;
        // Twenty to one: it is that much shorter.
        for _ in 0..20 {
            timed("later", || shown(&known))?;
        }
    }
    Ok(view.remove(views, &key)?)
}

fn timed(word: &str, work: impl FnOnce() -> Result<(), Failure>) -> Result<(), Failure> {
    let begin = Instant::now();
    work()?;
    println!("{word} {:.3}", begin.elapsed().as_secs_f64() * 1e3);
    Ok(())
}
