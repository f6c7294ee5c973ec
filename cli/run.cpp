// ctr run and ctr create.
#include <unistd.h>

#include "base/file.h"
#include "cli/attachment.h"
#include "cli/commands.h"
#include "cli/container_options.h"
#include "cli/output.h"
#include "cli/pull_for_run.h"

namespace ctr {

namespace {

void define_run_flags(FlagTable& flags) {
  define_container_flags(flags);
  flags.toggle("detach", 'd', "Run container in background and print container ID");
  flags.toggle("sig-proxy", 0, "Proxy received signals to the process", true);
}

/// The file of --cidfile must be new: a script that reads it must not take an older container's id.
void claim_id_file(const std::string& path) {
  if (!path.empty() && path_exists(path)) {
    throw Error(ErrorKind::Exists, "container ID file found, make sure the other container isn't running or delete " + path);
  }
}

CreatedContainer create(Invocation& invocation, const CreateRequest& request) {
  const ParsedFlags& flags = invocation.flags();
  claim_id_file(request.host.container_id_file);
  provide_image(invocation.context(), request, pull_policy(flags), flags.on("quiet") ? PullOutput::Quiet : PullOutput::Shown);
  CreatedContainer created = create_container(invocation.context(), request);
  for (const std::string& warning : created.warnings) print_warning(warning);
  if (!request.host.container_id_file.empty()) {
    write_file_atomic(request.host.container_id_file, created.id, Durability::Cached);
  }
  return created;
}

int run(Invocation& invocation) {
  const ParsedFlags& flags = invocation.flags();
  const CreateRequest request = container_request(flags);
  const bool is_detached = flags.on("detach");
  if (!is_detached) {
    try {
      require_terminal(request.config.attach_stdin, request.config.tty);
    } catch (const Error& error) {
      print_error(error.what());
      return 1;
    }
  }
  const CreatedContainer created = create(invocation, request);

  AttachWish wish;
  wish.standard_in = request.config.attach_stdin;
  wish.standard_out = request.config.attach_stdout;
  wish.standard_error = request.config.attach_stderr;
  wish.tty = request.config.tty;
  wish.sig_proxy = flags.on("sig-proxy");
  wish.detach_keys = flags.text("detach-keys");
  StartRequest start;
  if (!is_detached) start.attach_streams = attach_streams(wish);
  if (request.config.tty) start.terminal = own_terminal_size();
  // A script that started it detached gets its id in any case, as with Docker.
  if (is_detached) write_standard_out(created.id + "\n");
  StartedContainer started = start_container(invocation.context(), created.id, start);
  for (const std::string& warning : started.warnings) print_warning(warning);
  if (is_detached) return 0;
  return follow_process(std::move(started.connection), wish);
}

int create_only(Invocation& invocation) {
  write_standard_out(create(invocation, container_request(invocation.flags())).id + "\n");
  return 0;
}

}  // namespace

CommandSpec run_command_spec() {
  return {.words = "run",
          .arguments = "[OPTIONS] IMAGE [COMMAND] [ARG...]",
          .summary = "Create and run a new container from an image",
          .group = HelpGroup::Common,
          .min_arguments = 1,
          .order = FlagOrder::BeforeArguments,
          .define_flags = define_run_flags,
          .run = run,
          .failure_status = 125,
          .aliases = {"container run"}};
}

CommandSpec create_command_spec() {
  return {.words = "create",
          .arguments = "[OPTIONS] IMAGE [COMMAND] [ARG...]",
          .summary = "Create a new container",
          .min_arguments = 1,
          .order = FlagOrder::BeforeArguments,
          .define_flags = define_container_flags,
          .run = create_only,
          .aliases = {"container create"}};
}

}  // namespace ctr
