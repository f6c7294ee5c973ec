// The sentences around a pull, in Docker's words.
#pragma once

#include <vector>

#include "engine/transfers.h"

namespace ctr {

/// Pulls, saying "24.04: Pulling from library/ubuntu", "Digest: …" and "Status: …" through `progress`.
std::vector<PulledImage> pull_with_words(Context& context, const PullRequest& request, TransferProgress& progress);

}  // namespace ctr
