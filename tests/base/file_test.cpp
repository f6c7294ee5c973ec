#include "base/file.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include "base/error.h"
#include "base/lock.h"
#include "base/rooted_path.h"

namespace ctr {
namespace {

TEST(File, ReadRefusesMoreThanItsLimit) {
  const TempDirectory temp;
  write_file_atomic(temp.path() / "f", "12345", Durability::Cached);
  EXPECT_EQ(read_file(temp.path() / "f", 5), "12345");
  EXPECT_THROW(read_file(temp.path() / "f", 4), Error);
  EXPECT_FALSE(find_file(temp.path() / "missing"));
}

TEST(File, AtomicWriteReplacesAndLeavesNoTemporaryFile) {
  const TempDirectory temp;
  write_file_atomic(temp.path() / "f", "old", Durability::Synced);
  write_file_atomic(temp.path() / "f", "new", Durability::Synced, 0600);
  EXPECT_EQ(read_file(temp.path() / "f"), "new");
  EXPECT_EQ(list_directory(temp.path()), std::vector<std::string>{"f"});
  EXPECT_THROW(create_file_exclusive(temp.path() / "f", "x", Durability::Cached), Error);
}

TEST(File, RemoveTreeDoesNotFollowLinksAndHandlesDepth) {
  const TempDirectory temp;
  make_directories(temp.path() / "keep");
  write_file_atomic(temp.path() / "keep/file", "x", Durability::Cached);
  fs::path deep = temp.path() / "tree";
  for (int i = 0; i < 300; ++i) deep /= "d";
  make_directories(deep);
  fs::create_directory_symlink(temp.path() / "keep", temp.path() / "tree/link");
  make_directories(temp.path() / "tree/locked/inner");
  ASSERT_EQ(::chmod((temp.path() / "tree/locked").c_str(), 0), 0);
  remove_tree(temp.path() / "tree");
  EXPECT_EQ(list_directory(temp.path()), std::vector<std::string>{"keep"});
  EXPECT_EQ(read_file(temp.path() / "keep/file"), "x");
  EXPECT_NO_THROW(remove_tree(temp.path() / "tree"));
}

TEST(File, ErrorsNameThePathAndKeepErrno) {
  try {
    open_file("/nonexistent/file", O_RDONLY);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::NotFound);
    EXPECT_EQ(error.error_number(), ENOENT);
    EXPECT_STREQ(error.what(), "open /nonexistent/file failed: No such file or directory");
  }
}

TEST(FileLock, IsRefusedWhileAnotherHoldsIt) {
  const TempDirectory temp;
  {
    const FileLock lock = FileLock::acquire(temp.path() / "lock", LockMode::Exclusive);
    EXPECT_FALSE(FileLock::try_acquire(temp.path() / "lock", LockMode::Shared));
  }
  EXPECT_TRUE(FileLock::try_acquire(temp.path() / "lock", LockMode::Exclusive));
}

TEST(RootedPath, LinksAndDotsNeverLeadOut) {
  const TempDirectory temp;
  const fs::path root = temp.path() / "root";
  make_directories(root / "etc");
  write_file_atomic(temp.path() / "secret", "outside", Durability::Cached);
  write_file_atomic(root / "secret", "inside", Durability::Cached);
  fs::create_symlink("../../../secret", root / "etc/up");
  fs::create_symlink("/secret", root / "etc/absolute");
  const Fd dir = open_directory(root);
  for (const char* path : {"etc/up", "etc/absolute", "../secret", "/secret"}) {
    EXPECT_EQ(read_fd(open_in_root(dir.get(), path, O_RDONLY).get(), 100, path), "inside") << path;
  }
  EXPECT_FALSE(find_in_root(dir.get(), "etc/missing/x", O_RDONLY));
  EXPECT_THROW(open_beneath(dir.get(), "etc/up", O_RDONLY), Error);
}

TEST(RootedPath, MakesDirectoriesThroughLinksInside) {
  const TempDirectory temp;
  make_directories(temp.path() / "real");
  fs::create_symlink("/real", temp.path() / "link");
  const Fd dir = open_directory(temp.path());
  make_directories_in_root(dir.get(), "/link/a/../b/c");
  EXPECT_TRUE(fs::is_directory(temp.path() / "real/b/c"));
}

}  // namespace
}  // namespace ctr
