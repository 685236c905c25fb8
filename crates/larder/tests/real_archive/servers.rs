//! Servers, each asked something from within its container.

use crate::program::Program;
use crate::world::World;

/// The packaged site is enabled, with its page.
pub(crate) fn apache(world: &World) {
    let script = r"
        apache2ctl -k start 2>/dev/null
        exec 3<>/dev/tcp/127.0.0.1/80
        printf 'GET / HTTP/1.0\r\n\r\n' >&3
        tr -d '\r' <&3 | grep -aoE '^HTTP.*|Apache2 Debian Default Page: It works'
        apache2ctl -k stop 2>/dev/null
    ";
    let program = Program { name: "apache", packages: &["apache2"], script, ..Program::default() };
    program.says(world, "HTTP/1.1 200 OK\nApache2 Debian Default Page: It works\n");
}

const HAPROXY: &str = r#"
global
    user haproxy
    group haproxy
    chroot /var/lib/haproxy

defaults
    mode http
    timeout connect 5s
    timeout client 5s
    timeout server 5s

frontend front
    bind 127.0.0.1:8080
    default_backend back

backend back
    http-response set-header x-by haproxy
    server one 127.0.0.1:8081

frontend answers
    bind 127.0.0.1:8081
    http-request return status 200 content-type text/plain lf-string "asked for %[path]\n"
"#;

pub(crate) fn haproxy(world: &World) {
    let script = r"
        haproxy -f /opt/test/haproxy.cfg &
        until exec 3<>/dev/tcp/127.0.0.1/8080; do sleep 0.1; kill -0 $!; done 2>/dev/null
        printf 'GET /page HTTP/1.0\r\n\r\n' >&3
        tr -d '\r' <&3 | grep -E '^HTTP|^x-by|^asked'
        kill $!
    ";
    let files = [("haproxy.cfg", HAPROXY)];
    let program = Program { name: "haproxy", packages: &["haproxy"], script, files: &files, ..Program::default() };
    program.says(world, "HTTP/1.1 200 OK\nx-by: haproxy\nasked for /page\n");
}

pub(crate) fn memcached(world: &World) {
    let script = r"
        test -f /etc/memcached.conf
        memcached -l 127.0.0.1 -U 0 &
        until exec 3<>/dev/tcp/127.0.0.1/11211; do sleep 0.1; kill -0 $!; done 2>/dev/null
        printf 'set key 0 0 5\r\nhello\r\nget key\r\nquit\r\n' >&3
        tr -d '\r' <&3
        kill $!
    ";
    let packages = &["memcached"];
    let program = Program { name: "memcached", packages, user: "memcache", script, ..Program::default() };
    program.says(world, "STORED\nVALUE key 0 5\nhello\nEND\n");
}

pub(crate) fn mariadb(world: &World) {
    let script = "
        mariadb-install-db --user=mysql --skip-test-db >/tmp/install.log 2>&1 || { cat /tmp/install.log >&2; exit 1; }
        mariadbd --skip-networking >/tmp/log 2>&1 &
        until mariadb-admin ping >/dev/null 2>&1; do sleep 0.2; kill -0 $! || { cat /tmp/log >&2; exit 1; }; done
        mariadb -N -e 'create database d; create table d.t (n int) engine=InnoDB; insert into d.t values (1), (41)'
        mariadb -N -e 'select sum(n) from d.t'
        mariadb-admin shutdown
    ";
    // A tool of rsync, which the server requires, asks for Python.
    let packages = &["mariadb-server", "python3"];
    let program = Program { name: "mariadb", packages, user: "mysql", script, ..Program::default() };
    program.says(world, "42\n");
}

/// A broker in Erlang takes a message over AMQP and gives it back.
pub(crate) fn rabbitmq(world: &World) {
    let script = "
        export HOME=/var/lib/rabbitmq RABBITMQ_NODENAME=rabbit@localhost
        rabbitmq-server >/tmp/log 2>&1 &
        until [ -s $HOME/.erlang.cookie ]; do sleep 0.1; kill -0 $!; done
        until rabbitmqctl --quiet ping >/dev/null 2>&1; do sleep 0.5; kill -0 $! || { cat /tmp/log >&2; exit 1; }; done
        rabbitmqctl --timeout 120 await_startup >/dev/null || { cat /tmp/log >&2; exit 1; }
        amqp-declare-queue --url amqp://guest:guest@127.0.0.1 --queue letters
        amqp-publish --url amqp://guest:guest@127.0.0.1 --routing-key letters --body 'a letter'
        amqp-get --url amqp://guest:guest@127.0.0.1 --queue letters
        rabbitmqctl stop >/dev/null
    ";
    let packages = &["rabbitmq-server", "amqp-tools"];
    let output = Program { name: "rabbitmq", packages, user: "rabbitmq", script, ..Program::default() }.run(world);
    assert_eq!(output.stdout, "letters\na letter", "{}", output.stderr);
}

/// A letter over SMTP, as bash writes it.
const LETTER: &str = r"
    exec 3<>/dev/tcp/127.0.0.1/25
    printf 'EHLO localhost\r\nMAIL FROM:<root@localhost>\r\nRCPT TO:<root@localhost>\r\nDATA\r\n' >&3
    printf 'Subject: hello\r\n\r\na letter\r\n.\r\nQUIT\r\n' >&3
    tr -d '\r' <&3 | grep -oE '^(354|250 2.0.0 Ok: queued|250 OK id|221)'
";

/// The letter is taken over SMTP, and arrives in root's mailbox.
pub(crate) fn postfix(world: &World) {
    let script = format!(
        "newaliases
         postfix start 2>/dev/null
         {LETTER}
         tries=0
         until [ -s /var/mail/root ]; do sleep 0.1; tries=$((tries + 1)); test $tries -lt 300; done
         tail -n 2 /var/mail/root | head -n 1
         postfix stop 2>/dev/null"
    );
    // Two of its own tools ask for Python.
    let packages = &["postfix", "python3"];
    let program = Program { name: "postfix", packages, script: &script, ..Program::default() };
    program.says(world, "354\n250 2.0.0 Ok: queued\n221\na letter\n");
}

/// The letter is taken over SMTP. exim delivers as a set-user-id program, which a container doesn't allow.
pub(crate) fn exim(world: &World) {
    let script = format!(
        "update-exim4.conf
         exim4 -bdf 2>/tmp/log &
         until exec 3<>/dev/tcp/127.0.0.1/25; do sleep 0.1; kill -0 $!; done 2>/dev/null
         {LETTER}
         kill $!"
    );
    let packages = &["exim4-daemon-light"];
    let program = Program { name: "exim", packages, script: &script, ..Program::default() };
    program.says(world, "354\n250 OK id\n221\n");
}
