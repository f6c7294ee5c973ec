// The table of run's and create's flags, by subject.
#include "cli/container_options.h"

namespace ctr {

namespace {

void define_process_flags(FlagTable& flags) {
  flags.list("attach", 'a', "list", "Attach to STDIN, STDOUT or STDERR");
  flags.text("detach-keys", 0, "string", "Override the key sequence for detaching a container");
  flags.text("entrypoint", 0, "string", "Overwrite the default ENTRYPOINT of the image");
  flags.list("env", 'e', "list", "Set environment variables");
  flags.list("env-file", 0, "list", "Read in a file of environment variables");
  flags.toggle("init", 0, "Run an init inside the container that forwards signals and reaps processes");
  flags.toggle("interactive", 'i', "Keep STDIN open even if not attached");
  flags.toggle("tty", 't', "Allocate a pseudo-TTY");
  flags.text("user", 'u', "string", "Username or UID (format: <name|uid>[:<group|gid>])");
  flags.list("group-add", 0, "list", "Add additional groups to join");
  flags.text("workdir", 'w', "string", "Working directory inside the container");
  flags.text("stop-signal", 0, "string", "Signal to stop the container");
  flags.integer("stop-timeout", 0, "int", "Timeout (in seconds) to stop a container");
}

void define_identity_flags(FlagTable& flags) {
  flags.list("annotation", 0, "map", "Add an annotation to the container (passed through to the OCI spec)");
  flags.text("cidfile", 0, "string", "Write the container ID to the file");
  flags.text("domainname", 0, "string", "Container NIS domain name");
  flags.text("hostname", 'h', "string", "Container host name");
  flags.list("label", 'l', "list", "Set meta data on a container");
  flags.list("label-file", 0, "list", "Read in a line delimited file of labels");
  flags.text("name", 0, "string", "Assign a name to the container");
  flags.text("platform", 0, "string", "Set platform if the image has several");
  flags.text("pull", 0, "string", "Pull image before running (\"always\", \"missing\", \"never\")", "missing");
  flags.toggle("quiet", 'q', "Suppress the pull output");
  flags.text("restart", 0, "string", "Restart policy to apply when a container exits", "no");
  flags.toggle("rm", 0, "Automatically remove the container when it exits");
  flags.text("log-driver", 0, "string", "Logging driver for the container");
  flags.list("log-opt", 0, "list", "Log driver options");
  flags.toggle("disable-content-trust", 0, "Skip image verification: ctr verifies digests, not signatures", true);
  flags.text("isolation", 0, "string", "Container isolation technology: only \"default\" exists on Linux");
  flags.text("runtime", 0, "string", "Runtime to use for this container: only ctr's own");
}

void define_network_flags(FlagTable& flags) {
  flags.list("add-host", 0, "list", "Add a custom host-to-IP mapping (host:ip)");
  flags.list("dns", 0, "list", "Set custom DNS servers");
  flags.list("dns-option", 0, "list", "Set DNS options");
  flags.list("dns-opt", 0, "list", "Set DNS options");
  flags.hide_last();
  flags.list("dns-search", 0, "list", "Set custom DNS search domains");
  flags.list("expose", 0, "list", "Expose a port or a range of ports");
  flags.text("ip", 0, "string", "IPv4 address (e.g., 172.30.100.104)");
  flags.text("ip6", 0, "string", "IPv6 address (e.g., 2001:db8::33)");
  flags.list("link", 0, "list", "Add link to another container");
  flags.list("link-local-ip", 0, "list", "Container IPv4/IPv6 link-local addresses");
  flags.text("mac-address", 0, "string", "Container MAC address (e.g., 92:d0:c6:0a:29:33)");
  flags.list("network", 0, "network", "Connect a container to a network");
  flags.list("net", 0, "network", "Connect a container to a network");
  flags.hide_last();
  flags.list("network-alias", 0, "list", "Add network-scoped alias for the container");
  flags.list("net-alias", 0, "list", "Add network-scoped alias for the container");
  flags.hide_last();
  flags.list("publish", 'p', "list", "Publish a container's port(s) to the host");
  flags.toggle("publish-all", 'P', "Publish all exposed ports to random ports");
}

void define_storage_flags(FlagTable& flags) {
  flags.list("mount", 0, "mount", "Attach a filesystem mount to the container");
  flags.toggle("read-only", 0, "Mount the container's root filesystem as read only");
  flags.text("shm-size", 0, "bytes", "Size of /dev/shm");
  flags.list("storage-opt", 0, "list", "Storage driver options for the container");
  flags.list("tmpfs", 0, "list", "Mount a tmpfs directory");
  flags.list("volume", 'v', "list", "Bind mount a volume");
  flags.text("volume-driver", 0, "string", "Optional volume driver for the container");
  flags.list("volumes-from", 0, "list", "Mount volumes from the specified container(s)");
}

void define_security_flags(FlagTable& flags) {
  flags.list("cap-add", 0, "list", "Add Linux capabilities");
  flags.list("cap-drop", 0, "list", "Drop Linux capabilities");
  flags.text("cgroup-parent", 0, "string", "Optional parent cgroup for the container");
  flags.text("cgroupns", 0, "string", "Cgroup namespace to use (host|private)");
  flags.text("ipc", 0, "string", "IPC mode to use");
  flags.text("pid", 0, "string", "PID namespace to use");
  flags.toggle("privileged", 0, "Give extended privileges to this container");
  flags.list("security-opt", 0, "list", "Security Options");
  flags.list("sysctl", 0, "map", "Sysctl options");
  flags.text("userns", 0, "string", "User namespace to use");
  flags.text("uts", 0, "string", "UTS namespace to use");
}

void define_resource_flags(FlagTable& flags) {
  flags.integer("blkio-weight", 0, "uint16", "Block IO (relative weight), between 10 and 1000, or 0 to disable");
  flags.list("blkio-weight-device", 0, "list", "Block IO weight (relative device weight)");
  flags.integer("cpu-period", 0, "int", "Limit CPU CFS (Completely Fair Scheduler) period");
  flags.integer("cpu-quota", 0, "int", "Limit CPU CFS (Completely Fair Scheduler) quota");
  flags.integer("cpu-rt-period", 0, "int", "Limit CPU real-time period in microseconds");
  flags.integer("cpu-rt-runtime", 0, "int", "Limit CPU real-time runtime in microseconds");
  flags.integer("cpu-shares", 'c', "int", "CPU shares (relative weight)");
  flags.text("cpus", 0, "decimal", "Number of CPUs");
  flags.text("cpuset-cpus", 0, "string", "CPUs in which to allow execution (0-3, 0,1)");
  flags.text("cpuset-mems", 0, "string", "MEMs in which to allow execution (0-3, 0,1)");
  flags.list("device", 0, "list", "Add a host device to the container");
  flags.list("device-cgroup-rule", 0, "list", "Add a rule to the cgroup allowed devices list");
  flags.list("device-read-bps", 0, "list", "Limit read rate (bytes per second) from a device");
  flags.list("device-read-iops", 0, "list", "Limit read rate (IO per second) from a device");
  flags.list("device-write-bps", 0, "list", "Limit write rate (bytes per second) to a device");
  flags.list("device-write-iops", 0, "list", "Limit write rate (IO per second) to a device");
  flags.text("gpus", 0, "gpu-request", "GPU devices to add to the container ('all' to pass all GPUs)");
  flags.text("memory", 'm', "bytes", "Memory limit");
  flags.text("memory-reservation", 0, "bytes", "Memory soft limit");
  flags.text("memory-swap", 0, "bytes", "Swap limit equal to memory plus swap: -1 to enable unlimited swap");
  flags.integer("memory-swappiness", 0, "int", "Tune container memory swappiness (0 to 100)", -1);
  flags.toggle("oom-kill-disable", 0, "Disable OOM Killer");
  flags.integer("oom-score-adj", 0, "int", "Tune host's OOM preferences (-1000 to 1000)");
  flags.integer("pids-limit", 0, "int", "Tune container pids limit (set -1 for unlimited)");
  flags.list("ulimit", 0, "ulimit", "Ulimit options");
}

void define_health_flags(FlagTable& flags) {
  flags.text("health-cmd", 0, "string", "Command to run to check health");
  flags.text("health-interval", 0, "duration", "Time between running the check (ms|s|m|h)");
  flags.integer("health-retries", 0, "int", "Consecutive failures needed to report unhealthy");
  flags.text("health-start-interval", 0, "duration", "Time between running the check during the start period");
  flags.text("health-start-period", 0, "duration", "Start period before retries count (ms|s|m|h)");
  flags.text("health-timeout", 0, "duration", "Maximum time to allow one check to run (ms|s|m|h)");
  flags.toggle("no-healthcheck", 0, "Disable any container-specified HEALTHCHECK");
}

}  // namespace

void define_container_flags(FlagTable& flags) {
  define_process_flags(flags);
  define_identity_flags(flags);
  define_network_flags(flags);
  define_storage_flags(flags);
  define_security_flags(flags);
  define_resource_flags(flags);
  define_health_flags(flags);
}

}  // namespace ctr
