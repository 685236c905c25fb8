//! A record's bytes: canonical JSON, converted by hand.

use std::collections::BTreeSet;

use super::fields::{Fields, Members, Read};
use super::metadata::{ACTIONS, Actions};
use super::{
    DistributionMetadata, FileSet, FilesMetadata, ImageMetadata, Import, Kind, Metadata, Origin, Override,
    PackageMetadata, RecordError, asks,
};
use crate::Name;
use crate::json;
use crate::name::{check_architecture, check_version};

mod install;

/// The `schema` member of a record.
const SCHEMA: &str = "larder/fileset/v1";

impl FileSet {
    /// The canonical bytes. Sets are written sorted and without duplicates; nothing else is checked.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Members::default();
        // In the order of their keys, so that none has to be moved; another order would be put right.
        out.put("architecture", self.architecture.as_str());
        out.object_set("imports", &self.imports, write_import);
        out.put("kind", self.kind().as_str());
        let mut metadata = Members::default();
        match &self.metadata {
            Metadata::Files(files) => metadata.object("install", install::members(&files.install)),
            Metadata::Package(package) => write_package(package, &mut metadata),
            Metadata::Image(image) => write_image(image, &mut metadata),
            Metadata::Distribution(distribution) => write_distribution(distribution, &mut metadata),
        }
        out.object("metadata", metadata);
        out.put("name", self.name.as_str());
        out.put("schema", SCHEMA);
        out.integer("time", self.time);
        out.display("tree", self.tree);
        out.put("version", self.version.as_str());
        out.into_bytes()
    }

    /// Reads canonical bytes.
    ///
    /// # Errors
    /// Anything that isn't a record, or isn't written as [`encode`](Self::encode) writes it.
    pub fn decode(bytes: &[u8]) -> Result<Self, RecordError> {
        let record = Self::read(bytes)?;
        let again = record.encode();
        if again == bytes {
            return Ok(record);
        }
        let position = again.iter().zip(bytes).take_while(|(ours, theirs)| ours == theirs).count();
        Err(RecordError::NotCanonical { position })
    }

    /// Reads bytes that [`encode`](Self::encode) has written: nobody has to ask whether they are canonical.
    ///
    /// # Errors
    /// What was encoded isn't a record.
    pub(crate) fn read(bytes: &[u8]) -> Result<Self, RecordError> {
        let mut fields = Fields::new(json::decode(bytes)?)?;
        let found = fields.text("schema")?;
        if found != SCHEMA {
            return Err(RecordError::Schema { found, expected: SCHEMA });
        }
        let record = read_record(&mut fields)?;
        fields.end()?;
        Ok(record)
    }
}

fn read_record(fields: &mut Fields) -> Read<FileSet> {
    let kind = fields.text("kind")?;
    let kind = Kind::parse(&kind).ok_or_else(|| fields.wrong("kind", "it is not a kind of FileSet"))?;
    let version = read_version(fields)?;
    let architecture = fields.text("architecture")?;
    check_architecture(&architecture).map_err(|e| fields.wrong("architecture", e))?;
    let imports = fields.objects("imports", read_import)?;
    unique(fields, "imports", &imports, |import| &import.path)?;
    let metadata = match kind {
        Kind::Files => Metadata::Files(fields.object("metadata", read_files)?),
        Kind::Package => Metadata::Package(fields.object("metadata", read_package)?),
        Kind::Image => Metadata::Image(fields.object("metadata", read_image)?),
        Kind::Distribution => Metadata::Distribution(fields.object("metadata", read_distribution)?),
    };
    Ok(FileSet {
        name: fields.parsed("name")?,
        version,
        architecture,
        time: fields.integer("time")?,
        tree: fields.parsed("tree")?,
        imports,
        metadata,
    })
}

fn read_version(fields: &mut Fields) -> Read<String> {
    let version = fields.text("version")?;
    check_version(&version).map_err(|e| fields.wrong("version", e))?;
    Ok(version)
}

/// Refuses two neighbours with one key, in a list that is sorted by it.
fn unique<T, K: PartialEq + ?Sized>(fields: &Fields, key: &str, items: &[T], of: fn(&T) -> &K) -> Read<()> {
    match items.windows(2).any(|pair| of(&pair[0]) == of(&pair[1])) {
        false => Ok(()),
        true => Err(fields.wrong(key, "two of its items have the same key")),
    }
}

fn write_import(import: &Import, out: &mut Members) {
    out.display("fileset", import.fileset);
    out.put("name", import.name.as_str());
    out.path("path", &import.path);
    out.put("version", import.version.as_str());
}

fn read_import(fields: &mut Fields) -> Read<Import> {
    Ok(Import {
        path: fields.path("path")?,
        name: fields.parsed("name")?,
        version: read_version(fields)?,
        fileset: fields.parsed("fileset")?,
    })
}

fn read_files(fields: &mut Fields) -> Read<FilesMetadata> {
    Ok(FilesMetadata { install: fields.object("install", install::read)? })
}

fn write_package(package: &PackageMetadata, out: &mut Members) {
    out.texts("requires", &package.requires);
    out.texts("recommends", &package.recommends);
    out.texts("provides", &package.provides);
    out.texts("conflicts", &package.conflicts);
    out.texts("breaks", &package.breaks);
    out.texts("replaces", &package.replaces);
    out.text_if("multi_arch", package.multi_arch.as_deref());
    out.flag("essential", package.essential);
    out.text_or_empty("description", &package.description);
    out.text_or_empty("section", &package.section);
    out.text_if("homepage", package.homepage.as_deref());
    out.text_if("licence", package.licence.as_deref());
    out.text_if("source", package.source.as_deref());
    out.text_if("maintainer", package.maintainer.as_deref());
    if let Some(Origin { deb, rule }) = &package.origin {
        let mut origin = Members::default();
        origin.display("deb", deb);
        origin.put("rule", rule);
        out.object("origin", origin);
    }
    out.text_set("stands_in_for", &package.stands_in_for);
    out.object("asks", asks::members(&package.asks));
    write_actions(&package.actions, out);
    out.object_set("configuration", &package.configuration, |path, out| out.path("path", path));
    out.text_set("documentation", &package.documentation);
    out.object("install", install::members(&package.install));
}

fn read_package(fields: &mut Fields) -> Read<PackageMetadata> {
    Ok(PackageMetadata {
        requires: fields.texts("requires")?,
        recommends: fields.texts("recommends")?,
        provides: fields.texts("provides")?,
        conflicts: fields.texts("conflicts")?,
        breaks: fields.texts("breaks")?,
        replaces: fields.texts("replaces")?,
        multi_arch: fields.text_if("multi_arch")?,
        essential: fields.flag("essential")?,
        description: fields.text_or_empty("description")?,
        section: fields.text_or_empty("section")?,
        homepage: fields.text_if("homepage")?,
        licence: fields.text_if("licence")?,
        source: fields.text_if("source")?,
        maintainer: fields.text_if("maintainer")?,
        origin: fields.object("origin", read_origin)?,
        stands_in_for: fields.texts("stands_in_for")?,
        asks: fields.object("asks", asks::read)?,
        actions: read_actions(fields)?,
        configuration: fields.objects("configuration", |fields| fields.path("path"))?,
        documentation: fields.texts("documentation")?,
        install: fields.object("install", install::read)?,
    })
}

fn read_origin(fields: &mut Fields) -> Read<Option<Origin>> {
    match (fields.parsed_if("deb")?, fields.text_if("rule")?) {
        (Some(deb), Some(rule)) => Ok(Some(Origin { deb, rule })),
        (None, None) => Ok(None),
        _ => Err(fields.wrong("deb", "an origin has both `deb` and `rule`")),
    }
}

fn write_image(image: &ImageMetadata, out: &mut Members) {
    write_from(&image.from, out);
    out.put("base", image.base.as_str());
    out.flag("recommends", image.recommends);
    out.text_set("packages", &image.packages);
    out.texts("run", &image.run);
    out.map("env", &image.env, |out, key, value| out.put(key, value));
    out.text_if("user", image.user.as_deref());
    out.text_if("workdir", image.workdir.as_deref());
    out.text_if("stop_signal", image.stop_signal.as_deref());
    out.map("labels", &image.labels, |out, key, value| out.put(key, value));
    out.map("composers", &image.composers, |out, key, version| out.integer(key, *version));
    out.object_set("overrides", &image.overrides, |item, out| {
        out.put("of", item.of.as_str());
        out.put("by", item.by.as_str());
        out.text_if("forced", item.forced.as_deref());
    });
    out.object("asks", asks::members(&image.asks));
    write_actions(&image.actions, out);
    out.text_set("documentation", &image.documentation);
}

fn read_image(fields: &mut Fields) -> Read<ImageMetadata> {
    let base = fields.text("base")?;
    if !matches!(base.as_str(), "essential" | "none") {
        return Err(fields.wrong("base", "it must be \"essential\" or \"none\""));
    }
    let run = fields.texts("run")?;
    if run.iter().any(|argument| argument.contains('\0')) {
        return Err(fields.wrong("run", "an argument contains a NUL character"));
    }
    let env = fields.map("env", Fields::text)?;
    if env.iter().any(|(key, value)| key.is_empty() || key.contains(['=', '\0']) || value.contains('\0')) {
        return Err(
            fields.wrong("env", "a variable's name is empty or contains `=`, or something contains a NUL character")
        );
    }
    let overrides = fields.objects("overrides", read_override)?;
    unique(fields, "overrides", &overrides, |item| &item.of)?;
    Ok(ImageMetadata {
        from: read_from(fields)?,
        base,
        recommends: fields.flag("recommends")?,
        packages: fields.texts("packages")?,
        run,
        env,
        user: fields.text_if("user")?,
        workdir: fields.text_if("workdir")?,
        stop_signal: fields.text_if("stop_signal")?,
        labels: fields.map("labels", Fields::text)?,
        composers: fields.map("composers", Fields::integer)?,
        overrides,
        asks: fields.object("asks", asks::read)?,
        actions: read_actions(fields)?,
        documentation: fields.texts("documentation")?,
    })
}

fn read_override(fields: &mut Fields) -> Read<Override> {
    let item = Override { of: fields.parsed("of")?, by: fields.parsed("by")?, forced: fields.text_if("forced")? };
    match item.forced.as_deref() {
        Some("") => Err(fields.wrong("forced", "it is the reason, and empty")),
        _ => Ok(item),
    }
}

/// One distribution is a string; several are a set.
fn write_from(from: &[Name], out: &mut Members) {
    let names: BTreeSet<&str> = from.iter().map(Name::as_str).collect();
    match (names.first(), names.len()) {
        (Some(one), 1) => out.put("from", one),
        _ => out.texts("from", &names.into_iter().map(str::to_owned).collect::<Vec<_>>()),
    }
}

fn read_from(fields: &mut Fields) -> Read<Vec<Name>> {
    if fields.is_text("from") {
        return Ok(vec![fields.parsed("from")?]);
    }
    let names = fields.texts("from")?;
    names.iter().map(|name| name.parse().map_err(|e| fields.wrong("from", e))).collect()
}

fn write_actions(actions: &Actions, out: &mut Members) {
    out.map("actions", actions, |out, key, words| out.texts(key, words));
}

fn read_actions(fields: &mut Fields) -> Read<Actions> {
    let actions = fields.map("actions", Fields::texts)?;
    let good = |(action, words): (&String, &Vec<String>)| {
        ACTIONS.contains(&action.as_str())
            && words.first().is_some_and(|program| !program.is_empty())
            && !words.iter().any(|word| word.contains('\0'))
    };
    match actions.iter().all(good) {
        true => Ok(actions),
        false => Err(fields.wrong("actions", "it has an unknown action, or a command that is empty or contains NUL")),
    }
}

fn write_distribution(distribution: &DistributionMetadata, out: &mut Members) {
    out.text_or_empty("description", &distribution.description);
    out.text_if("homepage", distribution.homepage.as_deref());
    write_from(&distribution.from, out);
}

fn read_distribution(fields: &mut Fields) -> Read<DistributionMetadata> {
    Ok(DistributionMetadata {
        description: fields.text_or_empty("description")?,
        homepage: fields.text_if("homepage")?,
        from: read_from(fields)?,
    })
}
