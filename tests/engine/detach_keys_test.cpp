#include "engine/detach_keys.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "engine/attach_client.h"

namespace ctr {
namespace {

struct Typed {
  std::string passed;
  bool is_detached = false;
};

Typed type(const std::string& sequence, const std::vector<std::string>& pieces) {
  DetachKeys keys(sequence);
  Typed result;
  for (std::string piece : pieces) {
    result.is_detached = keys.filter(piece);
    result.passed += piece;
    if (result.is_detached) break;
  }
  return result;
}

TEST(DetachKeys, AreParsedAsDockerNamesThem) {
  EXPECT_EQ(parse_detach_keys("ctrl-p,ctrl-q"), "\x10\x11");
  EXPECT_EQ(parse_detach_keys("ctrl-@,a,ctrl-[,ctrl-\\"), std::string("\0a\x1b\x1c", 4));
  EXPECT_EQ(parse_detach_keys(""), "");
  for (const char* wrong : {"ctrl-", "ctrl-1", "ab", "ctrl-P", ",", "ctrl-aa"}) {
    EXPECT_THROW(parse_detach_keys(wrong), Error) << wrong;
  }
}

TEST(DetachKeys, EndTheSession) {
  const Typed typed = type("\x10\x11", {"ls\r\x10\x11 not passed"});
  EXPECT_TRUE(typed.is_detached);
  EXPECT_EQ(typed.passed, "ls\r");
}

TEST(DetachKeys, AreRecognisedAcrossReads) {
  EXPECT_TRUE(type("\x10\x11", {"a\x10", "\x11"}).is_detached);
}

TEST(DetachKeys, ArePassedOnWhenTheSequenceIsNotCompleted) {
  const Typed typed = type("\x10\x11", {"\x10", "x"});
  EXPECT_FALSE(typed.is_detached);
  EXPECT_EQ(typed.passed, "\x10x");
}

TEST(DetachKeys, AreRecognisedAfterAFalseStart) {
  const Typed twice = type("\x10\x11", {"\x10\x10\x11"});
  EXPECT_TRUE(twice.is_detached);
  EXPECT_EQ(twice.passed, "\x10");
  const Typed overlapping = type("aab", {"aaab"});
  EXPECT_TRUE(overlapping.is_detached);
  EXPECT_EQ(overlapping.passed, "a");
}

TEST(DetachKeys, LeaveEverythingAloneWhenThereAreNone) {
  EXPECT_EQ(type("", {"\x10\x11"}).passed, "\x10\x11");
}

}  // namespace
}  // namespace ctr
