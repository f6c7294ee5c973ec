#include <algorithm>

#include "base/error.h"
#include "base/text.h"
#include "builder/bake_entry.h"
#include "builder/bake_target.h"
#include "builder/instruction_flags.h"

namespace ctr {

namespace {

using Strings = std::vector<std::string>;

[[noreturn]] void fail(const std::string& sentence) {
  throw Error(ErrorKind::Invalid, sentence);
}

bool bool_of(const std::string& key, const std::string& value) {
  const std::optional<bool> parsed = parse_bool(value);
  if (!parsed) fail("invalid value " + value + " for boolean key " + key);
  return *parsed;
}

std::vector<BakeEntry> entries_of(BakeEntryKind kind, const Strings& values) {
  std::vector<BakeEntry> all;
  for (const std::string& value : values) {
    for (BakeEntry& entry : bake_entries(kind, Json(value))) all.push_back(std::move(entry));
  }
  return all;
}

template <typename Value>
void change(std::vector<Value>& list, const std::vector<Value>& values, BakeSet how) {
  if (how == BakeSet::Replace) list.clear();
  list.insert(list.end(), values.begin(), values.end());
}

template <typename Value>
void change(std::optional<std::vector<Value>>& list, const std::vector<Value>& values, BakeSet how) {
  if (!list) list.emplace();
  change(*list, values, how);
}

// push=true makes images pushed, and adds one if nothing else is made; push=false takes it away.
void set_push(BakeTarget& target, bool push) {
  std::vector<BakeEntry>& outputs = target.output ? *target.output : target.output.emplace();
  if (!push) {
    std::erase_if(outputs,
                  [](const BakeEntry& entry) { return entry.count("type") > 0 && entry.at("type") == "registry"; });
    for (BakeEntry& entry : outputs) {
      if (entry.count("type") > 0 && entry.at("type") == "image") entry["push"] = "false";
    }
    return;
  }
  bool has_other = false;
  for (BakeEntry& entry : outputs) {
    has_other = has_other || entry["type"] != "docker";
    if (entry["type"] == "image") entry["push"] = "true";
  }
  if (!has_other) outputs.push_back({{"type", "image"}, {"push", "true"}});
}

void set_load(BakeTarget& target, bool load) {
  if (!load) return;
  std::vector<BakeEntry>& outputs = target.output ? *target.output : target.output.emplace();
  for (BakeEntry& entry : outputs) {
    const std::string& type = entry["type"];
    if (type == "docker" && entry.count("dest") == 0) return;
    if (type != "docker" && type != "image" && type != "registry" && type != "oci") return;
  }
  outputs.push_back({{"type", "docker"}});
}

// args.NAME, labels.NAME and so on; false if the key has no such form.
bool set_member(BakeTarget& target, const std::string& key, const std::string& name, const std::string& value) {
  std::map<std::string, std::string>* map = nullptr;
  if (key == "args") map = &target.args;
  if (key == "labels") map = &target.labels;
  if (key == "contexts") map = &target.contexts;
  if (key == "extra-hosts") map = &target.extra_hosts;
  if (map == nullptr) return false;
  if (name.empty()) fail("invalid format for " + key + ", expecting " + key + ".<name>=<value>");
  (*map)[name] = value;
  return true;
}

bool set_text(BakeTarget& target, const std::string& key, const std::string& value) {
  std::optional<std::string>* text = nullptr;
  if (key == "context") text = &target.context;
  if (key == "dockerfile") text = &target.dockerfile;
  if (key == "target") text = &target.target;
  if (key == "network") text = &target.network;
  if (key == "call") text = &target.call;
  if (key == "shm-size") text = &target.shm_size;
  if (text == nullptr) return false;
  *text = value;
  return true;
}

bool set_bool(BakeTarget& target, const std::string& key, const std::string& value) {
  if (key == "no-cache") {
    target.no_cache = bool_of(key, value);
  } else if (key == "pull") {
    target.pull = bool_of(key, value);
  } else if (key == "push") {
    set_push(target, bool_of(key, value));
  } else if (key == "load") {
    set_load(target, bool_of(key, value));
  } else {
    return false;
  }
  return true;
}

bool set_list(BakeTarget& target, const std::string& key, const Strings& values, BakeSet how) {
  if (key == "tags") {
    change(target.tags, values, how);
  } else if (key == "platform" || key == "platforms") {
    change(target.platforms, values, how);
  } else if (key == "no-cache-filter") {
    change(target.no_cache_filter, values, how);
  } else if (key == "ulimits") {
    change(target.ulimits, values, how);
  } else if (key == "annotations") {
    change(target.annotations, values, BakeSet::Append);
  } else if (key == "entitlements") {
    change(target.entitlements, values, BakeSet::Append);
  } else {
    return false;
  }
  return true;
}

bool set_entries(BakeTarget& target, const std::string& key, const Strings& values, BakeSet how) {
  if (key == "cache-from") {
    change(target.cache_from, entries_of(BakeEntryKind::Cache, values), how);
  } else if (key == "cache-to") {
    change(target.cache_to, entries_of(BakeEntryKind::Cache, values), how);
  } else if (key == "output") {
    change(target.output, entries_of(BakeEntryKind::Output, values), how);
  } else if (key == "secrets" || key == "secret") {
    change(target.secret, entries_of(BakeEntryKind::Secret, values), how);
  } else if (key == "ssh") {
    change(target.ssh, entries_of(BakeEntryKind::Ssh, values), how);
  } else if (key == "attest") {
    change(target.attest, entries_of(BakeEntryKind::Attest, values), BakeSet::Append);
  } else {
    return false;
  }
  return true;
}

}  // namespace

void set_bake_value(BakeTarget& target, const std::string& key, const Strings& values, BakeSet how) {
  const std::size_t dot = key.find('.');
  const std::string first = key.substr(0, dot);
  const std::string name = dot == std::string::npos ? "" : key.substr(dot + 1);
  const std::string last = values.empty() ? "" : values.back();
  const bool is_known = set_member(target, first, name, last) || set_text(target, first, last) ||
                        set_bool(target, first, last) || set_list(target, first, values, how) ||
                        set_entries(target, first, values, how);
  if (is_known) return;
  const Strings known = {"context",
                         "dockerfile",
                         "args",
                         "contexts",
                         "labels",
                         "tags",
                         "cache-from",
                         "cache-to",
                         "target",
                         "call",
                         "secrets",
                         "ssh",
                         "platform",
                         "output",
                         "entitlements",
                         "annotations",
                         "attest",
                         "no-cache",
                         "no-cache-filter",
                         "shm-size",
                         "ulimits",
                         "network",
                         "pull",
                         "push",
                         "load",
                         "extra-hosts"};
  fail("unknown key: " + first + did_you_mean(first, known));
}

}  // namespace ctr
