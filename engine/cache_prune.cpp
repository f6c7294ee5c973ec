#include "engine/cache_prune.h"

#include <regex.h>
#include <sys/statvfs.h>

#include <algorithm>
#include <set>

#include "base/error.h"
#include "base/text.h"
#include "base/time.h"
#include "builder/cache_usage.h"
#include "engine/build_cache_limits.h"
#include "engine/container_store.h"
#include "engine/garbage_roots.h"
#include "engine/image_names.h"
#include "image/store.h"

namespace ctr {
namespace {

constexpr const char* kDefaultBound = "10%";
constexpr std::ptrdiff_t kKeptLogs = 100;

const char* type_of(CacheEntry::Kind kind) {
  switch (kind) {
    case CacheEntry::Kind::Layer: return "regular";
    case CacheEntry::Kind::Mount: return "exec.cachemount";
    case CacheEntry::Kind::Log: return "internal";
  }
  return "";
}

bool matches_regex(const std::string& text, const std::string& pattern) {
  ::regex_t compiled = {};
  if (::regcomp(&compiled, pattern.c_str(), REG_EXTENDED | REG_NOSUB) != 0)
    throw Error(ErrorKind::Invalid, "invalid filter: \"" + pattern + "\" is not a regular expression");
  const bool is_match = ::regexec(&compiled, text.c_str(), 0, nullptr, 0) == 0;
  ::regfree(&compiled);
  return is_match;
}

/// One --filter of `du` and `prune`: a key alone, or key=value, key!=value, key~=value.
class CacheFilter {
 public:
  explicit CacheFilter(const std::string& text) {
    const std::size_t equals = text.find('=');
    key_ = lower(trim(text.substr(0, equals)));
    if (equals == std::string::npos) {
      operator_ = '?';
    } else {
      value_ = text.substr(equals + 1);
      if (value_.starts_with('=')) value_.erase(0, 1);
      operator_ = !key_.empty() && (key_.back() == '!' || key_.back() == '~') ? key_.back() : '=';
      if (operator_ != '=') key_.pop_back();
    }
    check();
  }

  bool matches(const BuildCacheUsage& entry) const {
    if (key_ == "until" || key_ == "unused-for") {
      const auto last_used = parse_time(entry.last_used_at);
      return !last_used || *last_used < until_;
    }
    if (key_ == "inuse") return entry.in_use == is_wanted();
    if (key_ == "shared") return entry.shared == is_wanted();
    if (key_ == "private") return entry.shared != is_wanted();
    if (key_ == "mutable") return entry.is_mutable == is_wanted();
    return matches_text(key_ == "id" ? entry.id : key_ == "type" ? entry.type : key_ == "description" ? entry.description : "");
  }

 private:
  void check() {
    static const std::set<std::string> flags = {"inuse", "shared", "private", "mutable"};
    static const std::set<std::string> texts = {"id", "type", "description", "parent"};
    if (key_ == "until" || key_ == "unused-for") {
      const auto time = parse_time_argument(value_, now());
      if (!time) throw Error(ErrorKind::Invalid, "invalid filter \"" + key_ + "=" + value_ + "\": not a time or a duration such as 24h");
      until_ = *time;
    } else if (flags.contains(key_)) {
      if (operator_ != '?' && !parse_bool(value_))
        throw Error(ErrorKind::Invalid, "invalid filter \"" + key_ + "=" + value_ + "\": true or false");
    } else if (!texts.contains(key_)) {
      throw Error(ErrorKind::Invalid, "invalid filter \"" + key_ + "\": id, type, description, parent, inuse, shared, private, mutable, until");
    }
  }

  bool is_wanted() const { return operator_ == '?' || (parse_bool(value_).value_or(false) != (operator_ == '!')); }

  bool matches_text(const std::string& text) const {
    switch (operator_) {
      case '?': return !text.empty();
      case '!': return text != value_;
      case '~': return matches_regex(text, value_);
      default: return key_ == "id" ? text.starts_with(without_prefix(value_, "sha256:")) : text == value_;
    }
  }

  std::string key_;
  char operator_ = '=';
  std::string value_;
  Time until_ = {};
};

std::set<std::string> layers_in_use_elsewhere(Context& context) {
  std::set<std::string> layers;
  for (const StoredImage& stored : stored_images(context))
    for (const Layer& layer : stored.image.layers) layers.insert(layer.diff_id.hex());
  for (const ContainerRecord& record : context.containers().list())
    for (const std::string& diff_id : record.layers) layers.insert(Digest::parse(diff_id).hex());
  return layers;
}

BuildCacheUsage usage_of(const CacheEntry& entry, const std::set<std::string>& shared_layers) {
  BuildCacheUsage usage;
  usage.id = entry.id;
  usage.type = type_of(entry.kind);
  usage.description = entry.title;
  usage.size = entry.size;
  usage.created_at = format_time(entry.created);
  usage.last_used_at = format_time(entry.last_used);
  usage.usage_count = 1;
  usage.in_use = entry.in_use;
  usage.shared = entry.kind == CacheEntry::Kind::Layer && shared_layers.contains(entry.id);
  usage.is_mutable = entry.kind == CacheEntry::Kind::Mount;
  return usage;
}

bool matches_all(const std::vector<CacheFilter>& filters, const BuildCacheUsage& usage) {
  return std::all_of(filters.begin(), filters.end(), [&](const CacheFilter& filter) { return filter.matches(usage); });
}

struct DiskState {
  std::uint64_t total = 0;
  std::uint64_t free = 0;
};

DiskState disk_state(Context& context) {
  struct ::statvfs info = {};
  check(::statvfs(context.paths().root.c_str(), &info), "statvfs", context.paths().root);
  return {info.f_blocks * info.f_frsize, info.f_bavail * info.f_frsize};
}

/// How much of the cache may stay; nothing if no limit was given.
std::optional<std::uint64_t> bytes_to_keep(Context& context, const CachePruneRequest& request, std::uint64_t used) {
  if (request.max_used_space == 0 && request.reserved_space == 0 && request.min_free_space == 0) return std::nullopt;
  std::uint64_t keep = request.max_used_space;
  const std::uint64_t free = request.min_free_space == 0 ? 0 : disk_state(context).free;
  if (request.min_free_space > free) {
    const std::uint64_t excess = request.min_free_space - free;
    const std::uint64_t rest = used > excess ? used - excess : 0;
    keep = request.max_used_space == 0 ? rest : std::min(keep, rest);
  } else if (request.max_used_space == 0 && request.min_free_space != 0) {
    keep = used;  // the disk is empty enough
  }
  return std::max(keep, request.reserved_space);
}

CachePruneRequest bound_of(Context& context, const BuildCacheLimits& limits, const std::string& size) {
  const auto bytes = [&](const std::string& text) { return text.empty() ? 0 : disk_space(context, text); };
  CachePruneRequest request;
  request.max_used_space = bytes(size.empty() ? limits.max_used_space : size);
  if (size.empty()) request.reserved_space = bytes(limits.reserved_space);
  request.min_free_space = bytes(limits.min_free_space);
  if (request.reserved_space == 0 && request.max_used_space == 0 && request.min_free_space == 0)
    request.max_used_space = bytes(kDefaultBound);
  return request;
}

void remove_old_logs(Context& context, const std::vector<CacheEntry>& oldest_first) {
  const auto is_log = [](const CacheEntry& entry) { return entry.kind == CacheEntry::Kind::Log; };
  auto left = std::count_if(oldest_first.begin(), oldest_first.end(), is_log);
  for (const CacheEntry& entry : oldest_first) {
    if (left <= kKeptLogs) break;
    if (!is_log(entry)) continue;
    remove_cache_entry(context.paths().root, context.paths().run, entry);
    --left;
  }
}

std::vector<CacheFilter> parse_filters(const std::vector<std::string>& texts) {
  return std::vector<CacheFilter>(texts.begin(), texts.end());
}

}  // namespace

std::vector<BuildCacheUsage> build_cache_usage(Context& context, const std::vector<std::string>& filters) {
  const std::vector<CacheFilter> wanted = parse_filters(filters);
  const std::set<std::string> shared_layers = layers_in_use_elsewhere(context);
  std::vector<BuildCacheUsage> result;
  for (const CacheEntry& entry : list_cache_entries(context.paths().root, context.paths().run)) {
    BuildCacheUsage usage = usage_of(entry, shared_layers);
    if (matches_all(wanted, usage)) result.push_back(std::move(usage));
  }
  return result;
}

CacheTotals total_of(const std::vector<BuildCacheUsage>& entries) {
  CacheTotals totals;
  for (const BuildCacheUsage& entry : entries) {
    (entry.shared ? totals.shared : totals.private_bytes) += entry.size;
    if (!entry.shared && !entry.in_use) totals.reclaimable += entry.size;
  }
  return totals;
}

CachePruneReport prune_build_cache(Context& context, const CachePruneRequest& request) {
  const std::vector<CacheFilter> filters = parse_filters(request.filters);
  const std::set<std::string> shared_layers = layers_in_use_elsewhere(context);
  const std::vector<CacheEntry> entries = list_cache_entries(context.paths().root, context.paths().run);
  std::uint64_t used = 0;
  for (const CacheEntry& entry : entries) used += usage_of(entry, shared_layers).shared ? 0 : entry.size;
  const std::optional<std::uint64_t> keep = bytes_to_keep(context, request, used);
  CachePruneReport report;
  for (const CacheEntry& entry : entries) {
    if (keep && used <= *keep) break;
    BuildCacheUsage usage = usage_of(entry, shared_layers);
    if (usage.in_use || !matches_all(filters, usage)) continue;
    if (usage.shared && (keep || request.which == CachePrune::Unshared)) continue;
    if (!remove_cache_entry(context.paths().root, context.paths().run, entry)) continue;
    if (!usage.shared) {
      used -= usage.size;
      report.space_reclaimed += usage.size;
    }
    report.removed.push_back(std::move(usage));
  }
  if (request.which == CachePrune::Everything && !keep && request.filters.empty()) remove_cache_notes(context.paths().root);
  if (!report.removed.empty()) collect_garbage(context);
  return report;
}

void bound_build_cache(Context& context, const std::string& size) {
  const BuildCacheLimits limits = build_cache_limits(context.configuration());
  const CachePruneRequest request = bound_of(context, limits, size);
  const std::vector<CacheEntry> entries = list_cache_entries(context.paths().root, context.paths().run);
  remove_old_logs(context, entries);
  if (size.empty() && !limits.is_collected) return;
  // Most often everything together is within the bound: then nobody need look at images.
  std::uint64_t all = 0;
  for (const CacheEntry& entry : entries) all += entry.size;
  if (request.min_free_space == 0 && all <= std::max(request.max_used_space, request.reserved_space)) return;
  prune_build_cache(context, request);
}

std::uint64_t disk_space(Context& context, const std::string& text) {
  if (text.ends_with('%')) {
    const auto percent = parse_uint(without_suffix(text, "%"));
    if (percent && *percent <= 100) return disk_state(context).total / 100 * *percent;
  } else if (const auto size = parse_size(text)) {
    return static_cast<std::uint64_t>(*size);
  }
  throw Error(ErrorKind::Invalid, "\"" + text + "\" is neither a size such as 20GB nor a part of the disk such as 10%");
}

}  // namespace ctr
