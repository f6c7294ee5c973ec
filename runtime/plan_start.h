// Makes the plan of an init child: looks up, checks and spells out everything beforehand, in the parent, where errors
// are exceptions and memory may be had. One file a subject: the process, the root file system, the namespaces.
#pragma once

#include <memory>
#include <string>

#include "runtime/cgroup.h"
#include "runtime/init_plan.h"
#include "runtime/plan_arena.h"
#include "runtime/sandbox.h"
#include "runtime/spec.h"

namespace ctr {

/// A plan with what it points to. Not movable: the child reads it where it is.
struct PlannedInit {
  PlannedInit() = default;
  PlannedInit(const PlannedInit&) = delete;
  PlannedInit& operator=(const PlannedInit&) = delete;

  InitPlan plan;
  PlanArena arena;
};

/// What of a process is planned alike for a first process and for an exec.
struct ProcessContext {
  std::string id;
  const std::string& seccomp_filter;
  const SeccompSpec* seccomp = nullptr;
  RlimitPolicy rlimits = RlimitPolicy::ClampToOwn;
  int parent_death_signal = 0;
  bool use_new_keyring = true;
  /// The container has a user namespace, new or joined: capabilities are relative to it.
  bool has_user_namespace = false;
  /// The content of passwd, for HOME.
  std::string home;
};

void plan_process(PlannedInit& init, const ProcessSpec& process, const ProcessContext& context);
void plan_personality(PlannedInit& init, const LinuxSpec& spec);
void plan_namespaces(PlannedInit& init, const Spec& spec);
/// Everything in which the process `pid` differs from us, and its root.
void plan_join_namespaces(PlannedInit& init, pid_t pid);
/// `root` is the directory (perhaps a detached mount) that becomes the root; `bundle` is where relative sources start.
void plan_root(PlannedInit& init, const Spec& spec, int root, const fs::path& bundle, const Cgroup* cgroup);
void plan_streams(PlannedInit& init, const Stdio& stdio, int preserved_fds);

/// What went wrong, as one sentence with the name of the thing, and the exit status that goes with it.
SandboxError describe_failure(const InitPlan& plan, const InitMessage& failure);
/// The same for a command that could not be found or executed.
SandboxError command_failure(const std::string& command, int error);

}  // namespace ctr
