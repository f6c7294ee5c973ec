#include "builder/go_match.h"

#include <gtest/gtest.h>

#include "base/error.h"

namespace ctr {
namespace {

TEST(GoMatch, AgreesWithFilepathMatch) {
  struct Case {
    const char* pattern;
    const char* name;
    bool matches;
  };
  for (const Case& c : {Case{"abc", "abc", true},
                        {"*", "abc", true},
                        {"*c", "abc", true},
                        {"a*", "a", true},
                        {"a*", "ab/c", false},
                        {"a*/b", "abc/b", true},
                        {"a*/b", "a/c/b", false},
                        {"a*b*c*d*e*/f", "axbxcxdxe/f", true},
                        {"a*b*c*d*e*/f", "axbxcxdxexxx/fff", false},
                        {"a*b?c*x", "abxbbxdbxebxczzx", true},
                        {"a*b?c*x", "abxbbxdbxebxczzy", false},
                        {"ab[c]", "abc", true},
                        {"ab[^b-d]", "abc", false},
                        {"a\\*b", "a*b", true},
                        {"a?b", "a☺b", true},
                        {"a[^a]b", "a☺b", true},
                        {"a???b", "a☺b", false},
                        {"[a-ζ]*", "α", true},
                        {"*[a-ζ]", "A", false},
                        {"a?b", "a/b", false},
                        {"a*b", "a/b", false},
                        {"[\\]a]", "]", true},
                        {"[\\-x]", "x", true},
                        {"[x\\-]", "-", true},
                        {"*x", "xxx", true},
                        {"", "", true},
                        {"", "a", false},
                        {"*", "", true}}) {
    EXPECT_EQ(go_match(c.pattern, c.name), c.matches) << c.pattern << " " << c.name;
  }
  for (const char* bad : {"[", "[^", "[^bc", "a[", "[]a]", "[-]", "[x-]", "[-x]", "a\\"}) {
    EXPECT_THROW(go_match(bad, "a"), Error) << bad;
  }
}

TEST(GoMatch, CleansPathsAsGoDoes) {
  struct Case {
    const char* path;
    const char* clean;
  };
  for (const Case& c : {Case{"", "."},
                        {"abc", "abc"},
                        {"abc//def/", "abc/def"},
                        {"./a/./b", "a/b"},
                        {"a/b/..", "a"},
                        {"a/..", "."},
                        {"../../a", "../../a"},
                        {"/../a", "/a"},
                        {"/", "/"},
                        {"//a", "/a"},
                        {"a/../../b", "../b"}}) {
    EXPECT_EQ(clean_path(c.path), c.clean) << c.path;
  }
}

}  // namespace
}  // namespace ctr
