#include "image/merged_tree.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "image/layer_stack.h"
#include "image/tar_reader.h"
#include "tests/support/image_store_fixture.h"
#include "tests/support/image_tar_builder.h"

namespace ctr {
namespace {

class MergedTree : public testing::TestWithParam<LayerForm> {
 protected:
  void SetUp() override {
    const std::string why = GetParam() == LayerForm::Erofs ? why_no_erofs(fixture_.path()) : "";
    if (!why.empty()) GTEST_SKIP() << why;
  }
  Digest layer(const TarBuilder& builder) {
    const std::string tar = builder.finish();
    StringSource source(tar);
    TarReader reader(source);
    const auto writer = store().layers().create(GetParam());
    while (const std::optional<Entry> entry = reader.next()) writer->add(*entry, reader);
    return writer->commit({Digest::of(tar), tar.size(), 0}).identity.diff_id;
  }
  Store& store() { return fixture_.store(); }
  fs::path tree() const { return fixture_.path() / "tree"; }
  static std::uint64_t inode(const fs::path& path) {
    struct stat info {};
    check(::lstat(path.c_str(), &info), "stat", path);
    return info.st_ino;
  }
  /// What a layer says: path and type of each entry, in order.
  std::string listing(const Digest& diff_id) {
    std::string text;
    const auto entries = store().layers().read(diff_id);
    while (const auto entry = entries->next()) {
      text += entry->path + (entry->type == EntryType::Whiteout ? " gone\n" : "\n");
    }
    return text;
  }

  StoreFixture fixture_;
};

TEST_P(MergedTree, ShowsWhatAnOverlayWouldShow) {
  const Digest low = layer(TarBuilder().directory("d").file("d/kept", "low").file("d/gone", "x").file("f", "low"));
  const Digest high = layer(TarBuilder().file("d/.wh.gone", "").file("d/new", "high").file("f", "high"));
  merge_layers(store(), {low, high}, tree(), MergedFiles::Copied);
  EXPECT_EQ(read_file(tree() / "d/kept"), "low");
  EXPECT_EQ(read_file(tree() / "d/new"), "high");
  EXPECT_EQ(read_file(tree() / "f"), "high");
  EXPECT_FALSE(path_exists(tree() / "d/gone"));
}

TEST_P(MergedTree, ClearsWhatAnOpaqueDirectoryHides) {
  const Digest low = layer(TarBuilder().directory("d").file("d/old", "low"));
  const Digest high = layer(TarBuilder().directory("d").file("d/.wh..wh..opq", "").file("d/new", "high"));
  merge_layers(store(), {low, high}, tree(), MergedFiles::Copied);
  EXPECT_FALSE(path_exists(tree() / "d/old"));
  EXPECT_EQ(read_file(tree() / "d/new"), "high");
}

TEST_P(MergedTree, SharesFilesThatAreOnlyRead) {
  if (GetParam() == LayerForm::Erofs) GTEST_SKIP() << "an image's files have no second names elsewhere";
  const Digest low = layer(TarBuilder().file("f", "text"));
  merge_layers(store(), {low}, tree(), MergedFiles::Linked);
  EXPECT_EQ(inode(tree() / "f"), inode(store().layers().tree_path(low) / "f"));
}

TEST_P(MergedTree, ReplacesALinkByADirectoryAndNeverFollowsIt) {
  const Digest low = layer(TarBuilder().symlink("d", "/tmp"));
  const Digest high = layer(TarBuilder().file("d/file", "inside"));
  merge_layers(store(), {low, high}, tree(), MergedFiles::Copied);
  EXPECT_FALSE(fs::is_symlink(tree() / "d"));
  EXPECT_EQ(read_file(tree() / "d/file"), "inside");
}

TEST_P(MergedTree, MakesALayerOfWhatChangedInACopy) {
  const Digest low =
      layer(TarBuilder().directory("d").file("d/a", "1").file("d/b", "2").file("e", "3").directory("g").file("g/h", "4"));
  merge_layers(store(), {low}, tree(), MergedFiles::Copied);
  const TreeStamp stamp(tree());
  write_file_atomic(tree() / "d/new", "5", Durability::Cached);
  ::unlink((tree() / "e").c_str());
  remove_tree(tree() / "g");
  check(::chmod((tree() / "d/b").c_str(), 0600), "chmod");
  const LayerInfo made = stamp.write_changes(store().layers());
  EXPECT_EQ(listing(made.identity.diff_id), "d\nd/b\nd/new\ne gone\ng gone\n");
}

TEST_P(MergedTree, FindsAChangeThatKeepsSizeAndTime) {
  const Digest low = layer(TarBuilder().file("f", "one"));
  merge_layers(store(), {low}, tree(), MergedFiles::Copied);
  const TreeStamp stamp(tree());
  struct stat before {};
  check(::stat((tree() / "f").c_str(), &before), "stat");
  const Fd file = open_file(tree() / "f", O_WRONLY);
  write_all(file.get(), as_bytes(std::string_view("two")));
  const timespec times[2] = {before.st_atim, before.st_mtim};
  check(::futimens(file.get(), times), "set times");
  EXPECT_EQ(listing(stamp.write_changes(store().layers()).identity.diff_id), "f\n");
}

TEST_P(MergedTree, LeavesOutWhatItIsToldTo) {
  const Digest low = layer(TarBuilder().file("f", "one"));
  merge_layers(store(), {low}, tree(), MergedFiles::Copied);
  const TreeStamp stamp(tree());
  write_file_atomic(tree() / "secret", "x", Durability::Cached);
  write_file_atomic(tree() / "made", "x", Durability::Cached);
  EXPECT_EQ(listing(stamp.write_changes(store().layers(), {"secret"}).identity.diff_id), "made\n");
}

TEST_P(MergedTree, HidesADirectoryWhoseFilesAFileReplaced) {
  const Digest low = layer(TarBuilder().directory("d").file("d/a", "1"));
  merge_layers(store(), {low}, tree(), MergedFiles::Copied);
  const TreeStamp stamp(tree());
  remove_tree(tree() / "d");
  write_file_atomic(tree() / "d", "now a file", Durability::Cached);
  EXPECT_EQ(listing(stamp.write_changes(store().layers()).identity.diff_id), "d\n");
}

INSTANTIATE_TEST_SUITE_P(Forms, MergedTree, testing::Values(LayerForm::Directory, LayerForm::Erofs),
                         [](const auto& form) { return form.param == LayerForm::Erofs ? "Image" : "Directory"; });

}  // namespace
}  // namespace ctr
