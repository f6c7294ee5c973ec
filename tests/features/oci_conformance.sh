#!/usr/bin/env bash
# Each property of the OCI runtime specification: a program inside a container looks at what it got, and that is compared
# with what config.json asked for. One subject a file in conformance/; needs nothing of ctr but ctr-oci.
. "$(dirname "$0")/lib.bash"
need_root "it looks at cgroups and device rules"
need_program python3 unshare
[ -x /bin/busybox ] || skip "needs the package busybox-static"
ln -s "$(realpath "$CTR")" "$work/ctr-oci"
chmod 755 "$work"
CTR_OCI=$work/ctr-oci CTR_WORK=$work timeout 280 python3 "$(dirname "$0")/conformance/run.py" "${CTR_CHECKS:-}"
