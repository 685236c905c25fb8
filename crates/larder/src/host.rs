//! From flags, environment and configuration to the [`Host`] that operations work on.
//!
//! Flags win over the environment, the environment over the configuration, and that over what the machine itself says.

use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use larder_lib::config::Settings;
use larder_lib::debian::{Config, Mirrors, Proxies};
use larder_lib::keys::Keys;
use larder_lib::{Host, Store, run};

use crate::cli::Context;
use crate::failure::Failure;
use crate::passphrase::Asker;

/// Where apt's sources are.
const APT: &str = "/etc/apt";

impl Context {
    /// Opens the host, and removes what containers that were killed have left.
    pub(crate) fn host(&self) -> Result<Host, Failure> {
        let settings = self.settings()?;
        let root = self.root.clone().or(self.environment.root.clone()).or(settings.root.clone());
        let root = root.or_else(|| self.environment.default_root()).ok_or_else(|| {
            Failure::plain("there is no place for the store: this user has no home directory")
                .hint("name one with --root or LARDER_ROOT")
        })?;
        let absolute = std::path::absolute(&root);
        let root =
            absolute.map_err(|error| Failure::plain(format!("can't use the store {}: {error}", root.display())))?;
        let store = Store::open(&root).map_err(larder_lib::Error::from)?;
        let host = Host {
            debian: self.debian(&settings, store.root().join("cache/debian")),
            distribution: settings.distribution,
            keys: self.keys(),
            view: settings.view,
            allow: settings.allow,
            program: std::env::current_exe()
                .map_err(|error| Failure::plain(format!("can't find larder's own program: {error}")))?,
            now: SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs()),
            store,
        };
        run::collect(&host)?;
        Ok(host)
    }

    /// The keys that sign here and those that are trusted.
    pub(crate) fn keys(&self) -> Keys {
        let (own, others) = self.environment.key_folders();
        Keys::new(own, others, Box::new(Asker { file: self.environment.passphrase_file.clone() }))
    }

    fn settings(&self) -> Result<Settings, Failure> {
        let named = self.config.clone().or(self.environment.config.clone());
        let files = named.clone().map_or_else(|| self.environment.config_files(), |file| vec![file]);
        for file in files {
            match std::fs::read_to_string(&file) {
                Ok(text) => return parse(&file, &text),
                Err(error) if named.is_none() && error.kind() == std::io::ErrorKind::NotFound => {}
                Err(error) => return Err(Failure::plain(format!("can't read {}: {error}", file.display()))),
            }
        }
        Ok(Settings::default())
    }

    fn debian(&self, settings: &Settings, cache: PathBuf) -> Config {
        let explicit = |main: &str, security: Option<&String>| Mirrors::Explicit {
            main: main.to_owned(),
            security: security.cloned(),
        };
        let mirrors = match (&self.environment.debian_mirror, &settings.debian.mirror) {
            (Some(main), _) => explicit(main, None),
            (None, Some(main)) => explicit(main, settings.debian.security_mirror.as_ref()),
            (None, None) => Mirrors::Apt(APT.into()),
        };
        let mut config = Config::new(mirrors, cache, larder_lib::architecture());
        config.keyrings.clone_from(&settings.debian.keyrings);
        config.offline = self.environment.offline;
        config.proxies = Proxies {
            http: self.environment.http_proxy.clone().or(settings.debian.proxy.clone()),
            https: self.environment.https_proxy.clone().or(settings.debian.proxy.clone()),
        };
        config
    }
}

fn parse(file: &Path, text: &str) -> Result<Settings, Failure> {
    Settings::parse(file, text)
        .map_err(|error| Failure::plain(error.to_string()).hint("docs/configuration.md lists the keys"))
}
