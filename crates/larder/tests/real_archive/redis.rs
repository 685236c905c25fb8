//! redis answers PING.

use crate::world::World;

pub(crate) fn answers(world: &World) {
    let version = world.env.larder(["run", "debian.org/redis-server", "--", "redis-server", "--version"]).success();
    assert!(version.stdout.starts_with("Redis server v=7.0"), "{version:?}");
    ping(world, "bookworm");
}

pub(crate) fn answers_on_trixie(world: &World) {
    ping(world, "trixie");
}

fn ping(world: &World, suite: &str) {
    let name = format!("redis-{suite}");
    world.build(
        &name,
        &format!(
            r#"
            [image]
            name = "example.com/{name}"
            version = "1"
            from = "debian.org/{suite}"
            packages = ["redis-server"]
            user = "redis"
            run = ["sh", "-c", "redis-server --port 6379 --dir /tmp >/dev/null & until redis-cli ping 2>/dev/null; do sleep 0.1; done; redis-cli shutdown nosave"]
            "#
        ),
    );
    let answer = world.env.larder(["run", &format!("example.com/{name}")]).success();
    assert!(answer.stdout.lines().any(|line| line == "PONG"), "{answer:?}");
}
