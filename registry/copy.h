// Copy: images from one registry to another (or to and from files), bytes as they are: nothing is unpacked, converted
// or named locally. All platforms unless one is asked for, and what refers to the image.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "image/descriptor.h"
#include "image/platform.h"
#include "image/reference.h"
#include "registry/content.h"
#include "registry/progress.h"
#include "registry/session.h"

namespace ctr {

/// "HOST/app:v1" or "docker://...", "oci:DIR[:TAG]", "docker-archive:FILE[:NAME]", "oci-archive:FILE[:NAME]".
struct CopyPlace {
  enum class Kind { Registry, Layout, Archive } kind = Kind::Registry;
  std::optional<Reference> reference = {};  ///< Registry: the image; Archive: its name in the file, if given
  fs::path path = {};
  std::string tag = {};  ///< Layout
};

/// Throws Invalid; forms that are not there yet (dir:, containers-storage:) are refused by name.
CopyPlace parse_copy_place(std::string_view text);

enum class CopyReferrers { Follow, Skip };

struct CopyOptions {
  std::optional<Platform> platform = {};  ///< of an index this manifest alone, as a plain manifest
  CopyReferrers referrers = CopyReferrers::Follow;
  std::size_t parallel_blobs = 5;
  TransferProgress* progress = nullptr;
};

struct CopyResult {
  Descriptor target;          ///< what the destination's name stands for now
  std::size_t manifests = 0;  ///< that were copied or found there, referrers included
};

CopyResult copy_image(RegistrySession& session, const CopyPlace& source, const CopyPlace& destination,
                      const CopyOptions& options);

/// One manifest or index with all below it, by digest, from a source to a target. For `copy`, and for a push of an
/// index of which platforms are missing here.
void copy_tree(ContentSource& source, ContentTarget& target, const Descriptor& manifest, const CopyOptions& options);

}  // namespace ctr
