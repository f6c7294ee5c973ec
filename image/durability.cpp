#include "image/durability.h"

#include <algorithm>
#include <cerrno>
#include <fcntl.h>
#include <unistd.h>
#include <utility>

#include "base/error.h"
#include "base/text.h"
#include "image/trash.h"

namespace ctr {

namespace {

constexpr char kSlash = ':';  // how a marker's file name writes the '/' of its object

std::string marker_name(std::string_view object) {
  std::string name(object);
  std::ranges::replace(name, '/', kSlash);
  return name;
}

// Nothing for a name that can't be a marker's: only what this program publishes may be moved away.
std::string object_of(std::string name) {
  std::ranges::replace(name, kSlash, '/');
  const bool is_known = name.starts_with("blobs/") || name.starts_with("layers/");
  return is_known && name.find("..") == std::string::npos ? name : std::string();
}

}  // namespace

UnsyncedMarkers::UnsyncedMarkers(fs::path root, std::string boot_id)
    : root_(std::move(root)), boot_id_(std::move(boot_id)) {}

void UnsyncedMarkers::mark(std::string_view object) const {
  const fs::path directory = root_ / "unsynced" / boot_id_;
  const fs::path marker = directory / marker_name(object);
  int fd = ::open(marker.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
  if (fd < 0 && errno == ENOENT) {
    make_directories(directory, 0700);
    fd = ::open(marker.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
  }
  const Fd file(check(fd, "create", marker));
}

void UnsyncedMarkers::sync() const {
  const fs::path directory = root_ / "unsynced" / boot_id_;
  std::vector<std::string> published = list_directory(directory);
  // An object that isn't there yet may be published after the sync: its marker stays.
  std::erase_if(published, [&](const std::string& name) { return !path_exists(root_ / object_of(name)); });
  if (published.empty()) return;
  check(::syncfs(open_directory(root_).get()), "sync", root_);
  for (const std::string& name : published) ::unlink((directory / name).c_str());
}

bool UnsyncedMarkers::has_lost() const {
  const std::vector<std::string> boots = list_directory(root_ / "unsynced");
  return std::ranges::any_of(boots, [&](const std::string& boot) { return boot != boot_id_; });
}

std::vector<std::string> UnsyncedMarkers::find_lost() const {
  std::vector<std::string> objects;
  for (const std::string& boot : list_directory(root_ / "unsynced")) {
    if (boot == boot_id_) continue;
    for (const std::string& name : list_directory(root_ / "unsynced" / boot)) {
      if (std::string object = object_of(name); !object.empty()) objects.push_back(std::move(object));
    }
  }
  return objects;
}

void UnsyncedMarkers::settle_lost(const std::set<std::string>& whole, const fs::path& trash) const {
  for (const std::string& boot : list_directory(root_ / "unsynced")) {
    if (boot == boot_id_) continue;
    const fs::path directory = root_ / "unsynced" / boot;
    for (const std::string& name : list_directory(directory)) {
      const std::string object = object_of(name);
      if (!object.empty() && !whole.contains(object)) move_to_trash(root_ / object, trash);
      ::unlink((directory / name).c_str());
    }
    ::rmdir(directory.c_str());
  }
}

std::string current_boot_id() {
  static const std::string boot_id(trim(read_file("/proc/sys/kernel/random/boot_id", 100)));
  return boot_id;
}

}  // namespace ctr
