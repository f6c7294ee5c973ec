// The images that a Dockerfile names: found in the store, or their metadata pulled; each name and platform once a build.
// Layers are not touched: they are brought when a step needs them.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "builder/build.h"
#include "builder/build_executor.h"
#include "builder/lower.h"
#include "builder/step_reporter.h"
#include "image/image.h"
#include "image/store.h"

namespace ctr {

class BaseImages {
 public:
  BaseImages(Store& store, Pin& pin, const BuildRequest& request, const BuildServices& services, StepReporter& reporter)
      : store_(store), pin_(pin), request_(request), services_(services), reporter_(reporter) {}

  /// Throws NotFound in Docker's words.
  BaseImage find(const std::string& name, const Platform& platform);
  /// An image that another build of this command made: a bake target.
  BaseImage find_built(const std::string& target, const Descriptor& image, const Platform& platform);
  /// An image in an OCI layout directory: its blobs are taken into the store.
  BaseImage find_in_layout(const OciLayoutSource& layout, const Platform& platform);

  /// Tells the executor where the layers of all images found so far can be had.
  void offer_layers(BuildExecutor& executor) const;

  /// The descriptors of these layers as their manifests list them, by diff id.
  std::map<Digest, Descriptor> layer_blobs() const;

 private:
  struct Found {
    Reference reference;
    Image image;
  };
  Found load(const Reference& reference, const std::string& name, const Platform& platform, StepNumber step);
  BaseImage remember(Found found, const std::string& shown_name);

  Store& store_;
  Pin& pin_;
  const BuildRequest& request_;
  const BuildServices& services_;
  StepReporter& reporter_;
  std::map<std::string, BaseImage> known_;
  std::vector<Found> found_;
};

}  // namespace ctr
