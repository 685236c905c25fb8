//! A server of a container, asked over the host's network.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use crate::world::World;

/// The code of a program that `SIGTERM` ended.
const TERMINATED: i32 = 128 + 15;

/// A running `larder run`, ended by the signal that a person or service manager would send.
pub(crate) struct Server {
    process: Child,
    port: u16,
}

impl Server {
    /// Starts `larder run` on the host's network, and waits until somebody listens.
    pub(crate) fn start(world: &World, port: u16, arguments: &[&str]) -> Self {
        let mut command = world.env.larder_command(["run", "--quiet", "--net", "host"]);
        let process = command.args(arguments).stdin(Stdio::null()).spawn().expect("larder run");
        let server = Self { process, port };
        let deadline = Instant::now() + Duration::from_secs(120);
        while TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err() {
            assert!(Instant::now() < deadline, "nobody listens at {port}: {arguments:?}");
            std::thread::sleep(Duration::from_millis(50));
        }
        server
    }

    /// What it answers to a request for `path`, with its head.
    pub(crate) fn get(&self, path: &str, header: &str) -> String {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).expect("connection");
        stream.set_read_timeout(Some(Duration::from_secs(30))).expect("timeout");
        let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{header}\r\n");
        stream.write_all(request.as_bytes()).expect("request");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("answer");
        answer
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let kill = std::process::Command::new("kill").arg(self.process.id().to_string()).status();
        assert!(kill.expect("kill").success());
        let status = self.process.wait().expect("the end of larder run");
        let ended = status.success() || status.code() == Some(TERMINATED);
        assert!(ended || std::thread::panicking(), "{status}");
    }
}
