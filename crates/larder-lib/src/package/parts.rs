//! The packages that one build makes: the package itself and its splits, and their records.

use std::collections::BTreeSet;

use larder_store::fileset::install::GroupRule;
use larder_store::fileset::{InstallRules, PackageMetadata};
use larder_store::{Entry, FileSet, Import, Ingest, Metadata, Name, Tree, TreePath};

use super::needs::Part;
use super::{BuiltPart, PackageError, output};
use crate::capture;
use crate::image::PackageImport;
use crate::recipe::package::{PackageRecipe, Requirement};
use crate::{Host, Result};

/// A package that was built, without a record.
pub(super) struct Draft {
    /// The split; `None` for the package itself, which comes first.
    end: Option<String>,
    pub(super) name: Name,
    pub(super) tree: Tree,
    /// What a script of the package's asked for, and what became of it.
    pub(super) scripted: Option<InstallRules>,
}

/// Divides what was built.
///
/// # Errors
/// A split without files, configuration or an alternative that isn't there, a link to be made where there is something.
pub(super) fn divide(recipe: &PackageRecipe, whole: &Tree) -> Result<Vec<Draft>> {
    let splits = recipe.splits.iter().map(|(end, split)| (end.as_str(), split.paths.as_slice()));
    let (own, mut others) = output::divide(whole, &recipe.name, splits)?;
    for path in &recipe.configuration {
        if own.get(path.as_bytes()).is_none() {
            let (package, path) = (recipe.name.clone(), format!("/{path}"));
            return Err(PackageError::NoConfiguration { package, path }.into());
        }
    }
    refuse_taken(recipe, whole)?;
    refuse_unprovided(recipe, &own)?;
    let mut drafts = vec![Draft { end: None, name: recipe.name.clone(), tree: own, scripted: None }];
    for end in recipe.splits.keys() {
        let tree = others.remove(end).unwrap_or_default();
        drafts.push(Draft {
            end: Some(end.clone()),
            name: Name::parse(&recipe.split_name(end))?,
            tree,
            scripted: None,
        });
    }
    Ok(drafts)
}

/// Makes sure that nothing that was built is in the way of the package's links and of those of its alternatives.
fn refuse_taken(recipe: &PackageRecipe, whole: &Tree) -> Result<()> {
    let links = recipe.links.iter().map(|link| (&link.path, Some(&link.target)));
    let followers = recipe.alternatives.iter().flat_map(|rule| &rule.followers).map(|follower| &follower.link);
    let alternatives = recipe.alternatives.iter().map(|rule| &rule.link).chain(followers);
    for (path, target) in links.chain(alternatives.map(|link| (link, None))) {
        let same = |entry: &Entry| match (entry, target) {
            (Entry::Symlink { target: other }, Some(target)) => **other == *target.as_bytes(),
            _ => false,
        };
        let there = whole.get(path.as_bytes()).filter(|there| !same(&there.entry));
        let above = path.ancestors().filter_map(|above| whole.get(above.as_bytes()));
        let taken = there.into_iter().chain(above.filter(|above| above.entry != Entry::Directory)).next();
        if let Some(taken) = taken {
            return Err(PackageError::LinkTaken {
                package: recipe.name.clone(),
                path: format!("/{path}"),
                taken: format!("/{}", taken.path),
            }
            .into());
        }
    }
    Ok(())
}

/// Makes sure that the package has what its alternatives and their followers point to: who has nothing there is passed over in an image.
fn refuse_unprovided(recipe: &PackageRecipe, own: &Tree) -> Result<()> {
    let held = |path: &TreePath| recipe.imports.keys().any(|place| path.is_below(place.as_bytes()));
    let linked = |path: &TreePath| recipe.links.iter().any(|link| link.path == *path);
    for rule in &recipe.alternatives {
        let followers = rule.followers.iter().map(|follower| (&follower.name, &follower.path));
        for (name, path) in [(&rule.name, &rule.path)].into_iter().chain(followers) {
            if own.get(path.as_bytes()).is_none() && !held(path) && !linked(path) {
                let (package, name, path) = (recipe.name.clone(), name.clone(), format!("/{path}"));
                return Err(PackageError::NoAlternative { package, name, path }.into());
            }
        }
    }
    Ok(())
}

/// The packages of the sandbox that the package is to hold.
///
/// # Errors
/// [`PackageError::NotInSandbox`].
pub(super) fn imports(recipe: &PackageRecipe, sandbox: &[PackageImport]) -> Result<Vec<Import>> {
    let import = |(path, name): (&TreePath, &Name)| {
        let found = sandbox.iter().find(|import| import.name == *name);
        let found =
            found.ok_or_else(|| PackageError::NotInSandbox { package: recipe.name.clone(), name: name.clone() })?;
        let (version, fileset) = (found.version.clone(), found.package);
        Ok(Import { path: path.clone(), name: name.clone(), version, fileset })
    };
    let mut imports = recipe.imports.iter().map(import).collect::<Result<Vec<_>>>()?;
    imports.sort();
    Ok(imports)
}

/// The drafts as the search for what they need sees them: a split may use what the package itself has
/// and requires, and all may use what it imports.
pub(super) fn views<'a>(recipe: &'a PackageRecipe, drafts: &'a [Draft], imported: &'a [Tree]) -> Vec<Part<'a>> {
    let names = |requires: &'a [Requirement]| requires.iter().map(|requirement| requirement.name.as_str());
    drafts
        .iter()
        .map(|draft| {
            let mut requires: BTreeSet<&str> = names(&recipe.relations.requires).collect();
            let mut uses: Vec<&Tree> = imported.iter().collect();
            if let Some(split) = draft.end.as_ref().and_then(|end| recipe.splits.get(end)) {
                requires.extend(names(&split.requires));
                uses.push(&drafts[0].tree);
            }
            Part { name: &draft.name, tree: &draft.tree, requires, uses }
        })
        .collect()
}

/// Writes the records, the package's own first.
///
/// # Errors
/// A store that can't be written, or a record that breaks a rule.
pub(super) fn write(
    host: &Host,
    ingest: &Ingest<'_>,
    recipe: &PackageRecipe,
    (drafts, imports): (&[Draft], &[Import]),
    time: u64,
) -> Result<Vec<BuiltPart>> {
    let mut parts = Vec::with_capacity(drafts.len());
    for (record, draft) in records(host, recipe, (drafts, imports), time).iter().zip(drafts) {
        ingest.write_tree(&draft.tree)?;
        parts.push(built(&draft.name, &recipe.version, ingest.write_fileset(record)?, &draft.tree));
    }
    Ok(parts)
}

/// The records of what was built, the package's own first.
pub(super) fn records(
    host: &Host,
    recipe: &PackageRecipe,
    (drafts, imports): (&[Draft], &[Import]),
    time: u64,
) -> Vec<FileSet> {
    let architecture = match recipe.architectures.as_slice() {
        [one] if one == "all" => "all".to_owned(),
        _ => host.debian.architecture.clone(),
    };
    let record = |draft: &Draft| {
        let metadata = match draft.end.as_ref().and_then(|end| recipe.splits.get(end)) {
            None => own_metadata(recipe, draft.scripted.as_ref()),
            Some(split) => {
                let mut requires = vec![format!("{} (= {})", recipe.name, recipe.version)];
                requires.extend(written(&split.requires));
                PackageMetadata {
                    requires,
                    description: split.summary.clone(),
                    homepage: recipe.homepage.clone(),
                    licence: recipe.license.clone(),
                    source: Some(format!("{} {}", recipe.name, recipe.version)),
                    ..PackageMetadata::default()
                }
            }
        };
        FileSet {
            name: draft.name.clone(),
            version: recipe.version.clone(),
            architecture: architecture.clone(),
            time,
            tree: draft.tree.digest(),
            imports: if draft.end.is_none() { imports.to_vec() } else { Vec::new() },
            metadata: Metadata::Package(metadata),
        }
    };
    drafts.iter().map(record).collect()
}

/// What a report says of a package.
pub(super) fn built(name: &Name, version: &str, digest: larder_store::FileSetDigest, tree: &Tree) -> BuiltPart {
    let files = tree.entries().iter().filter(|entry| entry.entry != Entry::Directory).count();
    BuiltPart { name: name.clone(), version: version.to_owned(), digest, files, bytes: tree.content_bytes() }
}

fn own_metadata(recipe: &PackageRecipe, scripted: Option<&InstallRules>) -> PackageMetadata {
    let relations = &recipe.relations;
    // As in requirements: a short name is of the package's own domain.
    let own = |name: &Name| if name.domain() == recipe.name.domain() { name.path() } else { name.as_str() }.to_owned();
    let replaces_files_of: BTreeSet<String> = relations.replaces.iter().map(|other| own(&other.name)).collect();
    let groups: BTreeSet<&str> = recipe.users.iter().map(|user| user.group.as_str()).collect();
    PackageMetadata {
        requires: written(&relations.requires),
        recommends: written(&relations.recommends),
        provides: written(&relations.provides),
        conflicts: written(&relations.conflicts),
        replaces: written(&relations.replaces),
        description: recipe.summary.clone(),
        homepage: recipe.homepage.clone(),
        licence: recipe.license.clone(),
        stands_in_for: written(&relations.stands_in_for),
        asks: recipe.asks.clone(),
        actions: recipe.actions.clone(),
        configuration: recipe.configuration.clone(),
        documentation: recipe.documentation.clone(),
        install: joined(
            InstallRules {
                replaces_files_of: replaces_files_of.into_iter().collect(),
                links: recipe.links.clone(),
                alternatives: recipe.alternatives.clone(),
                groups: groups.into_iter().map(|name| GroupRule { name: name.to_owned(), gid: None }).collect(),
                users: recipe.users.clone(),
                ..InstallRules::default()
            },
            scripted,
        ),
        ..PackageMetadata::default()
    }
}

/// What the recipe declares and what its script asked for; of two rules about one thing the declared one.
fn joined(declared: InstallRules, scripted: Option<&InstallRules>) -> InstallRules {
    match scripted {
        None => declared,
        Some(scripted) => InstallRules { script: scripted.script.clone(), ..capture::joined(declared, scripted) },
    }
}

fn written(requirements: &[Requirement]) -> Vec<String> {
    requirements.iter().flat_map(Requirement::parts).collect()
}
