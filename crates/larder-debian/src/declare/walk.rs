//! Following a maintainer script as it would go on a fresh installation, without running anything.
//!
//! Every value is known or not. A condition that is known selects its branch; where it isn't, all branches are followed,
//! and an effect in one of them is a reason to say that the script was not understood. A branch that ends in failure is
//! taken to be the one not taken. So what is declared in the end is what the script does in any container, and
//! everything else has a line and a reason.

mod expand;
mod test;

use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;

use larder_store::{Tree, TreePath};

use super::effects::Effects;
use super::shell::{self, Node, Redirect, Simple};

/// How many commands are followed in one script.
const STEPS: u32 = 20_000;
/// How deep functions call each other.
const CALLS: usize = 24;
/// How deep commands are nested, through all calls.
const DEPTH: usize = 160;

const TOO_LONG: &str = "it is too long to follow";

/// Known text, or not.
pub(super) type Value = Option<String>;
/// Whether a command succeeds, where that is known.
pub(super) type Status = Option<bool>;

/// How a command ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Flow {
    Next,
    /// Leaves the function.
    Return(Status),
    /// Leaves the script.
    Exit(Status),
    /// Leaves or repeats the loop.
    Break,
}

/// The package that a script belongs to.
#[derive(Debug, Clone, Copy)]
pub(super) struct Subject<'a> {
    pub(super) package: &'a str,
    pub(super) architecture: &'a str,
    pub(super) tree: &'a Tree,
    pub(super) texts: &'a BTreeMap<TreePath, Vec<u8>>,
}

/// The state of following one script.
pub(super) struct Walk<'a> {
    pub(super) subject: Subject<'a>,
    pub(super) effects: &'a mut Effects,
    pub(super) reasons: Vec<String>,
    pub(super) variables: HashMap<String, Value>,
    script: &'static str,
    functions: HashMap<String, Rc<Node>>,
    arguments: Vec<Value>,
    /// False where even their number isn't known.
    arguments_known: bool,
    /// How many undecided conditions enclose this command.
    undecided: usize,
    /// An undecided branch left the function or loop before this command.
    perhaps_left: bool,
    /// An undecided branch left the script before this command.
    perhaps_ended: bool,
    steps: u32,
    calls: usize,
    depth: usize,
    pub(super) line: usize,
}

/// Follows a script; effects are added, and what was not understood is returned.
pub(super) fn follow(subject: Subject<'_>, script: &'static str, text: &[u8], effects: &mut Effects) -> Vec<String> {
    let one = |reason: String| vec![reason];
    let Ok(text) = std::str::from_utf8(text) else { return one(format!("{script} is not text")) };
    let interpreter = text.lines().next().unwrap_or_default();
    let words: Vec<&str> = interpreter.trim_start_matches("#!").split_whitespace().collect();
    let is_shell = interpreter.starts_with("#!")
        && matches!(words.first(), Some(&("/bin/sh" | "/bin/bash" | "/bin/dash" | "/usr/bin/sh" | "/usr/bin/bash")));
    if !is_shell {
        return one(format!("{script} is not a shell script"));
    }
    let node = match shell::parse(text) {
        Ok(node) => node,
        Err(at) => return one(format!("{script}:{}: the syntax is not understood", at.line)),
    };
    let arguments = match script {
        "preinst" => vec![Some("install".to_owned())],
        _ => vec![Some("configure".to_owned()), Some(String::new())],
    };
    let fixed = [
        ("DPKG_MAINTSCRIPT_PACKAGE", subject.package),
        ("DPKG_MAINTSCRIPT_NAME", script),
        ("DPKG_MAINTSCRIPT_ARCH", subject.architecture),
        ("DPKG_ROOT", ""),
        ("DEBIAN_FRONTEND", "noninteractive"),
        ("DEBCONF_USE_CDEBCONF", ""),
    ];
    let mut walk = Walk {
        subject,
        effects,
        reasons: Vec::new(),
        variables: fixed.into_iter().map(|(name, value)| (name.to_owned(), Some(value.to_owned()))).collect(),
        script,
        functions: HashMap::new(),
        arguments,
        arguments_known: true,
        undecided: 0,
        perhaps_left: false,
        perhaps_ended: false,
        steps: 0,
        calls: 0,
        depth: 0,
        line: 1,
    };
    walk.node(&node);
    walk.reasons
}

impl Walk<'_> {
    /// Whether this command may not be reached.
    pub(super) fn is_undecided(&self) -> bool {
        self.undecided > 0 || self.perhaps_left || self.perhaps_ended
    }

    /// Notes that this line was not understood.
    pub(super) fn refuse(&mut self, what: &str) {
        let what: String = what.chars().map(|c| if c.is_control() { ' ' } else { c }).take(72).collect();
        let reason = format!("{}:{}: {what}", self.script, self.line);
        if self.reasons.len() < 64 && !self.reasons.contains(&reason) {
            self.reasons.push(reason);
        }
    }

    fn node(&mut self, node: &Node) -> (Status, Flow) {
        self.steps += 1;
        if self.steps > STEPS || self.depth >= DEPTH {
            self.steps = self.steps.max(STEPS);
            if !self.reasons.iter().any(|reason| reason.ends_with(TOO_LONG)) {
                self.refuse(TOO_LONG);
            }
            return (None, Flow::Exit(None));
        }
        self.depth += 1;
        let ended = self.command_of(node);
        self.depth -= 1;
        ended
    }

    fn command_of(&mut self, node: &Node) -> (Status, Flow) {
        match node {
            Node::Simple(simple) => self.simple(simple),
            Node::Sequence(nodes) => self.sequence(nodes),
            Node::Not(inner) => {
                let (status, flow) = self.node(inner);
                (status.map(|s| !s), flow)
            }
            Node::And(left, right) => self.short_circuit(left, right, true),
            Node::Or(left, right) => self.short_circuit(left, right, false),
            Node::Pipeline(parts) => {
                for part in parts {
                    self.apart(part);
                }
                (None, Flow::Next)
            }
            Node::If { condition, then, otherwise } => {
                let (status, flow) = self.node(condition);
                if flow != Flow::Next {
                    return (status, flow);
                }
                match (status, otherwise) {
                    (Some(true), _) => self.node(then),
                    (Some(false), Some(otherwise)) => self.node(otherwise),
                    (Some(false), None) => (Some(true), Flow::Next),
                    (None, Some(otherwise)) => self.branches(&[then, otherwise]),
                    (None, None) => self.branches(&[then]),
                }
            }
            Node::Case { word, arms } => {
                let value = self.expand_one(word);
                let mut possible = Vec::new();
                for (patterns, body) in arms {
                    match self.matches(patterns, &value) {
                        Some(false) => {}
                        Some(true) if possible.is_empty() => return self.node(body),
                        Some(true) => {
                            possible.push(body);
                            break;
                        }
                        None => possible.push(body),
                    }
                }
                if possible.is_empty() { (Some(true), Flow::Next) } else { self.branches(&possible) }
            }
            Node::For { variable, words, body } => self.for_loop(variable, words.as_deref(), body),
            Node::While { condition, body } => {
                self.undecided += 1;
                self.node(condition);
                self.undecided -= 1;
                self.branches(&[body]);
                (None, Flow::Next)
            }
            Node::Function { name, body } => {
                self.functions.insert(name.clone(), Rc::new((**body).clone()));
                (Some(true), Flow::Next)
            }
            Node::Subshell(body) => match self.apart(body) {
                // A failure ends the script as well (`set -e`).
                (status, Flow::Exit(Some(false))) => (status, Flow::Exit(Some(false))),
                (status, _) => (status, Flow::Next),
            },
            Node::Redirected { line, body, redirects } => {
                self.line = *line;
                self.check_redirects(redirects);
                self.node(body)
            }
        }
    }

    /// Follows what runs in a process of its own: variables and arguments are as before afterwards.
    pub(super) fn apart(&mut self, node: &Node) -> (Status, Flow) {
        let before = (self.variables.clone(), self.arguments.clone(), self.arguments_known);
        let ended = self.node(node);
        (self.variables, self.arguments, self.arguments_known) = before;
        ended
    }

    fn sequence(&mut self, nodes: &[Node]) -> (Status, Flow) {
        let mut status = Some(true);
        for node in nodes {
            let (next, flow) = self.node(node);
            status = next;
            if flow != Flow::Next {
                return (status, flow);
            }
        }
        (status, Flow::Next)
    }

    fn short_circuit(&mut self, left: &Node, right: &Node, wanted: bool) -> (Status, Flow) {
        let (status, flow) = self.node(left);
        if flow != Flow::Next {
            return (status, flow);
        }
        match status {
            Some(status) if status == wanted => self.node(right),
            Some(status) => (Some(status), Flow::Next),
            None => {
                let (right, _) = self.branches(&[right]);
                // `x || true` succeeds whatever x does, and `x && false` fails.
                (right.filter(|&right| right != wanted), Flow::Next)
            }
        }
    }

    /// Follows branches of which one, or none, will be taken. The status is the last branch's.
    fn branches(&mut self, branches: &[&Node]) -> (Status, Flow) {
        let mut status = None;
        for branch in branches {
            let before = self.variables.clone();
            let (reasons, effects) = (self.reasons.len(), self.effects.clone());
            self.undecided += 1;
            let (ended, flow) = self.node(branch);
            self.undecided -= 1;
            status = ended;
            match flow {
                // A failure: the branch that isn't taken where an installation succeeds.
                Flow::Exit(Some(false)) => {
                    self.reasons.truncate(reasons);
                    *self.effects = effects;
                    self.variables = before;
                    continue;
                }
                Flow::Exit(_) => self.perhaps_ended = true,
                Flow::Return(_) | Flow::Break => self.perhaps_left = true,
                Flow::Next => {}
            }
            for (name, value) in &mut self.variables {
                if before.get(name) != Some(value) {
                    *value = None;
                }
            }
        }
        (status, Flow::Next)
    }

    fn for_loop(&mut self, variable: &str, words: Option<&[shell::Word]>, body: &Node) -> (Status, Flow) {
        let (values, complete) = match words {
            Some(words) => self.expand_all(words),
            None => (self.arguments.clone(), self.arguments_known),
        };
        if !complete || values.iter().any(Option::is_none) {
            self.variables.insert(variable.to_owned(), None);
            return self.branches(&[body]);
        }
        for value in values {
            self.variables.insert(variable.to_owned(), value);
            match self.node(body) {
                (_, Flow::Next) => {}
                (_, Flow::Break) => break,
                ended => return ended,
            }
        }
        (None, Flow::Next)
    }

    fn simple(&mut self, simple: &Simple) -> (Status, Flow) {
        self.line = simple.line;
        let (mut words, complete) = self.expand_all(&simple.words);
        self.line = simple.line;
        for (name, word) in &simple.assignments {
            let value = self.expand_one(word);
            if simple.words.is_empty() {
                self.variables.insert(name.clone(), value);
            }
        }
        self.line = simple.line;
        let Some(first) = words.first().cloned() else {
            if !simple.words.is_empty() {
                return (None, Flow::Next);
            }
            self.check_redirects(&simple.redirects);
            return (Some(true), Flow::Next);
        };
        let Some(name) = first else {
            self.refuse("runs a command whose name isn't known here");
            return (None, Flow::Next);
        };
        words.remove(0);
        // A `"$@"` of unknown number leaves no field: without one, `set -- "$@"` would know that there are none.
        if !complete && words.iter().all(Option::is_some) {
            words.push(None);
        }
        // An init script is a service, whatever its name.
        let service = name.starts_with("/etc/init.d/").then(|| "service".to_owned());
        let name = service.unwrap_or_else(|| name.rsplit('/').next().unwrap_or(&name).to_owned());
        let creates = matches!(name.as_str(), ":" | "true" | "touch") && self.create_by_redirect(&simple.redirects);
        if !creates {
            self.check_redirects(&simple.redirects);
        }
        if let Some(body) = self.functions.get(&name).cloned() {
            return self.call(&body, words, complete);
        }
        match name.as_str() {
            "exit" => (None, Flow::Exit(exit_status(&words))),
            "return" => (exit_status(&words), Flow::Return(exit_status(&words))),
            "break" | "continue" => (Some(true), Flow::Break),
            "command" | "exec" | "env"
                if words.first().is_some_and(|w| !w.as_deref().unwrap_or("-").starts_with('-')) =>
            {
                let again = words.remove(0).unwrap_or_default();
                (self.command(&again, &words), Flow::Next)
            }
            _ => (self.command(&name, &words), Flow::Next),
        }
    }

    fn call(&mut self, body: &Node, arguments: Vec<Value>, complete: bool) -> (Status, Flow) {
        if self.calls >= CALLS {
            self.refuse("functions call each other too deeply to follow");
            return (None, Flow::Next);
        }
        self.calls += 1;
        let line = self.line;
        let before = (std::mem::replace(&mut self.arguments, arguments), self.arguments_known);
        self.arguments_known = complete;
        let perhaps_left = self.perhaps_left;
        let (status, flow) = self.node(body);
        self.perhaps_left = perhaps_left;
        (self.arguments, self.arguments_known) = before;
        self.line = line;
        self.calls -= 1;
        match flow {
            Flow::Exit(_) => (status, flow),
            Flow::Return(status) => (status, Flow::Next),
            Flow::Next | Flow::Break => (status, Flow::Next),
        }
    }

    /// `shift`.
    pub(super) fn drop_arguments(&mut self, count: Option<usize>) {
        match count {
            Some(count) if !self.is_undecided() => _ = self.arguments.drain(..count.min(self.arguments.len())),
            _ => {
                self.arguments.clear();
                self.arguments_known = false;
            }
        }
    }

    /// `set -- …`.
    pub(super) fn set_arguments(&mut self, words: &[Value]) {
        self.arguments_known = !self.is_undecided() && words.iter().all(Option::is_some);
        self.arguments = if self.arguments_known { words.to_vec() } else { Vec::new() };
    }

    /// Output may go to the terminal, to nowhere and to temporary files.
    fn check_redirects(&mut self, redirects: &[Redirect]) {
        for redirect in redirects {
            if !matches!(redirect.operator.as_str(), ">" | ">>" | ">|") {
                continue;
            }
            match self.expand_one(&redirect.target) {
                Some(path) if path.starts_with("/dev/") || path.starts_with("/tmp/") => {}
                Some(path) => self.refuse(&format!("writes {path}")),
                None => self.refuse("writes a file whose path isn't known here"),
            }
        }
    }

    /// `: > file`.
    fn create_by_redirect(&mut self, redirects: &[Redirect]) -> bool {
        let [redirect] = redirects else { return false };
        if redirect.operator != ">" {
            return false;
        }
        match self.expand_one(&redirect.target) {
            Some(path) if !path.starts_with("/dev/") => {
                self.command("touch", &[Some(path)]);
                true
            }
            _ => false,
        }
    }
}

fn exit_status(words: &[Value]) -> Status {
    match words.first() {
        None => None,
        Some(Some(number)) => Some(number == "0"),
        // `exit $?` stands where something failed.
        Some(None) => Some(false),
    }
}
