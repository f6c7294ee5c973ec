// Images by name: list, inspect, history, tag, remove, prune, save, load, import, pull, push. A name is whatever leads to an
// image: a reference, the id (digest of the config), a manifest's or index's digest, or a unique prefix of the id.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "engine/containers.h"
#include "engine/context.h"
#include "engine/filters.h"
#include "image/descriptor.h"
#include "image/image.h"
#include "image/platform.h"
#include "image/reference.h"

namespace ctr {

/// An image that was found, with the name it was found by (absent if by digest).
struct FoundImage {
  std::string id;  // "sha256:…" of the config
  std::optional<Reference> reference;
  Descriptor target;  // what the name points at: a manifest or an index
  Image image;        // of the wanted platform
};

/// The platform that commands use when none is given: DOCKER_DEFAULT_PLATFORM, the configuration's, this machine's.
Platform default_platform(const Context& context);

/// Absent if no such image is in the store, or not for that platform. Throws Invalid for an ambiguous prefix, or a name that
/// can't be one. Without a platform any platform of a name serves if this machine's is missing.
std::optional<FoundImage> find_image(Context& context, const std::string& name,
                                     const std::optional<Platform>& platform);
/// Throws NotFound "No such image: x" in Docker's words.
FoundImage get_image(Context& context, const std::string& name, const std::optional<Platform>& platform);

struct ImageSummary {
  std::string id;
  std::string parent_id;
  std::vector<std::string> repo_tags;     // "busybox:latest"
  std::vector<std::string> repo_digests;  // "busybox@sha256:…"
  std::int64_t created = 0;               // Unix seconds
  std::uint64_t size = 0;                 // of its layers' content
  std::uint64_t shared_size = 0;
  std::map<std::string, std::string> labels;
  std::int64_t containers = 0;
  std::vector<std::string> platforms;  // present in the store
};
struct ListImagesRequest {
  bool all = false;
  std::string reference;  // the optional argument: "busybox" or "busybox:*"
  Filters filters;
};
Filters parse_image_filters(const std::vector<std::string>& texts);
/// Newest first.
std::vector<ImageSummary> list_images(Context& context, const ListImagesRequest& request);
Json to_json(const ImageSummary& summary);

/// Docker's document of one image.
Json inspect_image(Context& context, const std::string& name, const std::optional<Platform>& platform);

struct HistoryItem {
  std::string id;  // "<missing>" but for the top
  std::int64_t created = 0;
  std::string created_by;
  std::string comment;
  std::uint64_t size = 0;
  std::vector<std::string> tags;
};
/// Newest first.
std::vector<HistoryItem> image_history(Context& context, const std::string& name,
                                       const std::optional<Platform>& platform);

void tag_image(Context& context, const std::string& source, const std::string& target);

struct RemovedImageItem {
  enum class Action { Untagged, Deleted } action;
  std::string what;  // "busybox:latest", "busybox@sha256:…", "sha256:…"
};
enum class PruneParents { Yes, No };
/// Throws Busy in Docker's words ("conflict: unable to remove …") if a container or several names hold it.
std::vector<RemovedImageItem> remove_image(Context& context, const std::string& name, RemoveForce force,
                                           PruneParents parents);

struct ImagePruneReport {
  std::vector<RemovedImageItem> removed;
  std::uint64_t space_reclaimed = 0;
};
enum class PruneWhich { Dangling, Unused };
ImagePruneReport prune_images(Context& context, PruneWhich which, const Filters& filters);

/// Writes an OCI layout that is a docker-archive as well (manifest.json beside index.json), uncompressed.
void save_images(Context& context, const std::vector<std::string>& names, const std::optional<Platform>& platform,
                 ByteSink& tar);
/// What `load` says of each image: "Loaded image: name" or "Loaded image ID: sha256:…".
std::vector<std::string> load_images(Context& context, ByteSource& tar, const std::optional<Platform>& platform);

struct ImportRequest {
  std::string reference;             // may be empty
  std::string message;
  std::vector<std::string> changes;  // Dockerfile instructions
  std::optional<Platform> platform;
};
/// A root filesystem's tar becomes an image of one layer. Returns its id.
std::string import_image(Context& context, ByteSource& tar, const ImportRequest& request);

/// Applies CMD, ENTRYPOINT, ENV, EXPOSE, LABEL, USER, VOLUME, WORKDIR, ONBUILD, HEALTHCHECK, STOPSIGNAL.
void apply_changes(ImageConfig& config, const std::vector<std::string>& changes);

}  // namespace ctr
