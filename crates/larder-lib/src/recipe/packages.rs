//! Which packages a recipe asks for: `from`, `packages` and `[override]`.

use std::collections::{BTreeMap, BTreeSet};

use larder_store::Name;
use larder_store::fileset::Override;
use toml::de::{DeTable, DeValue};

use super::source::{Source, Value, nearest};
use super::values::{self, DEBIAN, ValueError};
use super::{Place, Problem, RecipeError, Root};

/// A package whose recipe is beside this one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PackagePath {
    /// The folder of its recipe, relative to this recipe's.
    pub path: String,
    /// Where this recipe says so, for errors.
    pub place: Place,
}

impl Source<'_> {
    /// `from`: a name or a list of names.
    pub(super) fn from(&self, table: &DeTable<'_>) -> Result<Vec<Name>, RecipeError> {
        let Some(value) = table.get("from") else { return Ok(Vec::new()) };
        let name = |text, range| values::name(text).map_err(|source| self.bad("from", range, source));
        if value.get_ref().is_str() {
            let (text, range) = self.string("from", value)?;
            return Ok(vec![name(text, range)?]);
        }
        if !value.get_ref().is_array() {
            return Err(self.wrong_type("from", "a string or a list of strings", value));
        }
        let names: BTreeSet<Name> = self
            .strings("from", value)?
            .map(|item| {
                let (text, range) = item?;
                name(text, range)
            })
            .collect::<Result<_, _>>()?;
        if names.is_empty() {
            return Err(self.bad("from", value.span(), ValueError::Empty));
        }
        Ok(names.into_iter().collect())
    }

    /// `packages`, or another key with such a list: names with constraints, and folders with recipes.
    pub(super) fn packages(
        &self,
        key: &'static str,
        table: &DeTable<'_>,
        from: &[Name],
    ) -> Result<(Vec<Root>, Vec<PackagePath>), RecipeError> {
        let Some(value) = table.get(key) else { return Ok((Vec::new(), Vec::new())) };
        let DeValue::Array(items) = value.get_ref() else {
            return Err(self.wrong_type(key, "a list of packages", value));
        };
        let one = format!("{key}[]");
        let (mut roots, mut paths) = (BTreeMap::new(), BTreeMap::new());
        for item in items {
            if item.get_ref().is_table() {
                let path = self.package_path(&one, item)?;
                paths.insert(path.path.clone(), path);
                continue;
            }
            if !item.get_ref().is_str() {
                return Err(self.wrong_type(&one, "a string or a table such as { path = \"../hello\" }", item));
            }
            let (text, range) = self.string(&one, item)?;
            let root = values::root(text, from).map_err(|source| self.bad(key, range, source))?;
            roots.insert(root.to_string(), root);
        }
        Ok((roots.into_values().collect(), paths.into_values().collect()))
    }

    /// `captured`: short names.
    pub(super) fn captured(&self, table: &DeTable<'_>, from: &[Name]) -> Result<Vec<String>, RecipeError> {
        let Some(value) = table.get("captured") else { return Ok(Vec::new()) };
        let name = |item: Result<(&str, std::ops::Range<usize>), RecipeError>| {
            let (text, range) = item?;
            let root = values::root(text, from).map_err(|source| self.bad("captured", range.clone(), source))?;
            match root.constraints.is_empty() {
                true => Ok(root.name),
                false => Err(self.bad("captured", range, ValueError::Captured { text: text.to_owned() })),
            }
        };
        let names: BTreeSet<String> = self.strings("captured", value)?.map(name).collect::<Result<_, RecipeError>>()?;
        Ok(names.into_iter().collect())
    }

    fn package_path(&self, one: &str, item: &Value<'_>) -> Result<PackagePath, RecipeError> {
        let table = self.table(one, item)?;
        self.only(table, one, &["path"])?;
        let Some(value) = table.get("path") else {
            let example = "{ path = \"../hello\" }";
            return Err(self.error(item.span(), Problem::MissingIn { table: one.to_owned(), key: "path", example }));
        };
        let (text, range) = self.string(&format!("{one}.path"), value)?;
        let path = recipe_path(text)
            .map_err(|reason| ValueError::RecipePath { text: text.to_owned(), reason })
            .map_err(|source| self.bad("path", range.clone(), source))?;
        Ok(PackagePath { path, place: Place::new(self.text, range) })
    }

    /// `[override]`: what stands in for what.
    pub(super) fn overrides(&self, table: &DeTable<'_>) -> Result<Vec<Override>, RecipeError> {
        let mut overrides = Vec::new();
        for (key, value) in table {
            let written: &str = key.get_ref();
            let of = values::name(written).map_err(|source| self.bad("override", key.span(), source))?;
            let found = self.stand_in(of, value)?;
            overrides.push((key.span(), found));
        }
        for (range, found) in &overrides {
            if overrides.iter().any(|(_, other)| other.of == found.by) {
                let reason = "something else is to stand in for it in turn";
                let (of, by) = (found.of.clone(), found.by.clone());
                return Err(self.bad("override", range.clone(), ValueError::Override { of, by, reason }));
            }
        }
        let mut overrides: Vec<Override> = overrides.into_iter().map(|(_, found)| found).collect();
        overrides.sort();
        Ok(overrides)
    }

    fn stand_in(&self, of: Name, value: &Value<'_>) -> Result<Override, RecipeError> {
        let refused = |by: &Name, reason| {
            let (of, by) = (of.clone(), by.clone());
            Err(self.bad("override", value.span(), ValueError::Override { of, by, reason }))
        };
        let named = |value: &Value<'_>| {
            let (text, range) = self.string(&format!("override.{of}"), value)?;
            values::name(text).map_err(|source| self.bad("override", range, source))
        };
        let (by, force, reason) = match value.get_ref() {
            DeValue::String(_) => (named(value)?, false, None),
            DeValue::Table(table) => {
                self.only(table, "override", &["by", "force", "reason"])?;
                let Some(by) = table.get("by") else {
                    let (table, example) = (format!("override.{of}"), "by = \"example.com/openssl\"");
                    return Err(self.error(value.span(), Problem::MissingIn { table, key: "by", example }));
                };
                let force = table.get("force").map_or(Ok(false), |value| self.boolean("override.force", value))?;
                let reason = table.get("reason").map(|value| self.string("override.reason", value)).transpose()?;
                (named(by)?, force, reason.map(|(reason, _)| reason.trim().to_owned()))
            }
            _ => return Err(self.wrong_type(&format!("override.{of}"), "a name or a table", value)),
        };
        match (force, reason) {
            _ if by == of => refused(&by, "it is the same package"),
            _ if by.domain() == DEBIAN => refused(&by, "a package of Debian's never says that it can"),
            (true, None) => refused(&by, "who forces it says why, in `reason`"),
            (true, Some(reason)) if reason.is_empty() => refused(&by, "the reason is empty"),
            (false, Some(_)) => refused(&by, "a reason is for `force = true`"),
            (_, forced) => Ok(Override { of: of.clone(), by, forced }),
        }
    }

    /// Refuses keys that a table doesn't have.
    pub(super) fn only(
        &self,
        table: &DeTable<'_>,
        name: &str,
        keys: &'static [&'static str],
    ) -> Result<(), RecipeError> {
        match table.iter().find(|(key, _)| !keys.contains(&key.get_ref().as_ref())) {
            None => Ok(()),
            Some((key, _)) => {
                let found = key.get_ref().to_string();
                let nearest = nearest(&found, keys);
                Err(self.error(key.span(), Problem::UnknownIn { table: name.to_owned(), key: found, keys, nearest }))
            }
        }
    }
}

/// A folder beside the recipe: relative, because a recipe and what it names move together.
pub(super) fn recipe_path(text: &str) -> Result<String, &'static str> {
    if text.starts_with('/') {
        return Err("it is absolute");
    }
    if text.contains('\0') {
        return Err("it contains a NUL byte");
    }
    let parts: Vec<&str> = text.split('/').filter(|part| !matches!(*part, "" | ".")).collect();
    if parts.is_empty() {
        return Err("it is this recipe's own folder");
    }
    Ok(parts.join("/"))
}
