//! Keys in their folders.

use std::collections::BTreeSet;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::{Domain, KeyError, KeyId, Keys, Listed, Protection, PublicKey, Purpose, SecretKey};

/// A key's file that is larger than this isn't read.
const MAX_FILE: u64 = 16 << 10;
/// A domain that has more trusted keys than this isn't read.
const MAX_KEYS: usize = 256;

impl Keys {
    /// Makes a domain's key, and trusts it.
    ///
    /// # Errors
    /// A domain that has one; a passphrase that can't be had; I/O.
    pub fn create(&self, domain: &Domain, protection: Protection) -> Result<Listed, KeyError> {
        let folder = self.own()?;
        let (secret_file, public_file) = (secret_file(folder, domain), public_file(folder, domain));
        if secret_file.symlink_metadata().is_ok() {
            return Err(KeyError::Exists { domain: domain.clone(), file: secret_file });
        }
        let passphrase = match protection {
            Protection::None => None,
            Protection::Passphrase => Some(
                self.passphrases
                    .passphrase(domain, Purpose::Protect)
                    .map_err(|source| KeyError::Passphrase { domain: domain.clone(), source })?,
            ),
        };
        for name in ["secret", "public"] {
            make_folder(&folder.join(name))?;
        }
        let key = SecretKey::generate()?;
        let public = key.public();
        let text = key.to_pem(passphrase.as_ref().map(|text| text.as_str()))?;
        // The public half first: a secret key whose public half is missing is an error, the other way round is nothing.
        let pem = public.to_pem();
        self.add_trusted(folder, domain, &public)?;
        write(&public_file, pem.as_bytes(), 0o644, Existing::Replace)?;
        write(&secret_file, text.as_bytes(), 0o600, Existing::Keep).map_err(|error| match error {
            KeyError::Io { source, .. } if source.kind() == io::ErrorKind::AlreadyExists => {
                KeyError::Exists { domain: domain.clone(), file: secret_file.clone() }
            }
            other => other,
        })?;
        Ok(Listed { domain: domain.clone(), id: public.id(), file: secret_file, secret: Some(protection) })
    }

    /// Which key signs for a domain here; `None` where none does. Nobody is asked for a passphrase.
    ///
    /// # Errors
    /// A file that can't be read or is no key.
    pub fn signer(&self, domain: &Domain) -> Result<Option<PublicKey>, KeyError> {
        let Some(folder) = &self.own else { return Ok(None) };
        match read_public(&public_file(folder, domain))? {
            Some(key) if secret_file(folder, domain).symlink_metadata().is_ok() => Ok(Some(key)),
            _ => match secret_file(folder, domain).symlink_metadata() {
                Ok(_) => {
                    let key = self.secret(domain)?.ok_or_else(|| missing("key", domain))?;
                    Ok(Some(key.public()))
                }
                Err(_) => Ok(None),
            },
        }
    }

    /// A domain's secret key; `None` where there is none. Asks for its passphrase where it has one.
    ///
    /// # Errors
    /// A file that others can read or change, that isn't the caller's, or is no key; a wrong passphrase.
    pub fn secret(&self, domain: &Domain) -> Result<Option<SecretKey>, KeyError> {
        let Some(folder) = &self.own else { return Ok(None) };
        let (secret_file, public_file) = (secret_file(folder, domain), public_file(folder, domain));
        let Some(text) = read_secret(&secret_file)? else { return Ok(None) };
        let key = SecretKey::from_pem(&secret_file, &text, domain, &*self.passphrases)?;
        match read_public(&public_file)? {
            Some(public) if public != key.public() => Err(KeyError::Pair {
                secret: secret_file,
                public: public_file,
                found: key.public().id(),
                expected: public.id(),
            }),
            _ => Ok(Some(key)),
        }
    }

    /// The keys whose signatures count for a domain.
    ///
    /// # Errors
    /// A file that can't be read or is no key.
    pub fn trusted(&self, domain: &Domain) -> Result<Vec<PublicKey>, KeyError> {
        let mut keys: Vec<PublicKey> = Vec::new();
        for folder in self.own.iter().chain(&self.others) {
            for (key, _) in read_trusted(folder, domain)? {
                if !keys.contains(&key) {
                    keys.push(key);
                }
            }
        }
        Ok(keys)
    }

    /// Trusts a public key for a domain. The result says whether it wasn't trusted before.
    ///
    /// # Errors
    /// A file that can't be read or is no public key; I/O.
    pub fn trust(&self, domain: &Domain, file: &Path) -> Result<(KeyId, bool), KeyError> {
        let text = read(file, "public key")?
            .ok_or_else(|| KeyError::io("read", file)(io::Error::from(rustix::io::Errno::NOENT)))?;
        let key = PublicKey::from_pem(file, &text)?;
        let folder = self.own()?;
        make_folder(folder)?;
        let news = !self.trusted(domain)?.contains(&key);
        self.add_trusted(folder, domain, &key)?;
        Ok((key.id(), news))
    }

    /// The key that signs for a domain here, or else the only one that is trusted for it.
    ///
    /// # Errors
    /// No such key; I/O.
    pub fn export(&self, domain: &Domain) -> Result<Vec<PublicKey>, KeyError> {
        if let Some(key) = self.signer(domain)? {
            return Ok(vec![key]);
        }
        let keys = self.trusted(domain)?;
        if keys.is_empty() { Err(missing("key", domain)) } else { Ok(keys) }
    }

    /// Stops trusting a key (by its id, or the id's beginning), or every key of a domain, and removes the domain's secret key
    /// where that is among them. Gives the ids.
    ///
    /// # Errors
    /// No such key in the caller's own folder; I/O.
    pub fn forget(&self, domain: &Domain, id: Option<&str>) -> Result<Vec<KeyId>, KeyError> {
        let folder = self.own()?;
        let wanted = |key: &KeyId| id.is_none_or(|id| key.to_string().starts_with(id));
        let mut forgotten = BTreeSet::new();
        for (key, file) in read_trusted(folder, domain)? {
            if wanted(&key.id()) {
                remove(&file)?;
                forgotten.insert(key.id());
            }
        }
        if let Some(key) = read_public(&public_file(folder, domain))?.filter(|key| wanted(&key.id())) {
            remove(&secret_file(folder, domain))?;
            remove(&public_file(folder, domain))?;
            forgotten.insert(key.id());
        }
        if forgotten.is_empty() {
            return Err(missing(&id.map_or_else(|| "key".to_owned(), |id| format!("key {id}")), domain));
        }
        Ok(forgotten.into_iter().collect())
    }

    /// All keys, by domain and id.
    ///
    /// # Errors
    /// A file that can't be read or is no key.
    pub fn list(&self) -> Result<Vec<Listed>, KeyError> {
        let mut listed: Vec<Listed> = Vec::new();
        for folder in self.own.iter().chain(&self.others) {
            for domain in domains(&folder.join("trusted"))? {
                for (key, file) in read_trusted(folder, &domain)? {
                    if !listed.iter().any(|each| each.domain == domain && each.id == key.id()) {
                        listed.push(Listed { domain: domain.clone(), id: key.id(), file, secret: None });
                    }
                }
            }
        }
        let Some(folder) = &self.own else { return Ok(listed) };
        for domain in domains(&folder.join("secret"))? {
            let Some(key) = read_public(&public_file(folder, &domain))? else { continue };
            let file = secret_file(folder, &domain);
            let Some(text) = read(&file, "secret key")?.map(Zeroizing::new) else { continue };
            let how = if SecretKey::is_encrypted(&text) { Protection::Passphrase } else { Protection::None };
            listed.retain(|each| (&each.domain, &each.id) != (&domain, &key.id()));
            listed.push(Listed { domain, id: key.id(), file, secret: Some(how) });
        }
        listed.sort_by(|a, b| (&a.domain, &a.id).cmp(&(&b.domain, &b.id)));
        Ok(listed)
    }

    fn own(&self) -> Result<&Path, KeyError> {
        self.own.as_deref().ok_or(KeyError::NoPlace)
    }

    fn add_trusted(&self, folder: &Path, domain: &Domain, key: &PublicKey) -> Result<(), KeyError> {
        let place = folder.join("trusted").join(domain.as_str());
        make_folder(&place)?;
        write(&place.join(format!("{}.pem", key.id())), key.to_pem().as_bytes(), 0o644, Existing::Replace)
    }
}

fn secret_file(folder: &Path, domain: &Domain) -> PathBuf {
    folder.join(format!("secret/{domain}.pem"))
}

fn public_file(folder: &Path, domain: &Domain) -> PathBuf {
    folder.join(format!("public/{domain}.pem"))
}

fn missing(what: &str, domain: &Domain) -> KeyError {
    KeyError::Missing { what: what.to_owned(), domain: domain.clone() }
}

/// The domains that a folder's entries are named after.
fn domains(folder: &Path) -> Result<BTreeSet<Domain>, KeyError> {
    let names = list(folder)?.into_iter();
    Ok(names.filter_map(|name| name.strip_suffix(".pem").unwrap_or(&name).parse().ok()).collect())
}

fn list(folder: &Path) -> Result<Vec<String>, KeyError> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(KeyError::io("list", folder))?,
    };
    let mut names = Vec::new();
    for entry in entries {
        let entry = entry.map_err(KeyError::io("list", folder))?;
        names.extend(entry.file_name().into_string().ok());
    }
    names.sort();
    Ok(names)
}

/// The keys that a folder trusts for a domain, each named by its id.
fn read_trusted(folder: &Path, domain: &Domain) -> Result<Vec<(PublicKey, PathBuf)>, KeyError> {
    let place = folder.join("trusted").join(domain.as_str());
    let names: Vec<String> = list(&place)?.into_iter().filter(|name| name.ends_with(".pem")).collect();
    let wrong = |file: &Path, reason: &str| KeyError::Malformed {
        file: file.to_owned(),
        what: "public key",
        reason: reason.to_owned(),
    };
    if names.len() > MAX_KEYS {
        return Err(wrong(&place, "it holds more than 256 keys"));
    }
    let mut keys = Vec::with_capacity(names.len());
    for name in names {
        let file = place.join(&name);
        let Some(key) = read_public(&file)? else { continue };
        if name != format!("{}.pem", key.id()) {
            return Err(wrong(&file, "it was altered: the key in it isn't the one that the file is named after"));
        }
        keys.push((key, file));
    }
    Ok(keys)
}

fn read_public(file: &Path) -> Result<Option<PublicKey>, KeyError> {
    read(file, "public key")?.map(|text| PublicKey::from_pem(file, &text)).transpose()
}

fn read(file: &Path, what: &'static str) -> Result<Option<String>, KeyError> {
    match File::open(file) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        opened => read_opened(opened.map_err(KeyError::io("read", file))?, file, what).map(Some),
    }
}

fn read_opened(opened: File, file: &Path, what: &'static str) -> Result<String, KeyError> {
    let wrong = |reason: &str| KeyError::Malformed { file: file.to_owned(), what, reason: reason.to_owned() };
    let mut text = String::new();
    match opened.take(MAX_FILE + 1).read_to_string(&mut text) {
        Err(error) if error.kind() == io::ErrorKind::InvalidData => Err(wrong("it is not text")),
        Err(error) => Err(KeyError::io("read", file)(error)),
        Ok(length) if length as u64 > MAX_FILE => Err(wrong("it is larger than 16 KiB")),
        Ok(_) => Ok(text),
    }
}

/// Reads a secret key, which nobody else may have read or put there.
fn read_secret(file: &Path) -> Result<Option<Zeroizing<String>>, KeyError> {
    let opened = match File::open(file) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        opened => opened.map_err(KeyError::io("read", file))?,
    };
    let metadata = opened.metadata().map_err(KeyError::io("look at", file))?;
    let exposed = |file: &Path, mode, can| KeyError::Exposed { file: file.to_owned(), mode, can };
    let mode = metadata.mode() & 0o7777;
    if mode & 0o044 != 0 {
        return Err(exposed(file, mode, "read"));
    }
    if mode & 0o033 != 0 {
        return Err(exposed(file, mode, "change"));
    }
    let folder = file.parent().unwrap_or(file);
    let place = fs::metadata(folder).map_err(KeyError::io("look at", folder))?;
    if place.mode() & 0o022 != 0 {
        return Err(exposed(folder, place.mode() & 0o7777, "replace"));
    }
    let caller = rustix::process::geteuid().as_raw();
    if metadata.uid() != caller {
        return Err(KeyError::OtherOwner { file: file.to_owned(), owner: metadata.uid() });
    }
    Ok(Some(Zeroizing::new(read_opened(opened, file, "secret key")?)))
}

fn make_folder(folder: &Path) -> Result<(), KeyError> {
    if folder.is_dir() {
        return Ok(());
    }
    DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(KeyError::io("create", folder))
}

/// What becomes of a file that is there.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Existing {
    Keep,
    Replace,
}

/// Writes a file in one step: whole under its name, on the disk, or not there.
fn write(file: &Path, bytes: &[u8], mode: u32, existing: Existing) -> Result<(), KeyError> {
    let folder = file.parent().unwrap_or(file);
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    let temporary = folder.join(format!(".{name}.{}", std::process::id()));
    let put = || -> io::Result<()> {
        let mut opened = OpenOptions::new().write(true).create(true).truncate(true).mode(mode).open(&temporary)?;
        opened.write_all(bytes)?;
        opened.sync_all()?;
        match existing {
            Existing::Replace => fs::rename(&temporary, file)?,
            Existing::Keep => fs::hard_link(&temporary, file)?,
        }
        File::open(folder)?.sync_all()
    };
    let result = put();
    if result.is_err() || existing == Existing::Keep {
        // What stays behind has the same mode, and is overwritten by the next that is written.
        _ = fs::remove_file(&temporary);
    }
    result.map_err(KeyError::io("write", file))
}

fn remove(file: &Path) -> Result<(), KeyError> {
    match fs::remove_file(file) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other.map_err(KeyError::io("remove", file)),
    }
}
