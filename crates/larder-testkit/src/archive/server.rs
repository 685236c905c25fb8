//! A server for loopback tests: HTTP/1.1, GET and HEAD, ranges, conditional requests, faults.

use std::collections::HashMap;
use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::path::{Component, Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

/// What goes wrong with a response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// The connection breaks after this many bytes of the body.
    DieAfter(u64),
    /// Only this many bytes of the file are offered, as if it were no longer.
    Truncate(u64),
    /// The byte at this offset of the file is changed.
    Alter(u64),
    /// This status, without a file: 404, 503…
    Status(u16),
    /// This pause before each 4096 bytes.
    Slow(Duration),
    /// This pause before anything is answered.
    Stall(Duration),
    /// The range that was asked for is ignored; the whole file comes.
    IgnoreRange,
    /// Other bytes than the file's (an older state, for example).
    Replace(Vec<u8>),
}

/// A request that was answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// The path, beginning with a slash.
    pub path: String,
    /// The first byte asked for, when a range was.
    pub range: Option<u64>,
    /// The status that was answered.
    pub status: u16,
}

#[derive(Debug)]
struct Rule {
    part: String,
    fault: Fault,
    /// How often it still applies; `None` is always.
    left: Option<u32>,
}

#[derive(Debug)]
struct Shared {
    root: PathBuf,
    rules: Mutex<Vec<Rule>>,
    requests: Mutex<Vec<Request>>,
    /// The open ones, by a number of their own.
    connections: Mutex<HashMap<u64, TcpStream>>,
    stopped: AtomicBool,
    validators: AtomicBool,
}

/// A running server; it stops when dropped.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    shared: Arc<Shared>,
}

impl Server {
    /// Serves the files of a folder on a free port of the loopback address.
    ///
    /// # Panics
    /// When no port can be had.
    #[must_use]
    pub fn start(root: &Path) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        let shared = Arc::new(Shared {
            root: root.to_owned(),
            rules: Mutex::default(),
            requests: Mutex::default(),
            connections: Mutex::default(),
            stopped: AtomicBool::new(false),
            validators: AtomicBool::new(true),
        });
        let inner = Arc::clone(&shared);
        thread::spawn(move || {
            for (number, stream) in (0..).zip(listener.incoming().flatten()) {
                if inner.stopped.load(Ordering::SeqCst) {
                    break;
                }
                if let Ok(copy) = stream.try_clone() {
                    lock(&inner.connections).insert(number, copy);
                }
                let shared = Arc::clone(&inner);
                thread::spawn(move || {
                    shared.talk(stream);
                    // A test may make tens of thousands of connections.
                    lock(&shared.connections).remove(&number);
                });
            }
        });
        Self { address, shared }
    }

    /// The main mirror's address: `http://127.0.0.1:<port>/debian`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}/debian", self.address)
    }

    /// The server's own address: `http://127.0.0.1:<port>`. It also serves as a proxy that has every host's files.
    #[must_use]
    pub fn address(&self) -> String {
        format!("http://{}", self.address)
    }

    /// From now on, requests whose path contains `part` fail like this. Earlier rules come first.
    pub fn fault(&self, part: &str, fault: Fault) {
        lock(&self.shared.rules).push(Rule { part: part.to_owned(), fault, left: None });
    }

    /// The next `times` requests whose path contains `part` fail like this.
    pub fn fault_times(&self, part: &str, fault: Fault, times: u32) {
        lock(&self.shared.rules).push(Rule { part: part.to_owned(), fault, left: Some(times) });
    }

    /// Takes back all faults.
    pub fn heal(&self) {
        lock(&self.shared.rules).clear();
    }

    /// Sends no ETag and no Last-Modified from now on, as some caches in front of mirrors do.
    pub fn without_validators(&self) {
        self.shared.validators.store(false, Ordering::SeqCst);
    }

    /// The requests answered so far, and forgets them.
    #[must_use]
    pub fn take_requests(&self) -> Vec<Request> {
        std::mem::take(&mut *lock(&self.shared.requests))
    }

    /// Stops: connections break, and new ones are refused.
    pub fn stop(&self) {
        if self.shared.stopped.swap(true, Ordering::SeqCst) {
            return;
        }
        for (_, connection) in lock(&self.shared.connections).drain() {
            let _ = connection.shutdown(Shutdown::Both);
        }
        // Wakes the listener, which then sees that it is over.
        let _ = TcpStream::connect(self.address);
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

struct Answer {
    status: u16,
    body: Vec<u8>,
    start: u64,
    total: u64,
    tag: String,
}

impl Shared {
    fn talk(&self, stream: TcpStream) {
        let Ok(copy) = stream.try_clone() else { return };
        let mut reader = BufReader::new(copy);
        while let Some((method, path, headers)) = read_request(&mut reader) {
            let faults = self.faults(&path);
            if !self.answer(&stream, &method, &path, &headers, &faults) {
                let _ = stream.shutdown(Shutdown::Both);
                return;
            }
        }
    }

    fn faults(&self, path: &str) -> Vec<Fault> {
        let mut faults = Vec::new();
        lock(&self.rules).retain_mut(|rule| {
            if path.contains(&rule.part) {
                faults.push(rule.fault.clone());
                if let Some(left) = &mut rule.left {
                    *left -= 1;
                    return *left > 0;
                }
            }
            true
        });
        faults
    }

    /// Answers one request; false when the connection must break.
    fn answer(
        &self,
        mut stream: &TcpStream,
        method: &str,
        path: &str,
        headers: &HashMap<String, String>,
        faults: &[Fault],
    ) -> bool {
        for fault in faults {
            if let Fault::Stall(pause) = fault {
                thread::sleep(*pause);
            }
        }
        let range =
            headers.get("range").and_then(|value| value.strip_prefix("bytes=")?.strip_suffix('-')?.parse().ok());
        let answer = self.prepare(path, headers, range, faults);
        lock(&self.requests).push(Request { path: path.to_owned(), range, status: answer.status });
        let mut head = format!(
            "HTTP/1.1 {} {}\r\nContent-Length: {}\r\nAccept-Ranges: bytes\r\n",
            answer.status,
            reason(answer.status),
            answer.body.len()
        );
        if answer.status == 206 {
            let end = answer.start + answer.body.len() as u64 - 1;
            head.push_str(&format!("Content-Range: bytes {}-{end}/{}\r\n", answer.start, answer.total));
        }
        if !answer.tag.is_empty() {
            head.push_str(&format!("ETag: {}\r\n", answer.tag));
        }
        head.push_str("\r\n");
        if stream.write_all(head.as_bytes()).is_err() {
            return false;
        }
        if method == "HEAD" {
            return true;
        }
        let mut sent = 0;
        for chunk in answer.body.chunks(4096) {
            let mut chunk = chunk;
            for fault in faults {
                match fault {
                    Fault::Slow(pause) => thread::sleep(*pause),
                    Fault::DieAfter(bytes) => {
                        let left = usize::try_from(bytes.saturating_sub(sent)).unwrap_or(usize::MAX);
                        chunk = &chunk[..chunk.len().min(left)];
                    }
                    _ => {}
                }
            }
            if stream.write_all(chunk).is_err() {
                return false;
            }
            sent += chunk.len() as u64;
            if faults.iter().any(|fault| matches!(fault, Fault::DieAfter(bytes) if sent >= *bytes)) {
                return false;
            }
        }
        true
    }

    fn prepare(&self, path: &str, headers: &HashMap<String, String>, range: Option<u64>, faults: &[Fault]) -> Answer {
        let mut answer = Answer { status: 200, body: Vec::new(), start: 0, total: 0, tag: String::new() };
        if let Some(status) = faults.iter().find_map(|fault| match fault {
            Fault::Status(status) => Some(*status),
            _ => None,
        }) {
            return Answer { status, ..answer };
        }
        let relative = Path::new(path.trim_start_matches('/'));
        let inside = relative.components().all(|part| matches!(part, Component::Normal(_)));
        let Some(mut body) = fs::read(self.root.join(relative)).ok().filter(|_| inside) else {
            return Answer { status: 404, ..answer };
        };
        let mut ignore_range = false;
        for fault in faults {
            match fault {
                Fault::Truncate(bytes) => body.truncate(usize::try_from(*bytes).unwrap_or(usize::MAX)),
                Fault::Alter(offset) => {
                    if let Some(byte) = body.get_mut(usize::try_from(*offset).unwrap_or(usize::MAX)) {
                        *byte ^= 0x01;
                    }
                }
                Fault::Replace(bytes) => body.clone_from(bytes),
                Fault::IgnoreRange => ignore_range = true,
                _ => {}
            }
        }
        if self.validators.load(Ordering::SeqCst) {
            answer.tag = tag(&body);
            if headers.get("if-none-match") == Some(&answer.tag) {
                return Answer { status: 304, ..answer };
            }
        }
        answer.total = body.len() as u64;
        if let Some(start) = range.filter(|_| !ignore_range) {
            if start >= answer.total {
                return Answer { status: 416, ..answer };
            }
            (answer.status, answer.start) = (206, start);
            body.drain(..usize::try_from(start).unwrap_or(usize::MAX));
        }
        answer.body = body;
        answer
    }
}

fn tag(body: &[u8]) -> String {
    use sha2::Digest as _;
    format!("\"{}\"", hex::encode(&sha2::Sha256::digest(body)[..8]))
}

fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        206 => "Partial Content",
        304 => "Not Modified",
        404 => "Not Found",
        416 => "Range Not Satisfiable",
        503 => "Service Unavailable",
        _ => "Status",
    }
}

fn read_request(reader: &mut BufReader<TcpStream>) -> Option<(String, String, HashMap<String, String>)> {
    let mut line = String::new();
    if reader.read_line(&mut line).ok()? == 0 {
        return None;
    }
    let mut words = line.split_whitespace();
    let (method, target) = (words.next()?.to_owned(), words.next()?);
    // A client that takes this server for its proxy sends the whole address.
    let path = match target.strip_prefix("http://") {
        Some(rest) => rest.find('/').map_or("/", |at| &rest[at..]).to_owned(),
        None => target.to_owned(),
    };
    let mut headers = HashMap::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
    }
    Some((method, path, headers))
}
