// Descriptors: a typed, sized, verified pointer to bytes; what manifests, indexes and names hold.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "image/digest.h"
#include "image/media_types.h"
#include "image/platform.h"

namespace ctr {

using Annotations = std::map<std::string, std::string>;

struct Descriptor {
  std::string media_type;
  Digest digest;
  std::uint64_t size = 0;
  std::optional<Platform> platform = {};
  Annotations annotations = {};
  std::vector<std::string> urls = {};
  std::string artifact_type = {};

  bool is_index() const { return is_index_type(media_type); }
  bool is_manifest() const { return is_manifest_type(media_type); }

  friend bool operator==(const Descriptor&, const Descriptor&) = default;
};

/// The descriptor of bytes at hand.
Descriptor describe(std::string_view media_type, std::string_view bytes);

/// Throws Invalid, naming `what`, when a member is missing or wrong (a negative size, a digest that is none).
Descriptor descriptor_from_json(const Json& json, std::string_view what);
Json to_json(const Descriptor& descriptor);

/// Attestations and such that indexes carry beside images: platform unknown/unknown or Docker's reference annotation.
bool is_attestation(const Descriptor& descriptor);

}  // namespace ctr
