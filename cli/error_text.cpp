#include "cli/error_text.h"

#include <cstdlib>

#include "base/paths.h"

namespace ctr {

namespace {

bool is_name_not_found(const Error& error) {
  const std::string_view message = error.what();
  return error.kind() == ErrorKind::NotFound &&
         (message.find("o such ") != message.npos || message.find("not found") != message.npos);
}

}  // namespace

std::string error_text(const Error& error, const GlobalOptions& global) {
  std::string text = error.what();
  if (!is_name_not_found(error) || !global.root.empty() || std::getenv("CTR_ROOT") != nullptr) return text;
  const Paths paths = find_paths({});
  if (const auto other = other_store(paths)) {
    text += paths.is_rootless ? "\nroot has a store of its own, " + other->native() + ": try sudo ctr"
                              : "\nan ordinary user has a store too, " + other->native() + ": try without sudo";
  }
  return text;
}

}  // namespace ctr
