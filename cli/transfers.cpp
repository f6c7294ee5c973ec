// ctr pull and ctr push.
#include "engine/transfers.h"

#include <unistd.h>

#include "cli/commands.h"
#include "cli/container_options.h"
#include "cli/output.h"
#include "cli/transfer_view.h"
#include "cli/transfer_words.h"

namespace ctr {

namespace {

void define_flags(FlagTable& flags) {
  flags.toggle("all-tags", 'a', "All tags of the repository");
  flags.toggle("disable-content-trust", 0, "Skip image verification: ctr verifies digests, not signatures", true);
  flags.text("platform", 0, "string", "The platform, if the image has several");
  flags.toggle("quiet", 'q', "Suppress verbose output");
}

TransferView::Loudness loudness(const ParsedFlags& flags) {
  return flags.on("quiet") ? TransferView::Loudness::Quiet : TransferView::Loudness::Normal;
}

void refuse_tag_with_all(const std::string& name, bool wants_all) {
  const Reference reference = Reference::parse_name(name);
  if (wants_all && (!reference.tag().empty() || reference.digest())) {
    throw Error(ErrorKind::Invalid, "tag can't be used with --all-tags/-a");
  }
}

int pull(Invocation& invocation) {
  const ParsedFlags& flags = invocation.flags();
  const std::string& name = invocation.arguments().front();
  refuse_tag_with_all(name, flags.on("all-tags"));
  if (!flags.on("quiet") && !flags.on("all-tags")) {
    const Reference named = Reference::parse_name(name);
    if (named.tag().empty() && !named.digest()) write_standard_out("Using default tag: latest\n");
  }
  flush_standard_out();
  std::vector<PulledImage> images;
  {
    TransferView view(STDOUT_FILENO, loudness(flags));
    images = pull_with_words(invocation.context(), {name, platform_option(flags), flags.on("all-tags")}, view);
  }
  for (const PulledImage& image : images) write_standard_out(image.reference.str() + "\n");
  return 0;
}

int push(Invocation& invocation) {
  const ParsedFlags& flags = invocation.flags();
  const std::string& name = invocation.arguments().front();
  refuse_tag_with_all(name, flags.on("all-tags"));
  if (!flags.on("quiet") && !flags.on("all-tags") && Reference::parse_name(name).tag().empty()) {
    write_standard_out("Using default tag: latest\n");
  }
  flush_standard_out();
  std::optional<Platform> platform;
  if (flags.given("platform")) platform = platform_option(flags);
  std::vector<PushedImage> images;
  {
    TransferView view(STDOUT_FILENO, loudness(flags));
    images = push_image(invocation.context(), {name, platform, flags.on("all-tags")}, view);
  }
  for (const PushedImage& image : images) {
    write_standard_out(flags.on("quiet") ? image.reference.str() + "\n"
                                         : image.reference.tag() + ": digest: " + image.target.digest.str() +
                                               " size: " + std::to_string(image.target.size) + "\n");
  }
  return 0;
}

}  // namespace

std::vector<CommandSpec> transfer_command_specs() {
  return {{.words = "pull",
           .arguments = "[OPTIONS] NAME[:TAG|@DIGEST]",
           .summary = "Download an image from a registry",
           .group = HelpGroup::Common,
           .min_arguments = 1,
           .max_arguments = 1,
           .define_flags = define_flags,
           .run = pull,
           .aliases = {"image pull"}},
          {.words = "push",
           .arguments = "[OPTIONS] NAME[:TAG]",
           .summary = "Upload an image to a registry",
           .group = HelpGroup::Common,
           .min_arguments = 1,
           .max_arguments = 1,
           .define_flags = define_flags,
           .run = push,
           .aliases = {"image push"}}};
}

}  // namespace ctr
