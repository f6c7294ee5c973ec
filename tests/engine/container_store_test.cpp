#include "engine/container_store.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "base/file.h"

namespace ctr {
namespace {

class ContainerStoreTest : public testing::Test {
 protected:
  TempDirectory directory_;
  Paths paths_{directory_.path() / "root", directory_.path() / "run", false};
  ContainerStore store_{paths_};

  void SetUp() override { make_directories(paths_.root); }

  ContainerRecord add(const std::string& id, const std::string& name, const std::string& created) {
    ContainerRecord record;
    record.id = id;
    record.name = name;
    record.created = created;
    make_directories(store_.directory(id));
    store_.claim_name(name, id);
    store_.save(record, RecordDurability::Cached);
    return record;
  }

  static std::string message_of(const std::function<void()>& action) {
    try {
      action();
    } catch (const Error& error) {
      return error.what();
    }
    return "no error";
  }
};

const std::string kFirst = std::string(60, 'a') + "0001";
const std::string kSecond = std::string(60, 'a') + "0002";
const std::string kThird = std::string(64, 'b');

TEST_F(ContainerStoreTest, FindsByNameIdAndUniquePrefix) {
  add(kFirst, "one", "1");
  add(kThird, "three", "2");
  EXPECT_EQ(store_.resolve("one"), kFirst);
  EXPECT_EQ(store_.resolve("/one"), kFirst);
  EXPECT_EQ(store_.resolve(kFirst), kFirst);
  EXPECT_EQ(store_.resolve("bb"), kThird);
}

TEST_F(ContainerStoreTest, ANameWinsOverAPrefix) {
  add(kFirst, "bb", "1");
  add(kThird, "three", "2");
  EXPECT_EQ(store_.resolve("bb"), kFirst);
}

TEST_F(ContainerStoreTest, AnAmbiguousPrefixIsAnError) {
  add(kFirst, "one", "1");
  add(kSecond, "two", "2");
  EXPECT_EQ(message_of([&] { store_.resolve("aaa"); }), "Multiple IDs found with provided prefix: aaa");
}

TEST_F(ContainerStoreTest, WhatIsMissingIsSaidInDockersWords) {
  EXPECT_EQ(message_of([&] { store_.get("nope"); }), "No such container: nope");
  EXPECT_EQ(message_of([&] { store_.get(kFirst); }), "No such container: " + kFirst);
  EXPECT_FALSE(store_.find("../../etc").has_value());
}

TEST_F(ContainerStoreTest, ATakenNameNamesItsHolder) {
  add(kFirst, "one", "1");
  const std::string message = message_of([&] { store_.claim_name("one", kSecond); });
  EXPECT_NE(message.find("Conflict. The container name \"/one\" is already in use by container \"" + kFirst + "\""),
            std::string::npos)
      << message;
}

TEST_F(ContainerStoreTest, TheNameOfAKilledCreateIsTakenOver) {
  store_.claim_name("one", kFirst);  // and never a record
  store_.claim_name("one", kSecond);
  EXPECT_EQ(find_link(paths_.root / "container-names" / "one"), kSecond);
}

TEST_F(ContainerStoreTest, TheNameOfARunningCreateIsNot) {
  make_directories(store_.directory(kFirst));
  const FileLock lock = store_.lock(kFirst);
  store_.claim_name("one", kFirst);
  EXPECT_THROW(store_.claim_name("one", kSecond), Error);
}

TEST_F(ContainerStoreTest, ListsNewestFirstAndLeavesUnfinishedOut) {
  add(kFirst, "one", "2026-01-01T00:00:00Z");
  add(kThird, "three", "2026-01-02T00:00:00Z");
  make_directories(store_.directory(kSecond));
  const std::vector<ContainerRecord> records = store_.list();
  ASSERT_EQ(records.size(), 2u);
  EXPECT_EQ(records[0].name, "three");
  EXPECT_EQ(records[1].name, "one");
}

TEST_F(ContainerStoreTest, RemovesWhatAKilledCreateLeft) {
  add(kFirst, "one", "2026-01-01T00:00:00Z");
  make_directories(store_.directory(kSecond));
  { const FileLock lock = store_.lock(kSecond); }
  store_.claim_name("two", kSecond);
  make_directories(store_.directory(kThird));
  const FileLock running = store_.lock(kThird);
  EXPECT_EQ(store_.remove_abandoned(), std::vector<std::string>{kSecond});
  EXPECT_FALSE(path_exists(store_.directory(kSecond)));
  EXPECT_FALSE(path_exists(store_.run_directory(kSecond)));
  EXPECT_FALSE(find_link(paths_.root / "container-names" / "two").has_value());
  EXPECT_TRUE(path_exists(store_.directory(kThird)));
  EXPECT_TRUE(store_.find("one").has_value());
}

TEST_F(ContainerStoreTest, RemoveFreesNameAndFiles) {
  const ContainerRecord record = add(kFirst, "one", "1");
  store_.remove(record);
  EXPECT_FALSE(store_.find("one").has_value());
  EXPECT_FALSE(path_exists(store_.directory(kFirst)));
  EXPECT_TRUE(list_directory(paths_.root / "trash").empty());
}

TEST_F(ContainerStoreTest, RemoveLeavesANameThatAnotherHas) {
  ContainerRecord record = add(kFirst, "one", "1");
  store_.release_name("one", kFirst);
  store_.claim_name("one", kSecond);
  store_.remove(record);
  EXPECT_EQ(find_link(paths_.root / "container-names" / "one"), kSecond);
}

TEST_F(ContainerStoreTest, ARecordOfANewerFormatIsRefused) {
  make_directories(store_.directory(kFirst));
  write_file_atomic(store_.directory(kFirst) / "record.json", R"({"v": 99, "id": "x"})", Durability::Cached);
  EXPECT_NE(message_of([&] { store_.load(kFirst); }).find("newer ctr"), std::string::npos);
}

TEST(ContainerNames, GeneratedOnesAreValidAndVary) {
  std::set<std::string> names;
  TempDirectory directory;
  const Paths paths{directory.path(), directory.path() / "run", false};
  const ContainerStore store(paths);
  for (int i = 0; i < 50; ++i) {
    const std::string id = generate_container_id();
    const std::string name = store.claim_generated_name(id);
    // A claim without a record looks like an abandoned create and may be taken over.
    make_directories(store.directory(id));
    write_file_atomic(store.directory(id) / "record.json", "{}", Durability::Cached);
    EXPECT_NO_THROW(check_container_name(name)) << name;
    names.insert(name);
  }
  EXPECT_EQ(names.size(), 50u);
}

TEST(ContainerNames, OddOnesAreRefused) {
  for (const char* name : {"", "a", "-x", "a/b", "a b", "ä1"}) {
    EXPECT_THROW(check_container_name(name), Error) << name;
  }
  EXPECT_NO_THROW(check_container_name("web_1.x-y"));
}

TEST(ContainerRecord, ComesBackUnchanged) {
  ContainerRecord record;
  record.id = kFirst;
  record.name = "one";
  record.path = "sh";
  record.args = {"-c", "true"};
  record.layers = {"sha256:" + std::string(64, '1')};
  record.config.image = "busybox";
  record.host.memory = 7;
  record.wanted = WantedState::Running;
  MountPoint mount;
  mount.type = "bind";
  mount.read_write = false;
  mount.destination = "/x";
  record.mounts = {mount};
  record.shim.id = kFirst;
  const ContainerRecord read = container_record_from_json(Json::parse(to_json(record).dump()));
  EXPECT_EQ(to_json(read).dump(), to_json(record).dump());
  EXPECT_FALSE(read.mounts.at(0).read_write);
  EXPECT_EQ(read.wanted, WantedState::Running);
}

}  // namespace
}  // namespace ctr
