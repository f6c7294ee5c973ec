// The groups and targets of all bake files together, before any is chosen. HCL targets are evaluated when they are
// asked for, so that an unused one may hold what is not supported.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "builder/bake.h"
#include "builder/bake_variables.h"
#include "builder/hcl.h"

namespace ctr {

class BakeConfig {
 public:
  BakeConfig(const std::vector<BakeFile>& files, const BakeOptions& options);

  bool has_target(const std::string& name) const;
  const BakeGroup* find_group(const std::string& name) const;
  /// In the order of the files.
  const std::vector<std::string>& group_names() const noexcept { return group_order_; }
  const std::vector<std::string>& target_names() const noexcept { return target_order_; }

  /// The target with all it inherits and all that --set says, normalised, but without defaults.
  BakeTarget target(const std::string& name);
  /// What the files say about the target alone.
  BakeTarget own_target(const std::string& name);

  BakeVariables& variables() noexcept { return variables_; }

 private:
  struct Set {
    std::string key;
    std::vector<std::string> values;
    BakeSet how;
  };

  void add_compose(const std::vector<BakeFile>& files, const BakeOptions& options);
  void add_hcl(HclFile file);
  void add_group(const HclFile& file, const HclBlock& block);
  void add_target_name(const std::string& name);
  void add_sets(const std::vector<std::string>& sets);
  void add_set(const std::string& set);
  Json attributes_of(const HclFile& file, const HclBlock& block);
  BakeTarget resolve(const std::string& name, std::vector<std::string>& open);

  BakeVariables variables_;
  std::vector<std::unique_ptr<HclFile>> files_;
  std::map<std::string, BakeGroup> groups_;
  std::vector<std::string> group_order_;
  std::map<std::string, BakeTarget> compose_targets_;
  std::map<std::string, std::vector<std::pair<const HclFile*, const HclBlock*>>> hcl_targets_;
  std::vector<std::string> target_order_;
  std::map<std::string, std::vector<Set>> sets_;
  std::map<std::string, BakeTarget> resolved_;
  std::function<std::optional<std::string>(std::string_view)> environment_;
};

}  // namespace ctr
