// What is left of a run when its shim is gone: network, mounts, cgroup, files under $CTR_RUN. Tidied by the process that
// the shim spawns with its last breath, or by whoever finds the shim dead. All of it may be repeated.
#pragma once

#include <string>

#include "engine/container_record.h"
#include "engine/containers.h"
#include "engine/context.h"

namespace ctr {

/// Takes back network, mounts, processes and cgroup of a run. REQUIRES: the container's lock; no living shim.
void tidy_run(Context& context, const ContainerRecord& record);

/// Before a start or a removal: waits for the shim of an ended run to be gone, says in exit.json how a run ended whose
/// shim was killed, and tidies. REQUIRES: the container's lock; the container does not run.
void settle_last_run(Context& context, const ContainerRecord& record);

/// Returns when a shim that is starting has begun its run or is gone. Whoever asked it may be dead; it goes on.
/// REQUIRES: the container's lock.
void wait_for_begun_run(Context& context, const std::string& id);

/// Returns when no shim holds the container any more. REQUIRES: it is ending.
void wait_for_shim_end(Context& context, const std::string& id);

/// Removes everything of a container that does not run. REQUIRES: the container's lock.
void remove_stopped(Context& context, const ContainerRecord& record, RemoveVolumes volumes);

/// Tidies after shims that died without a word, so that `ps` tells the truth and nothing is held.
void tidy_dead_containers(Context& context);

}  // namespace ctr
