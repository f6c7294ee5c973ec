// ctr exec and ctr attach.
#include "engine/exec.h"

#include <algorithm>

#include "cli/attachment.h"
#include "cli/commands.h"
#include "cli/container_options.h"
#include "cli/output.h"
#include "engine/attach_client.h"
#include "engine/container_store.h"

namespace ctr {

namespace {

constexpr int kNotExecutable = 126;

void define_exec_flags(FlagTable& flags) {
  flags.toggle("detach", 'd', "Detached mode: run command in the background");
  flags.text("detach-keys", 0, "string", "Override the key sequence for detaching a container");
  flags.list("env", 'e', "list", "Set environment variables");
  flags.list("env-file", 0, "list", "Read in a file of environment variables");
  flags.toggle("interactive", 'i', "Keep STDIN open even if not attached");
  flags.toggle("privileged", 0, "Give extended privileges to the command");
  flags.toggle("tty", 't', "Allocate a pseudo-TTY");
  flags.text("user", 'u', "string", "Username or UID (format: \"<name|uid>[:<group|gid>]\")");
  flags.text("workdir", 'w', "string", "Working directory inside the container");
}

int exec(Invocation& invocation) {
  const ParsedFlags& flags = invocation.flags();
  const bool is_detached = flags.on("detach");
  ExecConfig config;
  config.cmd = StringList(invocation.arguments().begin() + 1, invocation.arguments().end());
  config.env = environment_option(flags.list("env-file"), flags.list("env"));
  config.user = flags.text("user");
  config.working_dir = flags.text("workdir");
  config.privileged = flags.on("privileged");
  config.tty = flags.on("tty");
  config.detach_keys = flags.text("detach-keys");
  if (!is_detached) {
    require_terminal(flags.on("interactive"), config.tty);
    config.attach_stdin = flags.on("interactive");
    config.attach_stdout = true;
    config.attach_stderr = true;
  }
  if (config.tty) config.terminal = own_terminal_size();
  AttachWish wish;
  wish.standard_in = config.attach_stdin;
  wish.tty = config.tty;
  // Docker's exec does not send signals on: without a terminal Ctrl-C ends the client alone.
  wish.sig_proxy = false;
  wish.detach_keys = config.detach_keys;
  try {
    StartedContainer started = run_exec(invocation.context(), invocation.arguments().front(), config,
                                        is_detached ? 0 : attach_streams(wish));
    if (is_detached) return 0;
    return follow_process(std::move(started.connection), wish);
  } catch (const StartError& error) {
    // With Docker's exec whatever kept the command from running is 126, except that there is no such command.
    print_error(error.what());
    return std::max(error.exit_status(), kNotExecutable);
  }
}

void define_attach_flags(FlagTable& flags) {
  flags.text("detach-keys", 0, "string", "Override the key sequence for detaching a container");
  flags.toggle("no-stdin", 0, "Do not attach STDIN");
  flags.toggle("sig-proxy", 0, "Proxy all received signals to the process", true);
}

int attach_running(Invocation& invocation) {
  const ParsedFlags& flags = invocation.flags();
  Context& context = invocation.context();
  const ContainerRecord record = context.containers().get(invocation.arguments().front());
  const ContainerState state = read_state(context, record);
  if (!state.is_running()) {
    throw Error(ErrorKind::Invalid, "You cannot attach to a stopped container, start it first");
  }
  if (state.status == ContainerStatus::Paused) {
    throw Error(ErrorKind::Invalid, "You cannot attach to a paused container, unpause it first");
  }
  const bool wants_input = record.config.open_stdin && !flags.on("no-stdin");
  require_terminal(wants_input, record.config.tty);
  AttachWish wish;
  wish.standard_in = wants_input;
  wish.tty = record.config.tty;
  wish.sig_proxy = flags.on("sig-proxy");
  wish.redraw = true;
  wish.detach_keys = flags.text("detach-keys");
  StartRequest request;
  request.attach_streams = attach_streams(wish);
  StartedContainer started = start_container(context, record.id, request);
  return follow_process(std::move(started.connection), wish);
}

}  // namespace

std::vector<CommandSpec> exec_command_specs() {
  return {{.words = "exec",
           .arguments = "[OPTIONS] CONTAINER COMMAND [ARG...]",
           .summary = "Execute a command in a running container",
           .group = HelpGroup::Common,
           .min_arguments = 2,
           .order = FlagOrder::BeforeArguments,
           .define_flags = define_exec_flags,
           .run = exec,
           .aliases = {"container exec"}},
          {.words = "attach",
           .arguments = "[OPTIONS] CONTAINER",
           .summary = "Attach local standard input, output, and error streams to a running container",
           .min_arguments = 1,
           .max_arguments = 1,
           .define_flags = define_attach_flags,
           .run = attach_running,
           .aliases = {"container attach"}}};
}

}  // namespace ctr
