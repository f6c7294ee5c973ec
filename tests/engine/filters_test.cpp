#include "engine/filters.h"

#include <gtest/gtest.h>

#include "base/error.h"

namespace ctr {
namespace {

const std::vector<std::string> kKnown = {"name", "label", "label!", "dangling", "until"};

TEST(Filters, ValuesOfOneKeyAreAlternatives) {
  const Filters filters({"name=a", "name=b"}, kKnown);
  EXPECT_TRUE(filters.matches("name", "a"));
  EXPECT_TRUE(filters.matches("name", "b"));
  EXPECT_FALSE(filters.matches("name", "c"));
  EXPECT_TRUE(filters.matches("label", "anything"));
}

TEST(Filters, UnknownKeysAndTextsWithoutAnEqualsSignAreRefused) {
  EXPECT_THROW(Filters({"colour=red"}, kKnown), Error);
  EXPECT_THROW(Filters({"name"}, kKnown), Error);
}

TEST(Filters, AllLabelsMustBeThere) {
  const std::map<std::string, std::string> labels = {{"a", "1"}, {"b", "2"}};
  EXPECT_TRUE(Filters({"label=a", "label=b=2"}, kKnown).matches_labels(labels));
  EXPECT_FALSE(Filters({"label=a", "label=c"}, kKnown).matches_labels(labels));
  EXPECT_FALSE(Filters({"label=b=3"}, kKnown).matches_labels(labels));
  EXPECT_FALSE(Filters({"label!=a"}, kKnown).matches_labels(labels));
}

TEST(Filters, AFlagMustBeABoolean) {
  EXPECT_TRUE(Filters({"dangling=1"}, kKnown).flag("dangling", false));
  EXPECT_FALSE(Filters({"dangling=false"}, kKnown).flag("dangling", true));
  EXPECT_TRUE(Filters().flag("dangling", true));
  EXPECT_THROW(Filters({"dangling=maybe"}, kKnown).flag("dangling", false), Error);
  EXPECT_THROW(Filters({"dangling=true", "dangling=false"}, kKnown).flag("dangling", false), Error);
}

TEST(PruneBoundary, OnlyWhatIsOlderGoes) {
  const PruneBoundary boundary(Filters({"until=2026-01-02T00:00:00Z"}, kKnown));
  EXPECT_TRUE(boundary.is_older("2026-01-01T00:00:00Z"));
  EXPECT_FALSE(boundary.is_older("2026-01-03T00:00:00Z"));
  EXPECT_TRUE(PruneBoundary(Filters()).is_older("2026-01-03T00:00:00Z"));
  EXPECT_THROW(PruneBoundary(Filters({"until=soon"}, kKnown)), Error);
}

}  // namespace
}  // namespace ctr
