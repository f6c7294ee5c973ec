#!/usr/bin/env python3
"""A token server as Docker Hub has one, for tests: TLS, Basic or refresh tokens in, signed bearer tokens out.

usage: token_server.py PORT CERT.pem KEY.pem LOG [LIFETIME]
Users: user/secret may do everything; nobody may pull from repositories under public/. The key must be RSA.
"""
import base64
import http.server
import json
import ssl
import subprocess
import sys
import time
import urllib.parse

PORT, CERT, KEY, LOG = int(sys.argv[1]), sys.argv[2], sys.argv[3], sys.argv[4]
LIFETIME = int(sys.argv[5]) if len(sys.argv) > 5 else 300
REFRESH = "refresh-token-of-user"


def encode(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def certificate_der():
    pem = open(CERT).read()
    return "".join(pem.split("-----BEGIN CERTIFICATE-----")[1].split("-----END")[0].split())


def sign(claims):
    header = {"typ": "JWT", "alg": "RS256", "x5c": [certificate_der()]}
    text = encode(json.dumps(header).encode()) + "." + encode(json.dumps(claims).encode())
    signature = subprocess.run(["openssl", "dgst", "-sha256", "-sign", KEY], input=text.encode(),
                               stdout=subprocess.PIPE, check=True).stdout
    return text + "." + encode(signature)


def access_for(scopes, user):
    access = []
    for scope in scopes:
        kind, name, actions = scope.split(":")[0], ":".join(scope.split(":")[1:-1]), scope.split(":")[-1].split(",")
        if not user:
            actions = [action for action in actions if action == "pull" and name.startswith("public/")]
        if actions:
            access.append({"type": kind, "name": name, "actions": actions})
    return access


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *unused):
        pass

    def note(self, text):
        with open(LOG, "a") as log:
            log.write(text + "\n")

    def answer(self, status, document):
        body = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def give(self, user, service, scopes, offline):
        now = int(time.time())
        claims = {"iss": "test", "sub": user, "aud": service, "exp": now + LIFETIME, "nbf": now - 10, "iat": now,
                  "jti": str(time.time_ns()), "access": access_for(scopes, user)}
        token = sign(claims)
        document = {"token": token, "access_token": token, "expires_in": LIFETIME}
        if offline:
            document["refresh_token"] = REFRESH
        self.answer(200, document)

    def do_GET(self):
        query = urllib.parse.parse_qs(urllib.parse.urlparse(self.path).query)
        header = self.headers.get("Authorization", "")
        user = ""
        if header.startswith("Basic "):
            name, _, password = base64.b64decode(header[6:]).decode().partition(":")
            if (name, password) != ("user", "secret"):
                self.note("GET refused")
                return self.answer(401, {"details": "incorrect username or password"})
            user = name
        self.note("GET " + (user or "anonymous") + " " + " ".join(query.get("scope", [])))
        self.give(user, query.get("service", [""])[0], query.get("scope", []), user and "offline_token" in query)

    def do_POST(self):
        form = urllib.parse.parse_qs(self.rfile.read(int(self.headers.get("Content-Length", "0"))).decode())
        if form.get("grant_type") != ["refresh_token"] or form.get("refresh_token") != [REFRESH]:
            self.note("POST refused")
            return self.answer(401, {"details": "invalid refresh token"})
        scopes = form.get("scope", [""])[0].split()
        self.note("POST user " + " ".join(scopes))
        self.give("user", form.get("service", [""])[0], scopes, False)


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True


server = Server(("127.0.0.1", PORT), Handler)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(CERT, KEY)
server.socket = context.wrap_socket(server.socket, server_side=True)
server.serve_forever()
