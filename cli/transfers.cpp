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

/// Flags of other tools for what is not there yet: refused by name, with what to do instead.
struct LaterFlag {
  const char* name;
  const char* reason;
};
constexpr LaterFlag kLaterFlags[] = {
    {"signature-policy", "signature policies are not there yet: verify with cosign or notation, then name the digest"},
    {"verify", "signatures are not verified yet: verify with cosign or notation, then name the digest"},
    {"sign-by", "images are not signed yet: sign with cosign or notation"},
    {"lock-file", "lock files are not there yet: name images by their digest"},
};

void define_later_flags(FlagTable& flags) {
  for (const LaterFlag& later : kLaterFlags) {
    flags.text(later.name, 0, "string", std::string("Refused: ") + later.reason);
    flags.hide_last();
  }
}

void refuse_later_flags(const ParsedFlags& flags) {
  for (const LaterFlag& later : kLaterFlags) {
    if (flags.given(later.name)) throw UsageError(std::string("--") + later.name + ": " + later.reason);
  }
}

void define_pull_flags(FlagTable& flags) {
  flags.toggle("all-tags", 'a', "Download all tags of the repository");
  flags.toggle("disable-content-trust", 0, "Skip image verification: ctr verifies digests, not signatures", true);
  flags.text("platform", 0, "string", "Take this platform, if the image has several");
  flags.toggle("quiet", 'q', "Print the image's name alone");
  define_later_flags(flags);
}

void define_push_flags(FlagTable& flags) {
  flags.toggle("all-tags", 'a', "Push all tags of the repository");
  flags.toggle("create", 0, "Create the repository if it is missing at Amazon ECR (others make it on push)");
  flags.toggle("disable-content-trust", 0, "Skip image signing: ctr does not sign", true);
  flags.text("platform", 0, "string", "Push this platform alone, as a plain manifest");
  flags.toggle("quiet", 'q', "Print the image's name alone");
  define_later_flags(flags);
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
  refuse_later_flags(flags);
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
  refuse_later_flags(flags);
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
    view.message("The push refers to repository [" + Reference::parse_name(name).name() + "]");
    images = push_image(invocation.context(), {name, platform, flags.on("all-tags"), flags.on("create")}, view);
  }
  for (const PushedImage& image : images) {
    if (!image.notice.empty()) write_standard_error(image.reference.familiar() + ": " + image.notice + "\n");
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
           .define_flags = define_pull_flags,
           .run = pull,
           .aliases = {"image pull"}},
          {.words = "push",
           .arguments = "[OPTIONS] NAME[:TAG]",
           .summary = "Upload an image to a registry",
           .group = HelpGroup::Common,
           .min_arguments = 1,
           .max_arguments = 1,
           .define_flags = define_push_flags,
           .run = push,
           .aliases = {"image push"}}};
}

}  // namespace ctr
