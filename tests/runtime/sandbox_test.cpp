#include "runtime/sandbox.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include "base/mount.h"
#include "base/text.h"
#include "runtime/capabilities.h"
#include "runtime/seccomp.h"
#include "runtime/spec_defaults.h"
#include "tests/support/runtime_container.h"

namespace ctr {
namespace {

std::vector<std::string> shell(const std::string& script) {
  return {"/bin/sh", "-c", script};
}

TEST(Sandbox, RunsACommandAndReturnsItsStatus) {
  CTR_NEEDS_CONTAINERS();
  TestContainer container(shell("echo hello; exit 7"));
  EXPECT_EQ(container.run().code, 7);
  EXPECT_EQ(container.output(), "hello\n");
}

TEST(Sandbox, CommandIsPidOneAndSeesOnlyItself) {
  CTR_NEEDS_CONTAINERS();
  TestContainer container(shell("echo $$; echo /proc/[0-9]*; hostname"));
  container.spec.hostname = "box";
  EXPECT_EQ(container.run().code, 0);
  EXPECT_EQ(container.output(), "1\n/proc/1\nbox\n");
}

TEST(Sandbox, HasDockersDevicesAndLinks) {
  CTR_NEEDS_CONTAINERS();
  TestContainer container(
      shell("cd /dev; stat -c '%n %t:%T %a' null zero full random urandom tty; "
            "for l in fd stdin stdout stderr ptmx; do readlink $l; done"));
  EXPECT_EQ(container.run().code, 0);
  EXPECT_EQ(container.output(),
            "null 1:3 666\nzero 1:5 666\nfull 1:7 666\nrandom 1:8 666\nurandom 1:9 666\ntty 5:0 666\n"
            "/proc/self/fd\n/proc/self/fd/0\n/proc/self/fd/1\n/proc/self/fd/2\npts/ptmx\n");
}

TEST(Sandbox, KeepsExactlyTheGrantedCapabilities) {
  CTR_NEEDS_CONTAINERS();
  TestContainer container(shell("grep Cap /proc/self/status"));
  EXPECT_EQ(container.run().code, 0);
  EXPECT_EQ(container.output(),
            "CapInh:\t0000000000000000\nCapPrm:\t00000000a80425fb\nCapEff:\t00000000a80425fb\n"
            "CapBnd:\t00000000a80425fb\nCapAmb:\t0000000000000000\n");
}

TEST(Sandbox, AmbientCapabilitiesReachAnOrdinaryUser) {
  CTR_NEEDS_CONTAINERS();
  TestContainer container(shell("id -u; grep CapEff /proc/self/status"));
  const std::uint64_t net = std::uint64_t{1} << *capability_number("NET_BIND_SERVICE");
  container.spec.process->user.uid = 1000;
  container.spec.process->user.gid = 1000;
  container.spec.process->capabilities = CapabilitySets{net, net, net, net, net};
  EXPECT_EQ(container.run().code, 0);
  EXPECT_EQ(container.output(), "1000\nCapEff:\t0000000000000400\n");
}

TEST(Sandbox, FilterIsLoadedAndForbidsWhatDockerForbids) {
  CTR_NEEDS_CONTAINERS();
  TestContainer container(shell("grep Seccomp: /proc/self/status; mount -t tmpfs x /tmp 2>&1 || echo refused"));
  container.spec.linux.seccomp = default_seccomp(default_capabilities());
  EXPECT_EQ(container.run().code, 0);
  EXPECT_TRUE(container.output().starts_with("Seccomp:\t2\n")) << container.output();
  EXPECT_TRUE(container.output().ends_with("refused\n")) << container.output();
}

TEST(Sandbox, FilterIsLoadedForAnOrdinaryUserWithAndWithoutNoNewPrivileges) {
  CTR_NEEDS_CONTAINERS();
  for (const bool no_new_privileges : {false, true}) {
    TestContainer container(shell("grep -E 'Seccomp:|NoNewPrivs' /proc/self/status"));
    container.spec.linux.seccomp = default_seccomp(default_capabilities());
    container.spec.process->user.uid = 1000;
    container.spec.process->no_new_privileges = no_new_privileges;
    EXPECT_EQ(container.run().code, 0);
    EXPECT_EQ(container.output(), std::string("NoNewPrivs:\t") + (no_new_privileges ? "1" : "0") + "\nSeccomp:\t2\n");
  }
}

TEST(Sandbox, MasksAndProtectsProcAndSys) {
  CTR_NEEDS_CONTAINERS();
  TestContainer container(
      shell("wc -c < /proc/keys; ls /sys/firmware | wc -l; "
            "echo x 2>/dev/null > /proc/sys/kernel/domainname || echo ro; touch /sys/x 2>/dev/null || echo ro"));
  EXPECT_EQ(container.run().code, 0);
  EXPECT_EQ(container.output(), "0\n0\nro\nro\n");
}

TEST(Sandbox, ReadonlyRootRefusesWritesButMountsDoNot) {
  CTR_NEEDS_CONTAINERS();
  TestContainer container(shell("touch /x 2>/dev/null || echo ro; touch /dev/shm/x && echo rw"));
  container.spec.root.readonly = true;
  EXPECT_EQ(container.run().code, 0);
  EXPECT_EQ(container.output(), "ro\nrw\n");
}

TEST(Sandbox, BindsAFileAndADirectoryMakingTheirMountPoints) {
  CTR_NEEDS_CONTAINERS();
  TestContainer container(shell("cat /etc/new/file; ls /data/deep; touch /data/deep/y 2>/dev/null || echo ro"));
  const fs::path source = container.bundle() / "source";
  make_directories(source);
  write_file_atomic(source / "f", "content\n", Durability::Cached);
  MountSpec file;
  file.destination = "/etc/new/file";
  file.source = source / "f";
  file.options = {"bind", "ro"};
  MountSpec directory = file;
  directory.destination = "/data/deep";
  directory.source = source;
  container.spec.mounts.push_back(file);
  container.spec.mounts.push_back(directory);
  EXPECT_EQ(container.run().code, 0);
  EXPECT_EQ(container.output(), "content\nf\nro\n");
}

TEST(Sandbox, UserNamesAreResolvedInTheRootFileSystem) {
  CTR_NEEDS_CONTAINERS();
  TestContainer container(shell("id -u; id -g; id -G; echo $HOME"));
  write_file_atomic(container.rootfs() / "etc/passwd",
                    "root:x:0:0::/root:/bin/sh\nnode:x:1000:1001::/home/node:/bin/sh\n", Durability::Cached);
  write_file_atomic(container.rootfs() / "etc/group", "node:x:1001:\naudio:x:29:node,other\n", Durability::Cached);
  container.options.user = UserRequest{"node", {}};
  EXPECT_EQ(container.run().code, 0);
  EXPECT_EQ(container.output(), "1000\n1001\n1001 29\n/home/node\n");
}

TEST(Sandbox, UnknownUserIsOneSentence) {
  CTR_NEEDS_CONTAINERS();
  TestContainer container(shell("true"));
  container.options.user = UserRequest{"nobodyhere", {}};
  try {
    container.run();
    FAIL();
  } catch (const SandboxError& error) {
    EXPECT_STREQ(error.what(), "unable to find user nobodyhere: no matching entries in passwd file");
    EXPECT_EQ(error.exit_status(), 125);
  }
}

TEST(Sandbox, MissingCommandIs127AndUnexecutableIs126) {
  CTR_NEEDS_CONTAINERS();
  const auto failure = [](const std::string& command) {
    TestContainer container({command});
    write_file_atomic(container.rootfs() / "bin/plain", "text", Durability::Cached);
    try {
      container.run();
      return std::string("no failure");
    } catch (const SandboxError& error) {
      return std::to_string(error.exit_status()) + " " + error.what();
    }
  };
  EXPECT_EQ(failure("nosuch"), "127 exec: \"nosuch\": executable file not found in $PATH");
  EXPECT_EQ(failure("/bin/nosuch"), "127 exec: \"/bin/nosuch\": no such file or directory");
  EXPECT_EQ(failure("/bin/plain"), "126 exec: \"/bin/plain\": permission denied");
  EXPECT_EQ(failure("/etc"), "126 exec: \"/etc\": is a directory");
}

TEST(Sandbox, TerminalIsTheContainersOwn) {
  CTR_NEEDS_CONTAINERS();
  TestContainer container(shell("tty; stty size; test -t 0 && test -t 1 && echo yes; stat -c %t:%T /dev/console"));
  container.spec.process->terminal = true;
  container.spec.process->console_size = ConsoleSize{33, 77};
  EXPECT_EQ(container.run().code, 0);
  EXPECT_EQ(container.output(), "/dev/pts/0\r\n33 77\r\nyes\r\n88:0\r\n");
}

TEST(Sandbox, LimitsAboveOurOwnAreClamped) {
  CTR_NEEDS_CONTAINERS();
  TestContainer container(shell("ulimit -n"));
  container.spec.process->rlimits = {{"RLIMIT_NOFILE", 500, 1000}};
  EXPECT_EQ(container.run().code, 0);
  EXPECT_EQ(container.output(), "500\n");
}

TEST(Sandbox, NoForeignDescriptorReachesTheCommand) {
  CTR_NEEDS_CONTAINERS();
  const int leaked = ::open("/etc", O_RDONLY | O_DIRECTORY);  // without close-on-exec
  ASSERT_GE(leaked, 3);
  TestContainer container(shell("ls /proc/self/fd | wc -l"));
  EXPECT_EQ(container.run().code, 0);
  ::close(leaked);
  // 0, 1, 2 and the directory that ls reads.
  EXPECT_EQ(container.output(), "4\n");
}

TEST(Sandbox, PreservedDescriptorsReachTheCommand) {
  CTR_NEEDS_CONTAINERS();
  if (::fcntl(3, F_GETFD) >= 0) GTEST_SKIP() << "descriptor 3 is in use";
  const Fd file = open_file("/dev/zero", O_RDONLY);
  if (file.get() != 3) ::dup2(file.get(), 3);
  ::fcntl(3, F_SETFD, 0);
  TestContainer container(shell("test -e /proc/self/fd/3 && head -c 3 <&3 | wc -c"));
  container.options.preserved_fds = 1;
  const int code = container.run().code;
  if (file.get() != 3) ::close(3);
  EXPECT_EQ(code, 0);
  EXPECT_EQ(container.output(), "3\n");
}

TEST(Sandbox, TimeOffsetsAreInForceForTheCommand) {
  CTR_NEEDS_CONTAINERS();
  if (!path_exists("/proc/self/ns/time")) GTEST_SKIP() << "no time namespaces";
  TestContainer container(shell("cut -d. -f1 /proc/uptime 2>/dev/null || head -c 8 /proc/uptime"));
  container.spec.linux.time_offsets["boottime"] = {100000000, 0};
  EXPECT_EQ(container.run().code, 0);
  EXPECT_GE(parse_uint(trim(container.output()).substr(0, 8)).value_or(0), 10000000u) << container.output();
}

TEST(Sandbox, SysctlsOfTheContainersNamespacesAreSet) {
  CTR_NEEDS_CONTAINERS();
  TestContainer container(shell("cat /proc/sys/net/ipv4/ip_unprivileged_port_start /proc/sys/kernel/shmmni"));
  container.spec.linux.sysctl = {{"net.ipv4.ip_unprivileged_port_start", "0"}, {"kernel.shmmni", "1234"}};
  EXPECT_EQ(container.run().code, 0);
  EXPECT_EQ(container.output(), "0\n1234\n");
}

TEST(Sandbox, SysctlOfTheHostIsRefused) {
  CTR_NEEDS_CONTAINERS();
  TestContainer container(shell("true"));
  container.spec.linux.sysctl = {{"kernel.panic", "0"}};
  EXPECT_THROW(container.run(), SandboxError);
}

TEST(Sandbox, WorkingDirectoryIsMadeAndUsed) {
  CTR_NEEDS_CONTAINERS();
  TestContainer container(shell("pwd; umask"));
  container.spec.process->cwd = "/made/here";
  container.spec.process->user.umask = 077;
  EXPECT_EQ(container.run().code, 0);
  EXPECT_EQ(container.output(), "/made/here\n0077\n");
}

TEST(Sandbox, CommandGetsTheEnvironmentAndItsOwnPathIsSearched) {
  CTR_NEEDS_CONTAINERS();
  TestContainer container({"env"});
  container.spec.process->env = {"PATH=/nowhere:/bin", "A=b c"};
  EXPECT_EQ(container.run().code, 0);
  EXPECT_EQ(container.output(), "PATH=/nowhere:/bin\nA=b c\nHOME=/\n");
}

TEST(Sandbox, LoopbackIsUpInANewNetworkNamespace) {
  CTR_NEEDS_CONTAINERS();
  TestContainer container(shell("ip addr show lo | grep -c 127.0.0.1; ls /sys/class/net"));
  EXPECT_EQ(container.run().code, 0);
  EXPECT_EQ(container.output(), "1\nlo\n");
}

TEST(Sandbox, OverlayRootIsWritableAndLeavesTheLowerAlone) {
  CTR_NEEDS_CONTAINERS();
  TestContainer container(shell("echo new > /file; cat /file"));
  const TempDirectory work(container.bundle());
  OverlayMount overlay;
  overlay.lowers = {container.rootfs()};
  overlay.upper = work.path() / "upper";
  overlay.work = work.path() / "work";
  make_directories(overlay.upper);
  make_directories(overlay.work);
  Pipe pipe = make_pipe();
  Sandbox sandbox = [&] {
    try {
      return start_sandbox(container.spec, overlay, {pipe.read.get(), pipe.write.get(), 2}, &container.cgroup(),
                           container.options);
    } catch (const Error& error) {
      throw std::runtime_error(error.what());
    }
  }();
  pipe.write.reset();
  sandbox.start();
  EXPECT_EQ(read_fd(pipe.read.get(), 100, "output"), "new\n");
  EXPECT_EQ(sandbox.wait().code, 0);
  EXPECT_TRUE(path_exists(overlay.upper / "file"));
  EXPECT_FALSE(path_exists(container.rootfs() / "file"));
}

TEST(Sandbox, DestroyingOneAtTheGateEndsIt) {
  CTR_NEEDS_CONTAINERS();
  TestContainer container(shell("sleep 100"));
  pid_t pid = 0;
  {
    const Sandbox sandbox = container.create();
    pid = sandbox.pid();
    EXPECT_TRUE(path_exists("/proc/" + std::to_string(pid)));
  }
  EXPECT_FALSE(path_exists("/proc/" + std::to_string(pid)));
}

TEST(Sandbox, GateInADirectoryIsOpenedByAnybodyWithThePath) {
  CTR_NEEDS_CONTAINERS();
  TestContainer container(shell("echo started > /done"));
  const fs::path gate = container.bundle() / "gate";
  make_directories(gate);
  container.options.gate_directory = gate;
  Sandbox sandbox = container.create();
  EXPECT_TRUE(has_start_gate(gate));
  EXPECT_FALSE(path_exists(container.rootfs() / "done"));
  open_start_gate(gate, "/bin/sh");
  EXPECT_EQ(sandbox.wait().code, 0);
  EXPECT_TRUE(path_exists(container.rootfs() / "done"));
  EXPECT_FALSE(has_start_gate(gate));
  EXPECT_THROW(open_start_gate(gate, "/bin/sh"), Error);
  sandbox.release();
}

TEST(Sandbox, TmpCopyUpStartsWithTheImagesContent) {
  CTR_NEEDS_CONTAINERS();
  TestContainer container(shell("cat /data/a/f; stat -c '%a %u' /data /data/a; echo x > /data/n"));
  make_directories(container.rootfs() / "data/a", 0750);
  write_file_atomic(container.rootfs() / "data/a/f", "copied\n", Durability::Cached);
  ASSERT_EQ(::chmod((container.rootfs() / "data").c_str(), 0711), 0);
  ASSERT_EQ(::chown((container.rootfs() / "data/a").c_str(), 5, 5), 0);
  MountSpec mount;
  mount.destination = "/data";
  mount.type = "tmpfs";
  mount.source = "tmpfs";
  mount.options = {"tmpcopyup"};
  container.spec.mounts.push_back(mount);
  EXPECT_EQ(container.run().code, 0);
  EXPECT_EQ(container.output(), "copied\n711 0\n750 5\n");
  EXPECT_FALSE(path_exists(container.rootfs() / "data/n"));
}

TEST(Sandbox, UserNamespaceMapsRootToAnOrdinaryId) {
  CTR_NEEDS_CONTAINERS();
  TestContainer container(shell("id -u; cat /proc/self/uid_map; test -w /dev/null && echo null; ls /data"));
  container.spec.linux.namespaces.push_back({NamespaceType::User, {}});
  container.spec.linux.uid_mappings = {{0, 100000, 65536}};
  container.spec.linux.gid_mappings = {{0, 100000, 65536}};
  MountSpec bind;
  bind.destination = "/data";
  bind.source = container.bundle() / "private";
  bind.options = {"rbind"};
  make_directories(container.bundle() / "private");
  write_file_atomic(container.bundle() / "private/f", "", Durability::Cached);
  container.spec.mounts.push_back(bind);
  for (const auto& entry : fs::recursive_directory_iterator(container.rootfs())) {
    ASSERT_EQ(::lchown(entry.path().c_str(), 100000, 100000), 0);
  }
  ASSERT_EQ(::chown(container.rootfs().c_str(), 100000, 100000), 0);
  ASSERT_EQ(::chmod(container.bundle().c_str(), 0755), 0);
  EXPECT_EQ(container.run().code, 0) << container.output();
  EXPECT_EQ(container.output(), "0\n         0     100000      65536\nnull\nf\n");
}

TEST(Sandbox, HooksRunInOrderWithTheStateOnStandardInput) {
  CTR_NEEDS_CONTAINERS();
  TestContainer container(shell("echo run >> /log"));
  const std::string log = container.rootfs() / "log";
  const auto hook = [&](const std::string& name) {
    HookSpec spec;
    spec.path = "/bin/sh";
    spec.args = {
        "sh", "-c",
        "read -r s; case $s in *'\"id\":\"" + container.options.id + "\"'*) echo " + name + " >> " + log + ";; esac"};
    return spec;
  };
  container.spec.hooks.prestart = {hook("prestart")};
  container.spec.hooks.create_runtime = {hook("createRuntime")};
  container.spec.hooks.create_container = {hook("createContainer")};
  HookSpec inside = hook("startContainer");
  inside.args[2] = "read -r s; echo startContainer >> /log";
  container.spec.hooks.start_container = {inside};
  container.spec.hooks.poststart = {hook("poststart")};
  EXPECT_EQ(container.run().code, 0);
  EXPECT_TRUE(run_poststop_hooks(container.spec, container.options).empty());
  const std::string text = read_file(log);
  EXPECT_TRUE(text.starts_with("prestart\ncreateRuntime\ncreateContainer\nstartContainer\n")) << text;
  EXPECT_NE(text.find("run\n"), std::string::npos);
  EXPECT_NE(text.find("poststart\n"), std::string::npos);
}

TEST(Sandbox, FailingHookStopsTheCreationAndNamesItself) {
  CTR_NEEDS_CONTAINERS();
  TestContainer container(shell("true"));
  HookSpec hook;
  hook.path = "/bin/false";
  container.spec.hooks.create_runtime = {hook};
  try {
    container.run();
    FAIL();
  } catch (const SandboxError& error) {
    EXPECT_NE(std::string(error.what()).find("createRuntime hook /bin/false exited with 1"), std::string::npos)
        << error.what();
  }
}

TEST(Sandbox, HookThatTakesTooLongIsEnded) {
  CTR_NEEDS_CONTAINERS();
  TestContainer container(shell("true"));
  HookSpec hook;
  hook.path = "/bin/busybox";
  hook.args = {"sleep", "100"};
  hook.timeout_seconds = 1;
  container.spec.hooks.prestart = {hook};
  EXPECT_THROW(container.run(), SandboxError);
}

}  // namespace
}  // namespace ctr
