#include "engine/container_checks.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "engine/cpu_list.h"

namespace ctr {
namespace {

std::string refusal(const ContainerConfig& config, const HostConfig& host) {
  try {
    check_container(config, host);
  } catch (const Error& error) {
    return error.what();
  }
  return "accepted";
}

std::string refusal(const HostConfig& host) { return refusal({}, host); }

TEST(ContainerChecks, AcceptsWhatDockersClientSendsByDefault) {
  HostConfig host;
  host.network_mode = "bridge";
  host.restart_policy.name = "no";
  EXPECT_EQ(refusal(host), "accepted");
}

TEST(ContainerChecks, RefusesLittleMemoryAndContradictions) {
  HostConfig host;
  host.memory = 1024;
  EXPECT_EQ(refusal(host), "Minimum memory limit allowed is 6MB");
  host.memory = 64 << 20;
  host.memory_swap = 32 << 20;
  EXPECT_EQ(refusal(host), "Minimum memoryswap limit should be larger than memory limit, see usage");
  host.memory = 0;
  EXPECT_EQ(refusal(host), "You should always set the Memory limit when using Memoryswap limit, see usage");
}

TEST(ContainerChecks, RefusesProcessorsThatAreNotThere) {
  HostConfig host;
  host.nano_cpus = 100'000 * std::int64_t{1'000'000'000};
  EXPECT_NE(refusal(host).find("Range of CPUs is from 0.01 to "), std::string::npos);
  host.nano_cpus = 0;
  host.cpuset_cpus = "8000";
  EXPECT_NE(refusal(host).find("Requested CPUs are not available - requested 8000, available: "), std::string::npos);
}

TEST(ContainerChecks, RefusesAutoRemoveWithARestartPolicy) {
  HostConfig host;
  host.auto_remove = true;
  host.restart_policy.name = "always";
  EXPECT_EQ(refusal(host), "can't create 'AutoRemove' container with restart policy");
}

TEST(ContainerChecks, RefusesUnknownRestartPolicies) {
  HostConfig host;
  host.restart_policy = {"sometimes", 0};
  EXPECT_NE(refusal(host).find("unknown policy 'sometimes'"), std::string::npos);
  host.restart_policy = {"always", 3};
  EXPECT_NE(refusal(host).find("maximum retry count can only be used with 'on-failure'"), std::string::npos);
}

TEST(ContainerChecks, RefusesModesThatExcludeEachOther) {
  ContainerConfig config;
  config.hostname = "x";
  HostConfig host;
  host.network_mode = "container:abc";
  EXPECT_EQ(refusal(config, host), "conflicting options: hostname and the network mode");
}

TEST(ContainerChecks, RefusesGpusInDockersWords) {
  HostConfig host;
  host.device_requests = {{"", -1, {}, {{"gpu"}}, {}}};
  EXPECT_EQ(refusal(host), "could not select device driver \"\" with capabilities: [[gpu]]");
}

TEST(ContainerChecks, RefusesARelativeWorkingDirectory) {
  ContainerConfig config;
  config.working_dir = "app";
  EXPECT_NE(refusal(config, {}).find("it needs to be an absolute path"), std::string::npos);
}

TEST(CpuList, ReadsAndWritesRanges) {
  EXPECT_EQ(parse_cpu_list("0-2,7,1"), (std::vector<int>{0, 1, 2, 7}));
  EXPECT_EQ(format_cpu_list({0, 1, 2, 7}), "0-2,7");
  for (const char* text : {"", "a", "3-1", "-1", "0-99999999"}) EXPECT_FALSE(parse_cpu_list(text)) << text;
}

}  // namespace
}  // namespace ctr
