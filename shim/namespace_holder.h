// `ctr-shim hold LOCK`: keeps the namespaces of a user (runtime/user_session.h) that it was started in, and does nothing
// else. Whoever needs them holds a shared lock on the file; when the exclusive one can be had, nobody does.
#pragma once

namespace ctr {

/// Returns when nobody needs the namespaces any more. `lock` is the file's path.
int hold_namespaces(const char* lock);

}  // namespace ctr
