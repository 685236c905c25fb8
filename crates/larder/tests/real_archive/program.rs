//! An image that runs one script in bash, and what the script says.

use larder_testkit::Output;

use crate::world::World;

/// An image of some packages and a script.
#[derive(Default)]
pub(crate) struct Program<'a> {
    pub(crate) name: &'a str,
    pub(crate) packages: &'a [&'a str],
    /// As whom it runs; the container's root when empty.
    pub(crate) user: &'a str,
    /// What bash runs. It ends at the first command that fails.
    pub(crate) script: &'a str,
    /// Files in `/opt/test`.
    pub(crate) files: &'a [(&'a str, &'a str)],
}

impl Program<'_> {
    /// Builds the image and runs it; the script must succeed.
    pub(crate) fn run(&self, world: &World) -> Output {
        let Self { name, packages, user, script, files } = self;
        world.env.write(format!("{name}/test/run"), script);
        for (file, text) in *files {
            world.env.write(format!("{name}/test/{file}"), text);
        }
        let user = if user.is_empty() { String::new() } else { format!("user = {user:?}") };
        let recipe = format!(
            r#"
            [image]
            name = "example.com/{name}"
            version = "1"
            from = "debian.org/bookworm"
            packages = {packages:?}
            {user}
            run = ["bash", "-e", "-o", "pipefail", "/opt/test/run"]

            [files]
            "/opt/test" = "test"
            "#
        );
        world.build(name, &recipe);
        world.env.larder(["run", &format!("example.com/{name}")]).success()
    }

    /// As [`Program::run`], and the script must say exactly this.
    pub(crate) fn says(&self, world: &World, expected: &str) {
        let output = self.run(world);
        assert_eq!(output.stdout, expected, "{}", output.stderr);
    }
}
