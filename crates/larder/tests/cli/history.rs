//! `larder history`, `larder rollback`, `larder remove`

use insta::assert_snapshot;

use super::site::Site;

/// An image with three records.
fn three() -> (Site, Vec<String>) {
    let site = Site::new();
    let mut digests = Vec::new();
    for (version, packages) in [("1.0", ["greeter"]), ("1.0", ["httpd"]), ("1.1", ["editor"])] {
        site.recipe("web", &packages, "");
        let recipe = std::fs::read_to_string(site.env.path("web/larder.toml")).expect("recipe");
        site.env.write("web/larder.toml", recipe.replace("version = \"1.0\"", &format!("version = \"{version}\"")));
        digests.push(site.stdout("build -q web").trim().to_owned());
    }
    (site, digests)
}

#[test]
fn the_earlier_record_is_still_there() {
    let (site, _) = three();
    assert_snapshot!(site.session(&[
        "history example.com/web",
        "rollback example.com/web",
        "images",
        "rollback example.com/web",
        "history example.com/web",
        "rollback example.com/web",
    ]), @r"
    $ larder history example.com/web
       VERSION  DIGEST                                                                   WHEN (UTC)        BY
    *  1.1      blake3:<1>  YYYY-MM-DD hh:mm  build
       1.0      blake3:<2>  YYYY-MM-DD hh:mm  build
       1.0      blake3:<3>  YYYY-MM-DD hh:mm  build
    $ larder rollback example.com/web
    now example.com/web@1.0
    blake3:<2>
    $ larder images
    NAME             VERSION  DIGEST        PACKAGES  CREATED (UTC)     SIGNED
    example.com/web  1.0      <2>                  4  YYYY-MM-DD hh:mm  unsigned
    $ larder rollback example.com/web
    now example.com/web@1.0
    blake3:<3>
    $ larder history example.com/web
       VERSION  DIGEST                                                                   WHEN (UTC)        BY
       1.1      blake3:<1>  YYYY-MM-DD hh:mm  build
       1.0      blake3:<2>  YYYY-MM-DD hh:mm  build
    *  1.0      blake3:<3>  YYYY-MM-DD hh:mm  build
    $ larder rollback example.com/web
    2> error: example.com/web has no earlier entry to go back to
    2>   hint: `larder history example.com/web` lists its records
    [exit code 1]
    ");
}

#[test]
fn a_record_is_chosen_by_digest_or_version() {
    let (site, digests) = three();
    assert_snapshot!(site.session(&[
        &format!("rollback example.com/web@{}", digests[0]),
        "inspect example.com/web@1.0",
        "rollback example.com/web@1.1",
        "history example.com/web",
        "rollback example.com/web@2.0",
        &format!("inspect example.com/web@blake3:{}", "0".repeat(64)),
    ]), @r"
    $ larder rollback example.com/web@blake3:<1>
    now example.com/web@1.0
    blake3:<1>
    $ larder inspect example.com/web@1.0
    image:        example.com/web@1.0
    digest:       blake3:<1>
    signed:       unsigned
    architecture: amd64
    from:         debian.org/bookworm, base essential
    asked for:    greeter
    own files:    0 (0 B)
    packages:     4 (846 B)
      PACKAGE                VERSION   SIZE  SCRIPTS   SIGNED   DIGEST
      debian.org/base-files  12.4     212 B  declared  archive  <2>
      debian.org/greeter     1.0      223 B  none      archive  <3>
      debian.org/libgreet    1.0      201 B  none      archive  <4>
      debian.org/shell       5.2      210 B  none      archive  <5>
    $ larder rollback example.com/web@1.1
    now example.com/web@1.1
    blake3:<6>
    $ larder history example.com/web
       VERSION  DIGEST                                                                   WHEN (UTC)        BY
    *  1.1      blake3:<6>  YYYY-MM-DD hh:mm  build
       1.0      blake3:<7>  YYYY-MM-DD hh:mm  build
       1.0      blake3:<1>  YYYY-MM-DD hh:mm  build
    $ larder rollback example.com/web@2.0
    2> error: example.com/web has no record of version 2.0
    2>   hint: it has 1.0, 1.1; `larder history example.com/web` lists its records
    [exit code 1]
    $ larder inspect example.com/web@blake3:<8>
    2> error: example.com/web has no record blake3:<8>
    2>   hint: it has 1.0, 1.1; `larder history example.com/web` lists its records
    [exit code 1]
    ");
}

#[test]
fn what_is_removed_is_gone_and_the_rest_stays() {
    let (site, _) = three();
    site.recipe("other", &["greeter"], "");
    site.ok("build -q other");
    assert_snapshot!(site.session(&[
        "remove --earlier example.com/web",
        "history example.com/web",
        "gc --dry-run",
        "gc",
        "gc",
        "remove example.com/web@1.1",
        "remove example.com/web",
        "gc",
        "images",
        "fsck --deep",
        "remove example.com/web",
    ]), @r"
    $ larder remove --earlier example.com/web
    dropped 2 records of example.com/web; `larder gc` frees what only they needed
    $ larder history example.com/web
       VERSION  DIGEST                                                                   WHEN (UTC)        BY
    *  1.1      blake3:<1>  YYYY-MM-DD hh:mm  build
    $ larder gc --dry-run
    would remove 5 FileSets and N objects (N KiB), N objects left
    $ larder gc
    removed 5 FileSets and N objects (N KiB), N objects left
    $ larder gc
    removed 0 FileSets and 0 objects (0 B), N objects left
    $ larder remove example.com/web@1.1
    2> error: remove takes a name alone, not example.com/web@1.1
    2>   hint: a record goes with its name, or with --earlier when it is not the current one
    [exit code 2]
    $ larder remove example.com/web
    dropped 1 record of example.com/web; `larder gc` frees what only they needed
    $ larder gc
    removed 4 FileSets and N objects (N KiB), N objects left
    $ larder images
    NAME               VERSION  DIGEST        PACKAGES  CREATED (UTC)     SIGNED
    example.com/other  1.0      <2>                  4  YYYY-MM-DD hh:mm  unsigned
    $ larder fsck --deep
    2> hash every object
    checked 7 FileSets, N objects, N KiB hashed
    nothing wrong
    $ larder remove example.com/web
    2> error: there is no image example.com/web on this host
    2>   hint: `larder images` lists those that are here
    [exit code 1]
    ");
}
