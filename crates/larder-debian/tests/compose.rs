//! Composers on real packages that went through conversion and declaration, laid out in a folder and asked by the
//! packages' own tools (as root, by chroot).
//!
//! `LARDER_TEST_DEBS` names a folder of `.deb` files to take instead of fetching a small set with the machine's own apt.

use std::cell::RefCell;
use std::collections::HashMap;
use std::convert::Infallible;
use std::fs::{self, File};
use std::io::{Read, Write as _};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use larder_debian::compose::{ComposeInput, Composed, ContentError, Contents, compose, current_versions};
use larder_debian::convert::{Expected, read};
use larder_debian::deb::DebError;
use larder_debian::declare::declare;
use larder_store::fileset::ImageMetadata;
use larder_store::plan::{Catalog, InstallPlan, Loaded, install};
use larder_store::{
    Entry, FileSet, FileSetDigest, Import, Metadata, Name, ObjectDigest, Sha256Digest, Tree, TreeBuilder,
};
use larder_testkit::skip;
use sha2::{Digest as _, Sha256};

const PACKAGES: [&str; 33] = [
    "base-files",
    "base-passwd",
    "bash",
    "ca-certificates",
    "coreutils",
    "dash",
    "debianutils",
    "dpkg",
    "findutils",
    "gcc-12-base",
    "grep",
    "libacl1",
    "libattr1",
    "libbz2-1.0",
    "libc-bin",
    "libc6",
    "libcrypt1",
    "libgcc-s1",
    "libgmp10",
    "liblzma5",
    "libmd0",
    "libpcre2-8-0",
    "libselinux1",
    "libssl3",
    "libtinfo6",
    "libzstd1",
    "mawk",
    "openssl",
    "redis-server",
    "redis-tools",
    "sed",
    "tar",
    "zlib1g",
];

/// FileSets in memory, contents in a folder.
struct World {
    objects: PathBuf,
    loaded: RefCell<HashMap<FileSetDigest, Arc<Loaded>>>,
}

impl Catalog for World {
    type Error = Infallible;

    fn load(&self, digest: &FileSetDigest) -> Result<Arc<Loaded>, Infallible> {
        Ok(Arc::clone(&self.loaded.borrow()[digest]))
    }
}

impl Contents for World {
    fn open(&self, digest: &ObjectDigest) -> Result<File, ContentError> {
        Ok(File::open(self.objects.join(digest.hex()))?)
    }

    fn read(&self, digest: &ObjectDigest, limit: u64) -> Result<Vec<u8>, ContentError> {
        let content = fs::read(self.objects.join(digest.hex()))?;
        if content.len() as u64 > limit { Err("larger than its limit".into()) } else { Ok(content) }
    }

    fn write(&self, content: &[u8]) -> Result<ObjectDigest, ContentError> {
        let digest = ObjectDigest::of(content);
        fs::write(self.objects.join(digest.hex()), content)?;
        Ok(digest)
    }
}

impl World {
    fn keep(&self, record: FileSet, tree: Tree) -> Import {
        let (name, version, digest) = (record.name.clone(), record.version.clone(), record.digest());
        let path = name.mount_path(&version).expect("mount path");
        self.loaded.borrow_mut().insert(digest, Arc::new(Loaded { digest, record, tree }));
        Import { path, name, version, fileset: digest }
    }

    /// Converts a `.deb` and declares what its scripts do.
    fn import(&self, deb: &Path) -> [Import; 2] {
        let field = |name: &str| {
            let said = Command::new("dpkg-deb").arg("-f").arg(deb).arg(name).output().expect("dpkg-deb");
            String::from_utf8(said.stdout).expect("UTF-8").trim().to_owned()
        };
        let (package, version, architecture) = (field("Package"), field("Version"), field("Architecture"));
        let bytes = fs::read(deb).expect("deb");
        let sha256 = Sha256Digest::from_bytes(Sha256::digest(&bytes).into());
        let expected = Expected { sha256, package: &package, version: &version, architecture: &architecture };
        let mut sink = |content: &mut dyn Read, size: u64| {
            let mut bytes = Vec::with_capacity(size as usize);
            content.read_to_end(&mut bytes).expect("content");
            Ok::<_, DebError>(Contents::write(self, &bytes).expect("written"))
        };
        let converted = read(&bytes[..], &expected, &mut sink).expect("converted");
        let declared = declare(&converted).expect("declared");
        for content in declared.contents() {
            Contents::write(self, content).expect("written");
        }
        [self.keep(converted.record, converted.tree), self.keep(declared.record, declared.tree)]
    }

    fn plan(&self, imports: Vec<Import>) -> InstallPlan {
        let tree = TreeBuilder::new().finish().expect("tree");
        let record = FileSet {
            name: Name::parse("example.com/image").expect("name"),
            version: "1".to_owned(),
            architecture: "amd64".to_owned(),
            time: 0,
            tree: tree.digest(),
            imports,
            metadata: Metadata::Image(ImageMetadata::default()),
        };
        let image = self.keep(record, tree);
        let image = self.loaded.borrow()[&image.fileset].clone();
        install(self, &image).expect("a plan")
    }

    /// Writes plan and composed files into a folder; owners are left out.
    fn lay_out(&self, plan: &InstallPlan, composed: &Composed, root: &Path) {
        let planned = plan.entries.iter().map(|(path, planned)| (path, &planned.entry.entry, planned.entry.mode()));
        let mut all: std::collections::BTreeMap<_, _> =
            planned.map(|(path, entry, mode)| (path, (entry, mode))).collect();
        for file in &composed.files {
            let mode = file.attributes.mode.unwrap_or_else(|| file.entry.default_mode());
            all.insert(&file.path, (&file.entry, mode));
        }
        for (path, (entry, mode)) in all {
            let path = root.join(std::ffi::OsStr::from_bytes(path.as_bytes()));
            match entry {
                Entry::Directory => fs::create_dir(&path).expect("directory"),
                Entry::Symlink { target } => symlink(std::ffi::OsStr::from_bytes(target), &path).expect("link"),
                Entry::File { digest, .. } => _ = fs::copy(self.objects.join(digest.hex()), &path).expect("file"),
            }
            if !matches!(entry, Entry::Symlink { .. }) {
                fs::set_permissions(&path, fs::Permissions::from_mode(u32::from(mode))).expect("mode");
            }
        }
    }
}

/// The `.deb` files to work on.
fn debs(test: &str, folder: &Path) -> Option<Vec<PathBuf>> {
    let list = |folder: &Path| {
        let items = fs::read_dir(folder).expect("folder").map(|item| item.expect("item").path());
        let mut debs: Vec<_> = items.filter(|path| path.extension().is_some_and(|e| e == "deb")).collect();
        debs.sort();
        debs
    };
    if let Some(given) = std::env::var_os("LARDER_TEST_DEBS") {
        return Some(list(Path::new(&given)));
    }
    let got = Command::new("apt-get").args(["-q", "download"]).args(PACKAGES).current_dir(folder).output();
    if got.is_ok_and(|got| got.status.success()) {
        return Some(list(folder));
    }
    skip(test, "the archive can't be reached with apt-get");
    None
}

#[test]
fn the_packages_own_tools_find_what_they_expect() {
    let test = "the_packages_own_tools_find_what_they_expect";
    let folder = tempfile::tempdir().expect("a temporary folder");
    let Some(debs) = debs(test, folder.path()) else { return };
    let world = World { objects: folder.path().join("objects"), loaded: RefCell::default() };
    fs::create_dir(&world.objects).expect("directory");
    let mut imports: Vec<Import> = debs.iter().flat_map(|deb| world.import(deb)).collect();
    let versions = current_versions();
    let plan = world.plan(imports.clone());
    let began = std::time::Instant::now();
    let composed = compose(&ComposeInput { plan: &plan, versions: &versions }, &world).expect("composed");
    drop(writeln!(std::io::stderr(), "{} packages composed in {:?}", debs.len(), began.elapsed()));
    imports.reverse();
    let turned = world.plan(imports);
    assert_eq!(compose(&ComposeInput { plan: &turned, versions: &versions }, &world).expect("composed"), composed);

    let root = folder.path().join("root");
    fs::create_dir(&root).expect("directory");
    world.lay_out(&plan, &composed, &root);
    let ask = |command: &str| {
        let done = Command::new("chroot")
            .arg(&root)
            .args(["/bin/sh", "-c", command])
            .env_clear()
            .env("PATH", "/usr/sbin:/usr/bin")
            .output();
        let done = done.expect("chroot");
        let said = String::from_utf8_lossy(&done.stdout).into_owned();
        assert!(done.status.success(), "{command}: {said}{}", String::from_utf8_lossy(&done.stderr));
        said
    };
    if !Command::new("chroot").arg(&root).arg("/bin/true").status().is_ok_and(|status| status.success()) {
        return skip(test, "chroot isn't permitted: not root");
    }
    let redis = composed.ids.user("redis").expect("the declared user").clone();
    assert_eq!(ask("getent passwd redis").split(':').nth(2), Some(redis.uid.to_string().as_str()));
    assert_eq!(ask("id -u www-data"), "33\n");
    assert!(ask("getent hosts localhost").contains("localhost"));
    let before = ask("ldconfig -p | grep '=>'");
    ask("ldconfig");
    assert_eq!(before, ask("ldconfig -p | grep '=>'"), "ldconfig inside finds something else");
    assert!(ask("update-alternatives --query awk").contains("Value: /usr/bin/"));
    assert!(ask("awk 'BEGIN { print 6 * 7 }'").contains("42"));
    let listed = ask("dpkg-query -W -f '${db:Status-Abbrev} ${Package}\\n'");
    assert_eq!(listed.lines().filter(|line| line.starts_with("ii ")).count(), debs.len());
    assert!(ask("dpkg -S /usr/bin/cat").contains("coreutils: /usr/bin/cat"));
    ask("openssl verify -CApath /etc/ssl/certs /usr/share/ca-certificates/mozilla/ISRG_Root_X1.crt");
    assert!(ask("update-ca-certificates").contains("0 added, 0 removed"));
}
