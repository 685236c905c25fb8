use std::fs;

use larder_testkit::archive::Deb;
use proptest::prelude::*;

use super::*;

fn list(debs: &[Deb]) -> String {
    let digest = "0".repeat(63) + "a";
    let extra = format!("Filename: pool/x.deb\nSize: 4294967298\nSHA256: {digest}\n");
    debs.iter().map(|deb| deb.stanza() + &extra + "\n").collect()
}

fn digest() -> Sha256Digest {
    Sha256Digest::from_bytes([7; 32])
}

fn make(folder: &Path, text: &str) -> Result<Index, DebianError> {
    let plain = folder.join("Packages");
    fs::write(&plain, text).unwrap();
    open_or_build(folder, &digest(), || Ok((plain, "http://mirror.test/Packages".to_owned())))
}

fn sample() -> Vec<Deb> {
    vec![
        Deb::new("zsh", "5.9").depends("libc6 (>= 2.36), later | other").field("Suggests", "zsh-doc"),
        Deb::new("libc6", "2.36-9")
            .essential()
            .priority("required")
            .provides("libc6-2.36, libc (= 2)")
            .multi_arch("same"),
        Deb::new("other", "1").provides("libc"),
        Deb::new("libc6", "2.37-1").architecture("all").conflicts("old:any"),
        Deb::new("other", "1"),
    ]
}

#[test]
fn what_was_written_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let index = make(folder.path(), &list(&sample())).unwrap();
    assert_eq!(index.len(), 4);
    let versions: Vec<&str> = index.candidates("libc6").map(|number| index.package(number).version).collect();
    assert_eq!(versions, ["2.36-9", "2.37-1"]);
    assert!(
        index.candidates("libc").is_empty() && index.candidates("").is_empty() && index.candidates("zzz").is_empty()
    );
    let providers: Vec<&str> = index.providers("libc").into_iter().map(|number| index.package(number).name).collect();
    assert_eq!(providers, ["libc6", "other"]);
    let [essential] = index.essential()[..] else { panic!() };
    let info = index.package(essential);
    assert_eq!(
        (info.name, info.priority, info.multi_arch, info.essential),
        ("libc6", Priority::Required, "same", true)
    );
    assert_eq!(index.location(essential).size, 4_294_967_298);
    assert_eq!(index.location(essential).sha256.hex(), "0".repeat(63) + "a");
    assert_eq!(index.location(essential).filename, "pool/x.deb");
    let zsh = index.candidates("zsh").start;
    assert_eq!(index.package(zsh).depends, "libc6 (>= 2.36), later | other");
    assert_eq!(index.description(zsh).2, "test package zsh");
    assert_eq!(index.names().collect::<Vec<_>>(), ["libc", "libc6", "libc6-2.36", "other", "zsh"]);
}

#[test]
fn mentions_are_counted_in_apts_order() {
    let folder = tempfile::tempdir().unwrap();
    let index = make(folder.path(), &list(&sample())).unwrap();
    let order = ["zsh", "libc6", "later", "other", "zsh-doc", "libc6-2.36", "libc"];
    for (number, name) in (1..).zip(order) {
        assert_eq!(index.mention(name), Some(number), "{name}");
    }
    assert_eq!(index.mention("old"), None);
}

#[test]
fn a_damaged_index_is_an_error_and_is_built_again() {
    let folder = tempfile::tempdir().unwrap();
    let text = list(&sample());
    make(folder.path(), &text).unwrap();
    let path = folder.path().join(file_name(&digest()));
    let good = fs::read(&path).unwrap();
    for at in 0..good.len() {
        let mut bad = good.clone();
        bad[at] ^= 0x80;
        fs::write(&path, &bad).unwrap();
        assert!(matches!(Index::open(&path, &digest()), Err(DebianError::DamagedIndex { .. })), "byte {at}");
    }
    for length in [0, 1, 50, 96, good.len() - 1] {
        fs::write(&path, &good[..length]).unwrap();
        assert!(Index::open(&path, &digest()).is_err());
    }
    assert!(Index::open(&path, &Sha256Digest::from_bytes([8; 32])).is_err());
    assert_eq!(make(folder.path(), &text).unwrap().len(), 4);
    assert_eq!(fs::read(&path).unwrap(), good);
}

#[test]
fn a_bad_list_names_the_line() {
    let folder = tempfile::tempdir().unwrap();
    let good = list(&sample()[..1]);
    let cases = [
        (good.replace("Package: zsh", "Package: ../zsh"), "no proper Package"),
        (good.replace("Version: 5.9", "Version: 5/9"), "no proper Version"),
        (good.replace("pool/x.deb", "../x.deb"), "no proper Filename"),
        (good.replace("Size: 42", "Size: x"), "Size"),
        (good.replace("SHA256: 0", "SHA256: z"), "SHA256"),
        (good.replace("Architecture: amd64", "Architecture"), "colon"),
        (good.replace("Architecture: amd64", "Version: 6"), "twice"),
        (format!(" x\n{good}"), "continuation"),
    ];
    for (text, problem) in cases {
        let error = make(folder.path(), &text).unwrap_err().to_string();
        assert!(error.starts_with("http://mirror.test/Packages, line "), "{error}");
        assert!(error.contains(problem), "{error} should say {problem}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    /// A file whose checksum is right but whose offsets are not can come only from a bug; it must not panic either.
    #[test]
    fn wild_offsets_never_panic(seed in proptest::collection::vec((0usize..4000, any::<u8>()), 1..40)) {
        let folder = tempfile::tempdir().unwrap();
        make(folder.path(), &list(&sample())).unwrap();
        let path = folder.path().join(file_name(&digest()));
        let mut bytes = fs::read(&path).unwrap();
        for (at, value) in seed {
            let at = 56 + at % (bytes.len() - 56);
            bytes[at] = value;
        }
        let crc = layout::checksum(&bytes[16..]);
        bytes[12..16].copy_from_slice(&crc.to_le_bytes());
        fs::write(&path, bytes).unwrap();
        if let Ok(index) = Index::open(&path, &digest()) {
            for name in ["zsh", "libc6", "libc"] {
                for number in index.candidates(name).take(8).chain(index.providers(name).into_iter().take(8)) {
                    let _ = (index.package(number), index.location(number), index.description(number));
                }
            }
            let _ = (index.essential(), index.names().count());
        }
    }
}
