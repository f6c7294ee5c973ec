#include "base/json.h"

#include <gtest/gtest.h>

#include "base/error.h"

namespace ctr {
namespace {

TEST(Json, KeepsTheOrderOfMembersThroughARoundTrip) {
  const std::string text = R"({"z":1,"a":[true,null,-3,"x\n\"é"],"m":{"k":1.5}})";
  EXPECT_EQ(Json::parse(text).dump(), text);
}

TEST(Json, KeepsUnsignedNumbersExact) {
  const std::string text = R"({"hard":18446744073709551615})";
  const Json value = Json::parse(text);
  EXPECT_EQ(value.dump(), text);
  EXPECT_EQ(value.find_uint("hard"), 18446744073709551615u);
  EXPECT_THROW(value.find_int("hard"), Error);
  EXPECT_THROW(Json::parse(R"({"a":-1})").find_uint("a"), Error);
}

TEST(Json, LastOfTwoMembersWithOneNameStays) { EXPECT_EQ(Json::parse(R"({"a":1,"a":2})").int_or("a"), 2); }

TEST(Json, NamesTheLineOfASyntaxError) {
  try {
    Json::parse("{\n\"a\": 1,\n]", "config.json");
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::Invalid);
    EXPECT_TRUE(std::string(error.what()).starts_with("config.json: line 3: ")) << error.what();
  }
}

TEST(Json, RefusesDeepNestingInsteadOfOverflowingTheStack) {
  EXPECT_THROW(Json::parse(std::string(100000, '[')), Error);
  EXPECT_NO_THROW(Json::parse(std::string(150, '[') + std::string(150, ']')));
}

TEST(Json, RefusesBytesThatAreNotUtf8) { EXPECT_THROW(Json::parse("\"\xff\""), Error); }

TEST(Json, TypedMembersNameTheFieldOfAWrongType) {
  const Json value = Json::parse(R"({"a":"text","n":null})");
  EXPECT_EQ(value.string_or("a"), "text");
  EXPECT_EQ(value.int_or("n", 7), 7);
  EXPECT_THROW(value.int_or("a"), Error);
  EXPECT_THROW(value.require_string("missing"), Error);
}

TEST(Json, BuildsAndPrintsNested) {
  Json value;
  value["list"].push_back("a");
  value["list"].push_back(2);
  value["empty"] = Json::object();
  EXPECT_EQ(value.dump_pretty(), "{\n  \"list\": [\n    \"a\",\n    2\n  ],\n  \"empty\": {}\n}");
}

TEST(Json, QuotesControlCharactersAndReplacesBrokenUtf8) {
  EXPECT_EQ(json_quote(std::string("\x01\xff", 2)), "\"\\u0001\xEF\xBF\xBD\"");
}

TEST(Json, LargeUnsignedNumbersAreNoSignedIntegers) {
  EXPECT_FALSE(Json::parse("18446744073709551615").is_int());
  EXPECT_EQ(Json::parse("9223372036854775807").as_int(), 9223372036854775807LL);
}

}  // namespace
}  // namespace ctr
