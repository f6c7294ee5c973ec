// A target of a bake file: all that `build` takes, as values that may be missing. Targets merge (same name in several
// files, inherits, --set), print as JSON as buildx prints them, and become a BuildRequest at the end. Where the values
// come from (HCL, JSON, Compose) is not known here.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/json.h"

namespace ctr {

struct BuildRequest;

/// One entry of cache-from, cache-to, output, secret, ssh or attest: `type=…,key=value` as its keys.
using BakeEntry = std::map<std::string, std::string>;

struct BakeTarget {
  std::string name;
  std::string description;
  std::vector<std::string> inherits;
  std::optional<std::string> context, dockerfile, dockerfile_inline, target, network, call, shm_size;
  std::optional<bool> no_cache, pull;
  std::map<std::string, std::string> args, labels, contexts, extra_hosts;
  /// Lists that replace what they are merged into, if given.
  std::optional<std::vector<std::string>> tags, platforms;
  std::optional<std::vector<BakeEntry>> cache_to, output;
  /// Lists that are appended.
  std::vector<std::string> annotations, no_cache_filter, ulimits, entitlements;
  std::vector<BakeEntry> cache_from, secret, ssh, attest;
  bool is_linked = false;  ///< built only because another target's context is `target:` this one

  /// Takes what `other` says over what this says.
  void merge(const BakeTarget& other);
  /// Drops repetitions and empty entries.
  void normalise();
};

/// From an object with buildx's keys. Throws Error(Invalid) that names target and key; `matrix` is refused by name.
BakeTarget bake_target_from_json(const std::string& name, const Json& json);

/// What --set does: `key` is `tags`, `args.NAME`, …; several values of a list key come in one call. Append:
/// `key+=value`.
enum class BakeSet { Replace, Append };
void set_bake_value(BakeTarget& target, const std::string& key, const std::vector<std::string>& values, BakeSet how);

Json to_json(const BakeTarget& target);

/// Names that a target may have: letters, digits, _ and -.
bool is_bake_name(std::string_view name);

/// The build that a resolved target stands for. `dockerfile_inline` is not in it: whoever runs the build hands the text
/// in as the Dockerfile. A context `target:NAME` stays a TargetSource.
BuildRequest bake_build_request(const BakeTarget& target);

}  // namespace ctr
