#include "engine/exec.h"

#include <fcntl.h>

#include "base/error.h"
#include "base/process.h"
#include "base/random.h"
#include "base/text.h"
#include "base/trace.h"
#include "engine/container_store.h"
#include "engine/events.h"
#include "engine/json_fields.h"
#include "engine/keep_id.h"
#include "engine/merge_config.h"
#include "engine/security_options.h"
#include "engine/shim_settings.h"
#include "engine/spec_resources.h"
#include "runtime/capabilities.h"
#include "runtime/spec.h"

namespace ctr {

template <class V>
void fields(V& visit, ExecConfig& c) {
  visit("User", c.user);
  visit("Privileged", c.privileged);
  visit("Tty", c.tty);
  visit("AttachStdin", c.attach_stdin);
  visit("AttachStderr", c.attach_stderr);
  visit("AttachStdout", c.attach_stdout);
  visit("DetachKeys", c.detach_keys);
  visit("Env", c.env, Empty::Null);
  visit("WorkingDir", c.working_dir);
  visit("Cmd", c.cmd);
}

namespace {

constexpr std::size_t kExecIdBytes = 32;
constexpr const char* kRequestFile = "request.json";  // what was asked for, kept for inspect

fs::path exec_directory(Context& context, const std::string& container_id, const std::string& exec_id) {
  return context.containers().run_directory(container_id) / "exec" / exec_id;
}

/// The container of an exec instance. There is no index: few containers run, and each has few.
std::string container_of(Context& context, const std::string& exec_id) {
  if (exec_id.size() == 2 * kExecIdBytes && exec_id.find('/') == std::string::npos) {
    for (const std::string& id : list_directory(context.paths().run / "containers")) {
      if (path_exists(exec_directory(context, id, exec_id) / kRequestFile)) return id;
    }
  }
  throw Error(ErrorKind::NotFound, "No such exec instance: " + exec_id);
}

ContainerRecord running_container(Context& context, const std::string& container) {
  ContainerRecord record = context.containers().get(container);
  const ContainerStatus status = read_state(context, record).status;
  if (status == ContainerStatus::Paused) {
    throw Error(ErrorKind::Busy, "Container " + container + " is paused, unpause the container before exec");
  }
  if (status == ContainerStatus::Restarting) {
    throw Error(ErrorKind::Busy, "Container " + record.id + " is restarting, wait until the container is running");
  }
  if (status != ContainerStatus::Running) throw Error(ErrorKind::Busy, "container " + record.id + " is not running");
  return record;
}

ProcessSpec exec_process(const ContainerRecord& record, const ExecConfig& config, const StringMap& default_ulimits) {
  const bool is_privileged = config.privileged || record.host.privileged;
  ProcessSpec process;
  process.terminal = config.tty;
  process.args = config.cmd;
  process.env = process_environment(record.config);
  if (config.tty) process.env = with_environment(process.env, {"TERM=xterm"});
  process.env = with_environment(std::move(process.env), config.env);
  process.cwd = !config.working_dir.empty() ? config.working_dir
                : record.config.working_dir.empty() ? "/" : record.config.working_dir;
  const SecurityOptions security = parse_security_options(record.host);
  process.capabilities = docker_capability_sets(is_privileged ? all_capabilities() & own_bounding_set()
                                                              : container_capabilities(record.host));
  process.rlimits = make_rlimits(record.host.ulimits, default_ulimits);
  process.no_new_privileges = security.no_new_privileges;
  process.apparmor_profile = config.privileged ? "" : security.apparmor_profile;
  process.selinux_label = security.selinux_label;
  return process;
}

std::string words_of(const StringList& cmd) { return join(cmd, " "); }

void write_exec(Context& context, const ContainerRecord& record, const ExecConfig& config, const std::string& exec_id) {
  const fs::path directory = exec_directory(context, record.id, exec_id);
  make_directories(directory, 0700);
  ExecSettings settings;
  settings.id = exec_id;
  settings.container_id = record.id;
  settings.tty = config.tty;
  settings.open_stdin = config.attach_stdin;
  settings.user = config.user.empty() ? kept_user(record) : config.user;
  settings.cgroup = record.cgroup_path + "/payload";
  if (!config.privileged) settings.seccomp_filter = record.shim.seccomp_filter;
  settings.events = record.shim.events;
  const ProcessSpec process = exec_process(record, config, context.configuration().default_ulimits);
  write_file_atomic(directory / kProcessFile, process_json(process).dump(), Durability::Cached, 0600);
  write_file_atomic(directory / kExecSettingsFile, to_json(settings).dump(), Durability::Cached, 0600);
}

void write_request(Context& context, const std::string& container_id, const std::string& exec_id, const ExecConfig& config) {
  Json json;
  write_value(json, config, false);
  write_file_atomic(exec_directory(context, container_id, exec_id) / kRequestFile, json.dump(), Durability::Cached, 0600);
}

StartedContainer spawn(Context& context, const std::string& container_id, const std::string& exec_id,
                       std::uint32_t attach_streams, TerminalSize terminal) {
  const TraceSpan span("start exec");
  ShimRequest request;
  request.shim_program = own_companion("ctr-shim");
  request.container_dir = context.containers().directory(container_id);
  request.run_dir = context.containers().run_directory(container_id);
  request.exec_id = exec_id;
  request.attach_streams = attach_streams;
  request.terminal = terminal;
  StartedShim shim;
  try {
    shim = start_shim(request);
  } catch (const StartError& error) {
    throw StartError(error.kind(), "OCI runtime exec failed: exec failed: " + std::string(error.what()), error.error_number(),
                     error.exit_status());
  }
  StartedContainer started;
  started.id = exec_id;
  started.pid = shim.pid;
  started.connection = std::move(shim.connection);
  return started;
}

void tell(Context& context, const ContainerRecord& record, const std::string& action, const std::string& exec_id) {
  StringMap attributes = event_attributes(record);
  attributes["execID"] = exec_id;
  context.events().append({"container", action, record.id, attributes, 0});
}

void check_exec(const ExecConfig& config) {
  if (config.cmd.empty()) throw Error(ErrorKind::Invalid, "No exec command specified");
  if (!config.working_dir.empty() && config.working_dir.front() != '/') {
    throw Error(ErrorKind::Invalid, "the working directory '" + config.working_dir +
                                        "' is invalid, it needs to be an absolute path");
  }
}

}  // namespace

std::string create_exec(Context& context, const std::string& container, const ExecConfig& config) {
  check_exec(config);
  const ContainerRecord record = running_container(context, container);
  const std::string exec_id = random_hex(kExecIdBytes);
  write_exec(context, record, config, exec_id);
  write_request(context, record.id, exec_id, config);
  tell(context, record, "exec_create: " + words_of(config.cmd), exec_id);
  return exec_id;
}

StartedContainer start_exec(Context& context, const std::string& exec_id, std::uint32_t attach_streams) {
  const ExecRecord exec = get_exec(context, exec_id);
  if (exec.running || exec.exit_code >= 0) {
    throw Error(ErrorKind::Busy, "exec command " + exec_id + " has already run");
  }
  const ContainerRecord record = running_container(context, exec.container_id);
  StartedContainer started = spawn(context, record.id, exec_id, attach_streams, exec.config.terminal);
  tell(context, record, "exec_start: " + words_of(exec.config.cmd), exec_id);
  return started;
}

StartedContainer run_exec(Context& context, const std::string& container, const ExecConfig& config,
                          std::uint32_t attach_streams) {
  check_exec(config);
  const ContainerRecord record = running_container(context, container);
  const std::string exec_id = random_hex(kExecIdBytes);
  write_exec(context, record, config, exec_id);
  tell(context, record, "exec_create: " + words_of(config.cmd), exec_id);
  StartedContainer started = spawn(context, record.id, exec_id, attach_streams, config.terminal);
  tell(context, record, "exec_start: " + words_of(config.cmd), exec_id);
  return started;
}

ExecRecord get_exec(Context& context, const std::string& exec_id) {
  ExecRecord exec;
  exec.id = exec_id;
  exec.container_id = container_of(context, exec_id);
  const fs::path directory = exec_directory(context, exec.container_id, exec_id);
  read_value(Json::parse(read_file(directory / kRequestFile), kRequestFile), exec.config, "exec");
  if (const std::optional<ProcessExit> exit = find_process_exit(directory)) exec.exit_code = exit->exit_code;
  if (is_shim_alive(directory) && exec.exit_code < 0) {
    const std::optional<ShimState> state = find_shim_state(directory);
    exec.running = state && state->status == ShimStatus::Running;
    if (exec.running) exec.pid = state->pid;
  }
  return exec;
}

Json inspect_exec(Context& context, const std::string& exec_id) {
  const ExecRecord exec = get_exec(context, exec_id);
  Json json = Json::object();
  json["ID"] = exec.id;
  json["Running"] = exec.running;
  json["ExitCode"] = exec.exit_code < 0 ? Json() : Json(exec.exit_code);
  Json process = Json::object();
  process["tty"] = exec.config.tty;
  process["entrypoint"] = exec.config.cmd.front();
  process["arguments"] = Json(std::vector<std::string>(exec.config.cmd.begin() + 1, exec.config.cmd.end()));
  process["privileged"] = exec.config.privileged;
  if (!exec.config.user.empty()) process["user"] = exec.config.user;
  json["ProcessConfig"] = std::move(process);
  json["OpenStdin"] = exec.config.attach_stdin;
  json["OpenStderr"] = exec.config.attach_stderr;
  json["OpenStdout"] = exec.config.attach_stdout;
  json["CanRemove"] = exec.exit_code >= 0;
  json["ContainerID"] = exec.container_id;
  json["DetachKeys"] = exec.config.detach_keys;
  json["Pid"] = exec.pid;
  return json;
}

void resize_exec(Context& context, const std::string& exec_id, int rows, int columns) {
  const std::string container_id = container_of(context, exec_id);
  std::optional<ShimConnection> connection =
      ShimConnection::connect(exec_directory(context, container_id, exec_id));
  if (!connection) throw Error(ErrorKind::Busy, "exec instance " + exec_id + " is not running");
  connection->resize({static_cast<std::uint16_t>(rows), static_cast<std::uint16_t>(columns)});
}

std::vector<std::string> list_execs(Context& context, const std::string& container_id) {
  std::vector<std::string> running;
  for (const std::string& id : list_directory(context.containers().run_directory(container_id) / "exec")) {
    if (is_shim_alive(exec_directory(context, container_id, id))) running.push_back(id);
  }
  return running;
}

}  // namespace ctr
