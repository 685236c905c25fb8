//! The configuration file: where the store is, which distribution short names mean, where the archive is.
//!
//! Everything has a default, so most machines have no such file. The library is told the text; which file it came from
//! and what the environment says is the caller's business.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use larder_runtime::view::ViewKindName;
use larder_store::Name;
use serde::Deserialize;
use thiserror::Error;

use crate::asks::consent::{Grant, GrantError};

/// The distribution in which short names are looked up when nothing else is said.
pub const DEFAULT_DISTRIBUTION: &str = "debian.org/bookworm";

/// What a configuration file says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// The store's folder, where it isn't the default.
    pub root: Option<PathBuf>,
    /// The distribution of images that name none.
    pub distribution: Name,
    /// The only way in which views may be made; the first that works when absent.
    pub view: Option<ViewKindName>,
    /// What images may have beyond the defaults, by name.
    pub allow: BTreeMap<Name, BTreeSet<Grant>>,
    /// How to reach the Debian archive.
    pub debian: DebianSettings,
}

/// How to reach the Debian archive, where the machine's apt sources aren't to be used.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DebianSettings {
    /// The mirror's address.
    pub mirror: Option<String>,
    /// The address of the security archive, where it isn't beside the mirror.
    pub security_mirror: Option<String>,
    /// The keyrings to trust instead of the system's.
    pub keyrings: Vec<PathBuf>,
    /// Proxies, as addresses, for `http` and `https` mirrors.
    pub proxy: Option<String>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            root: None,
            distribution: Name::parse(DEFAULT_DISTRIBUTION).unwrap_or_else(|_| unreachable!("the constant is a name")),
            view: None,
            allow: BTreeMap::new(),
            debian: DebianSettings::default(),
        }
    }
}

/// A configuration file that can't be used.
#[derive(Debug, Error)]
#[error("the configuration {} can't be used: {reason}", file.display())]
pub struct SettingsError {
    /// The file.
    pub file: PathBuf,
    /// What is wrong, with line and column where that is known.
    pub reason: String,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct Wire {
    root: Option<PathBuf>,
    distribution: Option<String>,
    view: Option<String>,
    allow: BTreeMap<String, Vec<String>>,
    debian: WireDebian,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
struct WireDebian {
    mirror: Option<String>,
    security_mirror: Option<String>,
    keyrings: Vec<PathBuf>,
    proxy: Option<String>,
}

impl Settings {
    /// Parses a configuration's text; `file` names it in errors.
    ///
    /// # Errors
    /// Text that is not TOML, unknown keys, a distribution that is no name, a store that isn't absolute.
    pub fn parse(file: &Path, text: &str) -> Result<Self, SettingsError> {
        let wrong = |reason: String| SettingsError { file: file.to_owned(), reason };
        let wire: Wire = toml::from_str(text).map_err(|e| wrong(e.to_string().trim_end().to_owned()))?;
        let mut settings = Self::default();
        if let Some(text) = wire.distribution {
            settings.distribution = Name::parse(&text).map_err(|e| wrong(e.to_string()))?;
        }
        if let Some(root) = wire.root.as_ref().filter(|root| !root.is_absolute()) {
            return Err(wrong(format!("root = {:?} is not an absolute path", root.display())));
        }
        if let Some(name) = wire.view {
            let names = || ViewKindName::ALL.map(ViewKindName::as_str).join(", ");
            let view = ViewKindName::parse(&name);
            settings.view = Some(view.ok_or_else(|| wrong(format!("view = {name:?} is none of {}", names())))?);
        }
        for (text, grants) in wire.allow {
            let name = Name::parse(&text).map_err(|e| wrong(format!("[allow] {e}")))?;
            let grants = grants.iter().map(|grant| grant.parse()).collect::<Result<_, GrantError>>();
            settings.allow.insert(name, grants.map_err(|e| wrong(format!("[allow] {text:?}: {e}")))?);
        }
        Ok(Self {
            root: wire.root,
            debian: DebianSettings {
                mirror: wire.debian.mirror,
                security_mirror: wire.debian.security_mirror,
                keyrings: wire.debian.keyrings,
                proxy: wire.debian.proxy,
            },
            ..settings
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_has_a_default() {
        assert_eq!(Settings::parse(Path::new("c"), "").expect("empty"), Settings::default());
    }

    #[test]
    fn what_is_said_is_kept_and_what_is_unknown_is_refused() {
        let text =
            "root = '/x'\ndistribution = 'debian.org/trixie'\nview = 'checkout'\n[debian]\nmirror = 'file:///m'\n";
        let settings = Settings::parse(Path::new("c"), text).expect("settings");
        let allowed =
            Settings::parse(Path::new("c"), "[allow]\n'example.com/vpn' = ['cap:NET_ADMIN']\n").expect("settings");
        assert_eq!(allowed.allow.len(), 1);
        assert_eq!(settings.root.as_deref(), Some(Path::new("/x")));
        assert_eq!(settings.distribution.as_str(), "debian.org/trixie");
        assert_eq!(settings.view, Some(ViewKindName::Checkout));
        assert_eq!(settings.debian.mirror.as_deref(), Some("file:///m"));
        for wrong in [
            "[allow]\nvpn = []",
            "[allow]\n'example.com/vpn' = ['NET_ADMIN']",
            "rot = '/x'",
            "root = 'x'",
            "distribution = 'bookworm'",
            "view = 'overlay'",
            "[debian]\nmiror = 'x'",
            "=",
        ] {
            let error = Settings::parse(Path::new("c.toml"), wrong).expect_err(wrong).to_string();
            assert!(error.starts_with("the configuration c.toml can't be used: "), "{error}");
        }
    }
}
