// Manifests and indexes where they are, in registries: looked at, retagged, put together. Their layers move between
// repositories if need be, never through the store.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/context.h"
#include "image/descriptor.h"
#include "image/manifest.h"
#include "image/reference.h"
#include "registry/progress.h"

namespace ctr {

class RegistrySession;

struct RemoteManifest {
  Reference reference;  ///< as it was asked for
  Descriptor descriptor;
  std::string bytes;
};

/// An entry of an index, and the repository in which it is.
struct IndexPart {
  Reference repository;
  Descriptor descriptor;
};

/// One command's view of registries. Insecure ones are asked without verified TLS.
enum class RegistryTrust { Configured, Insecure };
class RegistryIndexes {
 public:
  explicit RegistryIndexes(const Context& context, RegistryTrust trust = RegistryTrust::Configured);
  ~RegistryIndexes();

  /// Throws NotFound in the registry's words.
  RemoteManifest fetch(const Reference& reference);
  /// The config of a manifest, as JSON text.
  std::string config_of(const Reference& repository, const Manifest& manifest);
  /// What an index lists, or the manifest itself with the platform that its config names.
  std::vector<IndexPart> parts_of(const RemoteManifest& manifest);
  /// The parts with all below them to the target's repository, then the document under the target's tag.
  void put(const Reference& target, const RemoteManifest& document, const std::vector<IndexPart>& parts,
           TransferProgress& progress);

 private:
  RegistrySession& session_for(const Reference& reference);

  RegistryTrust trust_;
  std::vector<std::unique_ptr<RegistrySession>> sessions_;
};

struct CreateIndexRequest {
  std::vector<std::string> sources;      ///< names, digests of the target's repository, or descriptors as JSON
  std::vector<std::string> tags;
  std::vector<std::string> annotations;  ///< `[index|manifest-descriptor[PLATFORM]:]key=value`
  std::vector<Platform> platforms;       ///< only these; empty: all
  bool append = false;                   ///< to what the first tag has
  bool prefer_index = true;              ///< one manifest alone becomes an index too
  bool dry_run = false;
};

/// Puts an index together and sends it under each tag. Returns what was, or with dry_run would be, sent.
RemoteManifest create_index(Context& context, const CreateIndexRequest& request, TransferProgress& progress);

/// An index of these entries: Docker's list if all are Docker's and nothing needs OCI's form.
Index index_of(const std::vector<IndexPart>& parts, const Annotations& annotations);

}  // namespace ctr
