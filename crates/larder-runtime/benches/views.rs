//! How long it takes to make and mount views: `cargo bench -p larder-runtime --bench views [-- ENTRIES [DIRECTORY]]`.
//!
//! Root measures every way; an ordinary user runs it as `unshare -Urm <program>`.

#![expect(clippy::print_stdout, reason = "a benchmark prints its result")]

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use larder_runtime::view::{
    RootAttributes, View, ViewEntry, ViewKind, ViewKindName, ViewRequest, ViewTree, Written, by_name, probe,
};

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1).filter(|argument| !argument.starts_with('-'));
    let count = arguments.next().map_or(Ok(20_000), |text| text.parse())?;
    let parent = arguments.next().map_or_else(|| PathBuf::from(env!("CARGO_TARGET_TMPDIR")), PathBuf::from);
    fs::create_dir_all(&parent)?;
    let directory = tempfile::Builder::new().prefix("bench-").tempdir_in(parent)?;
    let objects = directory.path().join("objects");
    let tree = tree(count, &objects)?;
    println!("{} entries", tree.entries().len());
    for view in ViewKindName::ALL.into_iter().map(by_name) {
        if let Err(error) = measure(view.as_ref(), &tree, directory.path(), &objects) {
            println!("{}: {error}", view.kind());
        }
    }
    let times = repeat(20, || probe(&directory.path().join("views")).map(drop))?;
    println!("probe: {}", summary(times));
    Ok(())
}

fn measure(view: &dyn View, tree: &ViewTree, directory: &Path, objects: &Path) -> Result<(), Box<dyn Error>> {
    let views = directory.join("views");
    let list = || Ok(tree.clone());
    let request = ViewRequest { tree: &list, key: "be", objects, views: &views, written: Written::OutsidePackages };
    view.mount(&view.prepare(&request)?, None)?;
    let mut made = Vec::new();
    for _ in 0..7 {
        view.remove(&views, request.key)?;
        let begin = Instant::now();
        view.prepare(&request)?;
        made.push(begin.elapsed());
    }
    println!("{}: make: {}", view.kind(), summary(made));
    let found = repeat(50, || view.prepare(&request).map(drop))?;
    println!("{}: find: {}", view.kind(), summary(found));
    let prepared = view.prepare(&request)?;
    let mounted = repeat(50, || view.mount(&prepared, None).map(drop))?;
    println!("{}: mount, check and unmount: {}", view.kind(), summary(mounted));
    Ok(view.remove(&views, request.key)?)
}

fn repeat<E>(times: usize, mut work: impl FnMut() -> Result<(), E>) -> Result<Vec<Duration>, E> {
    (0..times)
        .map(|_| {
            let begin = Instant::now();
            work().map(|()| begin.elapsed())
        })
        .collect()
}

fn summary(mut times: Vec<Duration>) -> String {
    times.sort_unstable();
    let milliseconds = |time: Duration| time.as_secs_f64() * 1e3;
    format!("min {:.2} ms, median {:.2} ms", milliseconds(times[0]), milliseconds(times[times.len() / 2]))
}

/// A tenth of the entries are directories and a tenth links, as in Debian's packages; every file has its own object.
fn tree(count: usize, objects: &Path) -> Result<ViewTree, Box<dyn Error>> {
    let entry = |path: String, kind, mode| ViewEntry {
        path: path.into_bytes(),
        kind,
        mode,
        uid: 0,
        gid: 0,
        mtime: 1_600_000_000,
        xattrs: Vec::new(),
    };
    let mut entries = Vec::new();
    for index in 0..count {
        let directory = index / 10 * 10;
        entries.push(match index % 10 {
            0 => entry(format!("directory-{index}"), ViewKind::Directory, 0o755),
            1 => {
                let target = format!("../directory-{directory}/file-{}", index + 1).into_bytes();
                entry(format!("directory-{directory}/link"), ViewKind::Symlink { target }, 0o777)
            }
            _ => {
                let content = format!("content {index}");
                let object = *blake3::hash(content.as_bytes()).as_bytes();
                let hex = hex::encode(object);
                fs::create_dir_all(objects.join(&hex[..2]))?;
                fs::write(objects.join(&hex[..2]).join(&hex[2..]), &content)?;
                let kind = ViewKind::File { object, size: content.len() as u64 };
                entry(format!("directory-{directory}/file-{index}"), kind, 0o644)
            }
        });
    }
    Ok(ViewTree::new(RootAttributes { mode: 0o755, uid: 0, gid: 0, mtime: 1_600_000_000 }, entries)?)
}
