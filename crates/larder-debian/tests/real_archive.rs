//! The real Debian archive, through this machine's apt sources. Where no mirror is reachable the tests say so and do nothing.
//!
//! `LARDER_TEST_CACHE` names a folder to keep what was fetched between runs (a temporary one otherwise), `LARDER_TEST_APT`
//! another apt folder than `/etc/apt`.

#![expect(clippy::unwrap_used, clippy::print_stderr, reason = "a test says what it skips, and what it measured")]

use std::collections::{BTreeMap, HashMap, HashSet};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use larder_debian::{Config, DebianError, Distribution, Mirrors, Progress, Refresh, Silent, TaskId, fetch_all};
use larder_solver::{Base, Request, Universe as _, Update, parse_root, resolve};

/// Prints notes.
struct Notes(Mutex<Vec<String>>);

impl Progress for Notes {
    fn start(&self, _what: &str, _total: Option<u64>) -> TaskId {
        0
    }

    fn advance(&self, _task: TaskId, _bytes: u64) {}

    fn finish(&self, _task: TaskId) {}

    fn note(&self, text: &str) {
        eprintln!("note: {text}");
        self.0.lock().unwrap().push(text.to_owned());
    }
}

/// A cache folder, which goes at the end when it is temporary.
struct Cache(PathBuf, #[expect(dead_code, reason = "held until the end")] Option<tempfile::TempDir>);

fn cache() -> Cache {
    match std::env::var_os("LARDER_TEST_CACHE") {
        Some(path) => Cache(PathBuf::from(path), None),
        None => {
            let folder = tempfile::tempdir().unwrap();
            Cache(folder.path().to_owned(), Some(folder))
        }
    }
}

fn open(suite: &str, cache: &Path) -> Option<(Config, Distribution)> {
    let apt = std::env::var_os("LARDER_TEST_APT").map_or_else(|| "/etc/apt".into(), PathBuf::from);
    let config = Config::new(Mirrors::Apt(apt), cache, "amd64");
    match Distribution::open(&config, suite, Refresh::IfOlder(Duration::from_secs(3600)), &Notes(Mutex::default())) {
        Ok(distribution) => Some((config, distribution)),
        Err(
            error @ (DebianError::NoMirror { .. } | DebianError::Unreachable { .. } | DebianError::NoKeyring { .. }),
        ) => {
            // Written past the test harness, which keeps to itself what a passing test prints.
            std::io::stderr().write_all(format!("SKIPPED real archive, {suite}: {error}\n").as_bytes()).unwrap();
            None
        }
        Err(error) => panic!("{error}"),
    }
}

fn solve(distribution: &Distribution, names: &[&str], base: Base) -> usize {
    let roots: Vec<_> = names.iter().map(|name| parse_root(name).unwrap()).collect();
    let locked = BTreeMap::new();
    let request = Request { roots: &roots, base, recommends: false, locked: &locked, update: Update::None };
    match resolve(distribution, &request) {
        Ok(solution) => solution.packages.len(),
        Err(failure) => panic!("{}", failure.explain()),
    }
}

fn check(suite: &str) {
    let cache = cache();
    let begun = Instant::now();
    let Some((config, distribution)) = open(suite, &cache.0) else { return };
    eprintln!("{suite}: first open {:?}", begun.elapsed());
    drop(distribution);

    let begun = Instant::now();
    let distribution = Distribution::open(&config, suite, Refresh::Never, &Silent).unwrap();
    let opened = begun.elapsed();
    let begun = Instant::now();
    let count = solve(&distribution, &["nginx", "python3", "postgresql", "default-jdk"], Base::None);
    eprintln!("{suite}: second open {opened:?}, solve of 4 roots ({count} packages) {:?}", begun.elapsed());
    assert!((150..350).contains(&count), "{count} packages");

    let evidence = distribution.evidence();
    let names: Vec<&str> = evidence.suites.iter().map(|each| each.suite.as_str()).collect();
    assert_eq!(names, [suite.to_owned(), format!("{suite}-updates"), format!("{suite}-security")]);
    assert!(evidence.absent.is_empty());
    for each in &evidence.suites {
        assert!(each.origin == "Debian" && each.signer.len() == 40 && !each.indexes.is_empty(), "{each:?}");
    }
    assert!(distribution.essential().len() > 20);
    assert!(distribution.nearest_names("ngnix").contains(&"nginx".to_owned()));

    compare(&distribution, &cache.0);

    let files: Vec<_> = ["hostname", "sed"]
        .iter()
        .map(|name| distribution.archive_file(*distribution.candidates(name).last().unwrap()))
        .collect();
    let paths = fetch_all(&config, &files, &Silent).unwrap();
    for (path, file) in paths.iter().zip(&files) {
        assert_eq!(path.metadata().unwrap().len(), file.size);
    }
    let offline = Config { offline: true, ..config };
    assert_eq!(fetch_all(&offline, &files, &Silent).unwrap(), paths);
    Distribution::open(&offline, suite, Refresh::Never, &Silent).unwrap();
}

/// The joined indexes beside a plain reading of the lists they were made from.
fn compare(distribution: &Distribution, cache: &Path) {
    let mut first_mention: HashMap<String, usize> = HashMap::new();
    let mut seen: HashSet<[String; 3]> = HashSet::new();
    for list in distribution.evidence().suites.iter().flat_map(|suite| &suite.indexes) {
        let file = std::fs::File::open(cache.join(format!("lists/{}.xz", list.hex()))).unwrap();
        let text = std::io::read_to_string(liblzma::read::XzDecoder::new(file)).unwrap();
        for stanza in text.split("\n\n").filter(|stanza| !stanza.trim().is_empty()) {
            let fields: HashMap<&str, &str> = stanza.lines().filter_map(|line| line.split_once(": ")).collect();
            let field = |name: &str| fields.get(name).copied().unwrap_or("").trim();
            let next = first_mention.len();
            first_mention.entry(field("Package").to_owned()).or_insert(next);
            let order = [
                "Pre-Depends",
                "Depends",
                "Conflicts",
                "Breaks",
                "Recommends",
                "Suggests",
                "Replaces",
                "Enhances",
                "Provides",
            ];
            for clause in order.into_iter().flat_map(|name| field(name).split([',', '|'])) {
                let name = clause.trim().split([' ', '(']).next().unwrap();
                if !name.is_empty() && !name.contains(':') {
                    let next = first_mention.len();
                    first_mention.entry(name.to_owned()).or_insert(next);
                }
            }
            if !seen.insert(["Package", "Version", "Architecture"].map(|name| field(name).to_owned())) {
                continue;
            }
            // All stanzas count for the order; comparing the fields of each would take a debug build a minute.
            if !seen.len().is_multiple_of(8) {
                continue;
            }
            let id = distribution.candidates(field("Package")).into_iter().find(|id| {
                let info = distribution.package(*id);
                (info.version, info.architecture) == (field("Version"), field("Architecture"))
            });
            let id = id.unwrap_or_else(|| panic!("{} is missing", field("Package")));
            let info = distribution.package(id);
            let found = [
                info.depends,
                info.pre_depends,
                info.recommends,
                info.conflicts,
                info.breaks,
                info.provides,
                info.multi_arch,
            ];
            let listed =
                ["Depends", "Pre-Depends", "Recommends", "Conflicts", "Breaks", "Provides", "Multi-Arch"].map(field);
            assert_eq!(found, listed, "{}", info.name);
            assert_eq!(info.essential, field("Essential") == "yes");
            let file = distribution.archive_file(id);
            assert_eq!(
                [file.filename, file.size.to_string(), file.sha256.hex()],
                ["Filename", "Size", "SHA256"].map(field)
            );
            for provided in info.provides.split(',').filter_map(|clause| clause.split_whitespace().next()) {
                assert!(distribution.providers(provided).contains(&id), "{} provides {provided}", info.name);
            }
        }
    }
    let mut by_order: Vec<(u32, usize)> = seen
        .iter()
        .map(|[name, ..]| (distribution.archive_order(distribution.candidates(name)[0]), first_mention[name]))
        .collect();
    by_order.sort_unstable();
    assert!(by_order.is_sorted_by_key(|(_, mention)| *mention), "the same order of first mentions");
    let count: usize = distribution.names().iter().map(|name| distribution.candidates(name).len()).sum();
    assert_eq!(count, seen.len());
}

#[test]
fn bookworm_from_the_machines_sources() {
    check("bookworm");
}

#[test]
fn trixie_from_the_machines_sources() {
    check("trixie");
}
