//! The composers on made-up packages.

use larder_store::fileset::{AlternativeRule, Follower, GroupRule, UserRule};
use proptest::prelude::*;

use super::*;

fn user(name: &str, uid: Option<u32>) -> UserRule {
    UserRule {
        name: name.to_owned(),
        uid,
        group: name.to_owned(),
        home: format!("/var/lib/{name}"),
        shell: "/usr/sbin/nologin".to_owned(),
        comment: String::new(),
        supplementary: vec!["ssl-cert".to_owned()],
    }
}

fn alternative(name: &str, link: &str, path: &str, priority: i64) -> AlternativeRule {
    let path_of = |text: &str| TreePath::try_from(text).expect("path");
    let man = format!("usr/share/man/man1/{}.1.gz", path.rsplit('/').next().expect("name"));
    AlternativeRule {
        name: name.to_owned(),
        link: path_of(link),
        path: path_of(path),
        priority,
        followers: vec![Follower {
            name: format!("{name}.1.gz"),
            link: path_of(&format!("usr/share/man/man1/{name}.1.gz")),
            path: path_of(&man),
        }],
    }
}

#[test]
fn an_empty_image_has_what_a_container_needs() {
    let world = World::new();
    let made = world.compose_all(&[], vec![]).expect("composed");
    assert_eq!(made.target("bin"), "usr/bin");
    assert_eq!(made.at("tmp").expect("tmp").attributes.mode, Some(0o1777));
    assert_eq!(made.at("root").expect("root").attributes.mode, Some(0o700));
    assert_eq!(made.target("var/run"), "/run");
    assert!(made.at("lib64").is_none() && made.at("etc/ld.so.cache").is_none());
    assert_eq!(made.text("etc/passwd").lines().count(), 18);
    assert!(made.text("etc/shadow").starts_with("root:*::0:99999:7:::\n"));
    let shadow = made.at("etc/shadow").expect("shadow");
    assert_eq!((shadow.attributes.mode, shadow.attributes.group.as_deref()), (Some(0o640), Some("shadow")));
    assert_eq!(made.composed.ids.uid("www-data"), Some(33));
    assert_eq!(made.composed.ids.uid("1234"), Some(1234));
    assert!(made.composed.files.is_sorted_by(|a, b| a.path < b.path));
    for file in &made.composed.files {
        for parent in file.path.ancestors() {
            assert!(made.at(&parent.to_string()).is_some(), "{parent} of {}", file.path);
        }
    }
}

#[test]
fn numbers_follow_names_and_not_neighbours() {
    let world = World::new();
    let package = |name: &str, rule: UserRule| world.package(name, Draw::default().with(|r| r.users.push(rule)));
    let redis = package("redis", user("redis", None));
    let odd = package("odd", user("odd-name", None));
    let fixed = package("fixed", user("fixed", Some(7777)));
    let alone = world.compose_all(&[], vec![odd.clone()]).expect("composed").composed.ids;
    let all = world.compose_all(&[], vec![redis, odd, fixed]).expect("composed");
    assert_eq!(alone.user("odd-name"), all.composed.ids.user("odd-name"));
    let odd = all.composed.ids.user("odd-name").expect("user").clone();
    assert!((20_000..60_000).contains(&odd.uid));
    assert_eq!((odd.uid, all.composed.ids.gid("odd-name")), (odd.gid, Some(odd.gid)));
    assert_eq!(all.composed.ids.user("fixed").map(|u| (u.uid, u.gid)), Some((7777, 7777)));
    assert_eq!(odd.supplementary, [all.composed.ids.gid("ssl-cert").expect("group")]);
    assert!(all.text("etc/group").contains(":fixed,odd-name,redis\n"));
    // Frozen: files in volumes belong to these numbers.
    assert_eq!((odd.uid, all.composed.ids.uid("redis")), (29_697, Some(206)));
}

#[test]
fn contradicting_numbers_name_both_packages() {
    let world = World::new();
    let package = |name: &str, rule: UserRule| world.package(name, Draw::default().with(|r| r.users.push(rule)));
    let one = package("one", user("same", Some(7000)));
    let two = package("two", user("same", Some(7001)));
    let error = world.compose_all(&[], vec![one.clone(), two]).err().expect("an error").to_string();
    assert!(error.contains("one@1") && error.contains("two@1"), "{error}");
    let other = package("other", user("different", Some(7000)));
    let error = world.compose_all(&[], vec![one, other]).err().expect("an error").to_string();
    assert!(error.contains("one@1") && error.contains("other@1") && error.contains("7000"), "{error}");
    let hostile = package("hostile", UserRule { home: "/x:/bin/sh\nroot2::0:0".to_owned(), ..user("h", None) });
    assert!(matches!(world.compose_all(&[], vec![hostile]), Err(ComposeError::BadRule { .. })));
}

#[test]
fn the_images_own_passwd_wins_and_unknown_owners_are_named() {
    let world = World::new();
    let owned = |owner: &str| Attributes { owner: Some(owner.to_owned()), ..Attributes::default() };
    let mut draw = world.draw(&[]).with(|r| r.users.push(user("svc", None)));
    draw.add("var/lib/svc", Entry::Directory, owned("svc"));
    let package = world.package("svc", draw);
    let own = [("etc/passwd", "root:x:0:0::/root:/bin/sh\napp:x:1500:1500::/srv:/bin/sh\n")];
    let made = world.compose_all(&own, vec![package.clone()]).expect("composed");
    assert!(made.at("etc/passwd").is_none());
    assert_eq!(made.text("etc/shadow"), "root:*::0:99999:7:::\napp:*::0:99999:7:::\n");
    assert_eq!(made.composed.ids.uid("app"), Some(1500));
    assert!(made.composed.ids.uid("svc").is_some());

    let mut draw = Draw::default();
    draw.add("srv/x", Entry::Directory, owned("nobody-knows"));
    let stray = world.package("stray", draw);
    let error = world.compose_all(&[], vec![stray]).err().expect("an error").to_string();
    assert!(
        error.contains("nobody-knows") && error.contains("debian.org/stray") && error.contains("/srv/x"),
        "{error}"
    );
    let bad = world.compose_all(&[("etc/passwd", "root:x:0\n")], vec![package]).err().expect("an error");
    assert_eq!(bad.to_string(), "/etc/passwd, line 1: a user has seven fields");
}

#[test]
fn files_below_an_alias_are_an_error_that_names_their_place() {
    let world = World::new();
    let error = world.compose_all(&[("bin/tool", "x")], vec![]).err().expect("an error").to_string();
    assert!(error.contains("place it at /usr/bin/tool"), "{error}");
}

#[test]
fn modes_of_directories_survive_a_passer_by() {
    let world = World::new();
    let made = world.compose_all(&[("root/.profile", "x"), ("tmp/x", "y")], vec![]).expect("composed");
    assert_eq!(made.at("root").expect("root").attributes.mode, Some(0o700));
    assert_eq!(made.at("tmp").expect("tmp").attributes.mode, Some(0o1777));
}

#[test]
fn the_highest_priority_wins_then_the_name() {
    let world = World::new();
    let provider = |name: &str, files: &[(&str, &str)], priority| {
        let rule = alternative("awk", "bin/awk", &format!("usr/bin/{name}"), priority);
        world.package(name, world.draw(files).with(|r| r.alternatives.push(rule)))
    };
    let mawk = provider("mawk", &[("usr/bin/mawk", "m"), ("usr/share/man/man1/mawk.1.gz", "m")], 5);
    let gawk = provider("gawk", &[("usr/bin/gawk", "g")], 10);
    let also = provider("also", &[("usr/bin/also", "a")], 10);
    let gone = provider("gone", &[], 99);
    let made = world.compose_all(&[], vec![mawk, gawk, also, gone]).expect("composed");
    assert_eq!(made.target("etc/alternatives/awk"), "/usr/bin/also");
    assert_eq!(made.target("usr/bin/awk"), "/etc/alternatives/awk");
    assert!(made.at("etc/alternatives/awk.1.gz").is_none());
    let expected = "auto\n/bin/awk\nawk.1.gz\n/usr/share/man/man1/awk.1.gz\n\n\
        /usr/bin/also\n10\n/usr/share/man/man1/also.1.gz\n/usr/bin/gawk\n10\n/usr/share/man/man1/gawk.1.gz\n\
        /usr/bin/mawk\n5\n/usr/share/man/man1/mawk.1.gz\n\n";
    assert_eq!(made.text("var/lib/dpkg/alternatives/awk"), expected);
}

#[test]
fn shells_are_listed_under_both_names() {
    let world = World::new();
    let bash = world.package(
        "bash",
        world.draw(&[("usr/bin/bash", ""), ("usr/share/debianutils/shells.d/bash", "/bin/bash\n/bin/rbash\n")]),
    );
    let zsh = world.package("zsh", world.draw(&[]).with(|r| r.shells.push("/bin/zsh".to_owned())));
    let made = world.compose_all(&[], vec![bash, zsh]).expect("composed");
    assert_eq!(
        made.text("etc/shells"),
        "# /etc/shells: valid login shells\n/bin/bash\n/bin/rbash\n/bin/zsh\n/usr/bin/bash\n/usr/bin/rbash\n/usr/bin/zsh\n"
    );
}

#[test]
fn only_pinned_composers_run() {
    let world = World::new();
    let plan = world.plan(Draw::default(), vec![]);
    let compose = |versions: &[(&str, u64)]| {
        let versions = versions.iter().map(|&(name, version)| (name.to_owned(), version)).collect();
        compose(&ComposeInput { plan: &plan, versions: &versions }, &world.contents)
    };
    let only = compose(&[("users", 1), ("python-bytecode", 1)]).expect("composed");
    assert!(only.files.iter().all(|file| file.composer == "users"));
    assert!(matches!(compose(&[("users", 2)]), Err(ComposeError::UnknownComposer { .. })));
    assert!(matches!(compose(&[("fortune", 1)]), Err(ComposeError::UnknownComposer { .. })));
}

#[test]
fn a_group_alone_can_be_declared() {
    let world = World::new();
    let rule = GroupRule { name: "wheel".to_owned(), gid: Some(900) };
    let package = world.package("wheel", Draw::default().with(|r| r.groups.push(rule)));
    let made = world.compose_all(&[], vec![package]).expect("composed");
    assert!(made.text("etc/group").ends_with("wheel:x:900:\n"));
    assert!(made.text("etc/gshadow").ends_with("wheel:!::\n"));
}

/// The kernel takes 2^32-1 for "as before": files and processes of such a user would be root's.
#[test]
fn the_number_that_is_nobodys_is_refused() {
    let world = World::new();
    for (path, text) in [
        ("etc/passwd", "app:x:4294967295:0::/:/bin/sh\n"),
        ("etc/passwd", "app:x:1:4294967295::/:/bin/sh\n"),
        ("etc/group", "app:x:4294967295:\n"),
        ("usr/share/base-passwd/group.master", "app:*:4294967295:\n"),
    ] {
        let error = world.compose_all(&[(path, text)], Vec::new()).err().expect("an error").to_string();
        assert_eq!(error, format!("/{path}, line 1: a number up to 4294967294 was expected"));
    }
    assert!(world.compose_all(&[("etc/group", "app:x:4294967294:\n")], Vec::new()).is_ok());
}

/// Found by a fuzz target's seed: three files that include each other were read 3^16 times.
#[test]
fn files_of_the_linkers_configuration_that_include_each_other_come_to_an_end() {
    let world = World::new();
    let all = "include /etc/ld.so.conf\ninclude /etc/ld.so.conf.d/*.conf\n/opt/a\n";
    let files = [("etc/ld.so.conf", all), ("etc/ld.so.conf.d/a.conf", all), ("etc/ld.so.conf.d/b.conf", all)];
    let made = world.compose(&world.plan(world.draw(&files), Vec::new())).expect("composed");
    assert!(made.at("etc/ld.so.cache").is_none());
}

/// A package that shares users, shells and alternatives with its neighbours.
fn neighbour(world: &World, seed: u8) -> Import {
    let name = format!("package{seed}");
    let binary = format!("usr/bin/tool{seed}");
    let control = format!("var/lib/dpkg/status.d/{name}");
    let text = format!("Package: {name}\nVersion: 1\nArchitecture: all\n");
    let draw = world.draw(&[(&binary, "x"), (&control, &text)]);
    let draw = draw.with(|rules| {
        rules.users.push(user(&format!("user{}", seed % 5), None));
        rules.users.push(user(&format!("other{seed}"), seed.is_multiple_of(3).then_some(3000 + u32::from(seed))));
        rules.shells.push(format!("/bin/shell{}", seed % 4));
        rules.alternatives.push(alternative("tool", "usr/bin/tool", &binary, i64::from(seed % 3)));
    });
    world.package(&name, draw)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn the_set_decides_and_not_its_order(
        (seeds, shuffled) in prop::collection::btree_set(0_u8..40, 0..12)
            .prop_map(|set| set.into_iter().collect::<Vec<u8>>())
            .prop_flat_map(|seeds| (Just(seeds.clone()), Just(seeds).prop_shuffle()))
    ) {
        let world = World::new();
        let imports = |seeds: &[u8]| seeds.iter().map(|&seed| neighbour(&world, seed)).collect::<Vec<_>>();
        let one = world.compose(&world.plan(Draw::default(), imports(&seeds))).expect("composed");
        let other = world.compose(&world.plan(Draw::default(), imports(&shuffled))).expect("composed");
        prop_assert_eq!(&one.composed, &other.composed);
        // Taking one package away renumbers nobody else.
        if let Some((_, fewer)) = seeds.split_last() {
            let fewer = world.compose(&world.plan(Draw::default(), imports(fewer))).expect("composed").composed.ids;
            for (name, user) in fewer.users() {
                prop_assert_eq!(Some(user.uid), one.composed.ids.uid(name));
            }
        }
    }
}
