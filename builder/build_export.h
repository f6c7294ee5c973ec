// From what the solver yields to images in the store: configs and manifests as blobs, an index for several platforms,
// one sync, then the names.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "builder/build.h"
#include "builder/executor.h"
#include "builder/lower.h"
#include "builder/step_reporter.h"
#include "image/compression.h"
#include "image/store.h"

namespace ctr {

struct ExportInput {
  LoweredImage lowered;
  Built built;
};

struct ExportOptions {
  std::vector<std::string> names;
  std::vector<std::string> annotations;  ///< `[type[platform]:]key=value`
  std::optional<std::int64_t> epoch;
  bool always_index = false;             ///< several platforms were asked for
  std::map<Digest, Descriptor> layer_blobs;  ///< how base images' manifests list their layers
  Json inline_cache = {};                ///< put into the config for --cache-to type=inline, unless null
  bool is_named = true;                  ///< put names, or keep the image untagged; else only blobs are written
  bool is_docker_format = false;         ///< Docker's media types instead of OCI's
  std::optional<CompressionChoice> compression;  ///< layers of the manifest; nothing: as they are
};

/// REQUIRES: every layer is in the store.
BuildResult export_images(Store& store, Pin& pin, std::vector<ExportInput> inputs, const ExportOptions& options,
                          StepReporter& reporter);

}  // namespace ctr
