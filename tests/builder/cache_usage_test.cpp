#include "builder/cache_usage.h"

#include <gtest/gtest.h>

#include "base/lock.h"
#include "builder/run_mounts.h"

namespace ctr {
namespace {

class CacheUsageTest : public testing::Test {
 protected:
  void add_record(const std::string& key, const std::string& layer, std::uint64_t size) const {
    BuildRecord record{.layer = Digest::of(layer)};
    record.size = size;
    record.title = "[1/1] COPY " + layer;
    record.created = now();
    cache.save(Digest::of(key), record);
  }
  fs::path add_mount(const std::string& id) const {
    const fs::path directory = cache_mounts_directory(root.path()) / Digest::of(id).hex();
    make_directories(directory / "data");
    write_file_atomic(directory / "id", id, Durability::Cached);
    write_file_atomic(directory / "data" / "file", std::string(10'000, 'x'), Durability::Cached);
    return directory;
  }
  std::vector<CacheEntry> entries() const { return list_cache_entries(root.path(), root.path()); }
  bool remove(const CacheEntry& entry) const { return remove_cache_entry(root.path(), root.path(), entry); }

  TempDirectory root;
  BuildCache cache{root.path(), root.path()};
};

TEST_F(CacheUsageTest, RecordsOfOneLayerAreOneEntryAndGoTogether) {
  add_record("fast", "a", 100);
  add_record("slow", "a", 100);
  add_record("other", "b", 50);
  const std::vector<CacheEntry> before = entries();
  ASSERT_EQ(before.size(), 2U);
  const CacheEntry& shared = before[0].keys.size() == 2 ? before[0] : before[1];
  EXPECT_EQ(shared.id, Digest::of("a").hex());
  EXPECT_EQ(shared.size, 100U);
  EXPECT_TRUE(remove(shared));
  EXPECT_EQ(entries().size(), 1U);
  EXPECT_FALSE(cache.find(Digest::of("slow")));
  EXPECT_TRUE(cache.find(Digest::of("other")));
}

TEST_F(CacheUsageTest, ACacheMountInUseIsCountedAndStays) {
  const fs::path directory = add_mount("npm");
  {
    const FileLock held = FileLock::acquire(directory / "lock", LockMode::Shared);
    const std::vector<CacheEntry> all = entries();
    ASSERT_EQ(all.size(), 1U);
    EXPECT_TRUE(all.front().in_use);
    EXPECT_GE(all.front().size, 10'000U);
    EXPECT_EQ(all.front().title, "cache mount npm");
    EXPECT_FALSE(remove(all.front()));
  }
  EXPECT_TRUE(remove(entries().at(0)));
  EXPECT_TRUE(entries().empty());
}

TEST_F(CacheUsageTest, TheSizeOfAMountIsMeasuredAgainAfterAUse) {
  const fs::path directory = add_mount("npm");
  fs::last_write_time(directory / "id", fs::file_time_type::clock::now() - std::chrono::seconds(1));
  const std::uint64_t before = entries().at(0).size;
  write_file_atomic(directory / "data" / "more", std::string(100'000, 'x'), Durability::Cached);
  EXPECT_EQ(entries().at(0).size, before) << "nobody used it: what was measured counts";
  fs::last_write_time(directory / "id", fs::file_time_type::clock::now() + std::chrono::seconds(1));
  EXPECT_GE(entries().at(0).size, before + 100'000);
}

TEST_F(CacheUsageTest, WhatStepsPrintedIsAnEntryOfItsBuild) {
  make_directories(build_logs_directory(root.path()) / "abc");
  write_file_atomic(build_logs_directory(root.path()) / "abc" / "1.log", "text", Durability::Cached);
  const std::vector<CacheEntry> all = entries();
  ASSERT_EQ(all.size(), 1U);
  EXPECT_EQ(all.front().kind, CacheEntry::Kind::Log);
  EXPECT_TRUE(remove(all.front()));
  EXPECT_FALSE(path_exists(build_logs_directory(root.path()) / "abc"));
}

TEST_F(CacheUsageTest, NotesAndDamagedRecordsGoAndGoodRecordsStay) {
  add_record("good", "a", 1);
  write_file_atomic(cache.directory() / (Digest::of("bad").hex() + ".json"), "{", Durability::Cached);
  cache.save_build(Digest::of("build"), Json::object({{"v", 1}}));
  remove_cache_notes(root.path());
  EXPECT_FALSE(path_exists(cache.directory() / (Digest::of("bad").hex() + ".json")));
  EXPECT_FALSE(cache.find_build(Digest::of("build")));
  EXPECT_TRUE(cache.find(Digest::of("good")));
}

}  // namespace
}  // namespace ctr
