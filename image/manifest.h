// Manifests and indexes, OCI's and Docker's schema 2, as values. The bytes that a registry served are kept as a blob
// and never rewritten: what is parsed here is a view of them, and only new manifests are serialised.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/json.h"
#include "image/descriptor.h"

namespace ctr {

/// No manifest or index may be larger; registries refuse above 4 MiB.
inline constexpr std::uint64_t kManifestLimit = 16 * 1024 * 1024;

struct Manifest {
  std::string media_type;
  Descriptor config;
  std::vector<Descriptor> layers;
  Annotations annotations = {};
  std::string artifact_type = {};
  std::optional<Descriptor> subject = {};
};

struct Index {
  std::string media_type;
  std::vector<Descriptor> manifests;
  Annotations annotations = {};
  std::string artifact_type = {};
  std::optional<Descriptor> subject = {};
};

using ManifestOrIndex = std::variant<Manifest, Index>;

/// Parses either. `media_type` is what the descriptor or Content-Type says; a document that says otherwise is refused
/// (the confusion of manifest and index is an attack), one that says nothing is taken at that word. Throws Invalid,
/// with a sentence of its own for Docker's schema 1.
ManifestOrIndex parse_manifest_or_index(std::string_view bytes, std::string_view media_type);
Manifest parse_manifest(std::string_view bytes, std::string_view media_type = {});
Index parse_index(std::string_view bytes, std::string_view media_type = {});

/// The same value gives the same bytes for ever.
std::string serialise(const Manifest& manifest);
std::string serialise(const Index& index);

/// The child of `index` for `platform`, by platform_score; nothing if there is none. Attestations are never chosen.
std::optional<Descriptor> choose_manifest(const Index& index, const Platform& platform);

}  // namespace ctr
