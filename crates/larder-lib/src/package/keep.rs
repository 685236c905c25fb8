//! What is kept with a package that was built, so that it can be built again and compared: the text of its recipe, the lock that says where
//! the sandbox's packages come from, the sources that were beside the recipe, and the publisher's signature of others with its key.
//!
//! It is a FileSet `host.internal/recipe` with `larder.toml`, `larder.lock`, the folder `source`, `signature` and `signed-by`, which garbage collection keeps for as
//! long as the package. Nothing of it has to be believed: the statement about the package names the digest of each part.
//!
//! Absent on purpose: sources that are fetched, which are pinned and can be fetched again.

use std::io::Read as _;

use larder_store::fileset::FilesMetadata;
use larder_store::{
    Attributes, Entry, FileSet, FileSetDigest, Ingest, Metadata, Name, Sha256Digest, Store, Tree, TreeBuilder, TreePath,
};
use sha2::{Digest as _, Sha256};

use super::BuiltPart;
use super::source::Sources;
use super::source::publisher::{Publisher, Signed, sha256};
use crate::lock::Lock;
use crate::recipe::package::{PackageRecipe, SourceSpec};
use crate::recipe::{FILE_NAME, LOCK_NAME};
use crate::{Error, Result};

/// The name of what is kept.
const NAME: &str = "host.internal/recipe";
/// Where the sources stand in it.
const SOURCES: &str = "source/";
/// A publisher's signature of sources that were fetched, and the key.
const SIGNATURE: &str = "signature";
const KEY: &str = "signed-by";
/// No recipe and no lock is longer.
const LONGEST: u64 = 64 << 20;

/// What a package can be built again from.
#[derive(Debug)]
pub(crate) struct Kept {
    /// The recipe's text, which has the digest that was asked for.
    pub(super) recipe: String,
    /// The lock's text.
    pub(super) lock: String,
    /// The sources that were beside the recipe; nothing where they were fetched.
    pub(crate) sources: Tree,
    /// The signature of sources that were fetched, and the key by which it was judged.
    pub(crate) publisher: Option<Publisher>,
}

impl Kept {
    /// The digests of the files that are kept, beside the sources.
    pub(crate) fn files(&self) -> Vec<Sha256Digest> {
        let publisher = self.publisher.iter().flat_map(|publisher| [&publisher.signature, &publisher.key]);
        std::iter::once(self.recipe.as_bytes()).chain(publisher.map(Vec::as_slice)).map(sha256).collect()
    }
}

/// Keeps what packages were built from.
///
/// # Errors
/// A store that can't be written.
pub(super) fn write(
    ingest: &Ingest<'_>,
    recipe: &PackageRecipe,
    lock: &Lock,
    sources: &Sources,
    parts: &[BuiltPart],
) -> Result<()> {
    let mut tree = TreeBuilder::new();
    let lock = lock.to_text();
    let mut files = vec![(FILE_NAME, recipe.written.as_bytes()), (LOCK_NAME, lock.as_bytes())];
    if let Some(Signed { publisher, .. }) = &sources.signed {
        files.extend([(SIGNATURE, publisher.signature.as_slice()), (KEY, &publisher.key)]);
    }
    for (name, text) in files {
        let (digest, size) = (ingest.write_bytes(text)?, text.len() as u64);
        tree.insert(path(name.as_bytes())?, Entry::File { digest, size, executable: false }, Attributes::default())?;
    }
    if matches!(recipe.source, Some(SourceSpec::Path(_))) {
        for entry in sources.tree.entries() {
            let path = path(&[SOURCES.as_bytes(), entry.path.as_bytes()].concat())?;
            tree.insert(path, entry.entry.clone(), entry.attributes.clone())?;
        }
    }
    let record = FileSet {
        name: Name::parse(NAME)?,
        version: "1".to_owned(),
        architecture: "all".to_owned(),
        time: 0,
        tree: ingest.write_tree(&tree.finish()?)?,
        imports: Vec::new(),
        metadata: Metadata::Files(FilesMetadata::default()),
    };
    let kept = ingest.write_fileset(&record)?;
    for part in parts {
        ingest.keep_with(&part.digest, &kept)?;
    }
    Ok(())
}

/// What is kept with a package and has the recipe of this digest. What can't be read counts as gone.
///
/// # Errors
/// A store that can't be read.
pub(crate) fn find(store: &Store, package: &FileSetDigest, recipe: &Sha256Digest) -> Result<Option<Kept>> {
    for digest in store.kept(package)? {
        let Ok(record) = store.fileset(&digest) else { continue };
        let Ok(tree) = store.tree(&record.tree) else { continue };
        if record.name.as_str() != NAME {
            continue;
        }
        let text = |name| Ok::<_, Error>(bytes(store, &tree, name)?.and_then(|bytes| String::from_utf8(bytes).ok()));
        let (Some(text), Some(lock)) = (text(FILE_NAME)?, text(LOCK_NAME)?) else { continue };
        if Sha256::digest(&text)[..] == recipe.as_bytes()[..] {
            let publisher = bytes(store, &tree, SIGNATURE)?.zip(bytes(store, &tree, KEY)?);
            let publisher = publisher.map(|(signature, key)| Publisher { signature, key });
            return Ok(Some(Kept { recipe: text, lock, sources: sources(&tree)?, publisher }));
        }
    }
    Ok(None)
}

fn bytes(store: &Store, tree: &Tree, name: &str) -> Result<Option<Vec<u8>>> {
    let Some(Entry::File { digest, .. }) = tree.get(name.as_bytes()).map(|entry| &entry.entry) else { return Ok(None) };
    let Ok(file) = store.open_object(digest) else { return Ok(None) };
    let mut bytes = Vec::new();
    file.take(LONGEST).read_to_end(&mut bytes).map_err(Error::io("read", &store.object_path(digest)))?;
    Ok(Some(bytes))
}

/// The folder `source`, as it was beside the recipe.
fn sources(tree: &Tree) -> Result<Tree> {
    let mut sources = TreeBuilder::new();
    for entry in tree.entries() {
        if let Some(inside) = entry.path.as_bytes().strip_prefix(SOURCES.as_bytes()) {
            sources.insert(path(inside)?, entry.entry.clone(), entry.attributes.clone())?;
        }
    }
    Ok(sources.finish()?)
}

fn path(bytes: &[u8]) -> Result<TreePath> {
    Ok(TreePath::new(bytes).map_err(larder_store::tree::TreeError::from)?)
}
