//! nginx serves the example's site.

use crate::http::Server;
use crate::world::World;

pub(crate) fn serves_the_site_and_the_new_page(world: &World) {
    let folder = world.example("web");
    let recipe = std::fs::read_to_string(folder.join("larder.toml")).expect("larder.toml");
    world.build("web", &recipe);
    let conf = std::fs::read_to_string(folder.join("nginx.conf")).expect("nginx.conf");
    world.env.write("web/nginx.conf", conf.replace("listen 8080", &format!("listen 127.0.0.1:{}", world.port)));
    world.env.write("web/site/index.html", "<p>the first page</p>\n");

    let (first, modified) = {
        let server = Server::start(world, world.port, &["web"]);
        let answer = server.get("/", "");
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
        let modified = answer.lines().find_map(|line| line.strip_prefix("Last-Modified: ")).expect("a time").to_owned();
        let unchanged = server.get("/", &format!("If-Modified-Since: {modified}\r\n"));
        assert!(unchanged.starts_with("HTTP/1.1 304 "), "{unchanged}");
        (answer, modified)
    };
    assert!(first.ends_with("<p>the first page</p>\n"), "{first}");

    // The same length, and a client that has seen the first page.
    world.env.write("web/site/index.html", "<p>another pages</p>\n".replace("pages", "page!"));
    let server = Server::start(world, world.port, &["web"]);
    let answer = server.get("/", &format!("If-Modified-Since: {modified}\r\n"));
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    assert!(answer.ends_with("<p>another page!</p>\n"), "{answer}");
}
