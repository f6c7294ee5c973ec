// The operations of a build graph: plain data that says what a step is made from, and nothing about how it is run. Two
// operations with the same fields and the same inputs are the same step. What must not matter for the cache (titles,
// places in the Dockerfile, secrets' values) is not here.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "base/json.h"
#include "image/digest.h"
#include "image/platform.h"

namespace ctr {

/// An empty file system.
struct ScratchOp {};

/// An image's file system. Its layers are its identity; name and manifest say where they can be had.
struct ImageOp {
  std::string name;
  Digest manifest;
  std::vector<Digest> diff_ids;
};

/// A tree of files on this machine that is read in place: the build context (name "") or a named one.
struct ContextOp {
  std::string name;
};

/// A file from an HTTP server, as a tree with that one file in it.
struct HttpOp {
  std::string url;
  std::string file_name;
  std::string checksum;  ///< "sha256:…" or empty
};

/// A git repository's tree.
struct GitOp {
  std::string remote, reference, subdirectory, checksum;
  bool keep_git_dir = false;
  bool submodules = true;
  bool commit_times = false;
};

struct BindMount {
  std::size_t input = 0;  ///< of the vertex
  std::string source;     ///< path in that input
  std::string target;
  bool writable = false;  ///< what is written is thrown away
};
struct CacheMount {
  std::string id;
  std::string target;
  enum class Sharing { Shared, Private, Locked } sharing = Sharing::Shared;
  bool read_only = false;
  std::optional<std::size_t> input;  ///< what a new cache starts with
  std::string source;
  std::uint32_t mode = 0755;
  std::uint32_t uid = 0;
  std::uint32_t gid = 0;
};
struct TmpfsMount {
  std::string target;
  std::uint64_t size_bytes = 0;
};
struct SecretMount {
  std::string id;
  std::string target;    ///< empty: environment only
  std::string variable;  ///< empty: file only
  bool required = false;
  std::uint32_t mode = 0400;
  std::uint32_t uid = 0;
  std::uint32_t gid = 0;
};
struct SshMount {
  std::string id;
  std::string target;
  bool required = false;
  std::uint32_t mode = 0600;
  std::uint32_t uid = 0;
  std::uint32_t gid = 0;
};
using ExecMount = std::variant<BindMount, CacheMount, TmpfsMount, SecretMount, SshMount>;

/// RUN. Input 0 is the root file system; mounts name the others.
struct ExecOp {
  std::vector<std::string> arguments;
  std::vector<std::string> environment;  ///< "KEY=value"
  std::string directory = "/";
  std::string user;
  std::string network = "default";  ///< default, none, host, or a network's name
  std::string hostname;
  std::vector<ExecMount> mounts;
  std::optional<std::pair<std::string, std::string>> script;  ///< /dev/pipes/<first> with that content
  std::vector<std::string> add_hosts;
  std::vector<std::string> ulimits;
  std::string cgroup_parent;
  std::uint64_t shm_size_bytes = 0;
  bool insecure = false;
  Platform platform;
  std::optional<std::int64_t> epoch;
};

/// One source of COPY or ADD.
struct CopySource {
  std::size_t input = 1;
  std::string path;                    ///< path or glob in that input; for `content` the file's name
  std::optional<std::string> content;  ///< written in the Dockerfile (heredoc)
  bool unpack = false;                 ///< an archive is unpacked
  bool contents_only = true;           ///< a directory's contents, not the directory
};

/// COPY and ADD. Input 0 is the base (unused if `link`).
struct CopyOp {
  std::vector<CopySource> sources;
  std::string destination;  ///< absolute; ends with '/' if it must be a directory
  std::string chown;
  std::string chmod;
  std::vector<std::string> exclude;
  bool link = false;
  bool parents = false;
  bool keep_owner = false;  ///< sources are a stage's or an image's: owners are copied, not reset to 0:0
  std::optional<std::int64_t> epoch;
};

/// WORKDIR: the directory and its parents, where they are missing.
struct MakeDirectoryOp {
  std::string path;
  std::string owner;  ///< user[:group] of what is made; empty: 0:0
  std::optional<std::int64_t> epoch;
};

using Op = std::variant<ScratchOp, ImageOp, ContextOp, HttpOp, GitOp, ExecOp, CopyOp, MakeDirectoryOp>;

/// The operation as JSON: what is hashed into cache keys, kept in records and compared by --explain. For an ImageOp only
/// the layers count.
Json op_to_json(const Op& op);

/// "scratch", "image", "context", "http", "git", "exec", "copy", "mkdir".
const char* op_kind(const Op& op);

/// True if the result is a tree on this machine that has no key of its own: whatever uses it hashes what it selects.
bool is_local_tree(const Op& op);

}  // namespace ctr
