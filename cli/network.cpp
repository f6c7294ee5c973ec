// ctr network: create, ls, rm, inspect, connect, disconnect, prune.
#include "engine/networks.h"

#include "base/text.h"
#include "cli/commands.h"
#include "cli/confirmation.h"
#include "cli/container_options.h"
#include "cli/each_argument.h"
#include "cli/listing.h"
#include "cli/output.h"

namespace ctr {

namespace {

void define_create_flags(FlagTable& flags) {
  flags.toggle("attachable", 0, "Accepted for Docker's sake: containers can always be attached");
  flags.list("aux-address", 0, "map", "Auxiliary IPv4 or IPv6 addresses that containers never get");
  flags.text("config-from", 0, "string", "Refused: there are no configuration networks");
  flags.text("driver", 'd', "string", "Driver to manage the network", "bridge");
  flags.list("gateway", 0, "strings", "IPv4 or IPv6 gateway for the subnet");
  flags.toggle("internal", 0, "Restrict external access to the network");
  flags.list("ip-range", 0, "strings", "Allocate container ip from a sub-range");
  flags.text("ipam-driver", 0, "string", "IP address management driver", "default");
  flags.toggle("ipv4", 0, "Enable IPv4 address assignment", true);
  flags.toggle("ipv6", 0, "Enable IPv6 address assignment");
  flags.list("label", 0, "list", "Set metadata on a network");
  flags.list("opt", 'o', "map", "Set driver specific options");
  flags.text("scope", 0, "string", "Control the network's scope: only local exists");
  flags.list("subnet", 0, "strings", "Subnet in CIDR format that represents a network segment");
}

CreateNetworkRequest create_request(const ParsedFlags& flags) {
  if (flags.given("config-from")) throw UsageError("--config-from is not supported: there are no configuration networks");
  if (flags.text("ipam-driver") != "default") throw UsageError("--ipam-driver " + flags.text("ipam-driver") + " is not known: default");
  if (const std::string& scope = flags.text("scope"); !scope.empty() && scope != "local") {
    throw UsageError("--scope " + scope + " is not known: local");
  }
  CreateNetworkRequest request;
  request.name = flags.arguments().front();
  request.driver = flags.text("driver");
  request.pools = make_ipam_pools(flags.list("subnet"), flags.list("gateway"), flags.list("ip-range"), flags.list("aux-address"));
  request.internal = flags.on("internal");
  request.ipv4 = flags.on("ipv4");
  request.ipv6 = flags.on("ipv6");
  request.labels = label_map(flags.list("label"));
  for (const std::string& text : flags.list("opt")) {
    const auto pair = cut(text, '=');
    request.options[pair ? pair->first : text] = pair ? pair->second : "";
  }
  return request;
}

int create(Invocation& invocation) {
  write_standard_out(create_network(invocation.context(), create_request(invocation.flags())).id + "\n");
  return 0;
}

void define_list_flags(FlagTable& flags) {
  flags.list("filter", 'f', "filter", "Provide filter values (e.g. \"driver=bridge\")");
  flags.text("format", 0, "string", "Format output using a custom template: 'table', 'table TEMPLATE', 'json' or TEMPLATE");
  flags.toggle("no-trunc", 0, "Do not truncate the output");
  flags.toggle("quiet", 'q', "Only display network IDs");
}

int list(Invocation& invocation) {
  const ParsedFlags& flags = invocation.flags();
  const bool is_cut = !flags.on("no-trunc");
  Listing listing;
  listing.default_format = "table {{.ID}}\t{{.Name}}\t{{.Driver}}\t{{.Scope}}";
  listing.headings = {{"ID", "NETWORK ID"}, {"Name", "NAME"}, {"Driver", "DRIVER"}, {"Scope", "SCOPE"}, {"IPv4", "IPV4"},
                      {"IPv6", "IPV6"}, {"Internal", "INTERNAL"}, {"Labels", "LABELS"}, {"CreatedAt", "CREATED AT"}};
  for (const NetworkRecord& network : list_networks(invocation.context(), parse_network_filters(flags.list("filter")))) {
    const std::string id = is_cut ? network.id.substr(0, 12) : network.id;
    if (flags.on("quiet")) {
      write_standard_out(id + "\n");
      continue;
    }
    const Json document = inspect_network(invocation.context(), network);
    std::vector<std::string> labels;
    for (const auto& [key, value] : document.string_map("Labels")) labels.push_back(key + "=" + value);
    const auto truth = [&](std::string_view key, bool otherwise) { return document.bool_or(key, otherwise) ? "true" : "false"; };
    listing.rows.push_back({Json::object({{"CreatedAt", document.string_or("Created")},
                                          {"Driver", document.string_or("Driver")},
                                          {"ID", id},
                                          {"IPv4", truth("EnableIPv4", true)},
                                          {"IPv6", truth("EnableIPv6", false)},
                                          {"Internal", truth("Internal", false)},
                                          {"Labels", join(labels, ",")},
                                          {"Name", network.name},
                                          {"Scope", "local"}}),
                            Json::object({{"Label", Json(document.string_map("Labels"))}})});
  }
  if (!flags.on("quiet")) print_listing(listing, flags.text("format"));
  return 0;
}

void define_remove_flags(FlagTable& flags) { flags.toggle("force", 'f', "Do not error if the network does not exist"); }

int remove(Invocation& invocation) {
  return for_each_argument(invocation, [&](const std::string& name) {
    try {
      return remove_network(invocation.context(), name);
    } catch (const Error& error) {
      if (error.kind() != ErrorKind::NotFound || !invocation.flags().on("force")) throw;
      return std::string();
    }
  });
}

void define_connect_flags(FlagTable& flags) {
  flags.list("alias", 0, "strings", "Add network-scoped alias for the container");
  flags.list("driver-opt", 0, "strings", "Driver options for the network");
  flags.integer("gw-priority", 0, "int", "Highest gw-priority provides the default gateway");
  flags.text("ip", 0, "string", "IPv4 address (e.g., \"172.30.100.104\")");
  flags.text("ip6", 0, "string", "IPv6 address (e.g., \"2001:db8::33\")");
  flags.list("link", 0, "list", "Add link to another container");
  flags.list("link-local-ip", 0, "strings", "Add a link-local address for the container");
}

int connect(Invocation& invocation) {
  const ParsedFlags& flags = invocation.flags();
  EndpointSettings settings;
  settings.aliases = flags.list("alias");
  settings.links = flags.list("link");
  settings.gw_priority = flags.integer("gw-priority");
  for (const std::string& text : flags.list("driver-opt")) {
    const auto pair = cut(text, '=');
    settings.driver_opts[pair ? pair->first : text] = pair ? pair->second : "";
  }
  if (flags.given("ip") || flags.given("ip6") || flags.given("link-local-ip")) {
    settings.ipam_config = EndpointIpamConfig{flags.text("ip"), flags.text("ip6"), flags.list("link-local-ip")};
  }
  connect_network(invocation.context(), invocation.arguments()[0], invocation.arguments()[1], settings);
  return 0;
}

void define_disconnect_flags(FlagTable& flags) {
  flags.toggle("force", 'f', "Force the container to disconnect from a network");
}

int disconnect(Invocation& invocation) {
  disconnect_network(invocation.context(), invocation.arguments()[0], invocation.arguments()[1],
                     invocation.flags().on("force") ? Force::Yes : Force::No);
  return 0;
}

void define_prune_flags(FlagTable& flags) {
  flags.list("filter", 0, "filter", "Provide filter values (e.g. \"until=<timestamp>\")");
  flags.toggle("force", 'f', "Do not prompt for confirmation");
}

int prune(Invocation& invocation) {
  const Filters filters = parse_network_prune_filters(invocation.flags().list("filter"));
  if (!invocation.flags().on("force") &&
      !confirm("WARNING! This will remove all custom networks not used by at least one container.")) {
    return 0;
  }
  const PruneReport report = prune_networks(invocation.context(), filters);
  if (!report.deleted.empty()) write_standard_out("Deleted Networks:\n" + join(report.deleted, "\n") + "\n");
  return 0;
}

CommandSpec spec(std::string words, std::string arguments, std::string summary, std::size_t least, std::size_t most,
                 void (*define)(FlagTable&), int (*run)(Invocation&), std::vector<std::string> aliases = {}) {
  return {.words = std::move(words), .arguments = std::move(arguments), .summary = std::move(summary),
          .min_arguments = least, .max_arguments = most, .define_flags = define, .run = run, .aliases = std::move(aliases)};
}

}  // namespace

std::vector<CommandSpec> network_command_specs() {
  return {spec("network create", "[OPTIONS] NETWORK", "Create a network", 1, 1, define_create_flags, create),
          spec("network ls", "[OPTIONS]", "List networks", 0, 0, define_list_flags, list, {"network list"}),
          spec("network rm", "[OPTIONS] NETWORK [NETWORK...]", "Remove one or more networks", 1, kAnyNumber, define_remove_flags, remove, {"network remove"}),
          spec("network connect", "[OPTIONS] NETWORK CONTAINER", "Connect a container to a network", 2, 2, define_connect_flags, connect),
          spec("network disconnect", "[OPTIONS] NETWORK CONTAINER", "Disconnect a container from a network", 2, 2, define_disconnect_flags, disconnect),
          spec("network prune", "[OPTIONS]", "Remove all unused networks", 0, 0, define_prune_flags, prune)};
}

}  // namespace ctr
