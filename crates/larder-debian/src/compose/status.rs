//! The composer `status`: dpkg's database, merged from what each package carries of its own.
//!
//! Every package brings its control file as `/var/lib/dpkg/status.d/NAME`, which image scanners read. dpkg itself
//! wants one `status` file: the same paragraphs, sorted by name, each with `Status: install ok installed`. Beside it,
//! `info/NAME.list` is the package's own tree and `info/NAME.md5sums` a link to the one in `status.d`, so that `dpkg
//! -L`, `-S` and `-V` work in a container. A package that can be installed for two architectures is
//! `NAME:ARCHITECTURE` there, as dpkg's format 1 has it.
//!
//! Paths that a diversion moved are listed where the package has them, which is dpkg's own view. Absent on purpose:
//! conffile digests, triggers, `available`, and maintainer scripts, which never run.

use std::collections::BTreeMap;

use larder_store::Tree;
use larder_store::tree::Attributes;

use super::{ComposeError, Draft};

const FOLDER: &str = "var/lib/dpkg/status.d";
/// A control file larger than this is refused.
const MAX_FILE: u64 = 4 << 20;

/// One package, as its own control file has it.
struct Paragraph {
    text: String,
    /// `NAME`, or `NAME:ARCHITECTURE`.
    stem: String,
}

pub(super) fn compose(draft: &mut Draft<'_>) -> Result<(), ComposeError> {
    let mut packages: BTreeMap<String, (Paragraph, &Tree)> = BTreeMap::new();
    let plan = draft.plan();
    for name in draft.names(FOLDER.as_bytes()) {
        let Ok(name) = String::from_utf8(name) else { continue };
        let path = format!("{FOLDER}/{name}");
        let Some(planned) = plan.entries.get(path.as_bytes()) else { continue };
        if name.ends_with(".md5sums") {
            continue;
        }
        let Some(control) = draft.read(path.as_bytes(), MAX_FILE)? else { continue };
        let paragraph = paragraph(&name, &String::from_utf8_lossy(&control));
        packages.insert(name, (paragraph, &plan.sources[planned.source].tree));
    }
    if packages.is_empty() {
        return Ok(());
    }
    for directory in ["info", "updates"] {
        draft.directory(&format!("var/lib/dpkg/{directory}"), Attributes::default())?;
    }
    draft.file("var/lib/dpkg/info/format", b"1\n")?;
    let mut status = String::new();
    for (name, (paragraph, tree)) in &packages {
        status.push_str(&paragraph.text);
        status.push('\n');
        let info = format!("var/lib/dpkg/info/{}", paragraph.stem);
        draft.file(&format!("{info}.list"), &list(tree))?;
        let sums = format!("{FOLDER}/{name}.md5sums");
        if draft.at(sums.as_bytes()).is_some() {
            draft.link(format!("{info}.md5sums").as_bytes(), format!("../status.d/{name}.md5sums").as_bytes())?;
        }
    }
    draft.file("var/lib/dpkg/status", status.as_bytes())
}

/// The paragraph with its state put after the name, ending in one line end.
fn paragraph(name: &str, control: &str) -> Paragraph {
    let field = |wanted: &str| {
        let line =
            control.lines().find(|line| line.len() > wanted.len() && line[..wanted.len()].eq_ignore_ascii_case(wanted));
        line.map(|line| line[wanted.len()..].trim())
    };
    let stem = match (field("Multi-Arch:"), field("Architecture:")) {
        (Some("same"), Some(architecture)) => format!("{name}:{architecture}"),
        _ => name.to_owned(),
    };
    let mut text = format!("Package: {name}\nStatus: install ok installed\n");
    // Where a field is dropped, its continuation lines go with it.
    let mut dropping = false;
    for line in control.lines().filter(|line| !line.trim().is_empty()) {
        if !line.starts_with([' ', '\t']) {
            let key = line.split(':').next().unwrap_or_default();
            dropping = key.eq_ignore_ascii_case("Package") || key.eq_ignore_ascii_case("Status");
        }
        if !dropping {
            text.push_str(line);
            text.push('\n');
        }
    }
    Paragraph { text, stem }
}

/// Every path of a package, absolute, after `/.`, as dpkg lists them.
fn list(tree: &Tree) -> Vec<u8> {
    let mut out = b"/.\n".to_vec();
    for entry in tree.entries() {
        out.push(b'/');
        out.extend(entry.path.as_bytes());
        out.push(b'\n');
    }
    out
}
