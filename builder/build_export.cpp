#include "builder/build_export.h"

#include "base/error.h"
#include "base/text.h"
#include "base/trace.h"
#include "builder/build_outputs.h"
#include "builder/cache_transfer.h"
#include "builder/image_config_fold.h"
#include "image/image.h"
#include "image/manifest.h"

namespace ctr {

namespace {

enum class AnnotationPlace { Manifest, ManifestDescriptor, Index, IndexDescriptor };

struct PlacedAnnotation {
  AnnotationPlace place;
  std::optional<Platform> platform;
  std::string key;
  std::string value;
};

AnnotationPlace parse_place(const std::string& text) {
  if (text == "manifest") return AnnotationPlace::Manifest;
  if (text == "manifest-descriptor") return AnnotationPlace::ManifestDescriptor;
  if (text == "index") return AnnotationPlace::Index;
  if (text == "index-descriptor") return AnnotationPlace::IndexDescriptor;
  throw Error(ErrorKind::Invalid, "unknown annotation type \"" + text + "\"");
}

std::vector<PlacedAnnotation> parse_annotations(const std::vector<std::string>& texts) {
  std::vector<PlacedAnnotation> result;
  for (const std::string& text : texts) {
    const std::size_t equals = text.find('=');
    if (equals == std::string::npos)
      throw Error(ErrorKind::Invalid, "invalid annotation \"" + text + "\": expected key=value");
    std::string key = text.substr(0, equals);
    std::vector<std::string> places{"manifest"};
    // The part before a colon is a place only if it is one: keys may hold colons.
    const std::size_t colon = key.find(':');
    if (colon != std::string::npos) {
      places = split(key.substr(0, colon), ',');
      key = key.substr(colon + 1);
    }
    for (const std::string& place : places) {
      const std::size_t bracket = place.find('[');
      PlacedAnnotation annotation{parse_place(place.substr(0, bracket)), std::nullopt, key, text.substr(equals + 1)};
      if (bracket != std::string::npos && place.ends_with(']'))
        annotation.platform = parse_platform(place.substr(bracket + 1, place.size() - bracket - 2));
      result.push_back(std::move(annotation));
    }
  }
  return result;
}

Annotations annotations_for(const std::vector<PlacedAnnotation>& all, AnnotationPlace place,
                            const std::optional<Platform>& platform) {
  Annotations result;
  for (const PlacedAnnotation& each : all)
    if (each.place == place && (!each.platform || !platform || normalised(*each.platform) == normalised(*platform)))
      result[each.key] = each.value;
  return result;
}

class Exporter {
 public:
  Exporter(Store& store, Pin& pin, const ExportOptions& options, StepReporter& reporter)
      : store_(store), pin_(pin), options_(options), reporter_(reporter), annotations_(parse_annotations(options.annotations)) {}

  BuildResult run(std::vector<ExportInput> inputs) {
    ReportedStep step(reporter_, "exporting to image");
    step.status({.text = "exporting layers", .is_done = true});
    BuildResult result;
    std::vector<Descriptor> children;
    for (ExportInput& input : inputs) children.push_back(write_platform(std::move(input), result, step));
    result.image = children.size() > 1 || options_.always_index ? write_index(children, step) : children.front();
    if (options_.compression) result.image = compress_image(store_, pin_, *result.image, *options_.compression);
    const bool is_index = result.image->is_index();
    result.image_id = is_index ? result.image->digest.str() : result.platforms.front().config.str();
    if (options_.is_named) {
      sync();
      name(*result.image, result, step);
    }
    step.done();
    return result;
  }

 private:
  std::vector<Descriptor> layer_descriptors(const std::vector<Digest>& diff_ids) const {
    std::vector<Descriptor> result;
    for (const Digest& diff_id : diff_ids) {
      const auto known = options_.layer_blobs.find(diff_id);
      result.push_back(known != options_.layer_blobs.end()
                           ? known->second
                           : uncompressed_blob(diff_id, store_.layers().info(diff_id).identity.tar_size));
      if (options_.is_docker_format)
        result.back().media_type = layer_type(media_type::kDockerManifest, compression_of(result.back().media_type));
    }
    return result;
  }

  Descriptor write_platform(ExportInput input, BuildResult& result, ReportedStep& step) {
    ImageConfig config = std::move(input.lowered.config);
    finish_config(config, input.built.layers, input.built.times, options_.epoch);
    // An inline cache of the base says nothing about this image.
    if (config.unknown.is_object()) config.unknown.erase(kCacheMember);
    if (!options_.inline_cache.is_null()) {
      if (!config.unknown.is_object()) config.unknown = Json::object();
      config.unknown[kCacheMember] = options_.inline_cache;
    }
    const std::string config_text = serialise_image_config(config);
    const Digest id = Digest::of(config_text);
    pin_.add(id);
    const Descriptor written =
        write_image(store_, pin_, config, layer_descriptors(input.built.layers),
                    annotations_for(annotations_, AnnotationPlace::Manifest, input.lowered.platform),
                    options_.is_docker_format ? media_type::kDockerManifest : media_type::kOciManifest);
    pin_.add(written.digest);
    step.status({.text = "writing image " + id.str(), .is_done = true});
    result.platforms.push_back({input.lowered.platform, written, id});
    Descriptor listed = written;
    listed.platform = input.lowered.platform;
    listed.annotations = annotations_for(annotations_, AnnotationPlace::ManifestDescriptor, input.lowered.platform);
    return listed;
  }

  Descriptor write_index(const std::vector<Descriptor>& children, ReportedStep& step) {
    Index index;
    index.media_type = options_.is_docker_format ? media_type::kDockerIndex : media_type::kOciIndex;
    index.manifests = children;
    index.annotations = annotations_for(annotations_, AnnotationPlace::Index, std::nullopt);
    const std::string text = serialise(index);
    const Descriptor descriptor = describe(index.media_type, text);
    pin_.add(descriptor.digest);
    store_.blobs().put(index.media_type, text);
    step.status({.text = "exporting manifest list " + descriptor.digest.str(), .is_done = true});
    return descriptor;
  }

  void sync() const {
    const TraceSpan span("sync store");
    store_.sync();
  }

  void name(Descriptor target, BuildResult& result, ReportedStep& step) {
    target.platform.reset();
    target.annotations.clear();
    if (options_.names.empty()) store_.images().set_untagged(target);
    for (const std::string& text : options_.names) {
      const Reference reference = Reference::parse(text);
      store_.images().set(reference, target);
      step.status({.text = "naming to " + reference.str(), .is_done = true});
      result.names.push_back(reference.str());
    }
    result.image = target;
  }

  Store& store_;
  Pin& pin_;
  const ExportOptions& options_;
  StepReporter& reporter_;
  std::vector<PlacedAnnotation> annotations_;
};

}  // namespace

BuildResult export_images(Store& store, Pin& pin, std::vector<ExportInput> inputs, const ExportOptions& options,
                          StepReporter& reporter) {
  return Exporter(store, pin, options, reporter).run(std::move(inputs));
}

}  // namespace ctr
