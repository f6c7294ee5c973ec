// Foreign tars, compressed or not: whatever is accepted lands inside the layer, and fits into a canonical tar or is
// refused there by an Error.
#include <cstdlib>
#include <vector>

#include "base/error.h"
#include "image/canonical_tar.h"
#include "image/compression.h"
#include "image/digest.h"
#include "image/entry_list.h"
#include "image/layer_tree.h"
#include "image/tar_reader.h"
#include "tests/fuzz/tar_mutator.h"

namespace {

using namespace ctr;

void require(bool condition) {
  if (!condition) std::abort();
}

void require_inside(const std::string& path) {
  require(path.empty() || clean_entry_path(path) == path);
}

// Reads the content as a writer would, but no more than a fuzzer has time for.
void drain(TarReader& tar, const Entry& entry) {
  std::vector<std::byte> buffer(64 * 1024);
  std::uint64_t size = 0;
  for (int i = 0; i < 1000; ++i) {
    if (const std::uint64_t hole = tar.skip_hole()) {
      size += hole;
    } else if (const std::size_t count = tar.read(buffer)) {
      size += count;
    } else {
      require(size == entry.size);
      return;
    }
    require(size <= entry.size);
  }
}

void list_and_write(const LayerTree& tree) {
  EntryListWriter list;
  Hasher hasher;
  CanonicalTarWriter tar(hasher);
  tree.visit([&](const std::string& path, const LayerTree::Node& node) {
    require_inside(path);
    Entry entry = node.inode ? *node.inode : Entry{"", EntryType::Whiteout};
    entry.path = path;
    list.add(entry, node.is_implied);
    entry.size = 0;
    tar.begin(entry);
  });
  tar.finish();
  EntryListReader reader(std::move(list).finish());
  while (reader.next()) {
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  try {
    StringSource source(text);
    const auto plain = decompress(source);
    TarReader tar(*plain);
    LayerTree tree;
    while (const std::optional<Entry> entry = tar.next()) {
      require_inside(entry->path);
      const LayerTree::Placement place = tree.place(*entry);
      require_inside(place.path);
      require_inside(place.link_target);
      for (const std::string& parent : place.missing_parents) require_inside(parent);
      drain(tar, *entry);
    }
    list_and_write(tree);
  } catch (const Error&) {
    // Refused: what a hostile tar deserves.
  }
  return 0;
}
