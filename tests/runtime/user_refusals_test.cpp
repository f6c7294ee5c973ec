#include "runtime/user_refusals.h"

#include <gtest/gtest.h>

#include <cerrno>

#include "base/file.h"

namespace ctr {
namespace {

using testing::Test;

class UserRefusals : public Test {
 protected:
  void write(const std::string& sysctl, const std::string& value) {
    const fs::path file = directory_.path() / "proc/sys" / sysctl;
    make_directories(file.parent_path());
    write_file_atomic(file, value + "\n", Durability::Cached);
  }
  std::string why(int error) { return why_no_user_namespace("make a user namespace", error, directory_.path()); }
  static bool holds(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

  TempDirectory directory_;
};

TEST(SubordinateFile, GivesTheRangesOfANameAndOfANumber) {
  const std::string text = "alice:100000:65536\nbob:200000:1000\n1000:300000:10\n";
  const auto ranges = parse_subordinate_file(text, "alice", 1000);
  ASSERT_EQ(ranges.size(), 2u);
  EXPECT_EQ(ranges[0].first, 100000u);
  EXPECT_EQ(ranges[0].count, 65536u);
  EXPECT_EQ(ranges[1].first, 300000u);
  EXPECT_TRUE(parse_subordinate_file(text, "carol", 1002).empty());
}

TEST(SubordinateFile, PassesOverWhatIsBrokenOrTooLarge) {
  EXPECT_TRUE(parse_subordinate_file("alice:x:1\nalice:1\nalice:1:0\nalice:4294967290:100\n", "alice", 1).empty());
  EXPECT_EQ(parse_subordinate_file("# comment\n\nalice:5:6", "alice", 1).size(), 1u);
}

TEST_F(UserRefusals, NameTheSysctlAndTheLineThatMendsIt) {
  write("user/max_user_namespaces", "0");
  EXPECT_TRUE(holds(why(ENOSPC), "user.max_user_namespaces is 0"));
  EXPECT_TRUE(holds(why(ENOSPC), "sysctl -w user.max_user_namespaces=15000"));
  write("user/max_user_namespaces", "100");
  write("kernel/unprivileged_userns_clone", "0");
  EXPECT_TRUE(holds(why(EPERM), "sysctl -w kernel.unprivileged_userns_clone=1"));
  write("kernel/unprivileged_userns_clone", "1");
  write("kernel/apparmor_restrict_unprivileged_userns", "1");
  EXPECT_TRUE(holds(why(EPERM), "kernel.apparmor_restrict_unprivileged_userns is 1"));
  EXPECT_TRUE(holds(why(EPERM), "/etc/apparmor.d/ctr"));
}

TEST_F(UserRefusals, NameWhatAPodMustAllowWhereASeccompProfileForbids) {
  const std::string text = why(EPERM);
  EXPECT_TRUE(holds(text, "seccompProfile: {type: Unconfined}")) << text;
  EXPECT_TRUE(holds(text, "--security-opt seccomp=unconfined")) << text;
}

TEST_F(UserRefusals, AreOneLine) {
  for (const int error : {EPERM, ENOSPC, EINVAL}) EXPECT_EQ(why(error).find('\n'), std::string::npos);
}

}  // namespace
}  // namespace ctr
