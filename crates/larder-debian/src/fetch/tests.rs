use std::fs;
use std::time::{Duration, SystemTime};

use larder_testkit::archive::{Archive, Deb, Fault, Server};

use super::*;
use crate::config::{Mirrors, Refresh, Retry};
use crate::distribution::Distribution;
use crate::progress::{Silent, TaskId};

const SIZE: usize = 300_000;

/// A mirror with one package of 300 kB that does not compress, and a configuration that reads it.
struct Setup {
    archive: Archive,
    server: Server,
    cache: tempfile::TempDir,
    config: Config,
}

fn noise(seed: u64) -> Vec<u8> {
    let mut state = seed;
    let step = |_| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8
    };
    (0..SIZE).map(step).collect()
}

fn setup(debs: u64) -> Setup {
    let package = |number| Deb::new(&format!("big{number}"), "1.0").file("usr/share/big", noise(number));
    let archive = Archive::builder().packages((0..debs).map(package)).build();
    let server = archive.serve();
    let cache = tempfile::tempdir().unwrap();
    let mirrors = Mirrors::Explicit { main: server.url(), security: None };
    let mut config = Config::new(mirrors, cache.path(), "amd64");
    config.keyrings = vec![archive.keyring()];
    config.retry = Retry { attempts: 3, pause: Duration::from_millis(5), silence: Duration::from_secs(10) };
    config.now = SystemTime::now();
    Setup { archive, server, cache, config }
}

impl Setup {
    fn files(&self) -> Vec<ArchiveFile> {
        use larder_solver::Universe as _;
        let distribution =
            Distribution::open(&self.config, "bookworm", Refresh::IfOlder(Duration::from_secs(60)), &Silent).unwrap();
        let names: Vec<String> = distribution.names().into_iter().map(str::to_owned).collect();
        let files = names.iter().map(|name| distribution.archive_file(distribution.candidates(name)[0])).collect();
        let _ = self.server.take_requests();
        files
    }

    fn fetch(&self, files: &[ArchiveFile]) -> Result<Vec<PathBuf>, DebianError> {
        fetch_all(&self.config, files, &Silent)
    }

    fn part(&self, file: &ArchiveFile) -> PathBuf {
        self.cache.path().join(format!("debs/{}.deb.part", file.sha256.hex()))
    }

    fn ranges(&self) -> Vec<Option<u64>> {
        self.server.take_requests().into_iter().map(|request| request.range).collect()
    }
}

#[test]
fn many_files_arrive_whole_and_in_order() {
    let setup = setup(9);
    let files = setup.files();
    let paths = setup.fetch(&files).unwrap();
    for (path, file) in paths.iter().zip(&files) {
        let original = setup.archive.deb_path(&file.name, &file.version);
        assert_eq!(fs::read(path).unwrap(), fs::read(original).unwrap());
    }
    assert_eq!(fs::read_dir(setup.cache.path().join("debs")).unwrap().count(), 9, "no .part is left");
}

#[test]
fn cached_files_need_no_network() {
    let setup = setup(2);
    let files = setup.files();
    let paths = setup.fetch(&files).unwrap();
    let _ = setup.server.take_requests();
    setup.server.stop();
    let offline = Config { offline: true, ..setup.config.clone() };
    assert_eq!(fetch_all(&offline, &files, &Silent).unwrap(), paths);
    assert_eq!(setup.server.take_requests(), []);
    fs::remove_file(&paths[1]).unwrap();
    let error = fetch_all(&offline, &files, &Silent).unwrap_err();
    assert!(matches!(&error, DebianError::Offline { what } if what.contains("big1")), "{error}");
}

#[test]
fn a_mirror_that_dies_half_way_is_resumed() {
    let setup = setup(1);
    let files = setup.files();
    setup.server.fault_times("pool/", Fault::DieAfter(100_000), 2);
    setup.fetch(&files).unwrap();
    assert_eq!(setup.ranges(), [None, Some(100_000), Some(200_000)]);
}

#[test]
fn a_mirror_that_keeps_dying_is_an_error_and_what_came_is_kept() {
    let setup = setup(1);
    let files = setup.files();
    setup.server.fault_times("pool/", Fault::DieAfter(100_000), 1);
    let mut stopped = setup.config.clone();
    stopped.retry.attempts = 1;
    let error = fetch_all(&stopped, &files, &Silent).unwrap_err();
    let DebianError::Unreachable { url, received, total, .. } = &error else { panic!("{error}") };
    assert!(url.starts_with(&setup.server.url()) && *received == 100_000 && *total == Some(files[0].size), "{error}");
    assert_eq!(fs::metadata(setup.part(&files[0])).unwrap().len(), 100_000);
    let _ = setup.server.take_requests();
    // The next process goes on where this one stopped.
    setup.fetch(&files).unwrap();
    assert_eq!(setup.ranges(), [Some(100_000)]);
    assert!(!setup.part(&files[0]).exists());
}

#[test]
fn a_dead_mirror_is_tried_a_bounded_number_of_times() {
    let setup = setup(1);
    let files = setup.files();
    setup.server.fault("pool/", Fault::DieAfter(0));
    let error = setup.fetch(&files).unwrap_err();
    assert!(matches!(error, DebianError::Unreachable { attempts: 3, received: 0, .. }), "{error}");
    setup.server.heal();
    setup.server.fault("pool/", Fault::Status(503));
    let error = setup.fetch(&files).unwrap_err().to_string();
    assert!(error.contains("status 503") && error.contains("tried 3 times"), "{error}");
    setup.server.stop();
    let error = setup.fetch(&files).unwrap_err();
    assert!(matches!(error, DebianError::Unreachable { .. }), "{error}");
}

#[test]
fn a_file_of_another_size_is_refused_before_it_is_read() {
    let setup = setup(1);
    let files = setup.files();
    setup.server.fault("pool/", Fault::Truncate(1000));
    let error = setup.fetch(&files).unwrap_err();
    assert!(matches!(error, DebianError::WrongSize { offered: 1000, .. }), "{error}");
    assert_eq!(setup.ranges().len(), 1, "asking again would not help");
    setup.server.heal();
    setup.server.fault("pool/", Fault::Replace(vec![0; SIZE * 2]));
    assert!(matches!(setup.fetch(&files), Err(DebianError::WrongSize { .. })));
}

#[test]
fn an_altered_file_is_refused_with_both_digests() {
    let setup = setup(1);
    let files = setup.files();
    setup.server.fault("pool/", Fault::Alter(150_000));
    let error = setup.fetch(&files).unwrap_err();
    let DebianError::Mismatch { expected, received, received_size, .. } = &error else { panic!("{error}") };
    assert!(*expected == files[0].sha256 && received != expected && *received_size == files[0].size);
    assert!(!setup.cache.path().join(format!("debs/{}.deb", files[0].sha256.hex())).exists());
    // Nothing of it is resumed.
    setup.server.heal();
    let _ = setup.server.take_requests();
    setup.fetch(&files).unwrap();
    assert_eq!(setup.ranges(), [None]);
}

#[test]
fn a_part_that_is_not_the_file_is_thrown_away() {
    let setup = setup(1);
    let files = setup.files();
    fs::create_dir_all(setup.cache.path().join("debs")).unwrap();
    fs::write(setup.part(&files[0]), vec![1; 5000]).unwrap();
    setup.fetch(&files).unwrap();
    assert_eq!(setup.ranges(), [Some(5000), None]);
}

#[test]
fn parts_of_any_length_lead_to_the_file() {
    let setup = setup(1);
    let files = setup.files();
    let whole = fs::read(setup.archive.deb_path("big0", "1.0")).unwrap();
    for length in [whole.len(), whole.len() - 1, 1, 0] {
        let path = setup.cache.path().join(format!("debs/{}.deb", files[0].sha256.hex()));
        let _ = fs::remove_file(path);
        fs::create_dir_all(setup.cache.path().join("debs")).unwrap();
        fs::write(setup.part(&files[0]), &whole[..length]).unwrap();
        assert_eq!(fs::read(&setup.fetch(&files).unwrap()[0]).unwrap(), whole);
    }
    fs::remove_file(setup.cache.path().join(format!("debs/{}.deb", files[0].sha256.hex()))).unwrap();
    fs::write(setup.part(&files[0]), vec![0; SIZE * 2]).unwrap();
    setup.fetch(&files).unwrap();
}

#[test]
fn a_mirror_that_ignores_ranges_serves_too() {
    let setup = setup(1);
    let files = setup.files();
    setup.server.fault("pool/", Fault::IgnoreRange);
    setup.server.fault_times("pool/", Fault::DieAfter(100_000), 1);
    setup.fetch(&files).unwrap();
}

#[test]
fn a_missing_file_names_its_address() {
    let setup = setup(1);
    let files = setup.files();
    setup.server.fault("pool/", Fault::Status(404));
    let error = setup.fetch(&files).unwrap_err();
    assert!(error.to_string().contains(&files[0].urls[0]), "{error}");
    setup.server.heal();
    setup.server.fault("pool/", Fault::Status(403));
    assert!(matches!(setup.fetch(&files), Err(DebianError::Refused { status: 403, .. })));
}

#[test]
fn a_second_address_stands_in_for_the_first() {
    let setup = setup(1);
    let mut files = setup.files();
    let other = setup.archive.serve();
    let path = files[0].urls[0].strip_prefix(&setup.server.url()).unwrap().to_owned();
    files[0].urls.push(other.url() + &path);
    setup.server.fault_times("pool/", Fault::DieAfter(100_000), 1);
    let mut config = setup.config.clone();
    config.retry.attempts = 1;
    fetch_all(&config, &files, &Silent).unwrap();
    assert_eq!(other.take_requests()[0].range, Some(100_000), "what the first brought is kept");
}

#[test]
fn a_silent_mirror_is_given_up() {
    let mut setup = setup(1);
    let files = setup.files();
    setup.config.retry = Retry { attempts: 1, pause: Duration::ZERO, silence: Duration::from_millis(200) };
    setup.server.fault("pool/", Fault::Stall(Duration::from_secs(2)));
    let error = setup.fetch(&files).unwrap_err().to_string();
    assert!(error.contains("silent for too long"), "{error}");
}

#[test]
fn a_slow_mirror_is_waited_for() {
    let mut setup = setup(1);
    let files = setup.files();
    // Slower in all than the longest silence, but never silent for so long.
    setup.config.retry.silence = Duration::from_millis(400);
    setup.server.fault("pool/", Fault::Slow(Duration::from_millis(15)));
    setup.fetch(&files).unwrap();
}

#[test]
fn two_fetches_of_the_same_file_take_turns() {
    let setup = setup(1);
    let files = setup.files();
    setup.server.fault("pool/", Fault::Slow(Duration::from_millis(2)));
    thread::scope(|scope| {
        let fetches: Vec<_> = (0..4).map(|_| scope.spawn(|| setup.fetch(&files).unwrap())).collect();
        for fetch in fetches {
            assert_eq!(fs::metadata(&fetch.join().unwrap()[0]).unwrap().len(), files[0].size);
        }
    });
    assert_eq!(setup.ranges(), [None]);
}

#[test]
fn a_damaged_cached_file_is_fetched_again() {
    let setup = setup(1);
    let files = setup.files();
    let path = setup.fetch(&files).unwrap().remove(0);
    let whole = fs::read(&path).unwrap();
    fs::write(&path, &whole[..1000]).unwrap();
    assert_eq!(fs::read(&setup.fetch(&files).unwrap()[0]).unwrap(), whole);
}

#[test]
fn what_comes_next_can_stop_the_fetch() {
    let setup = setup(3);
    let files = setup.files();
    let result = fetch_each(&setup.config, &files, &Silent, &|number, _| match number {
        1 => Err(DebianError::BadSuite { suite: "stop".to_owned() }),
        _ => Ok(()),
    });
    assert!(matches!(result, Err(DebianError::BadSuite { .. })));
}

/// Counts bytes of each task.
#[derive(Default)]
struct Counts(Mutex<Vec<(Option<u64>, u64, bool)>>);

impl Progress for Counts {
    fn start(&self, _what: &str, total: Option<u64>) -> TaskId {
        let mut tasks = self.0.lock().unwrap();
        tasks.push((total, 0, false));
        tasks.len() as u64 - 1
    }

    fn advance(&self, task: TaskId, bytes: u64) {
        self.0.lock().unwrap()[task as usize].1 += bytes;
    }

    fn finish(&self, task: TaskId) {
        self.0.lock().unwrap()[task as usize].2 = true;
    }

    fn note(&self, _text: &str) {}
}

#[test]
fn progress_adds_up_even_when_a_transfer_begins_again() {
    let setup = setup(2);
    let files = setup.files();
    setup.server.fault("pool/", Fault::IgnoreRange);
    setup.server.fault_times("pool/", Fault::DieAfter(100_000), 1);
    let counts = Counts::default();
    fetch_all(&setup.config, &files, &counts).unwrap();
    for (total, done, finished) in counts.0.into_inner().unwrap() {
        assert!(finished && Some(done) == total, "{done} of {total:?}");
    }
}

#[test]
fn a_file_mirror_serves_packages() {
    let mut setup = setup(1);
    setup.config.mirrors = Mirrors::Explicit { main: setup.archive.file_url(), security: None };
    setup.config.offline = true;
    let files = setup.files();
    assert!(files[0].urls[0].starts_with("file:///"));
    setup.fetch(&files).unwrap();
    assert_eq!(setup.server.take_requests(), []);
}

#[test]
fn a_proxy_is_used_where_one_is_configured() {
    let mut setup = setup(1);
    setup.config.mirrors = Mirrors::Explicit { main: "http://mirror.invalid/debian".to_owned(), security: None };
    setup.config.proxies.http = Some(setup.server.address());
    let files = setup.files();
    assert!(files[0].urls[0].starts_with("http://mirror.invalid/debian/pool/"));
    setup.fetch(&files).unwrap();
}

/// Not a test by itself: the process that the next one kills.
#[test]
fn child_that_fetches() {
    let Ok(given) = std::env::var("LARDER_TEST_CHILD") else { return };
    let words: Vec<&str> = given.split('|').collect();
    let [cache, url, size, digest] = words[..] else { panic!("{given}") };
    let config = Config::new(Mirrors::Explicit { main: url.to_owned(), security: None }, cache, "amd64");
    let file = ArchiveFile {
        name: "big0".to_owned(),
        version: "1.0".to_owned(),
        architecture: "amd64".to_owned(),
        urls: vec![url.to_owned()],
        filename: String::new(),
        size: size.parse().unwrap(),
        sha256: digest.parse().unwrap(),
        suite: String::new(),
        release: digest.parse().unwrap(),
        index: digest.parse().unwrap(),
        signer: String::new(),
    };
    fetch_all(&config, &[file], &Silent).unwrap();
}

#[test]
fn a_killed_process_leaves_a_part_that_is_resumed() {
    let setup = setup(1);
    let files = setup.files();
    let file = &files[0];
    setup.server.fault("pool/", Fault::Slow(Duration::from_millis(30)));
    let given = format!("{}|{}|{}|{}", setup.cache.path().display(), file.urls[0], file.size, file.sha256);
    let mut child = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "fetch::tests::child_that_fetches"])
        .env("LARDER_TEST_CHILD", given)
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let have = || fs::metadata(setup.part(file)).map_or(0, |part| part.len());
    while have() < 50_000 {
        assert!(child.try_wait().unwrap().is_none(), "it ended before it was killed");
        thread::sleep(Duration::from_millis(5));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let names: Vec<_> =
        fs::read_dir(setup.cache.path().join("debs")).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert_eq!(names, [setup.part(file)]);
    let kept = have();
    setup.server.heal();
    setup.fetch(&files).unwrap();
    assert_eq!(setup.ranges(), [None, Some(kept)]);
}
