//! What an image asks of the host: its own asks and those of everything that it imports, each with who asks.
//!
//! Three things are done with them. [`check`] compares them with the host before a start; [`consent`] holds what goes beyond
//! the defaults against what the operator allows; [`added`] finds what an update asks for that the record before it didn't.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use larder_store::fileset::{HostAsks, KernelVersion};
use larder_store::{FileSet, FileSetDigest, Store};

use crate::compose::{read_sealed, write_sealed};
use crate::{Result, size};

pub mod check;
pub mod consent;

use consent::Grant;

/// The file beside a cached view that lists what the image's imports ask for, below a digest of it: a start reads one file
/// and not the record of every package.
const KEPT: &str = "asks";

/// One thing that is asked of a host.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Ask {
    /// A kernel of this version or a newer one.
    Kernel(KernelVersion),
    /// So many bytes of memory.
    Memory(u64),
    /// An ability of the kernel.
    Feature(String),
    /// A capability, without `CAP_`.
    Capability(String),
    /// A device.
    Device(String),
}

impl Ask {
    /// What kind it is, as recipes and listings call it.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Kernel(_) => "kernel",
            Self::Memory(_) => "memory",
            Self::Feature(_) => "feature",
            Self::Capability(_) => "capability",
            Self::Device(_) => "device",
        }
    }

    /// What exactly, as recipes write it.
    pub fn value(&self) -> String {
        match self {
            Self::Kernel(version) => format!(">={version}"),
            Self::Memory(bytes) => size::write(*bytes),
            Self::Feature(name) | Self::Capability(name) | Self::Device(name) => name.clone(),
        }
    }

    fn parse(kind: &str, value: &str) -> Option<Self> {
        Some(match kind {
            "kernel" => Self::Kernel(value.strip_prefix(">=")?.parse().ok()?),
            "memory" => Self::Memory(size::parse(value)?),
            "feature" => Self::Feature(value.to_owned()),
            "capability" => Self::Capability(value.to_owned()),
            "device" => Self::Device(value.to_owned()),
            _ => return None,
        })
    }
}

impl fmt::Display for Ask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind(), self.value())
    }
}

/// An ask, and who asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asking {
    /// What is asked.
    pub ask: Ask,
    /// `name@version` of each that does, sorted.
    pub by: Vec<String>,
}

impl fmt::Display for Asking {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, asked for by {}", self.ask, self.by.join(", "))
    }
}

/// Asks by what is asked.
type Collected = BTreeMap<Ask, BTreeSet<String>>;

/// Everything that an image and what it imports ask for, sorted.
///
/// # Errors
/// A record that is missing or damaged.
pub fn of_image(store: &Store, image: &FileSet) -> Result<Vec<Asking>> {
    let mut found = of_imports(store, image)?;
    own(image, &mut found);
    Ok(listed(found))
}

/// As [`of_image`], from records at hand.
pub(crate) fn of_records<'a>(image: &FileSet, imports: impl Iterator<Item = &'a FileSet>) -> Vec<Asking> {
    let mut found = Collected::new();
    for record in imports {
        import(record, &mut found);
    }
    own(image, &mut found);
    listed(found)
}

/// As [`of_image`], for a start: what its imports ask for is kept beside the view of this key.
///
/// # Errors
/// As [`of_image`], and a list that can't be kept.
pub(crate) fn of_start(store: &Store, image: &FileSet, view: &FileSetDigest) -> Result<Vec<Asking>> {
    let file = store.views_dir().join(view.hex()).join(KEPT);
    let mut found = match read_sealed(&file).as_deref().and_then(parse) {
        Some(found) => found,
        None => {
            let found = of_imports(store, image)?;
            write_sealed(&file, &write(&found))?;
            found
        }
    };
    own(image, &mut found);
    Ok(listed(found))
}

fn of_imports(store: &Store, image: &FileSet) -> Result<Collected> {
    let mut found = Collected::new();
    for edge in &image.imports {
        import(&store.fileset(&edge.fileset)?, &mut found);
    }
    Ok(found)
}

fn import(record: &FileSet, found: &mut Collected) {
    if let Some(package) = record.package() {
        collect(&package.asks, record, found);
    }
}

fn own(image: &FileSet, found: &mut Collected) {
    if let Some(metadata) = image.image() {
        collect(&metadata.asks, image, found);
    }
}

fn collect(asks: &HostAsks, of: &FileSet, found: &mut Collected) {
    let features = asks.features.iter().cloned().map(Ask::Feature);
    let capabilities = asks.capabilities.iter().cloned().map(Ask::Capability);
    let devices = asks.devices.iter().cloned().map(Ask::Device);
    let memory = Some(asks.memory).filter(|&bytes| bytes > 0).map(Ask::Memory);
    let all = asks.kernel.map(Ask::Kernel).into_iter().chain(memory).chain(features).chain(capabilities).chain(devices);
    for ask in all {
        found.entry(ask).or_default().insert(format!("{}@{}", of.name, of.version));
    }
}

fn listed(found: Collected) -> Vec<Asking> {
    found.into_iter().map(|(ask, by)| Asking { ask, by: by.into_iter().collect() }).collect()
}

/// One line for each who asks for something: `KIND`, `VALUE`, `name@version`, with tabs between.
fn parse(text: &str) -> Option<Collected> {
    let mut found = Collected::new();
    for line in text.lines() {
        let mut fields = line.split('\t');
        let (kind, value, by) = (fields.next()?, fields.next()?, fields.next()?);
        found.entry(Ask::parse(kind, value)?).or_default().insert(by.to_owned());
    }
    Some(found)
}

fn write(found: &Collected) -> String {
    let lines = found.iter().flat_map(|(ask, by)| by.iter().map(move |by| (ask, by)));
    lines.map(|(ask, by)| format!("{}\t{}\t{by}\n", ask.kind(), ask.value())).collect()
}

/// What has to be met: of kernels the newest, of amounts of memory the largest, of everything else all.
pub fn strongest(all: &[Asking]) -> Vec<&Asking> {
    let weaker = |asking: &Asking, other: &Asking| match (&asking.ask, &other.ask) {
        (Ask::Kernel(one), Ask::Kernel(other)) => one < other,
        (Ask::Memory(one), Ask::Memory(other)) => one < other,
        _ => false,
    };
    all.iter().filter(|asking| !all.iter().any(|other| weaker(asking, other))).collect()
}

/// What one record asks for beyond what another does: a newer kernel, more memory, a feature or device that wasn't asked for, a
/// capability beyond the default ones.
pub fn added(old: &[Asking], new: &[Asking]) -> Vec<Asking> {
    let met = |asking: &Asking| match &asking.ask {
        Ask::Kernel(version) => old.iter().any(|o| matches!(&o.ask, Ask::Kernel(older) if older >= version)),
        Ask::Memory(bytes) => old.iter().any(|o| matches!(&o.ask, Ask::Memory(less) if less >= bytes)),
        Ask::Capability(_) if Grant::needed(&asking.ask).is_none() => true,
        other => old.iter().any(|o| o.ask == *other),
    };
    strongest(new).into_iter().filter(|asking| !met(asking)).cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asking(kind: &str, value: &str) -> Asking {
        Asking { ask: Ask::parse(kind, value).expect("an ask"), by: vec!["example.com/a@1".to_owned()] }
    }

    fn words(all: &[Asking]) -> Vec<String> {
        all.iter().map(|asking| asking.ask.to_string()).collect()
    }

    #[test]
    fn the_newest_kernel_and_the_most_memory_count() {
        let all = [
            asking("kernel", ">=5.4"),
            asking("kernel", ">=5.10"),
            asking("memory", "1g"),
            asking("memory", "512m"),
            asking("feature", "tun"),
        ];
        let strongest: Vec<_> = strongest(&all).into_iter().cloned().collect();
        assert_eq!(words(&strongest), ["kernel >=5.10", "memory 1g", "feature tun"]);
    }

    #[test]
    fn what_is_added_is_what_goes_beyond() {
        let old = [asking("kernel", ">=5.10"), asking("memory", "512m"), asking("device", "/dev/fuse")];
        let new = [
            asking("kernel", ">=5.4"),
            asking("memory", "1g"),
            asking("device", "/dev/fuse"),
            asking("device", "/dev/kvm"),
            asking("capability", "CHOWN"),
            asking("capability", "NET_ADMIN"),
        ];
        assert_eq!(words(&added(&old, &new)), ["memory 1g", "device /dev/kvm", "capability NET_ADMIN"]);
        assert_eq!(added(&new, &old), [asking("kernel", ">=5.10")]);
        assert_eq!(added(&new, &new), []);
    }

    #[test]
    fn an_image_asks_what_everything_in_it_asks() {
        use std::fs;

        use larder_store::fileset::{ImageMetadata, PackageMetadata};
        use larder_store::{Import, Metadata, Name, Tree};

        let folder = tempfile::tempdir().expect("folder");
        let store = Store::open(&folder.path().join("store")).expect("a store");
        let ingest = store.begin().expect("a beginning");
        let tree = ingest.write_tree(&Tree::default()).expect("a tree");
        let record = |name: &str, imports, metadata| FileSet {
            name: Name::parse(name).expect("name"),
            version: "1".to_owned(),
            architecture: "all".to_owned(),
            time: 0,
            tree,
            imports,
            metadata,
        };
        let mut imports = Vec::new();
        let asks = |kernel: &str, feature: &str| HostAsks {
            kernel: Some(kernel.parse().expect("a version")),
            features: vec![feature.to_owned()],
            ..HostAsks::default()
        };
        for (name, asks) in [
            ("example.com/a", asks("5.10", "tun")),
            ("example.com/b", asks("6.1", "tun")),
            ("example.com/c", HostAsks::default()),
        ] {
            let package = PackageMetadata { asks, ..PackageMetadata::default() };
            let package = record(name, Vec::new(), Metadata::Package(package));
            imports.push(Import {
                path: package.name.mount_path("1").expect("a path"),
                name: package.name.clone(),
                version: "1".to_owned(),
                fileset: ingest.write_fileset(&package).expect("a record"),
            });
        }
        ingest.commit().expect("an end");
        let own = ImageMetadata { asks: asks("5.4", "fuse"), ..ImageMetadata::default() };
        let image = record("example.com/image", imports, Metadata::Image(own));
        let lines = |all: Vec<Asking>| all.iter().map(ToString::to_string).collect::<Vec<_>>();
        let expected = [
            "kernel >=5.4, asked for by example.com/image@1",
            "kernel >=5.10, asked for by example.com/a@1",
            "kernel >=6.1, asked for by example.com/b@1",
            "feature fuse, asked for by example.com/image@1",
            "feature tun, asked for by example.com/a@1, example.com/b@1",
        ];
        assert_eq!(lines(of_image(&store, &image).expect("asks")), expected);

        let view = FileSetDigest::of(b"view");
        let beside = store.views_dir().join(view.hex());
        fs::create_dir_all(&beside).expect("a view's folder");
        assert_eq!(lines(of_start(&store, &image, &view).expect("asks")), expected);
        let kept = beside.join(KEPT);
        // What is kept is used, and what a loss of power has damaged is made again.
        write_sealed(&kept, "device\t/dev/kvm\texample.com/z@1\n").expect("written");
        assert_eq!(lines(of_start(&store, &image, &view).expect("asks")).len(), 3);
        fs::write(&kept, "device\t/dev/kvm\texample.com/z@1\n").expect("written");
        assert_eq!(lines(of_start(&store, &image, &view).expect("asks")), expected);
    }

    #[test]
    fn what_is_kept_is_read_again() {
        let mut found = Collected::new();
        for one in [asking("kernel", ">=6.1.3"), asking("memory", "1000"), asking("device", "/dev/net/tun")] {
            found.insert(one.ask, one.by.into_iter().collect());
        }
        assert_eq!(parse(&write(&found)), Some(found));
        assert_eq!(parse("kernel\t5.10\tx\n"), None);
        assert_eq!(parse("disk\t1g\tx\n"), None);
    }
}
