//! From TOML to [`Recipe`].

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;

use larder_store::{Name, TreePath};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::values::{self, ValueError};
use super::{Base, FileSource, Place, Problem, Recipe, RecipeError, Root};

/// The tables of a recipe.
pub(super) const TABLES: &[&str] = &["image", "files"];
/// The keys of `[image]`.
pub(super) const KEYS: &[&str] = &[
    "name",
    "version",
    "from",
    "base",
    "packages",
    "recommends",
    "run",
    "env",
    "user",
    "workdir",
    "stop-signal",
    "labels",
];
/// Where a container's own mounts are: files put there would never be seen.
const RESERVED: &[&str] = &["packages", "proc", "sys", "dev"];

type Value<'a> = Spanned<DeValue<'a>>;

pub(super) fn recipe(file: &Path, text: &str) -> Result<Recipe, RecipeError> {
    Source { file, text }.recipe()
}

/// The recipe's text, for errors that say where.
struct Source<'a> {
    file: &'a Path,
    text: &'a str,
}

impl Source<'_> {
    fn error(&self, range: Range<usize>, problem: Problem) -> RecipeError {
        RecipeError::new(self.file, Some(Place::new(self.text, range)), problem)
    }

    fn recipe(&self) -> Result<Recipe, RecipeError> {
        let document = DeTable::parse(self.text).map_err(|error| {
            let reason = error.message().trim().replace('\n', ", ");
            self.error(error.span().unwrap_or(0..0), Problem::NotToml { reason })
        })?;
        let document = document.get_ref();
        for (key, _) in document {
            let name: &str = key.get_ref();
            if TABLES.contains(&name) {
                continue;
            }
            let problem = if KEYS.contains(&name) {
                Problem::Misplaced { key: name.to_owned() }
            } else {
                Problem::UnknownTable { name: name.to_owned(), nearest: nearest(name, TABLES) }
            };
            return Err(self.error(key.span(), problem));
        }
        let Some((header, image)) = document.get_key_value("image") else {
            return Err(RecipeError::new(self.file, None, Problem::MissingImage));
        };
        let mut recipe = self.image(header.span(), self.table("image", image)?)?;
        if let Some(files) = document.get("files") {
            recipe.files = self.files(self.table("files", files)?)?;
        }
        Ok(recipe)
    }

    fn image(&self, header: Range<usize>, image: &DeTable<'_>) -> Result<Recipe, RecipeError> {
        if let Some((key, _)) = image.iter().find(|(key, _)| !KEYS.contains(&key.get_ref().as_ref())) {
            let name = key.get_ref().to_string();
            let nearest = nearest(&name, KEYS);
            return Err(self.error(key.span(), Problem::UnknownKey { key: name, nearest }));
        }
        let missing = |key, example| self.error(header.clone(), Problem::MissingKey { key, example });
        let from = self.parsed(image, "from", values::name)?;
        let recipe = Recipe {
            file: self.file.to_owned(),
            name: self
                .parsed(image, "name", values::own_name)?
                .ok_or_else(|| missing("name", "name = \"example.com/web\""))?,
            version: self
                .parsed(image, "version", values::version)?
                .ok_or_else(|| missing("version", "version = \"1.0\""))?,
            base: self.parsed(image, "base", values::base)?.unwrap_or(Base::Essential),
            packages: self.packages(image, from.as_ref())?,
            from,
            recommends: image.get("recommends").map_or(Ok(false), |value| self.boolean("recommends", value))?,
            run: self.run(image)?,
            env: self.pairs(image, "env")?.map_or(Ok(BTreeMap::new()), |pairs| self.environment(pairs))?,
            user: self.parsed(image, "user", str::parse)?,
            workdir: self.parsed(image, "workdir", str::parse)?,
            stop_signal: self.parsed(image, "stop-signal", str::parse)?,
            labels: self.labels(image)?,
            files: BTreeMap::new(),
        };
        if recipe.from.is_none() && (recipe.base == Base::Essential || !recipe.packages.is_empty()) {
            return Err(self.error(header, Problem::MissingFrom));
        }
        Ok(recipe)
    }

    fn packages(&self, image: &DeTable<'_>, from: Option<&Name>) -> Result<Vec<Root>, RecipeError> {
        let Some(value) = image.get("packages") else { return Ok(Vec::new()) };
        let roots = self
            .strings("packages", value)?
            .map(|item| {
                let (text, range) = item?;
                let root = values::root(text, from).map_err(|source| self.bad("packages", range, source))?;
                Ok((root.to_string(), root))
            })
            .collect::<Result<BTreeMap<_, _>, _>>()?;
        Ok(roots.into_values().collect())
    }

    fn run(&self, image: &DeTable<'_>) -> Result<Vec<String>, RecipeError> {
        let Some(value) = image.get("run") else { return Ok(Vec::new()) };
        let words = self
            .strings("run", value)?
            .map(|item| {
                let (text, range) = item?;
                self.without_nul("run", text, range)
            })
            .collect::<Result<Vec<_>, _>>()?;
        match words.first() {
            None => Err(self.bad("run", value.span(), ValueError::EmptyCommand)),
            Some(program) if program.is_empty() => Err(self.bad("run", value.span(), ValueError::EmptyCommand)),
            Some(_) => Ok(words),
        }
    }

    fn environment(&self, pairs: Pairs<'_>) -> Result<BTreeMap<super::EnvironmentName, String>, RecipeError> {
        pairs
            .into_iter()
            .map(|((name, name_range), (value, range))| {
                let key = format!("env.{name}");
                let name = name.parse().map_err(|source| self.bad(&key, name_range, source))?;
                Ok((name, self.without_nul(&key, value, range)?))
            })
            .collect()
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
                return Err(self.error(key.span(), Problem::Misplaced { key: written.to_owned() }));
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

    fn parsed<T>(
        &self,
        table: &DeTable<'_>,
        key: &'static str,
        parse: fn(&str) -> Result<T, ValueError>,
    ) -> Result<Option<T>, RecipeError> {
        let Some(value) = table.get(key) else { return Ok(None) };
        let (text, range) = self.string(key, value)?;
        parse(text).map(Some).map_err(|source| self.bad(key, range, source))
    }

    fn pairs<'t>(&self, table: &'t DeTable<'_>, key: &'static str) -> Result<Option<Pairs<'t>>, RecipeError> {
        let Some(value) = table.get(key) else { return Ok(None) };
        self.table(key, value)?
            .iter()
            .map(|(name, value)| {
                let full = format!("{key}.{}", name.get_ref());
                Ok(((name.get_ref().as_ref(), name.span()), self.string(&full, value)?))
            })
            .collect::<Result<_, _>>()
            .map(Some)
    }

    fn strings<'t>(
        &'t self,
        key: &'static str,
        value: &'t Value<'_>,
    ) -> Result<impl Iterator<Item = Result<Text<'t>, RecipeError>>, RecipeError> {
        let DeValue::Array(items) = value.get_ref() else {
            return Err(self.wrong_type(key, "a list of strings", value));
        };
        Ok(items.iter().map(move |item| self.string(&format!("{key}[]"), item)))
    }

    fn string<'t>(&self, key: &str, value: &'t Value<'_>) -> Result<Text<'t>, RecipeError> {
        let text = value.get_ref().as_str().ok_or_else(|| self.wrong_type(key, "a string", value))?;
        Ok((text, value.span()))
    }

    fn boolean(&self, key: &str, value: &Value<'_>) -> Result<bool, RecipeError> {
        value.get_ref().as_bool().ok_or_else(|| self.wrong_type(key, "true or false", value))
    }

    fn table<'t, 'i>(&self, key: &str, value: &'t Value<'i>) -> Result<&'t DeTable<'i>, RecipeError> {
        value.get_ref().as_table().ok_or_else(|| self.wrong_type(key, "a table", value))
    }

    fn without_nul(&self, key: &str, text: &str, range: Range<usize>) -> Result<String, RecipeError> {
        if text.contains('\0') {
            return Err(self.bad(key, range, ValueError::Nul));
        }
        Ok(text.to_owned())
    }

    fn wrong_type(&self, key: &str, expected: &'static str, value: &Value<'_>) -> RecipeError {
        let found = match value.get_ref() {
            DeValue::String(_) => "a string",
            DeValue::Integer(_) | DeValue::Float(_) => "a number",
            DeValue::Boolean(_) => "true or false",
            DeValue::Datetime(_) => "a date",
            DeValue::Array(_) => "a list",
            DeValue::Table(_) => "a table",
        };
        self.error(value.span(), Problem::WrongType { key: key.to_owned(), expected, found })
    }

    fn bad(&self, key: &str, range: Range<usize>, value: ValueError) -> RecipeError {
        self.error(range, Problem::BadValue { key: key.to_owned(), value })
    }
}

/// A string of the recipe and where it stands.
type Text<'a> = (&'a str, Range<usize>);
/// Names and values of a table of strings.
type Pairs<'a> = Vec<(Text<'a>, Text<'a>)>;

fn container_path(text: &str) -> Result<TreePath, String> {
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

fn source_path(text: &str) -> Result<String, &'static str> {
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

/// The candidate that is nearest to a misspelled word, if one is near.
fn nearest(word: &str, candidates: &[&'static str]) -> Option<&'static str> {
    let lower = word.to_lowercase().replace('_', "-");
    candidates
        .iter()
        .map(|&candidate| (strsim::damerau_levenshtein(&lower, candidate), candidate))
        .filter(|&(distance, candidate)| distance <= 1 + candidate.len() / 4)
        .min()
        .map(|(_, candidate)| candidate)
}
