// What a build context argument means, as values: a directory, standard input, a git repository, an HTTP address, an
// image, an OCI layout, another bake target. Parsing only; opening them is build_context's job.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

namespace ctr {

struct LocalSource {
  std::string path;
};
struct StandardInputSource {};
/// Refused by parse: remotes and refs that start with '-', and the ext:: and fd:: transports of git.
struct GitSource {
  std::string remote;        ///< for `git fetch`, without the fragment and the query
  std::string reference;     ///< branch, tag or commit; empty: HEAD
  std::string subdirectory;  ///< relative, cleaned; empty: the root
  std::string checksum;      ///< the commit that it must be (or its beginning)
  bool keep_git_dir = false;
  bool submodules = true;
  bool commit_times = false;  ///< mtime=commit
  bool fetch_by_commit = false;
};
struct HttpSource {
  std::string url;
};
struct ImageSource {
  std::string reference;
};  ///< docker-image://
struct OciLayoutSource {
  std::string path;
  std::string tag;
  std::string digest;
};  ///< oci-layout://
struct TargetSource {
  std::string target;
};  ///< target: (bake)

using ContextSource =
    std::variant<LocalSource, StandardInputSource, GitSource, HttpSource, ImageSource, OciLayoutSource, TargetSource>;

/// The PATH | URL | - argument of `build`. An existing directory of that name goes before a git repository.
ContextSource parse_context(std::string_view argument);

/// The value of --build-context: NAME=SOURCE.
std::pair<std::string, ContextSource> parse_named_context(std::string_view argument);

/// The git repository that an ADD source or a context names; nullopt: it is none. Throws Error(Invalid) if it looks
/// like one and is wrong.
std::optional<GitSource> parse_git_source(std::string_view argument);

/// True for http:// and https://, which ADD downloads.
bool is_http_source(std::string_view argument) noexcept;

}  // namespace ctr
