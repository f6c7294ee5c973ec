// Profile files in Docker's form: an OCI seccomp object whose rules may hold on some architectures, kernels or
// capabilities only, and whose architectures come as a map.
#include <algorithm>
#include <sys/utsname.h>

#include "base/error.h"
#include "base/text.h"
#include "runtime/capabilities.h"
#include "runtime/seccomp.h"
#include "runtime/seccomp_arch.h"

namespace ctr {

namespace {

struct Context {
  std::uint64_t capabilities;
  SeccompHost host;
  std::pair<std::uint64_t, std::uint64_t> kernel;
};

std::pair<std::uint64_t, std::uint64_t> parse_kernel(std::string_view text) {
  const std::vector<std::string> parts = split(text, '.');
  if (parts.size() < 2) throw Error(ErrorKind::Invalid, "no kernel version " + json_quote(text));
  const std::string minor = parts[1].substr(0, parts[1].find_first_not_of("0123456789"));
  const auto first = parse_uint(parts[0]);
  const auto second = parse_uint(minor);
  if (!first || !second) throw Error(ErrorKind::Invalid, "no kernel version " + json_quote(text));
  return {*first, *second};
}

bool has_capability(const Context& context, const std::string& name) {
  const auto number = capability_number(name);
  return number && (context.capabilities >> *number & 1) != 0;
}

/// All capabilities, one of the architectures, and the kernel.
bool is_included(const Context& context, const Json& rule) {
  const Json* includes = rule.find("includes");
  if (includes == nullptr) return true;
  const std::vector<std::string> architectures = includes->strings("arches");
  if (!architectures.empty() &&
      std::find(architectures.begin(), architectures.end(), context.host.name) == architectures.end()) {
    return false;
  }
  for (const std::string& name : includes->strings("caps")) {
    if (!has_capability(context, name)) return false;
  }
  const auto kernel = includes->find_string("minKernel");
  return !kernel || kernel->empty() || context.kernel >= parse_kernel(*kernel);
}

/// Any of them is enough.
bool is_excluded(const Context& context, const Json& rule) {
  const Json* excludes = rule.find("excludes");
  if (excludes == nullptr) return false;
  const std::vector<std::string> architectures = excludes->strings("arches");
  if (std::find(architectures.begin(), architectures.end(), context.host.name) != architectures.end()) return true;
  for (const std::string& name : excludes->strings("caps")) {
    if (has_capability(context, name)) return true;
  }
  const auto kernel = excludes->find_string("minKernel");
  return kernel && !kernel->empty() && context.kernel >= parse_kernel(*kernel);
}

std::vector<std::string> mapped_architectures(const Context& context, const Json& profile) {
  std::vector<std::string> architectures;
  for (const Json& entry : profile.elements("archMap")) {
    const std::string own = entry.require_string("architecture");
    if (go_architecture(own) != context.host.name) continue;
    architectures.push_back(own);
    for (const std::string& compatible : entry.strings("subArchitectures")) architectures.push_back(compatible);
  }
  return architectures;
}

}  // namespace

SeccompSpec parse_seccomp_profile(const Json& profile, std::uint64_t bounding_capabilities) {
  utsname name{};
  ::uname(&name);
  const Context context{bounding_capabilities, seccomp_host(), parse_kernel(name.release)};
  if (profile.contains("archMap") && !profile.strings("architectures").empty()) {
    throw Error(ErrorKind::Invalid, "the seccomp profile has both architectures and archMap");
  }
  Json plain = profile;
  Json rules = Json::array();
  for (const Json& rule : profile.elements("syscalls")) {
    if (is_included(context, rule) && !is_excluded(context, rule)) rules.push_back(rule);
  }
  plain["syscalls"] = rules;
  if (profile.contains("archMap")) plain["architectures"] = mapped_architectures(context, profile);
  return parse_seccomp(plain);
}

}  // namespace ctr
