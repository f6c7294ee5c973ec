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
int become_registry(const char* command, Invocation& invocation) {
  std::vector<std::string> words = {own_companion("ctr-registry").native(), command};
  words.insert(words.end(), invocation.arguments().begin(), invocation.arguments().end());
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  ::execv(argv.front(), argv.data());
  throw_errno(errno, "start", words.front());
}

int serve(Invocation& invocation) { return become_registry("serve", invocation); }
int collect_garbage(Invocation& invocation) { return become_registry("garbage-collect", invocation); }

// Read by ctr-registry; here for --help and completion.
void define_serve_flags(FlagTable& flags) {
  flags.text("listen", 0, "address:port", "Where to listen; port 0 is any free one", "127.0.0.1:5000");
  flags.text("root", 0, "directory", "Where images are kept (as root /var/lib/ctr-registry)");
  flags.text("tls-cert", 0, "file", "Certificate chain (PEM), with --tls-key");
  flags.text("tls-key", 0, "file", "Its key (PEM)");
  flags.text("htpasswd", 0, "file", "Who may use it: lines of 'htpasswd -B'");
  flags.toggle("read-only", 0, "Refuse everything that writes");
  flags.toggle("quiet", 0, "No line for each request");
}

void define_garbage_flags(FlagTable& flags) {
  flags.text("root", 0, "directory", "Where images are kept (as root /var/lib/ctr-registry)");
}

void define_copy_flags(FlagTable& flags) {
  flags.text("platform", 0, "string", "Copy only this platform, as a plain manifest");
  flags.toggle("quiet", 'q', "Suppress the progress");
  flags.toggle("referrers", 0, "Copy signatures and other artifacts that refer to the image too", true);
}

int copy(Invocation& invocation) {
  const ParsedFlags& flags = invocation.flags();
  flush_standard_out();
  std::optional<Descriptor> target;
  {
    TransferView view(STDOUT_FILENO, flags.on("quiet") ? TransferView::Loudness::Quiet : TransferView::Loudness::Normal);
    CopyOptions options;
    if (flags.given("platform")) options.platform = platform_option(flags);
    if (!flags.on("referrers")) options.referrers = CopyReferrers::Skip;
    options.progress = &view;
    target = copy_between_registries(invocation.context(), invocation.arguments()[0], invocation.arguments()[1], options);
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
           .arguments = "[OPTIONS]",
           .summary = "Run a registry",
           .order = FlagOrder::RawWords,
           .define_flags = define_serve_flags,
           .run = serve},
          {.words = "registry garbage-collect",
           .arguments = "[OPTIONS]",
           .summary = "Remove what no manifest of a registry names, while it does not run",
           .order = FlagOrder::RawWords,
           .define_flags = define_garbage_flags,
           .run = collect_garbage}};
}

}  // namespace ctr
