#include "registry/auth_challenge.h"

#include <gtest/gtest.h>

namespace ctr {
namespace {

TEST(AuthChallenge, BearerParametersAreRead) {
  const auto challenges = parse_auth_challenges(
      R"(Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:a/b:pull,push")");
  ASSERT_EQ(challenges.size(), 1u);
  EXPECT_EQ(challenges[0].scheme, "bearer");
  EXPECT_EQ(challenges[0].parameter("realm"), "https://auth.docker.io/token");
  EXPECT_EQ(challenges[0].parameter("scope"), "repository:a/b:pull,push");
  EXPECT_EQ(challenges[0].parameter("error"), "");
}

TEST(AuthChallenge, SeveralChallengesShareOneField) {
  const auto challenges = parse_auth_challenges(R"(Basic realm="a, b", Bearer realm="https://x/" , Service=y)");
  ASSERT_EQ(challenges.size(), 2u);
  EXPECT_EQ(challenges[0].parameter("realm"), "a, b");
  EXPECT_EQ(challenges[1].scheme, "bearer");
  EXPECT_EQ(challenges[1].parameter("service"), "y");
}

TEST(AuthChallenge, EscapedQuotesBelongToTheValue) {
  const auto challenges = parse_auth_challenges(R"(Basic realm="say \"hi\"")");
  ASSERT_EQ(challenges.size(), 1u);
  EXPECT_EQ(challenges[0].parameter("realm"), R"(say "hi")");
}

TEST(AuthChallenge, GarbageGivesNothingAndNeverThrows) {
  EXPECT_TRUE(parse_auth_challenges("").empty());
  EXPECT_TRUE(parse_auth_challenges(",,, ,").empty());
  EXPECT_TRUE(parse_auth_challenges("\"\"\"").empty());
  EXPECT_EQ(parse_auth_challenges("Bearer realm=\"unclosed").size(), 1u);
  EXPECT_LE(parse_auth_challenges(std::string(100'000, 'a') + " b").size(), 16u);
}

}  // namespace
}  // namespace ctr
