//! The sources that a statement names: what is kept of them, and what their addresses have today.

use std::collections::BTreeMap;
use std::path::PathBuf;

use larder_debian::distribution::SourceClaim;
use larder_store::{FileSet, Sha256Digest};

use super::{LinkKind, State, Walk, hash, is_damage};
use crate::package::{self, KEY_SCHEME, Kept, POOL, PackageError};
use crate::provenance::statement::Statement;
use crate::provenance::{Dependency, TREE};
use crate::{Error, Result};

/// A source's digests, by algorithm.
type Digests = BTreeMap<String, String>;

impl Walk<'_> {
    /// Looks at the sources of what was made, and at their publisher's signature.
    pub(super) fn sources(&mut self, number: usize, record: &FileSet, statement: &Statement) -> Result<()> {
        let recipe = package::recipe_of(statement);
        let kept = recipe.map_or(Ok(None), |recipe| package::kept(&self.host.store, &record.digest(), &recipe))?;
        let claim = package::source_claimed(statement);
        let mut fetched = Vec::new();
        let mut signer = None;
        for dependency in &statement.facts.dependencies {
            let Dependency::Source { uri, digests } = dependency else { continue };
            // The Tree is the record's own, and was read with the contents.
            if digests.get(TREE) == Some(&record.tree.hex()) {
                continue;
            }
            signer = signer.or(uri.strip_prefix(KEY_SCHEME));
            // They are links of their own, as those of a `.deb` are.
            if claim.is_some() && uri.starts_with("dists/") {
                continue;
            }
            let state = match self.kept(kept.as_ref(), digests)? {
                Some(state) => state,
                None => match self.fetched((uri, digests), claim.as_ref())? {
                    Ok(path) => {
                        fetched.push((uri, path));
                        State::Holds
                    }
                    Err(state) => state,
                },
            };
            self.say(number, LinkKind::Source(uri.clone()), state);
        }
        if let Some(claim) = &claim {
            let again = self.rechecker.recheck_source(claim)?;
            self.say(number, LinkKind::List, again.list.into());
            self.say(number, LinkKind::Release, again.release.into());
        }
        if let Some(signer) = signer {
            let state = match (&kept.and_then(|kept| kept.publisher), fetched.first()) {
                (None, _) => State::NotChecked(format!("{signer} signed the source; the signature isn't kept here")),
                (_, None) => {
                    let when = if self.options.fetch { "it can't be" } else { "--fetch has it" };
                    State::NotChecked(format!(
                        "{signer} had signed the source when it was fetched; {when} fetched again"
                    ))
                }
                (Some(publisher), Some((uri, path))) => match publisher.check(self.host, uri, path) {
                    Ok(found) if found == signer => State::Holds,
                    Ok(found) => State::Broken(format!("{found} signed the source, and the statement names {signer}")),
                    Err(Error::Build(error)) => State::broken(*error),
                    Err(error) => return Err(error),
                },
            };
            self.say(number, LinkKind::Publisher, state);
        }
        for (_, path) in fetched {
            // It was fetched for this alone; one that stays is only a file in the cache.
            _ = std::fs::remove_file(path);
        }
        Ok(())
    }

    /// How a source is that is kept with the package; `None` where it isn't kept.
    fn kept(&mut self, kept: Option<&Kept>, digests: &Digests) -> Result<Option<State>> {
        let Some(kept) = kept else { return Ok(None) };
        if digests.get("sha256").is_some_and(|wanted| kept.files().iter().any(|digest| digest.hex() == *wanted)) {
            return Ok(Some(State::Holds));
        }
        if digests.get(package::SOURCE_TREE) != Some(&kept.sources.digest().hex()) {
            return Ok(None);
        }
        for (object, size) in kept.sources.files() {
            if self.hashed.contains(&object) {
                continue;
            }
            match hash(&self.host.store, &object, size) {
                Ok(true) => _ = self.hashed.insert(object),
                Ok(false) => return Ok(Some(State::Broken(format!("the content {object} was altered")))),
                Err(error) if is_damage(&error) => return Ok(Some(State::broken(error))),
                Err(error) => return Err(error.into()),
            }
        }
        Ok(Some(State::Holds))
    }

    /// Fetches a source that isn't kept, if that was asked for: where it is, or how the link is without it.
    fn fetched(
        &self,
        (uri, digests): (&str, &Digests),
        claim: Option<&SourceClaim>,
    ) -> Result<std::result::Result<PathBuf, State>> {
        let pinned: Vec<_> = digests.iter().map(|(algorithm, digest)| format!("{algorithm}:{digest}")).collect();
        let not_kept = State::NotChecked(format!("it is pinned by {}, and not kept here", pinned.join(", ")));
        let sha256 = digests.get("sha256").and_then(|hex| Sha256Digest::from_hex(hex).ok());
        let is_address = ["https://", "http://", "file:///"].iter().any(|scheme| uri.starts_with(scheme));
        let claim = claim.filter(|_| uri.starts_with(POOL));
        let is_address = is_address || claim.is_some();
        let Some(sha256) = sha256.filter(|_| self.options.fetch && is_address) else { return Ok(Err(not_kept)) };
        let mirrors = claim.map_or_else(|| Ok(Vec::new()), |claim| package::mirrors(self.host, &claim.suite))?;
        let url = mirrors.first().map_or_else(|| uri.to_owned(), |mirror| format!("{mirror}/{uri}"));
        match package::fetch_file(self.host, (&url, &sha256), self.progress) {
            Ok(path) => Ok(Ok(path)),
            Err(Error::Build(error)) => {
                let is_other = matches!(*error, PackageError::SourceDigest { .. });
                let (broken, said) = (State::broken(&*error), error.to_string());
                let why = broken.reason().unwrap_or(&said).to_owned();
                Ok(Err(if is_other { broken } else { State::NotChecked(why) }))
            }
            Err(error) => Err(error),
        }
    }
}
