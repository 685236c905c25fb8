//! Release files.

use std::sync::LazyLock;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::release::{Keyring, Release, parse};
use crate::sources::KeySource;

/// All that the fuzz targets' key ever signed; its secret part is gone.
const SIGNED: [&[u8]; 2] =
    [include_bytes!("../../../../fuzz/seeds/signed/main"), include_bytes!("../../../../fuzz/seeds/signed/updates")];
/// Within the time that its signatures are good for, in seconds since 1970.
const NOW: u64 = 1_790_000_000;

struct Known {
    keyring: Keyring,
    now: SystemTime,
    releases: Vec<Release>,
}

static KNOWN: LazyLock<Known> = LazyLock::new(|| {
    let text = include_str!("../../../../fuzz/key.asc").to_owned();
    let inline = KeySource::Inline { place: "key.asc".to_owned(), text };
    let keyring = Keyring::load("bookworm", &[inline]).expect("a key");
    let now = UNIX_EPOCH + Duration::from_secs(NOW);
    let open = |bytes: &[u8]| Release::open(bytes, &keyring, now).expect("the seed is signed");
    let releases = SIGNED.map(open).to_vec();
    Known { keyring, now, releases }
});

/// An `InRelease` is refused, or says what its key once signed, however it is framed.
pub fn signed(bytes: &[u8]) {
    let known = &*KNOWN;
    let Ok(release) = Release::open(bytes, &known.keyring, known.now) else { return };
    let same = |signed: &Release| Release { digest: release.digest, ..signed.clone() } == release;
    assert!(known.releases.iter().any(same), "nobody signed {release:?}");
}

/// A release file's text is refused, or names files below its suite's folder.
pub fn release(bytes: &[u8]) {
    let Ok(release) = parse(bytes) else { return };
    assert!(!release.files.is_empty());
    for path in release.files.keys() {
        assert!(!path.split('/').any(|part| matches!(part, "" | "." | "..")), "{path:?}");
    }
    for (path, listed) in release.package_indexes("main", "amd64") {
        assert_eq!(release.files.get(&path), Some(&listed));
    }
    let now = UNIX_EPOCH + Duration::from_secs(NOW);
    if release.check(&release.suite, now, Some(release.date)).is_ok() {
        assert!(release.date <= NOW + 600);
        assert!(release.check(&release.suite, now, Some(release.date + 1)).is_err());
    }
}
