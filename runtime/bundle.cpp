#include "runtime/bundle.h"

#include "base/error.h"
#include "runtime/seccomp.h"

namespace ctr {

namespace {
constexpr std::uint64_t kMaxConfigSize = 16 * kMiB;
}

Bundle load_bundle(const fs::path& path) {
  const fs::path file = path / "config.json";
  Bundle bundle;
  bundle.path = path;
  const std::string text = read_file(file, kMaxConfigSize);
  bundle.spec = in_context(file.native(), [&] { return parse_spec(Json::parse(text)); });
  bundle.seccomp_filter = find_file(path / kSeccompFileName, kMiB).value_or("");
  return bundle;
}

void save_bundle(const Bundle& bundle, Durability durability) {
  write_file_atomic(bundle.path / "config.json", spec_json(bundle.spec).dump_pretty(), durability);
  if (bundle.spec.linux.seccomp && !bundle.seccomp_filter.empty()) {
    write_file_atomic(bundle.path / kSeccompFileName, bundle.seccomp_filter, durability);
  }
}

}  // namespace ctr
