#include "cli/transfer_words.h"

namespace ctr {

namespace {

/// Docker names the repository without its host when that is Docker Hub.
std::string path_words(const Reference& reference) {
  return reference.host() == "docker.io" ? reference.repository() : reference.name();
}

}  // namespace

std::vector<PulledImage> pull_with_words(Context& context, const PullRequest& request, TransferProgress& progress) {
  const Reference asked = request.all_tags ? Reference::parse_name(request.reference) : Reference::parse(request.reference);
  if (!request.all_tags) {
    const std::string what = asked.digest() ? asked.digest()->str() : asked.tag();
    progress.message(what + ": Pulling from " + path_words(asked));
  }
  std::vector<PulledImage> images = pull_image(context, request, progress);
  for (const PulledImage& image : images) {
    if (request.all_tags) progress.message(image.reference.tag() + ": Pulled from " + path_words(image.reference));
    progress.message("Digest: " + image.target.digest.str());
    progress.message((image.changed ? "Status: Downloaded newer image for " : "Status: Image is up to date for ") +
                     image.reference.familiar());
  }
  return images;
}

}  // namespace ctr
