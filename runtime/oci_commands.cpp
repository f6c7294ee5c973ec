// The commands that look at containers and end them: state, kill, delete, list, ps, pause, resume.
#include "runtime/oci_commands.h"

#include <algorithm>
#include <fcntl.h>
#include <poll.h>
#include <pwd.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/error.h"
#include "base/text.h"
#include "runtime/hooks.h"
#include "runtime/oci_flags.h"

namespace ctr {

namespace {

constexpr int kEndPatienceMs = 10000;

std::string owner_name(std::uint32_t uid) {
  // The password file alone: no name service is worth a shared library in a runtime.
  for (const std::string& line : split(find_file("/etc/passwd", 4 * kMiB).value_or(""), '\n')) {
    const std::vector<std::string> fields = split(line, ':');
    if (fields.size() > 2 && fields[2] == std::to_string(uid)) return fields[0];
  }
  return "#" + std::to_string(uid);
}

Json state_json(const OciContext& context, const OciContainer& container) {
  const OciStatus status = context.store.status_of(container);
  Json json = Json::object({{"ociVersion", kOciRuntimeVersion},
                            {"id", container.id},
                            {"pid", status == OciStatus::Stopped ? 0 : container.pid},
                            {"status", status_name(status)},
                            {"bundle", container.bundle.native()},
                            {"rootfs", container.rootfs.native()},
                            {"created", container.created}});
  try {
    const Spec spec = context.store.load_config(container.id).spec;
    if (!spec.annotations.empty()) json["annotations"] = spec.annotations;
  } catch (const Error&) {
    // A container without its config.json still has a state.
  }
  json["owner"] = owner_name(container.owner);
  return json;
}

void signal_process(int pidfd, int signal) {
  if (::syscall(SYS_pidfd_send_signal, pidfd, signal, nullptr, 0) == 0) return;
  if (errno == ESRCH) throw Error(ErrorKind::NotFound, "container not running", ESRCH);
  throw_errno(errno, "signal the container's process");
}

bool waits_until_ended(int pidfd) {
  pollfd waiting{pidfd, POLLIN, 0};
  int ready = 0;
  do {
    ready = ::poll(&waiting, 1, kEndPatienceMs);
  } while (ready < 0 && errno == EINTR);
  return ready > 0;
}

/// Without a pid namespace of its own, a container's other processes survive its first one.
bool has_own_pid_namespace(const Spec& spec) {
  const NamespaceSpec* found = find_namespace(spec, NamespaceType::Pid);
  return found != nullptr && found->path.empty();
}

void kill_all(const OciContainer& container, int signal) {
  if (const auto group = OciStore::cgroup_of(container)) group->kill(signal);
}

std::string padded(std::string text, std::size_t width) {
  if (text.size() < width) text.append(width - text.size(), ' ');
  return text;
}

void print_table(const std::vector<std::vector<std::string>>& rows) {
  std::vector<std::size_t> widths;
  for (const auto& row : rows) {
    widths.resize(std::max(widths.size(), row.size()));
    for (std::size_t column = 0; column < row.size(); ++column)
      widths[column] = std::max(widths[column], row[column].size() + 3);
  }
  std::string text;
  for (const auto& row : rows) {
    std::string line;
    for (std::size_t column = 0; column < row.size(); ++column) line += padded(row[column], widths[column]);
    text += std::string(line.substr(0, line.find_last_not_of(' ') + 1)) + "\n";
  }
  print_line(text);
}

}  // namespace

void run_last_hooks(const Spec& spec, const OciContainer& container) {
  SandboxOptions options;
  options.id = container.id;
  options.bundle = container.bundle;
  for (const std::string& failure : run_poststop_hooks(spec, options)) {
    write_all(STDERR_FILENO, as_bytes("ctr-oci: " + failure + "\n"), "standard error");
  }
}

void destroy_container(const OciContext& context, const OciContainer& container) {
  if (const auto process = open_container_process(container)) {
    signal_process(process->get(), SIGKILL);
    waits_until_ended(process->get());
  }
  if (const auto group = OciStore::cgroup_of(container)) {
    group->kill();
    group->remove(std::chrono::milliseconds(kEndPatienceMs));
  }
  std::optional<Bundle> bundle;
  try {
    bundle = context.store.load_config(container.id);
  } catch (const Error&) {
    // Without its config.json there are no hooks to run.
  }
  // The container is gone before its last hooks look for it.
  context.store.remove(container.id);
  if (bundle) run_last_hooks(bundle->spec, container);
}

int oci_state(const OciContext& context, const OciArguments& arguments) {
  const OciContainer container = context.store.load(container_id_of(OciFlags(arguments, {}).rest()));
  print_line(state_json(context, container).dump_pretty() + "\n");
  return 0;
}

int oci_kill(const OciContext& context, const OciArguments& arguments) {
  const OciFlags flags(arguments, {{"all,a", OciFlag::Kind::Switch}});
  if (flags.rest().empty() || flags.rest().size() > 2)
    throw Error(ErrorKind::Invalid, "usage: kill [--all] ID [SIGNAL]");
  const std::string text = flags.rest().size() == 2 ? flags.rest()[1] : "SIGTERM";
  const auto signal = parse_signal(text);
  if (!signal) throw Error(ErrorKind::Invalid, "unknown signal " + json_quote(text));
  const OciContainer container = context.store.load(flags.rest()[0]);
  if (flags.is_on("all")) {
    kill_all(container, *signal);
    return 0;
  }
  const auto process = open_container_process(container);
  const bool kills_all = *signal == SIGKILL && !has_own_pid_namespace(context.store.load_config(container.id).spec);
  if (kills_all) {
    kill_all(container, *signal);
    if (!process) return 0;
  }
  if (!process) throw Error(ErrorKind::NotFound, "container not running", ESRCH);
  signal_process(process->get(), *signal);
  // A frozen process would take its end only when it is thawed.
  const auto group = OciStore::cgroup_of(container);
  if (*signal == SIGKILL && group && group->is_frozen()) group->thaw();
  return 0;
}

int oci_delete(const OciContext& context, const OciArguments& arguments) {
  const OciFlags flags(arguments, {{"force,f", OciFlag::Kind::Switch}});
  const std::string id = container_id_of(flags.rest());
  std::optional<OciContainer> container;
  try {
    container = context.store.load(id);
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::NotFound) throw;
    // What a creator that was killed left behind.
    if (flags.is_on("force")) {
      context.store.remove(id);
      return 0;
    }
    throw;
  }
  const OciStatus status = context.store.status_of(*container);
  const bool may_delete = status == OciStatus::Stopped || status == OciStatus::Created || flags.is_on("force");
  if (!may_delete) {
    throw Error(ErrorKind::Busy,
                "cannot delete container " + id + " that is not stopped: " + std::string(status_name(status)));
  }
  destroy_container(context, *container);
  return 0;
}

int oci_list(const OciContext& context, const OciArguments& arguments) {
  const OciFlags flags(arguments, {{"format,f", OciFlag::Kind::Value}, {"quiet,q", OciFlag::Kind::Switch}});
  const std::vector<OciContainer> all = context.store.list();
  if (flags.is_on("quiet")) {
    for (const OciContainer& container : all) print_line(container.id + "\n");
    return 0;
  }
  const std::string format = flags.value_or("format", "table");
  if (format == "json") {
    Json array = Json::array();
    for (const OciContainer& container : all) array.push_back(state_json(context, container));
    print_line(array.dump() + "\n");
    return 0;
  }
  if (format != "table") throw Error(ErrorKind::Invalid, "invalid format option");
  std::vector<std::vector<std::string>> rows = {{"ID", "PID", "STATUS", "BUNDLE", "CREATED", "OWNER"}};
  for (const OciContainer& container : all) {
    const OciStatus status = context.store.status_of(container);
    rows.push_back({container.id, std::to_string(status == OciStatus::Stopped ? 0 : container.pid),
                    std::string(status_name(status)), container.bundle.native(), container.created,
                    owner_name(container.owner)});
  }
  print_table(rows);
  return 0;
}

int oci_ps(const OciContext& context, const OciArguments& arguments) {
  const OciFlags flags(arguments, {{"format,f", OciFlag::Kind::Value}});
  if (flags.rest().empty()) throw Error(ErrorKind::Invalid, "the container's id is missing");
  const OciContainer container = context.store.load(flags.rest()[0]);
  const auto group = OciStore::cgroup_of(container);
  std::vector<pid_t> pids = group ? group->pids() : std::vector<pid_t>{};
  if (flags.value_or("format", "table") == "json") {
    Json array = Json::array();
    for (const pid_t pid : pids) array.push_back(pid);
    print_line(array.dump() + "\n");
    return 0;
  }
  Command command;
  command.argv = {"ps"};
  command.argv.insert(command.argv.end(), flags.rest().begin() + 1, flags.rest().end());
  if (command.argv.size() == 1) command.argv.emplace_back("-ef");
  const std::vector<std::string> lines = split(run_command(command).standard_out, '\n');
  const std::vector<std::string> header = split_words(lines.at(0));
  const auto column = static_cast<std::size_t>(std::find(header.begin(), header.end(), "PID") - header.begin());
  if (column == header.size()) throw Error(ErrorKind::Invalid, "ps prints no column PID with these options");
  print_line(lines[0] + "\n");
  for (const std::string& line : lines) {
    const std::vector<std::string> words = split_words(line);
    const auto pid = words.size() > column ? parse_int(words[column]) : std::nullopt;
    if (pid && std::find(pids.begin(), pids.end(), static_cast<pid_t>(*pid)) != pids.end()) print_line(line + "\n");
  }
  return 0;
}

int oci_pause(const OciContext& context, const OciArguments& arguments) {
  const OciContainer container = context.store.load(container_id_of(OciFlags(arguments, {}).rest()));
  const OciStatus status = context.store.status_of(container);
  if (status != OciStatus::Running && status != OciStatus::Created) {
    throw Error(ErrorKind::Invalid, "container is not running or created: " + std::string(status_name(status)));
  }
  const auto group = OciStore::cgroup_of(container);
  if (!group) throw Error(ErrorKind::Unavailable, "the container has no cgroup that could be frozen");
  group->freeze();
  return 0;
}

int oci_resume(const OciContext& context, const OciArguments& arguments) {
  const OciContainer container = context.store.load(container_id_of(OciFlags(arguments, {}).rest()));
  const auto group = OciStore::cgroup_of(container);
  if (!group || !group->is_frozen()) throw Error(ErrorKind::Invalid, "container not paused");
  group->thaw();
  return 0;
}

}  // namespace ctr
