//! What images ask of the host: what is missing, what must be allowed, and what an update may not begin to ask unnoticed.

use std::path::Path;

use insta::assert_snapshot;
use larder_testkit::skip;

use super::run::machine;
use super::site::Site;

/// Writes the recipe of `example.com/box` with what it asks for.
fn asking(site: &Site, host: &str) {
    site.recipe("box", &["hello"], &format!("run = [\"hello\", \"world\"]\n[host]\n{host}\n"));
}

/// The effective capabilities of a command in the container, as the kernel's bits.
fn capabilities(site: &Site, options: &str) -> u64 {
    let status = site.stdout(&format!("run -q {options} box -- cat /proc/self/status"));
    let line = status.lines().find_map(|line| line.strip_prefix("CapEff:")).expect("a line of capabilities");
    u64::from_str_radix(line.trim(), 16).expect("bits")
}

const NET_ADMIN: u64 = 1 << 12;
const NET_BIND_SERVICE: u64 = 1 << 10;

#[test]
fn everything_that_the_host_lacks_is_said_at_once() {
    let Some(site) = machine(false) else { return };
    asking(
        &site,
        "kernel = \">=999.0\"\nmemory = \"8000t\"\ndevices = [\"/dev/larder-none\", \"/dev/shm\"]\nfeatures = [\"seccomp\"]\n\
         capabilities = [\"NET_ADMIN\"]",
    );
    site.ok("build --accept-asks box");
    let output = site.run("run -q box").failure(125);
    let lines: Vec<_> = output.stderr.lines().collect();
    assert_eq!(lines[0], "error: example.com/box@1.0 can't run on this host:");
    assert!(lines[1].starts_with("  kernel >=999.0, asked for by example.com/box@1.0: this host runs "), "{output:?}");
    assert!(lines[2].starts_with("  memory 8000t, asked for by example.com/box@1.0: this host has "), "{output:?}");
    assert_eq!(
        lines[3..],
        [
            "  device /dev/larder-none, asked for by example.com/box@1.0: this host can't give it: it has no /dev/larder-none",
            "  device /dev/shm, asked for by example.com/box@1.0: this host can't give it: its /dev/shm is no device",
            "  hint: `larder inspect IMAGE` shows what asks for what",
        ]
    );
    asking(&site, "memory = \"8m\"");
    let output = site.run("run -q --memory 7m box").failure(125);
    assert!(output.stderr.contains("--memory limits the container to 7m"), "{output:?}");
}

#[test]
fn what_goes_beyond_the_defaults_must_be_allowed() {
    let Some(site) = machine(false) else { return };
    let before = capabilities(&site, "");
    assert_eq!(before & NET_ADMIN, 0);
    asking(&site, "kernel = \">=4.0\"\ncapabilities = [\"NET_ADMIN\", \"NET_BIND_SERVICE\"]");
    assert_snapshot!(site.session(&["run -q box", "build -q --accept-asks box", "run -q box", "run -q --allow cap:NET_ADMIN box"]), @r#"
    $ larder run -q box
    2> error: example.com/box would begin to ask for more of the host:
    2>   kernel >=4.0, asked for by example.com/box@1.0
    2>   capability NET_ADMIN, asked for by example.com/box@1.0
    2>   hint: look at who asks for it; `larder build` and `larder update` accept it with --accept-asks
    [exit code 125]
    $ larder build -q --accept-asks box
    blake3:<1>
    $ larder run -q box
    2> error: example.com/box@1.0 asks for more than a container gets unless you allow it:
    2>   capability NET_ADMIN, asked for by example.com/box@1.0
    2>   hint: allow it for this start with --allow cap:NET_ADMIN, or for every start in the configuration: [allow] "example.com/box" = ["cap:NET_ADMIN"]
    [exit code 125]
    $ larder run -q --allow cap:NET_ADMIN box
    hello, world
    "#);
    assert_eq!(capabilities(&site, "--allow cap:net_admin"), before | NET_ADMIN);
    assert_eq!(
        capabilities(&site, "--user 1234 --allow cap:NET_ADMIN"),
        NET_ADMIN | NET_BIND_SERVICE,
        "what is asked for reaches the command as whichever user it runs"
    );
    assert_snapshot!(site.session(&["inspect example.com/box"]), @"
    $ larder inspect example.com/box
    image:        example.com/box@1.0
    digest:       blake3:<1>
    signed:       unsigned
    architecture: amd64
    from:         debian.org/bookworm, base essential
    asked for:    hello
    run:          hello world
    asks for:     kernel >=4.0 (example.com/box@1.0)
    asks for:     capability NET_ADMIN (example.com/box@1.0; needs --allow cap:NET_ADMIN)
    asks for:     capability NET_BIND_SERVICE (example.com/box@1.0)
    own files:    0 (0 B)
    packages:     3 (1.9 MiB)
      PACKAGE                VERSION     SIZE  SCRIPTS   SIGNED   DIGEST
      debian.org/base-files  12.4       202 B  declared  archive  <2>
      debian.org/hello       2.0        201 B  none      archive  <3>
      debian.org/toolbox     1.36     1.9 MiB  none      archive  <4>
    ");

    let file = site.env.path("home/.config/larder/config.toml");
    let config = std::fs::read_to_string(&file).expect("a configuration");
    std::fs::write(&file, format!("{config}\n[allow]\n\"example.com/box\" = [\"cap:NET_ADMIN\", \"cap:SYS_TIME\"]\n"))
        .expect("a configuration");
    assert_eq!(capabilities(&site, ""), before | NET_ADMIN, "what is allowed and not asked for isn't given");
    assert_snapshot!(site.session(&["run --allow NET_ADMIN box", "run --allow cap:FLY box", "run --allow device:/etc/shadow box"]), @r"
    $ larder run --allow NET_ADMIN box
    2> error: --allow NET_ADMIN: write cap:NAME or device:PATH, such as cap:NET_ADMIN or device:/dev/fuse
    2>   hint: such as --allow cap:NET_ADMIN --allow device:/dev/fuse
    [exit code 2]
    $ larder run --allow cap:FLY box
    2> error: --allow cap:FLY: there is no such capability
    2>   hint: such as --allow cap:NET_ADMIN --allow device:/dev/fuse
    [exit code 2]
    $ larder run --allow device:/etc/shadow box
    2> error: --allow device:/etc/shadow: a device is a path below /dev, without `.` and `..`
    2>   hint: such as --allow cap:NET_ADMIN --allow device:/dev/fuse
    [exit code 2]
    ");
}

#[test]
fn a_device_is_the_hosts_own() {
    let Some(site) = machine(false) else { return };
    if !Path::new("/dev/fuse").exists() {
        return skip("devices in containers", "there is no /dev/fuse");
    }
    asking(&site, "devices = [\"/dev/fuse\", \"/dev/null\"]");
    site.ok("build --accept-asks box");
    let output = site.run("run -q box").failure(125);
    assert!(output.stderr.contains("device /dev/fuse, asked for by example.com/box@1.0\n"), "{output:?}");
    assert!(!output.stderr.contains("/dev/null"), "every container has it: {output:?}");
    let mut runtimes = vec![""];
    runtimes.extend(["runc", "crun"].into_iter().filter(|name| {
        let there = site.env.shell(&format!("command -v {name}")).code == 0;
        if !there {
            skip("devices with another runtime", format!("there is no {name}"));
        }
        there
    }));
    for runtime in runtimes {
        let mut arguments = vec!["run", "-q", "--allow", "device:/dev/fuse"];
        if !runtime.is_empty() {
            arguments.extend(["--runtime", runtime]);
        }
        arguments.extend(["box", "--", "sh", "-c", "true <>/dev/fuse && echo open"]);
        let output = site.env.larder(&arguments);
        assert_eq!((output.code, output.stdout.as_str()), (0, "open\n"), "{runtime}: {output:?}");
    }
    let output = site.env.larder(["run", "-q", "--allow", "device:/dev/fuse", "box", "--", "ls", "/dev"]).success();
    assert!(!output.stdout.contains("loop"), "no other: {output:?}");
}

#[test]
fn an_ordinary_user_is_told_what_capabilities_are_worth() {
    let Some(site) = machine(true) else { return };
    asking(&site, "capabilities = [\"NET_ADMIN\"]");
    site.ok("build --accept-asks box");
    let output = site.run("run --allow cap:NET_ADMIN box").success();
    assert!(
        output.stderr.contains("an ordinary user's container has its capabilities over its own namespaces only"),
        "{output:?}"
    );
    assert_eq!(capabilities(&site, "--allow cap:NET_ADMIN") & NET_ADMIN, NET_ADMIN);
    let output = site.run("run --allow device:/dev/mem box").failure(125);
    assert!(output.stderr.contains("device /dev/mem, asked for by --allow: this host can't give it"), "{output:?}");
}

#[test]
fn an_image_begins_to_ask_for_more_only_when_that_is_accepted() {
    let site = Site::new();
    site.recipe("web", &["greeter"], "");
    site.ok("build web");
    site.recipe("web", &["greeter"], "[host]\ncapabilities = [\"CHOWN\", \"SYS_TIME\"]\nmemory = \"64m\"\n");
    assert_snapshot!(site.session(&["build -q web", "update -q web"]), @r"
    $ larder build -q web
    2> error: example.com/web would begin to ask for more of the host:
    2>   memory 64m, asked for by example.com/web@1.0
    2>   capability SYS_TIME, asked for by example.com/web@1.0
    2>   hint: look at who asks for it; `larder build` and `larder update` accept it with --accept-asks
    [exit code 1]
    $ larder update -q web
    2> error: example.com/web would begin to ask for more of the host:
    2>   memory 64m, asked for by example.com/web@1.0
    2>   capability SYS_TIME, asked for by example.com/web@1.0
    2>   hint: look at who asks for it; `larder build` and `larder update` accept it with --accept-asks
    [exit code 1]
    ");
    let before = site.stdout("history --json example.com/web");
    assert_eq!(before.matches("\"digest\"").count(), 1, "the name stands for what it did");
    site.ok("build -q --accept-asks web");
    site.ok("build -q web");
    site.ok("update -q example.com/web");
    site.recipe("web", &["greeter"], "[host]\nmemory = \"32m\"\n");
    site.ok("build -q web");
    site.recipe("web", &["greeter"], "[host]\nmemory = \"33m\"\n");
    let output = site.run("build -q web").failure(1);
    assert!(output.stderr.contains("  memory 33m, asked for by example.com/web@1.0\n"), "{output:?}");
}

#[test]
fn a_recipe_for_other_machines_is_not_built_here() {
    let site = Site::new();
    site.recipe("web", &["greeter"], "[host]\narch = [\"s390x\", \"riscv64\"]\n");
    assert_snapshot!(site.session(&["build web"]), @r#"
    $ larder build web
    2> error: web/larder.toml is for riscv64 or s390x, and this host is amd64
    2>   hint: build it on such a machine, or add "amd64" to `arch` of its [host]
    [exit code 1]
    "#);
    site.recipe("web", &["greeter"], "[host]\nfeatures = [\"io-uring\"]\n");
    assert_snapshot!(site.session(&["build web"]), @r#"
    $ larder build web
    2> error: web/larder.toml:7:13: `features`: this larder doesn't know how to probe "io-uring"
    2>   |
    2> 7 | features = ["io-uring"]
    2>   |             ^^^^^^^^^^
    2>   hint: did you mean "io_uring"?
    [exit code 1]
    "#);
}
