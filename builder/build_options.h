// The values of `build` flags that have a grammar of their own: --secret, --ssh, --output, --cache-to, --cache-from,
// and SOURCE_DATE_EPOCH. Each is parsed to a plain struct; unknown types and keys are refused by name, with a
// suggestion.
#pragma once

#include <chrono>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace ctr {

/// --secret id=X[,src=FILE|env=VAR][,type=file|env]
struct SecretSpec {
  enum class Type { File, Environment };
  std::string id;
  Type type = Type::File;
  std::string source;  ///< file path or variable name
};
/// Without `type` and `env`: the variable named like the id if it is set, else the file.
SecretSpec parse_secret_spec(std::string_view text);

/// --ssh default|id[=socket|key[,key…]]
struct SshSpec {
  std::string id;
  std::vector<std::string> paths;  ///< empty: $SSH_AUTH_SOCK
};
SshSpec parse_ssh_spec(std::string_view text);

/// --output type=…,key=value… ; `DIR` is type=local, `-` is type=tar to standard output.
struct OutputSpec {
  enum class Type { Local, Tar, Oci, Docker, Image, Registry, CacheOnly };
  Type type = Type::Local;
  std::string destination;                        ///< dest; "-" is standard output; empty: not given
  std::vector<std::string> names;                 ///< name (may be several, separated by commas)
  bool push = false;                              ///< image,push=true and registry
  std::map<std::string, std::string> attributes;  ///< the rest, keys known to be valid for the type
};
OutputSpec parse_output_spec(std::string_view text);

/// --cache-to and --cache-from.
struct CacheSpec {
  enum class Type { Inline, Registry, Local };
  enum class Mode { Min, Max };
  Type type = Type::Registry;
  Mode mode = Mode::Min;
  bool ignore_error = false;
  bool mounts = false;                            ///< mounts=true: carry cache mounts too
  std::map<std::string, std::string> attributes;  ///< ref, dest, src, tag, digest, compression…
};
/// gha, s3 and azblob are refused by name.
CacheSpec parse_cache_to_spec(std::string_view text);
CacheSpec parse_cache_from_spec(std::string_view text);

/// SOURCE_DATE_EPOCH: a number of seconds, `context` (or `git`): the commit's time; empty: not set (nullopt).
struct SourceDateEpoch {
  bool from_context = false;
  std::chrono::seconds time{0};
};
std::optional<SourceDateEpoch> parse_source_date_epoch(std::string_view text);

}  // namespace ctr
