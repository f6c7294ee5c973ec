#include "engine/filters.h"

#include <algorithm>

#include "base/error.h"
#include "base/text.h"

namespace ctr {

Filters::Filters(const std::vector<std::string>& texts, const std::vector<std::string>& known) {
  for (const std::string& text : texts) {
    const auto parts = cut(text, '=');
    if (!parts) {
      throw Error(ErrorKind::Invalid, "invalid argument \"" + text + "\" for \"-f, --filter\" flag: invalid filter '" +
                                          text + "'");
    }
    const std::string key = lower(trim(parts->first));
    if (std::find(known.begin(), known.end(), key) == known.end()) {
      throw Error(ErrorKind::Invalid, "invalid filter '" + key + "'");
    }
    values_[key].emplace_back(trim(parts->second));
  }
}

const std::vector<std::string>& Filters::values(const std::string& key) const {
  static const std::vector<std::string> none;
  const auto found = values_.find(key);
  return found == values_.end() ? none : found->second;
}

bool Filters::matches(const std::string& key, const std::string& text) const {
  const auto found = values_.find(key);
  return found == values_.end() || std::find(found->second.begin(), found->second.end(), text) != found->second.end();
}

namespace {

bool has_label(const std::map<std::string, std::string>& labels, const std::string& wanted) {
  const auto parts = cut(wanted, '=');
  const auto found = labels.find(parts ? parts->first : wanted);
  return found != labels.end() && (!parts || found->second == parts->second);
}

}  // namespace

bool Filters::matches_labels(const std::map<std::string, std::string>& labels) const {
  for (const std::string& wanted : values("label")) {
    if (!has_label(labels, wanted)) return false;
  }
  for (const std::string& unwanted : values("label!")) {
    if (has_label(labels, unwanted)) return false;
  }
  return true;
}

bool Filters::flag(const std::string& key, bool fallback) const {
  const auto found = values_.find(key);
  if (found == values_.end()) return fallback;
  std::optional<bool> flag;
  for (const std::string& text : found->second) {
    const std::optional<bool> value = parse_bool(text);
    if (!value || (flag && *flag != *value)) {
      throw Error(ErrorKind::Invalid, "invalid filter '" + key + "=[" + join(found->second, " ") + "]'");
    }
    flag = value;
  }
  return *flag;
}

PruneBoundary::PruneBoundary(const Filters& filters) {
  const std::vector<std::string>& values = filters.values("until");
  if (values.empty()) return;
  if (values.size() > 1) throw Error(ErrorKind::Invalid, "more than one until filter specified");
  until_ = parse_time_argument(values.front(), now());
  if (!until_) throw Error(ErrorKind::Invalid, "invalid filter 'until=" + values.front() + "'");
}

bool PruneBoundary::is_older(const std::string& created) const {
  if (!until_) return true;
  const std::optional<Time> time = parse_time(created);
  return !time || *time < *until_;
}

}  // namespace ctr
