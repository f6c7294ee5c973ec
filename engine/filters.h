// --filter key=value, as lists and prunes take it: values of one key are alternatives, keys must all match. A key that
// the command does not know is refused in Docker's words.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/time.h"

namespace ctr {

class Filters {
 public:
  Filters() = default;
  /// Parses "key=value" texts; throws Invalid for one without '=' or with a key that is not in `known`.
  Filters(const std::vector<std::string>& texts, const std::vector<std::string>& known);

  bool empty() const { return values_.empty(); }
  bool has(const std::string& key) const { return values_.contains(key); }
  const std::vector<std::string>& values(const std::string& key) const;
  /// True if the key is absent or one of its values equals `text`.
  bool matches(const std::string& key, const std::string& text) const;
  /// True if the key is absent or all its values ("name" or "name=value") are among the labels. "label!" negates.
  bool matches_labels(const std::map<std::string, std::string>& labels) const;
  /// The one value as a boolean; throws Invalid in Docker's words. `fallback` if absent.
  bool flag(const std::string& key, bool fallback) const;

 private:
  std::map<std::string, std::vector<std::string>> values_;
};

/// `until=` of the prunes: only what was made before that moment goes.
class PruneBoundary {
 public:
  explicit PruneBoundary(const Filters& filters);
  /// `created` is RFC 3339; what can't be read counts as old.
  bool is_older(const std::string& created) const;

 private:
  std::optional<Time> until_;
};

}  // namespace ctr
