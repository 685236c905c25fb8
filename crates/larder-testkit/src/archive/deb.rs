//! Making a `.deb` from a description.

use std::io::Write as _;

use tar::{EntryType, Header};

/// How the members of a `.deb` are compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Compression {
    /// `control.tar`, `data.tar`
    None,
    /// `.gz`
    Gzip,
    /// `.xz`
    #[default]
    Xz,
    /// `.zst`
    Zstd,
}

#[derive(Debug, Clone)]
struct Member {
    path: Vec<u8>,
    kind: EntryType,
    mode: u32,
    owner: String,
    group: String,
    mtime: u64,
    link: Option<Vec<u8>>,
    content: Vec<u8>,
    /// The size the header claims, when it lies.
    claimed: Option<u64>,
    attributes: Vec<(String, Vec<u8>)>,
}

/// A package to be made. Parents of files are added as directories of 0755; owner and group are root unless said otherwise.
#[derive(Debug, Clone)]
pub struct Deb {
    name: String,
    version: String,
    architecture: String,
    fields: Vec<(String, String)>,
    members: Vec<Member>,
    control: Vec<(String, Vec<u8>, u32)>,
    compression: Compression,
    mtime: u64,
    parents: bool,
}

macro_rules! relation_fields {
    ($($method:ident => $field:literal),* $(,)?) => {$(
        #[doc = concat!("Sets the `", $field, "` field.")]
        #[must_use]
        pub fn $method(self, value: &str) -> Self {
            self.field($field, value)
        }
    )*};
}

impl Deb {
    /// An empty package for amd64.
    #[must_use]
    pub fn new(name: &str, version: &str) -> Self {
        Self {
            name: name.to_owned(),
            version: version.to_owned(),
            architecture: "amd64".to_owned(),
            fields: Vec::new(),
            members: Vec::new(),
            control: Vec::new(),
            compression: Compression::default(),
            mtime: 1_700_000_000,
            parents: true,
        }
    }

    relation_fields! {
        depends => "Depends", pre_depends => "Pre-Depends", recommends => "Recommends", conflicts => "Conflicts",
        breaks => "Breaks", replaces => "Replaces", provides => "Provides", multi_arch => "Multi-Arch",
        priority => "Priority", section => "Section", source => "Source",
    }

    /// The package's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The package's version.
    #[must_use]
    pub fn version(&self) -> &str {
        &self.version
    }

    /// Sets the architecture (`amd64` unless said otherwise).
    #[must_use]
    pub fn architecture(mut self, architecture: &str) -> Self {
        architecture.clone_into(&mut self.architecture);
        self
    }

    /// Marks it `Essential: yes`.
    #[must_use]
    pub fn essential(self) -> Self {
        self.field("Essential", "yes")
    }

    /// Sets any control field, replacing an earlier value.
    #[must_use]
    pub fn field(mut self, name: &str, value: &str) -> Self {
        self.fields.retain(|(field, _)| field != name);
        self.fields.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Sets how both members are compressed (xz unless said otherwise).
    #[must_use]
    pub fn compression(mut self, compression: Compression) -> Self {
        self.compression = compression;
        self
    }

    /// Sets the time of entries added from now on, in seconds since 1970.
    #[must_use]
    pub fn mtime(mut self, seconds: u64) -> Self {
        self.mtime = seconds;
        self
    }

    /// Leaves out the directories above entries, as a broken or hostile package may.
    #[must_use]
    pub fn without_parents(mut self) -> Self {
        self.parents = false;
        self
    }

    /// Adds a file of 0644.
    #[must_use]
    pub fn file(self, path: &str, content: impl AsRef<[u8]>) -> Self {
        self.file_with(path, content, 0o644, "root", "root")
    }

    /// Adds a file of 0755.
    #[must_use]
    pub fn program(self, path: &str, content: impl AsRef<[u8]>) -> Self {
        self.file_with(path, content, 0o755, "root", "root")
    }

    /// Adds a file with everything said.
    #[must_use]
    pub fn file_with(self, path: &str, content: impl AsRef<[u8]>, mode: u32, owner: &str, group: &str) -> Self {
        let content = content.as_ref().to_vec();
        self.member(path.as_bytes(), EntryType::Regular, |member| {
            (member.mode, member.content) = (mode, content);
            (member.owner, member.group) = (owner.to_owned(), group.to_owned());
        })
    }

    /// Adds a directory of 0755.
    #[must_use]
    pub fn directory(self, path: &str) -> Self {
        self.directory_with(path, 0o755, "root", "root")
    }

    /// Adds a directory with everything said.
    #[must_use]
    pub fn directory_with(self, path: &str, mode: u32, owner: &str, group: &str) -> Self {
        self.member(path.as_bytes(), EntryType::Directory, |member| {
            member.mode = mode;
            (member.owner, member.group) = (owner.to_owned(), group.to_owned());
        })
    }

    /// Adds a symbolic link.
    #[must_use]
    pub fn symlink(self, path: &str, target: &str) -> Self {
        self.link(path, EntryType::Symlink, target)
    }

    /// Adds a hard link to an entry added before. The target is a path like the others, without `./`.
    #[must_use]
    pub fn hard_link(self, path: &str, target: &str) -> Self {
        self.link(path, EntryType::Link, &format!("./{target}"))
    }

    fn link(self, path: &str, kind: EntryType, target: &str) -> Self {
        let target = target.as_bytes().to_vec();
        self.member(path.as_bytes(), kind, |member| (member.mode, member.link) = (0o777, Some(target)))
    }

    /// Gives the last entry an extended attribute (`security.capability`, `user.x`…).
    #[must_use]
    pub fn attribute(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        let member = self.members.last_mut().expect("an entry comes first");
        member.attributes.push((name.to_owned(), value.as_ref().to_vec()));
        self
    }

    /// Adds an entry exactly as given, for packages that are hostile: any path bytes (no `./` is put before), any type.
    #[must_use]
    pub fn raw(mut self, path: &[u8], kind: EntryType, link: Option<&[u8]>, content: &[u8]) -> Self {
        self.members.push(Member {
            path: path.to_vec(),
            kind,
            mode: 0o644,
            owner: "root".to_owned(),
            group: "root".to_owned(),
            mtime: self.mtime,
            link: link.map(<[u8]>::to_vec),
            content: content.to_vec(),
            claimed: None,
            attributes: Vec::new(),
        });
        self
    }

    /// Makes the header of the last entry claim another size than its content has.
    #[must_use]
    pub fn claim_size(mut self, size: u64) -> Self {
        self.members.last_mut().expect("an entry comes first").claimed = Some(size);
        self
    }

    /// Adds a maintainer script: `preinst`, `postinst`, `prerm`, `postrm`.
    #[must_use]
    pub fn script(mut self, name: &str, text: &str) -> Self {
        self.control.push((name.to_owned(), text.as_bytes().to_vec(), 0o755));
        self
    }

    /// Adds another file of the control member: `conffiles`, `triggers`, `shlibs`…
    #[must_use]
    pub fn control_file(mut self, name: &str, content: impl AsRef<[u8]>) -> Self {
        self.control.push((name.to_owned(), content.as_ref().to_vec(), 0o644));
        self
    }

    fn member(mut self, path: &[u8], kind: EntryType, set: impl FnOnce(&mut Member)) -> Self {
        let mut member = Member {
            path: [b"./", path].concat(),
            kind,
            mode: 0o755,
            owner: "root".to_owned(),
            group: "root".to_owned(),
            mtime: self.mtime,
            link: None,
            content: Vec::new(),
            claimed: None,
            attributes: Vec::new(),
        };
        set(&mut member);
        self.members.push(member);
        self
    }

    /// The control stanza, ending with a line feed.
    #[must_use]
    pub fn stanza(&self) -> String {
        let installed: usize = self.members.iter().map(|member| member.content.len()).sum();
        let mut text =
            format!("Package: {}\nVersion: {}\nArchitecture: {}\n", self.name, self.version, self.architecture);
        let given = |name: &str| self.fields.iter().any(|(field, _)| field == name);
        for (name, value) in [
            ("Maintainer", "Larder tests <tests@example.com>".to_owned()),
            ("Installed-Size", installed.div_ceil(1024).to_string()),
            ("Section", "misc".to_owned()),
            ("Priority", "optional".to_owned()),
        ] {
            if !given(name) {
                text.push_str(&format!("{name}: {value}\n"));
            }
        }
        for (name, value) in self.fields.iter().filter(|(name, _)| name != "Description") {
            text.push_str(&format!("{name}: {value}\n"));
        }
        let description = self.fields.iter().find(|(name, _)| name == "Description");
        let description = description.map_or_else(|| format!("test package {}", self.name), |(_, value)| value.clone());
        text + &format!("Description: {description}\n")
    }

    /// The file's name in a pool: `hello_1.0_amd64.deb`.
    #[must_use]
    pub fn file_name(&self) -> String {
        let version = self.version.split_once(':').map_or(self.version.as_str(), |(_, rest)| rest);
        format!("{}_{version}_{}.deb", self.name, self.architecture)
    }

    /// The bytes of the `.deb`. The same description gives the same bytes.
    #[must_use]
    pub fn build(&self) -> Vec<u8> {
        let mut control = vec![("control".to_owned(), self.stanza().into_bytes(), 0o644)];
        control.extend(self.control.iter().cloned());
        let mut tar = tar::Builder::new(Vec::new());
        append(&mut tar, &directory(b"./", self.mtime));
        for (name, content, mode) in control {
            let path = format!("./{name}").into_bytes();
            append(&mut tar, &Member { kind: EntryType::Regular, mode, content, ..directory(&path, self.mtime) });
        }
        let control = tar.into_inner().expect("a tar in memory");

        let mut tar = tar::Builder::new(Vec::new());
        if self.parents {
            append(&mut tar, &directory(b"./", self.mtime));
        }
        let mut known: Vec<Vec<u8>> = Vec::new();
        for member in &self.members {
            if self.parents && member.path.starts_with(b"./") {
                for end in (2..member.path.len()).filter(|end| member.path[*end] == b'/') {
                    let parent = member.path[..end].to_vec();
                    let said =
                        self.members.iter().any(|other| other.path == parent && other.kind == EntryType::Directory);
                    if !known.contains(&parent) && !said {
                        append(&mut tar, &directory(&[parent.as_slice(), b"/"].concat(), member.mtime));
                        known.push(parent);
                    }
                }
            }
            append(&mut tar, member);
        }
        let data = tar.into_inner().expect("a tar in memory");

        let extension = match self.compression {
            Compression::None => "",
            Compression::Gzip => ".gz",
            Compression::Xz => ".xz",
            Compression::Zstd => ".zst",
        };
        let mut ar = b"!<arch>\n".to_vec();
        ar_member(&mut ar, "debian-binary", b"2.0\n");
        ar_member(&mut ar, &format!("control.tar{extension}"), &compress(&control, self.compression));
        ar_member(&mut ar, &format!("data.tar{extension}"), &compress(&data, self.compression));
        ar
    }
}

fn directory(path: &[u8], mtime: u64) -> Member {
    Member {
        path: path.to_vec(),
        kind: EntryType::Directory,
        mode: 0o755,
        owner: "root".to_owned(),
        group: "root".to_owned(),
        mtime,
        link: None,
        content: Vec::new(),
        claimed: None,
        attributes: Vec::new(),
    }
}

/// Appends an entry as it is: the `tar` crate's own checks (no `..`, no absolute path) are for honest writers.
fn append(tar: &mut tar::Builder<Vec<u8>>, member: &Member) {
    let mut header = Header::new_gnu();
    header.set_entry_type(member.kind);
    header.set_mode(member.mode);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(member.mtime);
    header.set_username(&member.owner).expect("a short name");
    header.set_groupname(&member.group).expect("a short name");
    header.set_size(member.claimed.unwrap_or(member.content.len() as u64));
    if matches!(member.kind, EntryType::Char | EntryType::Block) {
        header.set_device_major(1).expect("a GNU header");
        header.set_device_minor(3).expect("a GNU header");
    }
    let mut path = member.path.clone();
    if member.kind == EntryType::Directory && !path.ends_with(b"/") {
        path.push(b'/');
    }
    let inner = tar.get_mut();
    if !member.attributes.is_empty() {
        let mut records = Vec::new();
        for (name, value) in &member.attributes {
            records.extend(pax_record(&format!("SCHILY.xattr.{name}"), value));
        }
        write_extension(inner, EntryType::XHeader, b"./PaxHeaders/entry", &records);
    }
    if path.len() > 100 {
        write_extension(inner, EntryType::GNULongName, b"././@LongLink", &[path.as_slice(), b"\0"].concat());
        path.truncate(100);
    }
    let mut link = member.link.clone().unwrap_or_default();
    if link.len() > 100 {
        write_extension(inner, EntryType::GNULongLink, b"././@LongLink", &[link.as_slice(), b"\0"].concat());
        link.truncate(100);
    }
    header.as_old_mut().name[..path.len()].copy_from_slice(&path);
    header.as_old_mut().linkname[..link.len()].copy_from_slice(&link);
    header.set_cksum();
    inner.extend_from_slice(header.as_bytes());
    inner.extend_from_slice(&member.content);
    pad(inner);
}

fn write_extension(out: &mut Vec<u8>, kind: EntryType, name: &[u8], content: &[u8]) {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(0o644);
    header.set_size(content.len() as u64);
    header.as_old_mut().name[..name.len()].copy_from_slice(name);
    header.set_cksum();
    out.extend_from_slice(header.as_bytes());
    out.extend_from_slice(content);
    pad(out);
}

fn pad(out: &mut Vec<u8>) {
    out.resize(out.len().next_multiple_of(512), 0);
}

/// `<length> <key>=<value>\n`, where the length counts itself.
fn pax_record(key: &str, value: &[u8]) -> Vec<u8> {
    let rest = key.len() + value.len() + 3;
    let mut length = rest;
    while rest + length.to_string().len() != length {
        length = rest + length.to_string().len();
    }
    [format!("{length} {key}=").as_bytes(), value, b"\n"].concat()
}

fn ar_member(ar: &mut Vec<u8>, name: &str, content: &[u8]) {
    ar.extend_from_slice(
        format!("{name:<16}{:<12}{:<6}{:<6}{:<8}{:<10}`\n", 0, 0, 0, "100644", content.len()).as_bytes(),
    );
    ar.extend_from_slice(content);
    if content.len() % 2 == 1 {
        ar.push(b'\n');
    }
}

pub(super) fn compress(bytes: &[u8], compression: Compression) -> Vec<u8> {
    match compression {
        Compression::None => bytes.to_vec(),
        Compression::Gzip => {
            let mut encoder = flate2::GzBuilder::new().write(Vec::new(), flate2::Compression::default());
            encoder.write_all(bytes).expect("memory");
            encoder.finish().expect("memory")
        }
        Compression::Xz => {
            let mut encoder = liblzma::write::XzEncoder::new(Vec::new(), 1);
            encoder.write_all(bytes).expect("memory");
            encoder.finish().expect("memory")
        }
        Compression::Zstd => zstd::encode_all(bytes, 3).expect("memory"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(compression: Compression) -> Vec<u8> {
        Deb::new("hello", "1:2.0-1")
            .compression(compression)
            .depends("libc6 (>= 2.36)")
            .program("usr/bin/hello", "#!/bin/sh\n")
            .attribute("security.capability", [1, 0, 0, 2])
            .symlink("usr/bin/hi", "hello")
            .hard_link("usr/bin/hey", "usr/bin/hello")
            .file_with(&format!("usr/share/{}/x", "long".repeat(40)), "x", 0o600, "www-data", "adm")
            .script("postinst", "#!/bin/sh\nset -e\n")
            .build()
    }

    #[test]
    fn the_same_description_gives_the_same_bytes() {
        assert_eq!(sample(Compression::Zstd), sample(Compression::Zstd));
        assert_eq!(Deb::new("hello", "1:2.0-1").file_name(), "hello_2.0-1_amd64.deb");
    }

    #[test]
    fn debians_own_reader_accepts_it() {
        let folder = tempfile::tempdir().unwrap();
        for compression in [Compression::None, Compression::Gzip, Compression::Xz, Compression::Zstd] {
            let path = folder.path().join("a.deb");
            std::fs::write(&path, sample(compression)).unwrap();
            let Ok(out) = std::process::Command::new("dpkg-deb").arg("-c").arg(&path).output() else {
                _ = std::io::stderr().write_all(b"SKIPPED a .deb beside dpkg-deb: it is not installed\n");
                return;
            };
            let listing = String::from_utf8_lossy(&out.stdout).into_owned();
            assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
            for line in ["./usr/bin/hi -> hello", "./usr/bin/hey link to ./usr/bin/hello", "www-data/adm"] {
                assert!(listing.contains(line), "{listing}");
            }
        }
    }
}
