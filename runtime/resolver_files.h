// Contents of a container's /etc/resolv.conf, /etc/hosts and /etc/hostname. Pure functions from text to text; who writes
// the files, and where, is the caller's business.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "runtime/network_address.h"

namespace ctr {

/// A resolv.conf in parts. Lines that are not understood are kept in `options` only if they are options.
struct ResolverConfig {
  std::vector<std::string> nameservers;  // addresses, IPv6 ones may carry a zone
  std::vector<std::string> search;
  std::vector<std::string> options;
};

ResolverConfig parse_resolver_config(std::string_view text);
/// The host's: /etc/resolv.conf, or systemd-resolved's own list where the former only names its loopback stub.
ResolverConfig read_host_resolver_config();

/// What `--dns`, `--dns-search` (a single "." means none) and `--dns-option` ask for; empty: as the host.
struct DnsOptions {
  std::vector<std::string> nameservers;
  std::vector<std::string> search;
  std::vector<std::string> options;
};

/// The host's configuration with the options put over it. REQUIRES: nothing; loopback servers are kept.
ResolverConfig with_dns_options(ResolverConfig host, const DnsOptions& asked);
/// Without servers on the host's loopback, which a container cannot reach; with none left, public ones (Docker's choice).
ResolverConfig without_loopback_servers(ResolverConfig config);
std::string resolver_file(const ResolverConfig& config);

/// /etc/resolv.conf of a container whose names are answered by its shim (network_resolver.h) on 127.0.0.11.
std::string embedded_resolver_file(const ResolverConfig& config);

struct HostsEntry {
  std::string address;
  std::vector<std::string> names;
};

/// /etc/hosts: the loopback names, `extra` (from --add-host), then the container's own addresses.
std::string hosts_file(const std::vector<HostsEntry>& extra, const std::vector<HostsEntry>& own);
/// For the host's network: the host's own file with `extra` behind it.
std::string hosts_file_of_host(std::string_view host_file, const std::vector<HostsEntry>& extra);
/// "name:address" or "name=address"; the address may be host-gateway, which becomes `gateway`. Throws Invalid.
HostsEntry parse_extra_host(std::string_view text, std::string_view gateway);

/// "name\n".
std::string hostname_file(std::string_view hostname);

}  // namespace ctr
