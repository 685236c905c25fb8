//! In which order packages are built that need each other.

use std::collections::BTreeMap;
use std::path::PathBuf;

use larder_store::Name;

use super::PackageError;
use crate::recipe::Document;
use crate::recipe::package::{PackageRecipe, Requirement};
use crate::{Error, Result};

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
    let needs: Vec<Vec<usize>> = recipes
        .iter()
        .map(|(_, document)| {
            let mut needs: Vec<usize> = needed(document).iter().filter_map(|name| makers.get(name).copied()).collect();
            needs.sort_unstable();
            needs.dedup();
            needs
        })
        .collect();
    match circle(&needs) {
        None => Ok(needs),
        Some(circle) => {
            let names = circle.into_iter().map(|number| own_name(&recipes[number].1).clone()).collect();
            Err(PackageError::Cycle { names }.into())
        }
    }
}

/// Refuses a package that requires itself.
pub(super) fn check_alone(recipe: &PackageRecipe) -> Result<(), Error> {
    match recipe.relations.requires.iter().any(|requirement| requirement.name == recipe.name) {
        false => Ok(()),
        true => Err(PackageError::Cycle { names: vec![recipe.name.clone()] }.into()),
    }
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
    let mut names = vec![own_name(document).clone()];
    if let Document::Package(recipe) = document {
        for end in recipe.splits.keys() {
            names.push(Name::parse(&recipe.split_name(end))?);
        }
    }
    Ok(names)
}

/// What must be there before a recipe is built: of a package what it requires, because its test needs that.
fn needed(document: &Document) -> Vec<Name> {
    match document {
        Document::Image(recipe) => {
            let packages = recipe.packages.iter().filter_map(|root| Name::parse(&root.name).ok());
            let stand_ins = recipe.overrides.iter().map(|stated| stated.by.clone());
            packages.chain(recipe.from.iter().cloned()).chain(stand_ins).collect()
        }
        Document::Distribution(recipe) => recipe.packages.keys().chain(&recipe.from).cloned().collect(),
        Document::Package(recipe) => {
            let names =
                |all: &[Requirement]| all.iter().map(|requirement| requirement.name.clone()).collect::<Vec<_>>();
            let mut needed = names(&recipe.relations.requires);
            // A split may require the package itself: they are built together.
            let others = recipe.splits.values().flat_map(|split| names(&split.requires));
            needed.extend(others.filter(|name| *name != recipe.name));
            needed
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
