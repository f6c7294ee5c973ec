// Commands that move containers from one state to another: start, stop, restart, kill, rm, pause, unpause, wait, rename.
#include "base/text.h"
#include "cli/attachment.h"
#include "cli/commands.h"
#include "cli/each_argument.h"
#include "cli/error_text.h"
#include "cli/output.h"
#include "engine/container_store.h"
#include "engine/containers.h"

namespace ctr {

namespace {

// ---- start ----

void define_start_flags(FlagTable& flags) {
  flags.toggle("attach", 'a', "Attach STDOUT/STDERR and forward signals");
  flags.text("detach-keys", 0, "string", "Override the key sequence for detaching a container");
  flags.toggle("interactive", 'i', "Attach container's STDIN");
}

int start_attached(Invocation& invocation) {
  const ParsedFlags& flags = invocation.flags();
  if (invocation.arguments().size() > 1) throw Error(ErrorKind::Invalid, "you cannot start and attach multiple containers at once");
  Context& context = invocation.context();
  const ContainerRecord record = context.containers().get(invocation.arguments().front());
  require_terminal(flags.on("interactive"), record.config.tty);
  AttachWish wish;
  wish.standard_in = flags.on("interactive") && record.config.open_stdin;
  wish.tty = record.config.tty;
  wish.detach_keys = flags.text("detach-keys");
  StartRequest request;
  request.attach_streams = attach_streams(wish);
  if (record.config.tty) request.terminal = own_terminal_size();
  StartedContainer started = start_container(context, record.id, request);
  for (const std::string& warning : started.warnings) print_warning(warning);
  wish.redraw = started.was_running;
  return follow_process(std::move(started.connection), wish);
}

int start(Invocation& invocation) {
  const ParsedFlags& flags = invocation.flags();
  if (flags.on("attach") || flags.on("interactive")) return start_attached(invocation);
  std::vector<std::string> failed;
  const int status = for_each_argument(invocation, [&](const std::string& name) {
    failed.push_back(name);
    for (const std::string& warning : start_container(invocation.context(), name, {}).warnings) print_warning(warning);
    failed.pop_back();
    return name;
  });
  flush_standard_out();
  if (!failed.empty()) print_error("failed to start containers: " + join(failed, ", "));
  return status;
}

// ---- stop, restart, kill ----

void define_stop_flags(FlagTable& flags) {
  flags.text("signal", 's', "string", "Signal to send to the container");
  flags.integer("timeout", 't', "int", "Seconds to wait before killing the container (-1: for ever)");
  flags.integer("time", 0, "int", "Seconds to wait before killing the container");
  flags.hide_last();
}

StopRequest stop_request(const ParsedFlags& flags) {
  StopRequest request;
  request.signal = flags.text("signal");
  if (flags.given("time")) request.timeout_seconds = static_cast<int>(flags.integer("time"));
  if (flags.given("timeout")) request.timeout_seconds = static_cast<int>(flags.integer("timeout"));
  return request;
}

int stop(Invocation& invocation) {
  const StopRequest request = stop_request(invocation.flags());
  return for_each_argument(invocation, [&](const std::string& name) {
    stop_container(invocation.context(), name, request);
    return name;
  });
}

int restart(Invocation& invocation) {
  const StopRequest request = stop_request(invocation.flags());
  return for_each_argument(invocation, [&](const std::string& name) {
    restart_container(invocation.context(), name, request);
    return name;
  });
}

void define_kill_flags(FlagTable& flags) {
  flags.text("signal", 's', "string", "Signal to send to the container", "KILL");
}

int kill(Invocation& invocation) {
  return for_each_argument(invocation, [&](const std::string& name) {
    kill_container(invocation.context(), name, invocation.flags().text("signal"));
    return name;
  });
}

// ---- rm ----

void define_rm_flags(FlagTable& flags) {
  flags.toggle("force", 'f', "Force the removal of a running container (uses SIGKILL)");
  flags.toggle("link", 'l', "Remove the specified link");
  flags.toggle("volumes", 'v', "Remove anonymous volumes associated with the container");
}

int rm(Invocation& invocation) {
  const ParsedFlags& flags = invocation.flags();
  if (flags.on("link")) throw UsageError("--link is not supported: links are gone with the container that has them");
  const RemoveForce force = flags.on("force") ? RemoveForce::Yes : RemoveForce::No;
  const RemoveVolumes volumes = flags.on("volumes") ? RemoveVolumes::Yes : RemoveVolumes::No;
  return for_each_argument(invocation, [&](const std::string& name) {
    try {
      remove_container(invocation.context(), name, force, volumes);
    } catch (const Error& error) {
      // With -f what is not there is what was wanted, as with rm(1); Docker says so and goes on.
      if (force == RemoveForce::No || error.kind() != ErrorKind::NotFound) throw;
      print_error(error_text(error, invocation.global()));
      return std::string();
    }
    return name;
  });
}

// ---- pause, unpause, wait, rename ----

int pause(Invocation& invocation) {
  return for_each_argument(invocation, [&](const std::string& name) {
    pause_container(invocation.context(), name);
    return name;
  });
}

int unpause(Invocation& invocation) {
  return for_each_argument(invocation, [&](const std::string& name) {
    unpause_container(invocation.context(), name);
    return name;
  });
}

int wait(Invocation& invocation) {
  return for_each_argument(invocation, [&](const std::string& name) {
    return std::to_string(wait_container(invocation.context(), name, WaitCondition::NotRunning).exit_status);
  });
}

int rename(Invocation& invocation) {
  rename_container(invocation.context(), invocation.arguments()[0], invocation.arguments()[1]);
  return 0;
}

CommandSpec several(std::string words, std::string arguments, std::string summary, void (*define)(FlagTable&),
                    int (*run)(Invocation&)) {
  CommandSpec spec{.words = words, .arguments = std::move(arguments), .summary = std::move(summary), .min_arguments = 1,
                   .define_flags = define, .run = run};
  spec.aliases = {"container " + words};
  return spec;
}

}  // namespace

std::vector<CommandSpec> lifecycle_command_specs() {
  CommandSpec rm_spec = several("rm", "[OPTIONS] CONTAINER [CONTAINER...]", "Remove one or more containers", define_rm_flags, rm);
  rm_spec.aliases.push_back("container remove");
  CommandSpec rename_spec = several("rename", "CONTAINER NEW_NAME", "Rename a container", nullptr, rename);
  rename_spec.min_arguments = rename_spec.max_arguments = 2;
  return {several("start", "[OPTIONS] CONTAINER [CONTAINER...]", "Start one or more stopped containers", define_start_flags, start),
          several("stop", "[OPTIONS] CONTAINER [CONTAINER...]", "Stop one or more running containers", define_stop_flags, stop),
          several("restart", "[OPTIONS] CONTAINER [CONTAINER...]", "Restart one or more containers", define_stop_flags, restart),
          several("kill", "[OPTIONS] CONTAINER [CONTAINER...]", "Kill one or more running containers", define_kill_flags, kill),
          rm_spec,
          several("pause", "CONTAINER [CONTAINER...]", "Pause all processes within one or more containers", nullptr, pause),
          several("unpause", "CONTAINER [CONTAINER...]", "Unpause all processes within one or more containers", nullptr, unpause),
          several("wait", "CONTAINER [CONTAINER...]", "Block until one or more containers stop, then print their exit codes", nullptr, wait),
          rename_spec};
}

}  // namespace ctr
