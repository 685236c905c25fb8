//! The example of a C program is built, tested and built again, and says what it lacks.

use std::path::Path;

use serde_json::Value;

use crate::world::World;

pub(crate) fn hello_is_built_twice(world: &World) {
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/hello-c");
    let folder = world.env.copy(example);
    let built = world.env.larder(["build", "--json", "--check", "hello-c"]).success();
    let report: Value = serde_json::from_str(&built.stdout).expect("a report");
    assert_eq!((&report["checked"], &report["tested"]), (&Value::Bool(true), &Value::Bool(true)), "{report}");
    let parts: Vec<_> = report["parts"].as_array().expect("parts").iter().map(|part| &part["name"]).collect();
    assert_eq!(parts, ["example.com/hello", "example.com/hello-doc"]);

    let again = world.env.larder(["build", "--json", "hello-c"]).success();
    let again: Value = serde_json::from_str(&again.stdout).expect("a report");
    assert_eq!((&again["cached"], &again["digest"]), (&Value::Bool(true), &report["digest"]));

    // The program is linked against a library that nothing requires any more.
    let recipe = std::fs::read_to_string(folder.join("larder.toml")).expect("larder.toml");
    let without: String = recipe.lines().filter(|line| !line.starts_with("requires")).flat_map(|l| [l, "\n"]).collect();
    world.env.write("hello-c/larder.toml", without);
    let refused = world.env.larder(["build", "-q", "hello-c"]).failure(1);
    for words in [
        "/usr/bin/hello of example.com/hello needs libc.so.6, which is in debian.org/libc6",
        "ld-linux",
        "hint: add to `requires` of example.com/hello: \"debian.org/libc6\"",
    ] {
        assert!(refused.stderr.contains(words), "{}\ndoesn't say\n{words}", refused.stderr);
    }
}
