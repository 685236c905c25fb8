//! A record's bytes: canonical JSON, converted by hand.

use super::fields::{Fields, Members, Read};
use super::{
    AlternativeRule, DistributionMetadata, DiversionRule, FileSet, FilesMetadata, Follower, GroupRule, ImageMetadata,
    Import, InstallRules, Kind, Metadata, Origin, PackageMetadata, RecordError, ScriptTier, UserRule,
};
use crate::json::{self, Value};
use crate::name::{check_architecture, check_version};

/// The `schema` member of a record.
const SCHEMA: &str = "larder/fileset/v1";

impl FileSet {
    /// The canonical bytes. Sets are written sorted and without duplicates; nothing else is checked.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Members::default();
        out.put("schema", SCHEMA);
        out.put("kind", self.kind().as_str());
        out.put("name", self.name.as_str());
        out.put("version", self.version.as_str());
        out.put("architecture", self.architecture.as_str());
        out.integer("time", self.time);
        out.put("tree", self.tree.to_string());
        out.object_set("imports", &self.imports, write_import);
        let mut metadata = Members::default();
        match &self.metadata {
            Metadata::Files(files) => metadata.object("install", install_members(&files.install)),
            Metadata::Package(package) => write_package(package, &mut metadata),
            Metadata::Image(image) => write_image(image, &mut metadata),
            Metadata::Distribution(DistributionMetadata {}) => {}
        }
        out.object("metadata", metadata);
        json::encode(&out.into_value())
    }

    /// Reads canonical bytes.
    ///
    /// # Errors
    /// Anything that isn't a record, or isn't written as [`encode`](Self::encode) writes it.
    pub fn decode(bytes: &[u8]) -> Result<Self, RecordError> {
        let mut fields = Fields::new(String::new(), json::decode(bytes)?)?;
        let found = fields.text("schema")?;
        if found != SCHEMA {
            return Err(RecordError::Schema { found, expected: SCHEMA });
        }
        let record = read_record(&mut fields)?;
        fields.end()?;
        let again = record.encode();
        if again == bytes {
            return Ok(record);
        }
        let position = again.iter().zip(bytes).take_while(|(ours, theirs)| ours == theirs).count();
        Err(RecordError::NotCanonical { position })
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
        Kind::Distribution => Metadata::Distribution(fields.object("metadata", |_| Ok(DistributionMetadata {}))?),
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
    out.path("path", &import.path);
    out.put("name", import.name.as_str());
    out.put("version", import.version.as_str());
    out.put("fileset", import.fileset.to_string());
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
    Ok(FilesMetadata { install: fields.object("install", read_install)? })
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
        out.put(
            "origin",
            Value::object([("deb", deb.to_string()), ("rule", rule.clone())].map(|(k, v)| (k, v.into()))),
        );
    }
    out.object("install", install_members(&package.install));
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
        install: fields.object("install", read_install)?,
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
    out.text_if("from", image.from.as_ref().map(|name| name.as_str()));
    out.put("base", image.base.as_str());
    out.flag("recommends", image.recommends);
    out.text_set("packages", &image.packages);
    out.texts("run", &image.run);
    out.map("env", &image.env, |out, key, value| out.put(key, value.as_str()));
    out.text_if("user", image.user.as_deref());
    out.text_if("workdir", image.workdir.as_deref());
    out.text_if("stop_signal", image.stop_signal.as_deref());
    out.map("labels", &image.labels, |out, key, value| out.put(key, value.as_str()));
    out.map("composers", &image.composers, |out, key, version| out.integer(key, *version));
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
    Ok(ImageMetadata {
        from: fields.parsed_if("from")?,
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
    })
}

fn install_members(install: &InstallRules) -> Members {
    let mut out = Members::default();
    out.text_set("replaces_files_of", &install.replaces_files_of);
    out.object_set("users", &install.users, write_user);
    out.object_set("groups", &install.groups, |group, out| {
        out.put("name", group.name.as_str());
        out.id_if("gid", group.gid);
    });
    out.object_set("alternatives", &install.alternatives, write_alternative);
    out.object_set("diversions", &install.diversions, |diversion, out| {
        out.path("path", &diversion.path);
        out.path("to", &diversion.to);
    });
    out.text_set("shells", &install.shells);
    match &install.script {
        ScriptTier::None => {}
        ScriptTier::Declared => out.put("script", "declared"),
        ScriptTier::Skipped(reasons) => {
            out.put("script", "skipped");
            out.text_set("skipped", reasons);
        }
    }
    out
}

fn read_install(fields: &mut Fields) -> Read<InstallRules> {
    let script = match (fields.text_if("script")?.as_deref(), fields.texts("skipped")?) {
        (None, reasons) if reasons.is_empty() => ScriptTier::None,
        (Some("declared"), reasons) if reasons.is_empty() => ScriptTier::Declared,
        (Some("skipped"), reasons) => ScriptTier::Skipped(reasons),
        _ => {
            return Err(fields.wrong("script", "it must be \"declared\", or \"skipped\" with the reasons in `skipped`"));
        }
    };
    let rules = InstallRules {
        replaces_files_of: fields.texts("replaces_files_of")?,
        users: fields.objects("users", read_user)?,
        groups: fields.objects("groups", read_group)?,
        alternatives: fields.objects("alternatives", read_alternative)?,
        diversions: fields.objects("diversions", read_diversion)?,
        shells: fields.texts("shells")?,
        script,
    };
    unique(fields, "users", &rules.users, |user| &user.name)?;
    unique(fields, "groups", &rules.groups, |group| &group.name)?;
    unique(fields, "diversions", &rules.diversions, |diversion| &diversion.path)?;
    if rules.shells.iter().any(|shell| !shell.starts_with('/') || !is_line_field(shell)) {
        return Err(fields.wrong("shells", "a shell must be an absolute path without `:` and control characters"));
    }
    Ok(rules)
}

fn write_user(user: &UserRule, out: &mut Members) {
    out.put("name", user.name.as_str());
    out.id_if("uid", user.uid);
    out.put("group", user.group.as_str());
    out.put("home", user.home.as_str());
    out.put("shell", user.shell.as_str());
    out.text_or_empty("comment", &user.comment);
    out.text_set("supplementary", &user.supplementary);
}

fn read_user(fields: &mut Fields) -> Read<UserRule> {
    let user = UserRule {
        name: read_account(fields, "name")?,
        uid: fields.id_if("uid")?,
        group: read_account(fields, "group")?,
        home: fields.text("home")?,
        shell: fields.text("shell")?,
        comment: fields.text_or_empty("comment")?,
        supplementary: fields.texts("supplementary")?,
    };
    for (key, text) in [("home", &user.home), ("shell", &user.shell), ("comment", &user.comment)] {
        if !is_line_field(text) {
            return Err(fields.wrong(key, "it must not contain `:` or control characters"));
        }
    }
    if !user.supplementary.iter().all(|group| is_account(group)) {
        return Err(fields.wrong("supplementary", "one of its items is not a group's name"));
    }
    Ok(user)
}

fn read_group(fields: &mut Fields) -> Read<GroupRule> {
    Ok(GroupRule { name: read_account(fields, "name")?, gid: fields.id_if("gid")? })
}

/// A user's or group's name, which ends up between the colons of a line in `/etc/passwd` or `/etc/group`.
fn read_account(fields: &mut Fields, key: &str) -> Read<String> {
    let name = fields.text(key)?;
    if is_account(&name) { Ok(name) } else { Err(fields.wrong(key, "it is not a name of a user or group")) }
}

fn is_account(name: &str) -> bool {
    !name.is_empty() && !name.starts_with('-') && is_line_field(name) && !name.contains(['/', ',', ' '])
}

/// Whether a text can stand between the colons of a line.
fn is_line_field(text: &str) -> bool {
    !text.contains(|c: char| c == ':' || c.is_control())
}

fn write_alternative(alternative: &AlternativeRule, out: &mut Members) {
    out.put("name", alternative.name.as_str());
    out.path("link", &alternative.link);
    out.path("path", &alternative.path);
    // A text, because records have no negative numbers.
    out.put("priority", alternative.priority.to_string());
    out.object_set("followers", &alternative.followers, |follower, out| {
        out.put("name", follower.name.as_str());
        out.path("link", &follower.link);
        out.path("path", &follower.path);
    });
}

fn read_alternative(fields: &mut Fields) -> Read<AlternativeRule> {
    Ok(AlternativeRule {
        name: read_word(fields)?,
        link: fields.path("link")?,
        path: fields.path("path")?,
        priority: fields.parsed("priority")?,
        followers: fields.objects("followers", |fields| {
            Ok(Follower { name: read_word(fields)?, link: fields.path("link")?, path: fields.path("path")? })
        })?,
    })
}

/// The name of an alternative, which becomes a file name in `/etc/alternatives`.
fn read_word(fields: &mut Fields) -> Read<String> {
    let name = fields.text("name")?;
    match name.is_empty()
        || name.starts_with('.')
        || name.contains(|c: char| c == '/' || c.is_control() || c.is_whitespace())
    {
        false => Ok(name),
        true => Err(fields.wrong("name", "it is not a name of an alternative")),
    }
}

fn read_diversion(fields: &mut Fields) -> Read<DiversionRule> {
    Ok(DiversionRule { path: fields.path("path")?, to: fields.path("to")? })
}
