#include "engine/keep_id.h"

#include <gtest/gtest.h>

#include "runtime/id_map.h"

namespace ctr {
namespace {

TEST(KeepId, MapsTheUserToThemselvesAndTheOthersAround) {
  const auto mappings = keep_id_mappings({{0, 1000, 1}, {1, 100000, 65536}});
  EXPECT_EQ(map_to_host(mappings, 1000), 0u);
  EXPECT_EQ(map_to_host(mappings, 0), 1u);
  EXPECT_EQ(map_to_host(mappings, 999), 1000u);
  EXPECT_EQ(map_to_host(mappings, 1001), 1001u);
  EXPECT_EQ(map_to_host(mappings, 65536), 65536u);
  EXPECT_FALSE(map_to_host(mappings, 65537));
}

TEST(KeepId, MapsTheUserAloneWhereThereIsNoRange) {
  const auto mappings = keep_id_mappings({{0, 1000, 1}});
  ASSERT_EQ(mappings.size(), 1u);
  EXPECT_EQ(map_to_host(mappings, 1000), 0u);
  EXPECT_FALSE(map_to_host(mappings, 0));
}

TEST(KeepId, LeavesAGapWhereTheUserIsAboveTheRange) {
  const auto mappings = keep_id_mappings({{0, 5000, 1}, {1, 100000, 1000}});
  EXPECT_EQ(map_to_host(mappings, 5000), 0u);
  EXPECT_EQ(map_to_host(mappings, 999), 1000u);
  EXPECT_FALSE(map_to_host(mappings, 1000));
}

TEST(KeepId, UsesNoIdTwice) {
  const auto mappings = keep_id_mappings({{0, 7, 1}, {1, 100, 10}, {11, 500, 10}});
  std::vector<bool> used(21, false);
  for (std::uint32_t id = 0; id < 100; ++id) {
    const auto mapped = map_to_host(mappings, id);
    if (!mapped) continue;
    ASSERT_LT(*mapped, used.size());
    EXPECT_FALSE(used[*mapped]) << id;
    used[*mapped] = true;
  }
}

}  // namespace
}  // namespace ctr
