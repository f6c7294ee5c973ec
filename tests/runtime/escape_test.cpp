// Root filesystems and commands that try to get out. Each test plays one known class of attack for real.
#include <atomic>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/stat.h>
#include <thread>

#include "base/text.h"
#include "runtime/bundle.h"
#include "runtime/capabilities.h"
#include "runtime/cgroup_layout.h"
#include "runtime/seccomp.h"
#include "runtime/spec_defaults.h"
#include "tests/support/runtime_container.h"

namespace ctr {
namespace {

std::vector<std::string> shell(const std::string& script) {
  return {"/bin/sh", "-c", script};
}

/// A directory outside the root whose content must stay as it is.
class Outside {
 public:
  Outside() { write_file_atomic(path() / "victim", "untouched\n", Durability::Cached); }
  const fs::path& path() const { return directory_.path(); }
  bool is_untouched() const {
    return list_directory(path()) == std::vector<std::string>{"victim"} &&
           read_file(path() / "victim") == "untouched\n";
  }

 private:
  TempDirectory directory_;
};

MountSpec bind(const fs::path& source, const fs::path& destination) {
  MountSpec mount;
  mount.source = source;
  mount.destination = destination;
  mount.options = {"rbind", "rprivate"};
  return mount;
}

TEST(Escape, MountPointThroughAbsoluteLinkStaysInside) {
  CTR_NEEDS_CONTAINERS();
  const Outside outside;
  TestContainer container(shell("ls /data; readlink /link"));
  fs::create_symlink(outside.path(), container.rootfs() / "link");
  make_directories(container.bundle() / "source");
  write_file_atomic(container.bundle() / "source/f", "", Durability::Cached);
  container.spec.mounts.push_back(bind(container.bundle() / "source", "/link/deep"));
  container.spec.mounts.push_back(bind(container.bundle() / "source", "/data"));
  EXPECT_EQ(container.run().code, 0);
  EXPECT_TRUE(outside.is_untouched());
  // The directory was made where the link leads inside the root.
  EXPECT_TRUE(path_exists(container.rootfs() / outside.path().relative_path() / "deep"));
}

TEST(Escape, MountPointThroughDotDotLinkStaysInside) {
  CTR_NEEDS_CONTAINERS();
  const Outside outside;
  TestContainer container(shell("true"));
  fs::create_symlink(fs::path("../../../../../../..") / outside.path().relative_path() / "file",
                     container.rootfs() / "link");
  container.spec.mounts.push_back(bind("/etc/hostname", "/link"));
  EXPECT_EQ(container.run().code, 0);
  EXPECT_TRUE(outside.is_untouched());
}

TEST(Escape, ProcThatIsALinkIsRefused) {
  CTR_NEEDS_CONTAINERS();
  TestContainer container(shell("true"));
  fs::remove(container.rootfs() / "proc");
  fs::create_symlink("/tmp", container.rootfs() / "proc");
  try {
    container.run();
    FAIL() << "proc was mounted through a link";
  } catch (const SandboxError& error) {
    EXPECT_NE(std::string(error.what()).find("proc on /proc"), std::string::npos) << error.what();
  }
}

TEST(Escape, DevThatIsALinkToTheHostGetsNoNodesThere) {
  CTR_NEEDS_CONTAINERS();
  const Outside outside;
  TestContainer container(shell("true"));
  fs::remove(container.rootfs() / "dev");
  fs::create_symlink(outside.path(), container.rootfs() / "dev");
  std::erase_if(container.spec.mounts,
                [](const MountSpec& mount) { return mount.destination.native().starts_with("/dev"); });
  EXPECT_EQ(container.run().code, 0);
  EXPECT_TRUE(outside.is_untouched());
}

TEST(Escape, MasksComeFromTheHostsNullWhateverTheImageHas) {
  CTR_NEEDS_CONTAINERS();
  // CVE-2025-31133: a /dev/null of the image's own would be bound over what it should hide.
  TestContainer container(shell("stat -c %t:%T /proc/keys"));
  std::erase_if(container.spec.mounts,
                [](const MountSpec& mount) { return mount.destination.native().starts_with("/dev"); });
  fs::create_symlink("/proc/sysrq-trigger", container.rootfs() / "dev/null");
  EXPECT_EQ(container.run().code, 0);
  EXPECT_EQ(container.output(), "1:3\n");
}

TEST(Escape, MaskThroughALinkHidesNothingOutside) {
  CTR_NEEDS_CONTAINERS();
  const Outside outside;
  TestContainer container(shell("true"));
  fs::create_symlink(outside.path() / "victim", container.rootfs() / "mask");
  container.spec.linux.masked_paths.push_back("/mask");
  container.spec.linux.readonly_paths.push_back("/mask");
  EXPECT_EQ(container.run().code, 0);
  EXPECT_EQ(read_file(outside.path() / "victim"), "untouched\n");
}

TEST(Escape, WorkingDirectoryInADescriptorOfOursIsRefused) {
  CTR_NEEDS_CONTAINERS();
  // CVE-2024-21626: a descriptor of the host's that the runtime holds, reached through /proc/self/fd.
  for (int number = 3; number < 24; ++number) {
    for (const char* suffix : {"", "/../../.."}) {
      TestContainer container(shell("ls -d /proc/1/cwd/bin/busybox; pwd"));
      container.spec.process->cwd = "/proc/self/fd/" + std::to_string(number) + suffix;
      try {
        const int code = container.run().code;
        const std::string output = container.output();
        // Where it starts at all, it starts inside: "/" of the working directory is the container's.
        EXPECT_TRUE(code != 0 || output.find("unreachable") == std::string::npos) << number << suffix << ": " << output;
      } catch (const SandboxError&) {
        continue;
      }
    }
  }
}

TEST(Escape, ExecSeesNoDescriptorAndNoMemoryOfOurs) {
  CTR_NEEDS_CONTAINERS();
  // A process of the container looks for newcomers and reads what it can of them.
  TestContainer container(
      shell("while :; do for p in /proc/[0-9]*; do case $p in /proc/1) continue;; esac; "
            "ls -l $p/fd 2>/dev/null | grep -E 'ctr|rootfs|cgroup' >> /seen; "
            "readlink $p/exe 2>/dev/null | grep -v busybox >> /seen; done; done"));
  container.spec.process->capabilities = docker_capability_sets(default_capabilities());
  Sandbox sandbox = container.create();
  sandbox.start();
  for (int round = 0; round < 20; ++round) EXPECT_EQ(container.exec(sandbox.pid(), {"true"}).code, 0);
  EXPECT_EQ(find_file(container.rootfs() / "seen").value_or(""), "");
}

TEST(Escape, ExecWithAWorkingDirectoryInADescriptorOfOursIsRefused) {
  CTR_NEEDS_CONTAINERS();
  TestContainer container(shell("sleep 100"));
  Sandbox sandbox = container.create();
  sandbox.start();
  ProcessSpec process = *container.spec.process;
  process.args = shell("ls /proc/self/cwd/../../../bin/ctr-victim; pwd");
  for (int number = 3; number < 24; ++number) {
    process.cwd = "/proc/self/fd/" + std::to_string(number);
    JoinOptions join;
    join.id = container.options.id;
    try {
      container.exec(sandbox.pid(), process, join);
      EXPECT_EQ(container.output().find("unreachable"), std::string::npos) << number << ": " << container.output();
    } catch (const SandboxError&) {
      continue;
    }
  }
}

TEST(Escape, ConsoleThatIsALinkOfTheImageStaysInside) {
  CTR_NEEDS_CONTAINERS();
  // CVE-2025-52565: what is bound onto /dev/console must not land where a link leads outside.
  const Outside outside;
  TestContainer container(shell("stat -L -c %F /dev/console"));
  std::erase_if(container.spec.mounts, [](const MountSpec& mount) { return mount.destination == "/dev"; });
  make_directories(container.rootfs() / "dev/pts");
  fs::create_symlink(outside.path() / "victim", container.rootfs() / "dev/console");
  container.spec.process->terminal = true;
  EXPECT_EQ(container.run().code, 0);
  EXPECT_TRUE(outside.is_untouched());
  // The kernel shows a mount of the terminal at the place inside that the link names, never at the victim.
  EXPECT_NE(container.output().find("character special file"), std::string::npos) << container.output();
}

TEST(Escape, NodeOfAHostsDiskIsMadeButNotOpened) {
  CTR_NEEDS_CONTAINERS();
  if (cgroup_layout() == CgroupLayout::None) GTEST_SKIP() << "no cgroups";
  TestContainer container(shell("mknod /disk b 7 0 && head -c1 /disk; mknod /mem c 1 1 && head -c1 /mem"));
  EXPECT_NE(container.run().code, 0);
  EXPECT_NE(container.output().find("/disk: Operation not permitted"), std::string::npos) << container.output();
  EXPECT_NE(container.output().find("/mem: Operation not permitted"), std::string::npos) << container.output();
}

TEST(Escape, ReleaseAgentCannotBeSet) {
  CTR_NEEDS_CONTAINERS();
  // CVE-2022-0492: a program of the container's that the host would start when a cgroup gets empty.
  TestContainer container(
      shell("for f in $(ls -d /sys/fs/cgroup/*/release_agent /sys/fs/cgroup/release_agent 2>/dev/null); do "
            "echo /evil >$f && echo written; done; "
            "mkdir /tmp/c; mount -t cgroup -o rdma,memory c /tmp/c && echo mounted; "
            "mount -t cgroup2 c /tmp/c && echo mounted; echo done"));
  EXPECT_EQ(container.run().code, 0);
  EXPECT_EQ(container.output().find("written"), std::string::npos) << container.output();
  EXPECT_EQ(container.output().find("mounted"), std::string::npos) << container.output();
}

TEST(Escape, ProgramsThatTheHostWouldStartCannotBeNamed) {
  CTR_NEEDS_CONTAINERS();
  TestContainer container(
      shell("for f in /proc/sys/kernel/core_pattern /proc/sys/kernel/modprobe /proc/sys/kernel/hotplug "
            "/sys/kernel/uevent_helper /proc/sys/fs/binfmt_misc/register /proc/sysrq-trigger; do "
            "(echo '|/evil' >$f) 2>/dev/null && echo $f; done; true"));
  EXPECT_EQ(container.run().code, 0);
  EXPECT_EQ(container.output(), "");
}

TEST(Escape, MaskOfALinkIntoProcHidesNothingElse) {
  CTR_NEEDS_CONTAINERS();
  // CVE-2025-52881: writes of the runtime's own that are led somewhere else through /proc.
  TestContainer container(shell("cat /proc/sys/kernel/hostname >/dev/null; wc -c </proc/keys"));
  fs::remove_all(container.rootfs() / "sys");
  fs::create_symlink("/proc/self", container.rootfs() / "sys");
  EXPECT_THROW(container.run(), SandboxError);
}

TEST(Escape, HugeConfigIsRefusedBeforeItIsParsed) {
  TempDirectory bundle;
  const Fd huge = open_file(bundle.path() / "config.json", O_WRONLY | O_CREAT, 0600);
  ASSERT_EQ(::ftruncate(huge.get(), off_t{1} << 40), 0);
  EXPECT_THROW(load_bundle(bundle.path()), Error);
  // Deeply nested, it is small: the parser's own stack is what it is after.
  write_file_atomic(bundle.path() / "config.json", std::string(1000000, '['), Durability::Cached);
  EXPECT_THROW(load_bundle(bundle.path()), Error);
}

TEST(Escape, PasswdOfTheImageCannotGrowOrHang) {
  CTR_NEEDS_CONTAINERS();
  TestContainer container(shell("id -u"));
  write_file_atomic(container.rootfs() / "etc/passwd", std::string(100000, ':') + "\nroot:x:0:0\nx:y:z:w:\n:::::::\n",
                    Durability::Cached);
  container.options.user = UserRequest{"root", {}};
  EXPECT_EQ(container.run().code, 0);
  const Fd huge = open_file(container.rootfs() / "etc/passwd", O_WRONLY);
  ASSERT_EQ(::ftruncate(huge.get(), off_t{1} << 40), 0);
  EXPECT_THROW(container.run(), SandboxError);
}

TEST(Escape, TiocstiOfTheCallersTerminalIsNotPossible) {
  CTR_NEEDS_CONTAINERS();
  // The command has no controlling terminal but its own.
  TestContainer container(shell("echo x > /dev/tty"));
  EXPECT_NE(container.run().code, 0);
}

TEST(Escape, SessionKeyringIsTheContainersOwn) {
  CTR_NEEDS_CONTAINERS();
  if (!path_exists("/proc/keys")) GTEST_SKIP() << "a kernel without keys";
  TestContainer container(shell("cat /proc/keys"));
  container.spec.linux.masked_paths.clear();
  EXPECT_EQ(container.run().code, 0);
  EXPECT_NE(container.output().find("_ses." + container.options.id), std::string::npos) << container.output();
}

TEST(Escape, SourceThatIsSwappedForALinkIsBoundAsItWasFound) {
  CTR_NEEDS_CONTAINERS();
  // A mount source belongs to the caller; its target must not depend on links inside the root that change meanwhile.
  const Outside outside;
  TestContainer container(shell("sleep 0.05"));
  make_directories(container.rootfs() / "a/b");
  container.spec.mounts.push_back(bind(container.bundle(), "/a/b"));
  std::atomic<bool> is_done = false;
  std::thread swapper([&] {
    const fs::path place = container.rootfs() / "a";
    const fs::path aside = container.rootfs() / "aside";
    while (!is_done) {
      std::error_code ignored;
      fs::rename(place, aside, ignored);
      fs::create_symlink(outside.path(), place, ignored);
      fs::remove(place, ignored);
      fs::rename(aside, place, ignored);
    }
  });
  for (int round = 0; round < 20; ++round) {
    try {
      container.run();
    } catch (const SandboxError&) {
      continue;  // losing the race may fail, but nothing may be made outside
    }
  }
  is_done = true;
  swapper.join();
  EXPECT_TRUE(outside.is_untouched());
}

}  // namespace
}  // namespace ctr
