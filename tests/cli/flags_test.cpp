#include "cli/flags.h"

#include <gtest/gtest.h>

namespace ctr {
namespace {

FlagTable run_flags() {
  FlagTable table;
  table.toggle("detach", 'd', "");
  table.toggle("interactive", 'i', "");
  table.toggle("tty", 't', "");
  table.toggle("sig-proxy", 0, "", true);
  table.list("publish", 'p', "list", "");
  table.text("name", 0, "string", "");
  table.integer("time", 'n', "int", "", 10);
  table.optional_text("pull", 0, "string", "", "always");
  return table;
}

ParsedFlags parse(const std::vector<std::string>& words, FlagOrder order = FlagOrder::BeforeArguments) {
  return ParsedFlags::parse(run_flags(), words, order);
}

std::string error_of(const std::vector<std::string>& words) {
  try {
    parse(words);
  } catch (const UsageError& error) {
    return error.what();
  }
  return {};
}

TEST(Flags, ShortFlagsMayBeBundledAndTakeTheirValueDirectly) {
  const ParsedFlags flags = parse({"-it", "-p8080:80", "-dp", "1:1", "image"});
  EXPECT_TRUE(flags.on("interactive") && flags.on("tty") && flags.on("detach"));
  EXPECT_EQ(flags.list("publish"), (std::vector<std::string>{"8080:80", "1:1"}));
  EXPECT_EQ(flags.arguments(), std::vector<std::string>{"image"});
}

TEST(Flags, TogglesTakeAValueOnlyBehindAnEqualsSign) {
  EXPECT_FALSE(parse({"-d=false", "x"}).on("detach"));
  EXPECT_FALSE(parse({"--sig-proxy=false"}).on("sig-proxy"));
  EXPECT_TRUE(parse({}).on("sig-proxy"));
  EXPECT_EQ(error_of({"--detach=maybe"}),
            "invalid argument \"maybe\" for \"-d, --detach\" flag: not a boolean (true or false)");
}

TEST(Flags, AValueMayBeginWithADash) { EXPECT_EQ(parse({"-n", "-1"}).integer("time"), -1); }

TEST(Flags, EverythingBehindTheFirstArgumentBelongsToTheCommand) {
  EXPECT_EQ(parse({"--name=a", "ubuntu", "ls", "-al", "--x"}).arguments(),
            (std::vector<std::string>{"ubuntu", "ls", "-al", "--x"}));
  EXPECT_EQ(parse({"c1", "-d", "c2"}, FlagOrder::Anywhere).arguments(), (std::vector<std::string>{"c1", "c2"}));
}

TEST(Flags, TwoDashesEndTheFlags) {
  EXPECT_EQ(parse({"-d", "--", "-i"}, FlagOrder::Anywhere).arguments(), std::vector<std::string>{"-i"});
}

TEST(Flags, UnknownOnesAreNamedWithTheNearestKnownOne) {
  EXPECT_EQ(error_of({"--pubish", "1"}), "unknown flag: --pubish (did you mean --publish?)");
  EXPECT_EQ(error_of({"-iz"}), "unknown shorthand flag: 'z' in -iz");
  EXPECT_EQ(error_of({"--name"}), "flag needs an argument: --name");
  EXPECT_EQ(error_of({"-p"}), "flag needs an argument: 'p' in -p");
}

TEST(Flags, OptionalTextMayStandAlone) {
  EXPECT_EQ(parse({"--pull", "image"}).text("pull"), "always");
  EXPECT_EQ(parse({"--pull=never", "image"}).text("pull"), "never");
}

}  // namespace
}  // namespace ctr
