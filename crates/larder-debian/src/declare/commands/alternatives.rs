//! `update-alternatives`, `dpkg-divert` and `dpkg-statoverride`.

use larder_store::fileset::{AlternativeRule, DiversionRule, Follower};

use crate::declare::effects::tree_path;
use crate::declare::walk::{Status, Value, Walk};

impl Walk<'_> {
    pub(super) fn update_alternatives(&mut self, words: &[Value]) -> Status {
        let asks = ["--list", "--query", "--display", "--get-selections", "--config"];
        let removes = ["--remove", "--remove-all", "--auto"];
        if words.iter().flatten().any(|w| asks.contains(&w.as_str())) {
            return None;
        }
        if words.iter().flatten().any(|w| removes.contains(&w.as_str())) {
            // On a fresh installation there is nothing to remove, and every choice is automatic.
            return Some(true);
        }
        let known = self.certain("update-alternatives", words)?;
        match rule(&known) {
            Some(rule) => {
                self.effects.alternatives.insert((rule.name.clone(), rule.path.clone()), rule);
            }
            None => self.not_understood("update-alternatives", words),
        }
        Some(true)
    }

    pub(super) fn divert(&mut self, words: &[Value]) -> Status {
        let asks = ["--list", "--listpackage", "--truename"];
        if words.iter().flatten().any(|w| asks.contains(&w.as_str())) {
            return None;
        }
        if words.iter().flatten().any(|w| w == "--remove") {
            return Some(true);
        }
        if words.iter().flatten().any(|w| w.ends_with(".usr-is-merged")) {
            // Guards the move of a file to /usr, which here has happened already.
            return Some(true);
        }
        let known = self.certain("dpkg-divert", words)?;
        let (mut to, mut path) = (None, None);
        let mut words_left = known.iter();
        while let Some(&word) = words_left.next() {
            match word {
                "--divert" => to = words_left.next().copied(),
                "--package" => _ = words_left.next(),
                "--add" | "--rename" | "--no-rename" | "--quiet" => {}
                _ if word.starts_with('/') && path.is_none() => path = Some(word),
                _ => path = None,
            }
        }
        let default = path.map(|path| format!("{path}.distrib"));
        let rule = path.and_then(tree_path).zip(to.or(default.as_deref()).and_then(tree_path));
        match rule {
            Some((path, to)) => _ = self.effects.diversions.insert(path.clone(), DiversionRule { path, to }),
            None => self.not_understood("dpkg-divert", words),
        }
        Some(true)
    }

    /// `dpkg-statoverride --update --add USER GROUP MODE PATH`; on a fresh system no override is listed.
    pub(super) fn statoverride(&mut self, words: &[Value]) -> Status {
        if words.iter().flatten().any(|w| w == "--list" || w == "--remove") {
            return Some(false);
        }
        let known = self.certain("dpkg-statoverride", words)?;
        let operands: Vec<&str> = known.iter().copied().filter(|w| !w.starts_with("--")).collect();
        let done = match operands.as_slice() {
            [owner, group, mode, path] => self.change(path, |node| {
                node.owner = Some((*owner).to_owned());
                node.group = Some((*group).to_owned());
                node.mode = u16::from_str_radix(mode, 8).ok();
            }),
            _ => false,
        };
        if !done {
            self.not_understood("dpkg-statoverride", words);
        }
        Some(true)
    }
}

fn rule(words: &[&str]) -> Option<AlternativeRule> {
    let mut rule: Option<AlternativeRule> = None;
    let mut words = words.iter().copied();
    while let Some(word) = words.next() {
        match word {
            "--quiet" | "--force" | "--skip-auto" | "--verbose" => {}
            "--install" if rule.is_none() => {
                let (link, name, path, priority) = (words.next()?, words.next()?, words.next()?, words.next()?);
                rule = Some(AlternativeRule {
                    name: name.to_owned(),
                    link: tree_path(link)?,
                    path: tree_path(path)?,
                    priority: priority.parse().ok()?,
                    followers: Vec::new(),
                });
            }
            "--slave" => {
                let (link, name, path) = (words.next()?, words.next()?, words.next()?);
                let follower = Follower { name: name.to_owned(), link: tree_path(link)?, path: tree_path(path)? };
                rule.as_mut()?.followers.push(follower);
            }
            _ => return None,
        }
    }
    let mut rule = rule?;
    rule.followers.sort();
    rule.followers.dedup();
    Some(rule)
}
