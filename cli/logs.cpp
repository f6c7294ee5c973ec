// ctr logs.
#include "engine/logs.h"

#include <unistd.h>

#include "base/text.h"
#include "cli/commands.h"
#include "cli/output.h"
#include "engine/container_store.h"

namespace ctr {

namespace {

void define_flags(FlagTable& flags) {
  flags.toggle("details", 0, "Show extra details provided to logs");
  flags.toggle("follow", 'f', "Follow log output");
  flags.text("since", 0, "string", "Show logs since timestamp (e.g. \"2013-01-02T13:23:37Z\") or relative (e.g. \"42m\")");
  flags.text("tail", 'n', "string", "Number of lines to show from the end of the logs", "all");
  flags.toggle("timestamps", 't', "Show timestamps");
  flags.text("until", 0, "string", "Show logs before a timestamp or relative (e.g. \"42m\" for 42 minutes)");
}

int show(Invocation& invocation) {
  const ParsedFlags& flags = invocation.flags();
  Context& context = invocation.context();
  const ContainerRecord record = context.containers().get(invocation.arguments().front());
  if (record.host.log_config.type == "none") {
    throw Error(ErrorKind::Unavailable, "container " + record.name + " keeps no log: it was made with --log-driver none");
  }
  LogQuery query;
  query.follow = flags.on("follow");
  query.timestamps = flags.on("timestamps");
  query.details = flags.on("details");
  if (const auto since = flags.find_text("since")) query.since_ns = parse_log_time(*since);
  if (const auto until = flags.find_text("until")) query.until_ns = parse_log_time(*until);
  // Docker shows the whole log for anything that is no number from 0.
  query.tail = parse_uint(flags.text("tail"));
  flush_standard_out();
  print_logs(context.containers().directory(record.id), context.containers().run_directory(record.id), query,
             STDOUT_FILENO, STDERR_FILENO);
  return 0;
}

}  // namespace

std::vector<CommandSpec> log_command_specs() {
  return {{.words = "logs",
           .arguments = "[OPTIONS] CONTAINER",
           .summary = "Fetch the logs of a container",
           .min_arguments = 1,
           .max_arguments = 1,
           .define_flags = define_flags,
           .run = show,
           .aliases = {"container logs"}}};
}

}  // namespace ctr
