//! Reading certificates, beside OpenSSL.

use std::fs;
use std::path::Path;
use std::process::Command;

use larder_testkit::skip;

use crate::compose::certificate::read_all;

/// Masks of string types (OpenSSL's `string_mask`) and subjects: each encodes the same texts in another way.
const MASKS: [&str; 5] = ["utf8only", "nombstr", "MASK:0x800", "MASK:0x100", "MASK:0x4"];
const SUBJECTS: [&str; 7] = [
    "/C=DE/O=Plain/CN=example.com",
    "/C=DE/O=  Two \t  words  /CN=Upper CASE",
    "/O=Ärger & Söhne/CN=ÄÖÜ ß",
    "/O=a+OU=b+CN=c/CN=d",
    "/CN=b+OU=a+O=c",
    "/serialNumber=  12 34 /emailAddress=Some.Body@Example.COM/CN=x",
    "/",
];

fn run(arguments: &[&str], folder: &Path) -> Vec<u8> {
    let done = Command::new("openssl").args(arguments).current_dir(folder).output().expect("openssl");
    assert!(done.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&done.stderr));
    done.stdout
}

#[test]
fn a_subjects_hash_is_what_openssl_looks_for() {
    if Command::new("openssl").arg("version").output().is_err() {
        return skip("a_subjects_hash_is_what_openssl_looks_for", "openssl isn't installed");
    }
    let folder = tempfile::tempdir().expect("folder");
    let path = folder.path();
    run(&["genpkey", "-algorithm", "ed25519", "-out", "key.pem"], path);
    for mask in MASKS {
        fs::write(path.join("conf"), format!("[req]\nstring_mask={mask}\ndistinguished_name=dn\n[dn]\n"))
            .expect("conf");
        for subject in SUBJECTS {
            let make = ["req", "-x509", "-new", "-key", "key.pem", "-utf8", "-config", "conf", "-subj", subject];
            let text = run(&[&make[..], &["-out", "made.pem"]].concat(), path);
            assert!(text.is_empty());
            let hash = String::from_utf8(run(&["x509", "-in", "made.pem", "-noout", "-subject_hash"], path));
            let der = run(&["x509", "-in", "made.pem", "-outform", "DER"], path);
            let [read] = &read_all(&fs::read(path.join("made.pem")).expect("made"))[..] else {
                panic!("{mask} {subject}: not one certificate")
            };
            assert_eq!(format!("{:08x}\n", read.subject_hash), hash.expect("UTF-8"), "{mask} {subject}");
            assert!(read.der == der, "{mask} {subject}");
        }
    }
}

#[test]
fn a_file_with_anything_broken_in_it_has_no_certificates() {
    assert!(read_all(b"").is_empty());
    assert!(read_all(b"-----BEGIN CERTIFICATE-----\n").is_empty());
    assert!(read_all(b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n").is_empty());
    assert!(read_all(b"\xff\xfe-----BEGIN CERTIFICATE-----\n!!\n-----END CERTIFICATE-----\n").is_empty());
    // A key beside certificates is not looked at.
    assert!(read_all(b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n").is_empty());
}
