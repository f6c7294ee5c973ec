// An OCI bundle: a directory with config.json, perhaps the compiled filter beside it.
#pragma once

#include "base/file.h"
#include "runtime/spec.h"

namespace ctr {

struct Bundle {
  fs::path path;
  Spec spec;
  /// The bytes of seccomp.bpf; empty when there is none.
  std::string seccomp_filter;
};

/// Throws NotFound without config.json, Invalid for a bad one. A config.json of more than 16 MiB is refused.
Bundle load_bundle(const fs::path& path);

/// Writes config.json and, when the spec has a seccomp object and `seccomp_filter` is not empty, seccomp.bpf.
void save_bundle(const Bundle& bundle, Durability durability);

}  // namespace ctr
