//! nginx serves the example's site.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use crate::world::World;

pub(crate) fn serves_the_site_and_the_new_page(world: &World) {
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/web");
    let folder = world.env.copy(example);
    let recipe = std::fs::read_to_string(folder.join("larder.toml")).expect("larder.toml");
    world.build("web", &recipe);
    let conf = std::fs::read_to_string(folder.join("nginx.conf")).expect("nginx.conf");
    world.env.write("web/nginx.conf", conf.replace("listen 8080", &format!("listen 127.0.0.1:{}", world.port)));
    world.env.write("web/site/index.html", "<p>the first page</p>\n");

    let (first, modified) = {
        let _server = Server::start(world);
        let answer = get(world.port, "");
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
        let modified = answer.lines().find_map(|line| line.strip_prefix("Last-Modified: ")).expect("a time").to_owned();
        let unchanged = get(world.port, &format!("If-Modified-Since: {modified}\r\n"));
        assert!(unchanged.starts_with("HTTP/1.1 304 "), "{unchanged}");
        (answer, modified)
    };
    assert!(first.ends_with("<p>the first page</p>\n"), "{first}");

    // The same length, and a client that has seen the first page.
    world.env.write("web/site/index.html", "<p>another pages</p>\n".replace("pages", "page!"));
    let _server = Server::start(world);
    let answer = get(world.port, &format!("If-Modified-Since: {modified}\r\n"));
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    assert!(answer.ends_with("<p>another page!</p>\n"), "{answer}");
}

/// A running `larder run`, ended by the signal that a person or service manager would send.
struct Server(Child);

impl Server {
    fn start(world: &World) -> Self {
        let mut command = world.env.larder_command(["run", "--quiet", "--net", "host", "web"]);
        let child = command.stdin(Stdio::null()).spawn().expect("larder run");
        let server = Self(child);
        let deadline = Instant::now() + Duration::from_secs(120);
        while TcpStream::connect((Ipv4Addr::LOCALHOST, world.port)).is_err() {
            assert!(Instant::now() < deadline, "nginx doesn't listen");
            std::thread::sleep(Duration::from_millis(50));
        }
        server
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let kill = std::process::Command::new("kill").arg(self.0.id().to_string()).status();
        assert!(kill.expect("kill").success());
        let status = self.0.wait().expect("the end of larder run");
        assert!(status.success() || std::thread::panicking(), "{status}");
    }
}

fn get(port: u16, header: &str) -> String {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).expect("connection");
    stream.set_read_timeout(Some(Duration::from_secs(30))).expect("timeout");
    write!(stream, "GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{header}\r\n").expect("request");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("answer");
    answer
}
