// What the init child says in numbers, in words. The exit statuses are those of a shell and of Docker.
#include <cstring>

#include "base/error.h"
#include "base/json.h"
#include "runtime/plan_start.h"

namespace ctr {

namespace {

constexpr int kNotFoundStatus = 127;
constexpr int kNotExecutableStatus = 126;
constexpr int kToolStatus = 125;

template <typename T>
const T* element(const PlannedList<T>& list, std::int32_t index) {
  if (index < 0 || static_cast<std::size_t>(index) >= list.size) return nullptr;
  return &list.data[index];
}

std::string mount_name(const InitPlan& plan, std::int32_t index) {
  const PlannedMount* mount = element(plan.mounts, index);
  if (mount == nullptr) return "a mount";
  const char* what = mount->kind == MountKind::FileSystem ? mount->type : mount->source;
  return std::string(what != nullptr ? what : "a prepared mount") + " on " + mount->target;
}

template <typename T>
std::string path_of(const PlannedList<T>& list, std::int32_t index) {
  const T* found = element(list, index);
  if (found == nullptr) return "?";
  if constexpr (std::is_same_v<T, const char*>) {
    return *found;
  } else {
    return found->path;
  }
}

/// What was being done, to be followed by the text of the errno.
std::string step_text(const InitPlan& plan, const InitMessage& failure) {
  const std::int32_t index = failure.index;
  switch (failure.step) {
    case InitStep::Descriptors:
      return "hand over descriptors";
    case InitStep::WaitForParent:
      return "wait for the runtime";
    case InitStep::JoinCgroup:
      return "join the cgroup";
    case InitStep::JoinNamespace:
      return "join a namespace of the container";
    case InitStep::Fork:
      return "make a process in the container's namespaces";
    case InitStep::MakeNamespace:
      return "make a cgroup namespace";
    case InitStep::BecomeRoot:
      return "become root of the user namespace";
    case InitStep::TimeOffsets:
      return "set up the time namespace";
    case InitStep::OomScore:
      return "set the OOM score";
    case InitStep::Hostname:
      return std::string("set the host name ") + plan.hostname;
    case InitStep::Domainname:
      return std::string("set the domain name ") + plan.domainname;
    case InitStep::Loopback:
      return "bring up the loopback interface";
    case InitStep::JoinedSysctl:
      return "write " + path_of(plan.joined_sysctls, index);
    case InitStep::Sysctl:
      return "write " + path_of(plan.sysctls, index);
    case InitStep::Propagation:
      return "set the mount propagation of the root";
    case InitStep::AttachRoot:
      return std::string("mount the root file system") +
             (plan.root_path != nullptr ? std::string(" ") + plan.root_path : "");
    case InitStep::MountTarget:
      return "make the mount point of " + mount_name(plan, index);
    case InitStep::Mount:
      return "mount " + mount_name(plan, index);
    case InitStep::MountAttributes:
      return "set the options of the mount " + mount_name(plan, index);
    case InitStep::MakeDirectory:
      return "make a directory";
    case InitStep::Device:
      return "make the device " + path_of(plan.devices, index);
    case InitStep::DeviceLink:
      return "make the link " + path_of(plan.links, index);
    case InitStep::Terminal:
      return "make a terminal";
    case InitStep::MaskPath:
      return "mask " + path_of(plan.masked_paths, index);
    case InitStep::ReadonlyPath:
      return "make read-only " + path_of(plan.readonly_paths, index);
    case InitStep::ReadonlyRoot:
      return "make the root file system read-only";
    case InitStep::PivotRoot:
      return "change the root";
    case InitStep::Keyring:
      return "make a session keyring";
    case InitStep::SecurityLabel:
      return std::string("set the security label ") + plan.security_label.text;
    case InitStep::Session:
      return "make a session";
    case InitStep::Rlimit:
      return "set resource limit " + std::to_string(index);
    case InitStep::Personality:
      return "set the personality";
    case InitStep::MemoryPolicy:
      return "set the memory policy";
    case InitStep::Affinity:
      return "set the processor affinity";
    case InitStep::Scheduler:
      return "set the scheduling policy";
    case InitStep::IoPriority:
      return "set the i/o priority";
    case InitStep::Groups:
      return "set the supplementary groups";
    case InitStep::UserId:
      return "become user " + std::to_string(plan.uid) + ":" + std::to_string(plan.gid);
    case InitStep::Capabilities:
      return "set the capabilities";
    case InitStep::NoNewPrivileges:
      return "set no_new_privs";
    case InitStep::Seccomp:
      return "load the seccomp filter";
    case InitStep::WorkingDirectory:
      return std::string("change to the working directory ") + plan.cwd;
    case InitStep::StartGate:
      return "wait to be started";
    case InitStep::ParentDied:
      return "follow the runtime into its end";
    case InitStep::None:
    case InitStep::FindCommand:
    case InitStep::Execute:
      break;
  }
  return "execute";
}

/// Docker's and Go's words, which scripts look for.
std::string command_text(const std::string& command, int error) {
  const std::string quoted = "exec: " + json_quote(command) + ": ";
  if (error == ENOENT && command.find('/') == std::string::npos) return quoted + "executable file not found in $PATH";
  if (error == ENOEXEC) return "exec " + command + ": exec format error";
  std::string reason = std::strerror(error);
  if (!reason.empty()) reason[0] = static_cast<char>(std::tolower(static_cast<unsigned char>(reason[0])));
  return quoted + reason;
}

}  // namespace

SandboxError command_failure(const std::string& command, int error) {
  const int status = error == ENOENT || error == ENOTDIR ? kNotFoundStatus : kNotExecutableStatus;
  return {kind_of_errno(error), command_text(command, error), error, status};
}

SandboxError describe_failure(const InitPlan& plan, const InitMessage& failure) {
  const int error = failure.error;
  if (failure.step == InitStep::FindCommand || failure.step == InitStep::Execute) {
    return command_failure(plan.argv[0], error);
  }
  std::string text = step_text(plan, failure);
  if (failure.step == InitStep::WorkingDirectory && error == EXDEV) {
    text += " failed: it lies outside the container";
  } else {
    text += std::string(" failed: ") + std::strerror(error);
  }
  const bool is_command = failure.step == InitStep::WorkingDirectory;
  return {kind_of_errno(error), text, error, is_command ? kNotExecutableStatus : kToolStatus};
}

}  // namespace ctr
