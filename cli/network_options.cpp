#include "cli/network_options.h"

#include <algorithm>

#include "base/text.h"
#include "builder/csv.h"
#include "engine/publish_options.h"

namespace ctr {

namespace {

[[noreturn]] void refuse(std::string_view flag, const std::string& value, const std::string& why) {
  throw UsageError("invalid argument \"" + value + "\" for \"--" + std::string(flag) + "\" flag: " + why);
}

struct NetworkChoice {
  std::string name;
  EndpointSettings settings;
};

EndpointIpamConfig& addresses_of(EndpointSettings& settings) {
  return settings.ipam_config ? *settings.ipam_config : settings.ipam_config.emplace();
}

/// "mynet", or "name=mynet,alias=web,ip=10.0.0.5".
NetworkChoice parse_network(const std::string& text) {
  NetworkChoice choice;
  if (text.find('=') == std::string::npos) {
    choice.name = text;
    return choice;
  }
  for (const CsvField& field : parse_csv_fields(text)) {
    if (!field.value) refuse("network", text, "invalid field " + field.text);
    const std::string& value = *field.value;
    if (field.key == "name") {
      choice.name = value;
    } else if (field.key == "alias") {
      choice.settings.aliases.push_back(value);
    } else if (field.key == "ip") {
      addresses_of(choice.settings).ipv4_address = value;
    } else if (field.key == "ip6") {
      addresses_of(choice.settings).ipv6_address = value;
    } else if (field.key == "mac-address") {
      choice.settings.mac_address = value;
    } else if (field.key == "link-local-ip") {
      addresses_of(choice.settings).link_local_ips.push_back(value);
    } else if (field.key == "driver-opt") {
      const auto pair = cut(value, '=');
      if (!pair) refuse("network", text, "invalid driver-opt " + value);
      choice.settings.driver_opts[pair->first] = pair->second;
    } else if (field.key == "gw-priority") {
      const auto priority = parse_int(value);
      if (!priority) refuse("network", text, "invalid gw-priority " + value);
      choice.settings.gw_priority = *priority;
    } else {
      refuse("network", text, "invalid field key " + field.key);
    }
  }
  if (choice.name.empty()) refuse("network", text, "the network's name is missing");
  return choice;
}

StringList both(const ParsedFlags& flags, std::string_view name, std::string_view other) {
  StringList values = flags.list(name);
  values.insert(values.end(), flags.list(other).begin(), flags.list(other).end());
  return values;
}

bool is_host_or_none(const std::string& mode) {
  return mode == "host" || mode == "none" || mode.starts_with("container:");
}

void choose_networks(const ParsedFlags& flags, CreateRequest& request) {
  std::vector<NetworkChoice> choices;
  for (const std::string& text : both(flags, "network", "net")) choices.push_back(parse_network(text));
  if (choices.empty()) choices.push_back({"default", {}});
  for (const NetworkChoice& choice : choices) {
    if (choices.size() > 1 && is_host_or_none(choice.name)) {
      throw UsageError("conflicting options: cannot attach both user-defined and non-user-defined network-modes");
    }
  }
  EndpointSettings& first = choices.front().settings;
  const StringList aliases = both(flags, "network-alias", "net-alias");
  first.aliases.insert(first.aliases.end(), aliases.begin(), aliases.end());
  first.links = flags.list("link");
  if (flags.given("ip")) addresses_of(first).ipv4_address = flags.text("ip");
  if (flags.given("ip6")) addresses_of(first).ipv6_address = flags.text("ip6");
  if (flags.given("link-local-ip")) addresses_of(first).link_local_ips = flags.list("link-local-ip");
  if (flags.given("mac-address")) first.mac_address = flags.text("mac-address");
  request.host.network_mode = choices.front().name;
  request.host.links = flags.list("link");
  for (NetworkChoice& choice : choices) request.networking.endpoints_config[choice.name] = std::move(choice.settings);
}

/// "host:ip", "host=ip", "host:host-gateway".
void check_host_entry(const std::string& text) {
  const std::size_t at = text.find_first_of(":=");
  if (at == std::string::npos || at == 0 || at + 1 == text.size()) refuse("add-host", text, "bad format for add-host");
}

}  // namespace

void fill_network_options(const ParsedFlags& flags, CreateRequest& request) {
  choose_networks(flags, request);
  HostConfig& host = request.host;
  for (const std::string& text : flags.list("publish")) add_published_ports(text, request);
  for (const std::string& text : flags.list("expose")) add_exposed_ports(text, request);
  host.publish_all_ports = flags.on("publish-all");
  host.dns = flags.list("dns");
  host.dns_options = both(flags, "dns-option", "dns-opt");
  host.dns_search = flags.list("dns-search");
  for (std::string text : flags.list("add-host")) {
    check_host_entry(text);
    if (const std::size_t equals = text.find('='); equals < text.find(':')) text[equals] = ':';
    host.extra_hosts.push_back(text);
  }
}

}  // namespace ctr
