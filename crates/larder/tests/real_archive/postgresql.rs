//! postgresql makes a cluster and answers a query.

use crate::world::World;

const RECIPE: &str = r#"
[image]
name = "example.com/database"
version = "1"
from = "debian.org/bookworm"
packages = ["postgresql"]
user = "postgres"
env = { PGDATA = "/var/lib/postgresql/data", PATH = "/usr/lib/postgresql/15/bin:/usr/bin:/bin" }
run = ["sh", "/opt/query.sh"]

[files]
"/opt/query.sh" = "query.sh"
"#;

const QUERY: &str = "
set -e
initdb --auth=trust >/tmp/initdb.log 2>&1 || { cat /tmp/initdb.log >&2; exit 1; }
pg_ctl -w -l /tmp/server.log start >/tmp/start.log 2>&1 || { cat /tmp/start.log /tmp/server.log >&2; exit 1; }
psql -d postgres -tA -c 'create table t (n int); insert into t select generate_series(1, 100); select sum(n) from t;'
pg_ctl -m fast stop >/dev/null
";

pub(crate) fn answers(world: &World) {
    world.env.write("database/query.sh", QUERY);
    world.build("database", RECIPE);
    let output = world.env.larder(["run", "example.com/database"]).success();
    assert!(output.stdout.lines().any(|line| line == "5050"), "{output:?}");
}
