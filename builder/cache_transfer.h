// Caches that travel: --cache-to and --cache-from. A cache is an ordinary OCI image whose layers are what steps made
// (and, with mounts=true, what cache mounts hold) and whose config has one more member, `ctr.cache.v1`, with the records:
// every registry takes it, and push and pull need no code of its own. With type=inline the member is in the built
// image's config. Layers are verified against their diff ids when they are fetched, so a cache can't lie about them.
#pragma once

#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "builder/build.h"
#include "builder/build_cache.h"
#include "builder/build_executor.h"
#include "builder/step_reporter.h"
#include "image/config.h"
#include "image/store.h"

namespace ctr {

inline constexpr const char* kCacheMember = "ctr.cache.v1";

/// One step's result as it travels.
struct TravellingRecord {
  std::set<std::string> keys;  ///< hexadecimal
  BuildRecord record;
};

/// What a cache holds.
struct CacheDocument {
  std::vector<TravellingRecord> records;
  std::map<std::string, Digest> mounts;  ///< cache mounts by id, as layers
};

Json to_json(const CacheDocument& document);
/// Throws Invalid for what is malformed or too large.
CacheDocument cache_document_from_json(const Json& json);

/// Writes a cache where `spec` says. `wanted` are the layers that go with it; records of others keep their keys only.
void export_cache(const CacheSpec& spec, CacheDocument document, const std::set<Digest>& wanted, const Platform& platform,
                  Store& store, Pin& pin, const BuildServices& services, StepReporter& reporter);

/// A cache mount's files as a layer of the store; nothing if it does not exist here.
std::optional<Digest> snapshot_cache_mount(Store& store, Pin& pin, const std::string& id);

/// The caches of --cache-from, read once.
class CacheImports {
 public:
  CacheImports(Store& store, Pin& pin, const BuildServices& services) : store_(store), pin_(pin), services_(services) {}

  /// Reads one. A cache that is not there is a warning: a first build has none.
  void read(const CacheSpec& spec, StepReporter& reporter);

  bool empty() const noexcept { return records_.empty() && mounts_.empty(); }
  std::optional<RemoteRecord> find(const Digest& key) const;
  std::optional<Digest> find_mount(const std::string& id) const;

  /// Tells the executor where the layers can be had.
  void offer_layers(BuildExecutor& executor, StepReporter& reporter) const;

 private:
  /// Where blobs come from: a repository, or a layout directory.
  struct Origin {
    std::optional<Reference> reference;
    fs::path layout;
  };
  struct RemoteLayer {
    Descriptor blob;
    Origin origin;
  };
  void read_target(const Origin& origin, const Descriptor& target, const CacheSpec& spec);
  void read_image(const Origin& origin, const Descriptor& manifest, const CacheSpec& spec);
  void take(const Origin& origin, const Descriptor& blob) const;
  void fetch(const RemoteLayer& layer, const Digest& diff_id, StepReporter& reporter, StepNumber step) const;

  Store& store_;
  Pin& pin_;
  const BuildServices& services_;
  std::map<Digest, RemoteRecord> records_;
  std::map<Digest, RemoteLayer> layers_;
  std::map<std::string, Digest> mounts_;
};

}  // namespace ctr
