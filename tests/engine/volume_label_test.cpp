#include "engine/volume_label.h"

#include <gtest/gtest.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/error.h"
#include "engine/security_options.h"

namespace ctr {
namespace {

const std::string kFiles = "system_u:object_r:container_file_t:s0:c1,c2";

TEST(VolumeLabel, IsTheContainersForItAloneAndWithoutCategoriesForAll) {
  EXPECT_EQ(volume_label("Z", kFiles), kFiles);
  EXPECT_EQ(volume_label("ro,Z", kFiles), kFiles);
  EXPECT_EQ(volume_label("z,ro", kFiles), "system_u:object_r:container_file_t:s0");
  EXPECT_EQ(volume_label("ro", kFiles), "");
  EXPECT_EQ(volume_label("", kFiles), "");
  EXPECT_EQ(volume_label("Z", ""), "") << "a container without a label needs none on its files";
}

TEST(VolumeLabel, FollowsTheContainersOptions) {
  const auto file_label = [](const std::vector<std::string>& options) {
    HostConfig host;
    host.security_opt = options;
    return parse_security_options(host).selinux_file_label;
  };
  EXPECT_EQ(file_label({}), "");
  EXPECT_EQ(file_label({"label=level:s0:c1,c2"}), kFiles);
  EXPECT_EQ(file_label({"label=filetype:mine_t", "label=type:other_t", "label=level:s0:c9"}), "system_u:object_r:mine_t:s0:c9");
  EXPECT_EQ(file_label({"label=type:other_t", "label=disable"}), "");
}

TEST(VolumeLabel, IsGivenToATreeButToNothingBehindALink) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root to set attributes of the namespace security";
  const TempDirectory directory;
  const fs::path tree = directory.path() / "tree";
  const fs::path outside = directory.path() / "outside";
  make_directories(tree / "sub");
  make_directories(outside);
  for (const fs::path& file : {tree / "sub/file", outside / "file"}) write_file_atomic(file, "", Durability::Cached);
  fs::create_symlink(outside, tree / "sub/link");
  fs::create_symlink(outside / "file", tree / "sub/link2");
  const auto label_of = [](const fs::path& path) {
    char value[256] = {};
    const ssize_t size = ::lgetxattr(path.c_str(), "security.selinux", value, sizeof value);
    return size > 0 ? std::string(value) : std::string();
  };
  const std::string before = label_of(outside / "file");
  relabel_tree(tree, kFiles);
  if (label_of(tree).empty()) GTEST_SKIP() << "this file system keeps no labels";
  for (const fs::path& path : {tree, tree / "sub", tree / "sub/file"}) EXPECT_EQ(label_of(path), kFiles) << path;
  for (const fs::path& path : {outside, outside / "file"}) EXPECT_EQ(label_of(path), before) << path;
}

TEST(VolumeLabel, OfWhatTheSystemNeedsIsNotChanged) {
  const TempDirectory directory;
  fs::create_symlink("/usr", directory.path() / "link");
  for (const fs::path& path : {fs::path("/usr"), fs::path("/etc/"), fs::path("/var/../usr/."), directory.path() / "link"}) {
    try {
      relabel_tree(path, kFiles);
      FAIL() << path;
    } catch (const Error& error) {
      EXPECT_NE(std::string(error.what()).find("SELinux relabeling of"), std::string::npos);
    }
  }
}

}  // namespace
}  // namespace ctr
