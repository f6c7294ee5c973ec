#include "engine/security_options.h"

#include <sys/utsname.h>

#include "base/error.h"
#include "base/text.h"
#include "image/digest.h"
#include "runtime/capabilities.h"
#include "runtime/seccomp.h"
#include "runtime/spec_defaults.h"

namespace ctr {
namespace {

constexpr std::uint64_t kProfileLimit = kMiB;

bool flag_of(const std::string& option, const std::string& value) {
  const std::optional<bool> flag = parse_bool(value);
  if (!flag) throw Error(ErrorKind::Invalid, "invalid --security-opt: \"" + option + "\"");
  return *flag;
}

void apply_seccomp(const std::string& value, SecurityOptions& options) {
  options.unconfined_seccomp = value == "unconfined";
  options.seccomp_profile.clear();
  if (value == "unconfined" || value == "builtin" || value == "default") return;
  options.seccomp_profile = value.starts_with('{') ? value : in_context("opening seccomp profile (" + value + ") failed", [&] {
    return read_file(value, kProfileLimit);
  });
}

/// "label=type:spc_t" becomes part of a context; "label=disable" takes it away.
void apply_label(const std::string& option, const std::string& value, SecurityOptions& options) {
  if (value == "disable") {
    options.selinux_label.clear();
    options.selinux_file_label.clear();
    return;
  }
  const auto parts = cut(value, ':');
  if (!parts) throw Error(ErrorKind::Invalid, "invalid --security-opt: \"" + option + "\"");
  std::vector<std::string> context = {"system_u", "system_r", "container_t", "s0"};
  if (!options.selinux_label.empty()) context = split_at_most(options.selinux_label, ':', 4);
  const std::string& key = parts->first;
  const std::size_t place = key == "user" ? 0 : key == "role" ? 1 : key == "type" ? 2 : key == "level" ? 3 : 4;
  if (place == 4 && key != "filetype") throw Error(ErrorKind::Invalid, "invalid --security-opt: \"" + option + "\"");
  if (place < 4) context[place] = parts->second;
  options.selinux_label = join(context, ":");
  std::string file_type = "container_file_t";
  if (!options.selinux_file_label.empty()) file_type = split_at_most(options.selinux_file_label, ':', 4)[2];
  if (key == "filetype") file_type = parts->second;
  options.selinux_file_label = context[0] + ":object_r:" + file_type + ":" + context[3];
}

void apply_option(const std::string& option, SecurityOptions& options) {
  if (option == "no-new-privileges") {
    options.no_new_privileges = true;
    return;
  }
  std::optional<std::pair<std::string, std::string>> parts = cut(option, '=');
  if (!parts) parts = cut(option, ':');
  if (!parts) throw Error(ErrorKind::Invalid, "invalid --security-opt: \"" + option + "\"");
  const auto& [key, value] = *parts;
  if (key == "seccomp") {
    apply_seccomp(value, options);
  } else if (key == "apparmor") {
    options.apparmor_profile = value;
  } else if (key == "label") {
    apply_label(option, value, options);
  } else if (key == "no-new-privileges") {
    options.no_new_privileges = flag_of(option, value);
  } else if (key == "systempaths" && value == "unconfined") {
    options.unconfined_system_paths = true;
  } else {
    throw Error(ErrorKind::Invalid, "invalid --security-opt 2: \"" + option + "\"");
  }
}

/// What a compiled filter depends on besides the profile.
std::string filter_key(const SecurityOptions& options, std::uint64_t capabilities) {
  utsname machine{};
  ::uname(&machine);
  std::string inputs = options.seccomp_profile.empty() ? std::string("default") : options.seccomp_profile;
  inputs += std::string("\n") + CTR_VERSION + "\n" + machine.machine + "\n" + machine.release + "\n";
  inputs += std::to_string(capabilities);
  return Digest::of(inputs).hex();
}

}  // namespace

SecurityOptions parse_security_options(const HostConfig& host) {
  SecurityOptions options;
  for (const std::string& option : host.security_opt) apply_option(option, options);
  if (host.privileged && options.seccomp_profile.empty()) options.unconfined_seccomp = true;
  if (host.privileged) options.unconfined_system_paths = true;
  return options;
}

std::uint64_t container_capabilities(const HostConfig& host) {
  if (host.privileged) return all_capabilities() & own_bounding_set();
  return tweak_capabilities(default_capabilities(), host.cap_add, host.cap_drop);
}

fs::path seccomp_filter_file(const Paths& paths, const HostConfig& host) {
  const SecurityOptions options = parse_security_options(host);
  if (options.unconfined_seccomp) return {};
  const std::uint64_t capabilities = container_capabilities(host);
  const fs::path file = paths.root / "seccomp" / (filter_key(options, capabilities) + ".bpf");
  if (path_exists(file)) return file;
  const SeccompSpec profile = options.seccomp_profile.empty()
                                  ? default_seccomp(capabilities)
                                  : parse_seccomp_profile(Json::parse(options.seccomp_profile, "seccomp profile"), capabilities);
  make_directories(paths.root / "seccomp", 0700);
  write_file_atomic(file, compile_seccomp(profile), Durability::Cached, 0600);
  return file;
}

}  // namespace ctr
