// What a running container uses: processes (`top`) and resources (`stats`).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/json.h"
#include "engine/context.h"

namespace ctr {

struct TopResult {
  std::vector<std::string> titles;
  std::vector<std::vector<std::string>> processes;
};
/// `arguments` are ps(1)'s; empty: -ef.
TopResult container_top(Context& context, const std::string& container, const std::vector<std::string>& arguments);

struct NetworkUsage {
  std::string interface;
  std::uint64_t rx_bytes = 0, rx_packets = 0, rx_errors = 0, rx_dropped = 0;
  std::uint64_t tx_bytes = 0, tx_packets = 0, tx_errors = 0, tx_dropped = 0;
};
struct StatsSample {
  std::string id;
  std::string name;
  std::int64_t read_ns = 0;         // Unix time of the sample; 0: it does not run
  std::uint64_t cpu_total_ns = 0;
  std::uint64_t cpu_user_ns = 0;
  std::uint64_t cpu_kernel_ns = 0;
  std::uint64_t system_cpu_ns = 0;  // of the whole machine, all processors
  int online_cpus = 0;
  std::uint64_t memory_usage = 0;   // without inactive file cache, as Docker's client shows it
  std::uint64_t memory_limit = 0;
  std::uint64_t pids = 0;
  std::uint64_t pids_limit = 0;
  std::uint64_t block_read_bytes = 0;
  std::uint64_t block_write_bytes = 0;
  std::vector<NetworkUsage> networks;
  Json raw_memory;                  // the memory controller's statistics file, for the API's document
};
StatsSample read_stats(Context& context, const std::string& container);
/// Between two samples, in percent of one processor.
double cpu_percent(const StatsSample& before, const StatsSample& now);
/// Docker's /containers/{id}/stats document.
Json to_json(const StatsSample& before, const StatsSample& now);

}  // namespace ctr
