//! What is a function of the whole set of packages: locales, fonts, compiled caches, the package manager's own view.

use crate::program::Program;
use crate::world::World;

pub(crate) fn locale(world: &World) {
    let script = "
        export LC_ALL=de_DE.UTF-8
        locale charmap
        printf '%s\\n' z Ä a | sort | tr '\\n' ' '
        date -u -d 2026-03-01 '+%A, %B'
        printf '%s\\n' z Ä a | LC_ALL=C sort | tr '\\n' ' '
    ";
    let program = Program { name: "locale", packages: &["locales-all"], script, ..Program::default() };
    program.says(world, "UTF-8\na Ä z Sonntag, März\na z Ä ");
}

pub(crate) fn fonts(world: &World) {
    let script = "
        fc-list : family style | grep Mono | sort
        fc-match sans family
    ";
    let packages = &["fontconfig", "fonts-dejavu-core"];
    let program = Program { name: "fonts", packages, script, ..Program::default() };
    program.says(world, "DejaVu Sans Mono:style=Bold\nDejaVu Sans Mono:style=Book\nDejaVu Sans\n");
}

/// GSettings knows the schemas, the image's own override too, and a file's type is known by its content.
pub(crate) fn schemas_and_types(world: &World) {
    let script = "
        export GSETTINGS_BACKEND=memory
        gsettings get org.gnome.system.proxy mode
        cp /opt/test/picture /tmp/picture
        gio info -a standard::content-type /tmp/picture | tail -n 1
        test ! -e /usr/share/glib-2.0/schemas/gschemas.compiled.new
    ";
    let files = [("picture", "<svg xmlns=\"http://www.w3.org/2000/svg\"/>\n")];
    let packages = &["libglib2.0-bin", "gsettings-desktop-schemas", "shared-mime-info"];
    let program = Program { name: "schemas", packages, script, files: &files, ..Program::default() };
    program.says(world, "'none'\n  standard::content-type: image/svg+xml\n");
}

const SVG: &str =
    "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"64\" height=\"64\"><rect width=\"64\" height=\"64\"/></svg>\n";

/// gdk-pixbuf finds the loader of another package.
pub(crate) fn picture_loaders(world: &World) {
    let script = "
        gdk-pixbuf-thumbnailer -s 16 /opt/test/a.svg /tmp/a.png
        head -c 4 /tmp/a.png | tail -c 3
    ";
    let files = [("a.svg", SVG)];
    let packages = &["libgdk-pixbuf2.0-bin", "librsvg2-common", "shared-mime-info"];
    let program = Program { name: "pictures", packages, script, files: &files, ..Program::default() };
    program.says(world, "PNG");
}

/// dpkg and apt list what the image imports, and find nothing wrong with it.
pub(crate) fn dpkg_and_apt(world: &World) {
    let script = "
        dpkg-query -W -f '${Package}=${Version}\\n' | sort
        echo
        apt list --installed 2>/dev/null | sed -n 's,^\\([^/]*\\)/.* \\(.*\\) .* \\[installed.*,\\1=\\2,p' | sort
        echo
        dpkg -l | grep -c '^ii'
        dpkg -S /usr/sbin/nginx
        dpkg --audit
        dpkg -V
        apt-get check >/dev/null
    ";
    let output = Program { name: "dpkg", packages: &["apt", "nginx-light"], script, ..Program::default() }.run(world);
    let listed = world.env.larder(["inspect", "example.com/dpkg", "--json"]).success();
    let listed: serde_json::Value = serde_json::from_str(&listed.stdout).expect("JSON");
    let text = |value: &serde_json::Value, key: &str| value[key].as_str().expect("text").to_owned();
    let mut packages: Vec<String> = listed["packages"]
        .as_array()
        .expect("packages")
        .iter()
        .map(|package| {
            let name = text(package, "name");
            format!("{}={}", name.trim_start_matches("debian.org/"), text(package, "version"))
        })
        .collect();
    packages.sort();
    let parts: Vec<&str> = output.stdout.split("\n\n").collect();
    let [dpkg, apt, rest] = parts.as_slice() else { panic!("{output:?}") };
    assert_eq!(dpkg.lines().collect::<Vec<_>>(), packages);
    assert_eq!(apt.lines().collect::<Vec<_>>(), packages);
    assert_eq!(*rest, format!("{}\nnginx: /usr/sbin/nginx\n", packages.len()));
}
