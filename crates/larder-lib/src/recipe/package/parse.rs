//! From TOML to [`PackageRecipe`]: the tables of a package.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;

use larder_store::fileset::install::{Follower, UserRule};
use larder_store::fileset::metadata::ACTIONS;
use larder_store::fileset::{Actions, AlternativeRule, LinkRule};
use larder_store::{Name, TreePath};
use toml::de::DeTable;

use super::super::host::KEYS as HOST;
use super::super::parse::source_path;
use super::super::source::{Source, nearest};
use super::super::values::{self, ValueError};
use super::super::{FileSource, HostTable, Place, Problem, RecipeError};
use super::values as own;
use super::{BuildSpec, PackageRecipe, Relations, Requirement, SignatureAt, SignatureSpec, SourceSpec, Split, TIMEOUT};

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
const SOURCE: &[&str] = &["path", "url", "sha256", "signature", "signed-by", "git", "commit", "deb-src"];
const BUILD: &[&str] = &["from", "with", "run", "timeout", "env"];
const SPLIT: &[&str] = &["paths", "summary", "requires"];
const INSTALL: &[&str] = &["links", "alternatives", "users", "script"];
const ALTERNATIVE: &[&str] = &["name", "link", "path", "priority", "followers"];
const FOLLOWER: &[&str] = &["name", "link", "path"];
const USER: &[&str] = &["name", "group", "home", "shell", "comment"];
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
    let (links, alternatives, users) = match section("install", INSTALL)? {
        None => (Vec::new(), Vec::new(), Vec::new()),
        Some(install) => {
            let links = install.links()?;
            let alternatives = install.alternatives(&links)?;
            (links, alternatives, install.users()?)
        }
    };
    let script = section("install", INSTALL)?.map(|install| install.parsed("script", own::script)).transpose()?;
    let test = document.get_key_value("test").map(|(key, value)| {
        let table = source.table("test", value)?;
        source.test(key.span(), table, &build.from)
    });
    let test = test.transpose()?;
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
        alternatives,
        users,
        script: script.flatten(),
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

    fn choice(&self, found: impl Into<String>) -> RecipeError {
        let choices = "`path`, `url` with `sha256`, `url` with `sha256`, `signature` and `signed-by`, `git` with `commit`, or `deb-src`";
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
            ["deb-src"] => Ok(SourceSpec::Debian(self.needed("deb-src", own::source_package, "")?)),
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
        let from = self.source.from(self.table)?;
        if from.is_empty() {
            return Err(self.missing("from", "from = \"debian.org/bookworm\""));
        }
        let (with, paths) = self.source.packages("with", self.table, &from)?;
        let env = self.source.pairs(self.table, "env")?;
        Ok(BuildSpec {
            with,
            paths,
            run: self.needed("run", own::script, "run = \"make && make install DESTDIR=$OUT\"")?,
            timeout: self.parsed("timeout", own::duration)?.unwrap_or(TIMEOUT),
            env: env.map_or(Ok(BTreeMap::new()), |pairs| self.source.environment(pairs))?,
            from,
        })
    }

    fn links(&self) -> Result<Vec<LinkRule>, RecipeError> {
        let pairs = self.source.pairs(self.table, "links")?.unwrap_or_default();
        let mut links: BTreeMap<TreePath, (String, Range<usize>)> = BTreeMap::new();
        for ((path, place), (target, range)) in pairs {
            let at = own::place(path).map_err(|problem| self.source.bad("links", place.clone(), problem))?;
            let target = own::link_target(target).map_err(|problem| self.source.bad("links", range, problem))?;
            links.insert(at, (target, place));
        }
        for (path, (_, place)) in &links {
            if let Some(above) = path.ancestors().find(|above| links.contains_key(above)) {
                let (path, above) = (format!("/{path}"), format!("/{above}"));
                return Err(self.source.error(place.clone(), Problem::BelowLink { path, above }));
            }
        }
        Ok(links.into_iter().map(|(path, (target, _))| LinkRule { path, target }).collect())
    }

    fn alternatives(&self, links: &[LinkRule]) -> Result<Vec<AlternativeRule>, RecipeError> {
        let Some(value) = self.table.get("alternatives") else { return Ok(Vec::new()) };
        let mut alternatives = BTreeMap::new();
        // Each link of theirs is made once.
        let mut made: BTreeMap<TreePath, String> = BTreeMap::new();
        for (table, place) in self.source.tables("alternatives", value)? {
            let section = self.inner("install.alternatives", (table, place), ALTERNATIVE)?;
            let (name, link, path) = section.alternative()?;
            let Some(priority) = section.table.get("priority") else {
                return Err(section.missing("priority", "priority = 50"));
            };
            let priority = self.source.integer("priority", priority)?;
            let mut followers = BTreeMap::new();
            if let Some(value) = section.table.get("followers") {
                for (table, place) in self.source.tables("followers", value)? {
                    let follower = self.inner("install.alternatives.followers", (table, place), FOLLOWER)?;
                    let (name, link, path) = follower.alternative()?;
                    let (key, twice) = (name.clone(), format!("a follower {name:?}"));
                    if followers.insert(key, Follower { name, link, path }).is_some() {
                        return Err(self.source.error(follower.place, Problem::Twice { what: twice }));
                    }
                }
            }
            let followers: Vec<Follower> = followers.into_values().collect();
            let names = followers.iter().map(|follower| (&follower.link, &follower.name));
            for (link, name) in names.chain([(&link, &name)]) {
                let is_link = links.iter().any(|other| other.path == *link);
                let other = made.insert(link.clone(), name.clone()).filter(|other| other != name);
                if is_link || other.is_some() {
                    let path = format!("/{link}");
                    return Err(self.source.error(section.place, Problem::TwoLinks { path, name: name.clone() }));
                }
            }
            let key = (name.clone(), path.clone());
            let twice = format!("/{path} for the alternative {name:?}");
            if alternatives.insert(key, AlternativeRule { name, link, path, priority, followers }).is_some() {
                return Err(self.source.error(section.place, Problem::Twice { what: twice }));
            }
        }
        Ok(alternatives.into_values().collect())
    }

    /// The name of an alternative, its link, and what that points to.
    fn alternative(&self) -> Result<(String, TreePath, TreePath), RecipeError> {
        Ok((
            self.needed("name", own::alternative, "name = \"editor\"")?,
            self.needed("link", own::place, "link = \"/usr/bin/editor\"")?,
            self.needed("path", own::place, "path = \"/usr/bin/hello-editor\"")?,
        ))
    }

    /// A table within this one.
    fn inner<'t, 'i>(
        &self,
        name: &str,
        (table, place): (&'t DeTable<'i>, Range<usize>),
        keys: &'static [&'static str],
    ) -> Result<Section<'_, 't, 'i>, RecipeError> {
        Section { source: self.source, name: name.to_owned(), place, table }.only(keys)
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
        let mut users = BTreeMap::new();
        for (table, place) in self.source.tables("users", value)? {
            let section = self.inner("install.users", (table, place), USER)?;
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
}
