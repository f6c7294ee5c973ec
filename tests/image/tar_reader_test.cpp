#include "image/tar_reader.h"

#include <gtest/gtest.h>
#include <vector>

#include "base/error.h"
#include "base/process.h"
#include "tests/support/image_tar_builder.h"

namespace ctr {
namespace {

struct ReadEntry {
  Entry entry;
  std::string content;
};

std::vector<ReadEntry> read_all(const std::string& bytes, WhiteoutNames names = WhiteoutNames::AreMarks) {
  StringSource source(bytes);
  TarReader tar(source, names);
  std::vector<ReadEntry> result;
  while (std::optional<Entry> entry = tar.next()) {
    StringSink content;
    copy_all(tar, content);
    result.push_back({std::move(*entry), content.text()});
  }
  return result;
}

Entry only_entry(const TarBuilder& tar) {
  const std::vector<ReadEntry> entries = read_all(tar.finish());
  EXPECT_EQ(entries.size(), 1u);
  return entries.at(0).entry;
}

TEST(TarReader, ReadsAttributesAndContent) {
  TarBuilder tar;
  tar.add({"./bin/su", '0', "content", {}, 04755, 3, 4, 1234567});
  const auto entries = read_all(tar.finish());
  ASSERT_EQ(entries.size(), 1u);
  EXPECT_EQ(entries[0].entry.path, "bin/su");
  EXPECT_EQ(entries[0].entry.mode, 04755u);
  EXPECT_EQ(entries[0].entry.uid, 3u);
  EXPECT_EQ(entries[0].entry.gid, 4u);
  EXPECT_EQ(entries[0].entry.mtime.seconds, 1234567);
  EXPECT_EQ(entries[0].content, "content");
}

TEST(TarReader, EmptyArchivesHaveNoEntries) {
  EXPECT_TRUE(read_all("").empty());
  EXPECT_TRUE(read_all(TarBuilder().finish()).empty());
}

TEST(TarReader, PaxGivesLongNamesTimesIdsAndAttributes) {
  const std::string name = std::string(120, 'd') + "/" + std::string(200, 'f');
  TarBuilder tar;
  tar.add({"short",
           '0',
           "x",
           {},
           0644,
           0,
           0,
           0,
           0,
           0,
           {{"path", name},
            {"mtime", "-3.5"},
            {"uid", "4000000000"},
            {"SCHILY.xattr.user.note", "hi"},
            {"SCHILY.xattr.security.capability", std::string("\1\0\0\2\0", 5)},
            {"SCHILY.xattr.security.selinux", "label"}}});
  const Entry entry = only_entry(tar);
  EXPECT_EQ(entry.path, name);
  EXPECT_EQ(entry.uid, 4000000000u);
  EXPECT_LT(entry.mtime.seconds, 0);
  EXPECT_EQ(entry.xattrs, (Xattrs{{"security.capability", std::string("\1\0\0\2\0", 5)}, {"user.note", "hi"}}));
}

TEST(TarReader, PaxNamesKeepTheirBytes) {
  TarBuilder tar;
  tar.add({"x", '0', "", {}, 0644, 0, 0, 0, 0, 0, {{"path", "gr\xc3\xbc\xc3\x9f"}}});
  EXPECT_EQ(only_entry(tar).path, "gr\xc3\xbc\xc3\x9f");
}

TEST(TarReader, UstarNamesKeepBytesThatAreNoUtf8) {
  TarBuilder tar;
  tar.file("bad\xff\xfename", "");
  EXPECT_EQ(only_entry(tar).path, "bad\xff\xfename");
}

TEST(TarReader, GnuLongNamesAreRead) {
  const std::string name(300, 'n');
  TarBuilder tar;
  tar.add({"././@LongLink", 'L', "d/" + name.substr(0, 250) + '\0'}).file("d/" + name.substr(0, 90), "x");
  EXPECT_EQ(only_entry(tar).path, "d/" + name.substr(0, 250));
}

TEST(TarReader, WhiteoutsAndOpaqueMarksAreTypes) {
  TarBuilder tar;
  tar.file("a/.wh.gone", "").file("a/.wh..wh..opq", "").file(".wh..wh.plnk", "").file(".wh.top", "");
  const auto entries = read_all(tar.finish());
  ASSERT_EQ(entries.size(), 3u);
  EXPECT_EQ(entries[0].entry, (Entry{"a/gone", EntryType::Whiteout}));
  EXPECT_EQ(entries[1].entry, (Entry{"a", EntryType::Opaque}));
  EXPECT_EQ(entries[2].entry, (Entry{"top", EntryType::Whiteout}));
}

TEST(TarReader, PlainNamesStayPlainWhereAsked) {
  TarBuilder tar;
  tar.file("a/.wh.gone", "");
  EXPECT_EQ(read_all(tar.finish(), WhiteoutNames::ArePlain).at(0).entry.path, "a/.wh.gone");
}

TEST(TarReader, RefusesWhatALayerMustNotHave) {
  const TarBuilder::Member members[] = {
      {"../evil", '0'},
      {"a/../../evil", '0'},
      {"x", '1', {}, "../../etc/shadow"},
      {"dev", '3', {}, {}, 0600, 0, 0, 0, 0, 0},
      {"x", '0', {}, {}, 0644, 0, 0, 0, 0, 0, {{"SCHILY.xattr.trusted.overlay.opaque", "y"}}},
      {"x", '0', {}, {}, 0644, 0, 0, 0, 0, 0, {{"SCHILY.xattr.user.overlay.redirect", "/etc"}}},
      {"x", '0', {}, {}, 0644, 0, 0, 0, 0, 0, {{"uid", "4294967295"}}},
      {".wh..", '0'},
      {"a/.wh...", '0'},
      {".wh.", '0'},
      {".wh.dir/file", '0'},
      {"a/.wh.dir/file", '0'},
      {std::string("."), '0'},
      {"link", '2', {}, ""},
      {std::string(100, 'a'), '0', {}, {}, 0644, 0, 0, 0, 0, 0, {{"path", std::string(300, 'a')}}},
  };
  for (const TarBuilder::Member& member : members) {
    TarBuilder tar;
    tar.add(member);
    EXPECT_THROW(read_all(tar.finish()), Error) << member.name << " " << member.type << " " << member.link;
  }
}

TEST(TarReader, AbsoluteNamesLandInside) {
  TarBuilder tar;
  tar.file("/etc/passwd", "");
  EXPECT_EQ(only_entry(tar).path, "etc/passwd");
}

TEST(TarReader, TruncationIsCorrupt) {
  TarBuilder tar;
  tar.file("a", std::string(2000, 'x'));
  EXPECT_THROW(read_all(tar.bytes().substr(0, 1500)), Error);
  EXPECT_THROW(read_all("this is no tar at all, but some text"), Error);
}

TEST(TarReader, ErrorOfTheSourceComesThrough) {
  class Failing final : public ByteSource {
   public:
    std::size_t read(std::span<std::byte>) override { throw Error(ErrorKind::Unavailable, "connection lost"); }
  };
  Failing source;
  try {
    TarReader tar(source);
    tar.next();
    FAIL();
  } catch (const Error& error) {
    EXPECT_STREQ(error.what(), "connection lost");
  }
}

TEST(TarReader, HolesOfSparseFilesAreSkippedAndReadAsZeros) {
  const TempDirectory directory;
  const Command make{{"sh", "-c",
                      "truncate -s 10M hole && printf end >> hole && tar --format=gnu -S -cf gnu.tar hole && "
                      "tar --format=pax -S -cf pax.tar hole"}};
  Command command = make;
  command.cwd = directory.path();
  ASSERT_TRUE(run_command(command).status.success());
  for (const char* name : {"gnu.tar", "pax.tar"}) {
    const std::string bytes = read_file(directory.path() / name);
    EXPECT_LT(bytes.size(), 100'000u);
    StringSource source(bytes);
    TarReader tar(source);
    const std::optional<Entry> entry = tar.next();
    ASSERT_TRUE(entry);
    EXPECT_EQ(entry->path, "hole");
    EXPECT_EQ(entry->size, 10u * 1024 * 1024 + 3);
    EXPECT_GT(tar.skip_hole(), 10'000'000u);
    EXPECT_EQ(read_all(bytes).at(0).content, std::string(10 * 1024 * 1024, '\0') + "end");
  }
}

}  // namespace
}  // namespace ctr
