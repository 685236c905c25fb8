//! `apache2_invoke enmod|enconf|ensite NAME`: links to what the package itself ships for the web server.

use crate::declare::effects::{Made, Node, tree_path};
use crate::declare::walk::{Status, Value, Walk};

impl Walk<'_> {
    /// What another package ships isn't seen here, so a module that depends on another's is not enabled whole.
    pub(super) fn apache2_invoke(&mut self, words: &[Value]) -> Status {
        let known = self.certain("apache2_invoke", words)?;
        let (kind, endings): (_, &[&str]) = match known.as_slice() {
            ["enmod", _] => ("mods", &["load", "conf"]),
            ["enconf", _] => ("conf", &["conf"]),
            ["ensite", _] => ("sites", &["conf"]),
            _ => ("", &[]),
        };
        let mut enabled = false;
        for (name, ending) in known.get(1).into_iter().flat_map(|name| endings.iter().map(move |ending| (name, ending)))
        {
            let there = format!("etc/apache2/{kind}-available/{name}.{ending}");
            let path = tree_path(&format!("/etc/apache2/{kind}-enabled/{name}.{ending}"));
            if let Some(path) = path.filter(|_| self.subject.tree.get(there.as_bytes()).is_some()) {
                let target = format!("../{kind}-available/{name}.{ending}");
                self.effects.nodes.insert(path, Node::new(Made::Symlink(target.into_bytes())));
                enabled = true;
            }
        }
        if !enabled {
            self.not_understood("apache2_invoke", words);
        }
        Some(true)
    }
}
