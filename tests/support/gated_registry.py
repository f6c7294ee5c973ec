#!/usr/bin/env python3
"""A registry whose blobs stop in the middle while a file exists, so that scripts can look at transfers under way.

usage: gated_registry.py PORT BACKEND-PORT STATE
STATE/hold holds a number: so many bytes of each blob larger than that are sent, then nothing until the file is gone.
STATE/log has a line for each request that was answered: METHOD PATH STATUS RANGE.
"""
import http.client
import http.server
import os
import socketserver
import sys
import threading
import time

PORT, BACKEND, STATE = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
LOCK = threading.Lock()


def held_bytes():
    try:
        with open(os.path.join(STATE, "hold")) as file:
            return int(file.read() or "0")
    except FileNotFoundError:
        return None


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *unused):
        pass

    def handle_request(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        connection = http.client.HTTPConnection("127.0.0.1", BACKEND, timeout=60)
        kept = {name: value for name, value in self.headers.items() if name.lower() not in ("host", "connection")}
        connection.request(self.command, self.path, body or None, kept)
        response = connection.getresponse()
        data = response.read()
        path = self.path.split("?")[0]
        with LOCK, open(os.path.join(STATE, "log"), "a") as log:
            log.write(f"{self.command} {path} {response.status} {self.headers.get('Range', '-')}\n")
        self.send_response(response.status)
        for name, value in response.getheaders():
            if name.lower() not in ("connection", "date", "transfer-encoding"):
                self.send_header(name, value.replace(f"127.0.0.1:{BACKEND}", f"127.0.0.1:{PORT}"))
        self.end_headers()
        if self.command != "HEAD":
            self.send_gated(data, is_blob="/blobs/sha256:" in path)

    def send_gated(self, data, is_blob):
        hold = held_bytes() if is_blob else None
        if hold is not None and len(data) > hold:
            self.wfile.write(data[:hold])
            self.wfile.flush()
            with LOCK, open(os.path.join(STATE, "held"), "a") as file:
                file.write(self.path + "\n")
            while held_bytes() is not None:
                time.sleep(0.02)
            data = data[hold:]
        try:
            self.wfile.write(data)
        except OSError:
            self.close_connection = True  # whoever asked is gone

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = handle_request


class Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
    daemon_threads = True
    request_queue_size = 64


Server(("127.0.0.1", PORT), Handler).serve_forever()
