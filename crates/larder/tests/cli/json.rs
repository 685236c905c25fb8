//! `--json`: what is printed is what `docs/json.md` says, and the page's examples are too.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::keep::{damage, object};
use super::site::{Site, archive, deb};

/// The fields of a document by path (`items[].name`), each with its type as the page writes it.
type Schema = BTreeMap<String, String>;

/// The page's sections: each schema's fields, and its example.
fn page() -> BTreeMap<String, (Schema, String)> {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/json.md");
    let text = std::fs::read_to_string(file).expect("docs/json.md");
    let mut sections = BTreeMap::new();
    for section in text.split("\n## ").filter(|section| section.starts_with("larder/")) {
        let name = section.lines().next().unwrap_or_default();
        let rows = section.lines().filter_map(|line| line.strip_prefix("| `"));
        let mut schema = Schema::from([("schema".to_owned(), "string".to_owned())]);
        for row in rows {
            let (fields, rest) = row.split_once('|').unwrap_or_else(|| panic!("{name}: {row}"));
            let kind = rest.split('|').next().unwrap_or_default().trim();
            for field in fields.split('`').filter(|field| !field.trim_matches([',', ' ']).is_empty()) {
                assert!(schema.insert(field.to_owned(), kind.to_owned()).is_none(), "{name}: {field} is there twice");
            }
        }
        let example = section.split("```json\n").nth(1).and_then(|rest| rest.split("```").next());
        let example = example.unwrap_or_else(|| panic!("{name} has no example"));
        sections.insert(name.to_owned(), (schema, example.to_owned()));
    }
    sections
}

/// Compares documents with schemas, and remembers which fields were seen with a value.
struct Checker {
    page: BTreeMap<String, (Schema, String)>,
    seen: BTreeSet<(String, String)>,
}

impl Checker {
    fn check(&mut self, text: &str) {
        let document: Value = serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"));
        let name = document["schema"].as_str().expect("a schema").to_owned();
        let (schema, _) = self.page.get(&name).unwrap_or_else(|| panic!("docs/json.md has no {name}")).clone();
        self.object(&name, &schema, "", &document);
    }

    fn object(&mut self, name: &str, schema: &Schema, path: &str, value: &Value) {
        let object = value.as_object().unwrap_or_else(|| panic!("{name}: {path} is no object: {value}"));
        let field = |key: &str| if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") };
        for (key, value) in object {
            let field = field(key);
            let kind = schema.get(&field).unwrap_or_else(|| panic!("{name}: {field} is not documented: {value}"));
            self.value(name, schema, &field, kind, value);
        }
        let is_direct = |known: &&String| match known.strip_prefix(path) {
            Some(rest) if path.is_empty() => !rest.contains('.'),
            Some(rest) => rest.strip_prefix('.').is_some_and(|rest| !rest.contains('.')),
            None => false,
        };
        for known in schema.keys().filter(is_direct) {
            let key = known.rsplit('.').next().unwrap_or(known);
            assert!(object.contains_key(key), "{name}: {known} is documented, and isn't there: {value}");
        }
    }

    fn value(&mut self, name: &str, schema: &Schema, field: &str, kind: &str, value: &Value) {
        if let Some(kind) = kind.strip_suffix(" or null") {
            if !value.is_null() {
                self.value(name, schema, field, kind, value);
            }
            return;
        }
        self.seen.insert((name.to_owned(), field.to_owned()));
        let text = value.as_str().unwrap_or_default();
        let hex = |prefix: &str| text.strip_prefix(prefix).is_some_and(|hex| hex.len() == 64);
        let good = match kind {
            "string" => value.is_string(),
            "boolean" => value.is_boolean(),
            "number" | "size" => value.is_u64(),
            "time" => value.as_u64().is_some_and(|time| time > 300_000_000),
            "digest" => hex("blake3:"),
            "SHA-256" => hex("sha256:"),
            "path" => text.starts_with('/'),
            "list of strings" => value.as_array().is_some_and(|list| list.iter().all(Value::is_string)),
            "map of strings" => value.as_object().is_some_and(|map| map.values().all(Value::is_string)),
            "map of numbers" => value.as_object().is_some_and(|map| map.values().all(Value::is_u64)),
            "object" => {
                self.object(name, schema, field, value);
                true
            }
            "list" => {
                for item in value.as_array().unwrap_or_else(|| panic!("{name}: {field} is no list: {value}")) {
                    self.object(name, schema, &format!("{field}[]"), item);
                }
                true
            }
            // A setting of an image: its type is the setting's own.
            "any" => true,
            _ => panic!("{name}: {field} is of the unknown type {kind:?}"),
        };
        assert!(good, "{name}: {field} is no {kind}: {value}");
    }
}

#[test]
fn the_examples_are_what_the_page_says() {
    let mut checker = Checker { page: page(), seen: BTreeSet::new() };
    for (name, (_, example)) in checker.page.clone() {
        assert!(example.contains(&format!("\"schema\": \"{name}\"")), "the example of {name} is of another schema");
        checker.check(&example);
    }
}

/// A machine on which every field of every document has a value at some time.
fn site() -> Site {
    Site::with(
        archive()
            .package(
                deb("tool", "0.1")
                    .depends("greeter")
                    .source("tools (0.1-1)")
                    .file_with("usr/bin/su", "su\n", 0o4755, "root", "root")
                    .file("usr/share/doc/tool/copyright", COPYRIGHT)
                    .file("usr/share/nodejs/thing/package.json", "{\"name\": \"thing\", \"version\": \"1.2.3\"}")
                    .file("usr/share/java/app.jar", seed("jar", "nested"))
                    .file("usr/share/java/broken.jar", "PK\n")
                    .script("postinst", "#!/bin/sh\nset -e\nsystem-of-its-own --now /etc\n"),
            )
            .package(deb("extra", "1").recommends("nano").depends("greeter")),
    )
}

/// A seed of a fuzz target.
fn seed(target: &str, name: &str) -> Vec<u8> {
    std::fs::read(larder_testkit::hostile::folder(target).join(name)).expect("a seed")
}

const COPYRIGHT: &str = "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\n\n\
                         Files: *\nCopyright: 2026 Somebody\nLicense: MIT\n";

const IMAGE: &str = "run = [\"sh\"]\nuser = \"httpd\"\nworkdir = \"/srv\"\nstop-signal = \"SIGINT\"\nrecommends = true\n\
                     env = { A = \"b\" }\nlabels = { team = \"shop\" }\n\
                     [files]\n\"/etc/httpd/httpd.conf\" = \"conf\"\n\
                     [host]\ncapabilities = [\"NET_ADMIN\"]\n[actions]\nvalidate = [\"sh\", \"-n\"]\n";

#[test]
fn every_document_is_what_the_page_says() {
    let site = site();
    let mut checker = Checker { page: page(), seen: BTreeSet::new() };
    let mut run = |line: &str, code: i32| checker.check(&site.run(line).failure(code).stdout);
    run("images --json", 0);
    run("key new --no-passphrase --json example.com", 0);
    run("key list --json", 0);
    run("key export --json example.com", 0);
    site.env.write("example.pem", site.stdout("key export example.com"));
    run("key trust --json other.org example.pem", 0);
    run("key forget --json other.org", 0);
    site.env.write("web/conf", "listen 8080\n");
    site.recipe("web", &["httpd", "tool", "greeter"], IMAGE);
    run("build --json web", 0);
    site.recipe("web", &["httpd", "extra"], &IMAGE.replace("shop", "web").replace("conf\" = ", "more\" = "));
    run("build --json web", 0);
    run("update --json web", 0);
    run("update --json example.com/web", 0);
    for line in [
        "images",
        "packages",
        "packages greet",
        "why example.com/web libgreet",
        "why example.com/web nano",
        "why example.com/web shell",
        "which greeter",
        "which --all tool <1",
        "which --deep --all log4j-core",
        "files example.com/web",
        "files example.com/web /etc",
        "history example.com/web",
        "verify example.com/web",
        "df",
        "fsck",
        "fsck --deep",
    ] {
        run(&format!("{line} --json"), 0);
    }
    let history = site.stdout("history --json example.com/web");
    let history: Value = serde_json::from_str(&history).expect("JSON");
    let oldest = history["items"].as_array().and_then(|items| items.last()?["digest"].as_str()).expect("a digest");
    run(&format!("inspect --json example.com/web@{oldest}"), 0);
    run(&format!("inspect --json --deep example.com/web@{oldest}"), 0);
    run(&format!("diff --json example.com/web@{oldest} example.com/web"), 0);
    run(&format!("diff --json example.com/web example.com/web@{oldest}"), 0);
    run("rollback --json example.com/web", 0);
    run(&format!("rollback --json example.com/web@{}", history["items"][0]["digest"].as_str().expect("a digest")), 0);
    damage(&object(&site, "greetings from 1.0\n"));
    damage(&object(&site, "listen 8080\n"));
    damage(&object(&site, "localhost\n"));
    run("verify --json example.com/web", 1);
    run("fsck --deep --json", 1);
    run("fsck --deep --repair --json", 1);
    run("build web --json", 0);
    site.env.make("root/proc");
    site.env.write("root/usr/share/thing", "thing\n");
    run("package from-dir root --name example.com/thing --version 1 --json", 0);
    run("remove --earlier --json example.com/web", 0);
    run("gc --dry-run --json", 0);
    run("gc --json", 0);
    let sandbox = super::package::documents();
    let stack = super::stack::document();
    let captured = super::captured::documents();
    let shown = super::stack::shown();
    let all = sandbox.iter().flatten().chain(&stack).chain(captured.iter().flatten());
    for document in all.chain(shown.iter().flatten()) {
        checker.check(document);
    }
    let others = super::stand_in::documents().into_iter().chain(super::links::documents());
    for document in others.chain(super::inherit::documents()).chain(super::inspect::documents()) {
        checker.check(&document);
    }

    let mut unseen = Vec::new();
    for (name, (schema, _)) in &checker.page {
        if sandbox.is_none() && ["larder/package-build/v1", "larder/builds/v1"].contains(&name.as_str()) {
            continue;
        }
        let of_stack = ["larder/distribution-build/v1", "larder/inspect-distribution/v1", "larder/distributions/v1"];
        if stack.is_none() && of_stack.contains(&name.as_str()) {
            continue;
        }
        // Only what was captured can have been refused.
        let refused = |field: &&String| matches!(field.as_str(), "refused" | "packages[].refused");
        if captured.is_none() {
            checker.seen.extend(schema.keys().filter(refused).map(|field| (name.clone(), field.clone())));
            if name == "larder/capture/v1" {
                continue;
            }
        }
        for field in schema.keys().filter(|field| !checker.seen.contains(&(name.clone(), (*field).clone()))) {
            unseen.push(format!("{name}: {field}"));
        }
    }
    assert!(unseen.is_empty(), "documented, and never printed with a value:\n{}", unseen.join("\n"));
}

#[test]
fn errors_leave_stdout_empty() {
    let site = site();
    for line in ["inspect --json example.com/none", "build --json nowhere", "which --json greeter >>"] {
        let output = site.run(line).failure(1);
        assert!(output.stdout.is_empty() && output.stderr.starts_with("error: "), "{line}: {output:?}");
    }
}
