//! git commits and clones.

use crate::world::World;

const RECIPE: &str = r#"
[image]
name = "example.com/git"
version = "1"
from = "debian.org/bookworm"
packages = ["git"]
workdir = "/tmp"
run = ["sh", "-ec", """
git init -q -b main a
cd a
echo hello > file
git add file
git -c user.name=larder -c user.email=larder@example.com commit -q -m first
cd ..
git clone -q a b
git -C b log --format=%s
cat b/file
"""]
"#;

pub(crate) fn commits_and_clones(world: &World) {
    world.build("git", RECIPE);
    let output = world.env.larder(["run", "git"]).success();
    assert_eq!(output.stdout, "first\nhello\n", "{}", output.stderr);
}
