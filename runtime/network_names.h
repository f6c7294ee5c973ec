// Names of containers on their networks, as files under $CTR_RUN/networks that whoever resolves a name just looks at:
//   <network>/names/<name>/<address>  -> container id    several containers may share a name
//   <network>/pointers/<address>      -> "<name>.<network>"
//   .members/<id>/resolve/<network>   -> ../../../<network>   the networks whose names that container may see
//   .members/<id>/resolve/.upstream   a resolv.conf of its own; empty: no way out; absent: as the host
// Written by ctr, read by the resolver in each shim: a container that starts is found from that moment on.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/file.h"
#include "runtime/network_address.h"

namespace ctr {

/// Letters, digits, '-', '_' and '.', not first; at most 253. Others could not be asked for, or not be a file's name.
bool is_resolvable_name(std::string_view name);

/// The name as it is kept: lower case.
std::string resolvable_name(std::string_view name);

void add_network_name(const fs::path& network, const std::string& name, const IpAddress& address,
                      const std::string& container_id);
/// Absence is fine; another container's entry stays.
void remove_network_name(const fs::path& network, const std::string& name, const IpAddress& address,
                         const std::string& container_id);

/// The name that an address has; replaces an older one.
void add_network_pointer(const fs::path& network, const IpAddress& address, const std::string& name);

/// What a container finds for a name, alone or with ".<network>" behind it; nothing when no network knows the name.
std::vector<IpAddress> find_network_name(const fs::path& resolve, std::string_view name);
/// The name for an address: "web.front"; empty when there is none.
std::string find_network_pointer(const fs::path& resolve, const IpAddress& address);

}  // namespace ctr
