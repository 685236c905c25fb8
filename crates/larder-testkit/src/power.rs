//! Loss of power, simulated: what a program did to the files below a folder is recorded, cut at an instant, and replayed as
//! a disk may hold it then.
//!
//! The model takes nothing for granted but what POSIX promises of syncs, and that a rename is one step:
//! - `syncfs` makes everything last that was done before it; `fsync` of a file its content, but not its name; `fsync` of a
//!   folder the names in it, but not its own name in the folder above.
//! - Of what isn't synced any part may be there, in any order: names without contents, contents cut short or with holes of
//!   zeros, later changes without earlier ones. A rename is one step: both names change or none does.
//!
//! The recorder is `strace`; [`available`] says whether it is there. A system call that changes files in a way the model doesn't
//! know ends the recording with a panic, rather than with a wrong disk.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

mod disk;
mod record;
mod trace;

pub use disk::Loss;
pub use trace::{Call, available, calls};

/// The number of a file, folder or link of a recording.
type Id = usize;

/// Something that was done, in the order in which it was.
#[derive(Debug, Clone)]
enum Op {
    Write { file: Id, at: u64, bytes: Vec<u8> },
    Resize { file: Id, size: u64 },
    Name { folder: Id, name: String, what: Id },
    Unname { folder: Id, name: String },
    Rename { from: (Id, String), to: (Id, String), what: Id },
    SyncContent { file: Id },
    SyncNames { folder: Id },
    SyncAll,
    Said(Vec<u8>),
}

/// What has a number.
#[derive(Debug, Clone)]
enum Node {
    File(Vec<u8>),
    Folder(BTreeMap<String, Id>),
    Link(String),
}

/// What a program did below a folder.
#[derive(Debug)]
pub struct Recording {
    /// All that was there before, and what was made, as it was when made: files empty. Number 0 is the folder.
    nodes: Vec<Node>,
    ops: Vec<Op>,
}

impl Recording {
    /// Runs a program to its end, which must be a good one, and records what it does below the folder.
    ///
    /// # Panics
    /// Where `strace` is missing, the program fails, or it does what the model doesn't know.
    #[must_use]
    pub fn of(command: &Command, folder: &Path) -> Self {
        record::record(command, folder)
    }

    /// The instants at which most is at stake: just before and after each sync, after each word on stdout, and the end.
    #[must_use]
    pub fn cuts(&self) -> Vec<usize> {
        let mut cuts = vec![self.ops.len()];
        for (number, op) in self.ops.iter().enumerate() {
            match op {
                Op::SyncAll | Op::SyncContent { .. } | Op::SyncNames { .. } => cuts.extend([number, number + 1]),
                Op::Said(_) => cuts.push(number + 1),
                _ => {}
            }
        }
        cuts.sort_unstable();
        cuts.dedup();
        cuts
    }

    /// How many things were done.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ops.len()
    }

    /// Whether nothing was done.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ops.is_empty()
    }

    /// What the program had written on stdout by then.
    #[must_use]
    pub fn said(&self, cut: usize) -> String {
        let said =
            self.ops[..cut].iter().filter_map(|op| if let Op::Said(bytes) = op { Some(&bytes[..]) } else { None });
        String::from_utf8_lossy(&said.collect::<Vec<_>>().concat()).into_owned()
    }

    /// Makes a folder what the recorded one may be after the power failed at `cut`; other losses and seeds, other folders.
    ///
    /// # Panics
    /// When it can't be written.
    pub fn replay(&self, cut: usize, loss: Loss, seed: u64, folder: &Path) {
        if folder.exists() {
            fs::remove_dir_all(folder).expect("removed");
        }
        let nodes = disk::after(&self.nodes, &self.ops[..cut], loss, seed);
        write(&nodes, 0, folder);
    }
}

fn write(nodes: &[Node], id: Id, path: &Path) {
    match &nodes[id] {
        Node::File(bytes) => fs::write(path, bytes).expect("file"),
        Node::Link(target) => symlink(target, path).expect("link"),
        Node::Folder(names) => {
            fs::create_dir(path).expect("folder");
            for (name, id) in names {
                write(nodes, *id, &path.join(name));
            }
        }
    }
}

#[cfg(test)]
mod tests;
