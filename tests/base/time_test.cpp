#include "base/time.h"

#include <gtest/gtest.h>

namespace ctr {
namespace {

using namespace std::chrono_literals;

TEST(Time, FormatsAndParsesRfc3339) {
  const auto time = parse_time("2024-05-01T10:00:00.123456789+02:00");
  ASSERT_TRUE(time);
  EXPECT_EQ(format_time(*time), "2024-05-01T08:00:00.123456789Z");
  EXPECT_EQ(format_time(*parse_time("2024-05-01T10:00:00.5Z")), "2024-05-01T10:00:00.5Z");
  EXPECT_EQ(format_time_fixed(*parse_time("2024-05-01T10:00:00Z")), "2024-05-01T10:00:00.000000000Z");
  EXPECT_FALSE(parse_time("2024-13-01T10:00:00Z"));
  EXPECT_FALSE(parse_time("0001-01-01T00:00:00Z"));
  EXPECT_FALSE(parse_time("2024-05-01T10:00:00"));
}

TEST(Time, ArgumentsAreTimesDatesSecondsOrDurations) {
  const Time reference = *parse_time("2024-05-01T10:00:00Z");
  EXPECT_EQ(parse_time_argument("10m", reference), reference - 10min);
  EXPECT_EQ(parse_time_argument("2024-05-01", reference), *parse_time("2024-05-01T00:00:00Z"));
  EXPECT_EQ(parse_time_argument("1714557600.5", reference), reference + 500ms);
  EXPECT_FALSE(parse_time_argument("yesterday", reference));
}

TEST(Time, SpansAreInDockersWords) {
  EXPECT_EQ(human_duration(500ms), "Less than a second");
  EXPECT_EQ(human_duration(16s), "16 seconds");
  EXPECT_EQ(human_duration(75s), "About a minute");
  EXPECT_EQ(human_duration(5min), "5 minutes");
  EXPECT_EQ(human_duration(1h), "About an hour");
  EXPECT_EQ(human_duration(47h), "47 hours");
  EXPECT_EQ(human_duration(48h), "2 days");
}

}  // namespace
}  // namespace ctr
