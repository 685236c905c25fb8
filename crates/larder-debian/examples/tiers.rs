//! What conversion makes of the packages that servers are made of: the page `docs/tiers.md`.
//!
//! `tiers CACHE SUITE COUNT PAGE` opens the suite with the machine's apt sources, chooses COUNT packages by the rule that the page
//! states, fetches, converts and declares each as `larder build` does, and writes the page. CACHE keeps
//! what was fetched for the next time. `scripts/tiers` runs it.
//!
//! A package whose scripts aren't followed whole has a line in `tiers/skipped.toml`: what an image then lacks, in a phrase, by a
//! person who read the lines. One without is shown with the lines themselves, and the program fails after writing the page.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "it is a program")]

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::error::Error;
use std::fmt::Write as _;
use std::fs::File;
use std::path::Path;
use std::sync::Mutex;
use std::time::{Duration, UNIX_EPOCH};

use larder_debian::convert::{self, Expected};
use larder_debian::{ArchiveFile, Config, Distribution, Mirrors, Refresh, Silent, SuiteEvidence, declare, fetch_each};
use larder_solver::{PackageId, Universe as _, compare};
use larder_store::ObjectDigest;
use larder_store::fileset::ScriptTier;

const SERVERS: &str = include_str!("tiers/servers.txt");
const SKIPPED: &str = include_str!("tiers/skipped.toml");

/// The sections in which programs for servers are; libraries, which seldom have scripts, would flatter the result.
const SECTIONS: &[&str] = &[
    "admin",
    "database",
    "devel",
    "httpd",
    "interpreters",
    "java",
    "javascript",
    "mail",
    "misc",
    "net",
    "perl",
    "php",
    "python",
    "ruby",
    "shells",
    "text",
    "utils",
    "vcs",
    "web",
];

type Failure = Box<dyn Error + Send + Sync>;
type Fallible<T> = Result<T, Failure>;

fn main() -> Fallible<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [cache, suite, count, page] = arguments.as_slice() else {
        return Err("usage: tiers CACHE SUITE COUNT PAGE".into());
    };
    let config = Config::new(Mirrors::Apt("/etc/apt".into()), cache, "amd64");
    let distribution = Distribution::open(&config, suite, Refresh::Always, &Silent)?;
    let chosen = choose(&distribution, count.parse()?);
    let rows = convert_all(&config, &chosen.files)?;
    let phrases: BTreeMap<String, String> = toml::from_str(SKIPPED)?;
    let (text, unread) = render(&distribution, &chosen, &rows, &phrases);
    std::fs::write(page, text)?;
    println!("{page}: {} packages", rows.len());
    match unread.as_slice() {
        [] => Ok(()),
        names => Err(format!("nobody has read the scripts of {}", names.join(", ")).into()),
    }
}

/// The packages of the report.
struct Chosen {
    files: Vec<ArchiveFile>,
    /// How many of them are named by a person, how many are essential besides, and how many are there because others need them.
    named: usize,
    essential: usize,
    needed: usize,
    /// Those that are named, and the suite doesn't have.
    absent: Vec<String>,
}

/// The named ones, the Essential set, and then the packages that most others depend on.
fn choose(distribution: &Distribution, count: usize) -> Chosen {
    let newest = |name: &str| -> Option<PackageId> {
        let all = distribution.candidates(name).into_iter();
        all.max_by(|a, b| compare(distribution.package(*a).version, distribution.package(*b).version))
    };
    let mut taken: BTreeSet<String> = BTreeSet::new();
    let mut absent = Vec::new();
    let words = SERVERS.lines().filter(|line| !line.starts_with('#')).flat_map(str::split_whitespace);
    for name in words {
        match newest(name) {
            Some(_) => _ = taken.insert(name.to_owned()),
            None => absent.push(name.to_owned()),
        }
    }
    let named = taken.len();
    taken.extend(distribution.essential().iter().map(|id| distribution.package(*id).name.to_owned()));
    let essential = taken.len() - named;

    let names = distribution.names();
    let mut needed: HashMap<&str, usize> = HashMap::new();
    for id in names.iter().filter_map(|name| newest(name)) {
        let info = distribution.package(id);
        let clauses = [info.pre_depends, info.depends].into_iter().flat_map(|field| field.split([',', '|']));
        let of: HashSet<&str> =
            clauses.filter_map(|clause| clause.split([' ', '(', ':']).find(|w| !w.is_empty())).collect();
        for name in of {
            *needed.entry(name).or_default() += 1;
        }
    }
    let mut others: Vec<(usize, &str)> = names
        .iter()
        .filter(|name| !taken.contains(**name))
        .filter_map(|name| Some((*needed.get(name)?, *name, newest(name)?)))
        .filter(|(_, _, id)| SECTIONS.contains(&distribution.describe(*id).section))
        .map(|(needed, name, _)| (needed, name))
        .collect();
    others.sort_unstable_by(|a, b| b.0.cmp(&a.0).then(a.1.cmp(b.1)));
    let room = count.saturating_sub(taken.len());
    taken.extend(others.iter().take(room).map(|(_, name)| (*name).to_owned()));
    let files = taken.iter().filter_map(|name| newest(name)).map(|id| distribution.archive_file(id)).collect();
    Chosen { files, named, essential, needed: room.min(others.len()), absent }
}

/// What became of one package.
struct Row {
    version: String,
    /// Whether it has a preinst or postinst at all.
    scripted: bool,
    tier: ScriptTier,
}

fn convert_all(config: &Config, files: &[ArchiveFile]) -> Fallible<BTreeMap<String, Row>> {
    let rows = Mutex::new(BTreeMap::new());
    fetch_each::<Failure>(config, files, &Silent, &|number, path| {
        let file = &files[number];
        let row = convert_one(file, path).map_err(|error| format!("{}: {error}", file.name))?;
        let mut rows = rows.lock().map_err(|_| "another thread failed")?;
        rows.insert(file.name.clone(), row);
        if rows.len() % 50 == 0 {
            eprintln!("{} of {} packages", rows.len(), files.len());
        }
        Ok(())
    })?;
    Ok(rows.into_inner().map_err(|_| "a thread failed")?)
}

fn convert_one(file: &ArchiveFile, path: &Path) -> Fallible<Row> {
    let expected =
        Expected { sha256: file.sha256, package: &file.name, version: &file.version, architecture: &file.architecture };
    let converted = convert::read::<Failure>(File::open(path)?, &expected, &mut |content, _| {
        let mut bytes = Vec::new();
        content.read_to_end(&mut bytes)?;
        Ok(ObjectDigest::of(&bytes))
    })?;
    let scripted = ["preinst", "postinst"].iter().any(|name| converted.scripts.contains_key(*name));
    let tier = declare::declare(&converted)?.tier().clone();
    Ok(Row { version: file.version.clone(), scripted, tier })
}

fn render(
    distribution: &Distribution,
    chosen: &Chosen,
    rows: &BTreeMap<String, Row>,
    phrases: &BTreeMap<String, String>,
) -> (String, Vec<String>) {
    let of = |wanted: fn(&Row) -> bool| rows.iter().filter(move |(_, row)| wanted(row));
    let none = of(|row| row.tier == ScriptTier::None);
    let bare = of(|row| row.tier == ScriptTier::None && !row.scripted).count();
    let declared: Vec<&str> = of(|row| row.tier == ScriptTier::Declared).map(|(name, _)| name.as_str()).collect();
    let skipped: Vec<_> = of(|row| matches!(row.tier, ScriptTier::Skipped(_))).collect();
    let none = none.count();
    let percent = |count: usize| format!("{:.1} %", 100.0 * count as f64 / rows.len().max(1) as f64);
    let evidence = distribution.evidence();
    let date = |suite: &SuiteEvidence| httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_secs(suite.date));
    let dates: Vec<String> =
        evidence.suites.iter().map(|suite| format!("{} of {}", suite.suite, date(suite))).collect();
    let mut page = String::new();
    let mut unread = Vec::new();
    let mut line = |text: String| _ = writeln!(page, "{text}");
    line(format!(
        "# What becomes of maintainer scripts\n\nWritten by `scripts/tiers`; don't edit. {}, table {}.\n",
        dates.join(", "),
        declare::TABLE_VERSION
    ));
    line(format!(
        "{} packages for amd64, chosen by a rule that needs nothing but the archive and one list: the {} packages of\n\
         `crates/larder-debian/examples/tiers/servers.txt` that the suite has, {} more of the Essential set, and then the {} packages of the\n\
         sections {} that most other\npackages depend on. Libraries are left out: they seldom have scripts, and would flatter the result.\n",
        rows.len(),
        chosen.named,
        chosen.essential,
        chosen.needed,
        SECTIONS.join(", ")
    ));
    line("| tier | packages | share | meaning |\n|---|---|---|---|".to_owned());
    line(format!(
        "| none | {none} | {} | {bare} have no script; those of the others do nothing that a container keeps |",
        percent(none)
    ));
    line(format!(
        "| declared | {} | {} | everything that matters is declared |",
        declared.len(),
        percent(declared.len())
    ));
    line(format!(
        "| skipped | {} | {} | some lines are not done; below is what an image lacks |",
        skipped.len(),
        percent(skipped.len())
    ));
    line(
        "\nWhat is skipped can be *captured* where an image asks for it: its scripts are run once in a sandbox, and what may be kept of what they leave \
         is kept ([captured.md](captured.md)).".to_owned(),
    );
    line("\n## Skipped\n\n| package | version | what isn't done | lines |\n|---|---|---|---|".to_owned());
    for (name, row) in &skipped {
        let ScriptTier::Skipped(reasons) = &row.tier else { continue };
        let phrase = phrases.get(*name).cloned().unwrap_or_else(|| {
            unread.push((*name).clone());
            "**not read yet**".to_owned()
        });
        let reasons: Vec<String> =
            reasons.iter().map(|reason| format!("`{}`", reason.replace('`', "'").replace('|', "\\|"))).collect();
        let more = reasons.len().saturating_sub(3);
        let mut shown = reasons[..reasons.len().min(3)].join("<br>");
        if more > 0 {
            _ = write!(shown, "<br>and {more} more");
        }
        line(format!("| {name} | {} | {phrase} | {shown} |", row.version));
    }
    line(format!("\n## Declared\n\n{}", declared.join(", ")));
    if !chosen.absent.is_empty() {
        line(format!("\n## Listed, but not in this suite\n\n{}", chosen.absent.join(", ")));
    }
    (page, unread)
}
