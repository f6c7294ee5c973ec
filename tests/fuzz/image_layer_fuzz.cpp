// Foreign tars as layers in both forms: whatever one accepts the other does, the image mounts, fsck.erofs (when it is
// installed) finds nothing, and both have the same files with the same content. Needs root and a kernel that mounts
// images; the layers are written to $TMPDIR.
#include <cstdio>
#include <cstdlib>
#include <map>
#include <unistd.h>

#include "base/error.h"
#include "base/fd_path.h"
#include "base/mount_namespace.h"
#include "base/process.h"
#include "image/compression.h"
#include "image/digest.h"
#include "image/entry_sources.h"
#include "image/layer_store.h"
#include "image/tar_reader.h"
#include "tests/fuzz/tar_mutator.h"

namespace {

using namespace ctr;

constexpr std::uint64_t kContentLimit = 64 * kMiB;

[[noreturn]] void complain(const std::string& what) {
  std::fprintf(stderr, "%s\n", what.c_str());
  std::abort();
}

struct Seen {
  Entry entry;
  std::string digest;
  friend bool operator==(const Seen&, const Seen&) = default;
};

std::vector<Seen> list(EntrySource& source) {
  std::vector<Seen> result;
  while (const std::optional<Entry> entry = source.next()) {
    Hasher hasher;
    if (entry->size <= kContentLimit) copy_all(source, hasher);
    result.push_back({*entry, hasher.digest().hex()});
  }
  return result;
}

class Forms {
 public:
  Forms() : markers_(root_.path(), "boot"), layers_(root_.path(), root_.path() / "run", markers_) {
    if (const std::string& why = why_no_erofs(root_.path()); !why.empty()) complain("can't mount images: " + why);
  }
  ~Forms() { remove_mount_namespace(root_.path() / "run" / "store.ns"); }

  void compare(std::string_view text) {
    const auto image = write(LayerForm::Erofs, text);
    const auto directory = write(LayerForm::Directory, text);
    if (image.has_value() != directory.has_value()) complain("one form refuses what the other takes: " + why_);
    if (!image) return;
    check_image(*image);
    const std::vector<Seen> in_image = list(*layers_.read(*image));
    const std::vector<Seen> in_directory = list(*layers_.read(*directory));
    if (in_image != in_directory) complain_about(in_image, in_directory);
    for (const Digest& layer : {*image, *directory}) layers_.remove(layer, root_.path() / "trash");
    remove_tree(root_.path() / "trash");
  }

 private:
  std::optional<Digest> write(LayerForm form, std::string_view text) {
    try {
      StringSource source(text);
      const auto plain = decompress(source);
      TarReader tar(*plain);
      const auto writer = layers_.create(form);
      while (const std::optional<Entry> entry = tar.next()) writer->add(*entry, tar);
      const Digest name = Digest::of(form == LayerForm::Erofs ? "image" : "directory");
      writer->commit({name, 0, 0});
      return name;
    } catch (const Error& error) {
      why_ = error.what();
      return std::nullopt;
    }
  }

  void check_image(const Digest& layer) {
    static const auto program = find_program("fsck.erofs");
    if (!program) return;
    Command command;
    command.argv = {program->native(), layers_.mounts().image_path(layer).native()};
    const CommandOutput output = run_command(command);
    if (!output.status.success()) complain("fsck.erofs: " + output.standard_out + output.standard_error);
  }

  [[noreturn]] static void complain_about(const std::vector<Seen>& image, const std::vector<Seen>& directory) {
    for (std::size_t i = 0; i < std::max(image.size(), directory.size()); ++i) {
      if (i < image.size() && i < directory.size() && image[i] == directory[i]) continue;
      complain("the forms differ at entry " + std::to_string(i) + ": " + (i < image.size() ? image[i].entry.path : "nothing") +
               " and " + (i < directory.size() ? directory[i].entry.path : "nothing"));
    }
    complain("the forms differ");
  }

  TempDirectory root_;
  UnsyncedMarkers markers_;
  LayerStore layers_;
  std::string why_;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static Forms forms;
  forms.compare({reinterpret_cast<const char*>(data), size});
  return 0;
}
