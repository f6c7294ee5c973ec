#include "runtime/resolver_files.h"

#include <algorithm>

#include "base/error.h"
#include "base/file.h"
#include "base/text.h"

namespace ctr {
namespace {

constexpr const char* kResolverFile = "/etc/resolv.conf";
// systemd-resolved's own list, for whose sake the former names only a stub on 127.0.0.53.
constexpr const char* kResolvedFile = "/run/systemd/resolve/resolv.conf";
constexpr std::uint64_t kLongestFile = 256 * 1024;
const std::vector<std::string> kPublicServers = {"8.8.8.8", "8.8.4.4"};

bool is_loopback_server(const std::string& server) {
  const std::optional<IpAddress> address = IpAddress::find(server.substr(0, server.find('%')));
  return address && address->is_loopback();
}

bool has_only_loopback_servers(const ResolverConfig& config) {
  return !config.nameservers.empty() &&
         std::all_of(config.nameservers.begin(), config.nameservers.end(), is_loopback_server);
}

std::string lines(const ResolverConfig& config, const std::vector<std::string>& options) {
  std::string text;
  for (const std::string& server : config.nameservers) text += "nameserver " + server + "\n";
  if (!config.search.empty()) text += "search " + join(config.search, " ") + "\n";
  if (!options.empty()) text += "options " + join(options, " ") + "\n";
  return text;
}

std::string host_line(const HostsEntry& entry) { return entry.address + "\t" + join(entry.names, " ") + "\n"; }

}  // namespace

ResolverConfig parse_resolver_config(std::string_view text) {
  ResolverConfig config;
  for (const std::string& line : split(text, '\n')) {
    const std::vector<std::string> words = split_words(line.substr(0, line.find_first_of("#;")));
    if (words.size() < 2) continue;
    if (words[0] == "nameserver") config.nameservers.push_back(words[1]);
    if (words[0] == "search" || words[0] == "domain") config.search.assign(words.begin() + 1, words.end());
    if (words[0] == "options") config.options.insert(config.options.end(), words.begin() + 1, words.end());
  }
  return config;
}

ResolverConfig read_host_resolver_config() {
  ResolverConfig config = parse_resolver_config(find_file(kResolverFile, kLongestFile).value_or(""));
  if (!has_only_loopback_servers(config)) return config;
  const std::optional<std::string> real = find_file(kResolvedFile, kLongestFile);
  return real ? parse_resolver_config(*real) : config;
}

ResolverConfig with_dns_options(ResolverConfig host, const DnsOptions& asked) {
  if (!asked.nameservers.empty()) host.nameservers = asked.nameservers;
  if (!asked.search.empty()) host.search = asked.search;
  if (host.search == std::vector<std::string>{"."}) host.search.clear();
  if (!asked.options.empty()) host.options = asked.options;
  return host;
}

ResolverConfig without_loopback_servers(ResolverConfig config) {
  std::erase_if(config.nameservers, is_loopback_server);
  if (config.nameservers.empty()) config.nameservers = kPublicServers;
  return config;
}

std::string resolver_file(const ResolverConfig& config) { return lines(config, config.options); }

std::string embedded_resolver_file(const ResolverConfig& config) {
  ResolverConfig own = config;
  own.nameservers = {"127.0.0.11"};
  // A name without a dot is a container's first: it must be asked for as it is.
  const auto is_ndots = [](const std::string& option) { return option.starts_with("ndots:"); };
  if (std::none_of(own.options.begin(), own.options.end(), is_ndots)) own.options.push_back("ndots:0");
  return lines(own, own.options);
}

std::string hosts_file(const std::vector<HostsEntry>& extra, const std::vector<HostsEntry>& own) {
  std::string text =
      "127.0.0.1\tlocalhost\n"
      "::1\tlocalhost ip6-localhost ip6-loopback\n"
      "fe00::\tip6-localnet\n"
      "ff00::\tip6-mcastprefix\n"
      "ff02::1\tip6-allnodes\n"
      "ff02::2\tip6-allrouters\n";
  for (const HostsEntry& entry : extra) text += host_line(entry);
  for (const HostsEntry& entry : own) text += host_line(entry);
  return text;
}

std::string hosts_file_of_host(std::string_view host_file, const std::vector<HostsEntry>& extra) {
  std::string text(host_file);
  if (!text.empty() && !text.ends_with('\n')) text += '\n';
  for (const HostsEntry& entry : extra) text += host_line(entry);
  return text;
}

HostsEntry parse_extra_host(std::string_view text, std::string_view gateway) {
  // An address may hold colons, a name neither: the first separator of either kind ends the name.
  const std::size_t separator = text.find_first_of(":=");
  const auto invalid = [&] { return Error(ErrorKind::Invalid, "bad format for add-host: \"" + std::string(text) + "\""); };
  if (separator == text.npos || separator == 0) throw invalid();
  const std::string name(text.substr(0, separator));
  std::string_view address = text.substr(separator + 1);
  if (address.starts_with('[') && address.ends_with(']')) address = address.substr(1, address.size() - 2);
  if (name.find_first_of(" \t\n#") != name.npos) throw invalid();
  if (address == "host-gateway") {
    if (gateway.empty()) throw Error(ErrorKind::Invalid, "unable to derive the IP value for host-gateway");
    return {std::string(gateway), {name}};
  }
  if (!IpAddress::find(address)) {
    throw Error(ErrorKind::Invalid, "invalid IP address in add-host: \"" + std::string(address) + "\"");
  }
  return {std::string(address), {name}};
}

std::string hostname_file(std::string_view hostname) { return std::string(hostname) + "\n"; }

}  // namespace ctr
