#include "engine/container_store.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <ctime>

#include "base/error.h"
#include "base/file.h"
#include "base/random.h"
#include "engine/container_names.h"

namespace ctr {
namespace {

constexpr std::uint64_t kRecordLimit = 8 * kMiB;
constexpr std::size_t kIdLength = 64;
constexpr std::size_t kShortIdLength = 12;
constexpr int kNameAttempts = 200;
constexpr std::int64_t kAbandonedAfterSeconds = 60;

bool is_hex(std::string_view text) {
  return std::all_of(text.begin(), text.end(),
                     [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

bool is_name_character(char c) {
  return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_' || c == '.' || c == '-';
}

bool is_container_name(std::string_view name) {
  return name.size() >= 2 && name.size() <= 255 && std::isalnum(static_cast<unsigned char>(name.front())) != 0 &&
         std::all_of(name.begin(), name.end(), is_name_character);
}

}  // namespace

ContainerStore::ContainerStore(const Paths& paths) : paths_(paths) {}

fs::path ContainerStore::directory(const std::string& id) const { return paths_.root / "containers" / id; }
fs::path ContainerStore::run_directory(const std::string& id) const { return paths_.run / "containers" / id; }

std::vector<std::string> ContainerStore::list_ids() const {
  std::vector<std::string> ids = list_directory(paths_.root / "containers");
  std::erase_if(ids, [](const std::string& id) { return id.size() != kIdLength || !is_hex(id); });
  return ids;
}

std::optional<std::string> ContainerStore::find_id(const std::string& name_or_id) const {
  const std::string text = name_or_id.starts_with('/') ? name_or_id.substr(1) : name_or_id;
  if (text.empty()) return std::nullopt;
  if (text.size() == kIdLength && is_hex(text) && path_exists(directory(text) / "record.json")) return text;
  if (is_container_name(text)) {
    if (const auto id = find_link(paths_.root / "container-names" / text)) return *id;
  }
  if (text.size() > kIdLength || !is_hex(text)) return std::nullopt;
  std::optional<std::string> found;
  for (const std::string& id : list_ids()) {
    if (!id.starts_with(text) || !path_exists(directory(id) / "record.json")) continue;
    if (found) {
      throw Error(ErrorKind::Invalid, "Multiple IDs found with provided prefix: " + text);
    }
    found = id;
  }
  return found;
}

std::string ContainerStore::resolve(const std::string& name_or_id) const {
  std::optional<std::string> id = find_id(name_or_id);
  if (!id) throw Error(ErrorKind::NotFound, "No such container: " + name_or_id);
  return *std::move(id);
}

ContainerRecord ContainerStore::load(const std::string& id) const {
  const std::optional<std::string> text = find_file(directory(id) / "record.json", kRecordLimit);
  if (!text) throw Error(ErrorKind::NotFound, "No such container: " + id);
  return in_context("container " + id.substr(0, kShortIdLength),
                    [&] { return container_record_from_json(Json::parse(*text, "record.json")); });
}

std::optional<ContainerRecord> ContainerStore::find(const std::string& name_or_id) const {
  const std::optional<std::string> id = find_id(name_or_id);
  if (!id || !path_exists(directory(*id) / "record.json")) return std::nullopt;
  return load(*id);
}

ContainerRecord ContainerStore::get(const std::string& name_or_id) const {
  std::optional<ContainerRecord> record = find(name_or_id);
  if (!record) throw Error(ErrorKind::NotFound, "No such container: " + name_or_id);
  return *std::move(record);
}

std::vector<ContainerRecord> ContainerStore::list() const {
  std::vector<ContainerRecord> records;
  for (const std::string& id : list_ids()) {
    const std::optional<std::string> text = find_file(directory(id) / "record.json", kRecordLimit);
    if (!text) continue;  // being made, or being removed
    records.push_back(in_context("container " + id.substr(0, kShortIdLength), [&] {
      return container_record_from_json(Json::parse(*text, "record.json"));
    }));
  }
  std::sort(records.begin(), records.end(), [](const ContainerRecord& left, const ContainerRecord& right) {
    return left.created != right.created ? left.created > right.created : left.id < right.id;
  });
  return records;
}

bool ContainerStore::claim(const std::string& name, const std::string& id) const {
  const fs::path names = paths_.root / "container-names";
  const fs::path link = names / name;
  for (int attempt = 0; attempt < 3; ++attempt) {
    if (::symlink(id.c_str(), link.c_str()) == 0) return true;
    if (errno == ENOENT) {
      make_directories(names);
      continue;
    }
    if (errno != EEXIST) throw_errno(errno, "create", link.native());
    if (!release_abandoned_name(name)) return false;
  }
  return false;
}

/// A name whose container was never finished belongs to a `create` that still runs (it holds the container's lock), or
/// to one that was killed.
bool ContainerStore::release_abandoned_name(const std::string& name) const {
  const fs::path link = paths_.root / "container-names" / name;
  const auto holder = find_link(link);
  if (!holder) return true;
  if (path_exists(directory(*holder) / "record.json")) return false;
  const fs::path run = run_directory(*holder);
  if (path_exists(run)) {
    const auto lock = FileLock::try_acquire(run / "lock", LockMode::Exclusive);
    if (!lock || path_exists(directory(*holder) / "record.json")) return false;
  }
  ::unlink(link.c_str());
  return true;
}

/// A create holds the container's lock from the moment when the lock's file exists; before that only age tells.
std::vector<std::string> ContainerStore::remove_abandoned() const {
  std::vector<std::string> removed;
  for (const std::string& id : list_ids()) {
    if (path_exists(directory(id) / "record.json")) continue;
    struct stat status = {};
    if (::stat(directory(id).c_str(), &status) != 0) continue;
    const fs::path lock_file = run_directory(id) / "lock";
    const bool was_locked = path_exists(lock_file);
    if (!was_locked && ::time(nullptr) - status.st_mtim.tv_sec < kAbandonedAfterSeconds) continue;
    std::optional<FileLock> lock;
    if (was_locked) {
      lock = FileLock::try_acquire(lock_file, LockMode::Exclusive);
      if (!lock || path_exists(directory(id) / "record.json")) continue;
    }
    ContainerRecord record;
    record.id = id;
    remove(record);
    removed.push_back(id);
  }
  for (const std::string& name : list_directory(paths_.root / "container-names")) {
    const auto holder = find_link(paths_.root / "container-names" / name);
    if (holder && std::find(removed.begin(), removed.end(), *holder) != removed.end()) release_name(name, *holder);
  }
  return removed;
}

void ContainerStore::claim_name(const std::string& name, const std::string& id) const {
  check_container_name(name);
  if (claim(name, id)) return;
  const auto holder = find_link(paths_.root / "container-names" / name);
  throw Error(ErrorKind::Exists, "Conflict. The container name \"/" + name + "\" is already in use by container \"" +
                                     holder.value_or("unknown") +
                                     "\". You have to remove (or rename) that container to be able to reuse that name.");
}

std::string ContainerStore::claim_generated_name(const std::string& id) const {
  std::string name = generate_container_name();
  for (int attempt = 0; attempt < kNameAttempts; ++attempt, name = generate_container_name()) {
    if (attempt >= kNameAttempts / 10) name += std::to_string(attempt % 10);
    if (claim(name, id)) return name;
  }
  name = id.substr(0, kShortIdLength);
  claim_name(name, id);
  return name;
}

void ContainerStore::release_name(const std::string& name, const std::string& id) const {
  const fs::path link = paths_.root / "container-names" / name;
  const auto holder = find_link(link);
  if (holder && *holder == id) ::unlink(link.c_str());
}

void ContainerStore::save(const ContainerRecord& record, RecordDurability durability) const {
  write_file_atomic(directory(record.id) / "record.json", to_json(record).dump(),
                    durability == RecordDurability::Synced ? Durability::Synced : Durability::Cached, 0600);
}

void ContainerStore::remove(const ContainerRecord& record) const {
  const fs::path trash = paths_.root / "trash";
  const fs::path grave = trash / ("container-" + record.id);
  release_name(record.name, record.id);
  if (::rename(directory(record.id).c_str(), grave.c_str()) != 0) {
    if (errno != ENOENT) throw_errno(errno, "remove", directory(record.id).native());
    make_directories(trash);
    if (::rename(directory(record.id).c_str(), grave.c_str()) != 0 && errno != ENOENT) {
      throw_errno(errno, "remove", directory(record.id).native());
    }
  }
  remove_tree(grave);
  remove_tree(run_directory(record.id));
}

FileLock ContainerStore::lock(const std::string& id) const {
  if (!path_exists(directory(id))) throw Error(ErrorKind::NotFound, "No such container: " + id);
  make_directories(run_directory(id), 0700);
  FileLock held = FileLock::acquire(run_directory(id) / "lock", LockMode::Exclusive);
  if (!path_exists(directory(id))) {
    remove_tree(run_directory(id));
    throw Error(ErrorKind::NotFound, "No such container: " + id);
  }
  return held;
}

std::string generate_container_id() {
  for (;;) {
    std::string id = random_hex(kIdLength / 2);
    const bool is_number = std::all_of(id.begin(), id.begin() + kShortIdLength,
                                       [](char c) { return c >= '0' && c <= '9'; });
    if (!is_number) return id;
  }
}

void check_container_name(const std::string& name) {
  if (is_container_name(name)) return;
  throw Error(ErrorKind::Invalid, "Invalid container name (" + name +
                                      "), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed");
}

}  // namespace ctr
