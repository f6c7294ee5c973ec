#include "engine/garbage_roots.h"

#include "builder/build_cache.h"
#include "engine/container_store.h"
#include "image/store.h"

namespace ctr {

std::vector<RootProvider> garbage_roots(Context& context) {
  ContainerStore& containers = context.containers();
  const auto container_roots = [&containers](GarbageRoots& roots) {
    for (const ContainerRecord& record : containers.list()) {
      for (const std::string& diff_id : record.layers) roots.digests.push_back(Digest::parse(diff_id));
      if (!record.snapshot.empty()) roots.snapshots.push_back(record.snapshot);
    }
  };
  return {container_roots, build_record_roots(context.paths().root)};
}

GarbageReport collect_garbage(Context& context) {
  GarbageReport report = collect_garbage(context.store(), garbage_roots(context));
  empty_trash(context.store());
  return report;
}

}  // namespace ctr
