// ctr registry serve, and copy between registries. The registry is a program of its own, ctr-registry, so that no other
// command loads its HTTP server.
#include <unistd.h>

#include <cerrno>

#include "base/process.h"
#include "base/error.h"
#include "cli/commands.h"
#include "cli/container_options.h"
#include "cli/output.h"
#include "cli/transfer_view.h"
#include "engine/registry_copies.h"

namespace ctr {

namespace {

/// Becomes ctr-registry, which reads the flags itself.
int serve(Invocation& invocation) {
  std::vector<std::string> words = {own_companion("ctr-registry").native()};
  words.insert(words.end(), invocation.arguments().begin(), invocation.arguments().end());
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  ::execv(argv.front(), argv.data());
  throw_errno(errno, "start", words.front());
}

void define_copy_flags(FlagTable& flags) {
  flags.text("platform", 0, "string", "Copy only this platform, as a plain manifest");
  flags.toggle("quiet", 'q', "Suppress the progress");
}

int copy(Invocation& invocation) {
  const ParsedFlags& flags = invocation.flags();
  flush_standard_out();
  std::optional<Descriptor> target;
  {
    TransferView view(STDOUT_FILENO, flags.on("quiet") ? TransferView::Loudness::Quiet : TransferView::Loudness::Normal);
    std::optional<Platform> platform;
    if (flags.given("platform")) platform = platform_option(flags);
    target = copy_between_registries(invocation.context(), invocation.arguments()[0], invocation.arguments()[1], platform, view);
  }
  write_standard_out("Digest: " + target->digest.str() + "\n");
  return 0;
}

}  // namespace

std::vector<CommandSpec> registry_command_specs() {
  return {{.words = "copy",
           .arguments = "[OPTIONS] SOURCE DESTINATION",
           .summary = "Copy an image between registries, OCI layouts and archives, without storing it",
           .min_arguments = 2,
           .max_arguments = 2,
           .define_flags = define_copy_flags,
           .run = copy},
          {.words = "registry serve",
           .arguments = "[--listen ADDRESS:PORT] [--root DIR] [--tls-cert FILE --tls-key FILE] [--htpasswd FILE] [--read-only]",
           .summary = "Run a registry",
           .order = FlagOrder::RawWords,
           .run = serve}};
}

}  // namespace ctr
