#include "image/descriptor.h"

#include "base/error.h"

namespace ctr {

Descriptor describe(std::string_view media_type, std::string_view bytes) {
  return Descriptor{std::string(media_type), Digest::of(bytes), bytes.size()};
}

Descriptor descriptor_from_json(const Json& json, std::string_view what) {
  return in_context(what, [&] {
    const std::int64_t size = json.require_int("size");
    if (size < 0) throw Error(ErrorKind::Invalid, "negative size " + std::to_string(size));
    Descriptor result{json.string_or("mediaType"), Digest::parse(json.require_string("digest")),
                      static_cast<std::uint64_t>(size)};
    if (const Json* platform = json.find("platform"); platform && !platform->is_null())
      result.platform = platform_from_json(*platform);
    result.annotations = json.string_map("annotations");
    result.urls = json.strings("urls");
    result.artifact_type = json.string_or("artifactType");
    return result;
  });
}

Json to_json(const Descriptor& descriptor) {
  Json json = Json::object(
      {{"mediaType", descriptor.media_type}, {"digest", descriptor.digest.str()}, {"size", descriptor.size}});
  if (!descriptor.urls.empty()) json["urls"] = descriptor.urls;
  if (!descriptor.annotations.empty()) json["annotations"] = descriptor.annotations;
  if (descriptor.platform) json["platform"] = to_json(*descriptor.platform);
  if (!descriptor.artifact_type.empty()) json["artifactType"] = descriptor.artifact_type;
  return json;
}

bool is_attestation(const Descriptor& descriptor) {
  if (descriptor.annotations.contains("vnd.docker.reference.type")) return true;
  return descriptor.platform && descriptor.platform->os == "unknown";
}

}  // namespace ctr
