//! Collecting the Tree from the entries of `data.tar`, in any order.

use std::collections::BTreeMap;
use std::io::Read;

use larder_store::path::PathError;
use larder_store::{Attributes, Entry, Tree, TreeBuilder, TreePath};

use super::{Sink, licence};
use crate::deb::{DebError, Header, Kind};

/// The directories that merged-/usr makes links.
const ALIASES: [&[u8]; 6] = [b"bin", b"sbin", b"lib", b"lib32", b"lib64", b"libx32"];
/// The longest file that is kept beside its object, to be read.
const TEXT: u64 = 1 << 20;
/// The latest time that a record can hold.
const LATEST: u64 = (1 << 53) - 1;

/// What a whole `data.tar` came to.
pub(super) struct Contents {
    pub(super) tree: Tree,
    pub(super) time: u64,
    pub(super) licence: Option<String>,
    pub(super) texts: BTreeMap<TreePath, Vec<u8>>,
}

/// The entries so far.
pub(super) struct Payload {
    builder: TreeBuilder,
    hard_links: Vec<(TreePath, TreePath)>,
    newest_file: Option<u64>,
    newest: u64,
    copyright: String,
    licence: Option<String>,
    texts: BTreeMap<TreePath, Vec<u8>>,
}

/// Where an entry goes.
enum Place {
    /// The root directory, whose own entry says nothing.
    Root,
    /// One of [`ALIASES`].
    Alias,
    At(TreePath),
}

impl Payload {
    pub(super) fn new(package: &str) -> Self {
        Self {
            builder: TreeBuilder::new(),
            hard_links: Vec::new(),
            newest_file: None,
            newest: 0,
            copyright: format!("usr/share/doc/{package}/copyright"),
            licence: None,
            texts: BTreeMap::new(),
        }
    }

    /// Adds one entry.
    pub(super) fn add<E: From<DebError>>(
        &mut self,
        header: &Header,
        content: &mut dyn Read,
        sink: Sink<'_, E>,
    ) -> Result<(), E> {
        let refused = |reason| E::from(DebError::entry(&header.path, reason));
        if header.mtime > LATEST {
            return Err(refused("its time is beyond what a record can hold"));
        }
        self.newest = self.newest.max(header.mtime);
        let path = match place(&header.path)? {
            Place::At(path) => path,
            Place::Root if header.kind == Kind::Directory => return Ok(()),
            Place::Root => return Err(refused("only a directory can be the root")),
            Place::Alias => return Ok(check_alias(header)?),
        };
        let entry = match &header.kind {
            Kind::Special => return Err(refused("a package may not hold devices, fifos or sockets")),
            Kind::HardLink(target) => {
                let Place::At(target) = place(target)? else {
                    return Err(refused("it is a hard link to a directory"));
                };
                self.hard_links.push((path, target));
                return Ok(());
            }
            Kind::Directory => Entry::Directory,
            Kind::Symlink(target) => Entry::Symlink { target: target.as_slice().into() },
            Kind::File => {
                if header.path.ends_with(b"/") {
                    return Err(refused("it is a file, but its path ends with a slash"));
                }
                self.newest_file = self.newest_file.max(Some(header.mtime));
                self.file(&path, header, content, sink)?
            }
        };
        let attributes = attributes(header)?;
        if entry == Entry::Directory
            && let Some((Entry::Directory, known)) = self.builder.get(path.as_bytes())
            && *known == attributes.clone().normal_for(&entry)
        {
            return Ok(());
        }
        self.builder.insert(path, entry, attributes).map_err(DebError::from)?;
        Ok(())
    }

    /// Hands a file's content on, keeping a copy of those that declarations or metadata are read from.
    fn file<E: From<DebError>>(
        &mut self,
        path: &TreePath,
        header: &Header,
        content: &mut dyn Read,
        sink: Sink<'_, E>,
    ) -> Result<Entry, E> {
        let size = header.size;
        let is_copyright = path.as_bytes() == self.copyright.as_bytes();
        let digest = if size <= TEXT && (is_copyright || is_declarative(path)) {
            let mut text = Vec::new();
            content.read_to_end(&mut text).map_err(DebError::from_io)?;
            let digest = sink(&mut text.as_slice(), size)?;
            if is_copyright {
                self.licence = licence::of(&text);
            } else {
                self.texts.insert(path.clone(), text);
            }
            digest
        } else {
            sink(content, size)?
        };
        Ok(Entry::File { digest, size, executable: header.mode & 0o100 != 0 })
    }

    /// Adds a file of our own.
    pub(super) fn text<E: From<DebError>>(&mut self, path: &str, mut text: &[u8], sink: Sink<'_, E>) -> Result<(), E> {
        let size = text.len() as u64;
        let path = TreePath::try_from(path).map_err(DebError::from)?;
        let digest = sink(&mut text, size)?;
        let entry = Entry::File { digest, size, executable: false };
        self.builder.insert(path, entry, Attributes::default()).map_err(DebError::from)?;
        Ok(())
    }

    /// Resolves hard links and closes the Tree.
    pub(super) fn finish(mut self) -> Result<Contents, DebError> {
        for (path, target) in std::mem::take(&mut self.hard_links) {
            match self.builder.get(target.as_bytes()) {
                Some((entry @ Entry::File { .. }, attributes)) => {
                    let (entry, attributes) = (entry.clone(), attributes.clone());
                    self.builder.insert(path, entry, attributes)?;
                }
                _ => return Err(DebError::HardLink { path, target }),
            }
        }
        Ok(Contents {
            tree: self.builder.finish()?,
            time: self.newest_file.unwrap_or(self.newest),
            licence: self.licence,
            texts: self.texts,
        })
    }
}

/// Whether declarations are derived from this file.
fn is_declarative(path: &TreePath) -> bool {
    let path = path.as_bytes();
    let below = |folder: &[u8], suffix: &[u8]| path.starts_with(folder) && path.ends_with(suffix);
    below(b"usr/lib/sysusers.d/", b".conf")
        || below(b"usr/lib/tmpfiles.d/", b".conf")
        || below(b"usr/share/php", b".ini")
}

/// Strips `./` and a directory's slash, and moves what lies below an alias.
fn place(raw: &[u8]) -> Result<Place, DebError> {
    let path = raw.strip_prefix(b"./").unwrap_or(raw);
    let path = path.strip_suffix(b"/").unwrap_or(path);
    if raw.first() == Some(&b'/') {
        return Err(DebError::entry(raw, "its path is absolute"));
    }
    if matches!(path, b"" | b".") {
        return Ok(Place::Root);
    }
    match usr_merged(TreePath::new(path)?)? {
        Some(path) => Ok(Place::At(path)),
        None => Ok(Place::Alias),
    }
}

/// Where a path stands with merged-/usr: what is below an alias moves below `/usr`. `None` for the alias itself, which is a composer's.
///
/// # Errors
/// When the result is longer or deeper than a path may be.
pub fn usr_merged(path: TreePath) -> Result<Option<TreePath>, PathError> {
    if ALIASES.contains(&path.as_bytes()) {
        return Ok(None);
    }
    match ALIASES.iter().any(|alias| path.is_below(alias)) {
        true => TreePath::new([b"usr/", path.as_bytes()].concat()).map(Some),
        false => Ok(Some(path)),
    }
}

/// In an alias's place there may be a directory or the link itself.
fn check_alias(header: &Header) -> Result<(), DebError> {
    let path = header.path.strip_prefix(b"./").unwrap_or(&header.path);
    let path = path.strip_suffix(b"/").unwrap_or(path);
    match &header.kind {
        Kind::Directory => Ok(()),
        Kind::Symlink(target) => {
            let target = target.strip_prefix(b"/").unwrap_or(target);
            match target.strip_prefix(b"usr/") == Some(path) {
                true => Ok(()),
                false => Err(DebError::entry(&header.path, "it can only be a link to the same name below /usr")),
            }
        }
        _ => Err(DebError::entry(&header.path, "it must be a directory")),
    }
}

/// Mode and owners; what repeats a default is left out by the builder.
fn attributes(header: &Header) -> Result<Attributes, DebError> {
    let name = |given: &[u8], id| match (given, id) {
        (b"", 0) => Ok("root".to_owned()),
        (b"", _) => Err(DebError::entry(&header.path, "its owner or group has a number but no name")),
        (name, _) => String::from_utf8(name.to_vec())
            .map_err(|_| DebError::entry(&header.path, "its owner's or group's name is not UTF-8")),
    };
    let is_link = matches!(header.kind, Kind::Symlink(_));
    Ok(Attributes {
        mode: (!is_link).then_some(header.mode),
        owner: Some(name(&header.owner, header.uid)?),
        group: Some(name(&header.group, header.gid)?),
        xattrs: header.xattrs.clone(),
    })
}
