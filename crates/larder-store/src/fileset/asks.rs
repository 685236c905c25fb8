//! What a package or an image asks of the machine that it runs on.

use std::fmt;
use std::str::FromStr;

use super::fields::{Fields, Members, Read};

/// What is asked of the host. All lists are sets.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HostAsks {
    /// The oldest kernel that will do.
    pub kernel: Option<KernelVersion>,
    /// Abilities of the kernel by name, such as `overlayfs`; what a name means is whoever probes it to say.
    pub features: Vec<String>,
    /// Capabilities without `CAP_`, such as `NET_BIND_SERVICE`.
    pub capabilities: Vec<String>,
    /// Bytes of memory that the machine must have; 0 where nothing is asked.
    pub memory: u64,
    /// Devices of the host, such as `/dev/fuse`.
    pub devices: Vec<String>,
}

impl HostAsks {
    /// Whether nothing is asked for.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// A version of the kernel: `5.10` or `5.10.3`. Orders as kernels do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KernelVersion {
    /// The first number.
    pub major: u16,
    /// The second.
    pub minor: u16,
    /// The third; 0 where it isn't said.
    pub patch: u16,
}

impl fmt::Display for KernelVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)?;
        if self.patch > 0 {
            write!(f, ".{}", self.patch)?;
        }
        Ok(())
    }
}

/// A text that is no version of a kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a kernel's version is two or three numbers, such as 5.10 or 6.1.12")]
pub struct KernelVersionError;

impl FromStr for KernelVersion {
    type Err = KernelVersionError;

    fn from_str(text: &str) -> Result<Self, KernelVersionError> {
        let mut numbers = text.split('.').map(|part| match part.bytes().all(|b| b.is_ascii_digit()) {
            true => part.parse::<u16>().map_err(|_| KernelVersionError),
            false => Err(KernelVersionError),
        });
        let mut next = || numbers.next().transpose();
        let (Some(major), Some(minor), patch) = (next()?, next()?, next()?) else { return Err(KernelVersionError) };
        match next()? {
            None => Ok(Self { major, minor, patch: patch.unwrap_or(0) }),
            Some(_) => Err(KernelVersionError),
        }
    }
}

/// Whether a text can be a capability's name, `CAP_` left off.
pub fn is_capability(text: &str) -> bool {
    (1..=64).contains(&text.len())
        && !text.starts_with("CAP_")
        && text.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_')
}

/// Whether a text can be the name of a kernel's ability.
pub fn is_feature(text: &str) -> bool {
    (1..=64).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'.' | b'_'))
}

/// Whether a text can be a device: a path below `/dev` in its shortest form.
pub fn is_device(text: &str) -> bool {
    let Some(path) = text.strip_prefix("/dev/") else { return false };
    let plain = |part: &str| !part.is_empty() && part != "." && part != ".." && !part.contains(char::is_control);
    path.len() <= 256 && path.split('/').all(plain)
}

pub(super) fn members(asks: &HostAsks) -> Members {
    let mut out = Members::default();
    out.text_if("kernel", asks.kernel.map(|kernel| kernel.to_string()).as_deref());
    out.text_set("features", &asks.features);
    out.text_set("capabilities", &asks.capabilities);
    if asks.memory > 0 {
        out.integer("memory", asks.memory);
    }
    out.text_set("devices", &asks.devices);
    out
}

pub(super) fn read(fields: &mut Fields) -> Read<HostAsks> {
    let asks = HostAsks {
        kernel: fields.parsed_if("kernel")?,
        features: fields.texts("features")?,
        capabilities: fields.texts("capabilities")?,
        memory: fields.integer_if("memory")?.unwrap_or(0),
        devices: fields.texts("devices")?,
    };
    let wrong = |key, all: bool, rule| if all { Ok(()) } else { Err(fields.wrong(key, rule)) };
    let all = |items: &[String], good: fn(&str) -> bool| items.iter().all(|item| good(item));
    wrong("features", all(&asks.features, is_feature), "an ability is 1 to 64 of a-z, 0-9, '-', '.' and '_'")?;
    wrong("capabilities", all(&asks.capabilities, is_capability), "a capability is A-Z, 0-9 and '_', without CAP_")?;
    wrong("devices", all(&asks.devices, is_device), "a device is a path below /dev without `.` and `..`")?;
    Ok(asks)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_of_kernels() {
        let parse = |text: &str| text.parse::<KernelVersion>().map(|version| version.to_string());
        assert_eq!(parse("5.10").as_deref(), Ok("5.10"));
        assert_eq!(parse("6.1.0").as_deref(), Ok("6.1"));
        assert_eq!(parse("6.18.44").as_deref(), Ok("6.18.44"));
        for wrong in ["", "6", "6.", ".6", "6.1.2.3", "6.+1", "6.x", "70000.1", "6.1-rc1"] {
            assert_eq!(parse(wrong), Err(KernelVersionError), "{wrong:?}");
        }
        let older: KernelVersion = "5.9.99".parse().expect("a version");
        assert!("5.10".parse::<KernelVersion>().expect("a version") > older);
    }
}
