// Bake: files that name builds. HCL, JSON and Compose files go in with the targets that are wanted, what --set and
// --var say, and the environment; the targets that are to be built come out, resolved, those first that others need.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "builder/bake_target.h"

namespace ctr {

struct BakeFile {
  std::string name;  ///< its ending tells the language: .hcl, .json, .yaml, .yml; else Compose is tried, then HCL
  std::string text;
};

/// The names that are read without -f, those that exist, in this order.
const std::vector<std::string>& default_bake_files();

struct BakeOptions {
  std::vector<std::string> targets;              ///< names and patterns; empty: "default"
  std::vector<std::string> sets;                 ///< --set: TARGET.KEY[.NAME][+]=VALUE, TARGET may be a pattern
  std::map<std::string, std::string> variables;  ///< --var
  std::function<std::optional<std::string>(std::string_view)> environment;
  /// What `.env` says: Compose files ask it after the environment, as Compose does.
  std::function<std::optional<std::string>(std::string_view)> dot_env;
};

struct BakeGroup {
  std::string description;
  std::vector<std::string> targets;
};

struct BakePlan {
  std::map<std::string, BakeGroup> groups;
  std::vector<BakeTarget> targets;  ///< a target stands behind those that its contexts name with target:
};

/// Throws SourceError or Error(Invalid, NotFound).
BakePlan plan_bake(const std::vector<BakeFile>& files, const BakeOptions& options);

/// What --print shows.
std::string print_bake(const BakePlan& plan);

/// What --list=targets and --list=variables show: a table.
enum class BakeList { Targets, Variables };
std::string list_bake(const std::vector<BakeFile>& files, const BakeOptions& options, BakeList what);

}  // namespace ctr
