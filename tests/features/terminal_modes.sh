#!/usr/bin/env bash
# The terminal itself: raw and back after an end, a detach and a killed ctr; sizes; attach and start -ia with status.
. "$(dirname "$0")/lib.bash"
need_containers
need_program python3
busybox_image

python3 "$here/tests/features/terminal_session.py" "$CTR"
status_is 1 ctr run -it --rm --network none busybox true
has "$(cat "$work/err")" "the input device is not a TTY"
is "$(ctr ps -aq)" "" "containers left behind"
