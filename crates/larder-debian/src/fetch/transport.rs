//! Reading an address: http, https or file.

use std::error::Error as _;
use std::fs::File;
use std::io::{self, Read, Seek as _, SeekFrom};
use std::path::PathBuf;
use std::sync::OnceLock;
use std::time::Duration;

use reqwest::StatusCode;
use reqwest::blocking::Client;
use reqwest::header::{self, HeaderMap, HeaderName};

use crate::config::{Config, Proxies};
use crate::error::DebianError;

/// What a server said about the state of a file, to be asked for again only if it changed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Validators {
    pub(crate) etag: Option<String>,
    pub(crate) modified: Option<String>,
}

pub(crate) enum Reply {
    /// The state asked about is the present one.
    Unchanged,
    Body(Body),
}

pub(crate) struct Body {
    pub(crate) reader: Box<dyn Read>,
    /// The offset of its first byte in the file.
    pub(crate) start: u64,
    /// The size of the whole file, where it is said.
    pub(crate) total: Option<u64>,
    pub(crate) validators: Validators,
}

pub(crate) enum Failure {
    /// An HTTP status that is an answer; 404 for a missing file.
    Status(u16),
    /// Something that may be otherwise the next time.
    Passing(String),
    /// Something that will not.
    Lasting(DebianError),
}

pub(crate) struct Transport {
    proxies: Proxies,
    silence: Duration,
    offline: bool,
    client: OnceLock<Result<Client, String>>,
}

impl Transport {
    /// Nothing is connected until the first address is read.
    pub(crate) fn new(config: &Config) -> Self {
        Self {
            proxies: config.proxies.clone(),
            silence: config.retry.silence,
            offline: config.offline,
            client: OnceLock::new(),
        }
    }

    /// Begins to read an address from an offset.
    pub(crate) fn get(&self, url: &str, from: u64, known: &Validators) -> Result<Reply, Failure> {
        match url.strip_prefix("file:").or_else(|| url.strip_prefix("copy:")) {
            Some(path) => read_file(path, from),
            None if url.starts_with("http://") || url.starts_with("https://") => self.get_http(url, from, known),
            None => {
                let problem = "it begins with none of http://, https:// and file:".to_owned();
                Err(Failure::Lasting(DebianError::BadMirror { url: url.to_owned(), problem }))
            }
        }
    }

    fn get_http(&self, url: &str, from: u64, known: &Validators) -> Result<Reply, Failure> {
        if self.offline {
            return Err(Failure::Lasting(DebianError::Offline { what: url.to_owned() }));
        }
        let bad = |problem| Failure::Lasting(DebianError::BadMirror { url: url.to_owned(), problem });
        let client = self.client.get_or_init(|| client(&self.proxies, self.silence));
        let mut request = client.as_ref().map_err(|problem| bad(problem.clone()))?.get(url);
        if from > 0 {
            request = request.header(header::RANGE, format!("bytes={from}-"));
        }
        if let Some(etag) = &known.etag {
            request = request.header(header::IF_NONE_MATCH, etag);
        }
        if let Some(modified) = &known.modified {
            request = request.header(header::IF_MODIFIED_SINCE, modified);
        }
        let response = request.send().map_err(|error| {
            if error.is_builder() { bad(reasons(&error)) } else { Failure::Passing(reasons(&error)) }
        })?;
        let status = response.status();
        if status == StatusCode::NOT_MODIFIED {
            return Ok(Reply::Unchanged);
        }
        let headers = response.headers();
        let (start, total) = match status {
            StatusCode::OK => (0, text(headers, &header::CONTENT_LENGTH).and_then(|value| value.parse().ok())),
            StatusCode::PARTIAL_CONTENT => content_range(headers)
                .ok_or_else(|| Failure::Passing("the mirror sent a range without saying which".to_owned()))?,
            _ => return Err(Failure::Status(status.as_u16())),
        };
        let validators =
            Validators { etag: text(headers, &header::ETAG), modified: text(headers, &header::LAST_MODIFIED) };
        Ok(Reply::Body(Body { reader: Box::new(response), start, total, validators }))
    }
}

fn text(headers: &HeaderMap, name: &HeaderName) -> Option<String> {
    Some(headers.get(name)?.to_str().ok()?.to_owned())
}

/// Start and total of `bytes 100-999/1000`.
fn content_range(headers: &HeaderMap) -> Option<(u64, Option<u64>)> {
    let value = text(headers, &header::CONTENT_RANGE)?;
    let (range, total) = value.strip_prefix("bytes ")?.split_once('/')?;
    Some((range.split_once('-')?.0.parse().ok()?, total.parse().ok()))
}

fn client(proxies: &Proxies, silence: Duration) -> Result<Client, String> {
    let agent = concat!("larder/", env!("CARGO_PKG_VERSION"));
    // A body must come as it lies on the mirror, so no decompression is asked for. The timeout is for each read.
    let mut builder = Client::builder().user_agent(agent).timeout(silence).connect_timeout(silence).no_proxy();
    if let Some(proxy) = &proxies.http {
        builder = builder.proxy(reqwest::Proxy::http(proxy).map_err(|error| reasons(&error))?);
    }
    if let Some(proxy) = &proxies.https {
        builder = builder.proxy(reqwest::Proxy::https(proxy).map_err(|error| reasons(&error))?);
    }
    builder.build().map_err(|error| reasons(&error))
}

/// The innermost reason, which says what happened; the outer ones repeat the address.
fn reasons(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        return "the mirror was silent for too long".to_owned();
    }
    let mut reason = error.source();
    let mut said = error.to_string();
    while let Some(inner) = reason {
        said = inner.to_string();
        reason = inner.source();
    }
    said
}

/// What an error while reading a body says.
pub(crate) fn read_problem(error: &io::Error) -> String {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<reqwest::Error>());
    inner.map_or_else(|| error.to_string(), reasons)
}

fn read_file(path: &str, from: u64) -> Result<Reply, Failure> {
    let path = PathBuf::from(format!("/{}", path.trim_start_matches('/')));
    let mut file = match File::open(&path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(Failure::Status(404)),
        Err(error) => return Err(Failure::Lasting(DebianError::io("open", &path)(error))),
    };
    let total = file.metadata().map_err(|error| Failure::Lasting(DebianError::io("read", &path)(error)))?.len();
    let start = from.min(total);
    file.seek(SeekFrom::Start(start)).map_err(|error| Failure::Lasting(DebianError::io("read", &path)(error)))?;
    let validators = Validators::default();
    Ok(Reply::Body(Body { reader: Box::new(file), start, total: Some(total), validators }))
}
