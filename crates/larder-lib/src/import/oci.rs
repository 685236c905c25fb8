//! An OCI image in one tar archive: an image layout, or what `docker save` writes.
//!
//! The archive is listed once, and its parts are then read where they are. Every digest that the image gives is compared: of
//! manifest, configuration and layers as they are stored, and of the layers unpacked. A name in the archive is only ever looked up among its entries,
//! never on the host.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::path::Path;

use larder_debian::deb::{Limits, tar, unpack};
use larder_debian::progress::Progress;
use larder_store::fileset::ImageMetadata;
use oci_spec::image::{Descriptor, DigestAlgorithm, ImageConfiguration, ImageIndex, ImageManifest, MediaType};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use sha2::{Digest as _, Sha256};

use super::layers::Root;
use super::owners::{self, Roots};
use super::{Draft, ImportError, Imported, InstallRules, Options, Source, io as io_error, package, time};
use crate::host::architecture;
use crate::{Error, Host, Result};

/// The largest manifest, index or configuration.
const MAX_JSON: u64 = 4 << 20;
/// The largest number of files in the archive.
const MAX_PARTS: u64 = 100_000;
/// The largest number of layers.
const MAX_LAYERS: usize = 512;
/// The largest layer, unpacked; and all of them.
const MAX_UNPACKED: u64 = 64 << 30;
/// Unpacked bytes for each packed one, beyond the first of [`FREE`].
const RATIO: u64 = 1000;
const FREE: u64 = 64 << 20;

/// What an OCI image becomes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Made {
    /// A package of its files.
    Package,
    /// An image with its command, user, environment and working directory.
    Image,
}

pub(super) fn from_oci(
    host: &Host,
    file: &Path,
    made: Made,
    options: &Options,
    progress: &dyn Progress,
) -> Result<Imported> {
    options.check()?;
    let version = options.version()?.to_owned();
    let metadata = options.metadata(InstallRules::default())?;
    let opened = File::open(file).map_err(io_error("open", file))?;
    let mut archive = Archive::list(opened)?;
    let wanted = options.architecture.as_deref().unwrap_or_else(|| architecture());
    let image = archive.image(wanted)?;
    let ingest = host.store.begin()?;
    let mut root = Root::default();
    let mut left = MAX_UNPACKED;
    for (number, layer) in image.layers.iter().enumerate() {
        let task = progress.start(&format!("layer {} of {}", number + 1, image.layers.len()), Some(layer.size));
        let diff_id = image.configuration.rootfs().diff_ids().get(number).map(String::as_str);
        let read = archive.layer(layer, diff_id, &mut left, &mut |unpacked| {
            root.apply(unpacked, options.privileges, &mut |content, size| {
                Ok(ingest.write_object(content, size).map(|(digest, _)| digest)?)
            })
        });
        progress.finish(task);
        read?;
    }
    let Root { nodes, left_out } = root;
    let mut taken = owners::settle(&ingest, nodes, options.owners, &Roots::from([0]))?;
    taken.left_out = left_out;
    let source = Source::file(file, image.digest);
    let of_image = debian_architecture(&image.configuration.architecture().to_string());
    let architecture = options.architecture.clone().unwrap_or(of_image);
    match made {
        Made::Image => {
            ingest.write_tree(&taken.tree)?;
            ingest.commit()?;
            let metadata = image_metadata(&image.configuration, &mut taken.left_out);
            super::image(host, options, &architecture, metadata, (taken, source), progress)
        }
        Made::Package => {
            let words = labels(&image.configuration);
            let word = |key: &str| words.get(&format!("org.opencontainers.image.{key}")).cloned();
            let description = match metadata.description.is_empty() {
                true => word("description").unwrap_or_default().lines().next().unwrap_or_default().to_owned(),
                false => metadata.description,
            };
            let install =
                InstallRules { users: taken.users.clone(), groups: taken.groups.clone(), ..InstallRules::default() };
            let metadata = super::PackageMetadata {
                description,
                licence: metadata.licence.or_else(|| word("licenses")),
                homepage: word("url"),
                install,
                ..metadata
            };
            let time = time(&taken.tree);
            let draft = Draft { name: &options.name, version: &version, architecture: &architecture, time, metadata };
            package(host, ingest, draft, taken, source)
        }
    }
}

/// An archive whose entries are known.
struct Archive {
    file: File,
    parts: HashMap<Vec<u8>, Part>,
}

/// Where a file of the archive is.
#[derive(Debug, Clone, Copy)]
struct Part {
    offset: u64,
    size: u64,
}

/// One image of the archive.
struct Image {
    configuration: ImageConfiguration,
    layers: Vec<LayerPart>,
    /// The digest of what names everything else: the manifest, or the configuration where there is none.
    digest: String,
}

/// One layer of it.
struct LayerPart {
    part: Part,
    size: u64,
    /// What follows `.tar` in its name.
    suffix: &'static str,
    /// SHA-256 of the layer as it is stored.
    digest: Option<String>,
}

/// What `docker save` writes beside the layers.
#[derive(Deserialize)]
struct Saved {
    #[serde(rename = "Config")]
    config: String,
    #[serde(rename = "Layers")]
    layers: Vec<String>,
}

impl Archive {
    fn list(file: File) -> Result<Self> {
        let mut parts = HashMap::new();
        let limits = Limits { entries: MAX_PARTS, ..Limits::default() };
        let position = std::cell::Cell::new(0);
        let mut counted = Counted { inner: BufReader::new(&file), position: &position };
        tar::walk::<Error>(&mut counted, "the archive", &limits, &mut |header, _| {
            let path = header.path.strip_prefix(b"./").unwrap_or(&header.path);
            if header.kind == tar::Kind::File {
                let part = Part { offset: position.get(), size: header.size };
                if parts.insert(path.to_vec(), part).is_some() {
                    return Err(ImportError::NoImage { reason: "it has a file twice" }.into());
                }
            }
            Ok(())
        })?;
        Ok(Self { file, parts })
    }

    /// The image for an architecture, or the only one.
    fn image(&mut self, architecture: &str) -> Result<Image> {
        if self.parts.contains_key(b"index.json".as_slice()) {
            return self.layout(architecture);
        }
        let Some(part) = self.parts.get(b"manifest.json".as_slice()).copied() else {
            return Err(ImportError::NoImage { reason: "it has no index.json and no manifest.json" }.into());
        };
        let mut saved: Vec<Saved> = json("manifest", &self.read("manifest", part)?)?;
        let count = saved.len();
        let (Some(saved), true) = (saved.pop(), count == 1) else {
            return Err(ImportError::Several { count, architecture: architecture.to_owned() }.into());
        };
        let configuration = self.read("configuration", self.named(&saved.config)?)?;
        let digest = hex(Sha256::digest(&configuration));
        let mut layers = Vec::new();
        for path in &saved.layers {
            let part = self.named(path)?;
            layers.push(LayerPart { part, size: part.size, suffix: self.sniff(part)?, digest: None });
        }
        bounded(&layers)?;
        Ok(Image { configuration: json("configuration", &configuration)?, layers, digest })
    }

    /// Follows index, manifest and configuration.
    fn layout(&mut self, architecture: &str) -> Result<Image> {
        let index = self.named("index.json")?;
        let mut index: ImageIndex = json("index", &self.read("index", index)?)?;
        // An index may name another, which holds one image for each platform.
        for _ in 0..2 {
            let found = choose(&index, architecture)?;
            let bytes = self.blob("manifest", &found)?;
            if is_index(found.media_type()) {
                index = json("index", &bytes)?;
                continue;
            }
            let manifest: ImageManifest = json("manifest", &bytes)?;
            let configuration = self.blob("configuration", manifest.config())?;
            let mut layers = Vec::new();
            for layer in manifest.layers() {
                let part = self.named(&blob_path(layer)?)?;
                let digest = Some(layer.digest().digest().to_owned());
                layers.push(LayerPart { part, size: part.size, suffix: suffix(layer.media_type())?, digest });
            }
            bounded(&layers)?;
            let digest = hex(Sha256::digest(&bytes));
            return Ok(Image { configuration: json("configuration", &configuration)?, layers, digest });
        }
        Err(ImportError::NoImage { reason: "its index names an index that names another" }.into())
    }

    fn named(&self, path: &str) -> Result<Part, ImportError> {
        let part = self.parts.get(path.strip_prefix("./").unwrap_or(path).as_bytes()).copied();
        part.ok_or_else(|| ImportError::MissingPart { path: path.chars().filter(|c| !c.is_control()).collect() })
    }

    fn blob(&mut self, what: &'static str, descriptor: &Descriptor) -> Result<Vec<u8>> {
        let part = self.named(&blob_path(descriptor)?)?;
        let bytes = self.read(what, part)?;
        compare(what, hex(Sha256::digest(&bytes)), descriptor.digest().digest())?;
        Ok(bytes)
    }

    fn read(&mut self, what: &'static str, part: Part) -> Result<Vec<u8>> {
        if part.size > MAX_JSON {
            return Err(ImportError::PartTooLarge { part: what, limit: MAX_JSON }.into());
        }
        let mut bytes = Vec::new();
        self.open(part)?.read_to_end(&mut bytes).map_err(unreadable)?;
        Ok(bytes)
    }

    fn open(&self, part: Part) -> Result<io::Take<&File>> {
        let mut file = &self.file;
        file.seek(SeekFrom::Start(part.offset)).map_err(unreadable)?;
        Ok(file.take(part.size))
    }

    /// The compression by the first bytes: `docker save` doesn't say it.
    fn sniff(&self, part: Part) -> Result<&'static str> {
        let mut start = Vec::new();
        self.open(part)?.take(4).read_to_end(&mut start).map_err(unreadable)?;
        Ok(match start.as_slice() {
            [0x1f, 0x8b, ..] => ".gz",
            [0x28, 0xb5, 0x2f, 0xfd] => ".zst",
            _ => "",
        })
    }

    /// Hands an unpacked layer on, and then compares its digests. `left` is what may still be unpacked of the whole image.
    fn layer(
        &self,
        layer: &LayerPart,
        diff_id: Option<&str>,
        left: &mut u64,
        apply: &mut dyn FnMut(&mut dyn Read) -> Result<()>,
    ) -> Result<()> {
        let bound = (*left).min(layer.part.size.saturating_mul(RATIO).max(FREE));
        let mut stored = Hashing::new(BufReader::with_capacity(128 << 10, self.open(layer.part)?));
        let unpacked = {
            let unpacked = unpack::unpack(&mut stored, layer.suffix, "a layer", bound).map_err(ImportError::from)?;
            let mut unpacked = Hashing::new(unpacked);
            apply(&mut unpacked)?;
            io::copy(&mut unpacked, &mut io::sink()).map_err(unreadable)?;
            unpacked.finish()
        };
        *left -= unpacked.count.min(*left);
        io::copy(&mut stored, &mut io::sink()).map_err(unreadable)?;
        if let Some(wanted) = &layer.digest {
            compare("layer, as it is stored,", stored.finish().digest, wanted)?;
        }
        match diff_id.and_then(|id| id.strip_prefix("sha256:")) {
            Some(wanted) => Ok(compare("layer, unpacked,", unpacked.digest, wanted)?),
            None => {
                Err(ImportError::NoImage { reason: "its configuration doesn't give every layer a sha256 digest" }
                    .into())
            }
        }
    }
}

/// Counts what passes, so that the place of a content is known.
struct Counted<'c, R> {
    inner: R,
    position: &'c std::cell::Cell<u64>,
}

impl<R: Read> Read for Counted<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.position.set(self.position.get() + count as u64);
        Ok(count)
    }
}

/// Hashes what passes.
struct Hashing<R> {
    inner: R,
    hash: Sha256,
    count: u64,
}

/// What has passed.
struct Hashed {
    digest: String,
    count: u64,
}

impl<R: Read> Hashing<R> {
    fn new(inner: R) -> Self {
        Self { inner, hash: Sha256::new(), count: 0 }
    }

    fn finish(self) -> Hashed {
        Hashed { digest: hex(self.hash.finalize()), count: self.count }
    }
}

impl<R: Read> Read for Hashing<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.hash.update(&buffer[..count]);
        self.count += count as u64;
        Ok(count)
    }
}

fn hex(bytes: impl AsRef<[u8]>) -> String {
    bytes.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What is wrong with the bytes keeps its own words.
fn unreadable(error: io::Error) -> Error {
    match error.downcast::<larder_debian::deb::DebError>() {
        Ok(error) => ImportError::Archive(error).into(),
        Err(error) => ImportError::Archive(larder_debian::deb::DebError::Read(error)).into(),
    }
}

fn json<T: DeserializeOwned>(part: &'static str, bytes: &[u8]) -> Result<T, ImportError> {
    serde_json::from_slice(bytes).map_err(|source| ImportError::Json { part, source })
}

fn compare(part: &'static str, found: String, wanted: &str) -> Result<(), ImportError> {
    match found == wanted {
        true => Ok(()),
        false => Err(ImportError::Digest { part: part.to_owned(), found, wanted: wanted.to_owned() }),
    }
}

fn bounded(layers: &[LayerPart]) -> Result<(), ImportError> {
    match layers.len() > MAX_LAYERS {
        true => Err(ImportError::NoImage { reason: "it has more than 512 layers" }),
        false => Ok(()),
    }
}

fn blob_path(descriptor: &Descriptor) -> Result<String, ImportError> {
    match descriptor.digest().algorithm() {
        DigestAlgorithm::Sha256 => Ok(format!("blobs/sha256/{}", descriptor.digest().digest())),
        _ => Err(ImportError::NoImage { reason: "a part is named by a digest that isn't sha256" }),
    }
}

fn is_index(kind: &MediaType) -> bool {
    matches!(kind, MediaType::ImageIndex)
        || kind.to_string() == "application/vnd.docker.distribution.manifest.list.v2+json"
}

/// The one image of an index: for the architecture, where it names any.
fn choose(index: &ImageIndex, architecture: &str) -> Result<Descriptor, ImportError> {
    // Beside each image a builder may put statements about it, for no platform.
    let fits = |found: &&Descriptor| {
        found
            .platform()
            .as_ref()
            .is_none_or(|platform| debian_architecture(&platform.architecture().to_string()) == architecture)
    };
    let all = index.manifests();
    let fitting: Vec<&Descriptor> =
        if all.len() == 1 { all.iter().collect() } else { all.iter().filter(fits).collect() };
    match fitting.as_slice() {
        [only] => Ok((*only).clone()),
        _ => Err(ImportError::Several { count: all.len(), architecture: architecture.to_owned() }),
    }
}

fn suffix(kind: &MediaType) -> Result<&'static str, ImportError> {
    let kind = kind.to_string();
    match kind.as_str() {
        "application/vnd.oci.image.layer.v1.tar"
        | "application/vnd.oci.image.layer.nondistributable.v1.tar"
        | "application/vnd.docker.image.rootfs.diff.tar" => Ok(""),
        "application/vnd.oci.image.layer.v1.tar+gzip"
        | "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip"
        | "application/vnd.docker.image.rootfs.diff.tar.gzip"
        | "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip" => Ok(".gz"),
        "application/vnd.oci.image.layer.v1.tar+zstd" | "application/vnd.docker.image.rootfs.diff.tar.zstd" => {
            Ok(".zst")
        }
        _ => Err(ImportError::Layer { kind: kind.chars().filter(|c| !c.is_control()).take(200).collect() }),
    }
}

/// Debian's name of an architecture that Go has another for.
fn debian_architecture(go: &str) -> String {
    match go {
        "386" => "i386",
        "arm" => "armhf",
        "mips64le" => "mips64el",
        "ppc64le" => "ppc64el",
        other => other,
    }
    .to_owned()
}

fn labels(configuration: &ImageConfiguration) -> HashMap<String, String> {
    configuration.config().as_ref().and_then(|config| config.labels().clone()).unwrap_or_default()
}

/// What the image runs and how. What has no meaning here is said.
fn image_metadata(configuration: &ImageConfiguration, left_out: &mut Vec<String>) -> ImageMetadata {
    let mut metadata = ImageMetadata {
        base: "none".to_owned(),
        labels: labels(configuration).into_iter().collect::<BTreeMap<_, _>>(),
        composers: larder_debian::compose::current_versions(),
        ..ImageMetadata::default()
    };
    let Some(config) = configuration.config() else { return metadata };
    metadata.run = config.entrypoint().clone().unwrap_or_default();
    metadata.run.extend(config.cmd().clone().unwrap_or_default());
    for variable in config.env().iter().flatten() {
        if let Some((name, value)) = variable.split_once('=') {
            metadata.env.insert(name.to_owned(), value.to_owned());
        }
    }
    let given = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
    metadata.user = given(config.user());
    metadata.workdir = given(config.working_dir());
    metadata.stop_signal = given(config.stop_signal());
    for port in config.exposed_ports().iter().flatten() {
        left_out.push(format!("the port {port}: `larder run --net` decides"));
    }
    for volume in config.volumes().iter().flatten() {
        left_out.push(format!("the volume {volume}: say `larder run --mount` for what must last"));
    }
    metadata
}
