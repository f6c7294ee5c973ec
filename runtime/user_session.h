// What root has from the start and everybody else makes: a user namespace in which the user is root, with mounts and a
// network of its own. Rootless is then the same program. One process joins it before anything else happens; containers,
// their shims and the bridges of their networks live in it. A small holder (`ctr-shim hold`) keeps it for as long as
// somebody has a hold on it: a running command, or the shim of a container.
//
// Root without CAP_SYS_ADMIN, as in a container, does the same, with all ids mapped to themselves. Where no user
// namespace may be made, the program stays what it is: images can be pulled, pushed and built of files all the same,
// and whatever needs to mount or to start a container says why it cannot (no_containers_reason).
//
// The network namespace is entered only by the thread that works on bridges (bridge_namespace.h): registries are
// reached and ports are bound from where the user is.
#pragma once

#include <optional>
#include <string>

#include "base/fd.h"
#include "base/paths.h"

namespace ctr {

/// Joins the session of this user, or makes it, for the rest of this process's life. For root, and in a process that was
/// started inside, nothing happens. REQUIRES: one thread. Throws Denied when the run directory is not the user's own.
void enter_user_session(const Paths& paths);

/// A descriptor to hand to a process that needs the namespaces: they stay as long as it is open. -1 without any.
int user_session_hold();

/// Why this process can mount nothing and make no containers, as one sentence with the line that mends it; empty when
/// it can.
const std::string& no_containers_reason();
/// Throws it, as Denied.
void require_containers();

/// The namespace in which the session's bridges are; nothing for root, whose bridges are the machine's.
std::optional<fs::path> session_network(const Paths& paths);

/// Why a user has no further ids than their own, with the line that mends it; empty when they have a range.
std::string single_id_reason();

/// For `ctr system reset`: where the session's own files are. They may be removed by whoever is inside.
fs::path session_directory(const Paths& paths);

}  // namespace ctr
