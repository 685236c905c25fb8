//! python3 verifies a certificate chain against the composed store, and finds its bytecode.

use crate::world::World;

const RECIPE: &str = r#"
[image]
name = "example.com/python"
version = "1"
from = "debian.org/bookworm"
packages = ["python3", "ca-certificates"]
run = ["python3", "/opt/chain.py"]

[files]
"/opt/chain.py" = "chain.py"
"/usr/local/share/ca-certificates/test.crt" = "keys/authority.crt"
"/opt/keys" = "keys"
"#;

/// Two authorities, of which the image trusts one; a server's key of each.
const MAKE_KEYS: &str = r#"
set -e
mkdir -p python/keys && cd python/keys
for ca in authority stranger; do
    openssl req -x509 -newkey rsa:2048 -nodes -days 3650 -keyout $ca.key -out $ca.crt -subj "/CN=$ca of the test" \
        -addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign
    openssl req -newkey rsa:2048 -nodes -keyout $ca-server.key -out $ca.csr -subj "/CN=localhost"
    printf 'subjectAltName=DNS:localhost\n' > ext
    openssl x509 -req -in $ca.csr -CA $ca.crt -CAkey $ca.key -CAcreateserial -days 3650 -extfile ext -out $ca-server.crt
done
chmod 644 *
"#;

const CHAIN: &str = r#"
import json, os, socket, ssl, threading

def handshake(who):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(f"/opt/keys/{who}-server.crt", f"/opt/keys/{who}-server.key")
    listener = socket.create_server(("127.0.0.1", 0))
    def serve():
        try:
            with context.wrap_socket(listener.accept()[0], server_side=True) as tls:
                tls.sendall(b"hello")
        except ssl.SSLError:
            pass
    thread = threading.Thread(target=serve)
    thread.start()
    try:
        with socket.create_connection(listener.getsockname()) as plain:
            with ssl.create_default_context().wrap_socket(plain, server_hostname="localhost") as tls:
                return tls.recv(5).decode()
    except ssl.SSLCertVerificationError as error:
        return error.verify_message
    finally:
        thread.join()

print("trusted:", handshake("authority"))
print("stranger:", handshake("stranger"))
print("bytecode:", os.path.exists(json.__cached__))
"#;

pub(crate) fn verifies_a_chain(world: &World) {
    world.env.make("python");
    let made = world.env.shell(MAKE_KEYS).success();
    assert_eq!(made.stdout, "");
    world.env.write("python/chain.py", CHAIN);
    world.build("python", RECIPE);
    let output = world.env.larder(["run", "python"]).success();
    let expected = "trusted: hello\nstranger: unable to get local issuer certificate\nbytecode: True\n";
    assert_eq!(output.stdout, expected, "{}", output.stderr);
}
