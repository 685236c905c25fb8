//! `[host]`: what a recipe asks of the machine that its result runs on. The table is the same in every kind of recipe.

use std::collections::BTreeSet;

use larder_runtime::features::{self, FEATURES};
use larder_runtime::launch::CAPABILITIES;
use larder_store::fileset::{HostAsks, KernelVersion, asks};
use thiserror::Error;
use toml::de::DeTable;

use super::source::Source;
use super::{RecipeError, ValueError};
use crate::size;

/// The keys of `[host]`.
pub(super) const KEYS: &[&str] = &["kernel", "features", "capabilities", "memory", "devices", "arch"];
/// The architectures that packages are made for, by Debian's names; `all` where nothing depends on it.
const ARCHITECTURES: &[&str] = &["all", "amd64", "arm64", "armhf", "i386", "ppc64el", "riscv64", "s390x"];

/// What `[host]` says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HostTable {
    /// What the record keeps.
    pub asks: HostAsks,
    /// The architectures that it is for, sorted; empty where it is for any. The record has the one that it was made for.
    pub architectures: Vec<String>,
}

impl HostTable {
    /// Whether it can be made for this architecture.
    pub fn fits(&self, architecture: &str) -> bool {
        self.architectures.is_empty() || self.architectures.iter().any(|one| one == architecture || one == "all")
    }
}

/// A value of `[host]` that breaks its key's rule.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum HostValueError {
    /// Not the oldest kernel that will do.
    #[error("{text:?} isn't the oldest kernel that will do")]
    Kernel {
        /// What was written.
        text: String,
    },
    /// Not a feature that this program can look for.
    #[error("this larder doesn't know how to probe {text:?}")]
    Feature {
        /// What was written.
        text: String,
        /// The feature whose name is nearest.
        nearest: Option<&'static str>,
    },
    /// Not a capability.
    #[error("{text:?} isn't a capability")]
    Capability {
        /// What was written.
        text: String,
        /// The capability whose name is nearest.
        nearest: Option<&'static str>,
    },
    /// Not an amount of memory.
    #[error("{text:?} isn't an amount of memory")]
    Memory {
        /// What was written.
        text: String,
    },
    /// Not a device.
    #[error("{text:?} isn't a device: it must be a path below /dev, without `.` and `..`")]
    Device {
        /// What was written.
        text: String,
    },
    /// Not an architecture.
    #[error("{text:?} isn't an architecture")]
    Architecture {
        /// What was written.
        text: String,
        /// The architecture whose name is nearest.
        nearest: Option<&'static str>,
    },
}

impl HostValueError {
    /// What to write instead.
    pub fn help(&self) -> String {
        let known = |nearest: &Option<&str>, all: &[&str]| match nearest {
            Some(nearest) => format!("did you mean \"{nearest}\"?"),
            None => format!("the known ones are {}", all.join(", ")),
        };
        match self {
            Self::Kernel { .. } => "write \">=\" and two or three numbers, such as \">=5.10\"".to_owned(),
            Self::Feature { nearest, .. } => {
                known(nearest, &FEATURES.iter().map(|feature| feature.name).collect::<Vec<_>>())
            }
            Self::Capability { nearest: Some(nearest), .. } => format!("did you mean \"{nearest}\"?"),
            Self::Capability { nearest: None, .. } => {
                "write its name without CAP_, such as \"NET_ADMIN\"; capabilities(7) lists them".to_owned()
            }
            Self::Memory { text } => {
                format!("write {:?}", size::nearest(text).unwrap_or_else(|| "512m".to_owned()))
            }
            Self::Device { .. } => "write a path such as \"/dev/net/tun\"".to_owned(),
            Self::Architecture { nearest, .. } => known(nearest, ARCHITECTURES),
        }
    }
}

impl Source<'_> {
    /// Reads the table.
    pub(super) fn host(&self, table: &DeTable<'_>) -> Result<HostTable, RecipeError> {
        self.only_keys("[host]", table, KEYS)?;
        Ok(HostTable {
            asks: HostAsks {
                kernel: self.parsed(table, "kernel", |text| Ok(kernel(text)?))?,
                features: self.set(table, "features", feature)?,
                capabilities: self.set(table, "capabilities", capability)?,
                memory: self.parsed(table, "memory", |text| Ok(memory(text)?))?.unwrap_or(0),
                devices: self.set(table, "devices", device)?,
            },
            architectures: self.set(table, "arch", architecture)?,
        })
    }

    fn set(
        &self,
        table: &DeTable<'_>,
        key: &'static str,
        parse: fn(&str) -> Result<String, HostValueError>,
    ) -> Result<Vec<String>, RecipeError> {
        let Some(value) = table.get(key) else { return Ok(Vec::new()) };
        let items = self.strings(key, value)?.map(|item| {
            let (text, range) = item?;
            parse(text).map_err(|error| self.bad(key, range, ValueError::from(error)))
        });
        Ok(items.collect::<Result<BTreeSet<_>, _>>()?.into_iter().collect())
    }
}

fn kernel(text: &str) -> Result<KernelVersion, HostValueError> {
    let wrong = || HostValueError::Kernel { text: text.to_owned() };
    text.strip_prefix(">=").ok_or_else(wrong)?.trim_start().parse().map_err(|_| wrong())
}

fn feature(text: &str) -> Result<String, HostValueError> {
    let names: Vec<_> = FEATURES.iter().map(|feature| feature.name).collect();
    match features::find(text) {
        Some(feature) => Ok(feature.name.to_owned()),
        None => Err(HostValueError::Feature { text: text.to_owned(), nearest: near(text, &names) }),
    }
}

/// Without `CAP_`, in capitals: people write all four.
fn capability(text: &str) -> Result<String, HostValueError> {
    let upper = text.to_uppercase();
    let name = upper.strip_prefix("CAP_").unwrap_or(&upper);
    match CAPABILITIES.contains(&name) {
        true => Ok(name.to_owned()),
        false => Err(HostValueError::Capability { text: text.to_owned(), nearest: near(name, &CAPABILITIES) }),
    }
}

fn memory(text: &str) -> Result<u64, HostValueError> {
    size::parse(text).filter(|&bytes| bytes > 0).ok_or_else(|| HostValueError::Memory { text: text.to_owned() })
}

fn device(text: &str) -> Result<String, HostValueError> {
    match asks::is_device(text) {
        true => Ok(text.to_owned()),
        false => Err(HostValueError::Device { text: text.to_owned() }),
    }
}

fn architecture(text: &str) -> Result<String, HostValueError> {
    match ARCHITECTURES.contains(&text) {
        true => Ok(text.to_owned()),
        false => Err(HostValueError::Architecture { text: text.to_owned(), nearest: near(text, ARCHITECTURES) }),
    }
}

/// The name that is nearest to a misspelled one, whatever its case and signs between words.
fn near(text: &str, names: &[&'static str]) -> Option<&'static str> {
    let plain = |text: &str| text.to_lowercase().replace('-', "_");
    let distance = |name: &str| strsim::damerau_levenshtein(&plain(text), &plain(name));
    let fine = |name: &&&'static str| distance(name) <= 1 + name.len() / 4;
    names.iter().filter(fine).min_by_key(|name| distance(name)).copied()
}
