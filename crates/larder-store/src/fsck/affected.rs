//! Who suffers from a problem: the FileSets that need the bad thing, and the images that need those.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use super::{Check, Problem};
use crate::error::Content;
use crate::needs;
use crate::refs::RefKind;
use crate::{FileSetDigest, ObjectDigest, TreeDigest};

impl Check<'_> {
    /// Fills in who is affected by each problem. Does nothing where there is none.
    pub(super) fn find_affected(&mut self) {
        let bad: Vec<Content> = self.report.problems.iter().filter_map(|problem| problem.kind.content()).collect();
        if bad.is_empty() {
            return;
        }
        let by_object = self.trees_with(&bad);
        let mut by_tree: HashMap<TreeDigest, Vec<FileSetDigest>> = HashMap::new();
        let mut importers: HashMap<FileSetDigest, Vec<FileSetDigest>> = HashMap::new();
        for (digest, record) in &self.records {
            by_tree.entry(record.tree).or_default().push(*digest);
            for import in &record.imports {
                importers.entry(import.fileset).or_default().push(*digest);
            }
        }
        let names = self.image_names();
        let mut problems = std::mem::take(&mut self.report.problems);
        for problem in &mut problems {
            let filesets = |trees: &[TreeDigest]| -> Vec<FileSetDigest> {
                trees.iter().filter_map(|tree| by_tree.get(tree)).flatten().copied().collect()
            };
            let first = match problem.kind.content() {
                None => continue,
                Some(Content::FileSet(digest)) => vec![digest],
                Some(Content::Tree(digest)) => filesets(&[digest]),
                Some(Content::Object(digest)) => filesets(by_object.get(&digest).map_or(&[], Vec::as_slice)),
            };
            self.spread(problem, first, &importers, &names);
        }
        self.report.problems = problems;
    }

    /// The Trees in which each of the bad objects stands.
    fn trees_with(&self, bad: &[Content]) -> HashMap<ObjectDigest, Vec<TreeDigest>> {
        let mut by_object: HashMap<ObjectDigest, Vec<TreeDigest>> = HashMap::new();
        let objects = bad.iter().filter_map(|content| match content {
            Content::Object(digest) => Some(*digest),
            _ => None,
        });
        by_object.extend(objects.map(|digest| (digest, Vec::new())));
        for (tree, objects) in &self.trees {
            for (object, _) in objects {
                if let Some(trees) = by_object.get_mut(object) {
                    trees.push(*tree);
                }
            }
        }
        by_object
    }

    /// Names and versions of images, by FileSet.
    fn image_names(&self) -> BTreeMap<FileSetDigest, Vec<(String, String)>> {
        let mut names: BTreeMap<_, Vec<_>> = BTreeMap::new();
        // A ref that can't be read is a problem of its own.
        for named in needs::named(self.store).unwrap_or_default() {
            if named.kind == RefKind::Image {
                names.entry(named.entry.fileset).or_default().push((named.name, named.entry.version));
            }
        }
        names
    }

    /// Adds FileSets and everything that imports them, at any distance.
    fn spread(
        &self,
        problem: &mut Problem,
        first: Vec<FileSetDigest>,
        importers: &HashMap<FileSetDigest, Vec<FileSetDigest>>,
        names: &BTreeMap<FileSetDigest, Vec<(String, String)>>,
    ) {
        let mut open = first;
        let mut seen = HashSet::new();
        let mut images = BTreeSet::new();
        while let Some(digest) = open.pop() {
            if !seen.insert(digest) {
                continue;
            }
            if let Some(record) = self.records.get(&digest) {
                problem.filesets.insert(digest, (record.name.to_string(), record.version.clone()));
            }
            images.extend(names.get(&digest).into_iter().flatten().cloned());
            open.extend(importers.get(&digest).into_iter().flatten());
        }
        problem.images = images;
    }
}
