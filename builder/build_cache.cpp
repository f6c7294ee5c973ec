#include "builder/build_cache.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>

#include "base/error.h"

namespace ctr {

namespace {

constexpr int kRecordVersion = 1;
constexpr std::uint64_t kRecordLimit = 4 * kMiB;
constexpr std::uint64_t kLinesLimit = 4096 * kMiB;
/// A use is written down when the last one is older than this.
constexpr std::int64_t kUseGrainSeconds = 1;

/// Makes the record's modification time its last use.
void touch(const fs::path& path, const struct ::stat& info) {
  if (::time(nullptr) - info.st_mtim.tv_sec <= kUseGrainSeconds) return;
  ::utimensat(AT_FDCWD, path.c_str(), nullptr, 0);
}

Time modification_time(const fs::path& path) {
  struct ::stat info = {};
  if (::stat(path.c_str(), &info) != 0) return {};
  return Time(std::chrono::seconds(info.st_mtim.tv_sec) + std::chrono::nanoseconds(info.st_mtim.tv_nsec));
}

bool is_same_file(const fs::path& path, int fd) {
  struct ::stat by_path = {};
  struct ::stat by_fd = {};
  return ::stat(path.c_str(), &by_path) == 0 && ::fstat(fd, &by_fd) == 0 && by_path.st_ino == by_fd.st_ino &&
         by_path.st_dev == by_fd.st_dev;
}

}  // namespace

KeyLock::KeyLock(const fs::path& directory, const Digest& key) : path_(directory / key.hex()) {
  for (;;) {
    FileLock lock = FileLock::acquire(path_, LockMode::Exclusive);
    // Whoever had it before removed the file when it was done: then this is the lock of a file that is gone.
    if (is_same_file(path_, lock.fd())) {
      lock_ = std::move(lock);
      return;
    }
  }
}

KeyLock::~KeyLock() { ::unlink(path_.c_str()); }

BuildCache::BuildCache(const fs::path& root, const fs::path& run)
    : directory_(root / "cache"), locks_(run / "build-locks"), copied_(run / "build-copies") {}

fs::path BuildCache::record_path(const Digest& key, const char* suffix) const {
  return directory_ / (key.hex() + suffix);
}

std::optional<BuildRecord> BuildCache::find(const Digest& key) const {
  const fs::path path = record_path(key);
  struct ::stat info = {};
  if (::stat(path.c_str(), &info) != 0) return std::nullopt;
  try {
    const auto content = find_file(path, kRecordLimit);
    if (!content) return std::nullopt;
    BuildRecord record = build_record_from_json(Json::parse(*content, path.native()));
    touch(path, info);
    return record;
  } catch (const Error&) {
    return std::nullopt;
  }
}

void BuildCache::save(const Digest& key, const BuildRecord& record) const {
  make_directories(directory_);
  write_file_atomic(record_path(key), to_json(record).dump(), Durability::Cached);
}

void BuildCache::save_lines(const Digest& key, const SelectionLines& lines) const {
  std::string content;
  for (const auto& [name, line] : lines) content += name + '\0' + line + '\n';
  make_directories(directory_);
  write_file_atomic(record_path(key, ".files"), content, Durability::Cached);
}

std::optional<SelectionLines> BuildCache::find_lines(const Digest& key) const {
  const auto content = find_file(record_path(key, ".files"), kLinesLimit);
  if (!content) return std::nullopt;
  SelectionLines lines;
  std::string_view rest = *content;
  while (!rest.empty()) {
    const std::size_t name_end = rest.find('\0');
    const std::size_t line_end = name_end == std::string_view::npos ? name_end : rest.find('\n', name_end);
    if (line_end == std::string_view::npos) return std::nullopt;
    lines.emplace_hint(lines.end(), rest.substr(0, name_end), rest.substr(name_end + 1, line_end - name_end - 1));
    rest = rest.substr(line_end + 1);
  }
  return lines;
}

std::unique_ptr<KeyLock> BuildCache::lock(const Digest& key) const {
  make_directories(locks_);
  return std::make_unique<KeyLock>(locks_, key);
}

bool BuildCache::was_copied(const Digest& key) const { return path_exists(copied_ / key.hex()); }

void BuildCache::note_copied(const Digest& key) const {
  make_directories(copied_);
  open_file(copied_ / key.hex(), O_WRONLY | O_CREAT, 0600);
}

std::optional<Json> BuildCache::find_build(const Digest& name) const {
  try {
    const auto content = find_file(directory_ / "builds" / (name.hex() + ".json"), 64 * kMiB);
    if (!content) return std::nullopt;
    return Json::parse(*content);
  } catch (const Error&) {
    return std::nullopt;
  }
}

void BuildCache::save_build(const Digest& name, const Json& document) const {
  make_directories(directory_ / "builds");
  write_file_atomic(directory_ / "builds" / (name.hex() + ".json"), document.dump(), Durability::Cached);
}

fs::path BuildCache::file_hashes_path(const std::string& context) const {
  return directory_ / "contexts" / Digest::of(context).hex();
}

std::vector<BuildCache::Usage> BuildCache::list() const {
  std::vector<Usage> result;
  for (const std::string& name : list_directory(directory_)) {
    if (!name.ends_with(".json")) continue;
    const auto key = Digest::from_hex(name.substr(0, name.size() - 5));
    if (!key) continue;
    try {
      const auto content = find_file(directory_ / name, kRecordLimit);
      if (!content) continue;
      result.push_back({*key, build_record_from_json(Json::parse(*content)), modification_time(directory_ / name)});
    } catch (const Error&) {
      // A damaged record is found by nobody; it goes with the next prune.
    }
  }
  return result;
}

void BuildCache::remove(const Digest& key) const {
  ::unlink(record_path(key).c_str());
  ::unlink(record_path(key, ".files").c_str());
}

RootProvider build_record_roots(const fs::path& store_root) {
  return [cache = BuildCache(store_root, store_root)](GarbageRoots& roots) {
    for (const BuildCache::Usage& usage : cache.list()) roots.digests.push_back(usage.record.layer);
  };
}

Json to_json(const BuildRecord& record) {
  Json json = Json::object({{"v", kRecordVersion}, {"layer", record.layer.str()}});
  json["size"] = record.size;
  json["created"] = format_time(record.created);
  json["title"] = record.title;
  json["op"] = record.op;
  json["inputs"] = Json(record.inputs);
  return json;
}

BuildRecord build_record_from_json(const Json& json) {
  if (json.require_int("v") != kRecordVersion) throw Error(ErrorKind::Invalid, "a build record of another version");
  const auto created = parse_time(json.require_string("created"));
  if (!created) throw Error(ErrorKind::Invalid, "a build record without a time");
  BuildRecord record{.layer = Digest::parse(json.require_string("layer"))};
  record.size = static_cast<std::uint64_t>(std::max<std::int64_t>(json.int_or("size"), 0));
  record.created = *created;
  record.title = json.string_or("title");
  if (const Json* op = json.find("op")) record.op = *op;
  record.inputs = json.strings("inputs");
  return record;
}

}  // namespace ctr
