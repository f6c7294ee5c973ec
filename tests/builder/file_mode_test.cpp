#include "builder/file_mode.h"

#include <gtest/gtest.h>

#include "base/error.h"

namespace ctr {
namespace {

unsigned applied(const char* mode, unsigned current, FileModeTarget target = FileModeTarget::File) {
  return FileMode::parse(mode).apply(current, target);
}

TEST(FileMode, ReadsOctalNumbers) {
  EXPECT_EQ(applied("755", 0600), 0755u);
  EXPECT_EQ(applied("0644", 0777), 0644u);
  EXPECT_EQ(applied("4755", 0), 04755u);
  EXPECT_EQ(applied("0", 0777), 0u);
  EXPECT_TRUE(FileMode::parse("0").is_absolute());
  EXPECT_FALSE(FileMode::parse("+x").is_absolute());
}

TEST(FileMode, AppliesSymbolicChangesInOrder) {
  EXPECT_EQ(applied("+x", 0644), 0755u);
  EXPECT_EQ(applied("u=rwX,go=rX", 0600), 0644u);
  EXPECT_EQ(applied("u=rwX,go=rX", 0700), 0755u);
  EXPECT_EQ(applied("u=rwX,go=rX", 0600, FileModeTarget::Directory), 0755u);
  EXPECT_EQ(applied("g=u", 0640), 0660u);
  EXPECT_EQ(applied("go-rwx", 0777), 0700u);
  EXPECT_EQ(applied("a=", 0777), 0u);
  EXPECT_EQ(applied("u+r-w", 0200), 0400u);
  EXPECT_EQ(applied("o=u-x", 0740), 0746u);
  EXPECT_EQ(applied("ug+s,+t", 0755), 07755u);
  EXPECT_EQ(applied("u-s", 04755), 0755u);
  EXPECT_EQ(applied("=r", 0777), 0444u);
}

TEST(FileMode, KeepsADirectorysSetIdBitsUnlessNamed) {
  EXPECT_EQ(applied("g=rx", 02775, FileModeTarget::Directory), 02755u);
  EXPECT_EQ(applied("g=rx", 02775), 0755u);
  EXPECT_EQ(applied("g-s", 02775, FileModeTarget::Directory), 0775u);
}

TEST(FileMode, RefusesAnythingElse) {
  for (const char* bad : {"", "888", "10000", "rwx", "u", "u=rwz", "u=r,", "x+r", "0o755", "-1", "u=g+q"}) {
    EXPECT_THROW(FileMode::parse(bad), Error) << bad;
  }
}

}  // namespace
}  // namespace ctr
