// Lists of manifests that are put together on this machine and then pushed (`ctr manifest`). A list is one file under
// $CTR_ROOT/manifests: names of manifests in registries with the platform of each. Nothing of the images is stored.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "engine/registry_indexes.h"

namespace ctr {

struct ListedManifest {
  Reference reference;
  Descriptor descriptor;  ///< with the platform, as far as it is known
};
struct ManifestList {
  Reference name;
  std::vector<ListedManifest> manifests;
};

enum class ListAmend { No, Yes };

/// Throws Exists in Docker's words if the list exists and may not be amended.
ManifestList create_manifest_list(Context& context, const std::string& name, const std::vector<std::string>& manifests,
                                  ListAmend amend, RegistryTrust trust);

/// What annotate says over a manifest's platform; empty texts say nothing.
struct PlatformChange {
  std::string os;
  std::string architecture;
  std::string variant;
  std::string os_version;
  std::vector<std::string> os_features;
};
/// Throws NotFound if list or manifest are unknown.
void annotate_manifest_list(Context& context, const std::string& name, const std::string& manifest,
                            const PlatformChange& change);

std::optional<ManifestList> find_manifest_list(Context& context, const std::string& name);
/// The list as it would be pushed now.
Index index_of(const ManifestList& list);

/// Sends the manifests and then the list; the digest of the list.
Digest push_manifest_list(Context& context, const std::string& name, RegistryTrust trust, TransferProgress& progress);

/// Throws NotFound in Docker's words.
void remove_manifest_list(Context& context, const std::string& name);

}  // namespace ctr
