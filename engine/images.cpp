#include "engine/images.h"

#include <cstdlib>

#include "base/error.h"
#include "base/text.h"
#include "base/time.h"
#include "engine/events.h"
#include "engine/image_names.h"
#include "image/archive.h"
#include "image/store.h"
#include "registry/pull.h"

namespace ctr {
namespace {

/// The image behind a target for the platform that commands mean when none is given, or whatever one is here. An index
/// may have children whose layers were never pulled: those come last.
std::optional<Image> find_any_image(const Store& store, const Descriptor& target, const Platform& platform) {
  std::optional<Image> meant = find_image(store.blobs(), target, platform);
  if (meant && has_all_layers(store, *meant)) return meant;
  std::vector<Image> images = load_all_images(store.blobs(), target);
  for (Image& image : images) {
    if (has_all_layers(store, image)) return std::move(image);
  }
  if (meant || images.empty()) return meant;
  return std::move(images.front());
}

bool has_platform(const Image& image, const Platform& platform) {
  return image.config.platform.architecture.empty() || platform_matches(platform, image.config.platform);
}

}  // namespace

Platform default_platform(const Context& context) {
  const char* variable = std::getenv("DOCKER_DEFAULT_PLATFORM");
  if (variable != nullptr && *variable != '\0') return parse_platform(variable);
  if (!context.configuration().default_platform.empty()) return parse_platform(context.configuration().default_platform);
  return host_platform();
}

std::optional<FoundImage> find_image(Context& context, const std::string& name,
                                     const std::optional<Platform>& platform) {
  const Store& store = context.store();
  const std::optional<ResolvedImage> resolved = resolve_image(store, name);
  if (!resolved) return std::nullopt;
  std::optional<Image> image = platform ? find_image(store.blobs(), resolved->target, *platform)
                                        : find_any_image(store, resolved->target, default_platform(context));
  if (!image) return std::nullopt;
  if (platform && (!has_platform(*image, *platform) || !has_all_layers(store, *image))) return std::nullopt;
  FoundImage found{image->id().str(), resolved->name, resolved->target, *std::move(image)};
  return found;
}

FoundImage get_image(Context& context, const std::string& name, const std::optional<Platform>& platform) {
  std::optional<FoundImage> found = find_image(context, name, platform);
  if (found) return *std::move(found);
  if (platform) {
    if (const std::optional<FoundImage> other = find_image(context, name, std::nullopt)) {
      throw Error(ErrorKind::NotFound, "image with reference " + name + " was found but its platform (" +
                                           other->image.config.platform.str() +
                                           ") does not match the specified platform (" + platform->str() + ")");
    }
  }
  throw Error(ErrorKind::NotFound, "No such image: " + name);
}

void tag_image(Context& context, const std::string& source, const std::string& target) {
  const Reference name = in_context("Error parsing reference: \"" + target + "\" is not a valid repository/tag",
                                    [&] { return Reference::parse(target); });
  if (name.digest()) throw Error(ErrorKind::Invalid, "refusing to create a tag with a digest reference");
  const FoundImage image = get_image(context, source, std::nullopt);
  Pin pin = context.store().pin();
  pin.add(image.target.digest);
  context.store().images().set(name, image.target);
  context.events().append({"image", "tag", image.id, {{"name", name.familiar()}}, 0});
}

namespace {

/// A bare repository name means all its tags, as Docker's save takes it.
std::vector<ImageToSave> images_to_save(Context& context, const std::string& text) {
  const std::optional<Reference> bare = [&]() -> std::optional<Reference> {
    try {
      Reference reference = Reference::parse_name(text);
      if (reference.tag().empty() && !reference.digest()) return reference;
    } catch (const Error&) {
      // It may still be an id.
    }
    return std::nullopt;
  }();
  std::vector<ImageToSave> found;
  if (bare) {
    for (const NamedImage& named : context.store().images().list()) {
      if (named.name && named.name->name() == bare->name()) found.push_back({{*named.name}, named.target});
    }
  }
  if (!found.empty()) return found;
  const FoundImage image = get_image(context, text, std::nullopt);
  std::vector<Reference> names;
  if (image.reference && !image.reference->tag().empty()) names.push_back(*image.reference);
  return {{names, image.target}};
}

/// Names of one target belong to one entry of the archive.
void merge_into(std::vector<ImageToSave>& images, ImageToSave more) {
  for (ImageToSave& image : images) {
    if (image.target.digest != more.target.digest) continue;
    image.names.insert(image.names.end(), more.names.begin(), more.names.end());
    return;
  }
  images.push_back(std::move(more));
}

}  // namespace

void save_images(Context& context, const std::vector<std::string>& names, const std::optional<Platform>& platform,
                 ByteSink& tar) {
  std::vector<ImageToSave> images;
  for (const std::string& name : names) {
    for (ImageToSave& image : images_to_save(context, name)) merge_into(images, std::move(image));
  }
  Pin pin = context.store().pin();
  for (const ImageToSave& image : images) pin.add(image.target.digest);
  save_images(context.store(), images, platform, tar);
  for (const ImageToSave& image : images) {
    context.events().append({"image", "save", image.target.digest.str(), {}, 0});
  }
}

std::vector<std::string> load_images(Context& context, ByteSource& tar, const std::optional<Platform>& platform) {
  std::vector<std::string> sentences;
  for (const LoadedImage& image : load_images(context.store(), tar, platform)) {
    if (image.names.empty()) sentences.push_back("Loaded image ID: " + image.id.str());
    for (const Reference& name : image.names) sentences.push_back("Loaded image: " + name.familiar());
    context.events().append({"image", "load", image.id.str(), {{"name", image.id.str()}}, 0});
  }
  return sentences;
}

void name_new_image(Context& context, const Descriptor& target, const std::string& reference) {
  context.store().sync();
  if (reference.empty()) {
    context.store().images().set_untagged(target);
  } else {
    context.store().images().set(Reference::parse(reference), target);
  }
}

std::string import_image(Context& context, ByteSource& tar, const ImportRequest& request) {
  if (!request.reference.empty()) Reference::parse(request.reference);
  ImageConfig config;
  config.created = format_time(now());
  config.platform = normalised(request.platform.value_or(default_platform(context)));
  apply_changes(config, request.changes);
  Pin pin = context.store().pin();
  const Descriptor target = import_rootfs(context.store(), tar, config, request.message);
  pin.add(target.digest);
  name_new_image(context, target, request.reference);
  const std::string id = load_image(context.store().blobs(), target, config.platform).id().str();
  context.events().append({"image", "import", id, {{"name", request.reference.empty() ? id : request.reference}}, 0});
  return id;
}

}  // namespace ctr
