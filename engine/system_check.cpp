#include "engine/system_check.h"

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "base/error.h"
#include "base/file.h"
#include "builder/build_cache.h"
#include "engine/container_root.h"
#include "engine/container_state.h"
#include "engine/container_store.h"
#include "engine/garbage_roots.h"
#include "image/image.h"
#include "image/layer_check.h"
#include "image/layer_ingest.h"
#include "image/store.h"

namespace ctr {
namespace {

class Check {
 public:
  Check(Context& context, CheckMode mode) : context_(context), store_(context.store()), mode_(mode), pin_(store_.pin()) {}

  CheckReport run() {
    read_images();
    check_blobs();
    check_layers();
    check_images();
    check_containers();
    check_build_records();
    find_orphans();
    if (mode_ == CheckMode::Repair) store_.sync();
    return std::move(report_);
  }

 private:
  struct NamedLayer {
    std::string image;
    Layer layer;
  };

  void find(std::string object, std::string problem, std::string advice) {
    report_.findings.push_back({std::move(object), std::move(problem), std::move(advice), false});
  }
  /// Repairs by `repair`, which says what it did; or says what it would do.
  template <typename Repair>
  void find_and_repair(std::string object, std::string problem, const std::string& would, Repair&& repair) {
    CheckFinding finding{std::move(object), std::move(problem), would, false};
    if (mode_ == CheckMode::Repair) {
      try {
        finding.advice = repair();
        finding.is_repaired = true;
      } catch (const Error& error) {
        finding.advice = std::string("repair failed: ") + error.what();
      }
    }
    report_.findings.push_back(std::move(finding));
  }

  static std::string name_of(const NamedImage& image) {
    return image.name ? image.name->familiar() : image.target.digest.str();
  }

  // ---- images ----

  void read_images() {
    for (const NamedImage& named : store_.images().list()) {
      ++report_.images;
      pin_.add(named.target.digest);
      try {
        const std::vector<Image> images = load_all_images(store_.blobs(), named.target);
        if (images.empty()) throw Error(ErrorKind::NotFound, "its manifest is not in the store");
        for (const Image& image : images) {
          for (const Layer& layer : image.layers) {
            pin_.add(layer.diff_id);
            pin_.add(layer.blob.digest);
            blobs_.emplace(layer.diff_id, layer.blob);
            wanted_.push_back({name_of(named), layer});
          }
        }
      } catch (const Error& error) {
        find("image " + name_of(named), error.what(), "pull or build it again, or remove the name with ctr rmi");
      }
    }
  }

  void check_images() {
    std::set<std::pair<std::string, Digest>> told;
    for (const NamedLayer& wanted : wanted_) {
      const Layer& layer = wanted.layer;
      if (store_.layers().has(layer.diff_id) || !told.emplace(wanted.image, layer.diff_id).second) continue;
      const std::string problem = "lacks its layer " + layer.diff_id.str();
      if (!store_.blobs().has(layer.blob.digest)) {
        find("image " + wanted.image, problem, "pull or build it again");
        continue;
      }
      find_and_repair("image " + wanted.image, problem, "its blob can be unpacked again", [&] {
        unpack_blob(store_, layer.blob, layer.diff_id);
        return "unpacked " + layer.blob.digest.str() + " again";
      });
    }
  }

  // ---- blobs and layers ----

  void check_blobs() {
    for (const Digest& digest : store_.blobs().list()) {
      ++report_.blobs;
      if (store_.blobs().is_whole(digest)) continue;
      find_and_repair("blob " + digest.str(), "does not have the content of its name", "can be removed", [&] {
        store_.blobs().remove(digest, store_.trash_path());
        return std::string("removed");
      });
    }
  }

  std::set<Digest> layers_in_use() {
    std::set<Digest> used;
    for (const ContainerRecord& record : context_.containers().list()) {
      const std::vector<Digest> layers = layer_ids(record);
      if (read_state(context_, record).is_running()) used.insert(layers.begin(), layers.end());
    }
    return used;
  }

  void check_layers() {
    const std::set<Digest> in_use = layers_in_use();
    for (const Digest& diff_id : store_.layers().list()) {
      ++report_.layers;
      pin_.add(diff_id);
      const auto blob = blobs_.find(diff_id);
      const auto from = blob == blobs_.end() ? std::nullopt : std::optional(blob->second);
      const std::optional<std::string> damage = find_layer_damage(store_, diff_id, from);
      if (!damage) continue;
      const std::string object = "layer " + diff_id.str();
      if (in_use.contains(diff_id)) {
        find(object, *damage, "a running container uses it: stop that first");
        continue;
      }
      const bool is_kept = from && store_.blobs().is_whole(from->digest);
      find_and_repair(object, *damage, is_kept ? "its blob can be unpacked again" : "can be removed", [&] {
        store_.layers().remove(diff_id, store_.trash_path());
        if (!is_kept) return std::string("removed; pull or build its image again");
        unpack_blob(store_, *from, diff_id);
        return "unpacked " + from->digest.str() + " again";
      });
    }
  }

  // ---- records ----

  void check_containers() {
    ContainerStore& containers = context_.containers();
    for (const std::string& id : containers.list_ids()) {
      ++report_.containers;
      try {
        const ContainerRecord record = containers.load(id);
        for (const Digest& diff_id : layer_ids(record)) {
          if (!store_.layers().has(diff_id))
            find("container " + record.name, "lacks its layer " + diff_id.str(), "pull or build its image again");
        }
        if (!record.snapshot.empty() && !store_.snapshots().has(record.snapshot))
          find("container " + record.name, "lost its writable files", "remove it with ctr rm");
      } catch (const Error& error) {
        find("container " + id, error.what(), "its files are in " + containers.directory(id).native());
      }
    }
  }

  void check_build_records() {
    const BuildCache cache(context_.paths().root, context_.paths().run);
    for (const BuildCache::Usage& usage : cache.list()) {
      ++report_.build_records;
      if (store_.layers().has(usage.record.layer)) continue;
      find_and_repair("build record " + usage.key.hex(), "lacks its layer " + usage.record.layer.str(),
                      "can be removed", [&] {
                        cache.remove(usage.key);
                        return std::string("removed");
                      });
    }
  }

  // ---- what nothing leads to ----

  void find_orphans() {
    const std::vector<RootProvider> roots = garbage_roots(context_);
    const auto tell = [&](const GarbageReport& garbage, bool is_repaired) {
      const std::string advice = is_repaired ? "removed" : "can be removed";
      const auto add = [&](std::string object) {
        report_.findings.push_back({std::move(object), "belongs to nothing", advice, is_repaired});
      };
      for (const Digest& digest : garbage.blobs) add("blob " + digest.str());
      for (const Digest& digest : garbage.layers) add("layer " + digest.str());
      for (const std::string& id : garbage.snapshots) add("snapshot " + id);
    };
    // What this command relied on is not needed any more: only then do orphans show.
    pin_ = store_.pin();
    if (mode_ == CheckMode::Repair) {
      context_.containers().remove_abandoned();
      tell(collect_garbage(store_, roots), true);
      empty_trash(store_);
    } else {
      tell(find_garbage(store_, roots), false);
    }
  }

  Context& context_;
  Store& store_;
  CheckMode mode_;
  Pin pin_;
  CheckReport report_;
  std::map<Digest, Descriptor> blobs_;  // by diff id
  std::vector<NamedLayer> wanted_;
};

}  // namespace

bool CheckReport::is_clean() const {
  return std::ranges::all_of(findings, [](const CheckFinding& finding) { return finding.is_repaired; });
}

CheckReport check_system(Context& context, CheckMode mode) { return Check(context, mode).run(); }

}  // namespace ctr
