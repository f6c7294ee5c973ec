#!/usr/bin/env python3
"""Plays Docker Hub and Amazon's registries, over TLS and under their own names, in front of a plain registry.

usage: registry_doubles.py BACKEND-PORT STATE CERT.pem KEY.pem ADDRESS...
Listens on port 443 (TLS) of each ADDRESS and on port 80; the Host header says who is meant. STATE is a directory:
settings.json steers (read anew for each request), log has a line a request: METHOD HOST PATH STATUS AUTHORIZATION-SCHEME.
Meant for a network namespace of its own, whose /etc/hosts leads these names here.
"""
import base64
import hashlib
import hmac
import http.client
import http.server
import json
import os
import re
import socketserver
import ssl
import sys
import threading
import time
import urllib.parse

BACKEND, STATE, CERT, KEY = int(sys.argv[1]), sys.argv[2], sys.argv[3], sys.argv[4]
ADDRESSES = sys.argv[5:]
LOCK = threading.Lock()
PUBLIC = {"library/ubuntu", "library/app"}  # of others the token servers don't say whether they exist
DOWNLOADS = {}  # a signed URL's path: repository and digest
PATCHES = {}  # an upload's path: how many came
HUB_TOKENS = {}  # a token: how often it is still good, and for what
THROTTLED = {}  # a path: how often it was refused
KEYS = {"AKIAENVIRONMENT": ("secret-of-environment", None), "AKIAPROFILE": ("secret-of-profile", None),
        "ASIAWEB": ("secret-of-web", "session-of-web"), "ASIAPOD": ("secret-of-pod", "session-of-pod"),
        "ASIAROLE": ("secret-of-role", "session-of-role")}
DESCRIPTOR_KEYS = {"mediaType", "digest", "size", "platform", "annotations", "urls"}


def settings():
    try:
        with open(os.path.join(STATE, "settings.json")) as file:
            return json.load(file)
    except FileNotFoundError:
        return {}


def amazon_password(serial, lifetime):
    """As Amazon's: base64 of a JSON that tells when it ends."""
    claims = {"payload": "x" * 40, "version": "2", "type": "DATA_KEY", "serial": serial,
              "expiration": int(time.time()) + lifetime}
    return base64.b64encode(json.dumps(claims).encode()).decode()


def error(code, message):
    return json.dumps({"errors": [{"code": code, "message": message}]}).encode()


def signature_is_right(handler, body, service):
    """Signature Version 4, computed here from its definition."""
    match = re.fullmatch(r"AWS4-HMAC-SHA256 Credential=([^/]+)/(\d{8})/([^/]+)/([^/]+)/aws4_request, ?"
                         r"SignedHeaders=([^,]+), ?Signature=([0-9a-f]{64})", handler.headers.get("Authorization", ""))
    if not match:
        return False
    key_id, date, region, signed_service, signed, signature = match.groups()
    if key_id not in KEYS or signed_service != service:
        return False
    secret, session = KEYS[key_id]
    if session is not None and handler.headers.get("X-Amz-Security-Token") != session:
        return False
    names = signed.split(";")
    if "host" not in names or "x-amz-date" not in names:
        return False
    headers = "".join(f"{name}:{' '.join(handler.headers.get(name, '').split())}\n" for name in names)
    parts = urllib.parse.urlparse(handler.path)
    canonical = "\n".join([handler.command, parts.path, parts.query, headers, signed, hashlib.sha256(body).hexdigest()])
    scope = f"{date}/{region}/{service}/aws4_request"
    text = "\n".join(["AWS4-HMAC-SHA256", handler.headers["X-Amz-Date"], scope,
                      hashlib.sha256(canonical.encode()).hexdigest()])
    key = b"AWS4" + secret.encode()
    for part in (date, region, service, "aws4_request"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    return hmac.compare_digest(hmac.new(key, text.encode(), hashlib.sha256).hexdigest(), signature)


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, *unused):
        pass

    # What every double does.

    def answer(self, status, body=b"", headers=()):
        if isinstance(body, (dict, list)):
            body = json.dumps(body).encode()
        scheme = self.headers.get("Authorization", "-").split(" ")[0]
        with LOCK, open(os.path.join(STATE, "log"), "a") as log:
            log.write(f"{self.command} {self.host} {self.parts.path} {status} {scheme}\n")
        self.send_response(status)
        names = {name.lower() for name, _ in headers}
        for name, value in headers:
            self.send_header(name, value)
        if "content-length" not in names:
            self.send_header("Content-Length", str(len(body)))
        if "content-type" not in names:
            self.send_header("Content-Type", "application/json")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def forward(self, path=None, body=None):
        """Asks the registry behind us; returns status, headers and body."""
        body = self.body if body is None else body
        connection = http.client.HTTPConnection("127.0.0.1", BACKEND, timeout=60)
        kept = {name: value for name, value in self.headers.items()
                if name.lower() in ("accept", "content-type", "content-range", "range")}
        connection.request(self.command, path or self.path, body or None, kept | {"Content-Length": str(len(body))})
        response = connection.getresponse()
        data = response.read()
        headers = [(name, value) for name, value in response.getheaders()
                   if name.lower() not in ("connection", "date", "transfer-encoding", "content-length")
                   or (name.lower() == "content-length" and self.command == "HEAD")]
        connection.close()
        return response.status, headers, data

    def pass_on(self, path=None):
        status, headers, data = self.forward(path)
        self.answer(status, data, headers)

    def redirect_blob(self, host, query):
        secret = hashlib.sha256(os.urandom(16)).hexdigest()
        with LOCK:
            DOWNLOADS["/" + secret] = self.parts.path
        self.answer(307, b"", [("Location", f"https://{host}/{secret}?{query}")])

    def serve_download(self):
        if self.headers.get("Authorization"):
            return self.answer(400, b"<Error><Code>InvalidArgument</Code><Message>Only one auth mechanism allowed"
                                    b"</Message></Error>", [("Content-Type", "application/xml")])
        with LOCK:
            path = DOWNLOADS.get(self.parts.path)
        if path is None:
            return self.answer(403, b"<Error><Code>AccessDenied</Code></Error>", [("Content-Type", "application/xml")])
        return self.pass_on(path)

    def dispatch(self):
        self.host = self.headers.get("Host", "").split(":")[0]
        self.parts = urllib.parse.urlparse(self.path)
        self.body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        self.settings = settings()
        if self.host == "registry-1.docker.io":
            return self.hub()
        if self.host == "auth.docker.io":
            return self.hub_token("registry.docker.io")
        if self.host == "public.ecr.aws":
            return self.public_ecr()
        if self.host == "production.cloudflare.docker.com" or ".s3." in self.host:
            return self.serve_download()
        if ".dkr.ecr." in self.host:
            return self.ecr()
        if self.host.startswith("api.ecr."):
            return self.ecr_api()
        if self.host.startswith("sts."):
            return self.sts()
        if self.host == "169.254.169.254":
            return self.instance_metadata()
        if self.host == "169.254.170.23":
            return self.pod_identity()
        return self.answer(404, error("NAME_UNKNOWN", "nobody here"))

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = dispatch

    # Docker Hub, and Amazon's public registry, which works the same way.

    def needed_scope(self):
        match = re.match(r"/v2/(.+)/(manifests|blobs|tags|referrers)/", self.parts.path)
        if not match:
            return None
        return match.group(1), "pull" if self.command in ("GET", "HEAD") else "push"

    def hub(self, realm="https://auth.docker.io/token", service="registry.docker.io",
            download="production.cloudflare.docker.com"):
        needed = self.needed_scope()
        allowed = HUB_TOKENS.get(self.headers.get("Authorization", "").removeprefix("Bearer "))
        if allowed is not None and (not needed or needed in allowed[1]):
            allowed[0] -= 1
        if allowed is None or allowed[0] < 0 or (needed and needed not in allowed[1]):
            scope = f',scope="repository:{needed[0]}:{"pull" if needed[1] == "pull" else "pull,push"}"' if needed else ""
            if allowed is not None and allowed[0] >= 0:
                scope += ',error="insufficient_scope"'
            return self.answer(401, error("UNAUTHORIZED", "authentication required"),
                               [("WWW-Authenticate", f'Bearer realm="{realm}",service="{service}"{scope}')])
        limits = [("RateLimit-Limit", "100;w=21600"), ("RateLimit-Remaining", "76;w=21600"),
                  ("Docker-RateLimit-Source", "203.0.113.9")]
        if "/manifests/" in self.parts.path and self.command == "GET" and self.settings.get("limit_reached"):
            return self.answer(429, error("TOOMANYREQUESTS", "You have reached your pull rate limit. You may increase "
                                          "the limit by authenticating and upgrading: https://www.docker.com/increase-"
                                          "rate-limit"), [("Retry-After", "0"), ("RateLimit-Remaining", "0;w=21600"),
                                                          limits[0]])
        if "/blobs/sha256:" in self.parts.path and self.command == "GET":
            return self.redirect_blob(download, "verify=1700000000-abc%3D")
        status, headers, data = self.forward()
        if "/manifests/" in self.parts.path:
            headers += limits
        return self.answer(status, data, headers)

    def hub_token(self, service):
        query = urllib.parse.parse_qs(self.parts.query)
        header = self.headers.get("Authorization", "")
        user = None
        if header.startswith("Basic "):
            if base64.b64decode(header[6:]) not in (b"user:secret", b"AWS:public-password"):
                return self.answer(401, {"details": "incorrect username or password"})
            user = "user"
        if query.get("service") != [service]:
            return self.answer(400, {"details": "unknown service"})
        allowed = set()
        for scope in " ".join(query.get("scope", [])).split():
            kind, name, actions = scope.split(":")
            public = name in PUBLIC
            for action in actions.split(","):
                if kind == "repository" and ((public and action == "pull") or (user and name.startswith("user/"))):
                    allowed.add((name, action))
        token = "hub-token-" + hashlib.sha256(os.urandom(16)).hexdigest()
        HUB_TOKENS[token] = [self.settings.get("token_uses", 1000), allowed]
        return self.answer(200, {"token": token, "access_token": token, "expires_in": 300,
                                 "issued_at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())})

    def public_ecr(self):
        if self.parts.path == "/token/":
            return self.hub_token("public.ecr.aws")
        return self.hub("https://public.ecr.aws/token/", "public.ecr.aws", "public.s3.us-east-1.amazonaws.com")

    # Amazon's private registry, quirks E1 to E18 of the field map.

    def ecr(self):
        header = self.headers.get("Authorization", "")
        user, _, password = base64.b64decode(header[6:]).decode().partition(":") if header.startswith("Basic ") else ("", "", "")
        if user != "AWS":
            return self.answer(401, b"Not Authorized\n", [("Content-Type", "text/plain"), (
                "WWW-Authenticate", f'Basic realm="https://{self.host}/",service="ecr.amazonaws.com"')])
        try:
            claims = json.loads(base64.b64decode(password))
        except ValueError:
            return self.answer(400, error("DENIED", "Your authorization token is malformed"))
        if claims["expiration"] < time.time() or claims["serial"] < self.settings.get("first_valid_serial", 0):
            return self.answer(403, error("DENIED", "Your authorization token has expired. Reauthenticate and try again."))
        return self.ecr_call()

    def ecr_call(self):
        match = re.match(r"/v2/(.+?)/(manifests|blobs|tags|referrers)/(.*)$", self.parts.path)
        if not match:
            return self.answer(200, b"{}")
        name, kind, rest = match.groups()
        if name not in self.repositories():
            return self.answer(404, error("NAME_UNKNOWN", f"The repository with name '{name}' does not exist in the "
                                          "registry with id '123456789012'"))
        if kind == "referrers":
            return self.answer(404, b"404 page not found\n", [("Content-Type", "text/plain")])
        if kind == "tags":
            query = urllib.parse.parse_qs(self.parts.query)
            last = "&last=" + urllib.parse.quote(query["last"][0]) if "last" in query else ""
            return self.pass_on(f"{self.parts.path}?n=2{last}")
        if kind == "blobs" and self.command == "GET" and rest.startswith("sha256:"):
            return self.redirect_blob("prod-starport-layer-bucket.s3.eu-west-1.amazonaws.com",
                                      "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Signature=0123456789abcdef")
        if kind == "blobs" and rest.startswith("uploads"):
            return self.ecr_upload(name)
        if kind == "manifests" and self.command == "PUT":
            return self.ecr_put_manifest(name, rest)
        return self.pass_on()

    def repositories(self):
        try:
            with open(os.path.join(STATE, "repositories")) as file:
                return file.read().split()
        except FileNotFoundError:
            return []

    def is_throttled(self):
        with LOCK:
            THROTTLED[self.parts.path] = THROTTLED.get(self.parts.path, 0) + 1
            return THROTTLED[self.parts.path] <= self.settings.get("throttle", 0)

    def ecr_upload(self, name):
        if self.command == "POST" and self.is_throttled():
            return self.answer(429, error("TOOMANYREQUESTS", "Rate exceeded"), [("Retry-After", "0")])
        if self.command == "POST" and "mount=" in self.parts.query and not self.settings.get("mounting"):
            return self.pass_on(f"/v2/{name}/blobs/uploads/")
        if self.command == "PATCH":
            with LOCK:
                PATCHES[self.parts.path] = PATCHES.get(self.parts.path, 0) + 1
                count = PATCHES[self.parts.path]
            if count > 1:
                return self.answer(201, b"", [("Location", self.path), ("Range", "0-0")])
            status, headers, data = self.forward()
            return self.answer(201 if status == 202 else status, data, headers)
        if self.command == "PUT" and not self.body and self.parts.path not in PATCHES:
            return self.answer(400, error("BLOB_UPLOAD_INVALID", "Layer part size must be greater than 0"))
        return self.pass_on()

    def ecr_put_manifest(self, name, reference):
        document = json.loads(self.body)
        if "subject" in document or "artifactType" in document:
            return self.answer(405, b"", [("Content-Type", "text/plain")])
        children = document.get("manifests", document.get("layers", [])) + [document[k] for k in ("config",) if k in document]
        if any(set(child) - DESCRIPTOR_KEYS for child in children):
            return self.answer(405, b"", [("Content-Type", "text/plain")])
        if any(child["size"] == 0 for child in children):
            return self.answer(400, error("MANIFEST_INVALID", "a blob of size 0"))
        if self.settings.get("immutable") and ":" not in reference:
            connection = http.client.HTTPConnection("127.0.0.1", BACKEND, timeout=60)
            accept = "application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json"
            connection.request("HEAD", self.path, headers={"Accept": accept})
            if connection.getresponse().status == 200:
                return self.answer(400, error("TAG_INVALID", f"The image tag '{reference}' already exists in the '{name}' "
                                              "repository and cannot be overwritten because the repository is immutable."))
        return self.pass_on()

    def ecr_api(self):
        if not signature_is_right(self, self.body, "ecr"):
            return self.answer(400, {"__type": "InvalidSignatureException", "message": "The request signature we "
                                     "calculated does not match the signature you provided."})
        key_id = re.search(r"Credential=([^/]+)/", self.headers["Authorization"]).group(1)
        with LOCK, open(os.path.join(STATE, "keys"), "a") as file:
            file.write(key_id + "\n")
        operation = self.headers.get("X-Amz-Target", "").removeprefix("AmazonEC2ContainerRegistry_V20150921.")
        if operation == "GetAuthorizationToken":
            password = amazon_password(self.settings.get("serial", 1), 43200)
            token = base64.b64encode(("AWS:" + password).encode()).decode()
            return self.answer(200, {"authorizationData": [{"authorizationToken": token, "expiresAt": time.time() + 43200.5}]})
        name = json.loads(self.body)["repositoryName"]
        with LOCK, open(os.path.join(STATE, "repositories"), "a") as file:
            file.write(name + "\n")
        return self.answer(200, {"repository": {"repositoryName": name}})

    # Where keys come from: a web identity, an instance's role, EKS's pod identity.

    def sts(self):
        form = urllib.parse.parse_qs(self.body.decode())
        if form.get("Action") != ["AssumeRoleWithWebIdentity"] or form.get("WebIdentityToken") != ["web-identity-token"]:
            return self.answer(403, b"<ErrorResponse><Error><Code>AccessDenied</Code><Message>not you</Message></Error>"
                                    b"</ErrorResponse>", [("Content-Type", "text/xml")])
        return self.answer(200, b"<AssumeRoleWithWebIdentityResponse><AssumeRoleWithWebIdentityResult><Credentials>"
                                b"<AccessKeyId>ASIAWEB</AccessKeyId><SecretAccessKey>secret-of-web</SecretAccessKey>"
                                b"<SessionToken>session-of-web</SessionToken></Credentials>"
                                b"</AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>",
                           [("Content-Type", "text/xml")])

    def instance_metadata(self):
        if self.command == "PUT" and self.parts.path == "/latest/api/token":
            return self.answer(200, b"metadata-token", [("Content-Type", "text/plain")])
        if self.headers.get("X-aws-ec2-metadata-token") != "metadata-token":
            return self.answer(401, b"", [("Content-Type", "text/plain")])
        if self.parts.path == "/latest/meta-data/iam/security-credentials/":
            return self.answer(200, b"node-role", [("Content-Type", "text/plain")])
        return self.answer(200, {"Code": "Success", "AccessKeyId": "ASIAROLE", "SecretAccessKey": "secret-of-role",
                                 "Token": "session-of-role", "Expiration": "2099-01-01T00:00:00Z"})

    def pod_identity(self):
        if self.headers.get("Authorization") != "pod-identity-token":
            return self.answer(403, {"message": "no"})
        return self.answer(200, {"AccessKeyId": "ASIAPOD", "SecretAccessKey": "secret-of-pod", "Token": "session-of-pod",
                                 "Expiration": "2099-01-01T00:00:00Z"})


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def server_bind(self):
        # The base class asks the name service who we are, which nobody here answers.
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = self.server_address


def main():
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERT, KEY)
    threads = []
    for address in ADDRESSES:
        for port in (443, 80):
            server = Server((address, port), Handler)
            if port == 443:
                # The handshake belongs to the connection's own thread, not to the one that accepts.
                server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
            threads.append(threading.Thread(target=server.serve_forever))
    for thread in threads:
        thread.start()
    open(os.path.join(STATE, "ready"), "w").close()
    for thread in threads:
        thread.join()


main()
