//! The solver beside apt itself, on this machine's own package lists: the same names in the same versions.
//!
//! apt is asked with an empty dpkg status, without Recommends and without counting itself as Essential
//! (`pkgCacheGen::ForceEssential=,`), so that both see the same question; for the Essential base it is asked for the
//! Essential packages by name, since on an empty system it would not install them. Our side is read from apt's own lists;
//! that the distribution, which fetches and verifies the same lists itself, gives the same answers is a test of its own.
//! Where the lists, apt or a mirror are absent, the tests say so and do nothing.
//! `LARDER_APT_SETS` (default 100), `LARDER_APT_ROOTS` (at most so many a
//! set, default 5) and `LARDER_APT_SEED` (default 1) choose the random root sets.

#![expect(clippy::unwrap_used, clippy::print_stderr, reason = "a test says what it skips, and what it counted")]

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::PathBuf;
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use larder_debian::{Config, DebianError, Distribution, Mirrors, Refresh, Silent};
use larder_solver::{
    Base, Failure, PackageId, PackageInfo, Priority, Request, Root, Solution, Universe, Update, nearest_names, resolve,
};

type Packages = BTreeMap<String, String>;

/// A universe read from the text of `Packages` files.
struct Lists {
    packages: Vec<PackageInfo<'static>>,
    by_name: HashMap<&'static str, Vec<PackageId>>,
    by_provided: HashMap<&'static str, Vec<PackageId>>,
    first_mention: HashMap<&'static str, u32>,
}

impl Lists {
    /// Reads the lists that apt would use, in apt's order; `None` (said aloud) where there are none.
    fn open() -> Option<Self> {
        let targets =
            Command::new("apt-get").args(["indextargets", "--format", "$(FILENAME)", "Created-By: Packages"]).output();
        let files = match targets {
            Ok(output) => String::from_utf8(output.stdout).unwrap(),
            Err(error) => return skip(&format!("apt-get can't be run: {error}")),
        };
        let mut lists = Self {
            packages: Vec::new(),
            by_name: HashMap::new(),
            by_provided: HashMap::new(),
            first_mention: HashMap::new(),
        };
        for file in files.lines() {
            let output = Command::new("/usr/lib/apt/apt-helper").args(["cat-file", file]).output().unwrap();
            assert!(output.status.success(), "apt-helper cat-file {file} failed");
            let text: &'static str = Box::leak(String::from_utf8(output.stdout).unwrap().into_boxed_str());
            for stanza in text.split("\n\n").filter(|stanza| !stanza.trim().is_empty()) {
                lists.add(stanza);
            }
        }
        if lists.packages.is_empty() {
            return skip("apt has no package lists here (apt-get update makes them)");
        }
        Some(lists)
    }

    fn add(&mut self, stanza: &'static str) {
        let mut fields: HashMap<&str, &'static str> = HashMap::new();
        for line in stanza.lines() {
            if let Some((key, value)) = line.split_once(':') {
                fields.insert(key, value.trim());
            }
        }
        let field = |key: &str| fields.get(key).copied().unwrap_or("");
        let info = PackageInfo {
            name: field("Package"),
            version: field("Version"),
            architecture: field("Architecture"),
            multi_arch: field("Multi-Arch"),
            essential: field("Essential") == "yes",
            priority: Priority::from_name(field("Priority")),
            depends: field("Depends"),
            pre_depends: field("Pre-Depends"),
            recommends: field("Recommends"),
            conflicts: field("Conflicts"),
            breaks: field("Breaks"),
            provides: field("Provides"),
        };
        self.mention(info.name);
        let known = self.by_name.entry(info.name).or_default();
        if known.iter().any(|id| self.packages[*id as usize].version == info.version) {
            return;
        }
        let id = PackageId::try_from(self.packages.len()).unwrap();
        known.push(id);
        let order = [
            info.pre_depends,
            info.depends,
            info.conflicts,
            info.breaks,
            info.recommends,
            field("Suggests"),
            field("Replaces"),
            field("Enhances"),
            info.provides,
        ];
        for clause in order.into_iter().flat_map(|field| field.split([',', '|'])) {
            let name = clause.trim().split([' ', '(']).next().unwrap();
            if !name.is_empty() && !name.contains(':') {
                self.mention(name);
            }
        }
        for clause in info.provides.split(',') {
            let name = clause.trim().split([' ', '(', ':']).next().unwrap();
            let providers = self.by_provided.entry(name).or_default();
            if !name.is_empty() && providers.last() != Some(&id) {
                providers.push(id);
            }
        }
        self.packages.push(info);
    }

    fn mention(&mut self, name: &'static str) {
        let next = u32::try_from(self.first_mention.len()).unwrap() + 1;
        self.first_mention.entry(name).or_insert(next);
    }
}

impl Universe for Lists {
    fn candidates(&self, name: &str) -> Vec<PackageId> {
        self.by_name.get(name).cloned().unwrap_or_default()
    }

    fn providers(&self, name: &str) -> Vec<PackageId> {
        self.by_provided.get(name).cloned().unwrap_or_default()
    }

    fn package(&self, id: PackageId) -> PackageInfo<'_> {
        self.packages[id as usize]
    }

    fn essential(&self) -> Vec<PackageId> {
        let all = self.packages.iter().zip(0..);
        all.filter(|(package, _)| package.essential).map(|(_, id)| id).collect()
    }

    fn archive_order(&self, id: PackageId) -> u32 {
        self.first_mention[self.packages[id as usize].name]
    }

    fn architecture(&self) -> &'static str {
        "amd64"
    }

    fn nearest_names(&self, name: &str) -> Vec<String> {
        nearest_names(name, self.by_name.keys().copied())
    }
}

fn skip<T>(why: &str) -> Option<T> {
    eprintln!("SKIPPED: {why}");
    None
}

/// A folder for apt's state that is removed at the end.
struct Apt {
    folder: PathBuf,
}

impl Apt {
    fn new(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("larder-apt-{name}-{}", std::process::id()));
        std::fs::create_dir_all(folder.join("cache/archives/partial")).unwrap();
        std::fs::write(folder.join("status"), "").unwrap();
        Self { folder }
    }

    /// What `apt-get install` would install, or why it would not.
    fn install(&self, roots: &[&str]) -> Result<Packages, String> {
        let folder = self.folder.display();
        let output = Command::new("apt-get")
            .env("LC_ALL", "C")
            .args(["-s", "-y", "--no-install-recommends"])
            .args(["-o", "Debug::NoLocking=1", "-o", "pkgCacheGen::ForceEssential=,", "-o", "APT::Architectures=amd64"])
            .args(["-o", &format!("Dir::State::status={folder}/status")])
            .args(["-o", &format!("Dir::State::extended_states={folder}/extended_states")])
            .args(["-o", &format!("Dir::Cache={folder}/cache")])
            .args(["-o", "Dir::Cache::pkgcache=pkgcache.bin", "-o", "Dir::Cache::srcpkgcache=srcpkgcache.bin"])
            .arg("install")
            .args(roots)
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        let mut packages = Packages::new();
        for line in text.lines().filter_map(|line| line.strip_prefix("Inst ")) {
            let (name, rest) = line.split_once(' ').unwrap();
            let version = rest.trim_start_matches('(').split(' ').next().unwrap();
            packages.insert(name.to_owned(), version.to_owned());
        }
        if output.status.success() {
            return Ok(packages);
        }
        Err(format!("{text}{}", String::from_utf8_lossy(&output.stderr)))
    }
}

impl Drop for Apt {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

fn solve(universe: &dyn Universe, roots: &[&str], base: Base) -> Result<Solution, Failure> {
    let roots: Vec<Root> = roots.iter().map(|name| Root::any(name)).collect();
    let locked = BTreeMap::new();
    resolve(universe, &Request { roots: &roots, base, recommends: false, locked: &locked, update: Update::None })
}

fn names(solution: &Solution) -> Packages {
    solution.packages.iter().map(|chosen| (chosen.name.clone(), chosen.version.clone())).collect()
}

/// The differences, one a line: what only apt has, what only we have, what has another version.
fn differences(apt: &Packages, ours: &Packages) -> Vec<String> {
    let mut lines = Vec::new();
    for (name, version) in apt {
        match ours.get(name) {
            None => lines.push(format!("only apt: {name} {version}")),
            Some(other) if other != version => lines.push(format!("{name}: apt {version}, ours {other}")),
            Some(_) => {}
        }
    }
    for (name, version) in ours.iter().filter(|(name, _)| !apt.contains_key(*name)) {
        lines.push(format!("only ours: {name} {version}"));
    }
    lines
}

/// A small seeded generator (xorshift64*): the sets are the same on every machine with the same lists.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let wide = u128::from(self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)) * limit as u128;
        usize::try_from(wide >> 64).unwrap()
    }
}

fn number(variable: &str, default: usize) -> usize {
    std::env::var(variable).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// The seeded root sets: names drawn over the whole archive.
fn root_sets(lists: &Lists, sets: usize) -> Vec<Vec<&'static str>> {
    let mut all: Vec<&str> = lists.by_name.keys().copied().collect();
    all.sort_unstable();
    let mut random = Random(number("LARDER_APT_SEED", 1) as u64);
    let most = number("LARDER_APT_ROOTS", 5);
    let mut draw = || (0..=random.below(most)).map(|_| all[random.below(all.len())]).collect();
    (0..sets).map(|_| draw()).collect()
}

/// What became of many root sets.
#[derive(Default)]
struct Tally {
    equal: usize,
    unsatisfiable: usize,
    packages: usize,
    /// Sets to which apt answers otherwise in another order, and then as we do.
    by_order: Vec<String>,
    different: Vec<String>,
}

impl Tally {
    /// Asks both, `besides` being added to apt's roots.
    fn compare(&mut self, lists: &Lists, tool: &Apt, roots: &[&str], besides: &[&str], base: Base) {
        match (tool.install(&[roots, besides].concat()), solve(lists, roots, base)) {
            (Ok(apt), Ok(solution)) => {
                self.packages += apt.len();
                let (ours, lines) = (names(&solution), differences(&apt, &names(&solution)));
                if lines.is_empty() {
                    self.equal += 1;
                } else if in_another_order(tool, roots, besides, &ours) {
                    self.by_order.push(format!("{roots:?}\n  {}", lines.join("\n  ")));
                } else {
                    self.different.push(format!("{roots:?}\n  {}", lines.join("\n  ")));
                }
            }
            (Err(_), Err(_)) => self.unsatisfiable += 1,
            (Err(why), Ok(_)) => self.different.push(format!("{roots:?}\n  only apt fails: {why}")),
            (Ok(_), Err(why)) => self.different.push(format!("{roots:?}\n  only we fail: {}", why.explain())),
        }
    }

    fn check(&self, sets: usize) {
        eprintln!(
            "{sets} sets: {} equal ({} packages), {} equal to what apt says to another order, {} unsatisfiable for both, {} different",
            self.equal,
            self.packages,
            self.by_order.len(),
            self.unsatisfiable,
            self.different.len()
        );
        for set in &self.by_order {
            eprintln!("apt's answer depends on the order of its arguments: {set}");
        }
        assert!(self.by_order.len() * 20 <= sets, "{}", self.by_order.join("\n"));
        assert!(self.different.is_empty(), "{}", self.different.join("\n"));
    }
}

/// Whether ours is what apt answers to the same roots in another order: its answer is not a function of the set, ours is. (`a | b`
/// takes `a` unless something before it has brought `b` along.)
fn in_another_order(apt: &Apt, roots: &[&str], besides: &[&str], ours: &BTreeMap<String, String>) -> bool {
    let mut orders = vec![Vec::new()];
    for root in roots {
        orders = orders
            .iter()
            .flat_map(|order: &Vec<&str>| {
                (0..=order.len()).map(|at| [&order[..at], &[*root], &order[at..]].concat()).collect::<Vec<_>>()
            })
            .take(120)
            .collect();
    }
    orders
        .iter()
        .any(|order| apt.install(&[order, besides].concat()).is_ok_and(|answer| differences(&answer, ours).is_empty()))
}

/// Compares many sets, two at a time: apt takes seconds for each.
fn compare_all(lists: &Lists, name: &str, sets: &[Vec<&str>], base: Base) {
    let besides: BTreeSet<&str> = match base {
        Base::Essential => lists.essential().into_iter().map(|id| lists.packages[id as usize].name).collect(),
        Base::None => BTreeSet::new(),
    };
    let besides: Vec<&str> = besides.into_iter().collect();
    let (next, tally) = (AtomicUsize::new(0), Mutex::new(Tally::default()));
    std::thread::scope(|scope| {
        for worker in 0..2 {
            let (next, tally, besides) = (&next, &tally, &besides);
            scope.spawn(move || {
                let apt = Apt::new(&format!("{name}-{worker}"));
                while let Some(roots) = sets.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let mut own = Tally::default();
                    own.compare(lists, &apt, roots, besides, base);
                    let mut all = tally.lock().unwrap();
                    all.equal += own.equal;
                    all.unsatisfiable += own.unsatisfiable;
                    all.packages += own.packages;
                    all.by_order.append(&mut own.by_order);
                    all.different.append(&mut own.different);
                }
            });
        }
    });
    tally.into_inner().unwrap().check(sets.len());
}

const FOUR: [&str; 4] = ["nginx", "python3", "postgresql", "default-jdk"];

#[test]
fn four_roots_equal_apt() {
    let Some(lists) = Lists::open() else { return };
    let apt = Apt::new("four");
    let begun = Instant::now();
    let answer = apt.install(&FOUR).unwrap();
    let asked = begun.elapsed();
    let begun = Instant::now();
    let solution = solve(&lists, &FOUR, Base::None).unwrap();
    eprintln!("{} packages; apt {asked:?}, larder {:?}", solution.packages.len(), begun.elapsed());
    assert_eq!(differences(&answer, &names(&solution)), Vec::<String>::new());
}

#[test]
fn random_root_sets_equal_apt() {
    let Some(lists) = Lists::open() else { return };
    compare_all(&lists, "random", &root_sets(&lists, number("LARDER_APT_SETS", 100)), Base::None);
}

#[test]
fn the_essential_base_equals_apt() {
    let Some(lists) = Lists::open() else { return };
    let mut sets = root_sets(&lists, number("LARDER_APT_SETS", 100) / 10);
    sets.push(FOUR.to_vec());
    compare_all(&lists, "essential", &sets, Base::Essential);
}

#[test]
fn the_distribution_is_the_universe_that_apt_sees() {
    let Some(lists) = Lists::open() else { return };
    let folder = tempfile::tempdir().unwrap();
    let cache = std::env::var_os("LARDER_TEST_CACHE").map_or(folder.path().to_owned(), PathBuf::from);
    let config = Config::new(Mirrors::Apt("/etc/apt".into()), cache, "amd64");
    let hour = Refresh::IfOlder(Duration::from_secs(3600));
    let distribution = match Distribution::open(&config, "bookworm", hour, &Silent) {
        Ok(distribution) => distribution,
        Err(
            error @ (DebianError::NoMirror { .. } | DebianError::Unreachable { .. } | DebianError::NoKeyring { .. }),
        ) => {
            eprintln!("SKIPPED: {error}");
            return;
        }
        Err(error) => panic!("{error}"),
    };
    // Only where both see the same release files is the question the same.
    let all = std::fs::read_dir("/var/lib/apt/lists").unwrap().map(|entry| entry.unwrap().path());
    let releases: Vec<PathBuf> = all.filter(|path| path.to_string_lossy().ends_with("_InRelease")).collect();
    for suite in &distribution.evidence().suites {
        let same = |path: &PathBuf| sha256(path) == suite.release.hex();
        if !releases.iter().any(same) {
            eprintln!("SKIPPED: apt's list of {} is of another day (apt-get update renews it)", suite.suite);
            return;
        }
    }
    let mut sets = root_sets(&lists, number("LARDER_APT_SETS", 100));
    sets.push(FOUR.to_vec());
    for roots in &sets {
        for base in [Base::None, Base::Essential] {
            let (ours, theirs) = (solve(&distribution, roots, base), solve(&lists, roots, base));
            let names = |result: Result<Solution, Failure>| result.map(|solution| names(&solution)).ok();
            assert_eq!(names(ours), names(theirs), "{roots:?}");
        }
    }
    eprintln!("{} sets: the distribution answers as apt's lists do, with and without the base", sets.len());
}

fn sha256(path: &PathBuf) -> String {
    use sha2::Digest as _;
    sha2::Sha256::digest(std::fs::read(path).unwrap()).iter().map(|byte| format!("{byte:02x}")).collect()
}
