#include "image/entry.h"

#include <algorithm>
#include <gtest/gtest.h>

#include "base/error.h"
#include "image/entry_list.h"

namespace ctr {
namespace {

TEST(EntryPath, OrderPutsADirectorysContentBehindIt) {
  std::vector<std::string> paths{"a-b", "a/z", "a", "b", "a/b/c", "a/b", ""};
  std::sort(paths.begin(), paths.end(),
            [](const auto& left, const auto& right) { return compare_paths(left, right) < 0; });
  EXPECT_EQ(paths, (std::vector<std::string>{"", "a", "a/b", "a/b/c", "a/z", "a-b", "b"}));
}

TEST(EntryPath, IsCleaned) {
  EXPECT_EQ(clean_entry_path("./a//b/./c/"), "a/b/c");
  EXPECT_EQ(clean_entry_path("/etc/passwd"), "etc/passwd");
  EXPECT_EQ(clean_entry_path("./"), "");
}

TEST(EntryPath, ThatLeadsOutIsRefused) {
  for (const char* path : {"..", "a/..", "../x", "a/../../x", "/..", "a/b/.."})
    EXPECT_THROW(clean_entry_path(path), Error) << path;
  EXPECT_THROW(clean_entry_path(std::string(256, 'a')), Error);
  EXPECT_THROW(clean_entry_path(std::string_view("a\0b", 3)), Error);
}

Entry sample() {
  Entry entry{"usr/bin/ping", EntryType::File, 04755, 1, 70000, {-5, 123456789}};
  entry.size = 5'000'000'000;
  entry.xattrs = {{"security.capability", std::string("\1\0\0\2", 4)}, {"user.x", ""}};
  return entry;
}

TEST(EntryList, ComesBack) {
  Entry link{"usr/bin/pong", EntryType::Symlink, 0777};
  link.link = "ping";
  const Entry whiteout{"usr/gone", EntryType::Whiteout};
  EntryListWriter writer;
  writer.add(Entry{"usr", EntryType::Directory, 0755}, true);
  writer.add(sample(), false);
  writer.add(link, false);
  writer.add(whiteout, false);
  EXPECT_EQ(writer.count(), 4u);
  EntryListReader reader(std::move(writer).finish());
  const auto implied = reader.next();
  EXPECT_TRUE(implied->is_implied);
  EXPECT_EQ(implied->entry.path, "usr");
  EXPECT_EQ(reader.next()->entry, sample());
  EXPECT_EQ(reader.next()->entry, link);
  EXPECT_EQ(reader.next()->entry, whiteout);
  EXPECT_FALSE(reader.next());
}

TEST(EntryList, EveryTruncationIsNoticed) {
  EntryListWriter writer;
  writer.add(sample(), false);
  const std::string whole = std::move(writer).finish();
  for (std::size_t size = 0; size + 2 < whole.size(); ++size) {
    EXPECT_THROW(
        {
          EntryListReader reader(whole.substr(0, size));
          while (reader.next()) {
          }
        },
        Error)
        << size;
  }
}

}  // namespace
}  // namespace ctr
