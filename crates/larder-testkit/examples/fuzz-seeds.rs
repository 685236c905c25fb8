//! Writes those seeds of the fuzz targets that no editor can: packages, archives, a certificate, signed release files and the
//! key that they are signed with, whose secret part goes with this program. Run it only to replace them.

use std::fs;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use larder_testkit::archive::{Compression, Deb, Key};
use larder_testkit::hostile::{folder, seeds};

/// When the release files were signed, in seconds since 1970.
const SIGNED: u64 = 1_780_000_000;

fn main() {
    let write = |target: &str, name: &str, bytes: &[u8]| {
        fs::create_dir_all(folder(target)).expect("a folder");
        fs::write(folder(target).join(name), bytes).expect("a seed");
    };
    let plain = packages().map(|deb| deb.compression(Compression::None));
    for (name, deb) in ["rich", "plain"].iter().zip(&plain) {
        write("deb", name, &deb.build());
    }
    for (name, compression) in [("gz", Compression::Gzip), ("xz", Compression::Xz), ("zst", Compression::Zstd)] {
        let [_, deb] = packages();
        write("deb", name, &deb.compression(compression).build());
    }
    // The last member is data.tar.
    let rich = plain[0].build();
    let header = rich.windows(8).rposition(|name| name == b"data.tar").expect("data.tar");
    write("tar", "rich", &rich[header + 60..]);

    let key = Key::valid_from(time(SIGNED - 86_400));
    let folder = folder("signed");
    fs::write(folder.ancestors().nth(2).unwrap_or(Path::new("")).join("key.asc"), key.public_armoured()).expect("key");
    let release = seeds("release").into_iter().find(|(name, _)| name == "debian").expect("a release file").1;
    let text = String::from_utf8(release).expect("UTF-8");
    write("signed", "main", &key.sign_at(&text, time(SIGNED)));
    let updates = text.replace("bookworm", "bookworm-updates") + "Description: - dashes\n";
    write("signed", "updates", &key.sign_at(&updates, time(SIGNED)));
}

fn time(seconds: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(seconds)
}

/// A package with one of everything, and one with little.
fn packages() -> [Deb; 2] {
    let long = format!("usr/share/{}/{}", "long".repeat(30), "name".repeat(30));
    let rich = Deb::new("sample", "1:1.0-1")
        .depends("libc6 (>= 2.36)")
        .replaces("sample-old (<< 1)")
        .file("etc/sample.conf", "x = 1\n")
        .program("usr/bin/sample", "#!/bin/sh\nexit 0\n")
        .file_with("usr/lib/sample/suid", "s", 0o4755, "root", "sample")
        .directory_with("var/lib/sample", 0o2770, "sample", "sample")
        .symlink("usr/bin/sample-link", "sample")
        .hard_link("usr/bin/sample-hard", "usr/bin/sample")
        .file("lib/x86_64-linux-gnu/libsample.so.1", "no library")
        .file(&long, "far down")
        .file("usr/lib/sysusers.d/sample.conf", "u sample - \"Sample\" /var/lib/sample\n")
        .file("usr/lib/tmpfiles.d/sample.conf", "d /run/sample 0755 sample sample\n")
        .file("usr/share/doc/sample/copyright", "Format: copyright-format/1.0\nLicense: MIT\n")
        .file("usr/bin/ping", "p")
        .attribute("security.capability", [1, 0, 0, 2, 0, 0x20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0])
        .control_file("md5sums", "d41d8cd98f00b204e9800998ecf8427e  etc/sample.conf\n")
        .script("postinst", "#!/bin/sh\nset -e\nupdate-alternatives --install /usr/bin/x x /usr/bin/sample 5\n");
    let plain = Deb::new("plain", "1").architecture("all").file("usr/share/plain/file", "content\n");
    [rich, plain]
}
