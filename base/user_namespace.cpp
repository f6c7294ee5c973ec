#include "base/user_namespace.h"

#include <unistd.h>

#include <cstdlib>
#include <optional>

#include "base/file.h"
#include "base/text.h"

namespace ctr {

namespace {

constexpr std::uint64_t kMapLimit = 64 * 1024;
constexpr const char* kUserVariable = "_CTR_USER";

std::vector<IdMapLine> read_map(const char* file) {
  std::vector<IdMapLine> lines;
  for (const std::string& line : split(read_file(file, kMapLimit), '\n')) {
    const std::vector<std::string> words = split_words(line);
    if (words.size() != 3) continue;
    const auto number = [&](std::size_t word) { return static_cast<std::uint32_t>(parse_uint(words[word]).value_or(0)); };
    lines.push_back({number(0), number(1), number(2)});
  }
  return lines;
}

bool is_mapped(const std::vector<IdMapLine>& map, std::uint32_t id) {
  for (const IdMapLine& line : map) {
    if (id >= line.inside && id - line.inside < line.count) return true;
  }
  return false;
}

/// Nothing in the first user namespace, whatever the variable says: it may have been handed on by mistake.
std::optional<std::uint32_t> session_user() {
  const char* text = std::getenv(kUserVariable);
  const auto uid = parse_uint(text != nullptr ? text : "");
  if (!uid || ::geteuid() != 0 || is_in_first_user_namespace()) return std::nullopt;
  return static_cast<std::uint32_t>(*uid);
}

}  // namespace

void mark_as_user_session(std::uint32_t uid) { ::setenv(kUserVariable, std::to_string(uid).c_str(), 1); }

bool is_user_session() { return session_user().has_value(); }

std::uint32_t invoking_user() { return session_user().value_or(::geteuid()); }

bool is_in_first_user_namespace() {
  const std::vector<std::string> words = split_words(read_file("/proc/self/uid_map", kMapLimit));
  return words.size() == 3 && words[0] == "0" && words[1] == "0" && words[2] == "4294967295";
}

bool has_capability(int capability) {
  const std::string status = read_file("/proc/self/status", kMapLimit);
  const std::size_t at = status.find("CapEff:");
  if (at == std::string::npos) return false;
  const auto mask = parse_uint(trim(std::string_view(status).substr(at + 7, status.find('\n', at) - at - 7)), 16);
  return mask && (*mask >> capability & 1) != 0;
}

bool may_call_setgroups() {
  const auto answer = find_file("/proc/self/setgroups", 64);
  return !answer || trim(*answer) != "deny";
}

std::vector<IdMapLine> own_user_map() { return read_map("/proc/self/uid_map"); }
std::vector<IdMapLine> own_group_map() { return read_map("/proc/self/gid_map"); }

bool is_mapped_user(std::uint32_t uid) { return is_mapped(own_user_map(), uid); }
bool is_mapped_group(std::uint32_t gid) { return is_mapped(own_group_map(), gid); }

}  // namespace ctr
