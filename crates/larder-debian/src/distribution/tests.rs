use std::fs;
use std::path::Path;
use std::sync::Mutex;
use std::time::{Duration, SystemTime};

use larder_solver::Universe as _;
use larder_testkit::archive::{Archive, ArchiveBuilder, Compression, Deb, Fault, Key, Server};

use super::*;
use crate::config::{Mirrors, Retry};
use crate::error::ReleaseRefusal;
use crate::progress::{Silent, TaskId};

const DAY: Duration = Duration::from_secs(86_400);
const HOUR: Refresh = Refresh::IfOlder(Duration::from_secs(3600));

#[derive(Default)]
struct Notes(Mutex<Vec<String>>);

impl Progress for Notes {
    fn start(&self, _what: &str, _total: Option<u64>) -> TaskId {
        0
    }

    fn advance(&self, _task: TaskId, _bytes: u64) {}

    fn finish(&self, _task: TaskId) {}

    fn note(&self, text: &str) {
        self.0.lock().unwrap().push(text.to_owned());
    }
}

fn content() -> ArchiveBuilder {
    Archive::builder()
        .package(Deb::new("hello", "1.0").depends("libhello"))
        .package(Deb::new("libhello", "1.0").provides("hello-api"))
        .package(Deb::new("base", "1").essential())
        .update(Deb::new("hello", "1.1").depends("libhello, later"))
        .security(Deb::new("libhello", "1.0+deb12u1").provides("hello-api"))
        .security(Deb::new("base", "1").essential())
}

struct Setup {
    archive: Archive,
    server: Server,
    config: Config,
    cache: tempfile::TempDir,
}

fn setup(builder: ArchiveBuilder) -> Setup {
    let archive = builder.build();
    let server = archive.serve();
    let cache = tempfile::tempdir().unwrap();
    let mut config = config(Mirrors::Explicit { main: server.url(), security: None }, cache.path());
    config.keyrings = vec![archive.keyring()];
    Setup { archive, server, config, cache }
}

fn config(mirrors: Mirrors, cache: &Path) -> Config {
    let mut config = Config::new(mirrors, cache, "amd64");
    config.retry = Retry { attempts: 2, pause: Duration::from_millis(5), silence: Duration::from_secs(10) };
    config
}

impl Setup {
    fn open(&self, refresh: Refresh) -> Result<Distribution, DebianError> {
        Distribution::open(&self.config, "bookworm", refresh, &Silent)
    }

    fn noted(&self, refresh: Refresh) -> (Result<Distribution, DebianError>, Vec<String>) {
        let notes = Notes::default();
        let result = Distribution::open(&self.config, "bookworm", refresh, &notes);
        (result, notes.0.into_inner().unwrap())
    }

    fn refusal(&self, refresh: Refresh) -> ReleaseRefusal {
        match self.open(refresh).unwrap_err() {
            DebianError::Release { reason, url } => {
                assert!(url.starts_with("http://127.0.0.1:") && url.ends_with("/InRelease"), "{url}");
                *reason
            }
            other => panic!("{other}"),
        }
    }

    fn requests(&self) -> Vec<(String, u16)> {
        self.server.take_requests().into_iter().map(|request| (request.path, request.status)).collect()
    }
}

fn versions(distribution: &Distribution, name: &str) -> Vec<String> {
    distribution.candidates(name).into_iter().map(|id| distribution.package(id).version.to_owned()).collect()
}

#[test]
fn the_suites_are_joined() {
    let setup = setup(content());
    let distribution = setup.open(Refresh::Always).unwrap();
    assert_eq!(versions(&distribution, "hello"), ["1.0", "1.1"]);
    assert_eq!(versions(&distribution, "libhello"), ["1.0", "1.0+deb12u1"]);
    assert_eq!(distribution.providers("hello-api").len(), 2);
    // Main and security list the same base: the first counts.
    assert_eq!(distribution.essential().len(), 1);
    assert_eq!(distribution.candidates("base"), distribution.essential());
    assert_eq!(distribution.nearest_names("helo"), ["hello"]);
    let order = |name: &str| distribution.archive_order(distribution.candidates(name)[0]);
    assert!(order("hello") < order("libhello") && order("libhello") < order("base"));
    assert_eq!(distribution.names(), ["base", "hello", "hello-api", "libhello"]);

    let file = distribution.archive_file(distribution.candidates("libhello")[1]);
    assert_eq!((file.suite.as_str(), file.version.as_str()), ("bookworm-security", "1.0+deb12u1"));
    assert!(file.urls[0].starts_with(&format!("{}-security/pool/", setup.server.url())), "{:?}", file.urls);
    let evidence = distribution.evidence();
    assert_eq!(
        evidence.suites.iter().map(|suite| suite.suite.as_str()).collect::<Vec<_>>(),
        ["bookworm", "bookworm-updates", "bookworm-security"]
    );
    assert_eq!(evidence.suites[2].release, file.release);
    assert_eq!(evidence.suites[2].indexes, [file.index]);
    assert_eq!(file.signer, setup.archive.key().fingerprint());
    assert_eq!(distribution.describe(distribution.candidates("hello")[1]).suite, "bookworm-updates");
}

#[test]
fn a_moving_name_leads_to_the_suite() {
    let setup = setup(content().suite("stable", "stable"));
    // The mirror has dists/stable; what it holds says which suite that is.
    setup.archive.resign("stable", setup.archive.key(), |text| text.replace("Codename: stable", "Codename: bookworm"));
    let distribution = Distribution::open(&setup.config, "stable", Refresh::Always, &Silent).unwrap();
    assert_eq!(distribution.codename(), "bookworm");
    assert_eq!(distribution.evidence().absent.len(), 2);
}

#[test]
fn an_open_distribution_asks_the_mirror_only_when_it_should() {
    let mut setup = setup(content());
    setup.open(HOUR).unwrap();
    let first = setup.requests();
    assert_eq!(first.len(), 6, "{first:?}");
    assert!(first.iter().filter(|(path, _)| path.contains("/by-hash/SHA256/")).count() == 3, "{first:?}");
    setup.open(HOUR).unwrap();
    setup.open(Refresh::Never).unwrap();
    assert_eq!(setup.requests(), []);
    setup.config.now += 2 * Duration::from_secs(3600);
    setup.open(HOUR).unwrap();
    let again = setup.requests();
    assert!(
        again.len() == 3 && again.iter().all(|(path, status)| path.ends_with("InRelease") && *status == 304),
        "{again:?}"
    );
    setup.open(HOUR).unwrap();
    assert_eq!(setup.requests(), []);
    setup.server.without_validators();
    setup.open(Refresh::Always).unwrap();
    assert!(setup.requests().iter().all(|(_, status)| *status == 200));
}

#[test]
fn a_new_state_is_seen() {
    let mut setup = setup(content());
    assert_eq!(versions(&setup.open(HOUR).unwrap(), "hello"), ["1.0", "1.1"]);
    setup.archive.publish(content().update(Deb::new("hello", "1.2")).date(SystemTime::now()));
    assert_eq!(versions(&setup.open(Refresh::Never).unwrap(), "hello"), ["1.0", "1.1"]);
    assert_eq!(versions(&setup.open(Refresh::Always).unwrap(), "hello"), ["1.0", "1.1", "1.2"]);
}

#[test]
fn an_older_state_than_was_seen_is_refused() {
    let mut setup = setup(content().date(SystemTime::now() - DAY));
    setup.open(Refresh::Always).unwrap();
    setup.archive.publish(content().date(SystemTime::now() - 3 * DAY));
    assert!(matches!(setup.refusal(Refresh::Always), ReleaseRefusal::RolledBack { .. }));
    // Another mirror and an empty list cache are no way around.
    fs::remove_dir_all(setup.cache.path().join("suites")).unwrap();
    let other = setup.archive.serve();
    setup.config.mirrors = Mirrors::Explicit { main: other.url(), security: None };
    assert!(matches!(setup.refusal(HOUR), ReleaseRefusal::RolledBack { .. }));
    setup.archive.publish(content().date(SystemTime::now()));
    setup.open(Refresh::Always).unwrap();
}

#[test]
fn a_state_whose_time_is_over_is_refused() {
    let now = SystemTime::now();
    let mut setup = setup(content().valid_until(now + DAY));
    setup.open(Refresh::Always).unwrap();
    setup.config.now = now + 2 * DAY;
    assert!(matches!(setup.refusal(Refresh::Always), ReleaseRefusal::Expired { .. }));
    assert!(matches!(setup.refusal(HOUR), ReleaseRefusal::Expired { .. }));
    // Whoever wants no network at all is told instead.
    let (result, notes) = setup.noted(Refresh::Never);
    result.unwrap();
    assert!(notes[0].contains("bookworm is old: it was valid until"), "{notes:?}");
    // An unreachable mirror must not freeze a state for ever.
    setup.server.stop();
    assert!(matches!(setup.open(HOUR), Err(DebianError::Unreachable { .. })));
}

#[test]
fn a_wrong_key_an_altered_text_and_another_suite_are_refused() {
    let setup = setup(content());
    setup.archive.resign("bookworm", &Key::new(), |text| text);
    assert!(matches!(setup.refusal(HOUR), ReleaseRefusal::WrongKey { .. }));
    setup.archive.resign("bookworm", setup.archive.key(), |text| text);
    setup.server.fault_times("dists/bookworm/InRelease", Fault::Alter(60), 1);
    assert!(matches!(setup.refusal(HOUR), ReleaseRefusal::Tampered { .. } | ReleaseRefusal::Malformed { .. }));
    let other = fs::read(setup.archive.in_release("bookworm-updates")).unwrap();
    setup.server.fault_times("dists/bookworm/InRelease", Fault::Replace(other), 1);
    assert!(matches!(setup.refusal(HOUR), ReleaseRefusal::OtherSuite { .. }));
    setup.server.fault_times("dists/bookworm/InRelease", Fault::Truncate(200), 1);
    assert!(matches!(setup.refusal(HOUR), ReleaseRefusal::Malformed { .. }));
    assert!(!setup.cache.path().join("suites/bookworm/InRelease").exists(), "nothing refused is kept");
    setup.open(HOUR).unwrap();
}

#[test]
fn an_altered_cache_is_not_used() {
    let setup = setup(content());
    setup.open(HOUR).unwrap();
    let path = setup.cache.path().join("suites/bookworm/InRelease");
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, text.replace("Description: a test", "Description: a trap")).unwrap();
    let (result, notes) = setup.noted(Refresh::Never);
    result.unwrap();
    assert!(notes[0].contains("is not used: its text was altered"), "{notes:?}");
    assert_eq!(fs::read_to_string(&path).unwrap(), text);
}

#[test]
fn keys_are_asked_again_at_each_open() {
    let setup = setup(content());
    setup.open(HOUR).unwrap();
    fs::write(setup.archive.keyring(), Key::new().public()).unwrap();
    assert!(matches!(setup.refusal(HOUR), ReleaseRefusal::WrongKey { .. }));
}

#[test]
fn an_unreachable_mirror_is_a_note_where_that_is_accepted() {
    let mut setup = setup(content());
    setup.open(HOUR).unwrap();
    setup.server.stop();
    setup.config.now += DAY;
    let (result, notes) = setup.noted(HOUR);
    assert_eq!(versions(&result.unwrap(), "hello").len(), 2);
    // Said once, and the other suites do not wait for the same host again.
    assert!(notes.len() == 1 && notes[0].starts_with("bookworm is used as it was cached: can't fetch"), "{notes:?}");
    assert!(matches!(setup.open(Refresh::Always), Err(DebianError::Unreachable { .. })));
    setup.open(Refresh::Never).unwrap();
}

#[test]
fn without_cache_and_network_the_error_says_what_is_missing() {
    let mut setup = setup(content());
    setup.config.offline = true;
    let error = setup.open(Refresh::Never).unwrap_err();
    assert!(matches!(&error, DebianError::Offline { what } if what.contains("InRelease")), "{error}");
    assert_eq!(setup.requests(), []);
}

#[test]
fn an_altered_or_cut_index_is_refused_and_nothing_is_kept() {
    let setup = setup(content().index_forms(&[Compression::Xz]));
    setup.server.fault("Packages", Fault::Alter(40));
    setup.server.fault("by-hash", Fault::Alter(40));
    let error = setup.open(HOUR).unwrap_err();
    assert!(matches!(&error, DebianError::Mismatch { url, .. } if url.contains("binary-amd64")), "{error}");
    setup.server.heal();
    setup.server.fault("binary-amd64", Fault::Truncate(30));
    assert!(matches!(setup.open(HOUR), Err(DebianError::WrongSize { .. })));
    setup.server.heal();
    setup.open(HOUR).unwrap();
}

#[test]
fn an_index_comes_by_name_where_by_hash_is_not_offered_or_missing() {
    let plain = setup(content().without_by_hash().index_forms(&[Compression::Gzip]));
    plain.open(HOUR).unwrap();
    assert!(plain.requests().iter().all(|(path, _)| !path.contains("by-hash")));
    let missing = setup(content());
    missing.server.fault("by-hash", Fault::Status(404));
    missing.open(HOUR).unwrap();
    assert!(missing.requests().iter().any(|(path, status)| path.ends_with("Packages.xz") && *status == 200));
}

#[test]
fn a_mirror_that_dies_half_way_leaves_the_old_state() {
    let mut setup = setup(content());
    setup.open(HOUR).unwrap();
    setup.archive.publish(content().package(Deb::new("new", "1")).date(SystemTime::now()));
    setup.server.fault("binary-amd64", Fault::DieAfter(0));
    let error = setup.open(Refresh::Always).unwrap_err();
    assert!(matches!(error, DebianError::Unreachable { .. }), "{error}");
    assert_eq!(versions(&setup.open(Refresh::Never).unwrap(), "hello").len(), 2);
    setup.config.now += DAY;
    let (result, notes) = setup.noted(HOUR);
    assert_eq!(versions(&result.unwrap(), "hello").len(), 2);
    assert!(notes.iter().any(|note| note.contains("its lists did not come")), "{notes:?}");
    setup.server.heal();
    assert_eq!(versions(&setup.open(HOUR).unwrap(), "new"), ["1"]);
}

#[test]
fn a_damaged_index_is_built_again_without_the_network() {
    let setup = setup(content());
    setup.open(HOUR).unwrap();
    for entry in fs::read_dir(setup.cache.path().join("indexes")).unwrap() {
        let path = entry.unwrap().path();
        let bytes = fs::read(&path).unwrap();
        fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
    }
    setup.server.stop();
    assert_eq!(versions(&setup.open(HOUR).unwrap(), "hello").len(), 2);
}

#[test]
fn missing_updates_and_security_are_noted_but_must_not_go_missing() {
    let mut bare = setup(content().without_updates().without_security());
    let (result, notes) = bare.noted(HOUR);
    let absent = result.unwrap().evidence().absent;
    assert_eq!(
        absent.iter().map(|each| each.suite.as_str()).collect::<Vec<_>>(),
        ["bookworm-updates", "bookworm-security"]
    );
    assert!(absent[1].reason.starts_with("no mirror is configured for it"), "{absent:?}");
    assert_eq!(notes.len(), 2);
    let _ = bare.requests();
    assert_eq!(bare.open(HOUR).unwrap().evidence().absent, absent);
    assert_eq!(bare.requests(), [], "absence is remembered");
    bare.archive.publish(content().date(SystemTime::now()));
    assert!(bare.open(Refresh::Always).unwrap().evidence().absent.is_empty());

    let mut whole = setup(content());
    whole.open(HOUR).unwrap();
    whole.archive.publish(content().without_security().date(SystemTime::now()));
    assert!(matches!(whole.open(Refresh::Always), Err(DebianError::Missing { .. })));
    whole.config.now += DAY;
    let (result, notes) = whole.noted(HOUR);
    assert!(result.unwrap().evidence().absent.is_empty());
    assert!(notes.iter().any(|note| note.contains("bookworm-security is used as it was cached")), "{notes:?}");
}

#[test]
fn a_suite_or_architecture_that_is_not_there_is_named() {
    let mut setup = setup(content());
    let open = |config: &Config, suite| Distribution::open(config, suite, HOUR, &Silent).unwrap_err();
    let error = open(&setup.config, "trixie");
    assert!(matches!(&error, DebianError::NoSuchSuite { suite, .. } if suite == "trixie"), "{error}");
    for wrong in ["", "../bookworm", "a b", "-x", "a/b"] {
        assert!(matches!(open(&setup.config, wrong), DebianError::BadSuite { .. }), "{wrong}");
    }
    setup.config.architecture = "arm64".to_owned();
    let error = open(&setup.config, "bookworm").to_string();
    assert_eq!(error, "bookworm has no packages for main/arm64; it has main/amd64");
    setup.config.keyrings = vec![setup.cache.path().join("none.gpg")];
    assert!(open(&setup.config, "bookworm").to_string().contains("can't read the keyring"));
}

#[test]
fn the_machines_sources_name_mirror_and_keys() {
    let archive = content().build();
    let server = archive.serve();
    let cache = tempfile::tempdir().unwrap();
    let config = config(Mirrors::Apt(archive.apt(&server.url())), cache.path());
    let distribution = Distribution::open(&config, "bookworm", HOUR, &Silent).unwrap();
    assert_eq!(distribution.evidence().suites.len(), 3);
    assert_eq!(distribution.evidence().suites[2].mirror, format!("{}-security", server.url()));
}

#[test]
fn a_file_mirror_serves_without_any_network() {
    let archive = content().build();
    let cache = tempfile::tempdir().unwrap();
    let mut config = config(Mirrors::Explicit { main: archive.file_url(), security: None }, cache.path());
    config.keyrings = vec![archive.keyring()];
    config.offline = true;
    let distribution = Distribution::open(&config, "bookworm", HOUR, &Silent).unwrap();
    assert_eq!(distribution.evidence().suites.len(), 3);
}

#[test]
fn many_processes_can_open_at_once() {
    let setup = setup(content());
    thread::scope(|scope| {
        let all: Vec<_> = (0..6).map(|_| scope.spawn(|| setup.open(HOUR).unwrap().names().len())).collect();
        assert!(all.into_iter().all(|each| each.join().unwrap() == 4));
    });
    assert_eq!(setup.requests().iter().filter(|(path, _)| path.ends_with("InRelease")).count(), 3);
}

#[test]
fn lists_of_earlier_states_go_after_a_week() {
    let mut setup = setup(content());
    setup.open(HOUR).unwrap();
    let files = |folder: &str| -> Vec<_> {
        fs::read_dir(setup.cache.path().join(folder)).unwrap().map(|entry| entry.unwrap().path()).collect()
    };
    assert_eq!((files("lists").len(), files("indexes").len()), (3, 3));
    for path in files("lists").into_iter().chain(files("indexes")) {
        fs::File::options().write(true).open(path).unwrap().set_modified(SystemTime::now() - 8 * DAY).unwrap();
    }
    setup.archive.publish(content().package(Deb::new("new", "1")).date(SystemTime::now()));
    setup.open(Refresh::Always).unwrap();
    // The list of the main suite was replaced; those of the others are the same.
    let files = |folder: &str| fs::read_dir(setup.cache.path().join(folder)).unwrap().count();
    assert_eq!((files("lists"), files("indexes")), (3, 3));
    setup.open(Refresh::Never).unwrap();
}
