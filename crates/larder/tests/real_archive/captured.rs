//! What the scripts of real packages leave, taken and refused.

use std::collections::BTreeMap;

use larder_testkit::is_root;
use serde_json::Value;

use crate::world::World;

/// A capture's rows: (verdict, path) -> reason.
fn capture(world: &World, package: &str) -> Option<BTreeMap<(String, String), String>> {
    let output = world.env.larder(["debian", "capture", "--json", package]);
    if !is_root_of(world) {
        // Scripts give files to users; that needs root.
        let said = output.failure(1).stderr;
        assert!(said.contains("can't be run by an ordinary user"), "{said}");
        return None;
    }
    let document: Value = serde_json::from_str(&output.success().stdout).expect("a document");
    let text = |row: &Value, key: &str| row[key].as_str().unwrap_or_default().to_owned();
    let rows = document["paths"].as_array().expect("paths").iter();
    Some(rows.map(|row| ((text(row, "verdict"), text(row, "path")), text(row, "reason"))).collect())
}

fn is_root_of(world: &World) -> bool {
    is_root() && world.env.shell("id -u").success().stdout.trim() == "0"
}

#[track_caller]
fn has(rows: &BTreeMap<(String, String), String>, verdict: &str, path: &str) {
    assert!(rows.contains_key(&(verdict.to_owned(), path.to_owned())), "no {verdict} {path} in {rows:#?}");
}

pub(crate) fn pam(world: &World) {
    let Some(rows) = capture(world, "libpam-runtime") else { return };
    for service in ["account", "auth", "password", "session", "session-noninteractive"] {
        has(&rows, "taken", &format!("/etc/pam.d/common-{service}"));
        has(&rows, "taken", &format!("/var/lib/pam/{service}"));
    }
    assert!(!rows.keys().any(|(verdict, _)| verdict == "refused"), "{rows:#?}");
    world.build(
        "captured-pam",
        r#"
        [image]
        name = "example.com/captured-pam"
        version = "1"
        from = "debian.org/bookworm"
        packages = ["login"]
        captured = ["libpam-runtime"]
        "#,
    );
    let shown = world.env.larder(["run", "-q", "example.com/captured-pam", "--", "cat", "/etc/pam.d/common-auth"]);
    assert!(shown.success().stdout.contains("pam_unix.so nullok"));
}

pub(crate) fn ssh(world: &World) {
    let Some(rows) = capture(world, "openssh-server") else { return };
    has(&rows, "taken", "/etc/ssh/sshd_config");
    for kind in ["ecdsa", "ed25519", "rsa"] {
        has(&rows, "refused", &format!("/etc/ssh/ssh_host_{kind}_key"));
        has(&rows, "refused", &format!("/etc/ssh/ssh_host_{kind}_key.pub"));
    }
    has(&rows, "made", "/etc/passwd");
    world.build(
        "captured-ssh",
        r#"
        [image]
        name = "example.com/captured-ssh"
        version = "1"
        from = "debian.org/bookworm"
        packages = ["openssh-server"]
        captured = ["openssh-server"]
        run = ["sh", "-c", "mkdir -p /run/sshd; sshd -t; echo $?; ssh-keygen -A >/dev/null; sshd -t && echo fine; id -un sshd"]
        "#,
    );
    // Nobody's host keys are in it; with keys of its own the server is content.
    let answer = world.env.larder(["run", "-q", "example.com/captured-ssh"]).success();
    assert!(answer.stdout.contains("fine\nsshd\n") && !answer.stdout.starts_with("0\n"), "{answer:?}");
}

pub(crate) fn mariadb(world: &World) {
    let Some(rows) = capture(world, "mariadb-server") else { return };
    has(&rows, "taken", "/var/lib/mysql");
    has(&rows, "refused", "/var/lib/mysql/**");
    has(&rows, "refused", "/etc/mysql/debian.cnf");
    let database = &rows[&("refused".to_owned(), "/var/lib/mysql/**".to_owned())];
    assert_eq!(database, "it is a database's own data, which belongs to one installation");
}
