//! Interpreters with the libraries that come with them.

use crate::program::Program;
use crate::world::World;

const PERL_TEST: &str = "
use Test::More tests => 1;
use IO::Socket::INET;
my $server = IO::Socket::INET->new(Listen => 1, LocalAddr => '127.0.0.1') or die;
ok(IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $server->sockport));
";

pub(crate) fn perl(world: &World) {
    let script = r#"
        perl -MJSON::PP -MDigest::SHA=sha256_hex -MPOSIX=floor -MEncode -e '
            print encode_json([floor(2.5), substr(sha256_hex("hello"), 0, 8), length(decode("UTF-8", "\xc3\xa9"))]), "\n"'
        prove -v /opt/test/t.t | tail -n 1
    "#;
    let files = [("t.t", PERL_TEST)];
    let program = Program { name: "perl", packages: &["perl"], script, files: &files, ..Program::default() };
    program.says(world, "[2,\"2cf24dba\",1]\nResult: PASS\n");
}

pub(crate) fn ruby(world: &World) {
    let script = r#"
        ruby -rjson -ropenssl -rset -e 'puts JSON.generate([Set[2, 1, 2].sort, OpenSSL::Digest::SHA256.hexdigest("hello")[0, 8]])'
        gem list --local | grep -c '^rake '
        echo '<%= 6 * 7 %>' | erb
    "#;
    let program = Program { name: "ruby", packages: &["ruby"], script, ..Program::default() };
    program.says(world, "[[1,2],\"2cf24dba\"]\n1\n42\n");
}

const NODE: &str = r#"
const http = require("http");
const crypto = require("crypto");
const server = http.createServer((request, response) => {
  response.end(crypto.createHash("sha256").update(request.url).digest("hex").slice(0, 8));
});
server.listen(0, "127.0.0.1", () => {
  http.get({ host: "127.0.0.1", port: server.address().port, path: "/hello" }, (response) => {
    response.setEncoding("utf8").on("data", (text) => console.log(response.statusCode, text)).on("end", () => server.close());
  });
});
"#;

pub(crate) fn node(world: &World) {
    let script = "node /opt/test/serve.js";
    let files = [("serve.js", NODE)];
    let program = Program { name: "node", packages: &["nodejs"], script, files: &files, ..Program::default() };
    program.says(world, "200 13a7bc88\n");
}

const PAGE: &str = r#"<?php echo PHP_SAPI, " ", posix_getpwuid(posix_geteuid())["name"], " ", $_GET["n"] * 7, " ", json_encode(["a" => 1]), "\n";"#;

/// The packaged configuration is good, and its pool answers a request as its user.
pub(crate) fn php_fpm(world: &World) {
    let script = "
        php-fpm8.2 -t 2>&1 | grep -o 'test is successful'
        php-fpm8.2 --nodaemonize 2>/tmp/log &
        until [ -S /run/php/php8.2-fpm.sock ]; do sleep 0.1; kill -0 $! || { cat /tmp/log >&2; exit 1; }; done
        export REQUEST_METHOD=GET SCRIPT_FILENAME=/opt/test/page.php SCRIPT_NAME=/page.php QUERY_STRING=n=6
        cgi-fcgi -bind -connect /run/php/php8.2-fpm.sock | tail -n 1
        kill $!
    ";
    let files = [("page.php", PAGE)];
    let packages = &["php-fpm", "libfcgi-bin"];
    let program = Program { name: "php", packages, script, files: &files, ..Program::default() };
    program.says(world, "test is successful\nfpm-fcgi www-data 42 {\"a\":1}\n");
}
