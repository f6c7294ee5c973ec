// The root directory of a container as a descriptor: of a running one through its first process, with everything that
// is mounted there; of a stopped one as a detached overlay that nobody else sees, whose volumes are opened apart.
#pragma once

#include <string>
#include <vector>

#include "base/fd.h"
#include "engine/container_record.h"
#include "engine/context.h"
#include "image/digest.h"

namespace ctr {

/// A path of a container and the directory it is to be resolved in (with openat2, RESOLVE_IN_ROOT).
struct ContainerPath {
  Fd root;
  std::string path;       // relative to root
  bool read_only = false;  // a read-only volume or root filesystem
};

/// `path` is the container's, absolute or relative to "/".
ContainerPath open_container_path(Context& context, const ContainerRecord& record, const std::string& path);

/// The layers of its image, lowest first.
std::vector<Digest> layer_ids(const ContainerRecord& record);

/// The container's files without volumes, read-only: image and changes as they are now.
Fd open_container_image(Context& context, const ContainerRecord& record);

}  // namespace ctr
