//! From TOML to [`Recipe`]: the tables of an image.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::path::Path;

use larder_store::TreePath;
use toml::de::DeTable;

use super::package::address;
use super::source::{Pairs, Source, nearest};
use super::values::{self, ValueError};
use super::{Base, FileSource, HostTable, Place, Problem, Recipe, RecipeError, Root};
use crate::actions::START;

/// The tables of a recipe.
pub(super) const TABLES: &[&str] = &["image", "override", "files", "host", "actions", "test"];
/// The keys of `[image]`.
pub(super) const KEYS: &[&str] = &[
    "name",
    "version",
    "from",
    "base",
    "packages",
    "captured",
    "recommends",
    "run",
    "env",
    "user",
    "workdir",
    "stop-signal",
    "labels",
    "documentation",
];
/// Where a container's own mounts are: files put there would never be seen.
const RESERVED: &[&str] = &["packages", "proc", "sys", "dev"];

pub(super) fn recipe(file: &Path, text: &str) -> Result<Recipe, RecipeError> {
    Source { file, text }.recipe()
}

impl Source<'_> {
    fn recipe(&self) -> Result<Recipe, RecipeError> {
        let document = self.document()?;
        let document = document.get_ref();
        let others = [("package", "a package"), ("distribution", "a distribution")];
        let other = others.into_iter().find(|(table, _)| document.get(*table).is_some());
        if let Some((_, found)) = other.filter(|_| document.get("image").is_none()) {
            let problem = Problem::OtherKind { found, wanted: "that of an image" };
            return Err(RecipeError::new(self.file, None, problem));
        }
        for (key, _) in document {
            let name: &str = key.get_ref();
            if TABLES.contains(&name) {
                continue;
            }
            let problem = if KEYS.contains(&name) {
                Problem::Misplaced { table: "image", key: name.to_owned() }
            } else {
                Problem::UnknownTable { name: name.to_owned(), tables: TABLES, nearest: nearest(name, TABLES) }
            };
            return Err(self.error(key.span(), problem));
        }
        let Some((header, image)) = document.get_key_value("image") else {
            return Err(RecipeError::new(self.file, None, Problem::MissingImage));
        };
        let mut recipe = self.image(header.span(), self.table("image", image)?)?;
        if let Some(overrides) = document.get("override") {
            recipe.overrides = self.overrides(self.table("override", overrides)?)?;
        }
        if let Some(files) = document.get("files") {
            recipe.files = self.files(self.table("files", files)?)?;
        }
        if let Some(host) = document.get("host") {
            recipe.host = self.host(self.table("host", host)?)?;
        }
        if let Some(actions) = document.get("actions") {
            let actions = self.table("actions", actions)?;
            recipe.actions = self.actions(actions)?;
            if let (Some(start), Some(key)) = (recipe.actions.remove(START), actions.get(START)) {
                if !recipe.run.is_empty() {
                    return Err(self.error(key.span(), Problem::TwoStarts));
                }
                recipe.run = start;
            }
        }
        if let Some((key, test)) = document.get_key_value("test") {
            recipe.test = Some(self.test(key.span(), self.table("test", test)?, &recipe.from)?);
        }
        Ok(recipe)
    }

    fn image(&self, header: Range<usize>, image: &DeTable<'_>) -> Result<Recipe, RecipeError> {
        if let Some((key, _)) = image.iter().find(|(key, _)| !KEYS.contains(&key.get_ref().as_ref())) {
            let name = key.get_ref().to_string();
            let nearest = nearest(&name, KEYS);
            return Err(self
                .error(key.span(), Problem::UnknownKey { table: "image".to_owned(), key: name, keys: KEYS, nearest }));
        }
        let missing =
            |key, example| self.error(header.clone(), Problem::MissingKey { table: "image".to_owned(), key, example });
        let from = self.from(image)?;
        let (packages, paths) = self.packages("packages", image, &from)?;
        let recipe = Recipe {
            file: self.file.to_owned(),
            text: self.digest(),
            name: self
                .parsed(image, "name", values::own_name)?
                .ok_or_else(|| missing("name", "name = \"example.com/web\""))?,
            version: self
                .parsed(image, "version", values::version)?
                .ok_or_else(|| missing("version", "version = \"1.0\""))?,
            base: self.parsed(image, "base", values::base)?.unwrap_or(Base::Essential),
            packages,
            captured: self.captured(image, &from)?,
            paths,
            overrides: Vec::new(),
            from,
            recommends: image.get("recommends").map_or(Ok(false), |value| self.boolean("recommends", value))?,
            run: self.run(image)?,
            env: self.pairs(image, "env")?.map_or(Ok(BTreeMap::new()), |pairs| self.environment(pairs))?,
            user: self.parsed(image, "user", str::parse)?,
            workdir: self.parsed(image, "workdir", str::parse)?,
            stop_signal: self.parsed(image, "stop-signal", str::parse)?,
            labels: self.labels(image)?,
            documentation: self.documentation(image)?,
            host: HostTable::default(),
            actions: BTreeMap::new(),
            test: None,
            files: BTreeMap::new(),
        };
        let is_short = |root: &Root| !root.name.contains('/');
        if recipe.from.is_empty() && (recipe.base == Base::Essential || recipe.packages.iter().any(is_short)) {
            return Err(self.error(header, Problem::MissingFrom));
        }
        Ok(recipe)
    }

    fn run(&self, image: &DeTable<'_>) -> Result<Vec<String>, RecipeError> {
        image.get("run").map_or(Ok(Vec::new()), |value| self.command("run", value))
    }

    pub(super) fn environment(
        &self,
        pairs: Pairs<'_>,
    ) -> Result<BTreeMap<super::EnvironmentName, String>, RecipeError> {
        pairs
            .into_iter()
            .map(|((name, name_range), (value, range))| {
                let key = format!("env.{name}");
                let name = name.parse().map_err(|source| self.bad(&key, name_range, source))?;
                Ok((name, self.without_nul(&key, value, range)?))
            })
            .collect()
    }

    fn documentation(&self, image: &DeTable<'_>) -> Result<Vec<String>, RecipeError> {
        let Some(value) = image.get("documentation") else { return Ok(Vec::new()) };
        let mut found = BTreeSet::new();
        for item in self.strings("documentation", value)? {
            let (text, range) = item?;
            found.insert(address(text).map_err(|source| self.bad("documentation", range, source))?);
        }
        Ok(found.into_iter().collect())
    }

    fn labels(&self, image: &DeTable<'_>) -> Result<BTreeMap<String, String>, RecipeError> {
        let pairs = self.pairs(image, "labels")?.unwrap_or_default();
        pairs
            .into_iter()
            .map(|((name, range), (value, _))| match name {
                "" => Err(self.bad("labels", range, ValueError::Empty)),
                _ => Ok((name.to_owned(), value.to_owned())),
            })
            .collect()
    }

    fn files(&self, files: &DeTable<'_>) -> Result<BTreeMap<TreePath, FileSource>, RecipeError> {
        let mut found = BTreeMap::new();
        for (key, value) in files {
            let written: &str = key.get_ref();
            if KEYS.contains(&written) {
                return Err(self.error(key.span(), Problem::Misplaced { table: "image", key: written.to_owned() }));
            }
            let target = container_path(written)
                .map_err(|reason| self.error(key.span(), Problem::BadTarget { path: written.to_owned(), reason }))?;
            let (source, range) = self.string(written, value)?;
            let path = source_path(source)
                .map_err(|reason| self.error(range.clone(), Problem::BadSource { path: source.to_owned(), reason }))?;
            found.insert(target, FileSource { path, place: Some(Place::new(self.text, range)) });
        }
        Ok(found)
    }
}

pub(super) fn container_path(text: &str) -> Result<TreePath, String> {
    let path = text.strip_prefix('/').ok_or("it doesn't begin with a slash")?;
    if path.is_empty() {
        return Err("the whole root can't be replaced; name the folders that you add".to_owned());
    }
    let path = TreePath::try_from(path).map_err(|error| error.reason.to_owned())?;
    let top = path.as_bytes().split(|&b| b == b'/').next().unwrap_or_default();
    match RESERVED.iter().find(|reserved| reserved.as_bytes() == top) {
        Some(reserved) => Err(format!("/{reserved} belongs to Larder and the kernel")),
        None => Ok(path),
    }
}

pub(super) fn source_path(text: &str) -> Result<String, &'static str> {
    if text.starts_with('/') {
        return Err("it is absolute");
    }
    if text.contains('\0') {
        return Err("it contains a NUL byte");
    }
    let mut components = Vec::new();
    for component in text.split('/') {
        match component {
            "" if text.is_empty() => return Err("it is empty"),
            // "./site", "site/" and "site//a" are what people write; they mean one thing.
            "" | "." => {}
            ".." => return Err("`..` leads outside"),
            name => components.push(name),
        }
    }
    Ok(if components.is_empty() { ".".to_owned() } else { components.join("/") })
}
