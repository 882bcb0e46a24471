"""A store on this machine: ranged GET and HEAD of a folder's files as S3 answers them, slow and faulty as told.

Run as a module (``python -m ehps.tests.shards.store_server FOLDER LATENCY RATE``) it serves until its input ends.
"""

import os
import socket
import sys
import threading
import time
from contextlib import contextmanager
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from unittest import mock
from urllib.parse import unquote, urlsplit

CODES = {403: "AccessDenied", 404: "NoSuchKey"}
CHUNK = 1 << 18  # bytes between two looks at the rate


class Store(ThreadingHTTPServer):
    """Serves ``folder`` as the bucket ``bucket``."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, folder, *, latency=0.0, rate=None, fault=lambda _: None):
        """``latency`` is in s, ``rate`` in bytes/s of all answers together; ``fault`` says of a path what goes wrong.

        It returns None, a status of HTTP, or "cut" to end the answer in the middle.
        """
        self.folder, self.latency, self.rate, self.fault = Path(folder), latency, rate, fault
        self.requests = []
        self._free, self._lock = 0.0, threading.Lock()
        super().__init__(("127.0.0.1", 0), Handler)

    @property
    def endpoint(self):
        return f"http://127.0.0.1:{self.server_address[1]}"

    def wait_for_line(self, size):
        """Wait until so many bytes have gone through a line of the rate."""
        if self.rate is None:
            return
        with self._lock:
            self._free = max(self._free, time.monotonic()) + size / self.rate
            pause = self._free - time.monotonic()
        if pause > 0:
            time.sleep(pause)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Store

    def setup(self):
        super().setup()
        self.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def log_message(self, *_):
        pass

    def do_HEAD(self):
        self.answer(with_body=False)

    def do_GET(self):
        self.answer(with_body=True)

    def answer(self, with_body):
        url = urlsplit(self.path)
        path = unquote(url.path).removeprefix("/bucket").lstrip("/")
        self.server.requests.append((path, self.headers.get("Range")))
        time.sleep(self.server.latency)
        fault = self.server.fault(path) if with_body else None
        if not url.path.startswith("/bucket"):
            self.refuse(404, "NoSuchBucket", "The specified bucket does not exist", with_body)
        elif isinstance(fault, int):
            self.refuse(fault, CODES.get(fault, "InternalError"), "told to fail", with_body)
        elif not path or not (self.server.folder / path).is_file():
            self.refuse(404, "NoSuchKey", "The specified key does not exist.", with_body)
        else:
            self.give(self.server.folder / path, with_body, cut=fault == "cut")

    def refuse(self, status, code, message, with_body):
        body = f'<?xml version="1.0"?><Error><Code>{code}</Code><Message>{message}</Message></Error>'.encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/xml")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if with_body:
            self.wfile.write(body)

    def give(self, path, with_body, cut):
        size = path.stat().st_size
        start, end = 0, size
        if asked := self.headers.get("Range"):
            first, _, last = asked.removeprefix("bytes=").partition("-")
            start, end = int(first), min(int(last) + 1 if last else size, size)
            if start >= size:
                self.refuse(416, "InvalidRange", "The requested range is not satisfiable", with_body)
                return
        self.send_response(206 if asked else 200)
        self.send_header("Content-Length", str(end - start))
        self.send_header("Content-Range", f"bytes {start}-{end - 1}/{size}")
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("ETag", '"0"')
        self.send_header("Last-Modified", formatdate(path.stat().st_mtime, usegmt=True))
        self.end_headers()
        if with_body:
            self.send_bytes(path, start, start + (end - start) // 2 if cut else end)
        if cut:
            self.close_connection = True

    def send_bytes(self, path, start, end):
        self.wfile.flush()
        with path.open("rb") as file:
            while start < end:
                size = min(CHUNK, end - start)
                self.server.wait_for_line(size)
                start += os.sendfile(self.connection.fileno(), file.fileno(), start, size)


@contextmanager
def serving(folder, **options):
    """Give a store that runs in threads of this process."""
    with Store(folder, **options) as store:
        thread = threading.Thread(target=store.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        try:
            yield store
        finally:
            store.shutdown()
            thread.join()


def forget_stores():
    """Forget clients and links, which belong to one endpoint."""
    import s3fs

    from ehps.shards import direct, stores

    stores._opened.cache_clear()
    direct._link.cache_clear()
    s3fs.S3FileSystem.clear_instance_cache()


@contextmanager
def as_s3(folder, **options):
    """Give a store that this process and its children reach as ``s3://bucket``."""
    with serving(folder, **options) as store:
        known = {"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_ENDPOINT_URL": store.endpoint}
        with mock.patch.dict(os.environ, known):
            forget_stores()
            try:
                yield store
            finally:
                forget_stores()


if __name__ == "__main__":
    folder, latency, rate = sys.argv[1:]
    with serving(folder, latency=float(latency), rate=float(rate) or None) as store:
        print(store.endpoint, flush=True)  # noqa: T201 - who started it reads the address
        sys.stdin.read()
