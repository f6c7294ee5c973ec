// A store in a temporary directory, and images made in it without any other tool.
#pragma once

#include <string>
#include <vector>

#include "base/file.h"
#include "image/image.h"
#include "image/store.h"
#include "tests/support/image_namespace.h"

namespace ctr {

class StoreFixture {
 public:
  Store& store() { return store_; }
  const fs::path& path() const { return directory_.path(); }

  /// One layer of the given files (paths and contents, sorted), as a COPY step makes it.
  LayerInfo make_layer(const std::vector<std::pair<std::string, std::string>>& files);
  /// An image of such layers for this machine, not named.
  Descriptor make_image(const std::vector<LayerInfo>& layers, const Platform& platform = host_platform());

 private:
  TempDirectory directory_;
  NamespaceEnd end_{directory_.path() / "run"};
  Store store_{directory_.path() / "root", directory_.path() / "run"};
};

}  // namespace ctr
