// Platforms: operating system, architecture and variant of an image, in the spelling of Go and OCI ("linux/arm/v7"),
// and which image runs where.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"

namespace ctr {

struct Platform {
  std::string os = {};
  std::string architecture = {};
  std::string variant = {};
  std::string os_version = {};
  std::vector<std::string> os_features = {};

  /// "linux/arm64", "linux/arm/v7"
  std::string str() const;

  friend bool operator==(const Platform&, const Platform&) = default;
};

/// Reads "os/arch[/variant]", "os" or "arch" alone (the rest is this machine's), in any spelling that Docker accepts
/// (aarch64, x86_64, armhf, …). Throws Invalid.
Platform parse_platform(std::string_view text);

/// The same platform in its usual spelling: aarch64 is arm64, x86_64 is amd64, arm is arm/v7, arm64/v8 is arm64,
/// amd64/v1 is amd64.
Platform normalised(Platform platform);

/// This machine's: what uname says, and for amd64 the highest of v1 to v4 that the processor has.
const Platform& host_platform();

/// What a container on `host` gets from an image for `image`: 0 means that it can't run there, more is better. arm/v7
/// takes v7, v6, v5; arm64 takes arm64 and then 32-bit arm; amd64/v3 takes v3, v2, v1. An image without a variant
/// counts as the architecture's lowest (amd64) or usual one (arm/v7, arm64/v8).
int platform_score(const Platform& host, const Platform& image);

/// Whether an image for `image` is what somebody who asks for `wanted` means: equal once normalised, or a lower
/// variant of the same architecture.
bool platform_matches(const Platform& wanted, const Platform& image);

Platform platform_from_json(const Json& json);
Json to_json(const Platform& platform);

}  // namespace ctr
