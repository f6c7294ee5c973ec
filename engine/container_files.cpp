// cp: stat of a path in a container, a tar of it, and unpacking a tar into one of its directories.

#include "engine/container_files.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "base/error.h"
#include "base/fd_path.h"
#include "base/rooted_path.h"
#include "engine/container_root.h"
#include "engine/container_store.h"
#include "engine/path_tar.h"
#include "engine/tar_extractor.h"
#include "image/tar_reader.h"
#include "runtime/user_lookup.h"

namespace ctr {
namespace {

[[noreturn]] void not_found(const std::string& path, const std::string& container) {
  throw Error(ErrorKind::NotFound, "Could not find the file " + path + " in container " + container);
}

/// The path itself; a link at its end is not followed unless asked.
Fd open_target(const ContainerPath& place, const std::string& path, const std::string& container, FollowLink follow) {
  const int flags = O_PATH | (follow == FollowLink::No ? O_NOFOLLOW : 0);
  std::optional<Fd> file = find_in_root(place.root.get(), place.path, flags);
  if (!file) not_found(path, container);
  return *std::move(file);
}

std::string base_of(const std::string& path) {
  std::string name = fs::path(path).lexically_normal().filename().native();
  if (name.empty() || name == ".") {
    name = fs::path(path).lexically_normal().parent_path().filename().native();
  }
  return name.empty() ? "/" : name;
}

}  // namespace

PathStat stat_container_path(Context& context, const std::string& container, const std::string& path) {
  const ContainerRecord record = context.containers().get(container);
  const ContainerPath place = open_container_path(context, record, path);
  const Fd file = open_target(place, path, container, FollowLink::No);
  struct stat status {};
  check(::fstat(file.get(), &status), "stat", path);
  PathStat stat;
  stat.name = base_of(path);
  stat.size = static_cast<std::uint64_t>(status.st_size);
  stat.mode = status.st_mode;
  stat.mtime_ns = std::int64_t{status.st_mtim.tv_sec} * 1'000'000'000 + status.st_mtim.tv_nsec;
  if (S_ISLNK(status.st_mode)) stat.link_target = link_text(file.get());
  return stat;
}

void copy_from_container(Context& context, const std::string& container, const std::string& path, FollowLink follow,
                         ByteSink& sink) {
  const ContainerRecord record = context.containers().get(container);
  const ContainerPath place = open_container_path(context, record, path);
  const Fd file = open_target(place, path, container, follow);
  struct stat status {};
  check(::fstat(file.get(), &status), "stat", path);
  const bool wants_directory = path.ends_with('/');
  if (wants_directory && !S_ISDIR(status.st_mode)) not_found(path, container);
  const std::string name = base_of(path);
  write_path_tar(file.get(), name == "/" ? "" : name, std::nullopt, sink);
}

void copy_to_container(Context& context, const std::string& container, const std::string& path, ByteSource& source,
                       const CopyToOptions& options) {
  const ContainerRecord record = context.containers().get(container);
  const ContainerPath place = open_container_path(context, record, path);
  const Fd target = open_target(place, path, container, FollowLink::Yes);
  struct stat status {};
  check(::fstat(target.get(), &status), "stat", path);
  if (!S_ISDIR(status.st_mode)) throw Error(ErrorKind::Invalid, "extraction point is not a directory");
  if (place.read_only) throw Error(ErrorKind::Denied, "container rootfs is marked read-only");
  ExtractOptions extract;
  extract.replace_directories = options.no_overwrite_dir_non_dir ? ReplaceDirectories::No : ReplaceDirectories::Yes;
  if (options.keep_owner && !record.config.user.empty()) {
    const ResolvedUser user = resolve_user(read_user_database(place.root.get()), record.config.user, {});
    extract.owner = Owner{user.uid, user.gid};
  }
  TarReader tar(source, WhiteoutNames::ArePlain);
  extract_entries(tar, place.root.get(), place.path, extract);
}

void export_container(Context& context, const std::string& container, ByteSink& sink) {
  const ContainerRecord record = context.containers().get(container);
  const Fd mount = open_container_image(context, record);
  write_contents_tar(mount.get(), sink);
}

}  // namespace ctr
