// Architectures as seccomp counts them: the one of this machine with those that it also runs.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace ctr {

/// This machine: Go's name ("amd64") and the specification's names, its own first, then its compatible ones.
struct SeccompHost {
  std::string name;
  std::vector<std::string> architectures;
};

SeccompHost seccomp_host();

/// Go's name of an architecture for one of the specification ("SCMP_ARCH_X86_64" -> "amd64"); empty when unknown.
std::string_view go_architecture(std::string_view scmp_name);

}  // namespace ctr
