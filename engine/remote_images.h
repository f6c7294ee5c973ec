// What is asked of a registry and changes nothing here: the tags of a repository, an image's document without pulling
// it, and deleting a tag or manifest there.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/json.h"
#include "engine/context.h"
#include "image/platform.h"

namespace ctr {

/// `repository` without a tag.
std::vector<std::string> list_remote_tags(Context& context, const std::string& repository);

/// Docker's document of `inspect`, as far as a registry can tell; the size is that of the compressed layers. For an
/// index also its manifests, for an artifact its type and layers.
Json inspect_remote_image(Context& context, const std::string& name, const std::optional<Platform>& platform);

/// Deletes a tag, or a manifest by its digest with all its tags. Returns Docker's words: "Untagged: host/app:v1". Throws
/// Invalid without a tag or digest (none is assumed), or where the registry does not delete.
std::string delete_remote_image(Context& context, const std::string& name);

}  // namespace ctr
