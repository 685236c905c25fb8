//! From effects to the declarations FileSet.

use larder_store::fileset::{FilesMetadata, InstallRules, ScriptTier};
use larder_store::{Attributes, Entry, FileSet, Metadata, Name, ObjectDigest, TreeBuilder, TreePath};

use super::effects::{Effects, Made, Node};
use super::{Declared, TABLE_VERSION};
use crate::convert::{Converted, DOMAIN};

/// Makes Tree and record.
///
/// # Errors
/// What no Tree or record can hold, in words.
pub(super) fn build(converted: &Converted, effects: Effects, script: ScriptTier) -> Result<Declared, String> {
    let package = converted.record.name.short();
    let mut builder = TreeBuilder::new();
    let mut contents = Vec::new();
    for (path, node) in effects.nodes {
        let (entry, attributes) = entry(converted, &path, node, &mut contents)?;
        builder.insert(path, entry, attributes).map_err(|e| e.to_string())?;
    }
    let tree = builder.finish().map_err(|e| e.to_string())?;
    let mut shells = effects.shells;
    shells.sort_unstable();
    shells.dedup();
    let install = InstallRules {
        replaces_files_of: Vec::new(),
        users: effects.users.into_values().collect(),
        groups: effects.groups.into_values().collect(),
        alternatives: effects.alternatives.into_values().collect(),
        diversions: effects.diversions.into_values().collect(),
        links: Vec::new(),
        shells,
        script,
    };
    let version = format!("{}+table{TABLE_VERSION}", converted.record.version);
    larder_store::name::check_version(&version).map_err(|e| e.to_string())?;
    let record = FileSet {
        name: Name::parse(&format!("{DOMAIN}/{package}/declarations")).map_err(|e| e.to_string())?,
        version,
        architecture: converted.record.architecture.clone(),
        time: converted.record.time,
        tree: tree.digest(),
        imports: Vec::new(),
        metadata: Metadata::Files(FilesMetadata { install }),
    };
    // The rules are the record's to judge: names, numbers, fields.
    FileSet::decode(&record.encode()).map_err(|e| e.to_string())?;
    Ok(Declared { record, tree, contents })
}

fn entry(
    converted: &Converted,
    path: &TreePath,
    node: Node,
    contents: &mut Vec<Vec<u8>>,
) -> Result<(Entry, Attributes), String> {
    let own = |at: &TreePath| converted.tree.get(at.as_bytes()).map(|own| (own.entry.clone(), own.attributes.clone()));
    let (mut entry, mut attributes) = match node.made {
        Made::Directory => (Entry::Directory, Attributes::default()),
        Made::Symlink(target) => (Entry::Symlink { target: target.into() }, Attributes::default()),
        Made::Text(text) => {
            let entry = Entry::File { digest: ObjectDigest::of(&text), size: text.len() as u64, executable: false };
            contents.push(text);
            (entry, Attributes::default())
        }
        Made::Copy(from) => own(&from).ok_or_else(|| missing(&from))?,
        Made::Own => own(path).ok_or_else(|| missing(path))?,
    };
    if let (Entry::File { executable, .. }, Some(mode)) = (&mut entry, node.mode) {
        *executable = mode & 0o100 != 0;
    }
    attributes.mode = node.mode.or(attributes.mode);
    attributes.owner = node.owner.or(attributes.owner);
    attributes.group = node.group.or(attributes.group);
    if let Some(capability) = node.capability {
        attributes.xattrs.insert(b"security.capability".as_slice().into(), capability.into());
    }
    Ok((entry, attributes))
}

fn missing(path: &TreePath) -> String {
    format!("the package has no {path}")
}
