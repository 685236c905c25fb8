//! Packages of one's own, made without a build: a record and its files go into the store under the package's name.

use larder_lib::store::fileset::{AlternativeRule, LinkRule, PackageMetadata};
use larder_lib::store::refs::{RefEntry, RefKind};
use larder_lib::store::tree::Attributes;
use larder_lib::store::{Entry, FileSet, FileSetDigest, Import, Metadata, Name, Store, TreeBuilder, TreePath};

use super::site::Site;

/// A package of one's own.
#[derive(Clone)]
pub(crate) struct Own {
    name: Name,
    version: String,
    metadata: PackageMetadata,
    files: Vec<(String, Vec<u8>, bool)>,
    imports: Vec<Import>,
}

/// A package that is for any machine.
pub(crate) fn own(name: &str, version: &str) -> Own {
    let (name, version) = (Name::parse(name).expect("name"), version.to_owned());
    Own { name, version, metadata: PackageMetadata::default(), files: Vec::new(), imports: Vec::new() }
}

fn texts(items: &[&str]) -> Vec<String> {
    items.iter().map(|item| (*item).to_owned()).collect()
}

impl Own {
    pub(crate) fn requires(mut self, items: &[&str]) -> Self {
        self.metadata.requires = texts(items);
        self
    }

    /// Sets whatever else its record may say.
    pub(crate) fn saying(mut self, set: impl FnOnce(&mut PackageMetadata)) -> Self {
        set(&mut self.metadata);
        self
    }

    /// A package that it holds whole: where, which, and its version.
    pub(crate) fn holding(mut self, path: &str, (name, version): (&str, &str), fileset: FileSetDigest) -> Self {
        let (path, name) = (TreePath::try_from(path).expect("path"), Name::parse(name).expect("name"));
        self.imports.push(Import { path, name, version: version.to_owned(), fileset });
        self
    }

    pub(crate) fn provides(mut self, items: &[&str]) -> Self {
        self.metadata.provides = texts(items);
        self
    }

    pub(crate) fn conflicts(mut self, items: &[&str]) -> Self {
        self.metadata.conflicts = texts(items);
        self
    }

    pub(crate) fn stands_in_for(mut self, items: &[&str]) -> Self {
        self.metadata.stands_in_for = texts(items);
        self
    }

    pub(crate) fn replaces_files_of(mut self, items: &[&str]) -> Self {
        self.metadata.install.replaces_files_of = texts(items);
        self
    }

    /// Links to be made: where, and to what.
    pub(crate) fn links(mut self, links: &[(&str, &str)]) -> Self {
        let rule = |(path, target): &(&str, &str)| LinkRule {
            path: TreePath::try_from(*path).expect("path"),
            target: (*target).to_owned(),
        };
        self.metadata.install.links = links.iter().map(rule).collect();
        self
    }

    /// An alternative: its name, its link, what that points to, and how much that is preferred.
    pub(crate) fn alternative(mut self, name: &str, (link, path): (&str, &str), priority: i64) -> Self {
        let [link, path] = [link, path].map(|path| TreePath::try_from(path).expect("path"));
        let rule = AlternativeRule { name: name.to_owned(), link, path, priority, followers: Vec::new() };
        self.metadata.install.alternatives.push(rule);
        self
    }

    pub(crate) fn licence(mut self, licence: &str) -> Self {
        self.metadata.licence = Some(licence.to_owned());
        self
    }

    pub(crate) fn action(mut self, name: &str, command: &[&str]) -> Self {
        self.metadata.actions.insert(name.to_owned(), texts(command));
        self
    }

    /// Which of its files are its default configuration, and where its documentation is.
    pub(crate) fn describes(mut self, configuration: &[&str], documentation: &[&str]) -> Self {
        let paths = configuration.iter().map(|path| TreePath::try_from(*path).expect("path"));
        self.metadata.configuration = paths.collect();
        self.metadata.documentation = texts(documentation);
        self
    }

    pub(crate) fn file(mut self, path: &str, content: impl AsRef<[u8]>) -> Self {
        self.files.push((path.to_owned(), content.as_ref().to_vec(), false));
        self
    }

    pub(crate) fn program(mut self, path: &str, content: impl AsRef<[u8]>) -> Self {
        self.files.push((path.to_owned(), content.as_ref().to_vec(), true));
        self
    }

    /// Puts the package into the store of a machine.
    pub(crate) fn publish(&self, site: &Site) -> FileSetDigest {
        let store = Store::open(&site.env.store()).expect("store");
        let ingest = store.begin().expect("ingest");
        let mut tree = TreeBuilder::new();
        for (path, content, executable) in &self.files {
            let digest = ingest.write_bytes(content).expect("object");
            let entry = Entry::File { digest, size: content.len() as u64, executable: *executable };
            tree.insert(TreePath::try_from(path.as_str()).expect("path"), entry, Attributes::default()).expect("entry");
        }
        let record = FileSet {
            name: self.name.clone(),
            version: self.version.clone(),
            architecture: "all".to_owned(),
            time: 1_700_000_000,
            tree: ingest.write_tree(&tree.finish().expect("tree")).expect("tree"),
            imports: self.imports.clone(),
            metadata: Metadata::Package(self.metadata.clone()),
        };
        let fileset = ingest.write_fileset(&record).expect("record");
        let _lease = ingest.commit_leased().expect("commit");
        let entry = RefEntry { version: self.version.clone(), fileset, at: 1_700_000_000, action: "build".to_owned() };
        store.refs().set(RefKind::Package, self.name.as_str(), entry).expect("ref");
        fileset
    }
}

/// A library that says its soname and nothing else: an ELF file of two program headers.
pub(crate) fn library(soname: &str) -> Vec<u8> {
    let strings = [b"\0", soname.as_bytes(), b"\0"].concat();
    let (base, at_strings) = (0x1000_u64, 64 + 56 * 2_u64);
    let at_dynamic = at_strings + strings.len() as u64;
    let dynamic = [(14_u64, 1_u64), (5, base + at_strings), (10, strings.len() as u64), (0, 0)];
    let mut out = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0".to_vec();
    out.extend([3_u16, 62].iter().flat_map(|value| value.to_le_bytes()));
    out.extend(1_u32.to_le_bytes());
    out.extend([0_u64, 64, 0].iter().flat_map(|value| value.to_le_bytes()));
    out.extend(0_u32.to_le_bytes());
    out.extend([64_u16, 56, 2, 64, 0, 0].iter().flat_map(|value| value.to_le_bytes()));
    for (kind, offset, size) in [(1_u32, 0, at_dynamic + 64), (2, at_dynamic, 64)] {
        out.extend(kind.to_le_bytes());
        out.extend(4_u32.to_le_bytes());
        out.extend([offset, base + offset, base + offset, size, size, 8].iter().flat_map(|value| value.to_le_bytes()));
    }
    out.extend(strings);
    out.extend(dynamic.iter().flat_map(|(tag, value)| [tag.to_le_bytes(), value.to_le_bytes()].concat()));
    out
}
