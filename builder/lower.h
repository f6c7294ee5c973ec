// Lowering: stages of instructions become a graph, and beside it the image config that they leave. Only stages that the
// target needs are looked at. Nothing is executed or read here; base images and named contexts come from functions, so
// that a test lowers a Dockerfile from values alone.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <variant>
#include <vector>

#include "builder/dockerfile_parser.h"
#include "builder/graph.h"
#include "image/config.h"
#include "image/platform.h"

namespace ctr {

/// A base image as far as lowering needs it.
struct BaseImage {
  std::string name;  ///< with tag and digest, as the title of its step shows it
  Digest manifest;
  ImageConfig config;
};

/// What --build-context puts in the place of a name.
struct NamedTree {
  std::string name;  ///< of the ContextOp
};
using NamedSource = std::variant<BaseImage, NamedTree>;

struct LowerSources {
  /// Throws NotFound and the like; the sentence gets the stage's place in front.
  std::function<BaseImage(const std::string& name, const Platform& platform)> image;
  /// Nothing if no --build-context has that name.
  std::function<std::optional<NamedSource>(const std::string& name, const Platform& platform)> named_context;
};

struct LowerOptions {
  std::string target;  ///< stage name or number; empty: the last stage
  Platform build_platform;
  Platform target_platform;
  bool is_platform_given = false;     ///< --platform was typed: the image is of that platform, whatever its base says
  bool is_multi_platform = false;     ///< titles name the platform
  std::map<std::string, std::string> build_args;
  std::map<std::string, std::string> labels;
  bool ignore_cache = false;
  std::set<std::string> ignore_cache_stages;
  std::string network = "default";
  std::string hostname = "buildkitsandbox";
  std::vector<std::string> add_hosts;
  std::vector<std::string> ulimits;
  std::string cgroup_parent;
  std::uint64_t shm_size_bytes = 0;
  std::set<std::string> entitlements;
  std::optional<std::int64_t> epoch;
};

struct LoweredImage {
  VertexId root = 0;
  ImageConfig config;  ///< without layers and times
  Platform platform;
};

/// Throws SourceError for what is wrong in the Dockerfile.
LoweredImage lower(Graph& graph, const Dockerfile& dockerfile, const LowerOptions& options, const LowerSources& sources);

}  // namespace ctr
