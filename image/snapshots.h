// Snapshots: the writable part of a root filesystem, snapshots/<id>/{upper,work}. Knows nothing about what is below.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/file.h"

namespace ctr {

class Snapshots {
 public:
  explicit Snapshots(fs::path root);

  /// Makes an empty snapshot; throws Exists. `id` is a file name: letters, digits, '-', '_', '.'.
  void create(std::string_view id) const;
  bool has(std::string_view id) const;
  fs::path path(std::string_view id) const;
  fs::path upper(std::string_view id) const { return path(id) / "upper"; }
  fs::path work(std::string_view id) const { return path(id) / "work"; }
  /// Whether this is the first call since `create`: who plans the first mount gives the root directory its attributes.
  bool take_newness(std::string_view id) const;
  /// Removes it with everything in it; absence is fine. REQUIRES: not mounted.
  void remove(std::string_view id) const;
  /// Moves it into `trash`; absence is fine.
  void discard(std::string_view id, const fs::path& trash) const;
  std::vector<std::string> list() const;

 private:
  fs::path directory_;
};

}  // namespace ctr
