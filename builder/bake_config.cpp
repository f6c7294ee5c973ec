#include "builder/bake_config.h"

#include <algorithm>
#include <utility>

#include "base/text.h"
#include "builder/bake_compose.h"
#include "builder/go_match.h"
#include "builder/hcl_scanner.h"
#include "builder/instruction_flags.h"

namespace ctr {

namespace {

constexpr std::size_t kMaxInherited = 200;
constexpr std::size_t kMaxNames = 2'000;  // of groups and of targets

const std::vector<std::string> kBlockTypes = {"variable", "group", "target", "function"};

[[noreturn]] void fail(const std::string& sentence) {
  throw Error(ErrorKind::Invalid, sentence);
}

enum class Language { Hcl, Json, Compose };

// By the ending; without one, as buildx does, Compose is tried first.
Language language_of(const BakeFile& file) {
  const std::string name = lower(file.name);
  if (name.ends_with(".hcl")) return Language::Hcl;
  if (name.ends_with(".json")) return Language::Json;
  if (name.ends_with(".yml") || name.ends_with(".yaml")) return Language::Compose;
  if (trim(file.text).starts_with('{')) return Language::Json;
  return looks_like_compose(file.text) ? Language::Compose : Language::Hcl;
}

bool is_pattern(std::string_view text) {
  return text.find_first_of("*?[]") != std::string_view::npos;
}

template <typename Value>
void append_new(std::vector<Value>& list, const Value& value) {
  if (std::find(list.begin(), list.end(), value) == list.end()) list.push_back(value);
}

}  // namespace

BakeConfig::BakeConfig(const std::vector<BakeFile>& files, const BakeOptions& options)
    : variables_(options), environment_(options.environment) {
  std::vector<BakeFile> compose;
  std::vector<HclFile> hcl;
  for (const BakeFile& file : files) {
    switch (language_of(file)) {
      case Language::Compose:
        compose.push_back(file);
        break;
      case Language::Hcl:
        hcl.push_back(parse_hcl(file.name, file.text));
        break;
      case Language::Json:
        hcl.push_back(parse_hcl_json(file.name, file.text, kBlockTypes));
        break;
    }
  }
  // Compose first: what HCL says goes over it.
  if (!compose.empty()) add_compose(compose, options);
  for (HclFile& file : hcl) add_hcl(std::move(file));
  add_sets(options.sets);
}

void BakeConfig::add_target_name(const std::string& name) {
  append_new(target_order_, name);
  if (target_order_.size() > kMaxNames) fail("more than " + std::to_string(kMaxNames) + " targets");
}

void BakeConfig::add_compose(const std::vector<BakeFile>& files, const BakeOptions& options) {
  std::vector<BakeTarget> targets = compose_bake_targets(files, options);
  BakeGroup all;
  for (BakeTarget& target : targets) {
    all.targets.push_back(target.name);
    add_target_name(target.name);
    compose_targets_[target.name] = std::move(target);
  }
  groups_["default"] = std::move(all);
  group_order_.emplace_back("default");
}

void BakeConfig::add_hcl(HclFile file) {
  files_.push_back(std::make_unique<HclFile>(std::move(file)));
  const HclFile& kept = *files_.back();
  for (const HclAttribute& attribute : kept.body.attributes) variables_.add_attribute(kept, attribute);
  for (const HclBlock& block : kept.body.blocks) {
    if (block.type == "function") continue;  // refused by name where it is called
    if (std::find(kBlockTypes.begin(), kBlockTypes.end(), block.type) == kBlockTypes.end()) {
      fail_at(*kept.source, "unsupported block type \"" + block.type + "\"" + did_you_mean(block.type, kBlockTypes),
              block.offset);
    }
    if (block.labels.size() != 1)
      fail_at(*kept.source, "a " + block.type + " block has one label, its name", block.offset);
    if (block.type == "variable") variables_.add_block(kept, block);
  }
  for (const HclBlock& block : kept.body.blocks) {
    if (block.type != "group" && block.type != "target") continue;
    const std::string& name = block.labels.front();
    if (!is_bake_name(name)) {
      fail_at(*kept.source, "invalid name \"" + name + "\": only letters, digits, _ and - are allowed", block.offset);
    }
    if (block.type == "group") {
      add_group(kept, block);
    } else {
      hcl_targets_[name].emplace_back(&kept, &block);
      add_target_name(name);
    }
  }
}

Json BakeConfig::attributes_of(const HclFile& file, const HclBlock& block) {
  if (!block.body.blocks.empty()) {
    fail_at(*file.source, "unsupported block \"" + block.body.blocks.front().type + "\" in " + block.type,
            block.body.blocks.front().offset);
  }
  const HclVariables lookup = [this](const std::string& name) { return variables_.value(name); };
  Json attributes = Json::object();
  for (const HclAttribute& attribute : block.body.attributes) {
    // Refused before its value is looked at, which would be refused for a worse reason.
    if (attribute.name == "matrix") fail_at(*file.source, "a matrix of targets is not supported yet", attribute.offset);
    attributes[attribute.name] = evaluate(attribute.value, lookup, *file.source);
  }
  return attributes;
}

void BakeConfig::add_group(const HclFile& file, const HclBlock& block) {
  const std::string& name = block.labels.front();
  const Json attributes = attributes_of(file, block);
  BakeGroup group;
  for (const auto& [key, value] : attributes.as_object()) {
    if (key == "description") {
      group.description = hcl_text(value, "description");
    } else if (key == "targets" && value.is_array()) {
      for (const Json& target : value.as_array())
        append_new(group.targets, hcl_text(target, "a target of group " + name));
    } else {
      fail_at(*file.source,
              "unsupported argument \"" + key + "\" of group " + name + did_you_mean(key, {"targets", "description"}),
              block.offset);
    }
  }
  groups_[name] = std::move(group);
  append_new(group_order_, name);
  if (group_order_.size() > kMaxNames) fail("more than " + std::to_string(kMaxNames) + " groups");
}

bool BakeConfig::has_target(const std::string& name) const {
  return std::find(target_order_.begin(), target_order_.end(), name) != target_order_.end();
}

const BakeGroup* BakeConfig::find_group(const std::string& name) const {
  const auto found = groups_.find(name);
  return found == groups_.end() ? nullptr : &found->second;
}

// ---- --set ----

void BakeConfig::add_sets(const std::vector<std::string>& sets) {
  for (const std::string& set : sets) add_set(set);
}

void BakeConfig::add_set(const std::string& set) {
  const std::size_t equals = set.find('=');
  std::string key = set.substr(0, equals);
  const BakeSet how = key.ends_with('+') ? BakeSet::Append : BakeSet::Replace;
  if (how == BakeSet::Append) key.pop_back();
  const std::size_t dot = key.find('.');
  if (dot == std::string::npos) fail("invalid override key " + key + ", expected target.name");
  const std::string pattern = key.substr(0, dot);
  key = key.substr(dot + 1);
  const bool is_argument = key.starts_with("args.");
  if (equals == std::string::npos && !is_argument) fail("invalid override " + set + ", expected target.name=value");
  std::string value = equals == std::string::npos ? "" : set.substr(equals + 1);
  if (equals == std::string::npos) {
    const std::optional<std::string> found = environment_ ? environment_(key.substr(5)) : std::nullopt;
    if (!found) return;  // an argument without a value takes the environment's, or stays as it is
    value = *found;
  }
  bool matched = false;
  for (const std::string& name : target_order_) {
    if (name != pattern && !(is_pattern(pattern) && go_match(pattern, name))) continue;
    matched = true;
    std::vector<Set>& own = sets_[name];
    const auto same = std::find_if(own.begin(), own.end(), [&](const Set& other) { return other.key == key; });
    if (same == own.end()) {
      own.push_back({key, {value}, how});
    } else {
      same->values.push_back(value);
      same->how = how;
    }
  }
  if (!matched) {
    throw Error(ErrorKind::NotFound,
                "could not find any target matching '" + pattern + "'" + did_you_mean(pattern, target_order_));
  }
}

// ---- targets ----

BakeTarget BakeConfig::own_target(const std::string& name) {
  BakeTarget target;
  target.name = name;
  const auto compose = compose_targets_.find(name);
  if (compose != compose_targets_.end()) target.merge(compose->second);
  const auto blocks = hcl_targets_.find(name);
  if (blocks == hcl_targets_.end()) return target;
  for (const auto& [file, block] : blocks->second) {
    const Json attributes = attributes_of(*file, *block);
    try {
      target.merge(bake_target_from_json(name, attributes));
    } catch (const SourceError&) {
      throw;
    } catch (const Error& error) {
      fail_at(*file->source, error.what(), block->offset);
    }
  }
  return target;
}

BakeTarget BakeConfig::resolve(const std::string& name, std::vector<std::string>& open) {
  if (const auto known = resolved_.find(name); known != resolved_.end()) return known->second;
  if (!has_target(name)) {
    throw Error(ErrorKind::NotFound, "failed to find target " + name + did_you_mean(name, target_order_));
  }
  if (std::find(open.begin(), open.end(), name) != open.end()) fail("target " + name + " inherits from itself");
  if (open.size() > kMaxInherited) fail("targets inherit from each other too deeply at " + name);
  open.push_back(name);
  const BakeTarget own = own_target(name);
  BakeTarget target;
  for (const std::string& parent : own.inherits) target.merge(resolve(parent, open));
  open.pop_back();
  target.merge(own);
  target.name = name;
  const auto sets = sets_.find(name);
  if (sets != sets_.end()) {
    for (const Set& set : sets->second) set_bake_value(target, set.key, set.values, set.how);
  }
  target.inherits.clear();
  target.normalise();
  resolved_[name] = target;  // else a diamond of inheritance is walked again and again
  return target;
}

BakeTarget BakeConfig::target(const std::string& name) {
  std::vector<std::string> open;
  return resolve(name, open);
}

}  // namespace ctr
