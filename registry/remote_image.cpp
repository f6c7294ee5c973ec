#include "registry/remote_image.h"

#include "base/text.h"
#include "image/media_types.h"
#include "registry/registry_client.h"

namespace ctr {
namespace {

constexpr int kDeepestIndex = 4;

}  // namespace

Error no_matching_manifest(const Platform& wanted, const Index& index) {
  std::vector<std::string> platforms;
  for (const Descriptor& child : index.manifests) {
    if (child.platform && !is_attestation(child)) platforms.push_back(child.platform->str());
  }
  return Error(ErrorKind::NotFound, "no matching manifest for " + wanted.str() +
                                        " in the manifest list entries: the image has " +
                                        (platforms.empty() ? "no platforms" : join(platforms, ", ")));
}

RemoteImage describe_remote_image(RegistrySession& session, const Reference& reference, const Platform& wanted) {
  RegistryClient client = session.client(reference.host(), reference.repository());
  FetchedManifest fetched = client.get_manifest(reference.digest() ? reference.digest()->str() : reference.tag());
  const Descriptor target = fetched.descriptor;
  std::optional<Index> outermost;
  for (int depth = 0; fetched.descriptor.is_index(); ++depth) {
    if (depth >= kDeepestIndex) throw Error(ErrorKind::Invalid, "indexes are nested too deep");
    Index index = parse_index(fetched.bytes, fetched.descriptor.media_type);
    const auto child = choose_manifest(index, wanted);
    if (!child) throw no_matching_manifest(wanted, index);
    fetched = client.get_manifest(child->digest.str());
    fetched.descriptor.platform = child->platform;
    if (depth == 0) outermost = std::move(index);
  }
  Manifest document = parse_manifest(fetched.bytes, fetched.descriptor.media_type);
  std::optional<ImageConfig> config;
  if (is_config_type(document.config.media_type)) {
    config = parse_image_config(client.read_blob(document.config, kConfigLimit));
  }
  return {target, std::move(outermost), fetched.descriptor, std::move(document), std::move(config)};
}

}  // namespace ctr
