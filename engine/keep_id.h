// `--userns=keep-id`: the user who runs `ctr` has the same ids inside the container as outside. The container gets a user
// namespace within the user's session, and its root filesystem is a copy in which the owners are shifted: only root could
// show the layers' files with other owners by an idmapped mount.
#pragma once

#include <vector>

#include "base/user_namespace.h"
#include "engine/container_record.h"
#include "image/merged_tree.h"
#include "runtime/spec.h"

namespace ctr {

inline constexpr const char* kKeepId = "keep-id";
bool keeps_id(const HostConfig& host);

/// From ids of the container to ids of the session, given the session's own map.
std::vector<IdMapping> keep_id_mappings(const std::vector<IdMapLine>& session);

/// The user namespace in the spec, and the user's own ids where no user was asked for.
void apply_keep_id(Spec& spec, const ContainerRecord& record);

/// Whom a container's processes run as: the user asked for; "uid:gid" of the caller with keep-id; else empty, the image's.
std::string kept_user(const ContainerRecord& record);

/// What the layers' owners become in the copy.
OwnerShift keep_id_shift();

}  // namespace ctr
