// exec: one more process in a running container.
#include <limits>
#include <unistd.h>

#include "base/error.h"
#include "base/text.h"
#include "runtime/capabilities.h"
#include "runtime/join.h"
#include "runtime/oci_commands.h"
#include "runtime/oci_flags.h"
#include "runtime/terminal.h"

namespace ctr {

namespace {

const std::vector<OciFlag>& exec_flags() {
  using enum OciFlag::Kind;
  static const std::vector<OciFlag> flags = {
      {"console-socket", Value}, {"cwd", Value},          {"env,e", Value},
      {"tty,t", Switch},         {"user,u", Value},       {"additional-gids,g", Value},
      {"process,p", Value},      {"detach,d", Switch},    {"pid-file", Value},
      {"process-label", Value},  {"apparmor", Value},     {"no-new-privs", Switch},
      {"cap,c", Value},          {"preserve-fds", Value}, {"cgroup", Value},
      {"ignore-paused", Switch}, {"pidfd-socket", Value}};
  return flags;
}

std::uint32_t parse_id(std::string_view text) {
  const auto id = parse_uint(text);
  if (!id || *id > std::numeric_limits<std::uint32_t>::max()) {
    throw Error(ErrorKind::Invalid, "no numeric id: " + json_quote(text));
  }
  return static_cast<std::uint32_t>(*id);
}

void add_capabilities(ProcessSpec& process, const std::vector<std::string>& names) {
  CapabilitySets sets = process.capabilities.value_or(CapabilitySets{});
  for (const std::string& name : names) {
    const auto number = capability_number(name);
    if (!number) throw Error(ErrorKind::Invalid, "unknown capability " + json_quote(name));
    const std::uint64_t bit = std::uint64_t{1} << *number;
    sets.bounding |= bit;
    sets.effective |= bit;
    sets.permitted |= bit;
  }
  process.capabilities = sets;
}

/// The container's own process, with what the flags change.
ProcessSpec process_from_flags(const OciFlags& flags, const ProcessSpec& base) {
  ProcessSpec process = base;
  process.args.assign(flags.rest().begin() + 1, flags.rest().end());
  if (process.args.empty()) throw Error(ErrorKind::Invalid, "there is no command to execute");
  process.terminal = flags.is_on("tty");
  if (const auto cwd = flags.value("cwd")) process.cwd = *cwd;
  const std::vector<std::string> env = flags.values("env");
  process.env.insert(process.env.end(), env.begin(), env.end());
  if (const auto user = flags.value("user")) {
    const auto ids = cut(*user, ':');
    process.user.uid = parse_id(ids ? ids->first : *user);
    if (ids) process.user.gid = parse_id(ids->second);
  }
  for (const std::string& gid : flags.values("additional-gids")) process.user.additional_gids.push_back(parse_id(gid));
  if (const auto label = flags.value("process-label")) process.selinux_label = *label;
  if (const auto profile = flags.value("apparmor")) process.apparmor_profile = *profile;
  if (flags.is_set("no-new-privs")) process.no_new_privileges = flags.is_on("no-new-privs");
  add_capabilities(process, flags.values("cap"));
  return process;
}

/// What a process.json leaves out is the container's, as runc has it: callers write only what they mean to change.
void inherit(ProcessSpec& process, const ProcessSpec& container) {
  if (!process.capabilities) process.capabilities = container.capabilities;
  if (process.rlimits.empty()) process.rlimits = container.rlimits;
  if (process.apparmor_profile.empty()) process.apparmor_profile = container.apparmor_profile;
  if (process.selinux_label.empty()) process.selinux_label = container.selinux_label;
  if (!process.oom_score_adj) process.oom_score_adj = container.oom_score_adj;
}

ProcessSpec process_of(const OciFlags& flags, const Spec& spec) {
  const auto file = flags.value("process");
  if (!file) return process_from_flags(flags, *spec.process);
  ProcessSpec process = in_context(*file, [&] { return parse_process(Json::parse(read_file(*file, 16 * kMiB))); });
  inherit(process, *spec.process);
  if (flags.is_on("tty")) process.terminal = true;
  return process;
}

/// A group below the container's, as --cgroup names it: "path", or "controller[,controller]:path" for v1.
std::optional<Cgroup> cgroup_for(const OciFlags& flags, const OciContainer& container) {
  const auto below = flags.value("cgroup");
  if (!below) return OciStore::cgroup_of(container);
  const auto pair = cut(*below, ':');
  const fs::path path = fs::path(pair ? pair->second : *below).relative_path().lexically_normal();
  if (path.native().starts_with("..")) throw Error(ErrorKind::Invalid, "--cgroup leads out of the container's cgroup");
  Cgroup group = Cgroup::open(fs::path(container.cgroup_path) / path);
  if (!group.exists()) throw Error(ErrorKind::NotFound, "there is no cgroup " + group.path());
  return group;
}

}  // namespace

int oci_exec(const OciContext& context, const OciArguments& arguments) {
  const OciFlags flags(arguments, exec_flags());
  if (flags.rest().empty()) throw Error(ErrorKind::Invalid, "the container's id is missing");
  const OciContainer container = context.store.load(flags.rest()[0]);
  const OciStatus status = context.store.status_of(container);
  if (status == OciStatus::Stopped || status == OciStatus::Creating) {
    throw Error(ErrorKind::Invalid, "cannot exec in a container that is " + std::string(status_name(status)));
  }
  if (status == OciStatus::Paused && !flags.is_on("ignore-paused")) {
    throw Error(ErrorKind::Invalid, "cannot exec in a paused container (use --ignore-paused to override)");
  }
  continue_protected();
  const Bundle bundle = context.store.load_config(container.id);
  const ProcessSpec process = process_of(flags, bundle.spec);
  const bool is_detached = flags.is_on("detach");
  const std::string console_socket = flags.value_or("console-socket", "");
  if (process.terminal && is_detached && console_socket.empty()) {
    throw Error(ErrorKind::Invalid, "a process with a terminal that is not attended needs --console-socket");
  }
  JoinOptions options;
  options.id = container.id;
  options.seccomp_filter = bundle.seccomp_filter;
  if (bundle.spec.linux.seccomp) options.seccomp_flags = bundle.spec.linux.seccomp->flags;
  options.rlimits = RlimitPolicy::Exact;
  options.preserved_fds = static_cast<int>(flags.number("preserve-fds").value_or(0));
  const std::optional<Cgroup> group = cgroup_for(flags, container);
  Sandbox sandbox = exec_in(container.pid, process, {}, group ? &*group : nullptr, options);
  Fd console = sandbox.take_console();
  if (console && !console_socket.empty()) {
    send_console(console_socket, console.get());
    console.reset();
  }
  if (const auto socket = flags.value("pidfd-socket")) send_pidfd(*socket, sandbox.pidfd());
  if (const auto pid_file = flags.value("pid-file")) {
    write_file_atomic(*pid_file, std::to_string(sandbox.pid()), Durability::Cached);
  }
  std::optional<SignalWatch> signals;
  if (!is_detached) signals.emplace();
  sandbox.start();
  if (is_detached) {
    sandbox.release();
    return 0;
  }
  const ExitStatus end = attend_process(sandbox, console, *signals);
  sandbox.release();
  return end.shell_code();
}

}  // namespace ctr
