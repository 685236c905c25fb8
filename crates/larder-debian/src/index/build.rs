//! Making an index from a `Packages` list.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufReader, Read, Write as _};
use std::path::Path;

use larder_solver::Priority;
use larder_store::Sha256Digest;
use liblzma::stream::{CONCATENATED, Stream};

use super::layout::{DIGEST, Field, HEADER, MAGIC, PACKAGE, VERSION, checksum};
use super::packages::{Broken, MENTIONING, PROVIDES, Reader, Stanza};
use crate::error::DebianError;

/// A list that grows larger than this when decompressed is refused.
pub(crate) const MAX_LIST: u64 = 2 << 30;
/// The memory that a list's xz stream may ask for: `xz -9` needs 65 MiB.
const MEMORY: u64 = 160 << 20;

/// Builds the index of a list that was fetched (and verified) to `compressed`, whose form is that of `url`'s name.
pub(crate) fn build(compressed: &Path, url: &str, list: &Sha256Digest, to: &Path) -> Result<(), DebianError> {
    let decoded = decoded(compressed, url)?;
    crate::fetch::cache::write_whole(to, &encode(decoded, compressed, url, list)?)
}

/// Reads a list that was fetched to `compressed`; its form is that of `url`'s name.
pub(crate) fn decoded(compressed: &Path, url: &str) -> Result<Box<dyn Read>, DebianError> {
    let file = File::open(compressed).map_err(DebianError::io("open", compressed))?;
    let file = BufReader::with_capacity(1 << 16, file);
    Ok(if url.ends_with(".xz") {
        let stream = Stream::new_stream_decoder(MEMORY, CONCATENATED);
        let stream = stream.map_err(|error| DebianError::io("decompress", compressed)(error.into()))?;
        Box::new(liblzma::bufread::XzDecoder::new_stream(file, stream))
    } else if url.ends_with(".gz") {
        Box::new(flate2::bufread::MultiGzDecoder::new(file))
    } else {
        Box::new(file)
    })
}

/// The bytes of a list's index. `compressed` and `url` name the list in errors.
pub(crate) fn encode(
    decoded: impl Read,
    compressed: &Path,
    url: &str,
    list: &Sha256Digest,
) -> Result<Vec<u8>, DebianError> {
    let mut reader = Reader::new(BufReader::with_capacity(1 << 17, Limited { inner: decoded, left: MAX_LIST }));
    let mut builder = Builder::new();
    let mut stanza = Stanza::default();
    let syntax =
        |line: usize, problem: &str| DebianError::Syntax { place: url.to_owned(), line, problem: problem.to_owned() };
    loop {
        match reader.next(&mut stanza) {
            Ok(false) => break,
            Ok(true) => builder.add(&stanza).map_err(|problem| syntax(stanza.line, problem))?,
            Err(Broken::Line(line, problem)) => return Err(syntax(line, problem)),
            Err(Broken::Read(error)) => return Err(DebianError::io("decompress", compressed)(error)),
        }
    }
    builder.finish(list).map_err(|problem| DebianError::TooLarge { url: url.to_owned(), problem })
}

/// Ends with an error, not quietly, when a stream is longer than allowed.
struct Limited<R> {
    inner: R,
    left: u64,
}

impl<R: Read> Read for Limited<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.left = self
            .left
            .checked_sub(count as u64)
            .ok_or_else(|| io::Error::other("it is absurdly large when decompressed"))?;
        Ok(count)
    }
}

struct Package {
    words: [u32; DIGEST / 4],
    digest: [u8; 32],
    /// Offsets of the names that it provides.
    provides: Vec<u32>,
}

struct Builder {
    strings: Vec<u8>,
    known: HashMap<Box<str>, u32>,
    packages: Vec<Package>,
    /// Offset of a name, and its first mention from 1.
    mentions: HashMap<u32, u32>,
}

impl Builder {
    fn new() -> Self {
        let known = HashMap::from([(Box::from(""), 0)]);
        Self { strings: vec![0; 4], known, packages: Vec::new(), mentions: HashMap::new() }
    }

    /// The offset of a string, which is written at its first use.
    fn string(&mut self, text: &str) -> Result<u32, &'static str> {
        if let Some(offset) = self.known.get(text) {
            return Ok(*offset);
        }
        let too_large = "its texts have more than 4 GiB";
        let offset = u32::try_from(self.strings.len()).map_err(|_| too_large)?;
        self.strings.extend_from_slice(&u32::try_from(text.len()).map_err(|_| too_large)?.to_le_bytes());
        self.strings.extend_from_slice(text.as_bytes());
        self.known.insert(Box::from(text), offset);
        Ok(offset)
    }

    fn text(&self, offset: u32) -> &[u8] {
        let rest = &self.strings[offset as usize..];
        let (length, rest) = rest.split_at(4);
        let length = length.iter().rev().fold(0, |sum, byte| sum << 8 | usize::from(*byte));
        &rest[..length]
    }

    fn mention(&mut self, name: &str) -> Result<u32, &'static str> {
        let offset = self.string(name)?;
        let next = u32::try_from(self.mentions.len()).map_err(|_| "it has too many names")? + 1;
        self.mentions.entry(offset).or_insert(next);
        Ok(offset)
    }

    fn add(&mut self, stanza: &Stanza) -> Result<(), &'static str> {
        let (name, version) = (stanza.get("Package"), stanza.get("Version"));
        check(stanza)?;
        self.mention(name)?;
        let mut provides = Vec::new();
        for number in 0..MENTIONING {
            for clause in stanza.value(number).split([',', '|']) {
                let clause = clause.trim_start();
                let end = clause.find([' ', '(', '[', '<', '\t']).unwrap_or(clause.len());
                let (mentioned, qualified) = match clause[..end].split_once(':') {
                    Some((name, _)) => (name, true),
                    None => (&clause[..end], false),
                };
                // apt keeps a qualified name ("python3:any") apart from the plain one.
                if mentioned.is_empty() || (qualified && number != PROVIDES) {
                    continue;
                }
                let offset = self.mention(mentioned)?;
                if number == PROVIDES && !provides.contains(&offset) {
                    provides.push(offset);
                }
            }
        }
        let mut words = [0; DIGEST / 4];
        let texts = [
            (Field::Name, name),
            (Field::Version, version),
            (Field::Architecture, stanza.get("Architecture")),
            (Field::MultiArch, stanza.get("Multi-Arch")),
            (Field::PreDepends, stanza.get("Pre-Depends")),
            (Field::Depends, stanza.get("Depends")),
            (Field::Recommends, stanza.get("Recommends")),
            (Field::Conflicts, stanza.get("Conflicts")),
            (Field::Breaks, stanza.get("Breaks")),
            (Field::Provides, stanza.get("Provides")),
            (Field::Section, stanza.get("Section")),
            (Field::Source, stanza.get("Source")),
            (Field::Filename, stanza.get("Filename")),
            (Field::Description, stanza.get("Description")),
        ];
        for (field, text) in texts {
            words[field as usize] = self.string(text)?;
        }
        let priority = match Priority::from_name(stanza.get("Priority")) {
            Priority::Required => 0,
            Priority::Important => 1,
            Priority::Standard => 2,
            Priority::Optional => 3,
            Priority::Extra => 4,
        };
        words[Field::Flags as usize] = priority << 8 | u32::from(stanza.get("Essential") == "yes");
        words[Field::Installed as usize] = stanza.get("Installed-Size").parse().unwrap_or(0);
        let size: u64 = stanza.get("Size").parse().map_err(|_| "the Size is not a number")?;
        words[Field::SizeLow as usize] = (size & 0xffff_ffff) as u32;
        words[Field::SizeHigh as usize] = (size >> 32) as u32;
        let digest =
            *Sha256Digest::from_hex(stanza.get("SHA256")).map_err(|_| "the SHA256 is not a digest")?.as_bytes();
        self.packages.push(Package { words, digest, provides });
        Ok(())
    }

    /// Sorts everything and writes the file's bytes.
    fn finish(mut self, list: &Sha256Digest) -> Result<Vec<u8>, &'static str> {
        let mut packages = std::mem::take(&mut self.packages);
        let key = |package: &Package| {
            [Field::Name, Field::Version, Field::Architecture].map(|field| self.text(package.words[field as usize]))
        };
        // Stable, and of the same package twice the first counts.
        packages.sort_by(|a, b| key(a).cmp(&key(b)));
        packages.dedup_by(|b, a| key(a) == key(b));

        let mut runs: HashMap<u32, (u32, u32)> = HashMap::new();
        let mut providers: Vec<(u32, u32)> = Vec::new();
        let mut essential = Vec::new();
        for (number, package) in (0..).zip(&packages) {
            let run = runs.entry(package.words[Field::Name as usize]).or_insert((number, number));
            run.1 = number + 1;
            providers.extend(package.provides.iter().map(|name| (*name, number)));
            if package.words[Field::Flags as usize] & 1 == 1 {
                essential.push(number);
            }
        }
        let mut names: Vec<(u32, u32)> = self.mentions.iter().map(|(name, mention)| (*name, *mention)).collect();
        names.sort_by(|a, b| self.text(a.0).cmp(self.text(b.0)));
        providers.sort_unstable();

        let mut body = Vec::with_capacity(self.strings.len() + packages.len() * PACKAGE + names.len() * 32 + HEADER);
        for package in &packages {
            package.words.iter().for_each(|word| body.extend_from_slice(&word.to_le_bytes()));
            body.extend_from_slice(&package.digest);
        }
        let mut entries = Vec::with_capacity(providers.len());
        for (name, mention) in &names {
            let (from, to) = runs.get(name).copied().unwrap_or((0, 0));
            let first = entries.len();
            let begin = providers.partition_point(|(provided, _)| provided < name);
            entries.extend(
                providers[begin..].iter().take_while(|(provided, _)| provided == name).map(|(_, number)| *number),
            );
            let count = |length: usize| u32::try_from(length).map_err(|_| "it has too many provides");
            for word in [*name, from, to, count(first)?, count(entries.len())?, *mention] {
                body.extend_from_slice(&word.to_le_bytes());
            }
        }
        for number in entries.iter().chain(&essential) {
            body.extend_from_slice(&number.to_le_bytes());
        }
        body.extend_from_slice(&self.strings);

        let mut rest = Vec::with_capacity(HEADER + body.len());
        rest.extend_from_slice(&((HEADER + body.len()) as u64).to_le_bytes());
        rest.extend_from_slice(list.as_bytes());
        for count in [packages.len(), names.len(), entries.len(), essential.len()] {
            rest.extend_from_slice(&u32::try_from(count).map_err(|_| "it has too many packages")?.to_le_bytes());
        }
        rest.extend_from_slice(&(self.strings.len() as u64).to_le_bytes());
        rest.resize(HEADER - 16, 0);
        rest.append(&mut body);
        let mut bytes = Vec::with_capacity(16 + rest.len());
        bytes.extend_from_slice(MAGIC);
        bytes.write_all(&VERSION.to_le_bytes()).map_err(|_| "it does not fit into memory")?;
        bytes.extend_from_slice(&checksum(&rest).to_le_bytes());
        bytes.append(&mut rest);
        Ok(bytes)
    }
}

/// What later steps rely on: a name and version that can stand in a path, a file inside the archive.
fn check(stanza: &Stanza) -> Result<(), &'static str> {
    let name = stanza.get("Package").as_bytes();
    let proper = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"+.-".contains(byte);
    if !name.first().is_some_and(u8::is_ascii_alphanumeric) || !name.iter().all(proper) {
        return Err("the stanza has no proper Package");
    }
    let version = stanza.get("Version").as_bytes();
    if version.is_empty() || !version.iter().all(|byte| byte.is_ascii_alphanumeric() || b"+.-~:".contains(byte)) {
        return Err("the stanza has no proper Version");
    }
    if stanza.get("Architecture").is_empty() {
        return Err("the stanza has no Architecture");
    }
    let path = stanza.get("Filename");
    if path.split('/').any(|part| matches!(part, "" | "." | "..")) || !path.bytes().all(|byte| byte.is_ascii_graphic())
    {
        return Err("the stanza has no proper Filename");
    }
    Ok(())
}
