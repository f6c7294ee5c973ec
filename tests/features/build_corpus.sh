#!/usr/bin/env bash
# Every end-to-end case of testdata/dockerfiles gives the image, file by file, that docker's BuildKit gave when it was
# recorded (scripts/record-builds), or that the documentation promises where that BuildKit is too old.
. "$(dirname "$0")/lib.bash"
. "$here/tests/support/build_case.bash"
need_root "its cases make devices and files of all owners"
need_program python3 git zstd xz bzip2
[ -x /bin/busybox ] || skip "needs the package busybox-static"

mkdir "$work/base"
corpus_base "$work/base"
ctr build -q -t corpus-base "$work/base" >/dev/null
ctr save -o "$work/base.tar" corpus-base
corpus_server "$work"
started_pids+=("${server_pids[@]}")

wrong=()
for folder in "$corpus"/${1:-built-*}; do
  name=$(basename "$folder")
  [ -e "$folder/image.json" ] || continue
  if build_case "$name" "corpus/$name" "$work/$name" ctr >"$work/$name.log" 2>&1 &&
    ctr save -o "$work/$name.tar" "corpus/$name" &&
    python3 "$here/tests/support/image_record.py" "$work/$name.tar" "$work/base.tar" --replace "127.0.0.1:$server_port=127.0.0.1:PORT" --replace "127.0.0.1:$git_port=127.0.0.1:PORT" \
      --source "$(python3 -c 'import json, sys; print(json.load(open(sys.argv[1]))["source"])' "$folder/image.json")" >"$work/$name.json"; then
    [ -z "${CTR_UPDATE_GOLDEN:-}" ] || grep -q '"source": "docker' "$folder/image.json" || cp "$work/$name.json" "$folder/image.json"
    diff -u "$folder/image.json" "$work/$name.json" && continue
  else
    cat "$work/$name.log"
  fi
  wrong+=("$name")
done
[ ${#wrong[@]} = 0 ] || fail "these images are not what they must be: ${wrong[*]}"
