#include "image/manifest.h"

#include "base/error.h"

namespace ctr {

namespace {

[[noreturn]] void throw_invalid(const std::string& sentence) {
  throw Error(ErrorKind::Invalid, sentence);
}

constexpr std::size_t kChildLimit = 10'000;
constexpr std::string_view kSchema1 = "application/vnd.docker.distribution.manifest.v1+json";
constexpr std::string_view kSchema1Signed = "application/vnd.docker.distribution.manifest.v1+prettyjws";

std::optional<Descriptor> find_subject(const Json& json) {
  const Json* subject = json.find("subject");
  if (!subject || subject->is_null()) return std::nullopt;
  return descriptor_from_json(*subject, "subject");
}

std::vector<Descriptor> descriptors(const Json& json, std::string_view key) {
  const Json::Array& elements = json.elements(key);
  if (elements.size() > kChildLimit)
    throw_invalid(std::string(key) + " has " + std::to_string(elements.size()) + " elements");
  std::vector<Descriptor> result;
  result.reserve(elements.size());
  for (const Json& element : elements)
    result.push_back(descriptor_from_json(element, std::string(key) + "[" + std::to_string(result.size()) + "]"));
  return result;
}

Manifest manifest_from_json(const Json& json, std::string media_type) {
  if (json.contains("manifests")) throw_invalid("manifest: it has the member \"manifests\" of an index");
  Manifest result{std::move(media_type), descriptor_from_json(json.at("config"), "config"),
                  descriptors(json, "layers")};
  result.annotations = json.string_map("annotations");
  result.artifact_type = json.string_or("artifactType");
  result.subject = find_subject(json);
  return result;
}

Index index_from_json(const Json& json, std::string media_type) {
  if (json.contains("layers") || json.contains("config"))
    throw_invalid("index: it has members of a manifest (\"layers\" or \"config\")");
  Index result{std::move(media_type), descriptors(json, "manifests")};
  result.annotations = json.string_map("annotations");
  result.artifact_type = json.string_or("artifactType");
  result.subject = find_subject(json);
  return result;
}

// The type of a document: what was announced, what it says itself, or else what it looks like.
std::string type_of(const Json& json, std::string_view announced) {
  if (announced == kSchema1 || announced == kSchema1Signed || json.int_or("schemaVersion", 2) == 1)
    throw_invalid(
        "manifest of Docker's schema 1, which is no longer supported: push the image again with a newer tool");
  const std::string own = json.string_or("mediaType");
  const bool is_announced = is_index_type(announced) || is_manifest_type(announced);
  if (is_announced && !own.empty() && own != announced)
    throw_invalid("manifest: media type is " + own + ", but " + std::string(announced) + " was announced");
  if (is_announced) return std::string(announced);
  if (!own.empty()) return own;
  return std::string(json.contains("manifests") ? media_type::kOciIndex : media_type::kOciManifest);
}

void add_common(Json& json, const Annotations& annotations, const std::optional<Descriptor>& subject) {
  if (subject) json["subject"] = to_json(*subject);
  if (!annotations.empty()) json["annotations"] = annotations;
}

Json descriptor_array(const std::vector<Descriptor>& list) {
  Json array = Json::array();
  for (const Descriptor& descriptor : list) array.push_back(to_json(descriptor));
  return array;
}

}  // namespace

ManifestOrIndex parse_manifest_or_index(std::string_view bytes, std::string_view announced) {
  if (bytes.size() > kManifestLimit)
    throw_invalid("manifest: " + std::to_string(bytes.size()) + " bytes are more than the limit");
  const Json json = Json::parse(bytes, "manifest");
  if (!json.is_object()) throw_invalid("manifest: not a JSON object");
  std::string type = type_of(json, announced);
  if (is_index_type(type)) return index_from_json(json, std::move(type));
  if (is_manifest_type(type)) return manifest_from_json(json, std::move(type));
  throw_invalid("manifest: unknown media type " + type);
}

Manifest parse_manifest(std::string_view bytes, std::string_view announced) {
  ManifestOrIndex parsed = parse_manifest_or_index(bytes, announced);
  if (auto* manifest = std::get_if<Manifest>(&parsed)) return std::move(*manifest);
  throw_invalid("manifest: this is an index");
}

Index parse_index(std::string_view bytes, std::string_view announced) {
  ManifestOrIndex parsed = parse_manifest_or_index(bytes, announced);
  if (auto* index = std::get_if<Index>(&parsed)) return std::move(*index);
  throw_invalid("index: this is a manifest");
}

std::string serialise(const Manifest& manifest) {
  Json json = Json::object({{"schemaVersion", 2}, {"mediaType", manifest.media_type}});
  if (!manifest.artifact_type.empty()) json["artifactType"] = manifest.artifact_type;
  json["config"] = to_json(manifest.config);
  json["layers"] = descriptor_array(manifest.layers);
  add_common(json, manifest.annotations, manifest.subject);
  return json.dump();
}

std::string serialise(const Index& index) {
  Json json = Json::object({{"schemaVersion", 2}, {"mediaType", index.media_type}});
  if (!index.artifact_type.empty()) json["artifactType"] = index.artifact_type;
  json["manifests"] = descriptor_array(index.manifests);
  add_common(json, index.annotations, index.subject);
  return json.dump();
}

std::optional<Descriptor> choose_manifest(const Index& index, const Platform& platform) {
  const Descriptor* best = nullptr;
  int best_score = 0;
  for (const Descriptor& child : index.manifests) {
    if (is_attestation(child) || !child.platform) continue;
    const int score = platform_score(platform, *child.platform);
    if (score > best_score) {
      best = &child;
      best_score = score;
    }
  }
  if (best) return *best;
  // An index of one image that doesn't say for what (a layout that another tool made).
  const bool is_single = index.manifests.size() == 1 && !index.manifests[0].platform;
  return is_single ? std::optional(index.manifests[0]) : std::nullopt;
}

}  // namespace ctr
