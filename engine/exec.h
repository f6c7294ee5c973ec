// Processes started in a running container. An exec instance is a record (id, config, pid, exit code) under the
// container's run directory, so that creating, starting and looking at it are separate calls, as in Docker's API. Each
// has a shim of its own, with its own socket for attach_client.h.
#pragma once

#include <string>
#include <vector>

#include "base/fd.h"
#include "engine/container_config.h"
#include "engine/containers.h"
#include "engine/context.h"

namespace ctr {

struct ExecConfig {
  std::string user;
  bool tty = false;
  bool attach_stdin = false;
  bool attach_stdout = false;
  bool attach_stderr = false;
  bool privileged = false;
  std::string detach_keys;
  StringList env;
  std::string working_dir;
  StringList cmd;
  TerminalSize terminal;  // before the first instruction; zeros: none
};

struct ExecRecord {
  std::string id;
  std::string container_id;
  ExecConfig config;
  bool running = false;
  int pid = 0;
  int exit_code = -1;  // -1: it has not ended
};

/// Returns the new exec's id. Throws NotFound, or Busy "container x is not running" / "is paused" in Docker's words.
std::string create_exec(Context& context, const std::string& container, const ExecConfig& config);
/// Throws StartError (126, 127) if the command can't be executed.
StartedContainer start_exec(Context& context, const std::string& exec_id, std::uint32_t attach_streams);
/// create and start in one, without writing more files than needed: what the command line does.
StartedContainer run_exec(Context& context, const std::string& container, const ExecConfig& config,
                          std::uint32_t attach_streams);
ExecRecord get_exec(Context& context, const std::string& exec_id);
/// Docker's document of an exec instance.
Json inspect_exec(Context& context, const std::string& exec_id);
void resize_exec(Context& context, const std::string& exec_id, int rows, int columns);
/// The exec ids of a container that still run.
std::vector<std::string> list_execs(Context& context, const std::string& container_id);

}  // namespace ctr
