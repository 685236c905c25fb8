//! In which order packages are built that need each other.

use std::collections::{BTreeMap, VecDeque};
use std::path::{Path, PathBuf};

use larder_solver::Root;
use larder_store::Name;

use super::PackageError;
use crate::image::PackageImport;
use crate::recipe::package::{PackageRecipe, Requirement};
use crate::recipe::{Document, PackagePath};
use crate::{Host, Result};

/// Says of each recipe which of the others must be built before it: by their numbers.
///
/// # Errors
/// [`PackageError::Cycle`], with the whole circle; [`PackageError::Twice`].
pub fn needs(recipes: &[(PathBuf, Document)]) -> Result<Vec<Vec<usize>>> {
    let mut makers: BTreeMap<Name, usize> = BTreeMap::new();
    for (number, (file, document)) in recipes.iter().enumerate() {
        for name in made(document)? {
            if let Some(&other) = makers.get(&name) {
                let (first, second) = (recipes[other].0.clone(), file.clone());
                return Err(PackageError::Twice { name, first, second }.into());
            }
            makers.insert(name, number);
        }
    }
    let needs = recipes.iter().map(|(_, document)| {
        let mut needs: Vec<usize> = needed(document)?.iter().filter_map(|name| makers.get(name).copied()).collect();
        needs.sort_unstable();
        needs.dedup();
        Ok(needs)
    });
    let needs = needs.collect::<Result<Vec<_>>>()?;
    match circle(&needs) {
        None => Ok(needs),
        Some(circle) => {
            let names = circle.into_iter().map(|number| own_name(&recipes[number].1).clone()).collect();
            Err(PackageError::Cycle { names }.into())
        }
    }
}

/// The packages that are being built, each because the one before it is built with it.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Way<'a> {
    last: Option<(&'a Name, &'a Self)>,
}

impl<'a> Way<'a> {
    /// One step further.
    pub(super) fn to(&'a self, name: &'a Name) -> Self {
        Self { last: Some((name, self)) }
    }

    /// The packages from one that is on the way to the last; `None` where it isn't on it.
    fn since(&self, name: &Name) -> Option<Vec<Name>> {
        let (last, before) = self.last?;
        let mut names = if last == name { Vec::new() } else { before.since(name)? };
        names.push(last.clone());
        Some(names)
    }
}

/// Refuses a package that needs itself, or one that is being built because of it: by its own recipe alone.
///
/// # Errors
/// [`PackageError::Cycle`], with the whole circle.
pub(super) fn check(recipe: &PackageRecipe, way: &Way<'_>) -> Result<()> {
    let circle = |names| Err(PackageError::Cycle { names }.into());
    if let Some(names) = way.since(&recipe.name) {
        return circle(names);
    }
    let way = way.to(&recipe.name);
    let own = made_by(recipe)?;
    let with = recipe.build.with.iter().filter_map(|root| Name::parse(&root.name).ok());
    let with = with.map(|name| if own.contains(&name) { recipe.name.clone() } else { name });
    let requires = recipe.relations.requires.iter().map(|requirement| requirement.name.clone());
    match with.chain(requires).find_map(|name| way.since(&name)) {
        Some(names) => circle(names),
        None => Ok(()),
    }
}

/// Refuses a sandbox with a package in it that needs one of those that are being built.
///
/// # Errors
/// [`PackageError::Cycle`], with the whole circle; a record that can't be read.
pub(super) fn check_sandbox(
    host: &Host,
    recipe: &PackageRecipe,
    (way, roots): (&Way<'_>, &[Root]),
    sandbox: &[PackageImport],
) -> Result<()> {
    let own = made_by(recipe)?;
    let waits = |name: &Name| if own.contains(name) { way.since(&recipe.name) } else { way.since(name) };
    if !sandbox.iter().any(|import| waits(&import.name).is_some()) {
        return Ok(());
    }
    let mut sandbox: BTreeMap<&Name, &PackageImport> = sandbox.iter().map(|import| (&import.name, import)).collect();
    // From what was asked for, over what that requires, to the first that is being built.
    let asked = roots.iter().filter_map(|root| Name::parse(&root.name).ok());
    let mut open: VecDeque<Vec<Name>> = asked.map(|name| vec![name]).collect();
    while let Some(names) = open.pop_front() {
        let Some(last) = names.last() else { continue };
        if let Some(circle) = waits(last) {
            let between = names[..names.len() - 1].iter().cloned();
            return Err(PackageError::Cycle { names: circle.into_iter().chain(between).collect() }.into());
        }
        let Some(import) = sandbox.remove(last) else { continue };
        let record = host.store.fileset(&import.package)?;
        let requires = record.package().map(|package| package.requires.as_slice()).unwrap_or_default();
        let next = requires.iter().filter_map(|part| Requirement::from_part(last, part));
        open.extend(next.map(|next| [names.as_slice(), &[next.name]].concat()));
    }
    Ok(())
}

/// The names of a package and its splits.
fn made_by(recipe: &PackageRecipe) -> Result<Vec<Name>> {
    let splits = recipe.splits.keys().map(|end| Ok(Name::parse(&recipe.split_name(end))?));
    std::iter::once(Ok(recipe.name.clone())).chain(splits).collect()
}

/// The names of the packages whose recipes are in these folders.
fn beside(folder: &Path, paths: &[PackagePath]) -> Result<Vec<Name>> {
    paths.iter().map(|path| Ok(super::load(&folder.join(&path.path))?.name)).collect()
}

fn own_name(document: &Document) -> &Name {
    match document {
        Document::Image(recipe) => &recipe.name,
        Document::Package(recipe) => &recipe.name,
        Document::Distribution(recipe) => &recipe.name,
    }
}

/// The names that a recipe's build gives.
fn made(document: &Document) -> Result<Vec<Name>> {
    match document {
        Document::Package(recipe) => made_by(recipe),
        Document::Image(_) | Document::Distribution(_) => Ok(vec![own_name(document).clone()]),
    }
}

/// What must be there before a recipe is built: of a package also what it requires, because its test needs that.
fn needed(document: &Document) -> Result<Vec<Name>> {
    let named = |roots: &[Root]| roots.iter().filter_map(|root| Name::parse(&root.name).ok()).collect::<Vec<_>>();
    match document {
        Document::Image(recipe) => {
            let mut needed = named(&recipe.packages);
            needed.extend(beside(recipe.folder(), &recipe.paths)?);
            needed.extend(recipe.from.iter().cloned());
            needed.extend(recipe.overrides.iter().map(|stated| stated.by.clone()));
            Ok(needed)
        }
        Document::Distribution(recipe) => Ok(recipe.packages.keys().chain(&recipe.from).cloned().collect()),
        Document::Package(recipe) => {
            let names =
                |all: &[Requirement]| all.iter().map(|requirement| requirement.name.clone()).collect::<Vec<_>>();
            let mut needed = named(&recipe.build.with);
            needed.extend(beside(recipe.folder(), &recipe.build.paths)?);
            needed.extend(recipe.build.from.iter().cloned());
            needed.extend(names(&recipe.relations.requires));
            // A split may require the package itself: they are built together.
            let others = recipe.splits.values().flat_map(|split| names(&split.requires));
            needed.extend(others.filter(|name| *name != recipe.name));
            Ok(needed)
        }
    }
}

/// A circle, if there is one: each needs the next.
fn circle(needs: &[Vec<usize>]) -> Option<Vec<usize>> {
    /// Whether a recipe was looked at: not yet, on the present way, or with all that it needs.
    #[derive(Clone, Copy, PartialEq)]
    enum Seen {
        No,
        OnTheWay,
        Whole,
    }
    fn visit(at: usize, needs: &[Vec<usize>], seen: &mut [Seen], way: &mut Vec<usize>) -> Option<Vec<usize>> {
        seen[at] = Seen::OnTheWay;
        way.push(at);
        for &next in &needs[at] {
            match seen[next] {
                Seen::OnTheWay => {
                    let begin = way.iter().position(|&one| one == next).unwrap_or(0);
                    return Some(way[begin..].to_vec());
                }
                Seen::No => {
                    if let Some(circle) = visit(next, needs, seen, way) {
                        return Some(circle);
                    }
                }
                Seen::Whole => {}
            }
        }
        way.pop();
        seen[at] = Seen::Whole;
        None
    }
    let mut seen = vec![Seen::No; needs.len()];
    (0..needs.len()).find_map(|at| match seen[at] {
        Seen::No => visit(at, needs, &mut seen, &mut Vec::new()),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn recipe(name: &str, requires: &[&str]) -> (PathBuf, Document) {
        let text = format!(
            "[package]\nname = \"example.com/{name}\"\nversion = \"1\"\nsummary = \"x\"\nrequires = {requires:?}\n\
             [build]\nfrom = \"debian.org/bookworm\"\nrun = \"true\"\n"
        );
        let file = PathBuf::from(name).join("larder.toml");
        let document = Document::parse(Path::new(&file), &text).expect("a recipe");
        (file, document)
    }

    #[test]
    fn what_is_required_comes_first() {
        let recipes =
            [recipe("a", &["example.com/b", "debian.org/libc6"]), recipe("b", &["example.com/c"]), recipe("c", &[])];
        assert_eq!(needs(&recipes).expect("an order"), [vec![1], vec![2], vec![]]);
    }

    #[test]
    fn a_circle_is_named_in_full() {
        let recipes = [
            recipe("x", &["example.com/a"]),
            recipe("a", &["example.com/b"]),
            recipe("b", &["example.com/c"]),
            recipe("c", &["example.com/a"]),
        ];
        let error = needs(&recipes).expect_err("a circle").to_string();
        let expected = "example.com/a -> example.com/b -> example.com/c -> example.com/a";
        assert_eq!(error, format!("these packages need each other to be built: {expected}"));
        let twice = [recipe("a", &[]), recipe("a", &[])];
        assert!(needs(&twice).expect_err("two recipes").to_string().contains("both recipes of example.com/a"));
    }
}
