//! Directories, links, copies, owners and modes: what a script makes of a fresh file system.

use larder_store::{Entry, TreePath};

use crate::declare::effects::{Made, Node, tree_path};
use crate::declare::walk::{Status, Value, Walk};

/// Options and operands.
struct Parsed<'a> {
    flags: String,
    values: Vec<(char, &'a str)>,
    operands: Vec<&'a str>,
}

impl<'a> Parsed<'a> {
    /// Splits the words; `with_value` are the short options that take one. `None` for long options not known here.
    fn new(words: &[&'a str], with_value: &str) -> Option<Self> {
        let mut parsed = Self { flags: String::new(), values: Vec::new(), operands: Vec::new() };
        let mut words = words.iter().copied();
        while let Some(word) = words.next() {
            if let Some(long) = word.strip_prefix("--") {
                let (name, value) = long.split_once('=').map_or((long, None), |(name, value)| (name, Some(value)));
                match name {
                    "" => {
                        parsed.operands.extend(words);
                        break;
                    }
                    "parents" => parsed.flags.push('p'),
                    "mode" => parsed.values.push(('m', value.or_else(|| words.next())?)),
                    "owner" => parsed.values.push(('o', value.or_else(|| words.next())?)),
                    "group" => parsed.values.push(('g', value.or_else(|| words.next())?)),
                    "force" | "quiet" | "verbose" | "no-dereference" | "silent" | "changes" | "symbolic" => {}
                    "recursive" => parsed.flags.push('R'),
                    "directory" => parsed.flags.push('d'),
                    _ => return None,
                }
            } else if word.len() > 1 && word.starts_with('-') {
                let letters = word[1..].char_indices();
                for (at, letter) in letters {
                    if with_value.contains(letter) {
                        let rest = &word[1 + at + letter.len_utf8()..];
                        parsed.values.push((letter, if rest.is_empty() { words.next()? } else { rest }));
                        break;
                    }
                    parsed.flags.push(letter);
                }
            } else {
                parsed.operands.push(word);
            }
        }
        Some(parsed)
    }

    fn value(&self, option: char) -> Option<&'a str> {
        self.values.iter().rev().find(|(letter, _)| *letter == option).map(|(_, value)| *value)
    }
}

impl Walk<'_> {
    pub(super) fn file_command(&mut self, name: &str, words: &[Value]) -> Status {
        // Temporary files, and rules for the host's kernel.
        let elsewhere = ["/tmp/", "/etc/apparmor.d/"];
        let is_elsewhere = |w: &str| elsewhere.iter().any(|folder| w.starts_with(folder)) || w == "/dev/null";
        let is_temporary =
            |w: &Value| w.as_deref().is_some_and(|w| is_elsewhere(w) || w.starts_with('-') || octal(w).is_some());
        let removes = matches!(name, "rm" | "rmdir" | "unlink");
        if !words.is_empty() && words.iter().all(|w| is_temporary(w) || removes && self.is_foreign(w)) {
            return Some(true);
        }
        let known = self.certain(name, words)?;
        let done = match name {
            "mkdir" => self.mkdir(&known),
            "install" => self.install(&known),
            "chown" | "chgrp" | "chmod" => self.attributes(name, &known),
            "ln" => self.link(&known),
            "cp" => self.copy(&known),
            "touch" => self.touch(&known),
            _ => self.remove(&known),
        };
        if done != Some(true) {
            self.not_understood(name, words);
        }
        Some(true)
    }

    /// Whether removing a path removes nothing: neither the package's own nor made by it. What other packages own is not
    /// this package's to remove on a fresh installation.
    fn is_foreign(&self, word: &Value) -> bool {
        let Some(path) = word.as_deref().and_then(tree_path) else { return false };
        self.subject.tree.get(path.as_bytes()).is_none() && !self.effects.nodes.contains_key(&path)
    }

    /// Changes the attributes of a node that exists.
    pub(super) fn change(&mut self, path: &str, change: impl FnOnce(&mut Node)) -> bool {
        let Some(node) = tree_path(path).and_then(|path| self.effects.at(&path, self.subject.tree)) else {
            return false;
        };
        change(node);
        true
    }

    /// Makes a directory where there is none.
    fn directory(&mut self, path: TreePath) -> Option<bool> {
        if let Some(own) = self.subject.tree.get(path.as_bytes()) {
            return Some(own.entry == Entry::Directory);
        }
        let node = self.effects.nodes.entry(path).or_insert_with(|| Node::new(Made::Directory));
        Some(node.made == Made::Directory)
    }

    pub(super) fn make_home(&mut self, home: &str, owner: &str, group: &str) {
        let Some(path) = tree_path(home) else { return };
        // An existing home keeps its owner, as adduser leaves it.
        if self.subject.tree.get(path.as_bytes()).is_none() && !self.effects.nodes.contains_key(&path) {
            let mut node = Node::new(Made::Directory);
            (node.owner, node.group) = (Some(owner.to_owned()), Some(group.to_owned()));
            self.effects.nodes.insert(path, node);
        }
    }

    fn mkdir(&mut self, words: &[&str]) -> Option<bool> {
        let parsed = Parsed::new(words, "m")?;
        let mode = parsed.value('m').map(octal);
        for operand in &parsed.operands {
            let path = tree_path(operand)?;
            if !self.directory(path)? {
                return Some(false);
            }
            if let Some(mode) = mode {
                self.change(operand, |node| node.mode = mode).then_some(())?;
                mode?;
            }
        }
        Some(!parsed.operands.is_empty())
    }

    fn install(&mut self, words: &[&str]) -> Option<bool> {
        let parsed = Parsed::new(words, "mog")?;
        let targets = match parsed.operands.as_slice() {
            all if parsed.flags.contains('d') => all.to_vec(),
            [from, to] => {
                self.copy(&[from, to]).filter(|&done| done)?;
                vec![*to]
            }
            _ => return None,
        };
        for target in targets {
            if parsed.flags.contains('d') && !self.directory(tree_path(target)?)? {
                return Some(false);
            }
            let mode = parsed.value('m').map_or(Some(0o755), octal)?;
            let (owner, group) = (parsed.value('o').map(str::to_owned), parsed.value('g').map(str::to_owned));
            self.change(target, |node| {
                node.mode = Some(mode);
                node.owner = owner.or(node.owner.take());
                node.group = group.or(node.group.take());
            })
            .then_some(())?;
        }
        Some(true)
    }

    fn attributes(&mut self, name: &str, words: &[&str]) -> Option<bool> {
        let (flags, rest): (Vec<&str>, Vec<&str>) = words.iter().partition(|w| w.starts_with('-'));
        if flags.iter().any(|flag| flag.starts_with("--reference")) {
            return None;
        }
        let is_recursive = flags.iter().any(|flag| flag.contains('R') || *flag == "--recursive");
        let (what, targets) = rest.split_first()?;
        let mut paths = Vec::new();
        for target in targets {
            let path = tree_path(target)?;
            if is_recursive {
                paths.extend(self.below(&path));
            }
            paths.push(path);
        }
        for path in &paths {
            match name {
                "chmod" => {
                    let mode = self.mode(path, what)?;
                    self.effects.at(path, self.subject.tree)?.mode = Some(mode);
                }
                "chgrp" => self.effects.at(path, self.subject.tree)?.group = Some((*what).to_owned()),
                _ => {
                    let (owner, group) = match what.split_once([':', '.']) {
                        Some((owner, group)) => (owner, Some(group).filter(|group| !group.is_empty())),
                        None => (*what, None),
                    };
                    let node = self.effects.at(path, self.subject.tree)?;
                    if !owner.is_empty() {
                        node.owner = Some(owner.to_owned());
                    }
                    node.group = group.map(str::to_owned).or(node.group.take());
                }
            }
        }
        Some(!targets.is_empty())
    }

    /// What the package has and its scripts made below a directory, without links.
    fn below(&self, path: &TreePath) -> Vec<TreePath> {
        let is_link = |entry: &Entry| matches!(entry, Entry::Symlink { .. });
        let own = self.subject.tree.entries().iter().filter(|own| !is_link(&own.entry)).map(|own| &own.path);
        let made = self.effects.nodes.iter().filter(|(_, node)| !matches!(node.made, Made::Symlink(_)));
        let mut all: Vec<_> =
            own.chain(made.map(|(path, _)| path)).filter(|other| other.is_below(path.as_bytes())).cloned().collect();
        all.sort();
        all.dedup();
        all
    }

    /// A mode in octal digits, or a change of the one that is there.
    fn mode(&self, path: &TreePath, text: &str) -> Option<u16> {
        if let Some(mode) = octal(text) {
            return Some(mode);
        }
        let node = self.effects.nodes.get(path);
        let own = self.subject.tree.get(path.as_bytes());
        let is_directory = match (node.map(|node| &node.made), own) {
            (Some(Made::Directory), _) => true,
            (None | Some(Made::Own), Some(own)) => own.entry == Entry::Directory,
            _ => false,
        };
        let usual = if is_directory { 0o755 } else { 0o644 };
        let now = node.and_then(|node| node.mode).or(own.map(larder_store::TreeEntry::mode)).unwrap_or(usual);
        symbolic(text, now, is_directory)
    }

    fn has_children(&self, path: &TreePath) -> bool {
        self.subject.tree.entries().iter().any(|e| e.path.is_below(path.as_bytes()))
            || self.effects.nodes.keys().any(|other| other.is_below(path.as_bytes()))
    }

    fn link(&mut self, words: &[&str]) -> Option<bool> {
        let parsed = Parsed::new(words, "tS")?;
        let ([target, path], true) = (parsed.operands.as_slice(), parsed.flags.contains('s')) else { return None };
        let mut at = tree_path(path)?;
        let is_directory = |path: &TreePath| {
            self.subject.tree.get(path.as_bytes()).is_some_and(|own| own.entry == Entry::Directory)
                || self.effects.nodes.get(path).is_some_and(|node| node.made == Made::Directory)
        };
        if path.ends_with('/') || is_directory(&at) {
            let name = target.rsplit('/').next()?;
            at = tree_path(&format!("{path}/{name}"))?;
        }
        if self.subject.tree.get(at.as_bytes()).is_some() && !parsed.flags.contains('f') {
            return None;
        }
        self.effects.nodes.insert(at, Node::new(Made::Symlink(target.as_bytes().to_vec())));
        Some(true)
    }

    /// Copies one of the package's own files.
    fn copy(&mut self, words: &[&str]) -> Option<bool> {
        let parsed = Parsed::new(words, "tS")?;
        let [from, to] = parsed.operands.as_slice() else { return None };
        let source = tree_path(from)?;
        let Entry::File { executable, .. } = self.subject.tree.get(source.as_bytes())?.entry else { return None };
        let mut at = tree_path(to)?;
        if to.ends_with('/') || self.subject.tree.get(at.as_bytes()).is_some_and(|own| own.entry == Entry::Directory) {
            at = tree_path(&format!("{to}/{}", from.rsplit('/').next()?))?;
        }
        if self.subject.tree.get(at.as_bytes()).is_some() || executable {
            return None;
        }
        self.effects.nodes.insert(at, Node::new(Made::Copy(source)));
        Some(true)
    }

    fn touch(&mut self, words: &[&str]) -> Option<bool> {
        let parsed = Parsed::new(words, "drt")?;
        for operand in &parsed.operands {
            let path = tree_path(operand)?;
            if self.subject.tree.get(path.as_bytes()).is_none() {
                self.effects.nodes.entry(path).or_insert_with(|| Node::new(Made::Text(Vec::new())));
            }
        }
        Some(!parsed.operands.is_empty())
    }

    /// Takes back what this package's scripts made; its own payload stays.
    fn remove(&mut self, words: &[&str]) -> Option<bool> {
        let parsed = Parsed::new(words, "")?;
        for operand in &parsed.operands {
            let path = tree_path(operand)?;
            if self.subject.tree.get(path.as_bytes()).is_some() || self.has_children(&path) {
                return None;
            }
            self.effects.nodes.remove(&path);
        }
        Some(true)
    }
}

/// A symbolic mode, such as `u=rw,go-w`, applied to the mode that is there. `None` for what needs the umask or another class's bits.
fn symbolic(text: &str, mut mode: u16, is_directory: bool) -> Option<u16> {
    for clause in text.split(',') {
        let at = clause.find(['+', '-', '='])?;
        let (classes, change) = clause.split_at(at);
        let (operator, letters) = change.split_at(1);
        let classes = if classes == "a" { "ugo" } else { classes };
        let mut bits = 0;
        let mut all = 0;
        for class in classes.chars() {
            let (shift, special) = match class {
                'u' => (6, 0o4000),
                'g' => (3, 0o2000),
                'o' => (0, 0),
                _ => return None,
            };
            all |= 0o7 << shift | if is_directory { 0 } else { special };
            for letter in letters.chars() {
                bits |= match letter {
                    'r' => 4 << shift,
                    'w' => 2 << shift,
                    'x' => 1 << shift,
                    'X' if is_directory || mode & 0o111 != 0 => 1 << shift,
                    'X' => 0,
                    's' => special,
                    't' => 0o1000,
                    _ => return None,
                };
            }
        }
        mode = match operator {
            _ if classes.is_empty() => return None,
            "+" => mode | bits,
            "-" => mode & !bits,
            _ => mode & !all | bits,
        };
    }
    Some(mode)
}

/// A mode in octal digits.
fn octal(mode: &str) -> Option<u16> {
    u16::from_str_radix(mode, 8).ok().filter(|&mode| mode <= 0o7777)
}
