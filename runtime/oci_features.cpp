// spec and features: what a config.json may look like, and what of it this runtime does on this machine.
#include <unistd.h>

#include "base/error.h"
#include "runtime/capabilities.h"
#include "runtime/cgroup.h"
#include "runtime/mount_options.h"
#include "runtime/oci_commands.h"
#include "runtime/oci_flags.h"
#include "runtime/spec_defaults.h"

namespace ctr {

namespace {

using Names = std::vector<std::string>;

Spec sample_spec() {
  Spec spec = default_spec({"sh"});
  ProcessSpec& process = *spec.process;
  process.terminal = true;
  process.env.emplace_back("TERM=xterm");
  const auto bit = [](const char* name) { return std::uint64_t{1} << *capability_number(name); };
  process.capabilities = docker_capability_sets(bit("AUDIT_WRITE") | bit("KILL") | bit("NET_BIND_SERVICE"));
  process.rlimits = {{"RLIMIT_NOFILE", 1024, 1024}};
  process.no_new_privileges = true;
  spec.root.readonly = true;
  spec.hostname = "ctr";
  spec.linux.resources.devices = {DeviceRule{}};
  spec.linux.seccomp.reset();
  return spec;
}

/// One user, mapped to root, and nothing that needs more rights than that.
void make_rootless(Spec& spec) {
  spec.linux.namespaces.push_back({NamespaceType::User, {}});
  std::erase_if(spec.linux.namespaces, [](const NamespaceSpec& one) { return one.type == NamespaceType::Network; });
  spec.linux.uid_mappings = {{0, ::geteuid(), 1}};
  spec.linux.gid_mappings = {{0, ::getegid(), 1}};
  spec.linux.resources = {};
  for (MountSpec& mount : spec.mounts) {
    std::erase_if(mount.options, [](const std::string& option) { return option.starts_with("gid="); });
    if (mount.destination != "/sys") continue;
    mount.type = "none";
    mount.source = "/sys";
    mount.options = {"rbind", "nosuid", "noexec", "nodev", "ro"};
  }
}

Json seccomp_features() {
  return Json::object(
      {{"enabled", true},
       {"actions", Names{"SCMP_ACT_ALLOW", "SCMP_ACT_ERRNO", "SCMP_ACT_KILL", "SCMP_ACT_KILL_PROCESS",
                         "SCMP_ACT_KILL_THREAD", "SCMP_ACT_LOG", "SCMP_ACT_NOTIFY", "SCMP_ACT_TRACE", "SCMP_ACT_TRAP"}},
       {"operators", Names{"SCMP_CMP_EQ", "SCMP_CMP_GE", "SCMP_CMP_GT", "SCMP_CMP_LE", "SCMP_CMP_LT",
                           "SCMP_CMP_MASKED_EQ", "SCMP_CMP_NE"}},
       {"archs",
        Names{"SCMP_ARCH_AARCH64", "SCMP_ARCH_ARM", "SCMP_ARCH_MIPS", "SCMP_ARCH_MIPS64", "SCMP_ARCH_MIPS64N32",
              "SCMP_ARCH_MIPSEL", "SCMP_ARCH_MIPSEL64", "SCMP_ARCH_MIPSEL64N32", "SCMP_ARCH_PARISC",
              "SCMP_ARCH_PARISC64", "SCMP_ARCH_PPC", "SCMP_ARCH_PPC64", "SCMP_ARCH_PPC64LE", "SCMP_ARCH_RISCV64",
              "SCMP_ARCH_S390", "SCMP_ARCH_S390X", "SCMP_ARCH_X32", "SCMP_ARCH_X86", "SCMP_ARCH_X86_64"}},
       {"knownFlags", Names{"SECCOMP_FILTER_FLAG_LOG", "SECCOMP_FILTER_FLAG_SPEC_ALLOW", "SECCOMP_FILTER_FLAG_TSYNC",
                            "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV"}},
       {"supportedFlags", Names{"SECCOMP_FILTER_FLAG_LOG", "SECCOMP_FILTER_FLAG_SPEC_ALLOW",
                                "SECCOMP_FILTER_FLAG_TSYNC", "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV"}}});
}

Json linux_features() {
  Json json = Json::object();
  json["namespaces"] = Names{"cgroup", "ipc", "mount", "network", "pid", "time", "user", "uts"};
  json["capabilities"] = capability_names(all_capabilities());
  json["cgroup"] =
      Json::object({{"v1", true}, {"v2", true}, {"systemd", true}, {"systemdUser", false}, {"rdma", true}});
  json["seccomp"] = seccomp_features();
  json["apparmor"] = Json::object({{"enabled", true}});
  json["selinux"] = Json::object({{"enabled", true}});
  json["intelRdt"] = Json::object({{"enabled", false}});
  json["memoryPolicy"] =
      Json::object({{"modes", Names{"MPOL_BIND", "MPOL_DEFAULT", "MPOL_INTERLEAVE", "MPOL_LOCAL", "MPOL_PREFERRED",
                                    "MPOL_PREFERRED_MANY", "MPOL_WEIGHTED_INTERLEAVE"}},
                    {"flags", Names{"MPOL_F_NUMA_BALANCING", "MPOL_F_RELATIVE_NODES", "MPOL_F_STATIC_NODES"}}});
  json["mountExtensions"] = Json::object({{"idmap", Json::object({{"enabled", true}})}});
  json["netDevices"] = Json::object({{"enabled", false}});
  return json;
}

}  // namespace

int oci_spec(const OciContext&, const OciArguments& arguments) {
  const OciFlags flags(arguments, {{"bundle,b", OciFlag::Kind::Value}, {"rootless", OciFlag::Kind::Switch}});
  const fs::path file = fs::path(flags.value_or("bundle", ".")) / "config.json";
  Spec spec = sample_spec();
  if (flags.is_on("rootless")) make_rootless(spec);
  try {
    create_file_exclusive(file, spec_json(spec).dump_pretty() + "\n", Durability::Cached, 0666);
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::Exists) throw;
    throw Error(ErrorKind::Exists, "file " + file.native() + " exists. Remove it first");
  }
  return 0;
}

int oci_features(const OciContext&, const OciArguments& arguments) {
  if (!OciFlags(arguments, {}).rest().empty()) throw Error(ErrorKind::Invalid, "features takes no arguments");
  Json json = Json::object({{"ociVersionMin", "1.0.0"}, {"ociVersionMax", kOciRuntimeVersion}});
  json["hooks"] = Names{"prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop"};
  json["mountOptions"] = known_mount_options();
  json["linux"] = linux_features();
  json["annotations"] = Json::object({{"org.opencontainers.runc.checkpoint.enabled", "false"}});
  json["potentiallyUnsafeConfigAnnotations"] = Json::array();
  print_line(json.dump_pretty() + "\n");
  return 0;
}

}  // namespace ctr
