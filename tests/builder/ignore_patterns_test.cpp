#include "builder/ignore_patterns.h"

#include <gtest/gtest.h>

#include "base/error.h"

namespace ctr {
namespace {

using Strings = std::vector<std::string>;

bool ignored(const Strings& patterns, std::string_view path) {
  return IgnorePatterns(patterns).is_ignored(path);
}

TEST(IgnorePatterns, ReadsAFileAsMobyDoes) {
  const std::string text =
      "\xEF\xBB\xBF/test1\r\n\n#comment\n  #not a comment\n/test2/\n  ! /keep/me \n../up\n!\n/\n./a/./b/../c\n";
  EXPECT_EQ(parse_ignore_file(text),
            (Strings{"test1", "#not a comment", "test2", "!keep/me", "../up", "!", "/", "a/c"}));
}

TEST(IgnorePatterns, AnchorsPatternsAtTheRoot) {
  EXPECT_TRUE(ignored({"foo"}, "foo"));
  EXPECT_TRUE(ignored({"foo"}, "foo/bar/baz"));
  EXPECT_FALSE(ignored({"foo"}, "a/foo"));
  EXPECT_FALSE(ignored({"foo"}, "foobar"));
  EXPECT_TRUE(ignored({"*.log"}, "a.log"));
  EXPECT_FALSE(ignored({"*.log"}, "b/a.log"));
  EXPECT_TRUE(ignored({"a/*/c"}, "a/b/c/d"));
}

TEST(IgnorePatterns, CrossesDirectoriesWithTwoStars) {
  EXPECT_TRUE(ignored({"**"}, "a"));
  EXPECT_TRUE(ignored({"**/node_modules"}, "node_modules"));
  EXPECT_TRUE(ignored({"**/node_modules"}, "a/b/node_modules/x"));
  EXPECT_TRUE(ignored({"**/*.go"}, "x.go"));
  EXPECT_TRUE(ignored({"**/*.go"}, "a/b/x.go"));
  EXPECT_TRUE(ignored({"a/**/b"}, "a/b"));
  EXPECT_TRUE(ignored({"a/**/b"}, "a/x/y/b"));
  EXPECT_FALSE(ignored({"a/**/b"}, "a/xb"));
  EXPECT_TRUE(ignored({"dir/**"}, "dir/a/b"));
  EXPECT_FALSE(ignored({"dir/**"}, "dir"));
  EXPECT_TRUE(ignored({"**/dir2/*"}, "dir/dir2/file"));
  EXPECT_TRUE(ignored({"**/dir/**"}, "a/dir/x"));
  EXPECT_TRUE(ignored({"**file"}, "a/somefile"));
  EXPECT_TRUE(ignored({"abc/**"}, "abc/x"));
  EXPECT_TRUE(ignored({"a**/*.txt"}, "abc/d.txt"));
}

TEST(IgnorePatterns, ReadsClassesEscapesAndSpecialCharacters) {
  EXPECT_TRUE(ignored({"[a-c].txt"}, "b.txt"));
  EXPECT_FALSE(ignored({"[^a-c].txt"}, "b.txt"));
  EXPECT_TRUE(ignored({"a\\*b"}, "a*b"));
  EXPECT_FALSE(ignored({"a\\*b"}, "axb"));
  EXPECT_TRUE(ignored({"a.+(b){c}|$?"}, "a.+(b){c}|$x"));
  EXPECT_FALSE(ignored({"a?b"}, "a/b"));
  EXPECT_TRUE(ignored({"?"}, "한"));
}

TEST(IgnorePatterns, LetsTheLastMatchWin) {
  EXPECT_FALSE(ignored({"*", "!keep"}, "keep"));
  EXPECT_FALSE(ignored({"*", "!keep"}, "keep/below"));
  EXPECT_TRUE(ignored({"!keep", "*"}, "keep"));
  EXPECT_FALSE(ignored({"docs", "!docs/README.md"}, "docs/README.md"));
  EXPECT_TRUE(ignored({"docs", "!docs/*.md", "docs/secret.md"}, "docs/secret.md"));
  EXPECT_FALSE(ignored({"**", "!util/docker/web", "!util/docker/web/foo"}, "util/docker/web/foo"));
}

TEST(IgnorePatterns, RefusesMalformedPatterns) {
  for (const char* pattern : {"[", "[]a]", "[a", "a[", "[-x]", "[x-]", "a\\", "!", "[a-]"}) {
    EXPECT_THROW(IgnorePatterns({pattern}), Error) << pattern;
  }
}

TEST(IgnorePatterns, DecidesTheSameWithAParentsDecision) {
  const Strings sets[] = {
      {"a", "!a/b", "a/b/c"}, {"**/x", "!y/**", "*.o"}, {"*", "!a", "a/b", "!a/b/c/*"}, {"a/**", "!**/c"}};
  const Strings paths = {"a", "a/b", "a/b/c", "a/b/c/d", "x", "x/y", "y", "y/x", "y/x/z", "q.o", "a/q.o", "a/x/c"};
  for (const Strings& patterns : sets) {
    const IgnorePatterns matcher(patterns);
    for (const std::string& path : paths) {
      std::vector<IgnorePatterns::Decision> chain;
      for (std::size_t end = path.find('/');; end = path.find('/', end + 1)) {
        const IgnorePatterns::Decision* parent = chain.empty() ? nullptr : &chain.back();
        IgnorePatterns::Decision next = matcher.decide(path.substr(0, end), parent);
        chain.push_back(std::move(next));
        if (end == std::string::npos) break;
      }
      EXPECT_EQ(chain.back().ignored, matcher.is_ignored(path)) << patterns.front() << " " << path;
    }
  }
}

TEST(IgnorePatterns, KnowsWhereAnExceptionMayStillReach) {
  EXPECT_FALSE(IgnorePatterns({"node_modules"}).may_include_below("node_modules"));
  const IgnorePatterns some({"*", "!src/keep", "!lib/*.so"});
  EXPECT_TRUE(some.may_include_below("src"));
  EXPECT_FALSE(some.may_include_below("src2"));
  EXPECT_TRUE(some.may_include_below("lib"));
  EXPECT_FALSE(some.may_include_below("node_modules"));
  EXPECT_TRUE(IgnorePatterns({"*", "!**/keep"}).may_include_below("anything/at/all"));
}

TEST(IgnorePatterns, IsQuickForHostilePatterns) {
  std::string stars;
  for (int i = 0; i < 200; ++i) stars += "**/a*";
  EXPECT_FALSE(ignored({stars + "b"}, std::string(20'000, 'a')));
}

}  // namespace
}  // namespace ctr
