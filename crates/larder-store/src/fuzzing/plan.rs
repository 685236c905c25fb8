//! The install plan of a made-up image. The input describes it line by line:
//!
//! ```text
//! package NAME          begins a package; before the first, lines are the image's own
//! file PATH CONTENT     link PATH TARGET     directory PATH
//! replaces NAME         divert PATH TO       import PATH NAME      make PATH TARGET
//! ```
//!
//! Lines that mean nothing are passed over.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::Arc;

use crate::fileset::{DiversionRule, ImageMetadata, Import, InstallRules, LinkRule, PackageMetadata};
use crate::plan::{Catalog, InstallPlan, Loaded, install};
use crate::{Attributes, Entry, FileSet, FileSetDigest, Metadata, Name, ObjectDigest, TreeBuilder, TreePath};

/// The most packages of one image.
const MOST: usize = 24;

/// A package, or the image, while it's read.
#[derive(Default)]
struct Drawn {
    name: Option<Name>,
    builder: TreeBuilder,
    rules: InstallRules,
    imports: Vec<(TreePath, usize)>,
}

struct Shelf(HashMap<FileSetDigest, Arc<Loaded>>);

impl Catalog for Shelf {
    type Error = Infallible;

    fn load(&self, digest: &FileSetDigest) -> Result<Arc<Loaded>, Infallible> {
        Ok(Arc::clone(&self.0[digest]))
    }
}

/// A plan is refused, or is a whole tree; the order in which packages are named means nothing.
pub fn plan(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let parts = read(&text);
    let (one, other) = (planned(&parts, false), planned(&parts, true));
    assert_eq!(one.is_some(), other.is_some());
    let (Some(one), Some(other)) = (one, other) else { return };
    assert_eq!(one.digest, other.digest);
    assert!(one.entries.iter().map(entry).eq(other.entries.iter().map(entry)));
    for path in one.entries.keys() {
        assert!(!path.is_below(b"packages"));
        let parent = path.parent().map(|parent| one.entries.get(&parent).map(|planned| &planned.entry.entry));
        assert!(matches!(parent, None | Some(Some(Entry::Directory))), "{path} has no directory above it");
        assert!(!one.is_made_link(path) || matches!(one.entries[path].entry.entry, Entry::Symlink { .. }));
    }
    _ = one.package_entries();
}

fn entry<'a>((path, planned): (&'a TreePath, &'a crate::plan::Planned)) -> (&'a TreePath, &'a crate::TreeEntry) {
    (path, &planned.entry)
}

fn read(text: &str) -> Vec<Drawn> {
    let mut parts = vec![Drawn::default()];
    for line in text.lines() {
        let mut words = line.split(' ');
        let (kind, one, two) = (words.next().unwrap_or_default(), words.next(), words.next());
        if kind == "package" {
            let name = one.and_then(|name| Name::parse(&format!("example.com/{name}")).ok());
            if name.is_some() && parts.len() <= MOST && parts.iter().all(|part| part.name != name) {
                parts.push(Drawn { name, ..Drawn::default() });
            }
            continue;
        }
        let known = |name: &str| parts.iter().position(|part| part.name.as_ref().is_some_and(|n| n.short() == name));
        let imported = two.and_then(known).filter(|&at| at > 0 && at + 1 < parts.len());
        let Some(part) = parts.last_mut() else { continue };
        _ = part.line(kind, one, two, imported);
    }
    parts
}

impl Drawn {
    fn line(&mut self, kind: &str, one: Option<&str>, two: Option<&str>, imported: Option<usize>) -> Option<()> {
        let path = TreePath::new(one?).ok();
        let entry = match kind {
            "file" => {
                let content = two.unwrap_or_default().as_bytes();
                Entry::File { digest: ObjectDigest::of(content), size: content.len() as u64, executable: false }
            }
            "link" => Entry::Symlink { target: two?.as_bytes().into() },
            "directory" => Entry::Directory,
            "replaces" => {
                self.rules.replaces_files_of.push(one?.to_owned());
                return None;
            }
            "divert" => {
                self.rules.diversions.push(DiversionRule { path: path?, to: TreePath::new(two?).ok()? });
                return None;
            }
            "make" => {
                self.rules.links.push(LinkRule { path: path?, target: two?.to_owned() });
                return None;
            }
            "import" => {
                self.imports.push((path?, imported?));
                return None;
            }
            _ => return None,
        };
        self.builder.insert(path?, entry, Attributes::default()).ok()
    }
}

/// The plan of the image that holds all packages; `None` where it is refused.
fn planned(parts: &[Drawn], reversed: bool) -> Option<InstallPlan> {
    let mut shelf = Shelf(HashMap::new());
    let mut loaded: Vec<Arc<Loaded>> = Vec::new();
    for part in &parts[1..] {
        let mut imports = Vec::new();
        for (path, at) in &part.imports {
            // The image's own place is 0.
            let import = &loaded[at - 1];
            imports.push(Import {
                path: path.clone(),
                name: import.record.name.clone(),
                version: "1".to_owned(),
                fileset: import.digest,
            });
        }
        let package = load(part, imports, |rules| {
            Metadata::Package(PackageMetadata { install: rules, ..PackageMetadata::default() })
        })?;
        shelf.0.insert(package.digest, Arc::clone(&package));
        loaded.push(package);
    }
    let mut imports: Vec<Import> = Vec::new();
    for package in &loaded {
        let path = package.record.name.mount_path("1").ok()?;
        let name = package.record.name.clone();
        imports.push(Import { path, name, version: "1".to_owned(), fileset: package.digest });
    }
    if reversed {
        imports.reverse();
    }
    let image = load(&parts[0], imports, |_| Metadata::Image(ImageMetadata::default()))?;
    install(&shelf, &image).ok()
}

fn load(part: &Drawn, imports: Vec<Import>, metadata: impl FnOnce(InstallRules) -> Metadata) -> Option<Arc<Loaded>> {
    let tree = part.builder.clone().finish().ok()?;
    let name = part.name.clone().or_else(|| Name::parse("example.com/image").ok())?;
    let record = FileSet {
        name,
        version: "1".to_owned(),
        architecture: "all".to_owned(),
        time: 0,
        tree: tree.digest(),
        imports,
        metadata: metadata(part.rules.clone()),
    };
    // What can't be written as a record can't be in a store.
    FileSet::decode(&record.encode()).ok()?;
    Some(Arc::new(Loaded { digest: record.digest(), record, tree }))
}
