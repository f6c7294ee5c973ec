// Git repositories as trees of files, fetched by the git program: one commit, no history, hooks and configuration of the
// machine's users left out.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "base/file.h"
#include "builder/op.h"

namespace ctr {

using SecretLookup = std::function<std::optional<std::string>(const std::string& id)>;

/// Fetches into `directory`, which must be empty; returns the directory of the tree (a subdirectory if the op names
/// one). Throws Unavailable without git, NotFound for a reference that does not exist, Corrupt if the commit is not the
/// one that the checksum says.
fs::path checkout_git(const GitOp& op, const fs::path& directory, const SecretLookup& secret);

/// The time of HEAD's commit if the tree of that directory is clean; throws Invalid in one sentence otherwise.
std::int64_t commit_time_of_clean_tree(const fs::path& directory);

}  // namespace ctr
