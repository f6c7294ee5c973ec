#include "runtime/oci_main.h"

#include <array>
#include <cstdlib>
#include <fcntl.h>
#include <unistd.h>

#include "base/error.h"
#include "base/json.h"
#include "base/process.h"
#include "base/text.h"
#include "base/time.h"
#include "runtime/oci_commands.h"
#include "runtime/oci_flags.h"
#include "runtime/protected_program.h"
#include "runtime/spec.h"

namespace ctr {

namespace {

struct Command {
  std::string_view name;
  int (*run)(const OciContext&, const OciArguments&);
  std::string_view summary;
};

constexpr std::array kCommands = {
    Command{"create", oci_create, "create a container"},
    Command{"delete", oci_delete, "delete a container and what it holds"},
    Command{"events", oci_events, "show a container's events and statistics"},
    Command{"exec", oci_exec, "execute a process in a container"},
    Command{"features", oci_features, "show what this runtime can do"},
    Command{"kill", oci_kill, "send a signal to a container"},
    Command{"list", oci_list, "list containers"},
    Command{"pause", oci_pause, "stop all processes of a container"},
    Command{"ps", oci_ps, "list a container's processes"},
    Command{"resume", oci_resume, "let the processes of a container go on"},
    Command{"run", oci_run, "create and start a container"},
    Command{"spec", oci_spec, "write a sample config.json"},
    Command{"start", oci_start, "start a created container"},
    Command{"state", oci_state, "show the state of a container"},
    Command{"update", oci_update, "change the limits of a container"},
};

const std::vector<OciFlag>& global_flags() {
  using enum OciFlag::Kind;
  static const std::vector<OciFlag> flags = {{"debug", Switch},   {"log", Value},     {"log-format", Value},
                                             {"root", Value},     {"criu", Value},    {"systemd-cgroup", Switch},
                                             {"rootless", Value}, {"help,h", Switch}, {"version,v", Switch}};
  return flags;
}

fs::path default_root(bool is_rootless) {
  const char* runtime = std::getenv("XDG_RUNTIME_DIR");
  if (is_rootless && runtime != nullptr && *runtime != '\0') return fs::path(runtime) / "ctr-oci";
  return "/run/ctr-oci";
}

void print_help() {
  std::string text =
      "usage: ctr-oci [--root DIR] [--log FILE] [--log-format text|json] [--systemd-cgroup] COMMAND ...\n\n";
  for (const Command& command : kCommands) {
    text += "  " + std::string(command.name) + std::string(12 - command.name.size(), ' ') +
            std::string(command.summary) + "\n";
  }
  print_line(text);
}

/// One line for --log, as callers parse it.
void write_log(const OciFlags& flags, const std::string& message) {
  const auto path = flags.value("log");
  if (!path || path->empty()) return;
  const std::string time = format_time_seconds(now());
  std::string line;
  if (flags.value_or("log-format", "text") == "json") {
    line = Json::object({{"level", "error"}, {"msg", message}, {"time", time}}).dump();
  } else {
    line = "time=" + json_quote(time) + " level=error msg=" + json_quote(message);
  }
  line += "\n";
  const Fd file(::open(path->c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644));
  if (file) write_all(file.get(), as_bytes(line), "log");
}

int run_command_named(const OciFlags& flags) {
  if (flags.is_on("version")) {
    print_line("ctr-oci version " CTR_VERSION "\nspec: " + std::string(kOciRuntimeVersion) + "\n");
    return 0;
  }
  if (flags.is_on("help") || flags.rest().empty() || flags.rest()[0] == "help") {
    print_help();
    return 0;
  }
  const std::string& name = flags.rest()[0];
  const std::string rootless = flags.value_or("rootless", "auto");
  const bool is_rootless = rootless == "true" || (rootless == "auto" && ::geteuid() != 0);
  const OciContext context{OciStore(flags.value("root").value_or(default_root(is_rootless).native())),
                           flags.is_on("systemd-cgroup"), is_rootless};
  const OciArguments arguments(flags.rest().begin() + 1, flags.rest().end());
  for (const Command& command : kCommands) {
    if (command.name == name) return command.run(context, arguments);
  }
  if (name == "checkpoint" || name == "restore") {
    throw Error(ErrorKind::Unavailable, name + " is not supported");
  }
  throw Error(ErrorKind::Invalid, "no command " + json_quote(name) + ": see ctr-oci --help");
}

}  // namespace

void continue_protected() {
  fs::path program;
  try {
    program = own_companion("ctr-runtime");
  } catch (const Error&) {
    // This program does as well, and is only larger.
  }
  run_from_protected_program(program);
}

std::string container_id_of(const OciArguments& rest) {
  if (rest.size() != 1) throw Error(ErrorKind::Invalid, "exactly one argument is needed: the container's id");
  return rest[0];
}

void print_line(const std::string& text) {
  write_all(STDOUT_FILENO, as_bytes(text), "standard output");
}

int oci_main(int argc, char** argv) {
  std::optional<OciFlags> flags;
  try {
    flags.emplace(std::vector<std::string>(argv + 1, argv + argc), global_flags());
    return run_command_named(*flags);
  } catch (const std::exception& error) {
    const std::string message = error.what();
    const bool is_exec = flags && !flags->rest().empty() && flags->rest()[0] == "exec";
    try {
      if (flags) write_log(*flags, message);
      write_all(STDERR_FILENO, as_bytes("ctr-oci: " + message + "\n"), "standard error");
    } catch (const std::exception&) {
      // Nobody listens; the exit status still tells.
    }
    // runc's: 255 tells a failed exec from a command that ended with 1.
    return is_exec ? 255 : 1;
  }
}

}  // namespace ctr
