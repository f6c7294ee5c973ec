#include "engine/mount_mapping.h"

#include <cstdlib>
#include <gtest/gtest.h>
#include <unistd.h>

#include "base/error.h"

namespace ctr {
namespace {

TEST(MountMapping, TwoIdsChangePlacesAndAllOthersStay) {
  EXPECT_EQ(swapped_ids(1000, 0), "0-1000-1#1-1-999#1000-0-1#1001-1001-4294966294");
  EXPECT_EQ(swapped_ids(0, 1), "0-1-1#1-0-1#2-2-4294967293");
  EXPECT_EQ(swapped_ids(7, 7), "0-0-7#7-7-1#8-8-4294967287");
}

TEST(MountMapping, TextsAreReadBack) {
  const MountMapping mapping = parse_mount_mapping("uids=0-1000-1#5-6-7;gids=0-0-1");
  EXPECT_EQ(mapping.uids, (std::vector<IdMapping>{{0, 1000, 1}, {5, 6, 7}}));
  EXPECT_EQ(mapping.gids, (std::vector<IdMapping>{{0, 0, 1}}));
}

TEST(MountMapping, MistakesAreRefused) {
  for (const char* text : {"", "uids=0-1-1", "gids=0-1-1", "uids=0-1;gids=0-1-1", "uids=0-1-0;gids=0-1-1",
                           "uids=a-1-1;gids=0-1-1", "uids=0-1-1;gids=0-1-1;uids=0-1-1", "uids=0-1-4294967296;gids=0-1-1"}) {
    EXPECT_THROW(parse_mount_mapping(text), Error) << text;
  }
}

TEST(MountMapping, FilesOfTheContainersUserAreTheCallers) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root";
  ::setenv("SUDO_UID", "1000", 1);
  ::setenv("SUDO_GID", "100", 1);
  ResolvedUser inside;
  const MountMapping mapping = parse_mount_mapping(caller_mapping(inside));
  EXPECT_EQ(mapping.uids.at(2), (IdMapping{1000, 0, 1}));
  EXPECT_EQ(mapping.gids.at(2), (IdMapping{100, 0, 1}));
  inside.uid = 1000;
  inside.gid = 100;
  EXPECT_EQ(caller_mapping(inside), "");
  ::unsetenv("SUDO_UID");
  ::unsetenv("SUDO_GID");
}

}  // namespace
}  // namespace ctr
