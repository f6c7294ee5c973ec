#include "builder/explain.h"

#include <gtest/gtest.h>

namespace ctr {
namespace {

Json exec(const std::string& command, const std::vector<std::string>& environment) {
  Json op = Json::object({{"op", "exec"}});
  op["arguments"] = Json(std::vector<std::string>{command});
  op["environment"] = Json(environment);
  return op;
}

TEST(Explain, NamesArgumentsAndVariablesWithBothValues) {
  EXPECT_EQ(describe_op_change(exec("x", {"X=1", "Y=a"}), exec("x", {"X=2", "Z=b"}), {"X"}),
            "ARG X 1 -> 2; ENV Y a -> (unset); ENV Z (unset) -> b");
  EXPECT_EQ(describe_op_change(exec("x", {}), exec("y", {}), {}), "command changed");
  EXPECT_EQ(describe_op_change(exec("x", {}), exec("x", {}), {}), "");
}

TEST(Explain, NamesFilesThatChangedCameAndWent) {
  EXPECT_EQ(describe_line_changes({{"a.c", "1"}, {"b.h", "1"}, {"old", "1"}}, {{"a.c", "2"}, {"b.h", "2"}, {"new", "1"}}),
            "2 files changed: a.c, b.h; 1 file added: new; 1 file removed: old");
}

TEST(Explain, LongListsAreCut) {
  SelectionLines now;
  for (int i = 10; i < 30; ++i) now[std::to_string(i)] = "x";
  EXPECT_EQ(describe_line_changes({}, now), "20 files added: 10, 11, 12, 13, 14, 15, 16, 17, 18, 19 and 10 more");
}

}  // namespace
}  // namespace ctr
