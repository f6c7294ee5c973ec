#include "image/canonical_tar.h"

#include <gtest/gtest.h>
#include <vector>

#include "base/error.h"
#include "base/file.h"
#include "base/process.h"
#include "image/digest.h"
#include "image/tar_reader.h"

namespace ctr {
namespace {

struct Listed {
  Entry entry;
  std::string content;
};

Entry make(const std::string& path, EntryType type, std::uint32_t mode) {
  Entry entry{path, type, mode, 1000, 1000, {1700000000, 0}};
  return entry;
}

// One of everything that the rules speak of.
std::vector<Listed> everything() {
  std::vector<Listed> list;
  const auto add = [&](Entry entry, std::string content = {}) {
    entry.size = content.size();
    list.push_back({std::move(entry), std::move(content)});
  };
  add(make("", EntryType::Directory, 0755));
  add(make("a", EntryType::Directory, 01777));
  add(Entry{"a", EntryType::Opaque});
  add(make("a/b", EntryType::File, 0644), "content\n");
  add(Entry{"a/gone", EntryType::Whiteout});
  Entry device = make("a/null", EntryType::CharacterDevice, 0666);
  device.device_major = 1;
  device.device_minor = 3;
  add(device);
  add(make("a-b", EntryType::Fifo, 0600));
  Entry block = make("disk", EntryType::BlockDevice, 0660);
  block.device_major = 8;
  block.device_minor = 0xfffff;
  add(block);
  Entry early = make("early", EntryType::File, 0600);
  early.mtime.seconds = -1;
  add(early);
  add(make("empty", EntryType::File, 0), "");
  Entry link = make("hard", EntryType::HardLink, 0644);
  link.link = "a/b";
  add(link);
  Entry huge_id = make("ids", EntryType::File, 0644);
  huge_id.uid = 4294967294u;
  huge_id.gid = 2097152;
  add(huge_id, "x");
  const std::string long_directory = std::string(99, 'l');
  add(make(long_directory, EntryType::Directory, 0755));
  add(make(long_directory + "/" + std::string(255, 'f'), EntryType::File, 0644), std::string(513, 'y'));
  Entry symlink = make("sym", EntryType::Symlink, 0777);
  symlink.link = std::string(200, 't');
  add(symlink);
  Entry late = make("z-late", EntryType::File, 0644);
  late.mtime.seconds = 8589934592;
  late.xattrs = {
      {"security.capability", std::string("\1\0\0\2\0\0\0\0", 8)}, {"user.b", ""}, {"user.a", "line\nbreak=x"}};
  add(late);
  add(make("\xc3\xbc\xff", EntryType::File, 0644), "");
  return list;
}

std::string written(const std::vector<Listed>& list) {
  StringSink sink;
  CanonicalTarWriter tar(sink);
  for (const Listed& listed : list) {
    TextContent content(listed.content);
    tar.add(listed.entry, content);
  }
  tar.finish();
  return sink.text();
}

TEST(CanonicalTar, BytesAreThoseOfTheGoldenFile) {
  const fs::path golden = fs::path(CTR_TESTDATA) / "canonical_tar" / "v1.tar";
  const std::string tar = written(everything());
  if (std::getenv("CTR_WRITE_GOLDEN") != nullptr) write_file_atomic(golden, tar, Durability::Cached);
  EXPECT_EQ(Digest::of(tar), Digest::of(read_file(golden)));
}

TEST(CanonicalTar, ComesBackThroughTheReader) {
  const std::string tar = written(everything());
  StringSource source(tar);
  TarReader reader(source);
  for (const Listed& listed : everything()) {
    const std::optional<Entry> entry = reader.next();
    ASSERT_TRUE(entry) << listed.entry.path;
    EXPECT_EQ(entry->path, listed.entry.path);
    if (entry->type == EntryType::HardLink) continue;
    EXPECT_EQ(*entry, listed.entry) << listed.entry.path;
    StringSink content;
    copy_all(reader, content);
    EXPECT_EQ(content.text(), listed.content);
  }
  EXPECT_FALSE(reader.next());
}

TEST(CanonicalTar, GnuTarReadsIt) {
  const TempDirectory directory;
  write_file_atomic(directory.path() / "x.tar", written(everything()), Durability::Cached);
  Command command{{"tar", "-tvf", (directory.path() / "x.tar").native()}};
  const auto result = run_command(command);
  EXPECT_TRUE(result.status.success()) << result.standard_error;
  EXPECT_NE(result.standard_out.find("hard link to a/b"), std::string::npos);
}

TEST(CanonicalTar, NanosecondsAndForeignAttributesDoNotShow) {
  Entry plain = make("f", EntryType::File, 0644);
  Entry decorated = plain;
  decorated.mtime.nanoseconds = 5;
  decorated.xattrs = {
      {"security.selinux", "x"}, {"trusted.overlay.origin", "y"}, {"user.overlay.opaque", "y"}, {"user.a=b", "z"}};
  EXPECT_EQ(written({{plain, ""}}), written({{decorated, ""}}));
}

TEST(CanonicalTar, WrongOrderIsRefused) {
  const Entry a = make("a", EntryType::File, 0644);
  const Entry b = make("b", EntryType::File, 0644);
  EXPECT_THROW(written({{b, ""}, {a, ""}}), Error);
  EXPECT_THROW(written({{a, ""}, {a, ""}}), Error);
}

TEST(CanonicalTar, ContentOfAnotherSizeIsCorrupt) {
  Entry entry = make("a", EntryType::File, 0644);
  entry.size = 3;
  EXPECT_THROW(written({{entry, "four"}}), Error);
  EXPECT_THROW(written({{entry, "1"}}), Error);
}

TEST(CanonicalTar, NameThatMeansADeletedFileIsRefused) {
  EXPECT_THROW(written({{make(".wh.x", EntryType::File, 0644), ""}}), Error);
  EXPECT_THROW(written({{make("a/.wh.x/y", EntryType::File, 0644), ""}}), Error);
}

}  // namespace
}  // namespace ctr
