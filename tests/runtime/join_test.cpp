#include "runtime/join.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/stat.h>

#include "base/text.h"
#include "runtime/seccomp.h"
#include "runtime/spec_defaults.h"
#include "tests/support/runtime_container.h"

namespace ctr {
namespace {

TEST(Join, RunsInTheContainersNamespacesRootAndCgroup) {
  CTR_NEEDS_CONTAINERS();
  TestContainer container({"sleep", "100"});
  container.spec.hostname = "inner";
  Sandbox sandbox = container.create();
  sandbox.start();
  EXPECT_EQ(container
                .exec(sandbox.pid(),
                      {"sh", "-c", "hostname; ls /; readlink /proc/1/ns/net; readlink /proc/self/ns/net; exit 3"})
                .code,
            3);
  const std::vector<std::string> lines = split(container.output(), '\n');
  ASSERT_GE(lines.size(), 9u) << container.output();
  EXPECT_EQ(lines[0], "inner");
  EXPECT_EQ(lines[lines.size() - 3], lines[lines.size() - 2]);
  container.exec(sandbox.pid(), {"cat", "/proc/self/cgroup"});
  const std::string own = container.output();
  container.exec(sandbox.pid(), {"cat", "/proc/1/cgroup"});
  EXPECT_EQ(container.output(), own);
  sandbox.kill(SIGKILL);
  sandbox.wait();
  sandbox.release();
}

TEST(Join, HasTheContainersPrivilegesAndFilter) {
  CTR_NEEDS_CONTAINERS();
  TestContainer container({"sleep", "100"});
  container.spec.linux.seccomp = default_seccomp(default_capabilities());
  Sandbox sandbox = container.create();
  sandbox.start();
  container.exec(sandbox.pid(), {"grep", "-E", "CapEff|Seccomp:", "/proc/self/status"});
  EXPECT_EQ(container.output(), "CapEff:\t00000000a80425fb\nSeccomp:\t2\n");
}

TEST(Join, ResolvesUsersInTheRunningContainer) {
  CTR_NEEDS_CONTAINERS();
  TestContainer container(
      {"sh", "-c", "echo 'app:x:77:88::/srv:/bin/sh' > /etc/passwd; echo ready > /ready; sleep 100"});
  Sandbox sandbox = container.create();
  sandbox.start();
  while (!path_exists(container.rootfs() / "ready")) ::usleep(1000);
  ProcessSpec process = *container.spec.process;
  process.args = {"sh", "-c", "id -u; id -g; echo $HOME"};
  JoinOptions join;
  join.id = container.options.id;
  join.user = UserRequest{"app", {}};
  EXPECT_EQ(container.exec(sandbox.pid(), process, join).code, 0);
  EXPECT_EQ(container.output(), "77\n88\n/srv\n");
}

TEST(Join, MissingCommandIs127) {
  CTR_NEEDS_CONTAINERS();
  TestContainer container({"sleep", "100"});
  Sandbox sandbox = container.create();
  sandbox.start();
  try {
    container.exec(sandbox.pid(), {"nosuch"});
    FAIL();
  } catch (const SandboxError& error) {
    EXPECT_EQ(error.exit_status(), 127);
  }
}

TEST(Join, EntersAContainerWithAUserNamespace) {
  CTR_NEEDS_CONTAINERS();
  TestContainer container({"sleep", "100"});
  container.spec.linux.namespaces.push_back({NamespaceType::User, {}});
  container.spec.linux.uid_mappings = {{0, 100000, 65536}};
  container.spec.linux.gid_mappings = {{0, 100000, 65536}};
  for (const auto& entry : fs::recursive_directory_iterator(container.rootfs())) {
    ASSERT_EQ(::lchown(entry.path().c_str(), 100000, 100000), 0);
  }
  ASSERT_EQ(::chown(container.rootfs().c_str(), 100000, 100000), 0);
  ASSERT_EQ(::chmod(container.bundle().c_str(), 0755), 0);
  Sandbox sandbox = container.create();
  sandbox.start();
  EXPECT_EQ(
      container.exec(sandbox.pid(), {"sh", "-c", "id -u; readlink /proc/1/ns/user; readlink /proc/self/ns/user"}).code,
      0);
  const std::vector<std::string> lines = split(container.output(), '\n');
  ASSERT_EQ(lines.size(), 4u) << container.output();
  EXPECT_EQ(lines[0], "0");
  EXPECT_EQ(lines[1], lines[2]);
}

TEST(Join, TerminalOfAnExecIsInTheContainersDevpts) {
  CTR_NEEDS_CONTAINERS();
  TestContainer container({"sleep", "100"});
  Sandbox sandbox = container.create();
  sandbox.start();
  ProcessSpec process = *container.spec.process;
  process.terminal = true;
  process.args = {"tty"};
  JoinOptions join;
  join.id = container.options.id;
  Sandbox running = exec_in(sandbox.pid(), process, {}, &container.cgroup(), join);
  const Fd console = running.take_console();
  ASSERT_TRUE(console);
  running.start();
  char buffer[64] = {};
  const ssize_t size = ::read(console.get(), buffer, sizeof buffer);
  EXPECT_EQ(std::string(buffer, static_cast<std::size_t>(std::max<ssize_t>(size, 0))), "/dev/pts/0\r\n");
  EXPECT_EQ(running.wait().code, 0);
  running.release();
}

}  // namespace
}  // namespace ctr
