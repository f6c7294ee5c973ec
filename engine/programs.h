// Where our other programs are: beside ours, or in ../libexec/ctr/ of the prefix.
#pragma once

#include <filesystem>
#include <string>

namespace ctr {

/// This program's own path, as /proc/self/exe says.
std::filesystem::path own_program();
/// "ctr-shim", "ctr-init"; throws NotFound naming both places.
std::filesystem::path find_program(const std::string& name);

}  // namespace ctr
