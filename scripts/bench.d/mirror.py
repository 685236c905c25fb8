"""A mirror on this machine: an HTTP proxy that fetches each file of the archive once and counts what it gives."""

import hashlib
import http.client
import http.server
import json
import threading
import urllib.error
import urllib.request
from pathlib import Path
from urllib.parse import urlsplit

KEPT = ["Content-Type", "Last-Modified", "ETag"]


class Mirror:
    """What both sides fetch through, each through one of its own that counts, over the same files."""

    def __init__(self, folder: Path):
        folder.mkdir(exist_ok=True)
        self.given = 0
        mirror = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                answer(mirror, folder, self)

            def log_message(self, *_words: object) -> None:
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.address = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @property
    def env(self) -> dict[str, str]:
        return {"http_proxy": self.address}

    def megabytes(self) -> float:
        """What it has given until now, heads of answers included."""
        return self.given / 1e6

    def stop(self) -> None:
        self.server.shutdown()
        self.server.server_close()


LOCK = threading.Lock()


def answer(mirror: Mirror, folder: Path, request: http.server.BaseHTTPRequestHandler) -> None:
    """A whole file, or that it is as the asker has it: `Last-Modified` and `ETag` are the archive's own."""
    kept = folder / hashlib.sha256(request.path.encode()).hexdigest()
    head = kept.with_suffix(".json")
    # One at a time: a file that two ask for at once is fetched once.
    with LOCK:
        if not head.exists():
            try:
                fetch(request.path, kept, head)
            except (OSError, http.client.HTTPException, ValueError):
                request.send_error(502)
                return
    facts = json.loads(head.read_text())
    known = {"Last-Modified": "If-Modified-Since", "ETag": "If-None-Match"}
    same = any(name in facts["headers"] and request.headers.get(ask) == facts["headers"][name] for name, ask in known.items())
    body = b"" if same or facts["status"] != 200 else kept.read_bytes()
    request.send_response_only(304 if same else facts["status"])
    headers = facts["headers"] if facts["status"] == 200 else {}
    for name, value in headers.items():
        request.send_header(name, value)
    if not same:
        request.send_header("Content-Length", str(len(body)))
    mirror.given += sum(len(line) for line in request._headers_buffer) + len(body)
    request.end_headers()
    request.wfile.write(body)


def fetch(address: str, kept: Path, head: Path) -> None:
    if urlsplit(address).scheme != "http":
        raise ValueError(address)
    opener = urllib.request.build_opener()
    try:
        with opener.open(address, timeout=120) as reply:
            kept.write_bytes(reply.read())
            facts = {"status": 200, "headers": {name: reply.headers[name] for name in KEPT if name in reply.headers}}
    except urllib.error.HTTPError as error:
        facts = {"status": error.code, "headers": {}}
    head.write_text(json.dumps(facts))
