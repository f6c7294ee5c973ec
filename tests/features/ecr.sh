#!/usr/bin/env bash
# Amazon ECR under its own names, played by a double that verifies signatures and behaves as E1 to E18 of the field map
# say: the course's two commands, tokens made from AWS keys of every origin, and each quirk.
. "$(dirname "$0")/lib.bash"
. "$(dirname "$0")/registry_doubles.bash"
need_program curl jq
in_own_namespaces
host=123456789012.dkr.ecr.eu-west-1.amazonaws.com
play $host api.ecr.eu-west-1.amazonaws.com sts.eu-west-1.amazonaws.com public.ecr.aws \
  prod-starport-layer-bucket.s3.eu-west-1.amazonaws.com public.s3.us-east-1.amazonaws.com
export SSL_CERT_FILE=$work/ca.pem AWS_EC2_METADATA_DISABLED=true HOME=$work/home
mkdir "$HOME"
origin_image "$backend/library/app:1"
ctr pull -q "$backend/library/app:1" >/dev/null
log() { cat "$state/log"; }
fresh_log() { : >"$state/log"; }
with_keys() { AWS_ACCESS_KEY_ID=AKIAENVIRONMENT AWS_SECRET_ACCESS_KEY=secret-of-environment "$@"; }
no_login() { rm -f "$DOCKER_CONFIG/config.json"; }
# What `aws ecr get-login-password` prints.
password() { # SECONDS SERIAL
  jq -cn --argjson until "$(($(date +%s) + $1))" --argjson serial "${2:-1}" \
    '{payload: "x", version: "2", type: "DATA_KEY", serial: $serial, expiration: $until}' | base64 -w0
}
echo sample-app >"$state/repositories"
url=$host/sample-app

echo "the course: get-login-password | login, push (E1, E2: Basic, and no chunks)"
password 43200 | ctr login --username AWS --password-stdin "$url" >"$work/out" 2>/dev/null
is "$(tail -1 "$work/out")" "Login Succeeded"
is "$(jq -r '.auths | keys[]' "$DOCKER_CONFIG/config.json")" "$host" "one entry, under the host"
ctr tag "$backend/library/app:1" "$url:v3"
ctr push --platform linux/amd64 "$url:v3" >"$work/out" 2>"$work/err"
has "$(cat "$work/out")" "The push refers to repository [$url]"
has "$(cat "$work/out")" "v3: digest: sha256:"
has_not "$(log)" "PATCH"
has_not "$(log)" "Bearer"

echo "pull (E11: blobs come from S3, which takes no second credential)"
ctr rmi -f "$url:v3" "$backend/library/app:1" >/dev/null
fresh_log
is "$(ctr run --rm --network none "$url:v3" 2>/dev/null)" amd64
log | grep -q '\.s3\..* 200 -$' || fail "no blob came from S3"
log | grep -q '\.s3\..* Basic$' && fail "credentials went to S3"
ctr pull -q "$backend/library/app:1" >/dev/null

echo "an expired token: 403 in plain words, or made anew from AWS keys (E2, E3)"
settings '{"first_valid_serial": 2, "serial": 2}'
status_is 1 ctr pull "$url:v3"
has "$(cat "$work/err")" "Your authorization token has expired"
with_keys ctr pull -q "$url:v3" >/dev/null
no_login
jq -n --arg host "$host" --arg auth "$(printf 'AWS:%s' "$(password -5 2)" | base64 -w0)" '{auths: {($host): {auth: $auth}}}' \
  >"$DOCKER_CONFIG/config.json"
with_keys ctr pull -q "$url:v3" >/dev/null
settings '{}'

echo "a helper wins over a stored entry (E3)"
mkdir "$work/helpers"
printf '#!/bin/sh\ncat >/dev/null\nprintf '"'"'{"ServerURL":"x","Username":"AWS","Secret":"%%s"}'"'"' "$(cat %s)"\n' "$work/helper-password" \
  >"$work/helpers/docker-credential-test-ecr"
chmod +x "$work/helpers/docker-credential-test-ecr"
password 43200 5 >"$work/helper-password"
settings '{"first_valid_serial": 5}'
jq -n --arg host "$host" --arg auth "$(printf 'AWS:%s' "$(password 43200 1)" | base64 -w0)" \
  '{auths: {($host): {auth: $auth}}, credHelpers: {($host): "test-ecr"}}' >"$DOCKER_CONFIG/config.json"
PATH=$work/helpers:$PATH ctr pull -q "$url:v3" >/dev/null
settings '{}'
no_login

echo "tokens from keys of every origin; nothing is stored"
: >"$state/keys"
with_keys ctr pull -q "$url:v3" >/dev/null
mkdir "$HOME/.aws"
printf '[work]\naws_access_key_id = AKIAPROFILE\naws_secret_access_key = secret-of-profile\n' >"$HOME/.aws/credentials"
AWS_PROFILE=work ctr pull -q "$url:v3" >/dev/null
echo web-identity-token >"$work/web-token"
AWS_WEB_IDENTITY_TOKEN_FILE=$work/web-token AWS_ROLE_ARN=arn:aws:iam::123456789012:role/pusher ctr pull -q "$url:v3" >/dev/null
echo pod-identity-token >"$work/pod-token"
AWS_CONTAINER_CREDENTIALS_FULL_URI=http://169.254.170.23/v1/credentials \
  AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE=$work/pod-token ctr pull -q "$url:v3" >/dev/null
AWS_EC2_METADATA_DISABLED=false ctr pull -q "$url:v3" >/dev/null
is "$(tr '\n' ' ' <"$state/keys")" "AKIAENVIRONMENT AKIAPROFILE ASIAWEB ASIAPOD ASIAROLE "
has "$(with_keys ctr login "$host")" "Login Succeeded"
[ ! -e "$DOCKER_CONFIG/config.json" ] || has_not "$(cat "$DOCKER_CONFIG/config.json")" "$host"
status_is 1 ctr pull "$url:v3"
has "$(cat "$work/err")" "no basic auth credentials"
has "$(cat "$work/err")" "AWS"

# From here on with keys.
export AWS_ACCESS_KEY_ID=AKIAENVIRONMENT AWS_SECRET_ACCESS_KEY=secret-of-environment

echo "a repository that is missing: what to type, or --create (E4)"
ctr tag "$backend/library/app:1" "$host/new/app:1"
status_is 1 ctr push --platform linux/amd64 "$host/new/app:1"
has "$(cat "$work/err")" "The repository with name 'new/app' does not exist"
has "$(cat "$work/err")" "aws ecr create-repository --repository-name new/app --region eu-west-1"
ctr push -q --create --platform linux/amd64 "$host/new/app:1" >/dev/null
has "$(cat "$state/repositories")" "new/app"

echo "mounts: 202 is an upload, 201 saves one (E5)"
echo mounted >>"$state/repositories"
settings '{"mounting": true}'
ctr tag "$backend/library/app:1" "$host/mounted:1"
has "$(ctr push --platform linux/amd64 "$host/mounted:1")" "Mounted from "
settings '{}'

echo "artifacts with a subject are refused by Amazon: said in words (E6)"
printf '{}' >"$work/empty"
curl -s -X POST -H 'Content-Type: application/octet-stream' --data-binary @"$work/empty" \
  "http://$backend/v2/library/app/blobs/uploads/?digest=sha256:$(sha256sum "$work/empty" | cut -d' ' -f1)" -o /dev/null
subject=$(curl -s -D- -o "$work/subject" -H "Accept: application/vnd.oci.image.index.v1+json" "http://$backend/v2/library/app/manifests/1" |
  tr -d '\r' | sed -n 's/^docker-content-digest: //ip')
empty='"digest":"sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a","size":2'
printf '{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","artifactType":"test/signature","config":{"mediaType":"application/vnd.oci.empty.v1+json",%s},"layers":[{"mediaType":"application/vnd.oci.empty.v1+json",%s}],"subject":{"mediaType":"application/vnd.oci.image.index.v1+json","digest":"%s","size":%s}}' \
  "$empty" "$empty" "$subject" "$(stat -c %s "$work/subject")" >"$work/signature"
curl -sf -X PUT -H 'Content-Type: application/vnd.oci.image.manifest.v1+json' --data-binary @"$work/signature" \
  "http://$backend/v2/library/app/manifests/sha256:$(sha256sum "$work/signature" | cut -d' ' -f1)" -o /dev/null
status_is 1 ctr copy -q "$backend/library/app:1" "$url:copied"
has "$(cat "$work/err")" "does not take artifacts that refer to an image"
has "$(cat "$work/err")" "--referrers=false"
ctr copy -q --referrers=false "$backend/library/app:1" "$url:copied" >/dev/null

echo "descriptors hold what is needed alone (E7); an index's children go by digest; immutable tags (E8)"
settings '{"immutable": true}'
ctr push -q "$url:v3" >/dev/null || true
ctr tag "$backend/library/app:1" "$url:multi"
fresh_log
ctr push -q "$url:multi" >/dev/null
is "$(log | grep -c "PUT $host /v2/sample-app/manifests/multi 201")" 1
is "$(log | grep 'PUT .*/manifests/' | grep -vc '/manifests/sha256:')" 1 "one tag, one PUT"
fresh_log
ctr push -q "$url:multi" >/dev/null
has_not "$(log)" "PUT"
printf 'FROM %s\nCOPY Dockerfile /\n' "$backend/library/app:1" >"$work/Dockerfile"
ctr build -q -t "$url:multi" "$work" >/dev/null
status_is 1 ctr push "$url:multi"
has "$(cat "$work/err")" "repository is immutable"
settings '{}'

echo "a build is a plain manifest without provenance, its cache an ordinary image in the same repository (E9, E10, E18)"
ctr build -q -t "$url:built" --cache-to "type=registry,ref=$url:cache-app" "$work" >/dev/null
ctr push -q "$url:built" >/dev/null
is "$(ctr inspect --remote --format '{{.Descriptor.mediaType}}' "$url:built")" application/vnd.oci.image.manifest.v1+json
is "$(ctr inspect --remote --format '{{.Descriptor.mediaType}}' "$url:cache-app")" application/vnd.oci.image.manifest.v1+json
ctr build -q --no-cache -t again --cache-from "type=registry,ref=$url:cache-app" "$work" >/dev/null

echo "pages of tags, delete (E13); throttling (E14); empty blobs (E15)"
is "$(ctr tags "$url" | sort | tr '\n' ' ')" "built cache-app copied multi v3 "
ctr delete "$url:copied" >/dev/null
has_not "$(ctr tags "$url")" copied
settings '{"throttle": 2}'
ctr tag "$backend/library/app:1" "$host/new/app:2"
echo throttled >>"$state/repositories"
ctr tag "$backend/library/app:1" "$host/throttled:1"
ctr push -q --platform linux/amd64 "$host/throttled:1" >/dev/null
has "$(log)" " 429 "
settings '{}'
printf 'FROM scratch\nENV a=b\n' | ctr build -q -t "$url:empty" - >/dev/null
ctr push -q "$url:empty" >/dev/null

echo "ECR Public asks for bearer tokens (E16)"
printf AWS:public-password | base64 -w0 >"$work/auth"
jq -n --arg auth "$(cat "$work/auth")" '{auths: {"public.ecr.aws": {auth: $auth}}}' >"$DOCKER_CONFIG/config.json"
is "$(ctr run --rm --network none public.ecr.aws/library/app:1 2>/dev/null)" amd64
no_login

echo "no secret in errors or traces"
settings '{"first_valid_serial": 9, "serial": 1}'
status_is 1 ctr -D --trace "$work/trace" pull "$url:v3"
cat "$work/trace" "$work/out" "$work/err" | grep -qE 'secret-of|session-of|X-Amz-Signature|DATA_KEY|eyJ' && fail "a secret was written down"
exit 0
