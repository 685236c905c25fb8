//! The root while composers work on it: the plan below, what they wrote above.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::ops::Bound;

use larder_store::plan::{InstallPlan, Loaded, Planned};
use larder_store::tree::Attributes;
use larder_store::{Entry, ObjectDigest, TreePath};

use super::{ComposeError, Composed, ComposedEntry, Contents, Ids};

/// 1980-01-02, before which some archive formats have no times.
const EARLIEST: u64 = 315_619_200;
/// The span over which contents spread the times that they show.
const SPAN: u64 = 1 << 28;
/// The kernel's limit on links in one look-up.
const MAX_LINKS: usize = 40;

/// The plan and what composers add to it.
pub(super) struct Draft<'a> {
    plan: &'a InstallPlan,
    contents: &'a dyn Contents,
    composer: &'static str,
    files: BTreeMap<TreePath, ComposedEntry>,
    pub(super) ids: Ids,
}

impl<'a> Draft<'a> {
    pub(super) fn new(plan: &'a InstallPlan, contents: &'a dyn Contents) -> Self {
        Self { plan, contents, composer: "", files: BTreeMap::new(), ids: Ids::default() }
    }

    /// What is written from now on is this composer's.
    pub(super) fn begin(&mut self, composer: &'static str) {
        self.composer = composer;
    }

    pub(super) fn plan(&self) -> &'a InstallPlan {
        self.plan
    }

    /// What stands at a path, links not followed.
    pub(super) fn at(&self, path: &[u8]) -> Option<&Entry> {
        self.files.get(path).map(|f| &f.entry).or_else(|| self.plan.entries.get(path).map(|p| &p.entry.entry))
    }

    /// The names in a directory, sorted; the path is taken literally.
    pub(super) fn names(&self, directory: &[u8]) -> Vec<Vec<u8>> {
        let mut names = BTreeSet::new();
        collect_names(&self.plan.entries, directory, &mut names);
        collect_names(&self.files, directory, &mut names);
        names.into_iter().collect()
    }

    /// Whether the plan has anything strictly below a path; the first such, if so.
    pub(super) fn below(&self, path: &[u8]) -> Option<&'a Planned> {
        let start = [path, b"/"].concat();
        let (first, planned) =
            self.plan.entries.range::<[u8], _>((Bound::Excluded(&start[..]), Bound::Unbounded)).next()?;
        first.is_below(path).then_some(planned)
    }

    /// The path at which a look-up of `path` ends, all links followed; `None` where nothing is. The root is empty.
    pub(super) fn resolve(&self, path: &[u8]) -> Option<Vec<u8>> {
        self.walk(path, true)
    }

    /// Where an entry written at `path` really stands: links among its parents are followed, as far as they exist.
    fn place(&self, path: &TreePath) -> TreePath {
        let Some(parent) = path.parent() else { return path.clone() };
        let Some(real) = self.walk(parent.as_bytes(), false) else { return path.clone() };
        let joined = if real.is_empty() {
            path.file_name().to_vec()
        } else {
            [&real, b"/".as_slice(), path.file_name()].concat()
        };
        TreePath::new(joined).unwrap_or_else(|_| path.clone())
    }

    fn walk(&self, path: &[u8], must_exist: bool) -> Option<Vec<u8>> {
        let components = |path: &[u8]| -> Vec<Vec<u8>> {
            path.split(|&b| b == b'/').filter(|c| !c.is_empty() && *c != b".").rev().map(<[u8]>::to_vec).collect()
        };
        let mut pending = components(path);
        let mut done: Vec<u8> = Vec::new();
        let mut links = 0;
        while let Some(component) = pending.pop() {
            if component == b".." {
                done.truncate(done.iter().rposition(|&b| b == b'/').unwrap_or(0));
                continue;
            }
            let length = done.len();
            if length > 0 {
                done.push(b'/');
            }
            done.extend(&component);
            match self.at(&done) {
                Some(Entry::Symlink { target }) => {
                    links += 1;
                    if links > MAX_LINKS {
                        return None;
                    }
                    done.truncate(if target.starts_with(b"/") { 0 } else { length });
                    pending.extend(components(target));
                }
                Some(Entry::File { .. }) if !pending.is_empty() => return None,
                None if must_exist => return None,
                _ => {}
            }
        }
        Some(done)
    }

    /// The content of a regular file, links followed; `None` where there is none.
    pub(super) fn read(&self, path: &[u8], limit: u64) -> Result<Option<Vec<u8>>, ComposeError> {
        let Some((path, digest, _)) = self.file_at(path) else { return Ok(None) };
        self.contents.read(&digest, limit).map(Some).map_err(|source| ComposeError::Read { path, source })
    }

    /// Opens a regular file, links followed; `None` where there is none.
    pub(super) fn open(&self, path: &[u8]) -> Result<Option<File>, ComposeError> {
        let Some((path, digest, _)) = self.file_at(path) else { return Ok(None) };
        self.contents.open(&digest).map(Some).map_err(|source| ComposeError::Read { path, source })
    }

    /// An I/O error on an opened file of the plan.
    pub(super) fn unreadable(&self, path: &[u8], source: std::io::Error) -> ComposeError {
        let source: super::ContentError = source.into();
        match TreePath::new(path) {
            Ok(path) => ComposeError::Read { path, source },
            Err(error) => error.into(),
        }
    }

    /// The path, digest and size of a regular file, links followed.
    pub(super) fn file_at(&self, path: &[u8]) -> Option<(TreePath, ObjectDigest, u64)> {
        let path = TreePath::new(self.resolve(path)?).ok()?;
        match self.at(path.as_bytes())? {
            Entry::File { digest, size, .. } => Some((path, *digest, *size)),
            _ => None,
        }
    }

    /// Writes a regular file with default attributes, unless the plan has something there.
    pub(super) fn file(&mut self, path: &str, content: &[u8]) -> Result<(), ComposeError> {
        self.file_with(path, content, Attributes::default())
    }

    /// Writes a regular file, unless the plan has something there.
    pub(super) fn file_with(&mut self, path: &str, content: &[u8], attributes: Attributes) -> Result<(), ComposeError> {
        let path = self.place(&TreePath::try_from(path)?);
        if self.plan.entries.contains_key(&path) {
            return Ok(());
        }
        let digest =
            self.contents.write(content).map_err(|source| ComposeError::Write { path: path.clone(), source })?;
        self.put(path, Entry::File { digest, size: content.len() as u64, executable: false }, attributes);
        Ok(())
    }

    /// Writes a symbolic link, unless the plan has something there.
    pub(super) fn link(&mut self, path: &[u8], target: &[u8]) -> Result<(), ComposeError> {
        let path = self.place(&TreePath::new(path)?);
        if !self.plan.entries.contains_key(&path) {
            self.put_link(path, target);
        }
        Ok(())
    }

    /// Writes a symbolic link exactly here, whatever the plan has.
    pub(super) fn alias(&mut self, path: &str, target: &str) -> Result<(), ComposeError> {
        self.put_link(TreePath::try_from(path)?, target.as_bytes());
        Ok(())
    }

    /// Writes a directory; where the plan has it with defaults only, it gets these attributes.
    pub(super) fn directory(&mut self, path: &str, attributes: Attributes) -> Result<(), ComposeError> {
        let path = self.place(&TreePath::try_from(path)?);
        let write = match self.plan.entries.get(&path) {
            None => true,
            Some(planned) => {
                planned.entry.entry == Entry::Directory
                    && planned.entry.attributes.is_default()
                    && !attributes.is_default()
            }
        };
        if write {
            self.put(path, Entry::Directory, attributes);
        }
        Ok(())
    }

    fn put_link(&mut self, path: TreePath, target: &[u8]) {
        self.put(path, Entry::Symlink { target: target.into() }, Attributes::default());
    }

    fn put(&mut self, path: TreePath, entry: Entry, attributes: Attributes) {
        let (composer, time) = (self.composer, shown_time(&entry));
        self.files.insert(path.clone(), ComposedEntry { path, entry, attributes, composer, time });
    }

    /// Adds missing parents and checks that every owner has a number.
    pub(super) fn finish(mut self) -> Result<Composed, ComposeError> {
        let mut missing = BTreeMap::new();
        for (path, file) in &self.files {
            for above in path.ancestors().filter(|above| self.at(above.as_bytes()).is_none()) {
                missing.entry(above).or_insert(file.composer);
            }
        }
        for (path, composer) in missing {
            self.begin(composer);
            self.put(path, Entry::Directory, Attributes::default());
        }
        for (path, planned) in &self.plan.entries {
            if !self.files.contains_key(path) {
                let owner = || owner(&self.plan.sources[planned.source]);
                check_owner(&self.ids, path, &planned.entry.attributes, owner)?;
            }
        }
        for (path, file) in &self.files {
            check_owner(&self.ids, path, &file.attributes, || format!("the composer {}", file.composer))?;
        }
        Ok(Composed { files: self.files.into_values().collect(), ids: self.ids })
    }
}

/// `name@version`, as messages name a FileSet.
pub(super) fn owner(loaded: &Loaded) -> String {
    loaded.to_string()
}

/// The time that a composed entry shows, in seconds since 1970: 1980-01-02 and as many seconds, below 2^28, as the
/// digest of its content or target says. A directory's is the least; it shows its newest entry's.
pub fn shown_time(entry: &Entry) -> u64 {
    let digest = match entry {
        Entry::Directory => return EARLIEST,
        Entry::File { digest, .. } => *digest,
        Entry::Symlink { target } => ObjectDigest::of(target),
    };
    let mut first = [0; 8];
    first.copy_from_slice(&digest.as_bytes()[..8]);
    EARLIEST + u64::from_be_bytes(first) % SPAN
}

fn check_owner(
    ids: &Ids,
    path: &TreePath,
    attributes: &Attributes,
    package: impl Fn() -> String,
) -> Result<(), ComposeError> {
    let unknown = |kind, name: &str| ComposeError::UnknownOwner {
        kind,
        name: name.to_owned(),
        package: package(),
        path: path.clone(),
    };
    if let Some(name) = attributes.owner.as_deref().filter(|name| ids.uid(name).is_none()) {
        return Err(unknown("user", name));
    }
    if let Some(name) = attributes.group.as_deref().filter(|name| ids.gid(name).is_none()) {
        return Err(unknown("group", name));
    }
    Ok(())
}

/// Adds the names of a directory's direct children, leaping over what lies deeper.
fn collect_names<T>(entries: &BTreeMap<TreePath, T>, directory: &[u8], names: &mut BTreeSet<Vec<u8>>) {
    let prefix = if directory.is_empty() { Vec::new() } else { [directory, b"/"].concat() };
    let mut from = Bound::Excluded(prefix.clone());
    loop {
        let start = match &from {
            Bound::Included(at) => Bound::Included(&at[..]),
            _ => Bound::Excluded(&prefix[..]),
        };
        let mut leap = None;
        for (path, _) in entries.range::<[u8], _>((start, Bound::Unbounded)) {
            let Some(rest) = path.as_bytes().strip_prefix(&prefix[..]) else { return };
            match rest.iter().position(|&b| b == b'/') {
                None => _ = names.insert(rest.to_vec()),
                Some(slash) => {
                    // '0' is the byte after '/': the first path that can't lie below this child.
                    leap = Some([&prefix, &rest[..slash], b"0".as_slice()].concat());
                    break;
                }
            }
        }
        match leap {
            Some(at) => from = Bound::Included(at),
            None => return,
        }
    }
}
