//! The composers on packages of the archive, beside the tools that they stand in for.

use super::*;

/// The machine's own tool, or `None` and a loud word.
fn tool(test: &str, name: &str) -> Option<PathBuf> {
    let found = ["/usr/sbin", "/usr/bin", "/sbin"].iter().map(|d| Path::new(d).join(name)).find(|p| p.exists());
    if found.is_none() {
        skipped(test, &format!("{name} isn't installed"));
    }
    found
}

fn ldconfig_list(tool: &Path, cache: &Path) -> String {
    let listed = Command::new(tool).arg("-p").arg("-C").arg(cache).output().expect("ldconfig -p");
    assert!(listed.status.success(), "{}", String::from_utf8_lossy(&listed.stderr));
    let listed = String::from_utf8(listed.stdout).expect("UTF-8");
    listed.lines().filter(|line| line.contains("=>")).map(|line| format!("{line}\n")).collect()
}

/// The cache with the writer's name and what depends on its length made equal.
fn without_generator(cache: &[u8]) -> Vec<u8> {
    let word = |at: usize| u32::from_le_bytes(cache[at..at + 4].try_into().expect("word")) as usize;
    let extensions = word(32);
    assert_eq!(word(extensions + 8), 0, "the first section is the generator");
    let mut rest = cache.to_vec();
    let (at, size) = (word(extensions + 16), word(extensions + 20));
    assert_eq!(at + size, cache.len());
    rest.truncate(at);
    rest[extensions + 20..extensions + 24].fill(0);
    rest
}

#[test]
fn the_linkers_cache_is_what_ldconfig_writes() {
    let test = "the_linkers_cache_is_what_ldconfig_writes";
    let packages = [
        "libc6", "libc-bin", "libgcc-s1", "libstdc++6", "libssl3", "zlib1g", "libpcre2-8-0", "libblas3", "libicu72",
        "libncursesw6", "libtinfo6", "libpython3.11", "liblzma5", "libzstd1", "zlib1g-dev",
    ];
    let Some(ldconfig) = tool(test, "ldconfig") else { return };
    let Some(folder) = unpacked(test, &packages) else { return };
    let root = folder.path().join("root");
    // One without its link, one with two versions, one only for newer machines, one in a directory of the image's own.
    let library = root.join("usr/lib/x86_64-linux-gnu");
    fs::remove_file(library.join("libzstd.so.1")).expect("remove");
    let zlib = fs::canonicalize(library.join("libz.so.1")).expect("zlib");
    fs::copy(&zlib, library.join("libz.so.1.2.9")).expect("copy");
    fs::create_dir_all(library.join("glibc-hwcaps/x86-64-v3")).expect("directory");
    fs::create_dir_all(library.join("glibc-hwcaps/x86-64-v2")).expect("directory");
    fs::copy(&zlib, library.join("glibc-hwcaps/x86-64-v3/libz.so.1.2.13")).expect("copy");
    fs::copy(&zlib, library.join("glibc-hwcaps/x86-64-v2/libz.so.1")).expect("copy");
    fs::create_dir_all(root.join("opt/own")).expect("directory");
    fs::copy(&zlib, root.join("opt/own/libown.so")).expect("copy");
    fs::write(root.join("opt/own/libtext.so"), "INPUT(libown.so)").expect("text");
    fs::write(root.join("etc/ld.so.conf.d/own.conf"), "# ours\n/opt/own/\n/usr/lib/x86_64-linux-gnu/blas\n").expect("conf");

    let world = World::new();
    let import = world.package("all", world.draw_folder(&root));
    let made = world.compose_all(&[], vec![import]).expect("composed");

    let status = Command::new(&ldconfig).arg("-r").arg(&root).status().expect("ldconfig");
    assert!(status.success());
    let real = root.join("etc/ld.so.cache");
    let ours = folder.path().join("ours");
    fs::write(&ours, made.bytes("etc/ld.so.cache")).expect("write");
    assert_eq!(ldconfig_list(&ldconfig, &ours), ldconfig_list(&ldconfig, &real));
    let ours = made.bytes("etc/ld.so.cache");
    let real = fs::read(real).expect("cache");
    assert!(without_generator(&ours) == without_generator(&real), "the bytes before the writer's name differ");
    assert_eq!(made.target("usr/lib/x86_64-linux-gnu/libzstd.so.1"), fs::read_link(library.join("libzstd.so.1")).expect("link").to_string_lossy());
    let linked: Vec<_> = made.composed.files.iter().filter(|f| f.composer == "ld.so.cache").map(|f| f.path.to_string()).collect();
    for path in linked {
        assert!(root.join(&path).symlink_metadata().is_ok(), "ldconfig made no {path}");
    }
}
