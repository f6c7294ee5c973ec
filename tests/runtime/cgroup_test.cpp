#include "runtime/cgroup.h"

#include <gtest/gtest.h>
#include <signal.h>

#include "base/error.h"
#include "base/random.h"
#include "base/text.h"
#include "runtime/cgroup_devices.h"
#include "runtime/spec_defaults.h"
#include "tests/support/runtime_container.h"

namespace ctr {
namespace {

std::string why_no_cgroups() {
  if (::geteuid() != 0) return "not root";
  if (cgroup_layout() == CgroupLayout::None) return "no cgroups";
  try {
    const Cgroup probe = Cgroup::create("/ctr-test/" + random_hex(8), {});
    probe.remove();
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

#define CTR_NEEDS_CGROUPS()                                                          \
  do {                                                                               \
    if (const std::string why = why_no_cgroups(); !why.empty()) GTEST_SKIP() << why; \
    CTR_NEEDS_CONTAINERS();                                                          \
  } while (false)

TEST(Cgroup, ContainerIsInItsGroupInEveryHierarchy) {
  CTR_NEEDS_CGROUPS();
  TestContainer container({"sleep", "100"});
  Sandbox sandbox = container.create();
  sandbox.start();
  for (const std::string& line : split(read_file("/proc/" + std::to_string(sandbox.pid()) + "/cgroup"), '\n')) {
    if (line.empty()) continue;
    EXPECT_TRUE(line.ends_with(":" + container.spec.linux.cgroups_path)) << line;
  }
  EXPECT_EQ(container.cgroup().pids(), std::vector<pid_t>{sandbox.pid()});
  EXPECT_FALSE(container.cgroup().is_empty());
}

TEST(Cgroup, LimitsAreInForce) {
  CTR_NEEDS_CGROUPS();
  TestContainer container({"sh", "-c", "(sleep 1 & sleep 1 & sleep 1 & wait) 2>&1; echo end"});
  container.spec.linux.resources.pids_limit = 3;
  container.spec.linux.resources.memory.limit = 64 * 1024 * 1024;
  container.cgroup_policy = CgroupPolicy::Required;
  try {
    container.cgroup();
  } catch (const Error& error) {
    GTEST_SKIP() << error.what();
  }
  container.run();
  EXPECT_NE(container.output().find("can't fork"), std::string::npos) << container.output();
  EXPECT_EQ(container.cgroup().stats().memory_limit, 64u * 1024 * 1024);
  EXPECT_EQ(container.cgroup().stats().pids_limit, 3u);
}

TEST(Cgroup, UpdateChangesARunningContainer) {
  CTR_NEEDS_CGROUPS();
  TestContainer container({"sleep", "100"});
  container.spec.linux.resources.memory.limit = 64 * 1024 * 1024;
  Sandbox sandbox = container.create();
  sandbox.start();
  ResourcesSpec resources;
  resources.memory.limit = 128 * 1024 * 1024;
  container.cgroup().update(resources);
  EXPECT_EQ(container.cgroup().stats().memory_limit, 128u * 1024 * 1024);
}

TEST(Cgroup, FreezeStopsAndThawContinues) {
  CTR_NEEDS_CGROUPS();
  TestContainer container({"sh", "-c", "while :; do echo x >> /log; done"});
  Sandbox sandbox = container.create();
  if (!container.cgroup().can_freeze()) GTEST_SKIP() << "no freezer";
  sandbox.start();
  const fs::path log = container.rootfs() / "log";
  while (!path_exists(log)) ::usleep(1000);
  container.cgroup().freeze();
  EXPECT_TRUE(container.cgroup().is_frozen());
  const auto size = fs::file_size(log);
  ::usleep(20000);
  EXPECT_EQ(fs::file_size(log), size);
  container.cgroup().thaw();
  EXPECT_FALSE(container.cgroup().is_frozen());
  while (fs::file_size(log) == size) ::usleep(1000);
}

TEST(Cgroup, KillEndsEverythingEvenFrozen) {
  CTR_NEEDS_CGROUPS();
  TestContainer container({"sh", "-c", "sleep 100 & sleep 100"});
  Sandbox sandbox = container.create();
  sandbox.start();
  if (container.cgroup().can_freeze()) container.cgroup().freeze();
  container.cgroup().kill();
  EXPECT_EQ(sandbox.wait().signal, SIGKILL);
  sandbox.release();
  container.cgroup().remove();
  EXPECT_FALSE(container.cgroup().exists());
}

TEST(Cgroup, RemovalOfALivingGroupIsRefused) {
  CTR_NEEDS_CGROUPS();
  TestContainer container({"sleep", "100"});
  Sandbox sandbox = container.create();
  sandbox.start();
  try {
    container.cgroup().remove(std::chrono::milliseconds(10));
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::Busy);
  }
}

TEST(Cgroup, DeviceThatIsNotAllowedCannotBeOpened) {
  CTR_NEEDS_CGROUPS();
  TestContainer container({"sh", "-c",
                           "mknod /k c 1 11 && head -c 0 /k 2>&1 && echo open; head -c 1 /dev/zero | wc -c; "
                           "mknod /z c 1 5 && head -c 1 /z | wc -c"});
  container.cgroup_policy = CgroupPolicy::Required;
  try {
    container.cgroup();
  } catch (const Error& error) {
    GTEST_SKIP() << error.what();
  }
  container.run();
  EXPECT_NE(container.output().find("Operation not permitted"), std::string::npos) << container.output();
  EXPECT_TRUE(container.output().ends_with("1\n1\n")) << container.output();
}

TEST(Cgroup, PathOfTheRootGroupIsRefused) {
  EXPECT_THROW(Cgroup::create("/", {}), Error);
  EXPECT_THROW(Cgroup::create("/a/../..", {}), Error);
}

TEST(CgroupDevices, LastRuleThatMatchesDecides) {
  // The program's size tells that dead rules are left out: a final "allow all" makes everything before it vanish.
  const DeviceRule all{.is_allowed = true, .type = 'a', .major = {}, .minor = {}, .access = "rwm"};
  const DeviceRule deny{.is_allowed = false, .type = 'c', .major = 1, .minor = 3, .access = "rwm"};
  EXPECT_LT(compile_device_program({deny, all}).size(), compile_device_program({all, deny}).size());
}

TEST(Cgroup, LimitWithoutItsControllerNamesIt) {
  CTR_NEEDS_CGROUPS();
  ResourcesSpec resources;
  resources.rdma["mlx5_1"] = {1, {}};
  const std::string path = "/ctr-test/" + random_hex(8);
  try {
    Cgroup::create(path, resources);
    Cgroup::open(path).remove();
    GTEST_SKIP() << "this machine has rdma";
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("rdma"), std::string::npos) << error.what();
  }
  Cgroup::open(path).remove();
}

}  // namespace
}  // namespace ctr
