// Pull, push and login as commands do them: the store's images on one side, registry/ on the other. Progress is reported
// through registry/'s interface; the words are the command line's.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "engine/context.h"
#include "image/descriptor.h"
#include "image/platform.h"
#include "image/reference.h"
#include "registry/progress.h"

namespace ctr {

enum class PullPolicy { Missing, Always, Never };

struct PullRequest {
  std::string reference;  // "ubuntu:24.04", "host/repo@sha256:…"
  std::optional<Platform> platform;
  bool all_tags = false;
};
struct PulledImage {
  Reference reference;
  Descriptor target;
  bool changed = false;  // false: "Image is up to date for …"
};
std::vector<PulledImage> pull_image(Context& context, const PullRequest& request, TransferProgress& progress);

struct PushRequest {
  std::string reference;
  std::optional<Platform> platform;
  bool all_tags = false;
  bool create_repository = false;  // at Amazon's; other registries make it on push
};
struct PushedImage {
  Reference reference;
  Descriptor target;
  std::string notice;  // a sentence if something else was sent than the local name holds, or empty
};
std::vector<PushedImage> push_image(Context& context, const PushRequest& request, TransferProgress& progress);

}  // namespace ctr
