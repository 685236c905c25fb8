//! What the commands of maintainer scripts do: nothing that matters in a container, a declared effect, or a reason.

mod accounts;
mod alternatives;
mod apache;
mod files;
mod php;

pub(super) use accounts::{GROUPS, USERS};

use super::walk::{Status, Value, Walk};

/// Commands that change nothing a container keeps: output, services, caches that a composer derives, the package
/// manager's own records, triggers.
const WITHOUT_EFFECT: &[&str] = &[
    ":",
    "aa-enabled",
    "aa-status",
    "apparmor_parser",
    "apt-config",
    "cd",
    "deb-systemd-helper",
    "deb-systemd-invoke",
    "depmod",
    "dpkg-maintscript-helper",
    "dpkg-trigger",
    "echo",
    "fc-cache",
    "gdk-pixbuf-query-loaders",
    "glib-compile-schemas",
    "gtk-update-icon-cache",
    "init",
    "initctl",
    "install-info",
    "invoke-rc.d",
    "kill",
    "ldconfig",
    "log_action_begin_msg",
    "log_action_end_msg",
    "logger",
    "mandb",
    "modprobe",
    "printf",
    "py3clean",
    "py3compile",
    "pyclean",
    "pycompile",
    "pypy3compile",
    "reload",
    "restart",
    "restorecon",
    "runit-helper",
    "service",
    "shopt",
    "sleep",
    "start",
    "start-stop-daemon",
    "stop",
    "sync",
    "systemctl",
    "systemd-sysusers",
    "systemd-tmpfiles",
    "telinit",
    "trap",
    "udevadm",
    "ucfr",
    "helpztags",
    "ulimit",
    "umask",
    "update-binfmts",
    "update-ca-certificates",
    "update-desktop-database",
    "update-fonts-alias",
    "update-fonts-dir",
    "update-fonts-scale",
    "update-grub",
    "update-icon-caches",
    "update-info-dir",
    "update-initramfs",
    "update-menus",
    "update-mime",
    "update-mime-database",
    "update-rc.d",
    "update-shells",
    "wait",
    "db_beginblock",
    "db_capb",
    "db_endblock",
    "db_fset",
    "db_go",
    "db_info",
    "db_input",
    "db_progress",
    "db_purge",
    "db_register",
    "db_reset",
    "db_set",
    "db_settitle",
    "db_stop",
    "db_subst",
    "db_title",
    "db_unregister",
    "db_version",
    "db_x_loadtemplatefile",
];

/// Commands that only look.
const READS: &[&str] = &[
    "awk",
    "basename",
    "cat",
    "cmp",
    "comm",
    "cut",
    "date",
    "deb-systemd-helper",
    "diff",
    "dirname",
    "dpkg-query",
    "dpkg-vendor",
    "egrep",
    "expr",
    "fgrep",
    "file",
    "fuser",
    "gawk",
    "getconf",
    "getfacl",
    "getopt",
    "grep",
    "head",
    "hostname",
    "ip",
    "ischroot",
    "locale",
    "ls",
    "lsof",
    "mawk",
    "md5sum",
    "mktemp",
    "mountpoint",
    "od",
    "pgrep",
    "pidof",
    "ps",
    "readlink",
    "realpath",
    "seq",
    "sha256sum",
    "sort",
    "ss",
    "stat",
    "systemd-detect-virt",
    "tail",
    "tempfile",
    "tr",
    "ucfq",
    "uname",
    "uniq",
    "wc",
    "whoami",
    "type",
    "who",
    "df",
    "getcap",
    "phpquery",
    "ypwhich",
    "pg_lsclusters",
    "which",
    "dpkg-realpath",
    "runlevel",
    "tput",
    "paste",
];

/// Files that scripts source for their functions, each of which is a command here. Whoever asks for one finds it.
pub(super) const FUNCTIONS: &[&str] = &[
    "/usr/share/debconf/confmodule",
    "/lib/lsb/init-functions",
    "/usr/lib/php/php-maintscript-helper",
    "/usr/share/apache2/apache2-maintscript-helper",
];

impl Walk<'_> {
    /// Follows one command; the name is without its folder.
    pub(super) fn command(&mut self, name: &str, words: &[Value]) -> Status {
        if READS.contains(&name) {
            return if name == "mountpoint" { Some(true) } else { None };
        }
        if WITHOUT_EFFECT.contains(&name) {
            return if matches!(name, ":" | "echo" | "printf" | "cd" | "trap") { Some(true) } else { None };
        }
        match name {
            "true" => Some(true),
            "set" => {
                match words.iter().position(|w| w.as_deref() == Some("--")) {
                    Some(at) => self.set_arguments(&words[at + 1..]),
                    None if words.first().is_some_and(|w| !w.as_deref().unwrap_or("").starts_with(['-', '+'])) => {
                        self.set_arguments(words);
                    }
                    None => {}
                }
                Some(true)
            }
            "false" => Some(false),
            "[" => match words.split_last() {
                Some((Some(end), inside)) if end == "]" => self.test(inside),
                _ => None,
            },
            "test" => self.test(words),
            "export" | "local" | "readonly" | "declare" => {
                for word in words.iter().flatten() {
                    match word.split_once('=') {
                        Some((variable, value)) => _ = self.variables.insert(variable.into(), Some(value.into())),
                        None if name == "local" => _ = self.variables.insert(word.clone(), Some(String::new())),
                        None => {}
                    }
                }
                Some(true)
            }
            "unset" => {
                for word in words.iter().flatten() {
                    self.variables.remove(word);
                }
                Some(true)
            }
            "shift" => {
                self.shift(words);
                Some(true)
            }
            "read" | "db_get" | "db_metaget" | "db_fget" => {
                let changed: Vec<String> = match name {
                    "read" => words.iter().flatten().filter(|w| !w.starts_with('-')).cloned().collect(),
                    _ => vec!["RET".to_owned()],
                };
                for variable in changed {
                    self.variables.insert(variable, None);
                }
                None
            }
            "." | "source" => self.source(words),
            // What is followed here as a command is there for whoever asks.
            "command" if matches!(words, [Some(option), Some(name)] if option == "-v" && name == "ucf") => Some(true),
            "command" | "hash" => None,
            "dpkg" => self.dpkg(words),
            "ucf" => self.ucf(words),
            "php_invoke" => self.php_invoke(words),
            "apache2_invoke" => self.apache2_invoke(words),
            // Bytecode is a composer's.
            _ if name.starts_with("python") && words.iter().flatten().any(|w| w.ends_with("/py_compile.py")) => None,
            "getent" | "id" => self.account_known(name, words),
            "sed" => self.read_unless(words, name, |w| w.starts_with("-i") || w == "--in-place"),
            "find" => {
                self.read_unless(words, name, |w| matches!(w, "-delete" | "-exec" | "-execdir" | "-ok" | "-fprint"))
            }
            "dpkg-statoverride" => self.statoverride(words),
            "dpkg-divert" => self.divert(words),
            "update-alternatives" => self.update_alternatives(words),
            "adduser" | "addgroup" | "useradd" | "groupadd" => self.account(name, words),
            "usermod" | "gpasswd" => self.change_account(name, words),
            "add-shell" => self.add_shells(words),
            "mkdir" | "install" | "chown" | "chgrp" | "chmod" | "ln" | "cp" | "touch" | "rm" | "rmdir" | "unlink" => {
                self.file_command(name, words)
            }
            _ => {
                self.not_understood(name, words);
                None
            }
        }
    }

    /// Notes a command with its arguments as a reason.
    pub(super) fn not_understood(&mut self, name: &str, words: &[Value]) {
        let words: Vec<&str> = words.iter().map(|w| w.as_deref().unwrap_or("…")).collect();
        self.refuse(format!("{name} {}", words.join(" ")).trim());
    }

    /// The words of a command with an effect, if all are known and the command is certainly reached.
    fn certain<'w>(&mut self, name: &str, words: &'w [Value]) -> Option<Vec<&'w str>> {
        let known: Option<Vec<&str>> = words.iter().map(|w| w.as_deref()).collect();
        if known.is_none() || self.is_undecided() {
            self.not_understood(name, words);
            return None;
        }
        known
    }

    fn read_unless(&mut self, words: &[Value], name: &str, writes: fn(&str) -> bool) -> Status {
        if words.iter().flatten().any(|w| writes(w)) {
            let is_temporary = words.last().and_then(|w| w.as_deref()).is_some_and(|w| w.starts_with("/tmp/"));
            if !is_temporary {
                self.not_understood(name, words);
            }
        }
        None
    }

    /// `ucf NEW FILE` copies the package's file to where it's configured, if nothing is there.
    fn ucf(&mut self, words: &[Value]) -> Status {
        if words.iter().flatten().any(|w| w == "--purge" || w == "-p") {
            return Some(true);
        }
        let mut operands = Vec::new();
        let mut words = words.iter();
        while let Some(word) = words.next() {
            match word.as_deref() {
                Some("--sum-file" | "--src-dir" | "--state-dir" | "--debug") => _ = words.next(),
                Some(option) if option.starts_with('-') => {}
                _ => operands.push(word.clone()),
            }
        }
        self.file_command("cp", &operands)
    }

    /// Sourced files that only define functions.
    fn source(&mut self, words: &[Value]) -> Status {
        match words.first() {
            Some(Some(path)) if FUNCTIONS.contains(&path.as_str()) => Some(true),
            _ => {
                self.not_understood(".", words);
                None
            }
        }
    }

    fn shift(&mut self, words: &[Value]) {
        let count = match words.first() {
            None => Some(1),
            Some(Some(count)) => count.parse().ok(),
            Some(None) => None,
        };
        self.drop_arguments(count);
    }

    fn dpkg(&mut self, words: &[Value]) -> Status {
        match words {
            [Some(option), Some(left), Some(relation), Some(right)] if option == "--compare-versions" => {
                compare(left, relation, right)
            }
            [Some(option), ..] if option == "--compare-versions" => None,
            [Some(option), ..]
                if matches!(
                    option.as_str(),
                    "-s" | "-l" | "-L" | "-S" | "--status" | "--list" | "--listfiles" | "--search"
                ) || option.starts_with("--print-")
                    || option.starts_with("--assert-") =>
            {
                None
            }
            _ => {
                self.not_understood("dpkg", words);
                None
            }
        }
    }
}

/// `dpkg --compare-versions`, where nothing installed (an empty version) comes first, or last for the `-nl` relations.
fn compare(left: &str, relation: &str, right: &str) -> Status {
    use std::cmp::Ordering;
    let order = match (left.is_empty(), right.is_empty(), relation.ends_with("-nl")) {
        (true, true, _) => Ordering::Equal,
        (true, false, false) | (false, true, true) => Ordering::Less,
        (true, false, true) | (false, true, false) => Ordering::Greater,
        (false, false, _) => larder_solver::compare(left, right),
    };
    match relation.trim_end_matches("-nl") {
        "lt" | "<<" => Some(order.is_lt()),
        "le" | "<=" | "<" => Some(order.is_le()),
        "eq" | "=" => Some(order.is_eq()),
        "ne" => Some(order.is_ne()),
        "ge" | ">=" | ">" => Some(order.is_ge()),
        "gt" | ">>" => Some(order.is_gt()),
        _ => None,
    }
}
