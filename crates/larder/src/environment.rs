//! Everything that Larder reads from the environment, in one place.
//!
//! | variable | meaning |
//! |---|---|
//! | `LARDER_ROOT` | the store's folder |
//! | `LARDER_CONFIG` | the configuration file, instead of the usual ones |
//! | `LARDER_KEYS` | the folder of keys, instead of the usual ones |
//! | `LARDER_KEY_PASSPHRASE_FILE` | a file that holds the passphrase of secret keys |
//! | `LARDER_DEBIAN_MIRROR` | the Debian archive's address, before configuration and apt sources |
//! | `LARDER_OFFLINE` | any value but `0`: never use the network |
//! | `XDG_DATA_HOME`, `XDG_CONFIG_HOME`, `HOME` | where an ordinary user's store and configuration are |
//! | `http_proxy`, `https_proxy` | proxies of the Debian archive |
//! | `PATH` | where another container runtime is looked for |
//! | `NO_COLOR`, `CLICOLOR_FORCE`, `TERM` | whether to colour, as everywhere |

use std::ffi::OsString;
use std::path::PathBuf;

/// The environment as it was when the program started.
#[derive(Debug, Default)]
pub(crate) struct Environment {
    /// `LARDER_ROOT`.
    pub(crate) root: Option<PathBuf>,
    /// `LARDER_CONFIG`.
    pub(crate) config: Option<PathBuf>,
    /// `LARDER_KEYS`.
    pub(crate) keys: Option<PathBuf>,
    /// `LARDER_KEY_PASSPHRASE_FILE`.
    pub(crate) passphrase_file: Option<PathBuf>,
    /// `LARDER_DEBIAN_MIRROR`.
    pub(crate) debian_mirror: Option<String>,
    /// `LARDER_OFFLINE`.
    pub(crate) offline: bool,
    /// `http_proxy`.
    pub(crate) http_proxy: Option<String>,
    /// `https_proxy`.
    pub(crate) https_proxy: Option<String>,
    /// Whether this is the superuser.
    pub(crate) superuser: bool,
    data_home: Option<PathBuf>,
    config_home: Option<PathBuf>,
    /// The terminal's type, for containers with a terminal.
    pub(crate) term: Option<String>,
}

impl Environment {
    /// Reads it.
    pub(crate) fn read() -> Self {
        let text = |name: &str| text(std::env::var_os(name));
        let path = |name: &str| text(name).map(PathBuf::from).filter(|path| path.is_absolute());
        let home = path("HOME");
        let below = |name: &str, rest: &str| path(name).or_else(|| home.as_ref().map(|home| home.join(rest)));
        Self {
            root: text("LARDER_ROOT").map(PathBuf::from),
            config: text("LARDER_CONFIG").map(PathBuf::from),
            keys: text("LARDER_KEYS").map(PathBuf::from),
            passphrase_file: text("LARDER_KEY_PASSPHRASE_FILE").map(PathBuf::from),
            debian_mirror: text("LARDER_DEBIAN_MIRROR"),
            offline: text("LARDER_OFFLINE").is_some_and(|value| value != "0"),
            http_proxy: text("http_proxy"),
            https_proxy: text("https_proxy"),
            superuser: rustix::process::geteuid().is_root(),
            data_home: below("XDG_DATA_HOME", ".local/share"),
            config_home: below("XDG_CONFIG_HOME", ".config"),
            term: text("TERM"),
        }
    }

    /// The store's folder when nothing names one; `None` for a user without a home.
    pub(crate) fn default_root(&self) -> Option<PathBuf> {
        if self.superuser { Some("/var/lib/larder".into()) } else { Some(self.data_home.as_ref()?.join("larder")) }
    }

    /// The configuration files to look for, the first that exists is read.
    pub(crate) fn config_files(&self) -> Vec<PathBuf> {
        let own = self.config_home.as_ref().map(|home| home.join("larder/config.toml"));
        own.into_iter().chain(["/etc/larder/config.toml".into()]).collect()
    }

    /// The folder of the caller's own keys, where there is a place for it, and those whose keys are trusted besides.
    pub(crate) fn key_folders(&self) -> (Option<PathBuf>, Vec<PathBuf>) {
        const SYSTEM: &str = "/etc/larder/keys";
        match &self.keys {
            Some(folder) => (Some(folder.clone()), Vec::new()),
            None if self.superuser => (Some(SYSTEM.into()), Vec::new()),
            None => (self.config_home.as_ref().map(|home| home.join("larder/keys")), vec![SYSTEM.into()]),
        }
    }
}

fn text(value: Option<OsString>) -> Option<String> {
    value.and_then(|value| value.into_string().ok()).filter(|value| !value.is_empty())
}

/// Where a program of the host is: in the folders of `PATH`, and in those of the administrator, which an ordinary user's `PATH` lacks.
pub(crate) fn find_program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain(["/usr/local/sbin", "/usr/sbin", "/sbin"].map(PathBuf::from));
    folders.filter(|folder| folder.is_absolute()).map(|folder| folder.join(name)).find(|program| program.is_file())
}

/// The caller's value of a variable, for `larder run --env NAME`.
pub(crate) fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}
