//! What goes beyond what every container gets, and the operator's consent to it.
//!
//! Consent is given for one start by a flag, or in the configuration file for an image by its name. It is recorded nowhere
//! else. What the configuration allows is given where something asks for it; what a flag allows is given in any case, because
//! somebody has just said so.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use larder_runtime::launch::{CAPABILITIES, DEFAULT_CAPABILITIES};
use larder_store::fileset::asks;
use thiserror::Error;

use super::{Ask, Asking};

/// The devices that every container has.
const EVERYWHERE: &[&str] =
    &["/dev/full", "/dev/null", "/dev/random", "/dev/tty", "/dev/urandom", "/dev/zero", "/dev/ptmx"];

/// Something that an operator can allow: `cap:NET_ADMIN`, `device:/dev/fuse`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Grant {
    /// A capability, without `CAP_`.
    Capability(String),
    /// A device of the host.
    Device(String),
}

/// A text that allows nothing.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{text:?} is nothing that can be allowed: {reason}")]
pub struct GrantError {
    /// What was written.
    pub text: String,
    /// The rule that it breaks.
    pub reason: &'static str,
}

impl Grant {
    /// What has to be allowed for an ask to be met; `None` where every container has it.
    pub fn needed(ask: &Ask) -> Option<Self> {
        let default = |name: &str| DEFAULT_CAPABILITIES.iter().any(|default| default.to_string() == name);
        match ask {
            Ask::Capability(name) if !default(name) => Some(Self::Capability(name.clone())),
            Ask::Device(path) if !EVERYWHERE.contains(&path.as_str()) => Some(Self::Device(path.clone())),
            Ask::Kernel(_) | Ask::Memory(_) | Ask::Feature(_) | Ask::Capability(_) | Ask::Device(_) => None,
        }
    }
}

impl fmt::Display for Grant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Capability(name) => write!(f, "cap:{name}"),
            Self::Device(path) => write!(f, "device:{path}"),
        }
    }
}

impl FromStr for Grant {
    type Err = GrantError;

    fn from_str(text: &str) -> Result<Self, GrantError> {
        let wrong = |reason| GrantError { text: text.to_owned(), reason };
        match text.split_once(':') {
            Some(("cap", name)) => {
                let upper = name.to_uppercase();
                let name = upper.strip_prefix("CAP_").unwrap_or(&upper);
                let known = CAPABILITIES.contains(&name);
                known.then(|| Self::Capability(name.to_owned())).ok_or_else(|| wrong("there is no such capability"))
            }
            Some(("device", path)) if asks::is_device(path) => Ok(Self::Device(path.to_owned())),
            Some(("device", _)) => Err(wrong("a device is a path below /dev, without `.` and `..`")),
            _ => Err(wrong("write cap:NAME or device:PATH, such as cap:NET_ADMIN or device:/dev/fuse")),
        }
    }
}

/// What the operator allows an image.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Allowed<'a> {
    /// For this start.
    pub(crate) flags: &'a BTreeSet<Grant>,
    /// For every start of the image.
    pub(crate) configured: Option<&'a BTreeSet<Grant>>,
}

/// What a container gets.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Given {
    /// Capabilities of the workload as whichever user it runs.
    pub(crate) capabilities: Vec<String>,
    /// Devices besides those that every container has.
    pub(crate) devices: Vec<String>,
    /// What of it the operator had to allow.
    pub(crate) beyond: BTreeSet<Grant>,
}

impl Given {
    /// What is given of what is asked, with what a flag adds.
    pub(crate) fn of(all: &[Asking], allowed: Allowed<'_>) -> Self {
        let mut capabilities = BTreeSet::new();
        let mut beyond = allowed.flags.clone();
        for asking in all {
            match (Grant::needed(&asking.ask), &asking.ask) {
                (Some(grant), _) if allowed.allows(&grant) => drop(beyond.insert(grant)),
                (None, Ask::Capability(name)) => drop(capabilities.insert(name.clone())),
                _ => {}
            }
        }
        let mut devices = Vec::new();
        for grant in &beyond {
            match grant {
                Grant::Capability(name) => drop(capabilities.insert(name.clone())),
                Grant::Device(path) if EVERYWHERE.contains(&path.as_str()) => {}
                Grant::Device(path) => devices.push(path.clone()),
            }
        }
        Self { capabilities: capabilities.into_iter().collect(), devices, beyond }
    }
}

impl Allowed<'_> {
    fn allows(&self, grant: &Grant) -> bool {
        self.flags.contains(grant) || self.configured.is_some_and(|set| set.contains(grant))
    }

    /// The asks that need consent and don't have it.
    pub(crate) fn missing(&self, all: &[Asking]) -> Vec<Asking> {
        let needs = |asking: &&Asking| Grant::needed(&asking.ask).is_some_and(|grant| !self.allows(&grant));
        all.iter().filter(needs).cloned().collect()
    }

    /// What is allowed and isn't there to be asked for by anything, as asks of the operator's own: the host must have it too.
    pub(crate) fn as_asks(&self) -> Vec<Asking> {
        let ask = |grant: &Grant| match grant {
            Grant::Capability(name) => Ask::Capability(name.clone()),
            Grant::Device(path) => Ask::Device(path.clone()),
        };
        self.flags.iter().map(|grant| Asking { ask: ask(grant), by: vec!["--allow".to_owned()] }).collect()
    }
}

/// The flags and the line of the configuration that allow these.
pub(crate) fn how_to_allow(image: &str, asks: &[Asking]) -> String {
    let grants: Vec<_> = asks.iter().filter_map(|asking| Grant::needed(&asking.ask)).collect();
    let flags: Vec<_> = grants.iter().map(|grant| format!("--allow {grant}")).collect();
    let quoted: Vec<_> = grants.iter().map(|grant| format!("\"{grant}\"")).collect();
    format!(
        "allow it for this start with {}, or for every start in the configuration: [allow] \"{image}\" = [{}]",
        flags.join(" "),
        quoted.join(", ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grants(texts: &[&str]) -> BTreeSet<Grant> {
        texts.iter().map(|text| text.parse().expect("a grant")).collect()
    }

    fn asking(ask: Ask) -> Asking {
        Asking { ask, by: vec!["example.com/vpn@1".to_owned()] }
    }

    #[test]
    fn grants_are_read_as_people_write_them() {
        let read = |text: &str| text.parse::<Grant>().map(|grant| grant.to_string());
        assert_eq!(read("cap:NET_ADMIN").as_deref(), Ok("cap:NET_ADMIN"));
        assert_eq!(read("cap:cap_net_admin").as_deref(), Ok("cap:NET_ADMIN"));
        assert_eq!(read("device:/dev/net/tun").as_deref(), Ok("device:/dev/net/tun"));
        for wrong in
            ["", "NET_ADMIN", "cap:", "cap:FLY", "device:fuse", "device:/dev/../etc", "device:/etc/passwd", "all:"]
        {
            let error = read(wrong).expect_err(wrong).to_string();
            assert!(error.contains("nothing that can be allowed"), "{error}");
        }
    }

    #[test]
    fn the_defaults_need_no_consent_and_the_rest_does() {
        let all = [
            asking(Ask::Feature("tun".into())),
            asking(Ask::Capability("NET_BIND_SERVICE".into())),
            asking(Ask::Capability("NET_ADMIN".into())),
            asking(Ask::Device("/dev/null".into())),
            asking(Ask::Device("/dev/net/tun".into())),
        ];
        let none = BTreeSet::new();
        let nothing = Allowed { flags: &none, configured: None };
        let missing = nothing.missing(&all);
        assert_eq!(
            how_to_allow("example.com/vpn", &missing),
            "allow it for this start with --allow cap:NET_ADMIN --allow device:/dev/net/tun, or for every start in the \
             configuration: [allow] \"example.com/vpn\" = [\"cap:NET_ADMIN\", \"device:/dev/net/tun\"]"
        );
        let given = Given::of(&all, nothing);
        assert_eq!((given.capabilities.as_slice(), given.devices.len()), (&["NET_BIND_SERVICE".to_owned()][..], 0));

        let (flags, configured) = (grants(&["cap:NET_ADMIN"]), grants(&["device:/dev/net/tun", "cap:SYS_TIME"]));
        let both = Allowed { flags: &flags, configured: Some(&configured) };
        assert_eq!(both.missing(&all), []);
        let given = Given::of(&all, both);
        assert_eq!(given.capabilities, ["NET_ADMIN", "NET_BIND_SERVICE"], "what isn't asked for stays unused");
        assert_eq!(given.devices, ["/dev/net/tun"]);
        assert_eq!(Given::of(&[], both).capabilities, ["NET_ADMIN"], "a flag is somebody's word");
    }
}
