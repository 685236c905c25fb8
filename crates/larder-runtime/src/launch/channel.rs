//! The socket between the launcher and what it started.
//!
//! One sequenced-packet socket pair serves a container. Its one end stays with the launcher, the other with the supervisor and the
//! init. It is the life line as well: when the launcher is gone the supervisor sees the hang-up and ends, and when both are
//! gone the launcher sees the end. A second pair brings the root from the supervisor to the init, and the init's end to the
//! supervisor.

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage,
    SendFlags, SocketFlags, SocketType, recvmsg, sendmsg, socketpair,
};
use serde::{Deserialize, Serialize};

use crate::error::RuntimeError;
use crate::sys::clone::ChildStep;
use crate::view::ViewKindName;

/// The longest message, in bytes.
const MESSAGE_LIMIT: usize = 16 * 1024;
/// Stands where the rest of a text is left out.
const CUT: &str = "…";

/// What is sent from the container's side to the launcher.
#[derive(Debug)]
pub(super) enum Message {
    /// The workload's process exists; with a terminal, its master side.
    Started(Option<OwnedFd>),
    /// Which way the view was made.
    View(ViewKindName),
    /// The listing of the view is needed.
    WantTree,
    /// The workload ended, with its raw wait status.
    Ended(i32),
    /// A step failed; nothing runs.
    Failed(Failure),
}

impl Message {
    /// Reads a message; `None` for nothing, which is what a closed socket gives.
    pub(super) fn decode(bytes: &[u8], fd: Option<OwnedFd>) -> Result<Option<Self>, RuntimeError> {
        let Some((tag, rest)) = bytes.split_first() else { return Ok(None) };
        let message = match (tag, rest) {
            (b's', _) => Self::Started(fd),
            (b't', _) => Self::WantTree,
            (b'v', name) => match std::str::from_utf8(name).ok().and_then(ViewKindName::parse) {
                Some(kind) => Self::View(kind),
                None => return Err(foreign()),
            },
            (b'x', &[a, b, c, d]) => Self::Ended(i32::from_ne_bytes([a, b, c, d])),
            (b'c', &[step, a, b, c, d]) => Self::Failed(Failure::Step {
                what: ChildStep::from_number(step).to_owned(),
                errno: i32::from_ne_bytes([a, b, c, d]),
            }),
            (b'e', [a, b, c, d, program @ ..]) => Self::Failed(Failure::NotExecutable {
                program: String::from_utf8_lossy(program).into_owned(),
                errno: i32::from_ne_bytes([*a, *b, *c, *d]),
            }),
            (b'f', rest) => Self::Failed(
                serde_json::from_slice(rest).unwrap_or_else(|_| Failure::Words("the supervisor failed".to_owned())),
            ),
            _ => return Err(foreign()),
        };
        Ok(Some(message))
    }
}

/// The launcher's answer to [`Message::WantTree`].
#[derive(Debug)]
pub(super) enum Answer {
    /// A file with the listing in our wire form.
    Tree(OwnedFd),
    /// The listing failed; the launcher keeps the reason.
    NoTree,
}

/// An error on its way to the launcher.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Failure {
    /// A step, with the kernel's answer.
    Step { what: String, errno: i32 },
    /// A program that is not there.
    NotFound(String),
    /// A program that can't be executed.
    NotExecutable { program: String, errno: i32 },
    /// A user or group that is not there.
    Unknown { user: bool, name: String },
    /// A part of the specification that is not understood.
    Specification(String),
    /// Anything else, in words.
    Words(String),
}

impl Failure {
    /// What to send for an error of this crate.
    pub(super) fn of(error: &RuntimeError) -> Self {
        match error {
            RuntimeError::Start { what, source, .. } => {
                Self::Step { what: what.clone(), errno: source.raw_os_error().unwrap_or(libc::EIO) }
            }
            RuntimeError::ProgramNotFound(program) => Self::NotFound(program.clone()),
            RuntimeError::ProgramNotExecutable { program, source } => {
                Self::NotExecutable { program: program.clone(), errno: source.raw_os_error().unwrap_or(libc::EACCES) }
            }
            RuntimeError::UnknownUser { what, name } => Self::Unknown { user: *what == "user", name: name.clone() },
            RuntimeError::Specification(reason) => Self::Specification(reason.clone()),
            other => Self::Words(chain(other)),
        }
    }

    /// The message's bytes. What would be too long for one message keeps its beginning.
    pub(super) fn encode(mut self) -> Vec<u8> {
        // Every field is a string or number, which always has a JSON form.
        let form = |failure: &Self| [b"f".as_slice(), &serde_json::to_vec(failure).unwrap_or_default()].concat();
        let mut bytes = form(&self);
        let whole = self.text().clone();
        let mut end = whole.len();
        while bytes.len() > MESSAGE_LIMIT && end > 0 {
            // In its JSON form a byte of the text has one to six.
            end = end * MESSAGE_LIMIT / bytes.len();
            while !whole.is_char_boundary(end) {
                end -= 1;
            }
            *self.text() = format!("{}{CUT}", &whole[..end]);
            bytes = form(&self);
        }
        bytes
    }

    /// The text in it.
    fn text(&mut self) -> &mut String {
        match self {
            Self::Step { what: text, .. }
            | Self::NotFound(text)
            | Self::NotExecutable { program: text, .. }
            | Self::Unknown { name: text, .. }
            | Self::Specification(text)
            | Self::Words(text) => text,
        }
    }

    /// The error that the launcher gives to its caller.
    pub(super) fn into_error(self) -> RuntimeError {
        match self {
            Self::Step { what, errno } => {
                RuntimeError::Start { remedy: remedy(&what, errno), what, source: io::Error::from_raw_os_error(errno) }
            }
            Self::NotFound(program) => RuntimeError::ProgramNotFound(program),
            Self::NotExecutable { program, errno } => {
                RuntimeError::ProgramNotExecutable { program, source: io::Error::from_raw_os_error(errno) }
            }
            Self::Unknown { user, name } => {
                RuntimeError::UnknownUser { what: if user { "user" } else { "group" }, name }
            }
            Self::Specification(reason) => RuntimeError::Specification(reason),
            Self::Words(words) => RuntimeError::Supervisor(words),
        }
    }
}

/// What an operator can do when the kernel forbids a step that every container needs.
fn remedy(what: &str, errno: i32) -> &'static str {
    if what.starts_with("mount /proc") && matches!(errno, libc::EPERM | libc::EACCES) {
        return "a part of this machine's own /proc is hidden, as inside another container: start that one with its /proc unmasked";
    }
    if what.starts_with("become user") && errno == libc::EINVAL {
        return "the container has no such id: the range that /etc/subuid and /etc/subgid give to the caller ends before it";
    }
    let mounting =
        ["mount", "bind", "attach", "make the mounts private", "change to"].iter().any(|word| what.starts_with(word));
    match errno {
        libc::EPERM if mounting => "mounts are forbidden here; inside another container, start that one privileged",
        _ => "",
    }
}

fn foreign() -> RuntimeError {
    RuntimeError::Supervisor("the supervisor speaks another version's language".to_owned())
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        next = cause.source();
    }
    text
}

/// Makes the two ends: the launcher's and the container's.
pub(super) fn pair() -> io::Result<(Channel, Channel)> {
    let (one, other) = socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)?;
    Ok((Channel(one), Channel(other)))
}

/// One end of the socket.
#[derive(Debug)]
pub(super) struct Channel(pub(super) OwnedFd);

impl AsFd for Channel {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl Channel {
    /// Sends to the launcher. Not being heard is no error: the life line ends this side as well.
    pub(super) fn send(&self, message: &Message) {
        let (bytes, fd) = match message {
            Message::Started(fd) => (b"s".to_vec(), fd.as_ref()),
            Message::View(kind) => ([b"v", kind.as_str().as_bytes()].concat(), None),
            Message::WantTree => (b"t".to_vec(), None),
            Message::Ended(status) => ([b"x".as_slice(), &status.to_ne_bytes()].concat(), None),
            Message::Failed(failure) => (failure.clone().encode(), None),
        };
        let _ = self.send_bytes(&bytes, fd.map(AsFd::as_fd));
    }

    /// The next message from the container's side; `None` when it is closed.
    pub(super) fn receive(&self) -> Result<Option<Message>, RuntimeError> {
        let (bytes, fd) = self.receive_bytes().map_err(RuntimeError::start("hear from the supervisor"))?;
        Message::decode(&bytes, fd)
    }

    /// Sends the listing of the view, or that there is none.
    pub(super) fn answer(&self, answer: &Answer) {
        let _ = match answer {
            Answer::Tree(fd) => self.send_bytes(b"T", Some(fd.as_fd())),
            Answer::NoTree => self.send_bytes(b"N", None),
        };
    }

    /// Waits for the launcher's answer.
    pub(super) fn await_answer(&self) -> io::Result<Answer> {
        match self.receive_bytes()? {
            (bytes, Some(fd)) if bytes == b"T" => Ok(Answer::Tree(fd)),
            _ => Ok(Answer::NoTree),
        }
    }

    /// Tells the init to go on. That nobody hears it is seen when the init's end is.
    pub(super) fn say_go(&self) {
        let _ = self.send_bytes(b"g", None);
    }

    /// Waits for that; `false` when the supervisor can't say it, and has said why.
    pub(super) fn await_go(&self) -> io::Result<bool> {
        Ok(self.receive_bytes()?.0 == b"g")
    }

    /// Gives the init the root of its container.
    pub(super) fn hand_over(&self, root: BorrowedFd<'_>) {
        let _ = self.send_bytes(b"r", Some(root));
    }

    /// Waits for the root; `None` when the supervisor has none, and has said why.
    pub(super) fn await_root(&self) -> io::Result<Option<OwnedFd>> {
        Ok(self.receive_bytes()?.1)
    }

    fn send_bytes(&self, bytes: &[u8], fd: Option<BorrowedFd<'_>>) -> io::Result<()> {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        let fds: Vec<BorrowedFd<'_>> = fd.into_iter().collect();
        if !fds.is_empty() {
            control.push(SendAncillaryMessage::ScmRights(&fds));
        }
        sendmsg(&self.0, &[IoSlice::new(bytes)], &mut control, SendFlags::NOSIGNAL)?;
        Ok(())
    }

    pub(super) fn receive_bytes(&self) -> io::Result<(Vec<u8>, Option<OwnedFd>)> {
        let mut bytes = vec![0_u8; MESSAGE_LIMIT];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let count = loop {
            match recvmsg(&self.0, &mut [IoSliceMut::new(&mut bytes)], &mut control, RecvFlags::CMSG_CLOEXEC) {
                Ok(received) => break received.bytes,
                Err(rustix::io::Errno::INTR) => {}
                Err(rustix::io::Errno::CONNRESET) => break 0,
                Err(error) => return Err(error.into()),
            }
        };
        bytes.truncate(count);
        let mut fd = None;
        for message in control.drain() {
            if let RecvAncillaryMessage::ScmRights(mut received) = message {
                fd = received.next();
            }
        }
        Ok((bytes, fd))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A text longer than a message arrived as "the supervisor failed": it was cut in the middle of its JSON form.
    #[test]
    fn a_long_failure_keeps_its_beginning() {
        let (launcher, supervisor) = pair().unwrap();
        let arrived = |failure: Failure| {
            supervisor.send(&Message::Failed(failure));
            match launcher.receive().unwrap() {
                Some(Message::Failed(failure)) => failure,
                other => panic!("{other:?}"),
            }
        };
        for unit in ["x", "\"", "\u{1}", "é", "😀"] {
            let words = format!("can't mount {}", unit.repeat(MESSAGE_LIMIT));
            let Failure::Words(text) = arrived(Failure::Words(words.clone())) else { panic!("{unit:?}") };
            let beginning = text.strip_suffix(CUT).unwrap();
            assert!(beginning.starts_with("can't mount") && words.starts_with(beginning), "{unit:?}");
            assert!(Failure::Words(text).encode().len() <= MESSAGE_LIMIT, "{unit:?}");
        }
        let program = "p".repeat(40_000);
        let Failure::NotExecutable { program: arrived_program, errno } =
            arrived(Failure::NotExecutable { program: program.clone(), errno: 13 })
        else {
            panic!()
        };
        assert!(errno == 13 && arrived_program.len() > 15_000);
        assert_eq!(arrived(Failure::Words("short".to_owned())), Failure::Words("short".to_owned()));
    }
}
