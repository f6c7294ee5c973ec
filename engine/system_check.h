// `system check`: reads everything in the store and compares it with its names: blobs with their digests, layers with
// their diff ids, images and records with what they refer to. Repairing never loses what can't be had again: damaged
// blobs and layers go when they are worthless as they are, layers are unpacked again from their blobs, and what nothing
// leads to is collected as by prune.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "engine/context.h"

namespace ctr {

enum class CheckMode { Look, Repair };

struct CheckFinding {
  std::string object;   // "layer sha256:…", "image app:latest"
  std::string problem;  // a sentence's rest
  std::string advice;   // what was done, or what to do
  bool is_repaired = false;
};

struct CheckReport {
  std::uint64_t blobs = 0;
  std::uint64_t layers = 0;
  std::uint64_t images = 0;
  std::uint64_t containers = 0;
  std::uint64_t build_records = 0;
  std::vector<CheckFinding> findings;

  bool is_clean() const;
};

CheckReport check_system(Context& context, CheckMode mode);

}  // namespace ctr
