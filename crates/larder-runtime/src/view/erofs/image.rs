//! The image of a listing: first each inode gets its place, then all is written into memory of the right size.

use super::attributes::Shared;
use super::format::{
    BLOCK, Data, ENTRY, Format, Head, Kind, NO_ADDRESS, SLOT, SUPERBLOCK_AT, SUPERBLOCK_SIZE, Superblock, entry, put,
};
use super::nodes::{Content, Name, Node, Nodes};
use crate::view::{ViewTree, Written};

/// More of a directory's end than this gets a block of its own rather than be kept with the inode, which must be in one block with it.
const LONGEST_TAIL: usize = BLOCK / 2;

/// An inode and its place.
struct Placed {
    head: Head,
    at: usize,
    head_length: usize,
    attributes_length: usize,
    /// Blocks of its own.
    blocks: usize,
}

/// Makes the image.
pub(super) fn image(tree: &ViewTree, format: Format, written: Written) -> Vec<u8> {
    let nodes = Nodes::new(tree, format, written);
    let epoch = nodes.all.iter().map(|node| node.mtime).min().unwrap_or(0);
    let in_order = nodes.order.iter().filter_map(|index| nodes.all[*index].attributes.object);
    let head_at = SUPERBLOCK_AT + SUPERBLOCK_SIZE;
    let mut shared = Shared::new(format, head_at, in_order);
    let mut placed = Placing { format, epoch, shared: &shared, at: shared.head_end() }.all(&nodes);

    let shared_at = placed.end.next_multiple_of(SLOT);
    let data_at = shared.place(shared_at).next_multiple_of(BLOCK);
    let mut end = data_at;
    for index in &nodes.order {
        let inode = &mut placed.inodes[*index];
        if inode.blocks > 0 {
            inode.head.data = match inode.head.data {
                Data::Tail(_) => Data::Tail((end / BLOCK) as u32),
                _ => Data::Blocks((end / BLOCK) as u32),
            };
            end += inode.blocks * BLOCK;
        }
    }

    let mut out = vec![0; end];
    let superblock = Superblock {
        format,
        // It is the first, and so within reach of the field.
        root: (placed.inodes[0].at / SLOT) as u16,
        inodes: nodes.all.len() as u64,
        epoch,
        blocks: (end / BLOCK) as u32,
        prefixes: (format == Format::Short).then_some(head_at),
    };
    superblock.write(&mut out[SUPERBLOCK_AT..]);
    shared.write_head(&mut out, head_at);
    shared.write(&mut out);
    for index in &nodes.order {
        write(&mut out, &placed.inodes, &nodes, *index, &shared, epoch);
    }
    out
}

struct Places {
    /// By node.
    inodes: Vec<Placed>,
    end: usize,
}

/// Gives the inodes their places, in their order.
struct Placing<'a> {
    format: Format,
    epoch: u64,
    shared: &'a Shared<'a>,
    at: usize,
}

impl Placing<'_> {
    fn all(mut self, nodes: &Nodes<'_>) -> Places {
        let mut inodes: Vec<Option<Placed>> = nodes.all.iter().map(|_| None).collect();
        for (number, index) in nodes.order.iter().enumerate() {
            inodes[*index] = Some(self.place(&nodes.all[*index], number as u32 + 1, nodes));
        }
        // The order has every node.
        Places { inodes: inodes.into_iter().flatten().collect(), end: self.at }
    }

    fn place(&mut self, node: &Node<'_>, number: u32, nodes: &Nodes<'_>) -> Placed {
        let mut head = Head {
            kind: node.kind,
            mode: node.mode,
            uid: node.uid,
            gid: node.gid,
            mtime: node.mtime,
            size: 0,
            links: 1,
            number,
            dot_omitted: self.format == Format::Short && node.kind == Kind::Directory,
            data: Data::Blocks(0),
        };
        let (mut blocks, mut tail) = (0, 0);
        match &node.content {
            Content::Nothing => {}
            Content::Object(size) => (head.size, head.data) = (*size, Data::Hole),
            Content::Target(target) => (head.size, tail) = (target.len() as u64, target.len()),
            Content::Names(names) => {
                let directories = names.iter().filter(|name| nodes.all[name.node].kind == Kind::Directory);
                head.links = directories.count() as u32 + u32::from(head.dot_omitted);
                let parts = Parts(names);
                for part in parts {
                    tail = length(part);
                    blocks += 1;
                }
                blocks -= 1;
                head.size = (blocks * BLOCK + tail) as u64;
            }
        }
        let head_length = head.length(self.format, self.epoch);
        let attributes_length = self.shared.length(&node.attributes);
        let before = head_length + attributes_length;
        let at = self.at.next_multiple_of(SLOT);
        let mut inode = Placed { head, at, head_length, attributes_length, blocks };
        let mut behind = 0;
        if tail > 0 {
            // The kernel reads the inode and the end of its data from one block.
            let fits = at % BLOCK + before + tail <= BLOCK;
            let longest = if node.kind == Kind::Directory { LONGEST_TAIL } else { BLOCK };
            if fits || before + tail <= longest {
                inode.at = if fits { at } else { at.next_multiple_of(BLOCK) };
                inode.head.data = Data::Tail(0);
                behind = tail;
            } else {
                inode.blocks += 1;
            }
        } else if inode.head.data == Data::Hole {
            behind = NO_ADDRESS.len();
        }
        self.at = inode.at + before + behind;
        inode
    }
}

fn write(out: &mut [u8], inodes: &[Placed], nodes: &Nodes<'_>, index: usize, shared: &Shared<'_>, epoch: u64) {
    let (inode, node) = (&inodes[index], &nodes.all[index]);
    let attributes_at = inode.at + inode.head_length;
    inode.head.write(&mut out[inode.at..attributes_at], inode.attributes_length, epoch);
    shared.write_of(out, attributes_at, &node.attributes);
    let behind = attributes_at + inode.attributes_length;
    let (mut block, has_tail) = match inode.head.data {
        Data::Tail(first) => (first as usize * BLOCK, true),
        Data::Blocks(first) => (first as usize * BLOCK, false),
        Data::Hole => return put(out, behind, &NO_ADDRESS),
    };
    match &node.content {
        Content::Nothing | Content::Object(_) => {}
        Content::Target(target) => put(out, if has_tail { behind } else { block }, target),
        Content::Names(names) => {
            let mut parts = Parts(names).peekable();
            while let Some(part) = parts.next() {
                let is_tail = has_tail && parts.peek().is_none();
                let at = if is_tail { behind } else { block };
                write_names(&mut out[at..at + length(part)], part, inodes);
                block += BLOCK;
            }
        }
    }
}

/// The names of a directory that are in one block: first all entries, then all names.
fn write_names(out: &mut [u8], names: &[Name<'_>], inodes: &[Placed]) {
    let mut name_at = names.len() * ENTRY;
    for (number, name) in names.iter().enumerate() {
        let inode = &inodes[name.node];
        entry(&mut out[number * ENTRY..], inode.at, name_at, inode.head.kind);
        put(out, name_at, name.name);
        name_at += name.name.len();
    }
}

/// What names take in a block.
fn length(names: &[Name<'_>]) -> usize {
    names.iter().map(|name| ENTRY + name.name.len()).sum()
}

/// A directory's names by blocks: as many as fit into each.
struct Parts<'a, 'b>(&'b [Name<'a>]);

impl<'a, 'b> Iterator for Parts<'a, 'b> {
    type Item = &'b [Name<'a>];

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let mut taken = 0;
        let fits = |name: &&Name<'_>| {
            taken += ENTRY + name.name.len();
            taken <= BLOCK
        };
        let count = self.0.iter().take_while(fits).count();
        let (part, rest) = self.0.split_at(count);
        self.0 = rest;
        Some(part)
    }
}
