// What a stored layer is, whichever form it has: the contract that every LayerWriter keeps.
#include "image/layer_store.h"

#include <fcntl.h>
#include <functional>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <thread>
#include <unistd.h>
#include <vector>

#include "base/error.h"
#include "base/fd_path.h"
#include "image/canonical_tar.h"
#include "image/entry_sources.h"
#include "image/garbage.h"
#include "image/tar_reader.h"
#include "tests/support/image_namespace.h"
#include "tests/support/image_tar_builder.h"

namespace ctr {
namespace {

struct Listed {
  Entry entry;
  std::string content;
  friend bool operator==(const Listed&, const Listed&) = default;
};

std::vector<Listed> list_all(EntrySource& source) {
  std::vector<Listed> result;
  while (std::optional<Entry> entry = source.next()) {
    StringSink content;
    copy_all(source, content);
    result.push_back({std::move(*entry), content.text()});
  }
  return result;
}

Entry directory(const char* path, std::uint32_t mode = 0755) {
  return Entry{path, EntryType::Directory, mode};
}

class LayerStoreTest : public testing::TestWithParam<LayerForm> {
 protected:
  void SetUp() override {
    if (::geteuid() != 0) GTEST_SKIP() << "needs root for owners and devices";
    if (GetParam() == LayerForm::Erofs && !why_no_erofs(root_.path()).empty())
      GTEST_SKIP() << why_no_erofs(root_.path());
  }

  std::unique_ptr<LayerWriter> fill(const std::string& tar) {
    StringSource source(tar);
    TarReader reader(source);
    std::unique_ptr<LayerWriter> writer = layers_.create(GetParam());
    while (const std::optional<Entry> entry = reader.next()) writer->add(*entry, reader);
    return writer;
  }
  LayerInfo unpack(const std::string& tar) { return fill(tar)->commit({Digest::of(tar), tar.size(), 0}); }
  // The tree's root, as long as the test lasts.
  fs::path tree(const LayerInfo& info) {
    trees_.push_back(layers_.open_tree(info.identity.diff_id));
    return fd_path(trees_.back().get());
  }
  // Changes the stored bytes of a file, which then are no longer what the layer's name says.
  void damage(const LayerInfo& info, const std::string& path, const std::string& old_text, const std::string& new_text) {
    if (info.form == LayerForm::Directory) return write_file_atomic(tree(info) / path, new_text, Durability::Cached);
    const fs::path image = layers_.mounts().image_path(info.identity.diff_id);
    std::string bytes = read_file(image);
    const std::size_t place = bytes.rfind(old_text);  // behind its inode; the name stands before it
    ASSERT_NE(place, std::string::npos);
    bytes.replace(place, old_text.size(), new_text);
    const Fd file = open_file(image, O_WRONLY);
    write_all(file.get(), as_bytes(bytes));
  }
  std::vector<Listed> entries(const LayerInfo& info) const { return list_all(*layers_.read(info.identity.diff_id)); }

  TempDirectory root_;
  UnsyncedMarkers markers_{root_.path(), "boot"};
  NamespaceEnd end_{root_.path() / "run"};
  LayerStore layers_{root_.path(), root_.path() / "run", markers_};
  std::vector<Fd> trees_;
};

struct stat stat_of(const fs::path& path) {
  struct stat info = {};
  EXPECT_EQ(::lstat(path.c_str(), &info), 0) << path;
  return info;
}

TEST_P(LayerStoreTest, TreeHasWhatTheTarSays) {
  TarBuilder tar;
  tar.add({"d/", '5', {}, {}, 02750, 7, 8, 111});
  tar.add({"d/f", '0', "content", {}, 04755, 1, 2, 222, 0, 0, {{"SCHILY.xattr.user.note", "v"}}});
  tar.add({"d/s", '2', {}, "../target", 0777, 3, 4, 333});
  tar.hard_link("d/h", "d/f");
  tar.add({"d/null", '3', {}, {}, 0666, 0, 0, 0, 1, 3});
  tar.add({"d/pipe", '6', {}, {}, 0600});
  const LayerInfo info = unpack(tar.finish());
  const fs::path d = tree(info) / "d";
  EXPECT_EQ(stat_of(d).st_mode & 07777u, 02750u);
  EXPECT_EQ(stat_of(d).st_uid, 7u);
  EXPECT_EQ(stat_of(d).st_mtim.tv_sec, 111);
  EXPECT_EQ(stat_of(d / "f").st_mode & 07777u, 04755u);
  EXPECT_EQ(stat_of(d / "f").st_gid, 2u);
  EXPECT_EQ(stat_of(d / "f").st_mtim.tv_sec, 222);
  EXPECT_EQ(stat_of(d / "f").st_nlink, 2u);
  EXPECT_EQ(stat_of(d / "f").st_ino, stat_of(d / "h").st_ino);
  EXPECT_EQ(read_file(d / "h"), "content");
  char value[8] = {};
  EXPECT_EQ(::getxattr((d / "f").c_str(), "user.note", value, sizeof value), 1);
  EXPECT_EQ(find_link(d / "s"), "../target");
  EXPECT_EQ(stat_of(d / "s").st_uid, 3u);
  EXPECT_EQ(stat_of(d / "s").st_mtim.tv_sec, 333);
  EXPECT_EQ(stat_of(d / "null").st_rdev, makedev(1, 3));
  EXPECT_TRUE(S_ISFIFO(stat_of(d / "pipe").st_mode));
  EXPECT_EQ(info.implied, std::vector<std::string>{""});
  EXPECT_EQ(info.content_size, 7u);
}

TEST_P(LayerStoreTest, ParentsThatATarLeavesOutAreKnownByTheirBytes) {
  TarBuilder tar;
  tar.file("\xff/%41/\xc3\xa4/f", "x");
  const LayerInfo made = unpack(tar.finish());
  EXPECT_EQ(made.implied, (std::vector<std::string>{"", "\xff", "\xff/%41", "\xff/%41/\xc3\xa4"}));
  std::vector<std::string> found = layers_.info(made.identity.diff_id).implied;
  EXPECT_EQ(found, made.implied) << "names need not be UTF-8";
  const auto list = entries(made);
  ASSERT_EQ(list.size(), 1u);
  EXPECT_EQ(list[0].entry.path, "\xff/%41/\xc3\xa4/f");
}

TEST_P(LayerStoreTest, EntriesComeBackInCanonicalOrder) {
  TarBuilder tar;
  tar.file("z", "last")
      .directory("b/")
      .file("b/f", "x")
      .hard_link("a", "z")
      .file("b/.wh.gone", "")
      .file("b/.wh..wh..opq", "");
  const auto list = entries(unpack(tar.finish()));
  std::vector<std::string> paths;
  for (const Listed& listed : list) paths.push_back(listed.entry.path);
  EXPECT_EQ(paths, (std::vector<std::string>{"a", "b", "b", "b/f", "b/gone", "z"}));
  EXPECT_EQ(list[0].content, "last");
  EXPECT_EQ(list[2].entry.type, EntryType::Opaque);
  EXPECT_EQ(list[4].entry.type, EntryType::Whiteout);
  EXPECT_EQ(list[5].entry.type, EntryType::HardLink);
  EXPECT_EQ(list[5].entry.link, "a");
}

TEST_P(LayerStoreTest, MarksAreOverlays) {
  TarBuilder tar;
  tar.directory("d/").file("d/.wh.gone", "").file("d/.wh..wh..opq", "");
  const LayerInfo info = unpack(tar.finish());
  const struct stat gone = stat_of(tree(info) / "d/gone");
  EXPECT_TRUE(S_ISCHR(gone.st_mode));
  EXPECT_EQ(gone.st_rdev, 0u);
  const char* name =
      overlay_xattrs_of_this_process() == OverlayXattrs::Trusted ? "trusted.overlay.opaque" : "user.overlay.opaque";
  char value = 0;
  EXPECT_EQ(::lgetxattr((tree(info) / "d").c_str(), name, &value, 1), 1);
  EXPECT_EQ(value, 'y');
}

TEST_P(LayerStoreTest, NothingIsWrittenOutsideWhateverTheTarSays) {
  const TempDirectory outside;
  write_file_atomic(outside.path() / "victim", "safe", Durability::Cached);
  const std::string target = outside.path().native();
  TarBuilder tar;
  tar.symlink("evil", target)
      .file("evil/victim", "overwritten")
      .symlink("up", "../../../../../../../../../../" + target);
  tar.file("up/victim", "overwritten").hard_link("evil/copy", "evil/victim");
  tar.directory("dir/").file("dir/x", "").symlink("dir", target).file("dir/victim", "overwritten");
  const LayerInfo info = unpack(tar.finish());
  EXPECT_EQ(read_file(outside.path() / "victim"), "safe");
  EXPECT_EQ(list_directory(outside.path()), std::vector<std::string>{"victim"});
  EXPECT_EQ(read_file(fs::path(tree(info).native() + target) / "victim"), "overwritten");
}

TEST_P(LayerStoreTest, LaterEntriesReplaceEarlierOnes) {
  TarBuilder tar;
  tar.file("a", "1")
      .file("a", "2")
      .directory("b/")
      .file("b/c", "x")
      .file("b", "file now")
      .symlink("c", "a")
      .directory("c/");
  tar.file("c/in", "y").directory("d/", 0700).file("d/keep", "k").directory("d/", 0711);
  const LayerInfo info = unpack(tar.finish());
  EXPECT_EQ(read_file(tree(info) / "a"), "2");
  EXPECT_EQ(read_file(tree(info) / "b"), "file now");
  EXPECT_EQ(read_file(tree(info) / "c/in"), "y");
  EXPECT_EQ(read_file(tree(info) / "d/keep"), "k");
  EXPECT_EQ(stat_of(tree(info) / "d").st_mode & 07777u, 0711u);
}

TEST_P(LayerStoreTest, SparseFilesStaySparse) {
  class Holes final : public FileContent {
   public:
    std::uint64_t skip_hole() override { return std::exchange(hole_, 0); }
    std::size_t read(std::span<std::byte>) override { return 0; }

   private:
    std::uint64_t hole_ = 1ull << 40;
  };
  Entry entry{"big", EntryType::File, 0644};
  entry.size = 1ull << 40;
  const auto writer = layers_.create(GetParam());
  Holes holes;
  writer->add(entry, holes);
  const LayerInfo info = writer->commit({Digest::of("big"), 0, 0});
  EXPECT_EQ(stat_of(tree(info) / "big").st_size, 1ll << 40);
  EXPECT_LT(disk_usage(layers_.directory() / info.identity.diff_id.hex()), 50'000u);
}

TEST_P(LayerStoreTest, ContentOfAnotherSizeIsCorrupt) {
  Entry entry{"f", EntryType::File, 0644};
  entry.size = 3;
  for (const char* text : {"1", "four"}) {
    TextContent content(text);
    const auto writer = layers_.create(GetParam());
    EXPECT_THROW(writer->add(entry, content), Error);
  }
}

TEST_P(LayerStoreTest, AttributesThatLinuxRefusesAreRefused) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root sets capabilities";
  const std::vector<std::pair<std::string, std::string>> refused = {
      {"security.capability", "abc"},
      {"security.capability", std::string("\1\0\0\2\0", 5)},
      {"security.capability", std::string("\1\0\0\7\0\x20\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 20)},
      {"security.capability", std::string("\1\1\0\2\0\x20\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 20)},
      {"security.capability", std::string("\1\0\0\3\0\x20\0\0\0\0\0\0\0\0\0\0\0\0\0\0\xff\xff\xff\xff", 24)},
      {"user.", "x"}};
  for (const auto& [name, value] : refused) {
    const auto writer = layers_.create(GetParam());
    Entry entry{"f", EntryType::File, 0644};
    entry.xattrs[name] = value;
    NoContent none;
    EXPECT_THROW(
        {
          writer->add(entry, none);  // at once: a later entry may replace it
        },
        Error)
        << name;
  }
}

TEST_P(LayerStoreTest, WithoutCommitNothingStays) {
  TarBuilder tar;
  tar.file("a", "1");
  fill(tar.finish());
  EXPECT_TRUE(list_directory(layers_.directory()).empty());
  EXPECT_FALSE(path_exists(root_.path() / "trash")) << "a full disk would stay full";
}

TEST_P(LayerStoreTest, AbandonedLayersAreFoundAndLiveOnesLeft) {
  make_directories(layers_.directory() / ".new-dead/fs");
  TarBuilder tar;
  tar.file("a", "1");
  const auto writer = fill(tar.finish());
  layers_.remove_abandoned(root_.path() / "trash");
  EXPECT_EQ(list_directory(layers_.directory()).size(), 1u);
  EXPECT_NO_THROW(writer->commit({Digest::of("x"), 0, 0}));
}

TEST_P(LayerStoreTest, TwoWritersOfOneLayerEndInOne) {
  TarBuilder tar;
  tar.file("a", "1");
  const auto first = fill(tar.finish());
  const auto second = fill(tar.finish());
  first->commit({Digest::of("x"), 0, 0});
  second->commit({Digest::of("x"), 0, 0});
  EXPECT_EQ(layers_.list(), std::vector<Digest>{Digest::of("x")});
}

TEST_P(LayerStoreTest, LayersAreWrittenInParallel) {
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([this, i] {
      TarBuilder tar;
      for (int file = 0; file < 200; ++file) tar.file("d/" + std::to_string(file), std::to_string(i));
      unpack(tar.finish());
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(layers_.list().size(), 4u);
}

// A sorted list of entries such as a COPY step makes.
std::vector<Listed> copied_files() {
  std::vector<Listed> list;
  list.push_back({directory("app"), ""});
  for (const char* name : {"app/a.js", "app/b.js"}) {
    Entry entry{name, EntryType::File, 0644, 1000, 1000, {1700000000, 123}};
    entry.size = std::string_view(name).size();
    list.push_back({entry, name});
  }
  return list;
}

TEST_P(LayerStoreTest, OurOwnLayerIsNamedByItsCanonicalTarAndMadeAgain) {
  StringSink written;
  CanonicalLayerWriter writer(layers_.create(GetParam()), &written);
  for (const Listed& listed : copied_files()) {
    TextContent content(listed.content);
    writer.add(listed.entry, content);
  }
  const LayerInfo info = writer.commit();
  EXPECT_EQ(info.identity.diff_id, Digest::of(written.text()));
  EXPECT_EQ(info.identity.tar_size, written.text().size());
  StringSink again;
  layers_.write_canonical_tar(info.identity.diff_id, again);
  EXPECT_EQ(again.text(), written.text());
}

TEST_P(LayerStoreTest, UnsortedEntriesGetTheSameNameAsSortedOnes) {
  CanonicalLayerWriter sorted(layers_.create(GetParam()));
  const auto unsorted = layers_.create(GetParam());
  std::vector<Listed> list = copied_files();
  for (const Listed& listed : list) {
    TextContent content(listed.content);
    sorted.add(listed.entry, content);
  }
  std::swap(list[1], list[2]);
  for (const Listed& listed : list) {
    TextContent content(listed.content);
    unsorted->add(listed.entry, content);
  }
  EXPECT_EQ(sorted.commit().identity.diff_id, unsorted->commit_canonical().identity.diff_id);
}

TEST_P(LayerStoreTest, DamageIsNoticedWhenTheTarIsMadeAgain) {
  CanonicalLayerWriter writer(layers_.create(GetParam()));
  for (const Listed& listed : copied_files()) {
    TextContent content(listed.content);
    writer.add(listed.entry, content);
  }
  const LayerInfo info = writer.commit();
  damage(info, "app/a.js", "app/a.js", "APP/A.JS");
  StringSink sink;
  try {
    layers_.write_canonical_tar(info.identity.diff_id, sink);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::Corrupt);
  }
}

TEST_P(LayerStoreTest, AdoptedUpperBecomesALayerByRename) {
  const fs::path upper = root_.path() / "upper";
  make_directories(upper / "etc/opaque");
  write_file_atomic(upper / "etc/new", "content", Durability::Cached);
  ASSERT_EQ(::mknod((upper / "etc/gone").c_str(), S_IFCHR, 0), 0);
  ASSERT_EQ(::link((upper / "etc/new").c_str(), (upper / "etc/same").c_str()), 0);
  if (overlay_xattrs_of_this_process() == OverlayXattrs::Trusted) {
    ASSERT_EQ(::setxattr((upper / "etc/opaque").c_str(), "trusted.overlay.opaque", "y", 1, 0), 0);
    ASSERT_EQ(::setxattr((upper / "etc").c_str(), "trusted.overlay.impure", "y", 1, 0), 0);
    ASSERT_EQ(::setxattr((upper / "etc/new").c_str(), "trusted.overlay.origin", "y", 1, 0), 0);
  }
  const ino_t inode = stat_of(upper / "etc/new").st_ino;
  const LayerInfo info = layers_.adopt_upper(upper);
  EXPECT_FALSE(path_exists(upper));
  EXPECT_EQ(info.form, LayerForm::Directory);
  EXPECT_EQ(stat_of(tree(info) / "etc/new").st_ino, inode);
  std::string shown;
  for (const Listed& listed : entries(info))
    shown += listed.entry.path + " " + std::to_string(static_cast<int>(listed.entry.type)) + ", ";
  EXPECT_EQ(shown, "etc 1, etc/gone 7, etc/new 0, etc/opaque 1, etc/opaque 8, etc/same 3, ");
  EXPECT_LT(::getxattr((tree(info) / "etc").c_str(), "trusted.overlay.impure", nullptr, 0), 0);
  EXPECT_LT(::getxattr((tree(info) / "etc/new").c_str(), "trusted.overlay.origin", nullptr, 0), 0);
  StringSink tar;
  layers_.write_canonical_tar(info.identity.diff_id, tar);
  EXPECT_EQ(Digest::of(tar.text()), info.identity.diff_id);
}

TEST_P(LayerStoreTest, ForeignLayerHasNoCanonicalTar) {
  TarBuilder tar;
  tar.file("a", "1");
  const LayerInfo info = unpack(tar.finish());
  StringSink sink;
  EXPECT_THROW(layers_.write_canonical_tar(info.identity.diff_id, sink), Error);
}

TEST_P(LayerStoreTest, CompressedFormsAreRemembered) {
  TarBuilder tar;
  tar.file("a", "1");
  const Digest diff_id = unpack(tar.finish()).identity.diff_id;
  const CompressedForm first{describe(media_type::kOciLayerGzip, "gz"), "one:6"};
  const CompressedForm second{describe(media_type::kOciLayerGzip, "gz2"), "one:6"};
  layers_.remember_compressed(diff_id, first);
  layers_.remember_compressed(diff_id, second);
  ASSERT_EQ(layers_.compressed_forms(diff_id).size(), 1u);
  EXPECT_EQ(layers_.compressed_forms(diff_id)[0].blob, second.blob);
}

INSTANTIATE_TEST_SUITE_P(Forms, LayerStoreTest, testing::Values(LayerForm::Directory, LayerForm::Erofs),
                         [](const auto& form) { return form.param == LayerForm::Erofs ? "Erofs" : "Directory"; });

}  // namespace
}  // namespace ctr
