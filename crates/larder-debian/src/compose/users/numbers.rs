//! Which number each name gets.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use larder_store::ObjectDigest;

use super::super::ComposeError;
use super::{Accounts, Group, Origin, known};

/// The numbers that are derived from names.
pub(super) const DERIVED: Range<u32> = 20_000..60_000;

/// The settled numbers.
#[derive(Debug, Default)]
pub(super) struct Numbers {
    pub(super) users: BTreeMap<String, u32>,
    pub(super) groups: BTreeMap<String, u32>,
}

impl Numbers {
    /// Gives every name its number.
    pub(super) fn settle(accounts: &Accounts) -> Result<Self, ComposeError> {
        let mut numbers = Self::default();
        let mut uids: BTreeMap<u32, (&str, &str)> = BTreeMap::new();
        let mut gids: BTreeMap<u32, (&str, &str)> = BTreeMap::new();
        let users = accounts.users.iter().map(|(name, a)| (name.as_str(), a.origin, a.by.as_str(), a.uid));
        let groups = accounts.groups.iter().map(|(name, g)| (name.as_str(), g.origin, g.by.as_str(), g.gid));
        take_stated(users.clone(), &mut uids, &mut numbers.users)?;
        take_stated(groups.clone(), &mut gids, &mut numbers.groups)?;

        let open: BTreeSet<&str> = users.chain(groups).filter(|open| open.3.is_none()).map(|open| open.0).collect();
        // A user of a stated number gives it to the group of the same name, and the other way round, where it is free.
        for &name in &open {
            let stated = numbers.users.get(name).or(numbers.groups.get(name)).copied();
            let free = |n: u32, numbers: &Self| {
                (numbers.users.contains_key(name) || !uids.contains_key(&n))
                    && (numbers.groups.contains_key(name) || !gids.contains_key(&n))
            };
            let wanted = stated.into_iter().chain(known::number(name)).chain(derived(name));
            // The derived numbers go through the whole range before they end, and no image has that many users.
            let Some(number) = wanted.into_iter().find(|&n| free(n, &numbers)) else { continue };
            if accounts.users.contains_key(name) && !numbers.users.contains_key(name) {
                numbers.users.insert(name.to_owned(), number);
                uids.insert(number, (name, ""));
            }
            if accounts.groups.contains_key(name) && !numbers.groups.contains_key(name) {
                numbers.groups.insert(name.to_owned(), number);
                gids.insert(number, (name, ""));
            }
        }
        Ok(numbers)
    }

    pub(super) fn gid(&self, group: &Group) -> u32 {
        match group {
            Group::Number(gid) => *gid,
            Group::Name(name) => self.groups[name],
        }
    }
}

/// Takes stated numbers; a declared one must not meet another name's.
fn take_stated<'a>(
    stated: impl Iterator<Item = (&'a str, Origin, &'a str, Option<u32>)> + Clone,
    taken: &mut BTreeMap<u32, (&'a str, &'a str)>,
    numbers: &mut BTreeMap<String, u32>,
) -> Result<(), ComposeError> {
    let mut stated: Vec<_> = stated.filter_map(|(name, origin, by, n)| Some((origin, name, by, n?))).collect();
    stated.sort_unstable();
    for (origin, name, by, number) in stated {
        if let Some((other, second)) = taken.get(&number)
            && origin == Origin::Declared
        {
            return Err(ComposeError::ClashingIds {
                first: by.to_owned(),
                name: name.to_owned(),
                number,
                second: (*second).to_owned(),
                clash: format!("it for {other:?}"),
            });
        }
        taken.entry(number).or_insert((name, by));
        numbers.insert(name.to_owned(), number);
    }
    Ok(())
}

/// The numbers that are tried for a name, in order.
fn derived(name: &str) -> impl Iterator<Item = u32> {
    let digest = move |attempt: u32| {
        let digest = ObjectDigest::of(format!("larder user {attempt} {name}").as_bytes());
        let mut first = [0; 8];
        first.copy_from_slice(&digest.as_bytes()[..8]);
        DERIVED.start + (u64::from_be_bytes(first) % u64::from(DERIVED.end - DERIVED.start)) as u32
    };
    (0..1_000_000).map(digest)
}
