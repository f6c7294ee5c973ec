// The EROFS form: images that the kernel mounts and fsck.erofs accepts, with the same tree as the directory form.
#include "image/layer_erofs.h"

#include <algorithm>
#include <cstring>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <map>
#include <ostream>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/error.h"
#include "base/fd_path.h"
#include "base/process.h"
#include "image/canonical_tar.h"
#include "image/entry_sources.h"
#include "image/garbage.h"
#include "image/tar_reader.h"
#include "tests/support/image_namespace.h"
#include "tests/support/image_tar_builder.h"

namespace ctr {
namespace {

struct Described {
  Entry entry;
  Digest content;
  friend bool operator==(const Described&, const Described&) = default;
};

std::ostream& operator<<(std::ostream& out, const Described& file) {
  const Entry& entry = file.entry;
  out << entry.path << " type " << static_cast<int>(entry.type) << " mode " << std::oct << entry.mode << std::dec << " "
      << entry.uid << ":" << entry.gid << " time " << entry.mtime.seconds << "." << entry.mtime.nanoseconds << " size "
      << entry.size << " link " << entry.link << " device " << entry.device_major << "/" << entry.device_minor;
  for (const auto& [name, value] : entry.xattrs) out << " " << name << "(" << value.size() << ")";
  return out << " " << file.content.hex().substr(0, 12);
}

std::vector<Described> describe_all(EntrySource& source) {
  std::vector<Described> result;
  while (const std::optional<Entry> entry = source.next()) {
    Hasher hasher;
    copy_all(source, hasher);
    result.push_back({*entry, hasher.digest()});
  }
  return result;
}

class LayerErofsTest : public testing::Test {
 protected:
  void SetUp() override {
    if (const std::string& why = why_no_erofs(root_.path()); !why.empty()) GTEST_SKIP() << why;
  }

  struct Stored {
    LayerInfo erofs;
    LayerInfo directory;
  };

  void fill(LayerWriter& writer, const std::string& tar) {
    StringSource source(tar);
    TarReader reader(source);
    while (const std::optional<Entry> entry = reader.next()) writer.add(*entry, reader);
  }

  LayerInfo store(LayerForm form, const std::string& name, const std::string& tar) {
    const auto writer = layers_.create(form);
    fill(*writer, tar);
    return writer->commit({Digest::of(name), tar.size(), 0});
  }

  // Writes both forms and compares what readers of both get, and the trees that a container would see.
  Stored store_both(const std::string& tar) {
    const Stored stored{store(LayerForm::Erofs, tar + "e", tar), store(LayerForm::Directory, tar + "d", tar)};
    check_image(stored.erofs);
    const auto listed = describe_all(*layers_.read(stored.erofs.identity.diff_id));
    EXPECT_EQ(listed, describe_all(*layers_.read(stored.directory.identity.diff_id)));
    const Fd image = layers_.open_tree(stored.erofs.identity.diff_id);
    const Fd directory = layers_.open_tree(stored.directory.identity.diff_id);
    DirectorySource from_image(image.get(), TreeKind::Plain, OverlayXattrs::Trusted);
    DirectorySource from_directory(directory.get(), TreeKind::Plain, OverlayXattrs::Trusted);
    std::vector<Described> in_image = describe_all(from_image);
    std::vector<Described> in_directory = describe_all(from_directory);
    for (auto* list : {&in_image, &in_directory}) std::ranges::for_each(*list, forget_whiteout);
    EXPECT_EQ(in_image, in_directory);
    EXPECT_EQ(stored.erofs.entries, stored.directory.entries);
    EXPECT_EQ(stored.erofs.content_size, stored.directory.content_size);
    EXPECT_EQ(stored.erofs.implied, stored.directory.implied);
    return stored;
  }

  // The time of a whiteout means nothing, and in an image all of them are one file.
  static void forget_whiteout(Described& file) {
    const bool is_device = file.entry.type == EntryType::CharacterDevice || file.entry.type == EntryType::HardLink;
    if (is_device && file.entry.mode == 0) file.entry = Entry{file.entry.path, EntryType::Whiteout};
  }

  fs::path image_of(const LayerInfo& info) const { return layers_.mounts().image_path(info.identity.diff_id); }

  void check_image(const LayerInfo& info) {
    const auto program = find_program("fsck.erofs");
    if (!program) return;
    Command command;
    command.argv = {program->native(), "--extract", image_of(info).native()};
    const CommandOutput output = run_command(command);
    EXPECT_TRUE(output.status.success()) << output.standard_out << output.standard_error;
  }

  TempDirectory root_;
  UnsyncedMarkers markers_{root_.path(), "boot"};
  NamespaceEnd end_{root_.path() / "run"};
  LayerStore layers_{root_.path(), root_.path() / "run", markers_};
};

Entry file_of(const std::string& path, std::uint64_t size) {
  Entry entry{path, EntryType::File, 0644};
  entry.size = size;
  return entry;
}

TEST_F(LayerErofsTest, EveryKindOfFileIsAsInADirectory) {
  TarBuilder tar;
  tar.add({"d/", '5', {}, {}, 02750, 7, 8, 111});
  tar.add({"d/f", '0', "content", {}, 04755, 1, 2, 222, 0, 0, {{"SCHILY.xattr.user.note", "v"}}});
  tar.add({"d/g", '0', "", {}, 0600, 70000, 70001, 1, 0, 0, {{"SCHILY.xattr.user.note", "v"}, {"SCHILY.xattr.user.b", "w"}}});
  tar.add({"d/s", '2', {}, "../target", 0777, 3, 4, 333});
  tar.hard_link("d/h", "d/f");
  tar.add({"d/null", '3', {}, {}, 0666, 0, 0, 0, 1, 3});
  tar.add({"d/large", '4', {}, {}, 0666, 0, 0, 0, 259, 1048575});
  tar.add({"d/pipe", '6', {}, {}, 0600});
  tar.file("d/.wh.gone", "").file("x/.wh..wh..opq", "").file("x/.wh.also", "");
  store_both(tar.finish());
}

TEST_F(LayerErofsTest, ContentOfEverySizeAroundABlockComesBack) {
  TarBuilder tar;
  std::string text;
  for (int i = 0; i < 20'000; ++i) text += static_cast<char>('a' + i * 7 % 26);
  for (const int size : {0, 1, 31, 4000, 4031, 4032, 4033, 4095, 4096, 4097, 8191, 8192, 8193, 12'288, 19'999})
    tar.file("f" + std::to_string(size), text.substr(0, static_cast<std::size_t>(size)));
  store_both(tar.finish());
}

TEST_F(LayerErofsTest, NamesMayComeBeforeTheDotsAndBe255BytesLong) {
  TarBuilder tar;
  for (const char* name : {"!", "+", "-", ".", "..a", ".a", "a", "\xff\xfe", "a b"})
    if (std::string_view(name) != ".") tar.file(std::string("d/") + name, name);
  tar.file("d/" + std::string(255, 'n'), "long");
  tar.symlink("d/link", std::string(4000, 'l'));
  tar.symlink("d/longest", std::string(4095, 'l'));
  store_both(tar.finish());
}

TEST_F(LayerErofsTest, LargeDirectoriesAreSearchable) {
  const auto writer = layers_.create(LayerForm::Erofs);
  NoContent none;
  for (int i = 0; i < 100'000; ++i) writer->add(Entry{"d/" + std::to_string(i), EntryType::File, 0644}, none);
  const LayerInfo info = writer->commit({Digest::of("many"), 0, 0});
  check_image(info);
  const Fd tree = layers_.open_tree(info.identity.diff_id);
  const Fd directory = open_at(tree.get(), "d", O_RDONLY | O_DIRECTORY);
  EXPECT_EQ(list_directory_fd(directory.get()).size(), 100'000u);
  for (const int i : {0, 1, 9999, 50'000, 99'999}) EXPECT_TRUE(find_at(directory.get(), std::to_string(i), O_PATH)) << i;
  EXPECT_FALSE(find_at(directory.get(), "100000", O_PATH));
}

TEST_F(LayerErofsTest, HardLinksAreOneFileHoweverMany) {
  TarBuilder tar;
  tar.file("first", "content");
  for (int i = 0; i < 70'000; ++i) tar.hard_link("l" + std::to_string(i), "first");
  const LayerInfo info = store(LayerForm::Erofs, "links", tar.finish());  // more than ext4 can hold
  const Fd tree = layers_.open_tree(info.identity.diff_id);
  struct stat status = {};
  ASSERT_EQ(::fstatat(tree.get(), "l69999", &status, 0), 0);
  EXPECT_EQ(status.st_nlink, 70'001u);
  EXPECT_EQ(info.content_size, 7u);
  check_image(info);
}

TEST_F(LayerErofsTest, TimesBeforeTheEpochAndWithNanosecondsAreKept) {
  const auto writer = layers_.create(LayerForm::Erofs);
  NoContent none;
  Entry old{"old", EntryType::File, 0644, 0, 0, {-86'400, 7}};
  Entry exact{"exact", EntryType::File, 0644, 0, 0, {1'700'000'000, 123'456'789}};
  writer->add(old, none);
  writer->add(exact, none);
  const LayerInfo info = writer->commit({Digest::of("times"), 0, 0});
  const auto list = describe_all(*layers_.read(info.identity.diff_id));
  ASSERT_EQ(list.size(), 2u);
  EXPECT_EQ(list[0].entry.mtime, exact.mtime);
  EXPECT_EQ(list[1].entry.mtime, old.mtime);
}

TEST_F(LayerErofsTest, AttributesLargerThanABlockComeBack) {
  const auto writer = layers_.create(LayerForm::Erofs);
  for (const char* name : {"a", "b", "c"}) {
    Entry entry = file_of(name, 5);
    entry.xattrs["user.large"] = std::string(60'000, *name == 'c' ? 'y' : 'x');
    entry.xattrs["security.capability"] = std::string("\x01\0\0\x02\0\x20\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 20);
    TextContent content("12345");
    writer->add(entry, content);
  }
  const LayerInfo info = writer->commit({Digest::of("attributes"), 0, 0});
  check_image(info);
  for (const Described& file : describe_all(*layers_.read(info.identity.diff_id))) {
    EXPECT_EQ(file.entry.xattrs.at("user.large"), std::string(60'000, file.entry.path == "c" ? 'y' : 'x'));
    EXPECT_EQ(file.entry.xattrs.at("security.capability").size(), 20u);
    EXPECT_EQ(file.content, Digest::of("12345"));
  }
  EXPECT_LT(fs::file_size(image_of(info)), 160'000u);  // "x" is there once
}

TEST_F(LayerErofsTest, AnAttributeOf64KiBIsRefused) {
  const auto writer = layers_.create(LayerForm::Erofs);
  Entry entry{"f", EntryType::File, 0644};
  entry.xattrs["user.large"] = std::string(65'536, 'x');
  NoContent none;
  writer->add(entry, none);
  EXPECT_THROW(writer->commit({Digest::of("x"), 0, 0}), Error);
}

// Zeros but for some bytes, given as holes where it may.
class Holes final : public FileContent {
 public:
  Holes(std::uint64_t size, std::map<std::uint64_t, std::string> data) : size_(size), data_(std::move(data)) {}
  std::uint64_t skip_hole() override {
    const auto next = data_.lower_bound(position_);
    const std::uint64_t end = next == data_.end() ? size_ : next->first;
    const std::uint64_t hole = end - position_;
    position_ = end;
    return hole;
  }
  std::size_t read(std::span<std::byte> buffer) override {
    const auto here = data_.find(position_);
    if (here == data_.end()) return 0;
    const std::size_t count = std::min(buffer.size(), here->second.size());
    std::memcpy(buffer.data(), here->second.data(), count);
    if (count < here->second.size()) data_[position_ + count] = here->second.substr(count);
    position_ += count;
    return count;
  }

 private:
  std::uint64_t size_;
  std::map<std::uint64_t, std::string> data_;
  std::uint64_t position_ = 0;
};

TEST_F(LayerErofsTest, SparseFilesKeepTheirHoles) {
  const std::map<std::string, std::pair<std::uint64_t, std::map<std::uint64_t, std::string>>> files = {
      {"begin", {1 << 20, {{0, "data"}}}},
      {"end", {(1 << 20) + 5, {{1 << 20, "data!"}}}},
      {"middle", {10 << 20, {{5'000'000, std::string(10'000, 'm')}, {9'000'000, "n"}}}},
      {"nothing", {5'000'000, {}}},
      {"small", {100, {}}},
      {"over 4 GiB", {(5ull << 30) + 1, {{0, "first"}, {(4ull << 30) + 17, "later"}, {5ull << 30, "z"}}}},
  };
  const auto writer = layers_.create(LayerForm::Erofs);
  for (const auto& [path, file] : files) {
    Holes content(file.first, file.second);
    writer->add(file_of(path, file.first), content);
  }
  const LayerInfo info = writer->commit({Digest::of("sparse"), 0, 0});
  EXPECT_LT(disk_usage(image_of(info)), 400'000u);
  const Fd tree = layers_.open_tree(info.identity.diff_id);
  for (const auto& [path, file] : files) {
    const Fd opened = open_at(tree.get(), path, O_RDONLY);
    EXPECT_EQ(::lseek(opened.get(), 0, SEEK_END), static_cast<off_t>(file.first)) << path;
    for (const auto& [position, text] : file.second) {
      std::string found(text.size() + 8, '?');
      const ssize_t count = ::pread(opened.get(), found.data(), found.size(), static_cast<off_t>(position));
      ASSERT_GE(count, static_cast<ssize_t>(text.size())) << path;
      EXPECT_EQ(found.substr(0, text.size()), text) << path;
      EXPECT_EQ(found.substr(text.size(), static_cast<std::size_t>(count) - text.size()).find_first_not_of('\0'), std::string::npos) << path;
    }
  }
  const Fd hole = open_at(tree.get(), "end", O_RDONLY);
  EXPECT_GT(::lseek(hole.get(), 0, SEEK_DATA), 500'000);
}

TEST_F(LayerErofsTest, ReplacedFilesTakeNoSpace) {
  TarBuilder tar;
  for (int i = 0; i < 50; ++i) tar.file("same", std::string(1'000'000, static_cast<char>('a' + i % 26)));
  const Stored stored = store_both(tar.finish());
  EXPECT_LT(disk_usage(image_of(stored.erofs)), 3'000'000u);
}

TEST_F(LayerErofsTest, EqualTarsAreEqualImages) {
  TarBuilder tar;
  tar.directory("d/").file("d/a", std::string(10'000, 'a')).file("d/b", "b").symlink("l", "d/a").file(".wh.x", "");
  const std::string bytes = tar.finish();
  const LayerInfo first = store(LayerForm::Erofs, "first", bytes);
  const LayerInfo second = store(LayerForm::Erofs, "second", bytes);
  EXPECT_EQ(read_file(image_of(first)), read_file(image_of(second)));
}

TEST_F(LayerErofsTest, SmallFilesArePacked) {
  TarBuilder tar;
  std::uint64_t content = 0;
  for (std::size_t i = 0; i < 3000; ++i) {
    const std::size_t size = i * 2654435761u % 4096;
    content += size;
    tar.file("d" + std::to_string(i % 30) + "/" + std::to_string(i), std::string(size, 'x'));
  }
  const std::string bytes = tar.finish();
  const LayerInfo info = store(LayerForm::Erofs, "packed", bytes);
  EXPECT_LT(fs::file_size(image_of(info)), bytes.size() + bytes.size() / 50);
}

TEST_F(LayerErofsTest, ALayerIsMountedOnceAndGoesWithItsDirectory) {
  TarBuilder tar;
  tar.file("f", "x");
  const LayerInfo info = store(LayerForm::Erofs, "once", tar.finish());
  const Digest& diff_id = info.identity.diff_id;
  const auto device = [](const Fd& tree) {
    struct stat status = {};
    EXPECT_EQ(::fstat(tree.get(), &status), 0);
    return status.st_dev;
  };
  const dev_t first = device(layers_.open_tree(diff_id));
  const LayerMounts others(root_.path(), root_.path() / "run");
  EXPECT_EQ(device(others.open_tree(diff_id)), first);
  layers_.remove(diff_id, root_.path() / "trash");
  remove_tree(root_.path() / "trash");
  EXPECT_FALSE(layers_.has(diff_id));
}

TEST_F(LayerErofsTest, ADamagedImageIsCorruptAndNothingElse) {
  TarBuilder tar;
  tar.file("f", "x");
  const LayerInfo info = store(LayerForm::Erofs, "damaged", tar.finish());
  const Fd file = open_file(image_of(info), O_WRONLY);
  const std::string zeros(200, '\0');
  ASSERT_EQ(::pwrite(file.get(), zeros.data(), zeros.size(), 1024), 200);
  EXPECT_THROW(layers_.open_tree(info.identity.diff_id), Error);
}

}  // namespace
}  // namespace ctr
