// What containers use, and what they may use: top, stats, update, port.
#include <unistd.h>

#include <array>
#include <cstdio>
#include <map>
#include <optional>
#include <thread>

#include "base/text.h"
#include "cli/commands.h"
#include "cli/container_options.h"
#include "cli/each_argument.h"
#include "cli/listing.h"
#include "cli/output.h"
#include "engine/container_stats.h"
#include "engine/container_store.h"
#include "engine/port_reach.h"
#include "engine/publish_options.h"

namespace ctr {

namespace {

// ---- top ----

int top(Invocation& invocation) {
  const std::vector<std::string> ps_arguments(invocation.arguments().begin() + 1, invocation.arguments().end());
  const TopResult result = container_top(invocation.context(), invocation.arguments().front(), ps_arguments);
  std::string table = join(result.titles, "\t") + "\n";
  for (const std::vector<std::string>& process : result.processes) table += join(process, "\t") + "\n";
  write_standard_out(align_columns(table));
  return 0;
}

// ---- stats ----

void define_stats_flags(FlagTable& flags) {
  flags.toggle("all", 'a', "Show all containers (default shows just running)");
  flags.text("format", 0, "string", "Format output using a custom template: 'table', 'table TEMPLATE', 'json' or TEMPLATE");
  flags.toggle("no-stream", 0, "Disable streaming stats and only pull the first result");
  flags.toggle("no-trunc", 0, "Do not truncate output");
}

std::string percent(double value) {
  std::array<char, 32> buffer;
  std::snprintf(buffer.data(), buffer.size(), "%.2f%%", value);
  return buffer.data();
}

std::string decimal(std::uint64_t bytes) { return human_size(static_cast<double>(bytes)); }
std::string binary(std::uint64_t bytes) { return human_size_binary(static_cast<double>(bytes)); }

ListRow stats_row(const StatsSample& before, const StatsSample& now, bool is_cut) {
  std::uint64_t received = 0;
  std::uint64_t sent = 0;
  for (const NetworkUsage& network : now.networks) {
    received += network.rx_bytes;
    sent += network.tx_bytes;
  }
  const double memory_share = now.memory_limit == 0 ? 0 : 100.0 * static_cast<double>(now.memory_usage) / static_cast<double>(now.memory_limit);
  const std::string id = is_cut ? now.id.substr(0, 12) : now.id;
  const bool runs = now.read_ns != 0;
  return {Json::object({{"BlockIO", runs ? decimal(now.block_read_bytes) + " / " + decimal(now.block_write_bytes) : "-- / --"},
                        {"CPUPerc", runs ? percent(cpu_percent(before, now)) : "--"},
                        {"Container", id},
                        {"ID", id},
                        {"MemPerc", runs ? percent(memory_share) : "--"},
                        {"MemUsage", runs ? binary(now.memory_usage) + " / " + binary(now.memory_limit) : "-- / --"},
                        {"Name", now.name},
                        {"NetIO", runs ? decimal(received) + " / " + decimal(sent) : "-- / --"},
                        {"PIDs", runs ? std::to_string(now.pids) : "--"}}),
          {}};
}

std::vector<std::string> stats_targets(Invocation& invocation) {
  if (!invocation.arguments().empty()) return invocation.arguments();
  ListContainersRequest request;
  request.all = invocation.flags().on("all");
  std::vector<std::string> ids;
  for (const ContainerSummary& container : list_containers(invocation.context(), request)) ids.push_back(container.record.id);
  return ids;
}

std::map<std::string, StatsSample> sample(Invocation& invocation) {
  std::map<std::string, StatsSample> samples;
  for (const std::string& name : stats_targets(invocation)) {
    StatsSample one = read_stats(invocation.context(), name);
    samples[one.id] = std::move(one);
  }
  return samples;
}

int stats(Invocation& invocation) {
  const ParsedFlags& flags = invocation.flags();
  const bool is_once = flags.on("no-stream");
  const bool is_live = is_terminal(STDOUT_FILENO) && !is_once;
  std::map<std::string, StatsSample> before = sample(invocation);
  for (;;) {
    std::this_thread::sleep_for(std::chrono::seconds(1));
    std::map<std::string, StatsSample> now = sample(invocation);
    Listing listing;
    listing.default_format = "table {{.ID}}\t{{.Name}}\t{{.CPUPerc}}\t{{.MemUsage}}\t{{.MemPerc}}\t{{.NetIO}}\t{{.BlockIO}}\t{{.PIDs}}";
    listing.headings = {{"ID", "CONTAINER ID"}, {"Container", "CONTAINER"}, {"Name", "NAME"}, {"CPUPerc", "CPU %"},
                        {"MemUsage", "MEM USAGE / LIMIT"}, {"MemPerc", "MEM %"}, {"NetIO", "NET I/O"}, {"BlockIO", "BLOCK I/O"},
                        {"PIDs", "PIDS"}};
    for (const auto& [id, one] : now) {
      const auto known = before.find(id);
      listing.rows.push_back(stats_row(known == before.end() ? one : known->second, one, !flags.on("no-trunc")));
    }
    if (is_live) write_standard_out("\x1b[H\x1b[J");
    print_listing(listing, flags.text("format"));
    flush_standard_out();
    if (is_once) return 0;
    before = std::move(now);
  }
}

// ---- update ----

void define_update_flags(FlagTable& flags) {
  flags.integer("blkio-weight", 0, "uint16", "Block IO (relative weight), between 10 and 1000, or 0 to disable");
  flags.integer("cpu-period", 0, "int", "Limit CPU CFS (Completely Fair Scheduler) period");
  flags.integer("cpu-quota", 0, "int", "Limit CPU CFS (Completely Fair Scheduler) quota");
  flags.integer("cpu-rt-period", 0, "int", "Limit the CPU real-time period in microseconds");
  flags.integer("cpu-rt-runtime", 0, "int", "Limit the CPU real-time runtime in microseconds");
  flags.integer("cpu-shares", 'c', "int", "CPU shares (relative weight)");
  flags.text("cpus", 0, "decimal", "Number of CPUs");
  flags.text("cpuset-cpus", 0, "string", "CPUs in which to allow execution (0-3, 0,1)");
  flags.text("cpuset-mems", 0, "string", "MEMs in which to allow execution (0-3, 0,1)");
  flags.text("memory", 'm', "bytes", "Memory limit");
  flags.text("memory-reservation", 0, "bytes", "Memory soft limit");
  flags.text("memory-swap", 0, "bytes", "Swap limit equal to memory plus swap: -1 to enable unlimited swap");
  flags.integer("pids-limit", 0, "int", "Tune container pids limit (set -1 for unlimited)");
  flags.list("publish", 'p', "list", "Publish another port of the container to the host");
  flags.text("restart", 0, "string", "Restart policy to apply when a container exits");
  flags.list("unpublish", 0, "list", "Take a published port of the container away (8080/tcp)");
}

UpdateRequest update_request(const ParsedFlags& flags) {
  UpdateRequest request;
  const auto number = [&](std::string_view name, std::optional<std::int64_t>& field) {
    if (flags.given(name)) field = flags.integer(name);
  };
  const auto size = [&](std::string_view name, std::optional<std::int64_t>& field) {
    if (flags.given(name)) field = size_option(flags, name);
  };
  number("cpu-shares", request.cpu_shares);
  number("cpu-period", request.cpu_period);
  number("cpu-quota", request.cpu_quota);
  number("cpu-rt-period", request.cpu_realtime_period);
  number("cpu-rt-runtime", request.cpu_realtime_runtime);
  number("pids-limit", request.pids_limit);
  size("memory", request.memory);
  size("memory-reservation", request.memory_reservation);
  size("memory-swap", request.memory_swap);
  if (const auto cpus = flags.find_text("cpus")) request.nano_cpus = cpus_option(*cpus);
  request.cpuset_cpus = flags.find_text("cpuset-cpus");
  request.cpuset_mems = flags.find_text("cpuset-mems");
  if (flags.given("blkio-weight")) {
    const std::int64_t weight = flags.integer("blkio-weight");
    if (weight != 0 && (weight < 10 || weight > 1000)) throw UsageError("--blkio-weight must be between 10 and 1000, or 0");
    request.blkio_weight = static_cast<std::uint16_t>(weight);
  }
  if (const auto policy = flags.find_text("restart")) request.restart_policy = parse_restart_policy(*policy);
  CreateRequest ports;
  for (const std::string& text : flags.list("publish")) add_published_ports(text, ports);
  request.publish = ports.host.port_bindings;
  request.unpublish = flags.list("unpublish");
  return request;
}

int update(Invocation& invocation) {
  if (invocation.flags().none_given()) {
    throw Error(ErrorKind::Invalid, "you must provide one or more flags when using this command");
  }
  const UpdateRequest request = update_request(invocation.flags());
  return for_each_argument(invocation, [&](const std::string& name) {
    for (const std::string& warning : update_container(invocation.context(), name, request)) print_warning(warning);
    return name;
  });
}

// ---- port ----

std::string bracketed(const std::string& ip) { return ip.find(':') == std::string::npos ? ip : "[" + ip + "]"; }

void define_port_flags(FlagTable& flags) {
  flags.toggle("reach", 0, "Say from where each port can be reached (done on a terminal anyway)");
}

int port(Invocation& invocation) {
  const ContainerRecord record = invocation.context().containers().get(invocation.arguments().front());
  std::string wanted = invocation.arguments().size() > 1 ? invocation.arguments()[1] : "";
  if (!wanted.empty() && wanted.find('/') == std::string::npos) wanted += "/tcp";
  // Scripts read these lines as Docker prints them; people are told more.
  const bool says_reach = invocation.flags().on("reach") || ::isatty(STDOUT_FILENO) == 1;
  std::optional<PortReach> reach;
  if (says_reach) reach.emplace(invocation.context());
  bool is_found = false;
  for (const PortSummary& summary : container_ports(invocation.context(), record)) {
    const std::string name = std::to_string(summary.private_port) + "/" + summary.type;
    if (summary.public_port == 0 || (!wanted.empty() && wanted != name)) continue;
    const std::string where = bracketed(summary.ip) + ":" + std::to_string(summary.public_port);
    const std::string words = reach ? " (" + reach->words(record, summary) + ")" : "";
    write_standard_out((wanted.empty() ? name + " -> " : "") + where + words + "\n");
    is_found = true;
  }
  if (!wanted.empty() && !is_found) {
    throw Error(ErrorKind::NotFound, "no public port '" + wanted + "' published for " + invocation.arguments().front());
  }
  return 0;
}

}  // namespace

std::vector<CommandSpec> container_resource_command_specs() {
  return {{.words = "top",
           .arguments = "CONTAINER [ps OPTIONS]",
           .summary = "Display the running processes of a container",
           .min_arguments = 1,
           .order = FlagOrder::BeforeArguments,
           .run = top,
           .aliases = {"container top"}},
          {.words = "stats",
           .arguments = "[OPTIONS] [CONTAINER...]",
           .summary = "Display a live stream of container(s) resource usage statistics",
           .define_flags = define_stats_flags,
           .run = stats,
           .aliases = {"container stats"}},
          {.words = "update",
           .arguments = "[OPTIONS] CONTAINER [CONTAINER...]",
           .summary = "Update configuration of one or more containers",
           .min_arguments = 1,
           .define_flags = define_update_flags,
           .run = update,
           .aliases = {"container update"}},
          {.words = "port",
           .arguments = "CONTAINER [PRIVATE_PORT[/PROTO]]",
           .summary = "List port mappings or a specific mapping for the container",
           .min_arguments = 1,
           .max_arguments = 2,
           .define_flags = define_port_flags,
           .run = port,
           .aliases = {"container port"}}};
}

}  // namespace ctr
