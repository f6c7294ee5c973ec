#include "engine/remote_images.h"

#include "base/error.h"
#include "engine/images.h"
#include "engine/logins.h"
#include "engine/merge_config.h"
#include "registry/pull.h"
#include "registry/registry_client.h"
#include "registry/remote_image.h"

namespace ctr {
namespace {

const char* kind_of(const Descriptor& child) {
  return is_attestation(child) ? "attestation" : child.platform ? "image" : "unknown";
}

Json index_documents(const Index& index) {
  Json documents = Json::array();
  for (const Descriptor& child : index.manifests) {
    Json document = Json::object();
    document["ID"] = child.digest.str();
    document["Descriptor"] = to_json(child);
    document["Kind"] = kind_of(child);
    documents.push_back(std::move(document));
  }
  return documents;
}

void add_config(Json& json, const ImageConfig& config) {
  ContainerConfig defaults = merge_config({}, config.defaults);
  defaults.on_build = config.defaults.on_build;
  json["Created"] = config.created;
  json["Author"] = config.author;
  json["Config"] = to_json(defaults, JsonForm::Full);
  if (config.defaults.labels.empty()) json["Config"]["Labels"] = nullptr;
  json["Architecture"] = config.platform.architecture;
  if (!config.platform.variant.empty()) json["Variant"] = config.platform.variant;
  json["Os"] = config.platform.os;
  json["RootFS"]["Type"] = "layers";
  json["RootFS"]["Layers"] = Json::array();
  for (const Digest& diff_id : config.diff_ids) json["RootFS"]["Layers"].push_back(diff_id.str());
}

Json document_of(const Reference& reference, const RemoteImage& image) {
  Json json = Json::object();
  json["Id"] = image.document.config.digest.str();
  json["RepoTags"] = Json::array();
  if (!reference.digest()) json["RepoTags"].push_back(reference.familiar());
  json["RepoDigests"] = Json::array();
  json["RepoDigests"].push_back(reference.familiar_name() + "@" + image.target.digest.str());
  std::uint64_t size = 0;
  Json layers = Json::array();
  for (const Descriptor& layer : image.document.layers) {
    size += layer.size;
    layers.push_back(to_json(layer));
  }
  json["Size"] = size;
  if (image.config) {
    add_config(json, *image.config);
  } else {
    json["ArtifactType"] =
        image.document.artifact_type.empty() ? image.document.config.media_type : image.document.artifact_type;
  }
  json["Descriptor"] = to_json(image.target);
  json["Manifest"] = to_json(image.manifest);
  json["Layers"] = std::move(layers);
  if (image.index) json["Manifests"] = index_documents(*image.index);
  return json;
}

}  // namespace

std::vector<std::string> list_remote_tags(Context& context, const std::string& repository) {
  const Reference reference = Reference::parse_name(repository);
  if (!reference.tag().empty() || reference.digest()) {
    throw Error(ErrorKind::Invalid, repository + " names one image: name a repository, without a tag or digest");
  }
  return list_tags(*open_registry_session(context), reference);
}

Json inspect_remote_image(Context& context, const std::string& name, const std::optional<Platform>& platform) {
  const Reference reference = Reference::parse(name);
  const std::unique_ptr<RegistrySession> session = open_registry_session(context);
  return document_of(reference,
                     describe_remote_image(*session, reference, platform.value_or(default_platform(context))));
}

std::string delete_remote_image(Context& context, const std::string& name) {
  const Reference reference = Reference::parse_name(name);
  if (reference.tag().empty() && !reference.digest()) {
    throw Error(ErrorKind::Invalid, name + " names no image: give a tag or a digest, none is assumed for deleting");
  }
  const std::unique_ptr<RegistrySession> session = open_registry_session(context);
  RegistryClient client = session->client(reference.host(), reference.repository(), Access::Delete);
  if (reference.digest()) {
    client.delete_manifest(reference.digest()->str());
    return "Deleted: " + reference.familiar_name() + "@" + reference.digest()->str();
  }
  try {
    client.delete_manifest(reference.tag());
  } catch (const RegistryError& error) {
    // Registries that delete by digest alone answer so to a tag; whether there is one tells a wrong name from that.
    if (error.status() != 405 && error.status() != 400) throw;
    const auto target = client.head_manifest(reference.tag());
    if (!target) throw;
    throw Error(ErrorKind::Invalid, std::string(error.what()) + "; if it deletes by digest, this takes the image with "
                                    "all its tags: ctr delete " + reference.familiar_name() + "@" +
                                    target->digest.str());
  }
  return "Untagged: " + reference.familiar();
}

}  // namespace ctr
