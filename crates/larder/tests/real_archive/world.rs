//! Where scenarios happen: an environment with a store that outlives it.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use larder_testkit::{TestEnv, skip};
use serde_json::Value;

const LARDER: &str = env!("CARGO_BIN_EXE_larder");

/// What verification finds in these images, and a person has seen to be so: examples and scripts for what isn't in the image.
const TRUE_FINDINGS: &[Finding] = &[
    Finding { path: "/usr/lib/python3.", what: "/cgi.py" },
    Finding { path: "/usr/share/doc/ca-certificates/examples/", what: "interpreter /usr/bin/make isn't in the image" },
    Finding { path: "/usr/share/doc/redis-tools/examples/redis-trib.rb ", what: "asks env for ruby" },
    Finding { path: "/etc/sv/ssh/run ", what: "asks env for /lib/runit/invoke-run" },
    Finding { path: "/usr/bin/routel ", what: "asks env for python3" },
    Finding { path: "/usr/lib/x86_64-linux-gnu/tc/q_atm.so ", what: "needs libatm.so.1, which isn't in the image" },
];

/// A finding of any version: where its path begins, and words that it has.
struct Finding {
    path: &'static str,
    what: &'static str,
}

impl Finding {
    fn is(&self, finding: &str) -> bool {
        finding.starts_with(self.path) && finding.contains(self.what)
    }
}

/// An environment, and which port its servers may have.
pub(crate) struct World {
    pub(crate) env: TestEnv,
    pub(crate) port: u16,
}

impl World {
    /// Writes a recipe into the folder `name` and builds it.
    pub(crate) fn build(&self, name: &str, recipe: &str) -> PathBuf {
        self.env.write(Path::new(name).join("larder.toml"), recipe);
        self.built(name);
        self.env.path(name)
    }

    /// Builds the image, or the distribution, of the recipe in `folder`, and gives the report.
    pub(crate) fn built(&self, folder: &str) -> Value {
        let report = self.document(&["build", folder]);
        let findings = report["findings"].as_array().into_iter().flatten().filter_map(Value::as_str);
        let news: Vec<_> = findings.filter(|finding| !TRUE_FINDINGS.iter().any(|known| known.is(finding))).collect();
        assert!(news.is_empty(), "true or false? {news:#?}");
        report
    }

    /// What a command that must succeed answers to `--json`.
    pub(crate) fn document(&self, arguments: &[&str]) -> Value {
        let output = self.env.larder([&["--json"], arguments].concat()).success();
        serde_json::from_str(&output.stdout).expect("JSON")
    }
}

/// A folder of `examples`.
pub(crate) fn example(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples").join(name)
}

/// Runs a scenario as root.
pub(crate) fn as_root(name: &str, scenario: fn(&World)) {
    if !larder_testkit::is_root() {
        return skip(format!("{name} as root"), "this needs root");
    }
    run(name, TestEnv::new(LARDER), "root", 18_080, scenario);
}

/// Runs a scenario as an ordinary user.
pub(crate) fn as_user(name: &str, scenario: fn(&World)) {
    match TestEnv::for_user(LARDER) {
        None => skip(format!("{name} as an ordinary user"), "there is no user larder-test; scripts/setup makes it"),
        Some(env) => run(name, env, "user", 18_090, scenario),
    }
}

fn run(name: &str, mut env: TestEnv, who: &str, port: u16, scenario: fn(&World)) {
    if let Err(why) = mirror() {
        return skip(format!("{name} ({who})"), why);
    }
    let store = store(&env, who);
    env.set("LARDER_ROOT", &store);
    scenario(&World { env, port });
}

/// The store of an identity; it belongs to whoever runs the program.
fn store(env: &TestEnv, who: &str) -> PathBuf {
    // A folder that another user's programs can reach: the build folder itself may be closed to them.
    let owner = env.shell("id -u").success().stdout;
    let folder = std::env::var_os("LARDER_TEST_STORES").map_or_else(|| "/var/tmp".into(), PathBuf::from);
    let store = folder.join(format!("larder-tests-{who}-{}", owner.trim()));
    let made = env.shell(&format!("mkdir -p {}", store.display())).success();
    assert_eq!(made.stderr, "");
    store.join("store")
}

/// Whether the archive answers; asked once.
fn mirror() -> &'static Result<(), String> {
    static MIRROR: OnceLock<Result<(), String>> = OnceLock::new();
    MIRROR.get_or_init(|| {
        let env = TestEnv::new(LARDER);
        env.write("r/larder.toml", RECIPE);
        let output = env.larder(["build", "--quiet", "r"]);
        if output.code == 0 {
            Ok(())
        } else {
            Err(format!("no mirror of the Debian archive: {}", output.stderr.trim()))
        }
    })
}

/// The smallest image that needs the archive.
const RECIPE: &str = r#"
[image]
name = "example.com/probe"
version = "1"
from = "debian.org/bookworm"
base = "none"
packages = ["hostname"]
"#;
