// Containers for tests: a root filesystem with a static busybox, and a run of one command in it with what it printed.
#pragma once

#include <string>
#include <vector>

#include "base/file.h"
#include "base/process.h"
#include "runtime/cgroup.h"
#include "runtime/join.h"
#include "runtime/sandbox.h"
#include "runtime/spec.h"

namespace ctr {

/// Why containers can't be made here (no root, no busybox); empty when they can.
std::string why_no_containers();

class TestContainer {
 public:
  /// Docker's default policy, without a seccomp filter unless the spec keeps one.
  explicit TestContainer(std::vector<std::string> args);
  ~TestContainer();

  Spec spec;
  SandboxOptions options;
  CgroupPolicy cgroup_policy = CgroupPolicy::BestEffort;

  fs::path rootfs() const { return directory_.path() / "rootfs"; }
  fs::path bundle() const { return directory_.path(); }

  /// Runs to the end; standard output and error together are in output().
  ExitStatus run();
  /// Makes it and leaves it at the gate.
  Sandbox create();
  /// Runs `args` in the running container.
  ExitStatus exec(pid_t pid, const std::vector<std::string>& args);
  ExitStatus exec(pid_t pid, const ProcessSpec& process, const JoinOptions& join);
  const std::string& output() const { return output_; }
  const Cgroup& cgroup();

 private:
  void read_output(Fd pipe);

  TempDirectory directory_;
  std::optional<Cgroup> cgroup_;
  std::string output_;
};

}  // namespace ctr

/// For tests that make containers.
#define CTR_NEEDS_CONTAINERS()                                                                 \
  do {                                                                                         \
    if (const std::string why = ::ctr::why_no_containers(); !why.empty()) GTEST_SKIP() << why; \
  } while (false)
