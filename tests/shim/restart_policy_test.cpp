#include "shim/restart_policy.h"

#include <gtest/gtest.h>

namespace ctr {
namespace {

TEST(RestartSchedule, NoNeverRestarts) {
  RestartSchedule policy;
  EXPECT_FALSE(policy.next_delay_ms({"no", 0}, {1, 0, false}).has_value());
  EXPECT_FALSE(policy.next_delay_ms({"", 0}, {1, 0, false}).has_value());
}

TEST(RestartSchedule, DelaysDoubleUpToAMinute) {
  RestartSchedule policy;
  std::vector<std::int64_t> delays;
  for (int i = 0; i < 12; ++i) delays.push_back(*policy.next_delay_ms({"always", 0}, {0, 5, false}));
  EXPECT_EQ(delays,
            (std::vector<std::int64_t>{100, 200, 400, 800, 1600, 3200, 6400, 12800, 25600, 51200, 60000, 60000}));
  EXPECT_EQ(policy.count(), 12);
}

TEST(RestartSchedule, ALongRunBeginsTheDelaysAnew) {
  RestartSchedule policy;
  policy.next_delay_ms({"unless-stopped", 0}, {0, 5, false});
  policy.next_delay_ms({"unless-stopped", 0}, {0, 5, false});
  EXPECT_EQ(policy.next_delay_ms({"unless-stopped", 0}, {0, 10'000, false}), 100);
}

TEST(RestartSchedule, OnFailureLooksAtTheExitCodeAndCounts) {
  RestartSchedule policy;
  EXPECT_FALSE(policy.next_delay_ms({"on-failure", 2}, {0, 5, false}).has_value());
  EXPECT_TRUE(policy.next_delay_ms({"on-failure", 2}, {1, 5, false}).has_value());
  EXPECT_TRUE(policy.next_delay_ms({"on-failure", 2}, {1, 5, false}).has_value());
  EXPECT_FALSE(policy.next_delay_ms({"on-failure", 2}, {1, 5, false}).has_value());
}

TEST(RestartSchedule, OnFailureWithoutANumberGoesOn) {
  RestartSchedule policy;
  for (int i = 0; i < 20; ++i) EXPECT_TRUE(policy.next_delay_ms({"on-failure", 0}, {1, 5, false}).has_value());
}

TEST(RestartSchedule, OnUnhealthyRestartsNothingElse) {
  RestartSchedule policy;
  EXPECT_FALSE(policy.next_delay_ms({"on-unhealthy", 0}, {1, 5, false}).has_value());
  EXPECT_TRUE(policy.next_delay_ms({"on-unhealthy", 0}, {143, 5, true}).has_value());
}

}  // namespace
}  // namespace ctr
