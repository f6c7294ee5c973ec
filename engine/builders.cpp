#include "engine/builders.h"

#include <unistd.h>

#include <algorithm>
#include <cstdlib>

#include "base/error.h"
#include "base/file.h"
#include "base/json.h"
#include "base/random.h"
#include "base/text.h"
#include "base/time.h"
#include "image/platform.h"
#include "image/store.h"

namespace ctr {

namespace {

constexpr std::int64_t kRecordVersion = 1;
constexpr const char* kDefaultBuilder = "default";
/// Not a possible builder name: it begins with a dot.
constexpr const char* kChosenFile = ".chosen";

fs::path directory(Context& context) {
  const fs::path path = context.store().root() / "builders";
  make_directories(path);
  return path;
}

fs::path file_of(Context& context, const std::string& name) { return directory(context) / (name + ".json"); }

void check_name(const std::string& name) {
  const auto is_allowed = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.';
  };
  if (name.empty() || name.size() > 128 || name.front() == '.' || name.front() == '-' ||
      !std::all_of(name.begin(), name.end(), is_allowed)) {
    throw Error(ErrorKind::Invalid, "invalid builder name \"" + name + "\": letters, digits, '-', '_' and '.' only");
  }
}

std::optional<BuilderRecord> find_builder(Context& context, const std::string& name) {
  BuilderRecord builder;
  builder.name = name;
  if (name == kDefaultBuilder) return builder;
  check_name(name);
  const fs::path file = file_of(context, name);
  const auto text = find_file(file, kMiB);
  if (!text) return std::nullopt;
  const Json json = Json::parse(*text, file.native());
  builder.driver = json.string_or("driver", "ctr");
  builder.platforms = json.strings("platforms");
  builder.limits.jobs = static_cast<int>(json.int_or("jobs"));
  builder.limits.memory_bytes = static_cast<std::uint64_t>(json.int_or("memory"));
  builder.limits.cpus = json.double_or("cpus");
  builder.cache_size = json.string_or("cache-size");
  builder.created = json.string_or("created");
  return builder;
}

void save(Context& context, const BuilderRecord& builder) {
  const Json json = Json::object({{"v", kRecordVersion},
                                  {"driver", builder.driver},
                                  {"platforms", Json(builder.platforms)},
                                  {"jobs", builder.limits.jobs},
                                  {"memory", builder.limits.memory_bytes},
                                  {"cpus", builder.limits.cpus},
                                  {"cache-size", builder.cache_size},
                                  {"created", builder.created}});
  write_file_atomic(file_of(context, builder.name), json.dump(), Durability::Synced);
}

}  // namespace

BuilderRecord create_builder(Context& context, BuilderRecord builder, BuilderAppend append) {
  if (builder.name.empty()) builder.name = "builder-" + random_hex(4);
  check_name(builder.name);
  builder.created = format_time(now());
  if (const auto existing = find_builder(context, builder.name)) {
    if (append == BuilderAppend::No) {
      throw Error(ErrorKind::Exists, "existing instance for \"" + builder.name +
                                         "\" but no append mode, specify the node name to make changes for existing instances");
    }
    builder.created = existing->created;
    if (builder.limits.jobs == 0) builder.limits.jobs = existing->limits.jobs;
    if (builder.limits.memory_bytes == 0) builder.limits.memory_bytes = existing->limits.memory_bytes;
    if (builder.limits.cpus == 0) builder.limits.cpus = existing->limits.cpus;
    if (builder.cache_size.empty()) builder.cache_size = existing->cache_size;
    for (const std::string& platform : existing->platforms) {
      if (std::find(builder.platforms.begin(), builder.platforms.end(), platform) == builder.platforms.end()) {
        builder.platforms.push_back(platform);
      }
    }
  }
  if (builder.name != kDefaultBuilder) save(context, builder);
  return builder;
}

std::vector<BuilderRecord> list_builders(Context& context) {
  std::vector<BuilderRecord> builders = {*find_builder(context, kDefaultBuilder)};
  for (const std::string& file : list_directory(directory(context))) {
    if (file.starts_with('.') || !file.ends_with(".json")) continue;
    if (auto builder = find_builder(context, std::string(without_suffix(file, ".json")))) builders.push_back(std::move(*builder));
  }
  return builders;
}

BuilderRecord get_builder(Context& context, const std::string& name) {
  auto builder = find_builder(context, name);
  if (!builder) throw Error(ErrorKind::NotFound, "no builder \"" + name + "\" found");
  return *builder;
}

void use_builder(Context& context, const std::string& name) {
  write_file_atomic(directory(context) / kChosenFile, get_builder(context, name).name, Durability::Cached);
}

std::string chosen_builder(Context& context) {
  const char* configured = std::getenv("BUILDX_BUILDER");
  if (configured != nullptr && *configured != '\0') return get_builder(context, configured).name;
  const std::string name = find_file(directory(context) / kChosenFile, 4096).value_or(kDefaultBuilder);
  return find_builder(context, name) ? name : kDefaultBuilder;
}

void remove_builder(Context& context, const std::string& name) {
  if (name == kDefaultBuilder) throw Error(ErrorKind::Invalid, "the builder \"default\" cannot be removed");
  get_builder(context, name);
  remove_tree(file_of(context, name));
}

void check_platforms(const BuilderRecord& builder, const std::vector<std::string>& platforms) {
  if (builder.platforms.empty()) return;
  for (const std::string& text : platforms) {
    if (text == "local") continue;
    const Platform wanted = parse_platform(text);
    const bool may_build = platform_score(host_platform(), wanted) > 0 ||
                           std::any_of(builder.platforms.begin(), builder.platforms.end(), [&](const std::string& allowed) {
                             return platform_matches(parse_platform(allowed), wanted);
                           });
    if (!may_build)
      throw Error(ErrorKind::Invalid, "the builder \"" + builder.name + "\" may not build for " + text + ": it was made for " +
                                          join(builder.platforms, ", "));
  }
}

}  // namespace ctr
