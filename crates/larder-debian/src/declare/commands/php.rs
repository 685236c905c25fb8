//! `php_invoke enmod VERSION ALL MODULE`: a link to a module's configuration for each way of running PHP.

use crate::declare::effects::{Made, Node, tree_path};
use crate::declare::walk::{Status, Value, Walk};

/// The ways of running PHP. A link for one that isn't installed does nothing.
const SAPIS: [&str; 4] = ["apache2", "cgi", "cli", "fpm"];

impl Walk<'_> {
    pub(super) fn php_invoke(&mut self, words: &[Value]) -> Status {
        // For one way of running, the modules that are installed are enabled: each module has done so itself.
        if !words.iter().flatten().any(|w| w == "ALL") {
            return Some(true);
        }
        let known = self.certain("php_invoke", words)?;
        let ["enmod", version, "ALL", module] = known.as_slice() else {
            self.not_understood("php_invoke", words);
            return None;
        };
        let target = format!("/etc/php/{version}/mods-available/{module}.ini");
        let priority = self.priority(&format!("/{module}.ini"));
        for sapi in SAPIS {
            let path = format!("/etc/php/{version}/{sapi}/conf.d/{priority}-{module}.ini");
            if let Some(path) = tree_path(&path) {
                self.effects.nodes.insert(path, Node::new(Made::Symlink(target.clone().into_bytes())));
            }
        }
        Some(true)
    }

    /// The line `; priority=N` of a module's configuration; 20 without it.
    fn priority(&self, suffix: &str) -> u32 {
        let text = self.subject.texts.iter().find(|(path, _)| path.as_bytes().ends_with(suffix.as_bytes()));
        let line = |text: &[u8]| {
            let text = String::from_utf8_lossy(text);
            text.lines().find_map(|line| line.strip_prefix("; priority=")?.trim().parse().ok())
        };
        text.and_then(|(_, text)| line(text)).unwrap_or(20)
    }
}
