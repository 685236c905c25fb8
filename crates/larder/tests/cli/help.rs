//! Help, completions and man pages.

use insta::assert_snapshot;

use super::site::Site;

#[test]
fn the_whole_help() {
    assert_snapshot!(Site::new().session(&["--help", "--version"]), @"
    $ larder --help
    A container-native package system: the command line

    Usage: larder [OPTIONS] <COMMAND>

    Commands:
      build          Make an image or a package from a recipe
      shell          Open a shell in the sandbox in which a package is built
      run            Run a command in a container of an image, a recipe or a package
      watch          Build a recipe anew whenever it or one of its files changes
      images         List the images of this host
      package        Make a package without a build: of a folder, an OCI image or a .deb
      debian         Run a Debian package's scripts in a sandbox, and keep what they leave
      packages       List the packages of this host
      distributions  List the distributions of one's own on this host
      inspect        Show what an image or a distribution is and what is in it
      why            Say why a package is in an image
      which          List the images that hold a package
      files          List an image's files and whose they are
      diff           Compare two images
      update         Move packages of a recipe or an image to newer versions, and nothing else
      history        List the records that an image's name has had
      rollback       Go back to an image's earlier record
      remove         Drop an image's name, or the records before its current one
      gc             Remove what no image, container or lock needs
      fsck           Check the store
      df             Show what the store holds, what is shared and what an image costs alone
      verify         Follow what was said of an image or package to what it was made from, and check it
      provenance     Show how an image or package came about
      key            Make, list, export and trust the keys that sign what is made
      completions    Print a completion script for a shell

    Options:
      -h, --help     Print help
      -V, --version  Print version

    Global options:
          --root <DIR>     The store's folder [default: /var/lib/larder for root, $XDG_DATA_HOME/larder
                           for others]
          --config <FILE>  Read this configuration instead of the usual files
          --json           Print one JSON document on stdout instead of text
      -q, --quiet          Say nothing but results and errors

    Examples:
      larder build examples/web                 solve, fetch, verify and lock; make the image
      larder build examples/hello-c             make a package in a sandbox, and test it
      larder run --net host examples/web        build if needed, then start
      larder run debian.org/redis-server -- redis-server --version
      larder inspect example.com/web            what is in it, without opening it

    An IMAGE is NAME[@VERSION|@blake3:DIGEST]. Exit codes: 0 done, 1 failed, 2 usage; `larder run`
    gives the container's own, 125 when it can't be started, 126 or 127 when its command can't be run
    or isn't there.
    $ larder --version
    larder 0.1.0
    ");
}

#[test]
fn help_of_the_main_commands() {
    assert_snapshot!(Site::new().session(&["build --help", "shell --help", "run --help", "update --help"]), @"
    $ larder build --help
    Make an image or a package from a recipe

    Usage: larder build [OPTIONS] [DIR]...

    Arguments:
      [DIR]...  The folder with the recipe, or the recipe itself [default: .]

    Options:
          --locked       Use the lock as it is, and fail if it doesn't match the recipe
          --accept-asks  Accept that the image begins to ask for more of the host
          --no-test      Leave out the recipe's test
          --check        Build packages twice, whatever was built before, and compare what was made
      -j, --jobs <N>     How many recipes are built at a time [default: 1]
      -v, --verbose      List every package with what became of its scripts
      -h, --help         Print help

    Global options:
          --root <DIR>     The store's folder [default: /var/lib/larder for root, $XDG_DATA_HOME/larder
                           for others]
          --config <FILE>  Read this configuration instead of the usual files
          --json           Print one JSON document on stdout instead of text
      -q, --quiet          Say nothing but results and errors

    Examples:
      larder build                  the recipe of this folder
      larder build examples/web     writes examples/web/larder.lock beside the recipe
      larder build examples/stack   a distribution: it is tested before it gets its name
      larder build --locked         use the lock as it is; fail if it doesn't match the recipe
      larder build --check hello-c  build a package twice, and say which files differ and how
      larder build -j 4 lib app     several recipes, each after the packages that it needs
    $ larder shell --help
    Open a shell in the sandbox in which a package is built

    Usage: larder shell [OPTIONS] [DIR] [-- <COMMAND>...]

    Arguments:
      [DIR]         The folder with the recipe of a package, or the recipe itself [default: .]
      [COMMAND]...  The command, after two dashes; a shell when absent

    Options:
      -h, --help  Print help

    Global options:
          --root <DIR>     The store's folder [default: /var/lib/larder for root, $XDG_DATA_HOME/larder
                           for others]
          --config <FILE>  Read this configuration instead of the usual files
          --json           Print one JSON document on stdout instead of text
      -q, --quiet          Say nothing but results and errors

    The sources are in /build, a copy that goes with the shell; $OUT is the folder that a build fills.

    Examples:
      larder shell examples/hello-c             look around, try what `run` in the recipe does
      larder shell examples/hello-c -- make     run one command in it
    $ larder run --help
    Run a command in a container of an image, a recipe or a package

    Usage: larder run [OPTIONS] <TARGET> [-- <COMMAND>...]

    Arguments:
      <TARGET>
              A folder with a recipe, an image, or a package: of one's own, or of the configured
              distribution

      [COMMAND]...
              The command, after two dashes; the image's own when absent

    Options:
          --action <ACTION>
              Run an action of the image, its own or inherited from a package, instead of `start`

              [possible values: metrics, monitor, start, validate]

          --allow <WHAT>
              Allow what goes beyond the defaults: `cap:NAME` or `device:PATH`; docs/security.md

          --net <NET>
              The network: `none`, or the host's with everything that listens on it

              Possible values:
              - none: A network of its own with nothing but loopback
              - host: The host's network

              [default: none]

      -e, --env <NAME[=VALUE]>
              Set a variable; a bare NAME takes the caller's value

      -u, --user <USER[:GROUP]>
              Run as this user of the container: NAME or number, with an optional :GROUP

      -w, --workdir <DIR>
              Start in this directory of the container

          --mount <SOURCE:TARGET[:ro]>
              Show a file or directory of the host in the container

          --writable
              Let the container write to the packages' paths, in its own layer

      -m, --memory <SIZE>
              Limit the memory, swap included: bytes, or a number with k, m, g or t

          --cpus <N>
              Limit the CPU time to that of this many CPUs, such as 1.5

          --pids-limit <N>
              Limit the number of processes and threads

          --io-weight <N>
              Weigh the container's use of disks: 10 to 1000, where others have 100

          --runtime <NAME>
              Let another OCI runtime run the container: `runc` or `crun`

          --view <WAY>
              Make the container's file system in this way only; docs/views.md has them

              [possible values: erofs, erofs-loop, stubs, checkout, symlink]

      -t, --tty
              Give the command a terminal of its own

      -i, --interactive
              Keep stdin open (it always is; accepted because everybody types -it)

      -h, --help
              Print help (see a summary with '-h')

    Global options:
          --root <DIR>
              The store's folder [default: /var/lib/larder for root, $XDG_DATA_HOME/larder for others]

          --config <FILE>
              Read this configuration instead of the usual files

          --json
              Print one JSON document on stdout instead of text

      -q, --quiet
              Say nothing but results and errors

    Examples:
      larder run --net host examples/web
      larder run debian.org/redis-server -- redis-server --version
      larder run example.com/hello                 a package of one's own, with what it requires
      echo hello | larder run example.com/web -- tr a-z A-Z
      larder run -it --mount ./data:/data:ro example.com/web -- bash
      larder run --memory 512m --cpus 1.5 --pids-limit 100 example.com/web
      larder run --action validate example.com/web
      larder run --allow cap:NET_ADMIN --allow device:/dev/net/tun example.com/vpn
    $ larder update --help
    Move packages of a recipe or an image to newer versions, and nothing else

    Usage: larder update [OPTIONS] <TARGET> [PACKAGES]...

    Arguments:
      <TARGET>       A folder with a recipe, or an image
      [PACKAGES]...  The packages to move to newer versions; all when none is named

    Options:
          --accept-asks  Accept that the image begins to ask for more of the host
          --no-test      Leave out the recipe's test
      -v, --verbose      List every package with what became of its scripts
      -h, --help         Print help

    Global options:
          --root <DIR>     The store's folder [default: /var/lib/larder for root, $XDG_DATA_HOME/larder
                           for others]
          --config <FILE>  Read this configuration instead of the usual files
          --json           Print one JSON document on stdout instead of text
      -q, --quiet          Say nothing but results and errors

    Examples:
      larder update examples/web openssl      openssl and what constraints force, nothing else
      larder update examples/web              everything
      larder update examples/hello-c gcc      a package of the sandbox, and build with it
      larder update example.com/web openssl   the image alone: a new record, no recipe needed
    ");
}

#[test]
fn every_command_has_help_with_an_example() {
    let site = Site::new();
    let help = site.stdout("--help");
    let commands = help.split("Commands:\n").nth(1).and_then(|rest| rest.split("\n\n").next()).expect("commands");
    let names: Vec<&str> = commands.lines().filter_map(|line| line.split_whitespace().next()).collect();
    assert!(names.len() >= 17, "{names:?}");
    for name in names {
        let help = site.stdout(&format!("{name} --help"));
        assert!(help.contains("Usage: larder ") && help.contains("Example"), "larder {name} --help:\n{help}");
        assert!(help.lines().all(|line| line.chars().count() <= 100), "{name}: lines longer than 100\n{help}");
    }
}

#[test]
fn completions_know_every_command() {
    let site = Site::new();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = site.stdout(&format!("completions {shell}"));
        for name in ["build", "rollback", "completions", "--locked"] {
            assert!(script.contains(name.trim_start_matches("--")), "{shell} has no {name}");
        }
    }
    for (shell, check) in [("bash", "bash -n"), ("zsh", "zsh -n"), ("fish", "fish -n")] {
        // Only shells that are here can be asked.
        if site.env.shell(&format!("command -v {shell}")).code == 0 {
            _ = site.env.shell(&format!("larder completions {shell} > script && {check} script")).success();
        }
    }
    assert_snapshot!(site.session(&["completions tcsh"]), @r"
    $ larder completions tcsh
    2> error: invalid value 'tcsh' for '<SHELL>'
    2>   [possible values: bash, elvish, fish, powershell, zsh]
    2>
    2>   tip: a similar value exists: 'zsh'
    2>
    2> For more information, try '--help'.
    [exit code 2]
    ");
}

#[test]
fn man_pages_are_written() {
    let site = Site::new();
    site.env.make("man");
    site.ok("man man");
    let mut names: Vec<_> =
        std::fs::read_dir(site.env.path("man")).expect("pages").map(|e| e.expect("page").file_name()).collect();
    names.sort();
    assert!(
        names.len() > 17 && names.contains(&"larder.1".into()) && names.contains(&"larder-build.1".into()),
        "{names:?}"
    );
    assert_snapshot!(site.session(&["man nowhere/at/all"]), @r"$ larder man nowhere/at/all");
    let page = std::fs::read_to_string(site.env.path("man/larder-build.1")).expect("a page");
    assert!(page.contains("\\-\\-locked") && page.contains("Examples"), "{page}");
}
