#include "engine/keep_id.h"

#include <algorithm>

#include "builder/emulators.h"
#include "runtime/id_map.h"
#include "runtime/sandbox.h"

namespace ctr {

namespace {

constexpr const char* kPingGroups = "net.ipv4.ping_group_range";

}  // namespace

bool keeps_id(const HostConfig& host) { return host.userns_mode == kKeepId; }

std::vector<IdMapping> keep_id_mappings(const std::vector<IdMapLine>& session) {
  // The session's first id is the user; what follows are the subordinate ones, in one row.
  const std::uint32_t own = session.front().outside;
  std::uint32_t further = 0;
  for (std::size_t index = 1; index < session.size(); ++index) further += session[index].count;
  const std::uint32_t below = std::min(own, further);
  std::vector<IdMapping> mappings;
  if (below > 0) mappings.push_back({0, 1, below});
  mappings.push_back({own, 0, 1});
  if (further > below) mappings.push_back({own + 1, 1 + below, further - below});
  return mappings;
}

std::string kept_user(const ContainerRecord& record) {
  if (!keeps_id(record.host) || !record.config.user.empty()) return record.config.user;
  return std::to_string(own_user_map().front().outside) + ":" + std::to_string(own_group_map().front().outside);
}

void apply_keep_id(Spec& spec, const ContainerRecord& record) {
  const std::vector<IdMapLine> users = own_user_map();
  const std::vector<IdMapLine> groups = own_group_map();
  show_outer_sysfs(spec);
  spec.linux.namespaces.push_back({NamespaceType::User, {}});
  spec.linux.uid_mappings = keep_id_mappings(users);
  spec.linux.gid_mappings = keep_id_mappings(groups);
  spec.annotations[std::string(kUserAnnotation)] = kept_user(record);
  // A network of the container's own knows the groups of its user namespace alone, of which there may be one.
  const NamespaceSpec* network = find_namespace(spec, NamespaceType::Network);
  const bool is_own_network = network != nullptr && network->path.empty();
  if (is_own_network && !record.host.sysctls.contains(kPingGroups)) spec.linux.sysctl.erase(kPingGroups);
}

OwnerShift keep_id_shift() {
  const auto shift = [](const std::vector<IdMapLine>& session) {
    return [mappings = keep_id_mappings(session)](std::uint32_t id) { return map_to_host(mappings, id).value_or(0); };
  };
  return {shift(own_user_map()), shift(own_group_map())};
}

}  // namespace ctr
