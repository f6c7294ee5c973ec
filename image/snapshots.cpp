#include "image/snapshots.h"

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <utility>

#include "base/error.h"
#include "image/trash.h"

namespace ctr {

namespace {

constexpr const char* kNewMarker = "new";

bool is_snapshot_id(std::string_view id) {
  return !id.empty() && id.size() <= 200 && id[0] != '.' &&
         std::ranges::all_of(id, [](unsigned char c) { return std::isalnum(c) || c == '-' || c == '_' || c == '.'; });
}

}  // namespace

Snapshots::Snapshots(fs::path root) : directory_(std::move(root) / "snapshots") {
  make_directories(directory_, 0700);
}

fs::path Snapshots::path(std::string_view id) const {
  if (!is_snapshot_id(id)) throw Error(ErrorKind::Invalid, "invalid snapshot id: " + std::string(id));
  return directory_ / id;
}

void Snapshots::create(std::string_view id) const {
  const fs::path directory = path(id);
  if (::mkdir(directory.c_str(), 0700) != 0) {
    if (errno == EEXIST) throw Error(ErrorKind::Exists, "snapshot " + std::string(id) + " exists already");
    throw_errno(errno, "create", directory.native());
  }
  check(::mkdir(upper(id).c_str(), 0755), "create", upper(id));
  check(::mkdir(work(id).c_str(), 0700), "create", work(id));
  const Fd marker = open_file(directory / kNewMarker, O_WRONLY | O_CREAT, 0600);
}

bool Snapshots::take_newness(std::string_view id) const {
  const fs::path marker = path(id) / kNewMarker;
  if (::unlink(marker.c_str()) == 0) return true;
  if (errno != ENOENT) throw_errno(errno, "remove", marker.native());
  return false;
}

bool Snapshots::has(std::string_view id) const {
  return path_exists(path(id));
}

void Snapshots::remove(std::string_view id) const {
  remove_tree(path(id));
}

void Snapshots::discard(std::string_view id, const fs::path& trash) const {
  move_to_trash(path(id), trash);
}

std::vector<std::string> Snapshots::list() const {
  std::vector<std::string> names = list_directory(directory_);
  std::erase_if(names, [](const std::string& name) { return !is_snapshot_id(name); });
  return names;
}

}  // namespace ctr
