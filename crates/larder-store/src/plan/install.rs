//! An image's root: its packages linked into place, its own files on top.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use super::{Catalog, Entries, Expanded, Loaded, PACKAGES, PlanDigest, PlanError, Planned};
use super::{expand, merge_same, settle_parents};
use crate::fileset::{InstallRules, Metadata};
use crate::tree::{Entry, TreeEntry};
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

impl InstallPlan {
    /// The install rules of every package and declaration, with the index of the FileSet they come from.
    pub fn rules(&self) -> impl Iterator<Item = (usize, &InstallRules)> {
        self.packages.iter().filter_map(|p| Some((p.source, rules(&self.sources[p.source])?)))
    }

    /// Every path below `packages/`, each with its FileSet: the mount points, their parents and the packages' whole trees.
    ///
    /// # Errors
    /// A path that is too long below its mount path.
    pub fn package_entries(&self) -> Result<BTreeMap<TreePath, Planned>, crate::path::PathError> {
        let index = index(&self.sources);
        let mut all = Entries::new();
        let directory = |path: &TreePath, source: usize| {
            let entry = TreeEntry { path: path.clone(), entry: Entry::Directory, attributes: Default::default() };
            Planned { source, moved_from: None, entry }
        };
        for package in &self.packages {
            all.insert(package.mount.clone(), directory(&package.mount, package.source));
            for above in package.mount.ancestors() {
                all.entry(above.clone()).or_insert_with(|| directory(&above, self.image));
            }
            for (path, planned) in &package.expanded.entries {
                let source = index[&package.expanded.sources[planned.source].digest];
                let path = path.below(&package.mount)?;
                let entry = TreeEntry { path: path.clone(), ..planned.entry.clone() };
                all.insert(path, Planned { source, moved_from: planned.moved_from.clone(), entry });
            }
        }
        Ok(all)
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
/// the other and no diversion says so; a path below something that isn't a directory; files in `packages`.
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

    fn add_package_entry<E: std::error::Error + 'static>(
        &mut self,
        package: usize,
        path: &TreePath,
        planned: Planned,
    ) -> Result<(), PlanError<E>> {
        let mut planned = planned;
        if let Some((owner, to)) = self.diversions.get(path)
            && package_name(&self.sources[package]) != owner
            && planned.entry.entry != Entry::Directory
        {
            planned.moved_from.get_or_insert_with(|| path.clone());
            planned.entry.path = (*to).clone();
        }
        self.refuse_reserved(&planned)?;
        let path = planned.entry.path.clone();
        let Some(there) = self.entries.get_mut(&path) else {
            self.entries.insert(path, planned);
            return Ok(());
        };
        if merge_same(there, &planned) {
            return Ok(());
        }
        if there.entry.entry == Entry::Directory && planned.entry.entry == Entry::Directory {
            // A script that changes a directory of another package has the last word there.
            let declared = |source: usize| is_declaration(&self.sources[source]);
            match (declared(there.source), declared(planned.source)) {
                (false, true) => {
                    *there = planned;
                    return Ok(());
                }
                (true, false) => return Ok(()),
                _ => {}
            }
        }
        if self.may_replace(planned.source, self.entries[&path].source) {
            let hidden = self.entries.insert(path.clone(), planned.clone()).map(|p| p.source);
            self.overridden.extend(hidden.map(|of| (path, planned.source, of)));
            return Ok(());
        }
        let there = self.entries[&path].source;
        if self.may_replace(there, planned.source) {
            self.overridden.insert((path, there, planned.source));
            return Ok(());
        }
        let (first, second) = (there.min(planned.source), there.max(planned.source));
        Err(PlanError::Conflict {
            path,
            first: self.sources[first].to_string(),
            second: self.sources[second].to_string(),
        })
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
