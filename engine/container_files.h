// The files of a container, running or not: cp both ways, diff, export, commit. Paths are resolved inside the
// container's root and never lead out of it.
#pragma once

#include <string>
#include <vector>

#include "base/bytes.h"
#include "engine/container_config.h"
#include "engine/context.h"

namespace ctr {

struct PathStat {
  std::string name;
  std::uint64_t size = 0;
  std::uint32_t mode = 0;  // Unix st_mode
  std::int64_t mtime_ns = 0;
  std::string link_target;
};
/// Throws NotFound "Could not find the file x in container y". Follows no final symlink.
PathStat stat_container_path(Context& context, const std::string& container, const std::string& path);

enum class FollowLink { No, Yes };
/// Writes a tar of `path`, whose entries start with its last component, as Docker's archive call does.
void copy_from_container(Context& context, const std::string& container, const std::string& path, FollowLink follow,
                         ByteSink& tar);
struct CopyToOptions {
  bool keep_owner = false;             // -a
  bool no_overwrite_dir_non_dir = true;  // refuse to replace a directory by a file and the reverse
};
/// Unpacks a tar into the directory `path` of the container.
void copy_to_container(Context& context, const std::string& container, const std::string& path, ByteSource& tar,
                       const CopyToOptions& options);

enum class ChangeKind { Modified = 0, Added = 1, Deleted = 2 };
struct FilesystemChange {
  std::string path;
  ChangeKind kind;
};
std::vector<FilesystemChange> diff_container(Context& context, const std::string& container);

void export_container(Context& context, const std::string& container, ByteSink& tar);

struct CommitRequest {
  std::string container;
  std::string repository;  // "name[:tag]", or empty
  std::string author;
  std::string comment;
  std::vector<std::string> changes;  // Dockerfile instructions
  bool pause = true;
};
/// Returns the new image's id.
std::string commit_container(Context& context, const CommitRequest& request);

}  // namespace ctr
