// --output: what becomes of a finished build besides, or instead of, an image in the store: a directory, a tar, an
// archive of images, a push. Each output is one function; the store's image is build_export's.
#pragma once

#include <string>
#include <vector>

#include "builder/build.h"
#include "builder/build_export.h"
#include "builder/executor.h"
#include "builder/step_reporter.h"
#include "image/compression.h"
#include "image/store.h"

namespace ctr {

/// Whether an output puts the image into the store under its names (image, registry, docker without a destination).
bool keeps_image(const OutputSpec& output);

/// Whether an output needs an image at all, named or not.
bool needs_image(const OutputSpec& output);

/// The outputs of a request; without any, the image goes to the store.
std::vector<OutputSpec> outputs_of(const BuildRequest& request);

/// How an output wants layers compressed; nothing if it does not say.
std::optional<CompressionChoice> compression_of(const OutputSpec& output);

/// The same image or index with layers compressed that way; blobs are written, nothing is named.
Descriptor compress_image(Store& store, Pin& pin, const Descriptor& target, CompressionChoice choice);

struct FinishedPlatform {
  Platform platform;
  std::vector<Digest> layers;
};

/// type=local and type=tar: the files of the finished platforms.
void write_files(Store& store, const OutputSpec& output, const std::vector<FinishedPlatform>& platforms,
                 const std::set<std::string>& entitlements, StepReporter& reporter);

/// type=oci and type=docker with a destination.
void write_archive(Store& store, const OutputSpec& output, const std::vector<std::string>& names,
                   const Descriptor& target, StepReporter& reporter);

/// push=true: every name of the image.
void push_image(const BuildServices& services, const std::vector<std::string>& names, const Descriptor& target,
                const OutputSpec& output, StepReporter& reporter);

}  // namespace ctr
