//! From TOML to [`PackageRecipe`]: the tables of a package.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;

use larder_solver::Root;
use larder_store::fileset::install::UserRule;
use larder_store::fileset::metadata::ACTIONS;
use larder_store::fileset::{Actions, LinkRule};
use larder_store::{Name, TreePath};
use toml::de::DeTable;

use super::super::host::KEYS as HOST;
use super::super::parse::source_path;
use super::super::source::{Source, nearest};
use super::super::values::{self, ValueError};
use super::super::{FileSource, HostTable, Place, Problem, RecipeError};
use super::values as own;
use super::{
    BuildSpec, PackageRecipe, Relations, Requirement, SignatureAt, SignatureSpec, SourceSpec, Split, TIMEOUT, TestSpec,
};

/// The tables of a package's recipe.
const TABLES: &[&str] = &["package", "source", "build", "host", "split", "install", "actions", "test"];
const PACKAGE: &[&str] = &[
    "name",
    "version",
    "summary",
    "license",
    "homepage",
    "requires",
    "recommends",
    "provides",
    "conflicts",
    "replaces",
    "stands-in-for",
    "documentation",
    "configuration",
    "imports",
];
const SOURCE: &[&str] = &["path", "url", "sha256", "signature", "signed-by", "git", "commit"];
const BUILD: &[&str] = &["from", "with", "run", "timeout", "env"];
const SPLIT: &[&str] = &["paths", "summary", "requires"];
const INSTALL: &[&str] = &["links", "users"];
const USER: &[&str] = &["name", "group", "home", "shell", "comment"];
const TEST: &[&str] = &["run", "with"];
/// Where keys belong that stand outside of all tables.
const PLACES: &[(&str, &[&str])] =
    &[("package", PACKAGE), ("build", BUILD), ("source", SOURCE), ("host", HOST), ("split.NAME", SPLIT)];

/// A table with its name, for errors.
struct Section<'s, 't, 'i> {
    source: &'s Source<'s>,
    name: String,
    place: Range<usize>,
    table: &'t DeTable<'i>,
}

pub(in super::super) fn parse(file: &Path, text: &str) -> Result<PackageRecipe, RecipeError> {
    let source = Source { file, text };
    let document = source.document()?;
    let document = document.get_ref();
    for (key, _) in document {
        let name: &str = key.get_ref();
        if TABLES.contains(&name) {
            continue;
        }
        let problem = match (PLACES.iter().find(|(_, keys)| keys.contains(&name)), name) {
            (Some((table, _)), _) => Problem::Misplaced { table, key: name.to_owned() },
            (None, "image") => Problem::TwoKinds { first: "package", second: "image" },
            _ => Problem::UnknownTable { name: name.to_owned(), tables: TABLES, nearest: nearest(name, TABLES) },
        };
        return Err(source.error(key.span(), problem));
    }
    let section = |name: &'static str, keys| -> Result<Option<Section<'_, '_, '_>>, RecipeError> {
        let Some((key, value)) = document.get_key_value(name) else { return Ok(None) };
        let table = source.table(name, value)?;
        Section { source: &source, name: name.to_owned(), place: key.span(), table }.only(keys).map(Some)
    };
    let missing = |table, example| RecipeError::new(file, None, Problem::MissingTable { table, example });
    let package = section("package", PACKAGE)?.ok_or_else(|| missing("package", "name = \"example.com/hello\""))?;
    let build = section("build", BUILD)?.ok_or_else(|| missing("build", "from = \"debian.org/bookworm\""))?;
    let build = build.build()?;
    let host = section("host", HOST)?.map_or(Ok(HostTable::default()), |host| source.host(host.table))?;
    let splits = document.get("split").map_or(Ok(BTreeMap::new()), |value| {
        source
            .table("split", value)?
            .iter()
            .map(|(key, value)| split(&source, (key.get_ref(), key.span()), value))
            .collect()
    })?;
    let (links, users) = match section("install", INSTALL)? {
        None => (Vec::new(), Vec::new()),
        Some(install) => (install.links()?, install.users()?),
    };
    let test = section("test", TEST)?.map(|test| test.test(&build.from)).transpose()?;
    Ok(PackageRecipe {
        file: file.to_owned(),
        text: source.digest(),
        written: text.to_owned(),
        name: package.needed("name", own::package_name, "name = \"example.com/hello\"")?,
        version: package.needed("version", values::version, "version = \"1.0\"")?,
        summary: package.needed("summary", own::line, "summary = \"A friendly greeting\"")?,
        license: package.parsed("license", own::line)?,
        homepage: package.parsed("homepage", own::address)?,
        relations: Relations {
            requires: package.requirements("requires")?,
            recommends: package.requirements("recommends")?,
            provides: package.requirements("provides")?,
            conflicts: package.requirements("conflicts")?,
            replaces: package.requirements("replaces")?,
            stands_in_for: package.requirements("stands-in-for")?,
        },
        documentation: package.set("documentation", own::address)?,
        configuration: package.set("configuration", own::path)?,
        source: section("source", SOURCE)?.map(|section| section.source_spec()).transpose()?,
        build,
        asks: host.asks,
        architectures: host.architectures,
        splits,
        imports: package.imports()?,
        links,
        users,
        actions: section("actions", ACTIONS)?.map_or(Ok(Actions::new()), |actions| source.actions(actions.table))?,
        test,
    })
}

fn split(
    source: &Source<'_>,
    (end, place): (&str, Range<usize>),
    value: &super::super::source::Value<'_>,
) -> Result<(String, Split), RecipeError> {
    own::split_end(end).map_err(|problem| source.bad("split", place.clone(), problem))?;
    let name = format!("split.{end}");
    let table = source.table(&name, value)?;
    let section = Section { source, name, place, table }.only(SPLIT)?;
    let paths = section.set("paths", own::glob)?;
    if paths.is_empty() {
        return Err(section.missing("paths", "paths = [\"/usr/include\"]"));
    }
    let summary = section.needed("summary", own::line, "summary = \"Headers of hello\"")?;
    Ok((end.to_owned(), Split { paths, summary, requires: section.requirements("requires")? }))
}

impl Section<'_, '_, '_> {
    /// Refuses other keys.
    fn only(self, keys: &'static [&'static str]) -> Result<Self, RecipeError> {
        match self.table.iter().find(|(key, _)| !keys.contains(&key.get_ref().as_ref())) {
            None => Ok(self),
            Some((key, _)) => {
                let name = key.get_ref().to_string();
                let nearest = nearest(&name, keys);
                let problem = Problem::UnknownKey { table: self.name, key: name, keys, nearest };
                Err(self.source.error(key.span(), problem))
            }
        }
    }

    fn missing(&self, key: &'static str, example: &'static str) -> RecipeError {
        self.source.error(self.place.clone(), Problem::MissingKey { table: self.name.clone(), key, example })
    }

    fn parsed<T>(&self, key: &'static str, parse: fn(&str) -> Result<T, ValueError>) -> Result<Option<T>, RecipeError> {
        self.source.parsed(self.table, key, parse)
    }

    fn needed<T>(
        &self,
        key: &'static str,
        parse: fn(&str) -> Result<T, ValueError>,
        example: &'static str,
    ) -> Result<T, RecipeError> {
        self.parsed(key, parse)?.ok_or_else(|| self.missing(key, example))
    }

    /// A list of strings that is a set: sorted by what was written, each once.
    fn set<T>(&self, key: &'static str, parse: impl Fn(&str) -> Result<T, ValueError>) -> Result<Vec<T>, RecipeError> {
        let Some(value) = self.table.get(key) else { return Ok(Vec::new()) };
        let mut items = BTreeMap::new();
        for item in self.source.strings(key, value)? {
            let (text, range) = item?;
            let parsed = parse(text).map_err(|problem| self.source.bad(key, range, problem))?;
            items.insert(text.to_owned(), parsed);
        }
        Ok(items.into_values().collect())
    }

    fn requirements(&self, key: &'static str) -> Result<Vec<Requirement>, RecipeError> {
        let mut all = self.set(key, own::requirement)?;
        all.sort_by_cached_key(ToString::to_string);
        all.dedup();
        Ok(all)
    }

    fn roots(&self, key: &'static str, from: &Name) -> Result<Vec<Root>, RecipeError> {
        let mut roots = self.set(key, |text| values::root(text, std::slice::from_ref(from)))?;
        roots.sort_by_cached_key(ToString::to_string);
        roots.dedup();
        Ok(roots)
    }

    fn choice(&self, found: impl Into<String>) -> RecipeError {
        let choices =
            "`path`, `url` with `sha256`, `url` with `sha256`, `signature` and `signed-by`, or `git` with `commit`";
        let (table, found) = ("source", found.into());
        self.source.error(self.place.clone(), Problem::Choice { table, found, choices })
    }

    fn source_spec(&self) -> Result<SourceSpec, RecipeError> {
        let mut keys: Vec<&str> = self.table.iter().map(|(key, _)| key.get_ref().as_ref()).collect();
        keys.sort_unstable();
        match keys.as_slice() {
            ["path"] => self.beside("path").map(SourceSpec::Path),
            ["sha256", "url"] | ["sha256", "signature", "signed-by", "url"] => Ok(SourceSpec::Url {
                url: self.needed("url", own::file_address, "")?,
                sha256: self.needed("sha256", own::sha256, "")?,
                signature: self.signature()?,
            }),
            ["commit", "git"] => Ok(SourceSpec::Git {
                url: self.needed("git", own::git_address, "")?,
                commit: self.needed("commit", own::commit, "")?,
            }),
            [] => Err(self.choice("nothing")),
            keys => Err(self.choice(keys.iter().map(|key| format!("`{key}`")).collect::<Vec<_>>().join(" and "))),
        }
    }

    /// A file or folder beside the recipe. The key is there.
    fn beside(&self, key: &'static str) -> Result<FileSource, RecipeError> {
        let Some(value) = self.table.get(key) else { return Err(self.choice("nothing")) };
        let (written, range) = self.source.string(key, value)?;
        let path = source_path(written).map_err(|reason| {
            self.source.error(range.clone(), Problem::BadSource { path: written.to_owned(), reason })
        })?;
        Ok(FileSource { path, place: Some(Place::new(self.source.text, range)) })
    }

    fn signature(&self) -> Result<Option<SignatureSpec>, RecipeError> {
        let Some(value) = self.table.get("signature") else { return Ok(None) };
        let is_address = self.source.string("signature", value)?.0.contains("://");
        let at = match is_address {
            true => SignatureAt::Url(self.needed("signature", own::file_address, "")?),
            false => SignatureAt::Path(self.beside("signature")?),
        };
        Ok(Some(SignatureSpec { at, key: self.beside("signed-by")? }))
    }

    fn build(&self) -> Result<BuildSpec, RecipeError> {
        let from = self.needed("from", values::name, "from = \"debian.org/bookworm\"")?;
        let env = self.source.pairs(self.table, "env")?;
        Ok(BuildSpec {
            with: self.roots("with", &from)?,
            run: self.needed("run", own::script, "run = \"make && make install DESTDIR=$OUT\"")?,
            timeout: self.parsed("timeout", own::duration)?.unwrap_or(TIMEOUT),
            env: env.map_or(Ok(BTreeMap::new()), |pairs| self.source.environment(pairs))?,
            from,
        })
    }

    fn links(&self) -> Result<Vec<LinkRule>, RecipeError> {
        let pairs = self.source.pairs(self.table, "links")?.unwrap_or_default();
        let links = pairs.into_iter().map(|((path, path_range), (target, range))| {
            let path: TreePath = own::path(path).map_err(|problem| self.source.bad("links", path_range, problem))?;
            let target = own::link_target(target).map_err(|problem| self.source.bad("links", range, problem))?;
            Ok(LinkRule { path, target })
        });
        let mut links: Vec<_> = links.collect::<Result<_, RecipeError>>()?;
        links.sort();
        Ok(links)
    }

    fn imports(&self) -> Result<BTreeMap<TreePath, Name>, RecipeError> {
        let pairs = self.source.pairs(self.table, "imports")?.unwrap_or_default();
        let imports = pairs.into_iter().map(|((path, path_range), (name, range))| {
            let path = own::path(path).map_err(|problem| self.source.bad("imports", path_range, problem))?;
            let name = values::name(name).map_err(|problem| self.source.bad("imports", range, problem))?;
            Ok((path, name))
        });
        imports.collect()
    }

    fn users(&self) -> Result<Vec<UserRule>, RecipeError> {
        let Some(value) = self.table.get("users") else { return Ok(Vec::new()) };
        let Some(items) = value.get_ref().as_array() else {
            return Err(self.source.wrong_type("users", "a list of tables", value));
        };
        let mut users = BTreeMap::new();
        for item in items.iter() {
            let table = self.source.table("users[]", item)?;
            let name = "install.users".to_owned();
            let section = Section { source: self.source, name, place: item.span(), table }.only(USER)?;
            let name = section.needed("name", own::account, "users = [{ name = \"hello\" }]")?;
            let user = UserRule {
                uid: None,
                group: section.parsed("group", own::account)?.unwrap_or_else(|| name.clone()),
                home: section.parsed("home", own::field)?.unwrap_or_else(|| "/nonexistent".to_owned()),
                shell: section.parsed("shell", own::field)?.unwrap_or_else(|| "/usr/sbin/nologin".to_owned()),
                comment: section.parsed("comment", own::field)?.unwrap_or_default(),
                supplementary: Vec::new(),
                name,
            };
            users.insert(user.name.clone(), user);
        }
        Ok(users.into_values().collect())
    }

    fn test(&self, from: &Name) -> Result<TestSpec, RecipeError> {
        Ok(TestSpec {
            run: self.needed("run", own::script, "run = \"hello | grep -q Hello\"")?,
            with: self.roots("with", from)?,
        })
    }
}
