#include "engine/build_cache_limits.h"

#include "base/error.h"
#include "base/file.h"
#include "base/text.h"

namespace ctr {
namespace {

std::string disk_space_text(const Json& value) {
  const std::string text = value.is_string() ? value.as_string() : std::to_string(value.as_int());
  const auto percent = text.ends_with('%') ? parse_uint(without_suffix(text, "%")) : std::nullopt;
  if ((percent && *percent <= 100) || parse_size(text)) return text;
  throw Error(ErrorKind::Invalid, "\"" + text + "\" is neither a size such as 20GB nor a part of the disk such as 10%");
}

}  // namespace

BuildCacheLimits parse_build_cache_limits(const Json& builder) {
  BuildCacheLimits limits;
  for (const Json::Member& member : builder.as_object()) {
    if (member.first != "gc") throw Error(ErrorKind::Invalid, "\"" + member.first + "\" is not supported: \"gc\" is");
    for (const Json::Member& each : member.second.as_object()) {
      if (each.first == "enabled") {
        limits.is_collected = each.second.as_bool();
      } else if (each.first == "defaultKeepStorage" || each.first == "defaultReservedSpace") {
        limits.reserved_space = disk_space_text(each.second);
      } else if (each.first == "defaultMaxUsedSpace") {
        limits.max_used_space = disk_space_text(each.second);
      } else if (each.first == "defaultMinFreeSpace") {
        limits.min_free_space = disk_space_text(each.second);
      } else {
        throw Error(ErrorKind::Invalid, "gc: \"" + each.first + "\" is not supported");
      }
    }
  }
  return limits;
}

BuildCacheLimits build_cache_limits(const Configuration& configuration) {
  BuildCacheLimits limits;
  for (const std::filesystem::path& file : configuration.files) {
    const auto text = find_file(file, kMiB);
    if (!text) continue;
    const Json document = Json::parse(*text, file.native());
    if (const Json* builder = document.find("builder")) limits = parse_build_cache_limits(*builder);
  }
  return limits;
}

}  // namespace ctr
