//! What to do next after each error.

use larder_store::Kind;
use larder_store::plan::PlanError;

use super::{Error, hints};
use crate::asks::consent;
use crate::solve;

impl Error {
    /// What to do next, one sentence each; none where the message says it all.
    pub fn hints(&self) -> Vec<String> {
        let did_you_mean = |nearest: &[String]| match nearest {
            [] => None,
            names => Some(format!("did you mean {}?", names.join(" or "))),
        };
        let hint = match self {
            Self::UnknownDistribution { name } if solve::is_debians(name) => {
                Some("Debian's suites are known, such as debian.org/bookworm or debian.org/trixie".to_owned())
            }
            Self::UnknownDistribution { .. } => Some(
                "`larder build` its recipe first; Debian's suites are known, such as debian.org/bookworm".to_owned(),
            ),
            Self::NotInImage { nearest, .. } => {
                did_you_mean(nearest).or_else(|| Some("`larder inspect IMAGE` lists what is in an image".to_owned()))
            }
            Self::Unsolvable { failure, overrides, .. } => hints::unsolvable(failure, overrides),
            Self::DistributionLacks { .. } => Some(
                "say in `from` which distributions have it; `larder build` the recipes of packages of one's own first"
                    .to_owned(),
            ),
            Self::NothingToTest { .. } => {
                Some("say `run` in [test], or let the image or a package have the action `validate`".to_owned())
            }
            Self::TestWithout { distribution, .. } => Some(format!("add \"{distribution}\" to its `from`")),
            Self::DistributionImage { source, .. } | Self::TestNotRun { source, .. } => return source.hints(),
            Self::TestFailed { kind, log, .. } => {
                let skip = if *kind == Kind::Image { "; --no-test builds without the test" } else { "" };
                let log = log.display();
                Some(format!("the whole log is {log}; the name stands for what it did before{skip}"))
            }
            Self::TwoSuites { .. } => Some("leave one of them out of `from`".to_owned()),
            Self::NoBase { .. } => Some("add one of Debian's suites to `from`, or say base = \"none\"".to_owned()),
            Self::AmbiguousPackage { found, .. } => {
                let names: Vec<_> = found.iter().map(|(name, _)| format!("\"{name}\"")).collect();
                Some(format!("write the full name: {}", names.join(" or ")))
            }
            Self::PinnedTwice { .. } => Some("leave one of the two out of `from`".to_owned()),
            Self::BuiltAndPinned { .. } => {
                Some("take it out of `packages`, or leave the distribution out of `from`".to_owned())
            }
            Self::NoOwnPackage { nearest, .. } => did_you_mean(nearest).or_else(|| Some(hints::OWN_PACKAGE.to_owned())),
            Self::SeveralInImage { .. } => Some("write the full name".to_owned()),
            Self::SameName { .. } => Some("leave one of them out of `packages`".to_owned()),
            Self::NothingToReplace { nearest, .. } => did_you_mean(nearest),
            Self::DoesNotStandIn { of, .. } => {
                Some(hints::stand_in(&format!("let its recipe say stands-in-for = [\"{of}\"]")))
            }
            Self::LacksWhatItReplaces { .. } => Some(hints::stand_in("build it with what is missing")),
            Self::UnusedOverride { .. } => Some("take it out of [override]".to_owned()),
            Self::LockedMissing { name, .. } => Some(format!(
                "`larder build` the recipe of {name}, or `larder update {name}` to take what the store has"
            )),
            Self::LockOther { .. } => {
                Some("the lock was changed by hand: restore it, or delete it and build again".to_owned())
            }
            Self::NoImage { nearest, .. } => {
                did_you_mean(nearest).or_else(|| Some("`larder images` lists those that are here".to_owned()))
            }
            Self::NoRecord { name, present, .. } => {
                Some(format!("it has {}; `larder history {name}` lists its records", present.join(", ")))
            }
            Self::NoTarget { nearest, .. } => {
                did_you_mean(nearest).or_else(|| Some("`larder images` lists the images that are here".to_owned()))
            }
            Self::NoPath { image, .. } => Some(format!("`larder files {image}` lists what is there")),
            Self::BelowFile { .. } => Some("put the file somewhere else".to_owned()),
            Self::NoDistribution { .. } => Some("say `from` in its recipe, and build it".to_owned()),
            Self::Verification { .. } => Some(
                "add the package that has what is missing, or put a file of your own there with [files]".to_owned(),
            ),
            Self::Plan(PlanError::Link { owner, other, .. }) if owner == other => None,
            Self::Plan(PlanError::Conflict { .. } | PlanError::Link { .. }) => {
                Some("leave one of the two out, or put a file of your own there with [files]".to_owned())
            }
            Self::Build(error) => return error.hints(),
            Self::Capture(error) => error.hint(),
            Self::Debian(error) => return hints::debian(error).into_iter().collect(),
            Self::Store(error) => return hints::store(error).into_iter().collect(),
            Self::NoLock { .. } => Some("build once without --locked, and keep the lock".to_owned()),
            Self::LockArchitecture { .. } => {
                Some("build without --locked to write the lock for this machine".to_owned())
            }
            Self::LockBuilt { .. } => Some("build without --locked to take what its recipe has become".to_owned()),
            Self::LockMismatch { .. } => Some("build without --locked to write the lock anew".to_owned()),
            Self::LockDigest { .. } => Some(
                "the lock was changed by hand, or by another version of larder: build without the lock to compare"
                    .to_owned(),
            ),
            Self::UnknownRule { .. } => Some("use the larder that wrote the lock, or a newer one".to_owned()),
            Self::RecipeArchitecture { host, .. } => {
                Some(format!("build it on such a machine, or add \"{host}\" to `arch` of its [host]"))
            }
            Self::NothingToRun { .. } => {
                Some("say it after two dashes: larder run IMAGE -- COMMAND, or set `run` in the recipe".to_owned())
            }
            Self::HostLacks { .. } => Some("`larder inspect IMAGE` shows what asks for what".to_owned()),
            Self::NotAllowed { name, asks, .. } => Some(consent::how_to_allow(name.as_str(), asks)),
            Self::NewAsks { .. } => Some(
                "look at who asks for it; `larder build` and `larder update` accept it with --accept-asks".to_owned(),
            ),
            Self::NoAction { known, .. } if known.is_empty() => {
                Some("actions stand in [actions] of a recipe, the image's or a package's".to_owned())
            }
            Self::NoAction { known, .. } => Some(format!("it has {}", known.join(", "))),
            Self::AmbiguousAction { action, .. } => {
                Some(format!("say it in the image's recipe: [actions] {action} = [\"PROGRAM\", \"ARGUMENT\"]"))
            }
            Self::TestPackages { .. } => {
                Some("leave out of [test] what changes it, or update the image first".to_owned())
            }
            Self::Import(error) => error.help().map(str::to_owned),
            Self::Recipe(error) => error.help(),
            Self::Key(error) => error.hint(),
            Self::Runtime(error) => error.remedy().map(str::to_owned),
            Self::TakeIn { source, .. } => return source.hints(),
            Self::Package { source, .. } => {
                return source.hints().into_iter().chain([hints::REFUSED_PACKAGE.to_owned()]).collect();
            }
            _ => None,
        };
        hint.into_iter().collect()
    }
}
