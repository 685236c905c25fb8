//! What a disk may hold after the power failed.

use std::collections::BTreeMap;

use super::{Id, Node, Op};

/// Writes are kept or lost in pieces of this size.
const PIECE: usize = 4096;

/// What becomes of that which wasn't synced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Loss {
    /// All of it is lost.
    Everything,
    /// Nothing is lost: the machine was lucky.
    Nothing,
    /// Names last, contents don't: files are there under their names, empty.
    Contents,
    /// What was done after some instant is lost, as with a journal.
    Later,
    /// Any part is lost, each name and each piece of a file for itself.
    Anything,
}

impl Loss {
    /// All kinds.
    pub const ALL: [Self; 5] = [Self::Everything, Self::Nothing, Self::Contents, Self::Later, Self::Anything];
}

/// A plain generator: what matters is that seeds give different, repeatable numbers.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn coin(&mut self) -> bool {
        self.next().is_multiple_of(2)
    }
}

/// The nodes after these operations and a loss.
pub(super) fn after(nodes: &[Node], ops: &[Op], loss: Loss, seed: u64) -> Vec<Node> {
    let mut nodes = nodes.to_vec();
    let mut random = Random(seed);
    let synced = synced(ops);
    let last = if ops.is_empty() { 0 } else { random.next() as usize % ops.len() };
    for (number, op) in ops.iter().enumerate() {
        let content = matches!(op, Op::Write { .. } | Op::Resize { .. });
        let kept = synced[number]
            || match loss {
                Loss::Everything => false,
                Loss::Nothing => true,
                Loss::Contents => !content,
                Loss::Later => number <= last,
                Loss::Anything => random.coin(),
            };
        match op {
            Op::Write { file, at, bytes } if kept && !synced[number] && loss == Loss::Anything => {
                write_pieces(&mut nodes, *file, *at, bytes, &mut random);
            }
            op if kept => apply(&mut nodes, op),
            _ => {}
        }
    }
    nodes
}

/// Which operations a later sync has made last.
fn synced(ops: &[Op]) -> Vec<bool> {
    let mut synced = vec![false; ops.len()];
    let (mut all, mut contents, mut names) = (false, Vec::new(), Vec::new());
    for (number, op) in ops.iter().enumerate().rev() {
        synced[number] = all
            || match op {
                Op::SyncAll => {
                    all = true;
                    true
                }
                Op::SyncContent { file } => {
                    contents.push(*file);
                    true
                }
                Op::SyncNames { folder } => {
                    names.push(*folder);
                    true
                }
                Op::Write { file, .. } | Op::Resize { file, .. } => contents.contains(file),
                Op::Name { folder, .. } | Op::Unname { folder, .. } => names.contains(folder),
                Op::Rename { to, .. } => names.contains(&to.0),
                Op::Said(_) => true,
            };
    }
    synced
}

/// Some pieces of a write; those that are missing are zeros, or not there at the end.
fn write_pieces(nodes: &mut [Node], file: Id, at: u64, bytes: &[u8], random: &mut Random) {
    for (number, piece) in bytes.chunks(PIECE).enumerate() {
        // Of the last one the file system may know a part only.
        let piece = if random.coin() { &piece[..random.next() as usize % (piece.len() + 1)] } else { piece };
        if random.coin() {
            apply(nodes, &Op::Write { file, at: at + (number * PIECE) as u64, bytes: piece.to_vec() });
        }
    }
    // The length is written apart from the contents.
    if let (true, Node::File(content)) = (random.coin(), &mut nodes[file]) {
        content.resize(content.len().max(at as usize + bytes.len()), 0);
    }
}

/// Does what was done. Where an earlier step was lost, a later one does what it still can.
pub(super) fn apply(nodes: &mut [Node], op: &Op) {
    match op {
        Op::Write { file, at, bytes } => {
            let Node::File(content) = &mut nodes[*file] else { return };
            let (start, end) = (*at as usize, *at as usize + bytes.len());
            content.resize(content.len().max(end), 0);
            content[start..end].copy_from_slice(bytes);
        }
        Op::Resize { file, size } => {
            let Node::File(content) = &mut nodes[*file] else { return };
            content.resize(*size as usize, 0);
        }
        Op::Name { folder, name, what } => {
            // A name that a lost removal has left is replaced.
            _ = names(nodes, *folder).insert(name.clone(), *what);
        }
        Op::Unname { folder, name } => _ = names(nodes, *folder).remove(name),
        Op::Rename { from, to, what } => {
            names(nodes, from.0).retain(|name, id| *name != from.1 || id != what);
            names(nodes, to.0).insert(to.1.clone(), *what);
        }
        Op::SyncContent { .. } | Op::SyncNames { .. } | Op::SyncAll | Op::Said(_) => {}
    }
}

fn names(nodes: &mut [Node], folder: Id) -> &mut BTreeMap<String, Id> {
    match &mut nodes[folder] {
        Node::Folder(names) => names,
        other => panic!("{other:?} is no folder"),
    }
}
