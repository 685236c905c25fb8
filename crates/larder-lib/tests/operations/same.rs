//! An image's digest depends on the set and the files alone. Users, locales and umasks are varied by the program's own tests.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::OnceLock;
use std::time::{Duration, UNIX_EPOCH};

use larder_testkit::archive::Archive;
use proptest::prelude::*;
use proptest::sample::subsequence;

use super::machine::{Machine, archive, recipe};

const PACKAGES: [&str; 6] = ["editor", "greeter", "httpd", "manual", "nano", "vim"];
const NAMES: [&str; 6] = ["B", "a", "b/c", "b/d/e", "z", "é"];

fn shared() -> &'static Archive {
    static ARCHIVE: OnceLock<Archive> = OnceLock::new();
    ARCHIVE.get_or_init(|| archive("amd64"))
}

/// What a recipe asks for, without any order: the same for everybody.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Wanted {
    packages: BTreeSet<&'static str>,
    files: BTreeMap<&'static str, (String, bool)>,
}

/// What differs between those who build it.
#[derive(Debug, Clone)]
struct Circumstances {
    packages: Vec<&'static str>,
    files: Vec<&'static str>,
    folder: &'static str,
    time: u64,
    umask: u32,
    before: bool,
}

fn any_wanted() -> impl Strategy<Value = Wanted> {
    let packages = subsequence(PACKAGES.to_vec(), 0..=PACKAGES.len());
    let files = subsequence(NAMES.to_vec(), 1..=NAMES.len()).prop_flat_map(|names| {
        let contents = prop::collection::vec(("[ab]{0,2}", any::<bool>()), names.len());
        contents.prop_map(move |contents| names.iter().copied().zip(contents).collect::<BTreeMap<_, _>>())
    });
    (packages, files).prop_map(|(packages, files)| Wanted { packages: packages.into_iter().collect(), files })
}

fn any_circumstances(wanted: &Wanted) -> impl Strategy<Value = Circumstances> + use<> {
    let packages: Vec<_> = wanted.packages.iter().copied().collect();
    let files: Vec<_> = wanted.files.keys().copied().collect();
    (
        Just(packages).prop_shuffle(),
        Just(files).prop_shuffle(),
        prop::sample::select(vec!["web", "deep/er/folder", "a b"]),
        0_u64..4_000_000_000,
        prop::sample::select(vec![0o000, 0o022, 0o077]),
        any::<bool>(),
    )
        .prop_map(|(packages, files, folder, time, umask, before)| Circumstances {
            packages,
            files,
            folder,
            time,
            umask,
            before,
        })
}

/// Builds what is wanted on a machine of its own: the image's digest and the lock.
fn build(wanted: &Wanted, how: &Circumstances) -> (String, String) {
    let machine = Machine::new(shared(), "amd64", how.time);
    if how.before {
        // A store and a folder with a past.
        machine.build("other", "[image]\nname = \"example.com/other\"\nversion = \"1\"\nfrom = \"debian.org/bookworm\"\npackages = [\"vim\", \"manual\"]\n");
    }
    for &name in &how.files {
        let (content, executable) = &wanted.files[name];
        let path = machine.write(Path::new(how.folder).join("site").join(name), content);
        let mode = if *executable { 0o777 } else { 0o666 } & !how.umask;
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("a mode");
        let file = fs::File::open(&path).expect("a file");
        file.set_modified(UNIX_EPOCH + Duration::from_secs(how.time)).expect("a time");
    }
    let mut keys = BTreeMap::from([
        ("name", "\"example.com/web\"".to_owned()),
        ("version", "\"1\"".to_owned()),
        ("from", "\"debian.org/bookworm\"".to_owned()),
        ("packages", format!("{:?}", how.packages)),
    ]);
    keys.insert("env", "{ B = \"2\", A = \"1\" }".to_owned());
    let report = machine.build(how.folder, &recipe(&keys, &[("/srv", "site")]));
    (report.digest.to_string(), fs::read_to_string(machine.path(how.folder).join("larder.lock")).expect("a lock"))
}

/// A few builds of each of a few recipes: each is a store of its own.
fn few() -> ProptestConfig {
    ProptestConfig { cases: 8, max_shrink_iters: 50, failure_persistence: None, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(few())]

    #[test]
    fn circumstances_mean_nothing(
        (wanted, one, other) in any_wanted().prop_flat_map(|wanted| {
            let (one, other) = (any_circumstances(&wanted), any_circumstances(&wanted));
            (Just(wanted), one, other)
        })
    ) {
        prop_assert_eq!(build(&wanted, &one), build(&wanted, &other));
    }

    #[test]
    fn what_is_wanted_means_everything(
        (one, other) in (any_wanted(), any_wanted()).prop_filter("two things", |(one, other)| one != other)
    ) {
        let how = |wanted: &Wanted| Circumstances {
            packages: wanted.packages.iter().copied().collect(),
            files: wanted.files.keys().copied().collect(),
            folder: "web",
            time: 1,
            umask: 0o022,
            before: false,
        };
        prop_assert_ne!(build(&one, &how(&one)).0, build(&other, &how(&other)).0);
    }
}
