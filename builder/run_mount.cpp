#include <algorithm>
#include <iterator>

#include "base/text.h"
#include "builder/csv.h"
#include "builder/go_match.h"
#include "builder/instruction_flags.h"
#include "builder/instructions.h"

namespace ctr {

namespace {

using Expand = std::function<std::string(std::string_view)>;

[[noreturn]] void fail(const std::string& sentence) {
  throw Error(ErrorKind::Invalid, sentence);
}

std::string name_of(MountType type) {
  switch (type) {
    case MountType::Bind:
      return "bind";
    case MountType::Cache:
      return "cache";
    case MountType::Tmpfs:
      return "tmpfs";
    case MountType::Secret:
      return "secret";
    case MountType::Ssh:
      return "ssh";
  }
  return {};
}

MountType type_of(const std::string& value) {
  for (const MountType type :
       {MountType::Bind, MountType::Cache, MountType::Tmpfs, MountType::Secret, MountType::Ssh}) {
    if (lower(value) == name_of(type)) return type;
  }
  fail("unsupported mount type \"" + value + "\"" + did_you_mean(value, {"bind", "cache", "tmpfs", "secret", "ssh"}));
}

CacheSharing sharing_of(const std::string& value) {
  const std::string name = lower(value);
  if (name == "shared") return CacheSharing::Shared;
  if (name == "private") return CacheSharing::Private;
  if (name == "locked") return CacheSharing::Locked;
  fail("unsupported sharing value \"" + value + "\"" + did_you_mean(value, {"shared", "private", "locked"}));
}

bool boolean_of(const std::string& key, const std::string& value) {
  const std::optional<bool> parsed = parse_bool(value);
  if (!parsed) fail("invalid value for " + key + ": " + value);
  return *parsed;
}

std::uint32_t number_of(const std::string& key, const std::string& value, int base) {
  const std::optional<std::uint64_t> number = parse_uint(value, base);
  if (!number || *number > UINT32_MAX) fail("invalid value " + value + " for " + key);
  return static_cast<std::uint32_t>(*number);
}

// A mount while its fields are read; what was left out is settled at the end.
struct Draft {
  RunMount mount;
  std::optional<bool> read_only;
  std::optional<CacheSharing> sharing;
};

[[noreturn]] void unexpected(const std::string& key, MountType type) {
  fail("unexpected key '" + key + "' for mount type '" + name_of(type) + "'");
}

// A key without a value.
void apply_word(Draft& draft, const CsvField& field) {
  if (field.key == "readonly" || field.key == "ro") {
    draft.read_only = true;
  } else if (field.key == "readwrite" || field.key == "rw") {
    draft.read_only = false;
  } else if (field.key == "required") {
    if (draft.mount.type != MountType::Secret && draft.mount.type != MountType::Ssh)
      unexpected(field.key, draft.mount.type);
    draft.mount.required = true;
  } else {
    fail("invalid field '" + field.text + "' must be a key=value pair");
  }
}

// Keys that only some types have.
bool apply_special(Draft& draft, const std::string& key, const std::string& value) {
  RunMount& mount = draft.mount;
  if (key == "required") {
    if (mount.type != MountType::Secret && mount.type != MountType::Ssh) unexpected(key, mount.type);
    mount.required = boolean_of(key, value);
  } else if (key == "size") {
    if (mount.type != MountType::Tmpfs) unexpected(key, mount.type);
    mount.size_bytes = parse_size(value);
    if (!mount.size_bytes) fail("invalid value for size: " + value);
  } else if (key == "env") {
    if (mount.type != MountType::Secret) unexpected(key, mount.type);
    mount.env = value;
  } else if (key == "sharing") {
    draft.sharing = sharing_of(value);
  } else if (key == "mode") {
    mount.mode = number_of(key, value, 8);
  } else if (key == "uid") {
    mount.uid = number_of(key, value, 10);
  } else if (key == "gid") {
    mount.gid = number_of(key, value, 10);
  } else {
    return false;
  }
  return true;
}

void apply_pair(Draft& draft, const CsvField& field, const std::string& value) {
  RunMount& mount = draft.mount;
  const std::string& key = field.key;
  if (apply_special(draft, key, value)) return;
  if (key == "from") {
    mount.from = value;
  } else if (key == "source" || key == "src") {
    mount.source = value;
  } else if (key == "target" || key == "dst" || key == "destination") {
    mount.target = value;
  } else if (key == "readonly" || key == "ro") {
    draft.read_only = boolean_of(key, value);
  } else if (key == "readwrite" || key == "rw") {
    draft.read_only = !boolean_of(key, value);
  } else if (key == "id") {
    mount.id = value;
  } else {
    fail("unexpected key '" + key + "' in '" + field.text + "'" +
         did_you_mean(key, {"type", "from", "source", "src", "target", "dst", "destination", "readonly", "ro",
                            "readwrite", "rw", "required", "size", "id", "sharing", "mode", "uid", "gid", "env"}));
  }
}

std::string base_name(const std::string& path) {
  const std::string clean = clean_path(path);
  return clean.substr(clean.rfind('/') + 1);
}

void settle_secret(RunMount& mount) {
  if (!mount.from.empty()) fail("secret mount should not have a from");
  if (mount.source.empty() && mount.target.empty() && mount.id.empty()) {
    fail("invalid secret mount. one of source, target required");
  }
  if (!mount.source.empty() && !mount.id.empty()) fail("both source and id can't be set");
  if (mount.id.empty()) mount.id = mount.source.empty() ? base_name(mount.target) : mount.source;
  mount.source.clear();
  // With env and no target the secret is a variable only.
  if (mount.target.empty() && !mount.env) mount.target = "/run/secrets/" + base_name(mount.id);
}

RunMount settle(Draft draft) {
  RunMount& mount = draft.mount;
  const bool is_cache = mount.type == MountType::Cache;
  const bool is_secret_or_ssh = mount.type == MountType::Secret || mount.type == MountType::Ssh;
  if (!is_cache && !is_secret_or_ssh) {
    const char* given = mount.mode ? "mode" : mount.uid ? "uid" : mount.gid ? "gid" : nullptr;
    if (given) fail(std::string(given) + " not allowed for \"" + name_of(mount.type) + "\" type mounts");
  }
  if (draft.sharing && mount.type == MountType::Secret) fail("secret mount should not define sharing");
  if (draft.sharing && !is_cache) fail("invalid cache sharing set for " + name_of(mount.type) + " mount");
  mount.sharing = draft.sharing.value_or(CacheSharing::Shared);
  mount.read_only = draft.read_only.value_or(!is_cache && mount.type != MountType::Tmpfs);
  if (mount.type == MountType::Secret) settle_secret(mount);
  if (mount.type == MountType::Ssh && mount.id.empty()) mount.id = "default";
  if (is_cache && mount.id.empty()) mount.id = clean_path(mount.target);
  return std::move(draft.mount);
}

std::vector<CsvField> fields_of(std::string_view value) {
  return in_context("failed to parse csv mounts", [&] { return parse_csv_fields(value); });
}

}  // namespace

RunMount parse_run_mount(std::string_view value, const Expand& expand) {
  const std::vector<CsvField> fields = fields_of(value);
  Draft draft;
  // The type first, wherever it stands: which keys are right depends on it.
  for (const CsvField& field : fields) {
    if (field.key == "type" && field.value) draft.mount.type = type_of(expand(*field.value));
  }
  for (const CsvField& field : fields) {
    if (!field.value) {
      apply_word(draft, field);
    } else if (field.key != "type") {
      apply_pair(draft, field, expand(*field.value));
    }
  }
  return settle(std::move(draft));
}

void check_run_mount_from(std::string_view value) {
  for (const CsvField& field : fields_of(value)) {
    if (field.key != "from" || !field.value) continue;
    const std::size_t dollar = field.value->find('$');
    if (dollar != std::string::npos && dollar + 1 < field.value->size()) {
      fail("'from' doesn't support variable expansion, define alias stage instead");
    }
  }
}

}  // namespace ctr
