//! The composer `alternatives`: what `update-alternatives` would have set up, every group in automatic mode.
//!
//! The provider with the highest priority wins; of equals, the one whose path sorts first. (Debian keeps the one
//! installed first, which depends on order.) A provider whose path isn't in the image is left out, as is a
//! follower's; a link that a package or the image's own files already have is left alone: both as
//! `update-alternatives` does it. `/var/lib/dpkg/alternatives/NAME` is its administrative file (deb-alternatives,
//! dpkg's `update-alternatives.c`), so that `update-alternatives --display` works inside.

use std::collections::BTreeMap;

use larder_store::TreePath;
use larder_store::fileset::AlternativeRule;

use super::{ComposeError, Draft, draft};

/// The providers of one name.
#[derive(Default)]
struct Group<'a> {
    /// By path, with the package that declares it.
    providers: BTreeMap<&'a TreePath, (&'a AlternativeRule, String)>,
}

pub(super) fn compose(draft: &mut Draft<'_>) -> Result<(), ComposeError> {
    let plan = draft.plan();
    let mut groups: BTreeMap<&str, Group<'_>> = BTreeMap::new();
    let mut rules: Vec<(String, &AlternativeRule)> = plan
        .rules()
        .flat_map(|(source, rules)| rules.alternatives.iter().map(move |rule| (source, rule)))
        .map(|(source, rule)| (draft::owner(&plan.sources[source]), rule))
        .collect();
    rules.sort();
    for (package, rule) in rules {
        check(&package, rule)?;
        if draft.resolve(rule.path.as_bytes()).is_none() {
            continue;
        }
        // Two declarations of one path: the higher priority; of equals, the package that sorts first.
        let providers = &mut groups.entry(&rule.name).or_default().providers;
        if providers.get(&rule.path).is_none_or(|(other, _)| other.priority < rule.priority) {
            providers.insert(&rule.path, (rule, package));
        }
    }
    for (name, group) in &groups {
        write_group(draft, name, group)?;
    }
    Ok(())
}

fn write_group(draft: &mut Draft<'_>, name: &str, group: &Group<'_>) -> Result<(), ComposeError> {
    // `min_by_key` keeps the first of equals, and providers are sorted by path.
    let Some((chosen, _)) = group.providers.values().min_by_key(|(rule, _)| std::cmp::Reverse(rule.priority)) else {
        return Ok(());
    };
    install(draft, name, &chosen.link, &chosen.path)?;
    for follower in &chosen.followers {
        if draft.resolve(follower.path.as_bytes()).is_some() {
            install(draft, &follower.name, &follower.link, &follower.path)?;
        }
    }
    let admin = admin_file(chosen, group);
    draft.file(&format!("var/lib/dpkg/alternatives/{name}"), &admin)
}

/// The public link, the link behind it, and what that points to.
fn install(draft: &mut Draft<'_>, name: &str, link: &TreePath, path: &TreePath) -> Result<(), ComposeError> {
    let behind = format!("etc/alternatives/{name}");
    draft.link(behind.as_bytes(), &absolute(path))?;
    draft.link(link.as_bytes(), format!("/{behind}").as_bytes())
}

/// Mode, generic link, followers with their links; then each provider with its priority and its followers' paths.
fn admin_file(chosen: &AlternativeRule, group: &Group<'_>) -> Vec<u8> {
    // A follower's link is the chosen provider's word, else that of the first that has it.
    let mut followers: BTreeMap<&str, &TreePath> = BTreeMap::new();
    for rule in [chosen].into_iter().chain(group.providers.values().map(|(rule, _)| *rule)) {
        for follower in &rule.followers {
            followers.entry(&follower.name).or_insert(&follower.link);
        }
    }
    let mut lines: Vec<Vec<u8>> = vec![b"auto".to_vec(), absolute(&chosen.link)];
    for (name, link) in &followers {
        lines.extend([name.as_bytes().to_vec(), absolute(link)]);
    }
    lines.push(Vec::new());
    for (path, (rule, _)) in &group.providers {
        lines.extend([absolute(path), rule.priority.to_string().into_bytes()]);
        for name in followers.keys() {
            let follower = rule.followers.iter().find(|follower| follower.name == *name);
            lines.push(follower.map(|follower| absolute(&follower.path)).unwrap_or_default());
        }
    }
    lines.push(Vec::new());
    lines.iter().flat_map(|line| [line, b"\n".as_slice()]).collect::<Vec<_>>().concat()
}

fn absolute(path: &TreePath) -> Vec<u8> {
    [b"/", path.as_bytes()].concat()
}

/// Refuses what the administrative file can't hold, or what would leave its folder.
fn check(package: &str, rule: &AlternativeRule) -> Result<(), ComposeError> {
    let names = rule.followers.iter().map(|follower| &follower.name).chain([&rule.name]);
    let mut paths = rule.followers.iter().flat_map(|f| [&f.link, &f.path]).chain([&rule.link, &rule.path]);
    let bad_name = |name: &String| name.is_empty() || name.contains(['/', '\n', '\0']) || name.starts_with('.');
    let reason = if names.into_iter().any(bad_name) {
        "a name is empty, hidden or has a slash"
    } else if paths.any(|path| path.as_bytes().contains(&b'\n')) {
        "a path holds a line end"
    } else {
        return Ok(());
    };
    let what = format!("the alternative {:?}", rule.name);
    Err(ComposeError::BadRule { package: package.to_owned(), what, reason })
}
