//! What maintainer scripts left in the files of users and of the package manager.

use std::collections::BTreeMap;

use larder_store::fileset::FilesMetadata;
use larder_store::{FileSet, Metadata, Name, Tree};

use super::parts;
use crate::capture::{self, Databases};

/// The files of users, groups, shells and diversions, and one of alternatives, as scripts left them. Whatever is in them, the rules that
/// they become can be written and read again, and nothing is new where nothing changed.
pub fn captured(bytes: &[u8]) {
    let [passwd, group, shells, diversions, alternatives] = parts(bytes).map(String::from_utf8_lossy);
    let before = Databases { passwd: "root:x:0:0:root:/root:/bin/bash\n".to_owned(), ..Databases::default() };
    let after = Databases {
        passwd: passwd.into_owned(),
        group: group.into_owned(),
        shells: shells.into_owned(),
        diversions: diversions.into_owned(),
        alternatives: BTreeMap::from([("editor".to_owned(), alternatives.into_owned())]),
    };
    let install = capture::observed(&before, &after, &|_| true);
    let record = FileSet {
        name: Name::parse("debian.org/sample/declarations").expect("a name"),
        version: "1.0-1+captured1".to_owned(),
        architecture: "amd64".to_owned(),
        time: 0,
        tree: Tree::default().digest(),
        imports: Vec::new(),
        metadata: Metadata::Files(FilesMetadata { install }),
    };
    FileSet::decode(&record.encode()).expect("what was observed can be declared");
    let none = capture::observed(&after, &after, &|_| true);
    assert!(none.is_empty(), "{none:?}");
    let _ = (after.user_names(), after.group_names());
    let _ = capture::look(&mut &*bytes).expect("bytes can be read");
}
