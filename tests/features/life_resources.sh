#!/usr/bin/env bash
# Limits as the container's cgroup has them (v1 and v2), changed while it runs, seen in stats; an out-of-memory kill is told.
. "$(dirname "$0")/lib.bash"
need_containers
busybox_image
[ -w /sys/fs/cgroup ] || skip "needs a cgroup file system"
in_box() { ctr exec box sh -c "$1"; }
# The value of a limit: FILE_V1 (with its controller) or FILE_V2 of the container's own group.
limit() { in_box "cat /sys/fs/cgroup/$2 2>/dev/null || cat /sys/fs/cgroup/$1"; }

ctr run -d --name box --network none -m 64m --memory-swap 64m --cpus 0.5 --pids-limit 40 --cpuset-cpus 0 busybox sleep 1000 >/dev/null
is "$(limit memory/memory.limit_in_bytes memory.max)" 67108864 memory
is "$(limit pids/pids.max pids.max)" 40 pids
is "$(limit cpuset/cpuset.cpus cpuset.cpus)" 0 cpuset
has "$(in_box 'cat /sys/fs/cgroup/cpu.max 2>/dev/null || cat /sys/fs/cgroup/cpu/cpu.cfs_quota_us')" 50000 cpus

is "$(ctr update -m 96m --memory-swap 96m --cpus 1.5 --pids-limit 50 --cpu-shares 2048 box)" box
is "$(limit memory/memory.limit_in_bytes memory.max)" 100663296 "memory after update"
is "$(limit pids/pids.max pids.max)" 50 "pids after update"
has "$(in_box 'cat /sys/fs/cgroup/cpu.max 2>/dev/null || cat /sys/fs/cgroup/cpu/cpu.cfs_quota_us')" 150000 "cpus after update"
is "$(ctr inspect -f '{{.HostConfig.Memory}} {{.HostConfig.NanoCpus}} {{.HostConfig.PidsLimit}}' box)" "100663296 1500000000 50"
status_is 1 ctr update -m 1k box
status_is 1 ctr update box
is "$(ctr inspect -f '{{.HostConfig.Memory}}' box)" 100663296 "a refused update changes nothing"

# stats: the same limit, the number of processes, the columns.
line=$(ctr stats --no-stream --format '{{.Name}} {{.MemUsage}} {{.PIDs}}' box)
has "$line" "box "
has "$line" "/ 96MiB"
has "$(ctr stats --no-stream box | head -1)" "CONTAINER ID"
is "$(ctr stats --no-stream --format '{{.PIDs}}' box)" 1
ctr exec -d box sleep 500
eventually 30 bash -c "[ \"\$('$CTR' stats --no-stream --format '{{.PIDs}}' box)\" = 2 ]"
status_is 1 ctr stats --no-stream nosuch

# The pids limit holds, and is not the shim's affair.
! ctr exec box sh -c 'i=0; while [ $i -lt 80 ]; do sleep 100 & i=$((i + 1)); done' 2>"$work/err" || fail "80 processes with a limit of 50"
has "$(cat "$work/err")" "fork"
ctr rm -f box >/dev/null

# Out of memory: 137, told by inspect and by an event.
status_is 137 ctr run --name eater --network none -m 16m --memory-swap 16m busybox sh -c 'exec tail -c 100m </dev/zero'
is "$(ctr inspect -f '{{.State.OOMKilled}} {{.State.ExitCode}}' eater)" "true 137"
has "$(ctr events --since 1h --until 0s --filter container=eater --format '{{.Action}}' | tr '\n' ' ')" "oom"
# Not so a kill by hand.
ctr run -d --name victim --network none -m 16m busybox sleep 1000 >/dev/null
ctr kill victim >/dev/null
eventually 30 bash -c "[ \"\$('$CTR' inspect -f '{{.State.Status}}' victim)\" = exited ]"
is "$(ctr inspect -f '{{.State.OOMKilled}}' victim)" false
