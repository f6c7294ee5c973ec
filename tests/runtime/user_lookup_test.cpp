#include "runtime/user_lookup.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include "base/error.h"

namespace ctr {
namespace {

const UserDatabase kDatabase = {
    "root:x:0:0:root:/root:/bin/sh\nbroken\n:::\nnode:x:1000:1001::/home/node:/bin/sh\n1234:x:5:6::/five:/x\n",
    "root:x:0:\nnode:x:1001:\naudio:x:29:node,other\nvideo:x:44:other\nempty:x:77:\n"};

TEST(UserLookup, NameBringsPrimaryAndSupplementaryGroups) {
  const ResolvedUser user = resolve_user(kDatabase, "node", {});
  EXPECT_EQ(user.uid, 1000u);
  EXPECT_EQ(user.gid, 1001u);
  EXPECT_EQ(user.additional_gids, (std::vector<std::uint32_t>{1001, 29}));
  EXPECT_EQ(user.home, "/home/node");
}

TEST(UserLookup, ExplicitGroupIsTheOnlyOne) {
  const ResolvedUser user = resolve_user(kDatabase, "node:video", {});
  EXPECT_EQ(user.gid, 44u);
  EXPECT_EQ(user.additional_gids, std::vector<std::uint32_t>{44});
}

TEST(UserLookup, UnknownNumberIsItselfInRootsGroup) {
  const ResolvedUser user = resolve_user(kDatabase, "4000", {});
  EXPECT_EQ(user.uid, 4000u);
  EXPECT_EQ(user.gid, 0u);
  EXPECT_EQ(user.home, "/");
}

TEST(UserLookup, NameThatIsANumberWinsOverTheNumber) {
  EXPECT_EQ(resolve_user(kDatabase, "1234", {}).uid, 5u);
}

TEST(UserLookup, ExtraGroupsByNameAndNumber) {
  EXPECT_EQ(resolve_user(kDatabase, "node", {"empty", "99"}).additional_gids,
            (std::vector<std::uint32_t>{1001, 29, 77, 99}));
  EXPECT_THROW(resolve_user(kDatabase, "node", {"nosuch"}), Error);
}

TEST(UserLookup, EmptyUserIsRootAndUnknownNamesAreErrors) {
  EXPECT_EQ(resolve_user(kDatabase, "", {}).home, "/root");
  EXPECT_THROW(resolve_user(kDatabase, "nosuch", {}), Error);
  EXPECT_THROW(resolve_user(kDatabase, "node:nosuch", {}), Error);
  EXPECT_THROW(resolve_user(kDatabase, "99999999999", {}), Error);
}

TEST(UserLookup, LinksAreFollowedInsideTheRootOnly) {
  const TempDirectory directory;
  const fs::path inside = directory.path() / "root";
  make_directories(inside / "etc");
  write_file_atomic(inside / "passwd", "app:x:7:8::/:/x\n", Durability::Cached);
  write_file_atomic(directory.path() / "group", "secret:x:1:\n", Durability::Cached);
  fs::create_symlink("/passwd", inside / "etc/passwd");
  fs::create_symlink("../../group", inside / "etc/group");
  const Fd root = open_file(inside, O_PATH | O_DIRECTORY);
  const UserDatabase database = read_user_database(root.get());
  EXPECT_EQ(resolve_user(database, "app", {}).uid, 7u);
  EXPECT_TRUE(database.group.empty());
}

TEST(UserLookup, FifoInsteadOfAFileIsRefusedWithoutWaiting) {
  const TempDirectory directory;
  make_directories(directory.path() / "etc");
  ASSERT_EQ(::mkfifo((directory.path() / "etc/passwd").c_str(), 0644), 0);
  const Fd root = open_file(directory.path(), O_PATH | O_DIRECTORY);
  EXPECT_THROW(read_user_database(root.get()), Error);
}

}  // namespace
}  // namespace ctr
