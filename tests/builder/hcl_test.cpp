#include "builder/hcl.h"

#include <gtest/gtest.h>

#include "base/error.h"

namespace ctr {
namespace {

Json value_of(const std::string& expression, const Json& variables = Json::object()) {
  const HclFile file = parse_hcl("x.hcl", "v = " + expression + "\n");
  const HclVariables lookup = [&](const std::string& name) {
    if (const Json* found = variables.find(name)) return *found;
    throw Error(ErrorKind::NotFound, "undefined variable \"" + name + "\"");
  };
  return evaluate(file.body.attributes.at(0).value, lookup, *file.source);
}

std::string error_of(const std::string& text) {
  try {
    const HclFile file = parse_hcl("x.hcl", text);
    for (const HclAttribute& attribute : file.body.attributes) {
      evaluate(
          attribute.value, [](const std::string& name) -> Json { throw Error(ErrorKind::NotFound, "no " + name); },
          *file.source);
    }
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

TEST(Hcl, ReadsAttributesAndBlocks) {
  const HclFile file = parse_hcl(
      "x.hcl",
      "# comment\na = 1 // more\n/* and\nmore */ target \"app\" {\n  tags = [\n    \"x\",\n    \"y\",\n  ]\n}\n"
      "one { b = 2 }\nempty {}\ntwo labels \"here\" {\n}\n");
  ASSERT_EQ(file.body.blocks.size(), 4u);
  EXPECT_EQ(file.body.blocks[0].labels, std::vector<std::string>{"app"});
  EXPECT_EQ(file.body.blocks[3].labels, (std::vector<std::string>{"labels", "here"}));
  EXPECT_NE(file.body.blocks[1].body.find("b"), nullptr);
}

TEST(Hcl, EvaluatesLiteralsAndOperators) {
  EXPECT_EQ(value_of("1 + 2 * 3").as_int(), 7);
  EXPECT_EQ(value_of("(1 + 2) * 3").as_int(), 9);
  EXPECT_EQ(value_of("7 / 2").as_double(), 3.5);
  EXPECT_EQ(value_of("-3 % 2").as_int(), -1);
  EXPECT_TRUE(value_of("1 < 2 && !(2 <= 1) || false").as_bool());
  EXPECT_TRUE(value_of("\"a\" != \"b\"").as_bool());
  EXPECT_EQ(value_of("true ? \"yes\" : \"no\"").as_string(), "yes");
  EXPECT_TRUE(value_of("null").is_null());
  EXPECT_EQ(value_of("1.5e2").as_int(), 150);
  EXPECT_EQ(value_of("[1, \"a\", true,]").size(), 3u);
  EXPECT_EQ(value_of("{a = 1, \"b c\": 2\n d = [3]\n}").at("d").at(0).as_int(), 3);
  EXPECT_EQ(value_of("{(x) = 1}", Json::object({{"x", "key"}})).at("key").as_int(), 1);
}

TEST(Hcl, EvaluatesTemplates) {
  const Json variables = Json::object({{"TAG", "v1"},
                                       {"n", 3},
                                       {"list", Json(std::vector<std::string>{"a", "b"})},
                                       {"map", Json::object({{"k", "w"}})},
                                       {"t", true}});
  EXPECT_EQ(value_of("\"app:${TAG}-${n}\"", variables).as_string(), "app:v1-3");
  EXPECT_EQ(value_of("\"${list}\"", variables).size(), 2u);
  EXPECT_EQ(value_of("\"${list[1]}/${map.k}/${map[\"k\"]}\"", variables).as_string(), "b/w/w");
  EXPECT_EQ(value_of("\"${t ? \"x-${TAG}\" : \"}\"}\"", variables).as_string(), "x-v1");
  EXPECT_EQ(value_of("\"$${TAG} %%{x} $ % \\n \\\" \\u00e9 \\U0001F600\"", variables).as_string(),
            "${TAG} %{x} $ % \n \" é 😀");
  EXPECT_EQ(value_of("\"a ${~ TAG ~} b\"", variables).as_string(), "av1b");
  EXPECT_EQ(value_of("<<EOT\n  one ${TAG}\n\ttwo\\n\nEOT", variables).as_string(), "  one v1\n\ttwo\\n\n");
  EXPECT_EQ(value_of("<<-EOT\n    FROM x\n      RUN y\n    ${TAG}\n  EOT", variables).as_string(),
            "FROM x\n  RUN y\nv1\n");
}

TEST(Hcl, PointsAtWhatIsWrong) {
  EXPECT_EQ(error_of("a = 1\nb = [1, 2\nc = 3\n"),
            "expected ] or , in the list, not \"c\"\nx.hcl:3:1:\n  3 | c = 3\n    | ^");
  EXPECT_NE(error_of("a = \"x\n").find("unterminated string"), std::string::npos);
  EXPECT_NE(error_of("a = \"${x\"\n").find("unterminated"), std::string::npos);
  EXPECT_NE(error_of("a = <<X\nb\n").find("unterminated heredoc"), std::string::npos);
  EXPECT_NE(error_of("a {\n").find("expected } at the end of block"), std::string::npos);
  EXPECT_NE(error_of("a = 1 b = 2\n").find("expected the end of the line"), std::string::npos);
  EXPECT_NE(error_of("a = 1\na = 2\n").find("set twice"), std::string::npos);
  EXPECT_NE(error_of("a = \"${zz}\"").find("no zz\nx.hcl:1:8:"), std::string::npos);
  EXPECT_NE(error_of("a = 1 / 0").find("division by zero"), std::string::npos);
  EXPECT_NE(error_of("a = \"x\" + 1").find("expected a number"), std::string::npos);
  EXPECT_NE(error_of("a = {}.b").find("there is no \"b\""), std::string::npos);
  EXPECT_NE(error_of("a = @").find("unexpected character"), std::string::npos);
}

TEST(Hcl, RefusesLaterFeaturesByName) {
  EXPECT_NE(error_of("a = upper(\"x\")").find("HCL functions are not supported yet: upper()"), std::string::npos);
  EXPECT_NE(error_of("a = [for x in [1]: x]").find("a for expression is not supported yet"), std::string::npos);
  EXPECT_NE(error_of("a = {for k, v in {}: k => v}").find("a for expression"), std::string::npos);
  EXPECT_NE(error_of("a = [1][*]").find("splat"), std::string::npos);
  EXPECT_NE(error_of("a = \"%{if true}x%{endif}\"").find("template directives"), std::string::npos);
}

TEST(Hcl, ReadsTheJsonForm) {
  const HclFile file = parse_hcl_json(
      "x.json", R"({"v": "${n}-x", "target": {"a": {"tags": ["${n}"]}, "b": {}}, "//": "comment"})", {"target"});
  ASSERT_EQ(file.body.blocks.size(), 2u);
  EXPECT_EQ(file.body.blocks[1].labels.at(0), "b");
  const HclVariables lookup = [](const std::string&) { return Json(5); };
  EXPECT_EQ(evaluate(file.body.find("v")->value, lookup, *file.source).as_string(), "5-x");
}

TEST(Hcl, BoundsNestingAndSize) {
  EXPECT_NE(error_of("a = " + std::string(100'000, '[')).find("too deeply"), std::string::npos);
  EXPECT_NE(error_of("a = " + std::string(100'000, '!') + "true").find("too deeply"), std::string::npos);
  std::string templates;
  for (int i = 0; i < 10'000; ++i) templates += "\"${";
  EXPECT_NE(error_of("a = " + templates).find("x.hcl:1:"), std::string::npos);
  std::string sum = "a = 1";
  for (int i = 0; i < 100'000; ++i) sum += "+1";
  EXPECT_NE(error_of(sum).find("too many operators"), std::string::npos);
  EXPECT_THROW(parse_hcl("x", std::string(5 << 20, '\n')), Error);
}

}  // namespace
}  // namespace ctr
