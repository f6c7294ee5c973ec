#!/usr/bin/env python3
"""Asks a registry all that the OCI distribution-spec 1.1 demands, section by section, with nothing but HTTP.

usage: distribution_conformance.py HOST:PORT        exit status 1 and a line for each demand that is not met
"""
import hashlib
import http.client
import json
import re
import sys
import urllib.parse

HOST = sys.argv[1]
INDEX = "application/vnd.oci.image.index.v1+json"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
REPO, OTHER = "conformance/pushed", "conformance/mounted"
failures = 0
checks = 0


class Answer:
    def __init__(self, response):
        self.status = response.status
        self.headers = response.headers
        self.body = response.read()

    def json(self):
        return json.loads(self.body)


def ask(method, path, body=None, **headers):
    """Follows no redirection; `path` may be a Location."""
    parts = urllib.parse.urlparse(path)
    connection = http.client.HTTPConnection(parts.netloc or HOST, timeout=60)
    target = parts.path + ("?" + parts.query if parts.query else "")
    connection.request(method, target, body, {name.replace("_", "-"): value for name, value in headers.items()})
    answer = Answer(connection.getresponse())
    connection.close()
    if method == "HEAD":
        expect("a HEAD has no body", answer.body == b"")
    if 400 <= answer.status < 500 and method != "HEAD" and answer.status != 416 and answer.body:
        try:
            codes = [error["code"] for error in answer.json()["errors"]]
            expect(f"{method} {path}: error codes are upper case words", all(re.fullmatch("[A-Z_]+", c) for c in codes) and codes)
        except (ValueError, KeyError, TypeError):
            expect(f"{method} {path}: an error is a JSON with errors: {answer.body[:100]}", False)
    return answer


def expect(what, is_met, seen=""):
    global failures, checks
    checks += 1
    if not is_met:
        failures += 1
        print(f"NOT MET: {what} {seen}")


def expect_status(what, answer, *statuses):
    expect(what, answer.status in statuses, f"(status {answer.status}, want {statuses}: {answer.body[:200]})")


def digest_of(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


def with_query(location, query):
    return location + ("&" if "?" in location else "?") + query


def push_blob(data, repo=REPO):
    start = ask("POST", f"/v2/{repo}/blobs/uploads/")
    return ask("PUT", with_query(start.headers["Location"], "digest=" + digest_of(data)), data,
               Content_Type="application/octet-stream")


def push_manifest(document, reference=None, repo=REPO, kind=MANIFEST):
    data = document if isinstance(document, bytes) else json.dumps(document).encode()
    return ask("PUT", f"/v2/{repo}/manifests/{reference or digest_of(data)}", data, Content_Type=kind), digest_of(data), data


def descriptor(data, kind):
    return {"mediaType": kind, "digest": digest_of(data), "size": len(data)}


CONFIG_BLOB = b'{"architecture":"amd64","os":"linux","rootfs":{"type":"layers","diff_ids":[]}}'
LAYER_BLOB = b"the layer of a conformance test" * 100
ABSENT = digest_of(b"nobody has this")


def image(**more):
    return {"schemaVersion": 2, "mediaType": MANIFEST, "config": descriptor(CONFIG_BLOB, CONFIG),
            "layers": [descriptor(LAYER_BLOB, "application/vnd.oci.image.layer.v1.tar")]} | more


def push():
    expect_status("GET /v2/ answers", ask("GET", "/v2/"), 200)
    start = ask("POST", f"/v2/{REPO}/blobs/uploads/", b"", Content_Length="0")
    expect_status("a session begins with 202", start, 202)
    expect("a session has a Location", bool(start.headers["Location"]))
    location = start.headers["Location"]
    done = ask("PUT", with_query(location, "digest=" + digest_of(CONFIG_BLOB)), CONFIG_BLOB, Content_Type="application/octet-stream")
    expect_status("POST then PUT makes a blob", done, 201)
    expect_status("the blob is where its Location says", ask("GET", done.headers["Location"]), 200)
    expect_status("the blob is under its name", ask("GET", f"/v2/{REPO}/blobs/{digest_of(CONFIG_BLOB)}"), 200)

    one = b"one request makes this blob"
    single = ask("POST", f"/v2/{REPO}/blobs/uploads/?digest={digest_of(one)}", one, Content_Type="application/octet-stream",
                 Content_Length=str(len(one)))
    expect_status("POST with a digest makes a blob or begins a session", single, 201, 202)
    if single.status == 201:
        expect_status("the blob of one POST is there", ask("GET", single.headers["Location"]), 200)

    stream = b"streamed without a Content-Range"
    start = ask("POST", f"/v2/{REPO}/blobs/uploads/")
    patched = ask("PATCH", start.headers["Location"], stream, Content_Type="application/octet-stream")
    expect_status("one PATCH without range streams", patched, 202)
    done = ask("PUT", with_query(patched.headers["Location"], "digest=" + digest_of(stream)), b"")
    expect_status("a streamed upload ends with 201", done, 201)

    start = ask("POST", f"/v2/{REPO}/blobs/uploads/")
    wrong = ask("PUT", with_query(start.headers["Location"], "digest=" + ABSENT), b"other bytes")
    expect_status("a digest that is not that of the bytes is refused", wrong, 400)
    expect_status("and nothing is kept of it", ask("HEAD", f"/v2/{REPO}/blobs/{ABSENT}"), 404)
    start = ask("POST", f"/v2/{REPO}/blobs/uploads/")
    expect_status("a digest that is none is refused", ask("PUT", with_query(start.headers["Location"], "digest=sha256:zz"), b"x"), 400)
    cancelled = ask("DELETE", start.headers["Location"])
    expect_status("an upload is given up with 204", cancelled, 204)
    expect_status("a session that has ended is unknown", ask("GET", start.headers["Location"]), 404)


def push_in_chunks():
    first, second = LAYER_BLOB[:1000], LAYER_BLOB[1000:]
    start = ask("POST", f"/v2/{REPO}/blobs/uploads/", b"", Content_Length="0")
    location = start.headers["Location"]

    def chunk(where, data, offset):
        return ask("PATCH", where, data, Content_Type="application/octet-stream", Content_Length=str(len(data)),
                   Content_Range=f"{offset}-{offset + len(data) - 1}")
    expect_status("a chunk out of order is refused with 416", chunk(location, second, len(first)), 416)
    answer = chunk(location, first, 0)
    expect_status("the first chunk is taken", answer, 202)
    expect("a chunk's answer has the range", answer.headers["Range"] == f"0-{len(first) - 1}", str(answer.headers["Range"]))
    location = answer.headers["Location"]
    expect_status("the same chunk again is refused with 416", chunk(location, first, 0), 416)
    status = ask("GET", location)
    expect_status("a session tells how far it is", status, 204)
    expect("with a Range", status.headers["Range"] == f"0-{len(first) - 1}", str(status.headers["Range"]))
    expect("and a Location", bool(status.headers["Location"]))
    answer = chunk(status.headers["Location"], second, len(first))
    expect_status("the second chunk is taken", answer, 202)
    done = ask("PUT", with_query(answer.headers["Location"], "digest=" + digest_of(LAYER_BLOB)), b"", Content_Length="0")
    expect_status("chunks end with 201", done, 201)
    expect("and are what was sent", ask("GET", f"/v2/{REPO}/blobs/{digest_of(LAYER_BLOB)}").body == LAYER_BLOB)
    # The last chunk may come with the PUT.
    start = ask("POST", f"/v2/{REPO}/blobs/uploads/")
    data = b"0123456789abcdef"
    answer = chunk(start.headers["Location"], data[:10], 0)
    done = ask("PUT", with_query(answer.headers["Location"], "digest=" + digest_of(data)), data[10:],
               Content_Type="application/octet-stream", Content_Range="10-15")
    expect_status("the last chunk may come with the PUT", done, 201)


def mount():
    answer = ask("POST", f"/v2/{OTHER}/blobs/uploads/?mount={digest_of(LAYER_BLOB)}&from={REPO}", b"", Content_Length="0")
    expect_status("a mount gives 201, or a session", answer, 201, 202)
    if answer.status == 201:
        expect_status("a mounted blob is where its Location says", ask("GET", answer.headers["Location"]), 200)
        expect_status("and under its name", ask("HEAD", f"/v2/{OTHER}/blobs/{digest_of(LAYER_BLOB)}"), 200)
    answer = ask("POST", f"/v2/{OTHER}/blobs/uploads/?mount={ABSENT}&from={REPO}")
    expect_status("what is not there can't be mounted: a session", answer, 202)
    answer = ask("POST", f"/v2/{OTHER}/blobs/uploads/?mount={digest_of(CONFIG_BLOB)}")
    expect_status("a mount without from is a mount or a session", answer, 201, 202)
    answer = ask("POST", f"/v2/{OTHER}/blobs/uploads/?mount={digest_of(CONFIG_BLOB)}&from=../../etc")
    expect_status("a mount from no repository is a session or refused", answer, 202, 400)


def manifests():
    answer, digest, data = push_manifest(image(), "v1")
    expect_status("a manifest is taken under a tag", answer, 201)
    expect("its Location is told", bool(answer.headers["Location"]))
    expect("its digest is told", answer.headers["Docker-Content-Digest"] == digest)
    expect_status("its Location leads to it", ask("GET", answer.headers["Location"], Accept=MANIFEST), 200)
    answer, _, _ = push_manifest(data)
    expect_status("a manifest is taken under its digest", answer, 201)
    answer, _, _ = push_manifest(image(annotations={"a": "b"}), ABSENT)
    expect_status("a manifest under a wrong digest is refused", answer, 400)
    answer, custom, _ = push_manifest({"schemaVersion": 2, "mediaType": MANIFEST, "artifactType": "application/x.test",
                                       "config": descriptor(CONFIG_BLOB, "application/vnd.oci.empty.v1+json"), "layers": []})
    expect_status("a manifest without layers is taken", answer, 201)
    answer, _, _ = push_manifest(image(layers=[{"mediaType": "x/y", "digest": ABSENT, "size": 5}]))
    expect_status("a manifest of a blob that is missing is refused", answer, 400, 404)
    answer, _, _ = push_manifest(b"{not json", "bad")
    expect_status("no JSON is refused", answer, 400)
    answer, _, _ = push_manifest(image(), "-bad-tag")
    expect_status("a tag that is none is refused", answer, 400, 404)
    answer, index, _ = push_manifest({"schemaVersion": 2, "mediaType": INDEX, "manifests": [descriptor(data, MANIFEST)]}, "index", kind=INDEX)
    expect_status("an index is taken", answer, 201)
    expect("its type is kept", ask("GET", f"/v2/{REPO}/manifests/index", Accept=INDEX).headers["Content-Type"] == INDEX)
    return digest, data


def pull(digest, data):
    blob = f"/v2/{REPO}/blobs/{digest_of(LAYER_BLOB)}"
    for method in ("HEAD", "GET"):
        expect_status(f"{method} of a missing blob", ask(method, f"/v2/{REPO}/blobs/{ABSENT}"), 404)
        expect_status(f"{method} of a missing manifest", ask(method, f"/v2/{REPO}/manifests/{ABSENT}"), 404)
        expect_status(f"{method} of a missing tag", ask(method, f"/v2/{REPO}/manifests/nosuchtag"), 404)
        expect_status(f"{method} of a missing repository", ask(method, "/v2/no/such/manifests/v1"), 404)
        answer = ask(method, blob)
        expect_status(f"{method} of a blob", answer, 200)
        expect(f"{method}: Content-Length", answer.headers["Content-Length"] == str(len(LAYER_BLOB)))
        expect(f"{method}: Docker-Content-Digest", answer.headers["Docker-Content-Digest"] == digest_of(LAYER_BLOB))
        for reference in ("v1", digest):
            answer = ask(method, f"/v2/{REPO}/manifests/{reference}", Accept=MANIFEST)
            expect_status(f"{method} of manifest {reference}", answer, 200)
            expect(f"{method}: Content-Type", answer.headers["Content-Type"] == MANIFEST)
            expect(f"{method}: digest", answer.headers["Docker-Content-Digest"] == digest)
            expect(f"{method}: length", answer.headers["Content-Length"] == str(len(data)))
    expect("a manifest comes byte for byte", ask("GET", f"/v2/{REPO}/manifests/v1").body == data)
    for text, body in (("bytes=0-9", LAYER_BLOB[:10]), ("bytes=100-", LAYER_BLOB[100:]), ("bytes=-7", LAYER_BLOB[-7:])):
        answer = ask("GET", blob, Range=text)
        expect_status(f"Range {text}", answer, 206)
        expect(f"Range {text}: its bytes", answer.body == body)
        expect(f"Range {text}: Content-Range", (answer.headers["Content-Range"] or "").endswith(f"/{len(LAYER_BLOB)}"))
    expect_status("a range behind the end", ask("GET", blob, Range=f"bytes={len(LAYER_BLOB)}-"), 416)
    expect_status("a digest that is none", ask("GET", f"/v2/{REPO}/blobs/sha256:nothex"), 400, 404)
    expect_status("a name that is none", ask("GET", "/v2/UPPER/manifests/v1"), 400, 404)
    for path in ("/v2/../../etc/passwd", f"/v2/{REPO}/blobs/..%2f..%2fetc", "/v2/a/../../b/tags/list", "/v2//tags/list"):
        expect_status(f"a path that leaves its place: {path}", ask("GET", path), 400, 404)


def tags(data):
    names = ["tag%02d" % i for i in range(12)]
    for name in names:
        push_manifest(data, name)
    everything = ask("GET", f"/v2/{REPO}/tags/list")
    expect_status("tags are listed", everything, 200)
    listed = everything.json()
    expect("under the repository's name", listed["name"] == REPO)
    expect("in lexical order", listed["tags"] == sorted(listed["tags"]) and set(names) <= set(listed["tags"]))
    path, pages, seen = f"/v2/{REPO}/tags/list?n=5", 0, []
    while path and pages < 20:
        page = ask("GET", path)
        seen += page.json()["tags"]
        pages += 1
        expect("a page is as long as was asked", len(page.json()["tags"]) <= 5)
        link = re.fullmatch(r'<([^>]+)>; ?rel="?next"?', page.headers["Link"] or "")
        path = link.group(1) if link else None
    expect("pages make the whole list", seen == listed["tags"], str(seen))
    after = ask("GET", f"/v2/{REPO}/tags/list?n=2&last=tag03").json()["tags"]
    expect("last is where the list goes on", after == ["tag04", "tag05"], str(after))
    expect("n=0 lists nothing", not ask("GET", f"/v2/{REPO}/tags/list?n=0").json()["tags"])
    expect_status("tags of a missing repository", ask("GET", "/v2/no/such/tags/list"), 404)


def referrers(digest, data):
    def refer(kind, subject, **more):
        document = image(subject=subject, annotations={"of": kind}, **more)
        answer, own, _ = push_manifest(document)
        expect_status(f"a referrer is taken ({kind})", answer, 201)
        expect("OCI-Subject names the subject", answer.headers["OCI-Subject"] == subject["digest"], str(answer.headers["OCI-Subject"]))
        return own
    subject = descriptor(data, MANIFEST)
    first = refer("first", subject, artifactType="application/x.first")
    refer("second", subject, artifactType="application/x.second")
    refer("config", subject)
    nobody = {"mediaType": MANIFEST, "digest": ABSENT, "size": 10}
    refer("early", nobody, artifactType="application/x.first")
    answer = ask("GET", f"/v2/{REPO}/referrers/{digest}")
    expect_status("referrers are listed", answer, 200)
    expect("as an index", answer.headers["Content-Type"] == INDEX and answer.json()["mediaType"] == INDEX)
    found = answer.json()["manifests"]
    expect("all of them", len(found) == 3, str(found))
    kinds = {item["artifactType"] for item in found}
    expect("with their types, else that of the config", kinds == {"application/x.first", "application/x.second", CONFIG}, str(kinds))
    expect("and annotations", {item["annotations"]["of"] for item in found} == {"first", "second", "config"})
    answer = ask("GET", f"/v2/{REPO}/referrers/{digest}?artifactType=application/x.first")
    expect("a filter keeps its type", [item["digest"] for item in answer.json()["manifests"]] == [first])
    expect("and says that it was applied", answer.headers["OCI-Filters-Applied"] == "artifactType")
    expect("a missing subject may have referrers", len(ask("GET", f"/v2/{REPO}/referrers/{ABSENT}").json()["manifests"]) == 1)
    answer = ask("GET", f"/v2/{REPO}/referrers/{digest_of(b'no referrers')}")
    expect_status("no referrers are an empty list", answer, 200)
    expect("of none", answer.json()["manifests"] == [])
    expect_status("referrers of no digest", ask("GET", f"/v2/{REPO}/referrers/v1"), 400, 404)
    expect_status("a referrer is deleted", ask("DELETE", f"/v2/{REPO}/manifests/{first}"), 202)
    expect("and no longer listed", len(ask("GET", f"/v2/{REPO}/referrers/{digest}").json()["manifests"]) == 2)


def delete(digest):
    expect_status("a tag is deleted", ask("DELETE", f"/v2/{REPO}/manifests/tag00"), 202)
    expect_status("and gone", ask("GET", f"/v2/{REPO}/manifests/tag00"), 404)
    expect_status("its manifest is not", ask("GET", f"/v2/{REPO}/manifests/{digest}"), 200)
    expect_status("a tag that is gone can't be deleted", ask("DELETE", f"/v2/{REPO}/manifests/tag00"), 404)
    expect_status("a manifest is deleted", ask("DELETE", f"/v2/{REPO}/manifests/{digest}"), 202)
    expect_status("and gone", ask("GET", f"/v2/{REPO}/manifests/{digest}"), 404)
    expect_status("with its tags", ask("GET", f"/v2/{REPO}/manifests/v1"), 404)
    expect("which are not listed either", "v1" not in (ask("GET", f"/v2/{REPO}/tags/list").json()["tags"] or []))
    expect_status("a blob is deleted", ask("DELETE", f"/v2/{REPO}/blobs/{digest_of(LAYER_BLOB)}"), 202)
    expect_status("and gone", ask("GET", f"/v2/{REPO}/blobs/{digest_of(LAYER_BLOB)}"), 404)
    expect_status("it stays where it was mounted", ask("HEAD", f"/v2/{OTHER}/blobs/{digest_of(LAYER_BLOB)}"), 200)
    expect_status("a blob that is gone can't be deleted", ask("DELETE", f"/v2/{REPO}/blobs/{digest_of(LAYER_BLOB)}"), 404)
    expect_status("an unknown method", ask("PUT", f"/v2/{REPO}/tags/list", b""), 404, 405)


def main():
    push()
    push_in_chunks()
    mount()
    digest, data = manifests()
    pull(digest, data)
    tags(data)
    referrers(digest, data)
    delete(digest)
    print(f"{checks - failures} demands met, {failures} not")
    sys.exit(1 if failures else 0)


main()
