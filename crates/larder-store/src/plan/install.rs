//! An image's root: its packages linked into place, its own files on top.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use super::{Catalog, Entries, Expanded, Loaded, PACKAGES, PlanDigest, PlanError, Planned};
use super::{expand, merge_same, settle_parents};
use crate::fileset::{InstallRules, LinkRule, Metadata};
use crate::tree::{Attributes, Entry, TreeEntry};
use crate::{FileSetDigest, TreePath};

/// What stands where in a container, before composers add what depends on the whole set.
#[derive(Debug)]
pub struct InstallPlan {
    /// The key of the view that it describes.
    pub digest: PlanDigest,
    /// The image itself, and every FileSet that it reaches: sorted by name, version, digest.
    pub sources: Vec<Arc<Loaded>>,
    /// The index of the image in `sources`.
    pub image: usize,
    /// The imports below `packages/`, sorted by mount path.
    pub packages: Vec<Packaged>,
    /// Every path of the root but those below `packages/`.
    pub entries: BTreeMap<TreePath, Planned>,
    /// Paths at which the image's own file, or a declared replacement, took a package's place. Sorted by path.
    pub overridden: Vec<Overridden>,
}

/// An import that is visible below `packages/` and installed in the root.
#[derive(Debug)]
pub struct Packaged {
    /// Where it is visible whole.
    pub mount: TreePath,
    /// Its index in the plan's `sources`.
    pub source: usize,
    /// Its whole tree, paths relative to the mount path.
    pub expanded: Expanded,
}

/// A path that has more than one claimant, lawfully.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Overridden {
    /// Where.
    pub path: TreePath,
    /// The index of the FileSet that is seen, in the plan's `sources`.
    pub by: usize,
    /// The index of the FileSet that is hidden there.
    pub of: usize,
}

/// What is at a path below `packages/`.
#[derive(Debug, Clone, Copy)]
pub enum PackageEntry<'a> {
    /// A directory above the place of a package.
    Above,
    /// The directory that is a package's place.
    Mount,
    /// Something of a package.
    Inside(&'a Planned),
}

impl InstallPlan {
    /// The install rules of every package and declaration, with the index of the FileSet they come from.
    pub fn rules(&self) -> impl Iterator<Item = (usize, &InstallRules)> {
        self.packages.iter().filter_map(|p| Some((p.source, rules(&self.sources[p.source])?)))
    }

    /// Whether what stands at a path is a link that a package has made there by its install rules, and no file of its tree.
    pub fn is_made_link(&self, path: &TreePath) -> bool {
        self.entries.get(path).is_some_and(|planned| {
            matches!(planned.entry.entry, Entry::Symlink { .. })
                && planned.moved_from.is_none()
                && self.sources[planned.source].tree.get(path.as_bytes()).is_none()
        })
    }

    /// Every path below `packages/`, each with its FileSet: the mount points, their parents and the packages' whole trees.
    ///
    /// # Errors
    /// A path that is too long below its mount path.
    pub fn package_entries(&self) -> Result<BTreeMap<TreePath, Planned>, crate::path::PathError> {
        let mut all = Entries::new();
        self.visit_package_entries(|path, source, found| {
            let planned = |moved_from, entry: Entry, attributes| Planned {
                source,
                moved_from,
                entry: TreeEntry { path: path.clone(), entry, attributes },
            };
            match found {
                PackageEntry::Above => {
                    all.entry(path.clone()).or_insert_with(|| planned(None, Entry::Directory, Default::default()));
                }
                PackageEntry::Mount => {
                    all.insert(path.clone(), planned(None, Entry::Directory, Default::default()));
                }
                PackageEntry::Inside(inside) => {
                    let TreeEntry { entry, attributes, .. } = inside.entry.clone();
                    all.insert(path.clone(), planned(inside.moved_from.clone(), entry, attributes));
                }
            }
        })?;
        Ok(all)
    }

    /// Every path below `packages/` with the index of its FileSet, in the order of the packages: of two at one path the later one stands, and
    /// [`PackageEntry::Above`] only where nothing else does.
    ///
    /// # Errors
    /// A path that is too long below its mount path.
    pub fn visit_package_entries<'a>(
        &'a self,
        mut visit: impl FnMut(TreePath, usize, PackageEntry<'a>),
    ) -> Result<(), crate::path::PathError> {
        let index = index(&self.sources);
        for package in &self.packages {
            visit(package.mount.clone(), package.source, PackageEntry::Mount);
            for above in package.mount.ancestors() {
                visit(above, self.image, PackageEntry::Above);
            }
            let sources: Vec<_> = package.expanded.sources.iter().map(|source| index[&source.digest]).collect();
            for (path, planned) in &package.expanded.entries {
                visit(path.below(&package.mount)?, sources[planned.source], PackageEntry::Inside(planned));
            }
        }
        Ok(())
    }
}

/// The install rules that a FileSet carries, if its kind carries any.
fn rules(loaded: &Loaded) -> Option<&InstallRules> {
    match &loaded.record.metadata {
        Metadata::Package(package) => Some(&package.install),
        Metadata::Files(files) => Some(&files.install),
        Metadata::Image(_) | Metadata::Distribution(_) => None,
    }
}

fn index(sources: &[Arc<Loaded>]) -> HashMap<FileSetDigest, usize> {
    sources.iter().enumerate().map(|(i, l)| (l.digest, i)).collect()
}

/// Plans an image's root.
///
/// # Errors
/// A FileSet that can't be loaded; two owners of one path with different content where neither declares that it replaces
/// the other and no diversion says so; a link to be made where there is something else; a path below something that isn't a
/// directory; files or links in `packages`.
pub fn install<C: Catalog>(catalog: &C, image: &Arc<Loaded>) -> Result<InstallPlan, PlanError<C::Error>> {
    let mut mounted = (**image).clone();
    mounted.record.imports.retain(|import| !import.path.is_below(PACKAGES));
    let own = expand(catalog, &Arc::new(mounted))?;

    let mut parts = Vec::new();
    for import in image.record.imports.iter().filter(|import| import.path.is_below(PACKAGES)) {
        let child = catalog.load(&import.fileset).map_err(|source| PlanError::Load {
            what: format!("{}@{}, imported by {image}", import.name, import.version),
            source,
        })?;
        let expanded = expand(catalog, &child)?;
        parts.push((import.path.clone(), child, expanded));
    }
    parts.sort_by(|a, b| a.0.cmp(&b.0));

    let mut sources: BTreeMap<_, Arc<Loaded>> = BTreeMap::new();
    let all = own.sources.iter().chain(parts.iter().flat_map(|(_, _, expanded)| &expanded.sources));
    for loaded in all.filter(|loaded| loaded.digest != image.digest).chain([image]) {
        let key = (loaded.record.name.clone(), loaded.record.version.clone(), loaded.digest);
        sources.entry(key).or_insert_with(|| Arc::clone(loaded));
    }
    let sources: Vec<_> = sources.into_values().collect();
    let index = index(&sources);

    let packages: Vec<_> = parts
        .into_iter()
        .map(|(mount, child, expanded)| Packaged { mount, source: index[&child.digest], expanded })
        .collect();
    let mut layout = Layout::new(&sources, &packages);
    for package in &packages {
        for (path, planned) in &package.expanded.entries {
            let source = index[&package.expanded.sources[planned.source].digest];
            layout.add_package_entry(package.source, path, Planned { source, ..planned.clone() })?;
        }
    }
    // After all files, so that what is in the way of a link has been laid.
    for package in &packages {
        for link in rules(&sources[package.source]).into_iter().flat_map(|rules| &rules.links) {
            layout.add_link(package.source, link)?;
        }
    }
    let own_index: Vec<usize> = own.sources.iter().map(|l| index[&l.digest]).collect();
    for (_, planned) in own.entries {
        layout.add_own_entry(Planned { source: own_index[planned.source], ..planned })?;
    }
    let Layout { mut entries, overridden, .. } = layout;
    settle_parents(&mut entries, &sources)?;
    Ok(InstallPlan {
        digest: PlanDigest::of(&image.record),
        image: index[&image.digest],
        packages,
        entries,
        overridden: overridden.into_iter().map(|(path, by, of)| Overridden { path, by, of }).collect(),
        sources,
    })
}

/// The root while packages are laid into it. The result does not depend on the order in which that happens: every rule
/// below is decided by the two claimants alone.
struct Layout<'a> {
    sources: &'a [Arc<Loaded>],
    /// path -> (the full name of the package that diverts it, where the others' file goes).
    diversions: BTreeMap<&'a TreePath, (String, &'a TreePath)>,
    /// source index -> full names of the packages whose files it may replace.
    replaces: HashMap<usize, BTreeSet<String>>,
    entries: Entries,
    /// (path, who is seen, who is hidden).
    overridden: BTreeSet<(TreePath, usize, usize)>,
}

impl<'a> Layout<'a> {
    fn new(sources: &'a [Arc<Loaded>], packages: &[Packaged]) -> Self {
        let mut diversions = BTreeMap::new();
        let mut replaces: HashMap<usize, BTreeSet<String>> = HashMap::new();
        for package in packages {
            let Some(rules) = rules(&sources[package.source]) else { continue };
            let owner = package_name(&sources[package.source]).to_owned();
            for diversion in &rules.diversions {
                diversions.insert(&diversion.path, (owner.clone(), &diversion.to));
            }
            let domain = sources[package.source].record.name.domain();
            let full = |name: &String| if name.contains('/') { name.clone() } else { format!("{domain}/{name}") };
            replaces.insert(package.source, rules.replaces_files_of.iter().map(full).collect());
        }
        Self { sources, diversions, replaces, entries: Entries::new(), overridden: BTreeSet::new() }
    }

    /// Where something of a package that isn't a directory goes, if another package diverts its path.
    fn diverted(&self, package: usize, path: &TreePath) -> Option<&'a TreePath> {
        let (owner, to) = self.diversions.get(path)?;
        (package_name(&self.sources[package]) != owner).then_some(*to)
    }

    fn add_package_entry<E: std::error::Error + 'static>(
        &mut self,
        package: usize,
        path: &TreePath,
        mut planned: Planned,
    ) -> Result<(), PlanError<E>> {
        if planned.entry.entry != Entry::Directory
            && let Some(to) = self.diverted(package, path)
        {
            planned.moved_from.get_or_insert_with(|| path.clone());
            planned.entry.path = to.clone();
        }
        self.refuse_reserved(&planned)?;
        let (path, source) = (planned.entry.path.clone(), planned.source);
        let Some(there) = self.lay(planned) else { return Ok(()) };
        let (first, second) = (there.min(source), there.max(source));
        Err(PlanError::Conflict {
            path,
            first: self.sources[first].to_string(),
            second: self.sources[second].to_string(),
        })
    }

    /// A link that a package wants in the root besides its files.
    fn add_link<E: std::error::Error + 'static>(
        &mut self,
        package: usize,
        link: &LinkRule,
    ) -> Result<(), PlanError<E>> {
        let path = self.diverted(package, &link.path).unwrap_or(&link.path).clone();
        let made = Entry::Symlink { target: link.target.as_bytes().into() };
        let entry = TreeEntry { path: path.clone(), entry: made, attributes: Attributes::default() };
        let planned = Planned { source: package, moved_from: None, entry };
        self.refuse_reserved(&planned)?;
        let Some(there) = self.lay(planned) else { return Ok(()) };
        Err(PlanError::Link {
            there: describe(&self.entries[&path].entry.entry),
            path,
            owner: self.sources[package].to_string(),
            target: link.target.clone(),
            other: self.sources[there].to_string(),
        })
    }

    /// Lays something of a package into the root. Where it can't be, the answer is the index of the FileSet that is in its way.
    fn lay(&mut self, planned: Planned) -> Option<usize> {
        let path = planned.entry.path.clone();
        let Some(there) = self.entries.get_mut(&path) else {
            self.entries.insert(path, planned);
            return None;
        };
        if merge_same(there, &planned) {
            return None;
        }
        if there.entry.entry == Entry::Directory && planned.entry.entry == Entry::Directory {
            // A script that changes a directory of another package has the last word there.
            let declared = |source: usize| is_declaration(&self.sources[source]);
            match (declared(there.source), declared(planned.source)) {
                (false, true) => {
                    *there = planned;
                    return None;
                }
                (true, false) => return None,
                _ => {}
            }
        }
        let there = there.source;
        if self.may_replace(planned.source, there) {
            self.overridden.insert((path.clone(), planned.source, there));
            self.entries.insert(path, planned);
            return None;
        }
        if self.may_replace(there, planned.source) {
            self.overridden.insert((path, there, planned.source));
            return None;
        }
        Some(there)
    }

    /// Whether the package at index `new` declares that it replaces files of the one at `old`.
    ///
    /// A package's own declarations (the table's, or its scripts') stand over its payload.
    fn may_replace(&self, new: usize, old: usize) -> bool {
        let (new_name, old_name) = (package_name(&self.sources[new]), package_name(&self.sources[old]));
        let declared =
            new_name == old_name && is_declaration(&self.sources[new]) && !is_declaration(&self.sources[old]);
        declared || self.replaces.get(&new).is_some_and(|names| names.contains(old_name))
    }

    fn add_own_entry<E: std::error::Error + 'static>(&mut self, planned: Planned) -> Result<(), PlanError<E>> {
        self.refuse_reserved(&planned)?;
        let path = planned.entry.path.clone();
        match self.entries.get_mut(&path) {
            Some(there) if there.entry.entry == Entry::Directory && planned.entry.entry == Entry::Directory => {
                if !planned.entry.attributes.is_default() {
                    *there = planned;
                }
            }
            Some(there) => {
                self.overridden.insert((path, planned.source, there.source));
                *there = planned;
            }
            None => {
                self.entries.insert(path, planned);
            }
        }
        Ok(())
    }

    /// Nothing but imports comes to stand where packages are shown: a package could otherwise put a file into another's
    /// folder there.
    fn refuse_reserved<E: std::error::Error + 'static>(&self, planned: &Planned) -> Result<(), PlanError<E>> {
        let path = &planned.entry.path;
        let is_folder = path.as_bytes() == PACKAGES && planned.entry.entry == Entry::Directory;
        if !path.is_below(PACKAGES) && (path.as_bytes() != PACKAGES || is_folder) {
            return Ok(());
        }
        Err(PlanError::Reserved { path: path.clone(), owner: self.sources[planned.source].to_string() })
    }
}

fn is_declaration(loaded: &Loaded) -> bool {
    matches!(loaded.record.metadata, Metadata::Files(_))
}

/// The full name of a package, or of the package that a declarations FileSet speaks of: two domains may each have an `openssl`.
fn package_name(loaded: &Loaded) -> &str {
    let name = loaded.record.name.as_str();
    if is_declaration(loaded) { name.strip_suffix("/declarations").unwrap_or(name) } else { name }
}

/// What stands somewhere, in words.
fn describe(entry: &Entry) -> String {
    match entry {
        Entry::Directory => "a directory".to_owned(),
        Entry::File { .. } => "a file".to_owned(),
        Entry::Symlink { target } => format!("a link to {}", String::from_utf8_lossy(target)),
    }
}
