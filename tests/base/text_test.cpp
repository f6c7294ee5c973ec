#include "base/text.h"

#include <gtest/gtest.h>

namespace ctr {
namespace {

using namespace std::chrono_literals;

TEST(Text, SplitKeepsEmptyPartsAndTheRestOfTheLast) {
  EXPECT_EQ(split("a::b", ':'), (std::vector<std::string>{"a", "", "b"}));
  EXPECT_EQ(split("", ':'), (std::vector<std::string>{""}));
  EXPECT_EQ(split_at_most("a:b:c", ':', 2), (std::vector<std::string>{"a", "b:c"}));
  EXPECT_EQ(split_words("  a\tb \n"), (std::vector<std::string>{"a", "b"}));
}

TEST(Text, SizesAreBytesInUnitsOf1024) {
  EXPECT_EQ(parse_size("512"), 512);
  EXPECT_EQ(parse_size("64m"), 64 << 20);
  EXPECT_EQ(parse_size("1.5GiB"), 1610612736);
  EXPECT_EQ(parse_size("10KB"), 10240);
  EXPECT_FALSE(parse_size("-1"));
  EXPECT_FALSE(parse_size("m"));
  EXPECT_FALSE(parse_size("10x"));
}

TEST(Text, DurationsParseAndPrintAsGoDoes) {
  EXPECT_EQ(parse_duration("1h2m3.5s"), 3723500ms);
  EXPECT_EQ(parse_duration("-300ms"), -300ms);
  EXPECT_EQ(parse_duration("0"), 0ns);
  EXPECT_FALSE(parse_duration("5"));
  EXPECT_FALSE(parse_duration("5 s"));
  EXPECT_EQ(format_duration(90s), "1m30s");
  EXPECT_EQ(format_duration(1500ms), "1.5s");
  EXPECT_EQ(format_duration(3600s), "1h0m0s");
  EXPECT_EQ(format_duration(-1us), "-1\xC2\xB5s");
}

TEST(Text, SizesArePrintedInDockersWords) {
  EXPECT_EQ(human_size(0), "0B");
  EXPECT_EQ(human_size(1234), "1.23kB");
  EXPECT_EQ(human_size(277e6), "277MB");
  EXPECT_EQ(human_size_binary(1572864), "1.5MiB");
}

TEST(Text, NearestWordIsOnlySuggestedWhenItIsNear) {
  const std::vector<std::string> commands = {"build", "run", "images"};
  EXPECT_EQ(nearest_word("biuld", commands), "build");
  EXPECT_EQ(nearest_word("image", commands), "images");
  EXPECT_FALSE(nearest_word("swarm", commands));
}

TEST(Text, NumbersMustBeWhole) {
  EXPECT_EQ(parse_int("-5"), -5);
  EXPECT_FALSE(parse_int("5 "));
  EXPECT_FALSE(parse_int(""));
  EXPECT_EQ(parse_uint("755", 8), 493u);
  EXPECT_FALSE(parse_bool("yes"));
}

}  // namespace
}  // namespace ctr
