#include "engine/networks.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include "base/error.h"
#include "engine/container_store.h"

namespace ctr {
namespace {

class Networks : public ::testing::Test {
 protected:
  Networks() {
    Paths paths;
    paths.root = directory_.path() / "root";
    paths.run = directory_.path() / "run";
    make_directories(paths.root);
    make_directories(paths.run);
    context_ = std::make_unique<Context>(paths, Configuration{});
  }

  NetworkRecord make(const std::string& name, const std::string& subnet = "") {
    CreateNetworkRequest request;
    request.name = name;
    if (!subnet.empty()) request.pools = {{subnet, {}, {}, {}}};
    return create_network(*context_, request);
  }

  static std::string sentence(const std::function<void()>& body) {
    try {
      body();
    } catch (const Error& error) {
      return error.what();
    }
    return "";
  }

  ContainerRecord make_container(const std::string& id, const std::string& name, const std::string& mode) {
    ContainerRecord record;
    record.id = id;
    record.name = name;
    record.host.network_mode = mode;
    make_directories(context_->containers().directory(id));
    context_->containers().claim_name(name, id);
    context_->containers().save(record, RecordDurability::Cached);
    return record;
  }

  std::string names(const std::vector<std::string>& filters) {
    std::string text;
    for (const NetworkRecord& network : list_networks(*context_, parse_network_filters(filters))) {
      text += network.name + " ";
    }
    return text;
  }

  TempDirectory directory_;
  std::unique_ptr<Context> context_;
};

const std::string kOne(64, 'a');

TEST_F(Networks, PredefinedOnesAreAlwaysThere) {
  EXPECT_EQ(names({}), "bridge host none ");
  EXPECT_EQ(resolve_network(*context_, "host").driver, "host");
  EXPECT_EQ(resolve_network(*context_, "none").driver, "null");
  EXPECT_EQ(resolve_network(*context_, "host").id.size(), 64u);
  EXPECT_EQ(resolve_network(*context_, "host").id, resolve_network(*context_, "host").id);
  EXPECT_NE(resolve_network(*context_, "host").id, resolve_network(*context_, "none").id);
}

TEST_F(Networks, AreFoundByNameIdAndPrefix) {
  const NetworkRecord made = make("front");
  EXPECT_EQ(resolve_network(*context_, "front").id, made.id);
  EXPECT_EQ(resolve_network(*context_, made.id).name, "front");
  EXPECT_EQ(resolve_network(*context_, made.id.substr(0, 12)).name, "front");
  EXPECT_EQ(sentence([&] { resolve_network(*context_, "nope"); }), "network nope not found");
  EXPECT_EQ(sentence([&] { resolve_network(*context_, "../front"); }), "network ../front not found");
}

TEST_F(Networks, GetSubnetsThatDoNotOverlap) {
  const NetworkRecord one = make("one");
  const NetworkRecord two = make("two");
  EXPECT_FALSE(one.subnets[0].prefix.overlaps(two.subnets[0].prefix));
  EXPECT_FALSE(one.subnets[0].prefix.overlaps(resolve_network(*context_, "bridge").subnets[0].prefix));
  EXPECT_NE(one.bridge, two.bridge);
  EXPECT_LE(one.bridge.size(), 15u);
  make("wanted", "10.213.0.0/24");
  EXPECT_NE(sentence([&] { make("again", "10.213.0.128/25"); }).find("Pool overlaps with other one"), std::string::npos);
}

TEST_F(Networks, BadRequestsAreRefused) {
  make("front");
  EXPECT_EQ(sentence([&] { make("front"); }), "network with name front already exists");
  EXPECT_EQ(sentence([&] { make("host"); }), "operation is not permitted on predefined host network");
  EXPECT_NE(sentence([&] { make("a b"); }).find("invalid characters"), std::string::npos);
  EXPECT_NE(sentence([&] { make(".x"); }).find("invalid characters"), std::string::npos);
  EXPECT_EQ(sentence([&] { make("x", "10.0.0.1/24"); }),
            "invalid network config: invalid subnet 10.0.0.1/24: it should be 10.0.0.0/24");
  EXPECT_NE(sentence([&] { make("x", "10.0.0.0/31"); }).find("no room"), std::string::npos);
  EXPECT_NE(sentence([&] { make("x", "nonsense"); }).find("invalid subnet"), std::string::npos);
  CreateNetworkRequest request;
  request.name = "x";
  request.driver = "overlay";
  EXPECT_NE(sentence([&] { create_network(*context_, request); }).find("could not find plugin overlay"), std::string::npos);
  request.driver = "bridge";
  request.pools = {{"10.0.0.0/24", "", "10.0.1.1", {}}};
  EXPECT_NE(sentence([&] { create_network(*context_, request); }).find("is not in subnet"), std::string::npos);
  request.pools = {{"10.0.0.0/24", "10.0.0.0/16", "", {}}};
  EXPECT_NE(sentence([&] { create_network(*context_, request); }).find("is not in subnet"), std::string::npos);
  request.pools.clear();
  request.options = {{"com.docker.network.bridge.name", "much-too-long-a-name"}};
  EXPECT_NE(sentence([&] { create_network(*context_, request); }).find("invalid interface name"), std::string::npos);
  EXPECT_EQ(names({"type=custom"}), "front ");
}

TEST_F(Networks, PoolsArePairedBySubnet) {
  const std::vector<IpamPool> pools =
      make_ipam_pools({"10.1.0.0/16", "fd01::/64"}, {"fd01::9", "10.1.0.9"}, {"10.1.5.0/24"}, {"printer=10.1.0.3"});
  ASSERT_EQ(pools.size(), 2u);
  EXPECT_EQ(pools[0].gateway, "10.1.0.9");
  EXPECT_EQ(pools[0].ip_range, "10.1.5.0/24");
  EXPECT_EQ(pools[0].reserved.at("printer"), "10.1.0.3");
  EXPECT_EQ(pools[1].gateway, "fd01::9");
  EXPECT_EQ(sentence([] { make_ipam_pools({"10.1.0.0/16"}, {"10.2.0.1"}, {}, {}); }),
            "no matching subnet for gateway 10.2.0.1");
  EXPECT_THROW(make_ipam_pools({"10.1.0.0/16"}, {"10.1.0.1", "10.1.0.2"}, {}, {}), Error);
}

TEST_F(Networks, OptionsShapeTheRecord) {
  CreateNetworkRequest request;
  request.name = "tuned";
  request.ipv6 = true;
  request.options = {{"com.docker.network.driver.mtu", "1400"},
                     {"com.docker.network.bridge.name", "ctr-tuned"},
                     {"com.docker.network.bridge.enable_icc", "false"},
                     {"com.docker.network.bridge.enable_ip_masquerade", "false"},
                     {"com.docker.network.bridge.host_binding_ipv4", "127.0.0.1"}};
  request.labels = {{"tier", "web"}};
  create_network(*context_, request);
  const NetworkRecord record = resolve_network(*context_, "tuned");
  EXPECT_EQ(record.mtu, 1400u);
  EXPECT_EQ(record.bridge, "ctr-tuned");
  EXPECT_TRUE(record.isolated);
  EXPECT_FALSE(record.masquerade);
  EXPECT_EQ(record.publish_address, "127.0.0.1");
  ASSERT_EQ(record.subnets.size(), 2u);
  EXPECT_TRUE(IpPrefix::parse("fd00::/8").contains(record.subnets[1].gateway));
  const Json document = inspect_network(*context_, record);
  EXPECT_EQ(document.at("Labels").dump(), R"({"tier":"web"})");
  EXPECT_EQ(document.at("IPAM").at("Config").size(), 2u);
  EXPECT_TRUE(document.at("EnableIPv6").as_bool());
}

TEST_F(Networks, ListTakesFilters) {
  make("front");
  make("back");
  make_container(kOne, "web", "front");
  EXPECT_EQ(names({"type=custom"}), "back front ");
  EXPECT_EQ(names({"driver=host"}), "host ");
  EXPECT_EQ(names({"name=ack"}), "back ");
  EXPECT_EQ(names({"dangling=true"}), "back ");
  EXPECT_EQ(names({"scope=swarm"}), "");
  EXPECT_THROW(parse_network_filters({"color=red"}), Error);
}

TEST_F(Networks, PruneKeepsWhatAContainerIsMeantFor) {
  make("front");
  make("back");
  make_container(kOne, "web", "front");
  EXPECT_EQ(prune_networks(*context_, {}).deleted, std::vector<std::string>{"back"});
  EXPECT_EQ(names({"type=custom"}), "front ");
}

TEST_F(Networks, PredefinedOnesAreNotRemoved) {
  for (const char* name : {"bridge", "host", "none"}) {
    EXPECT_EQ(sentence([&] { remove_network(*context_, name); }),
              std::string(name) + " is a pre-defined network and cannot be removed");
  }
  const NetworkRecord made = make("front");
  EXPECT_EQ(remove_network(*context_, made.id.substr(0, 8)), "front");
  EXPECT_EQ(sentence([&] { remove_network(*context_, "front"); }), "network front not found");
}

TEST_F(Networks, StoppedContainersAreConnectedForTheirNextStart) {
  make("front");
  make("back");
  make_container(kOne, "web", "front");
  EndpointSettings settings;
  settings.aliases = {"db"};
  connect_network(*context_, "back", "web", settings);
  const auto endpoints = [&] { return context_->containers().load(kOne).networking.endpoints_config; };
  ASSERT_EQ(endpoints().size(), 2u);
  EXPECT_EQ(endpoints().at("back").aliases, StringList{"db"});
  EXPECT_EQ(sentence([&] { connect_network(*context_, "back", "web", {}); }),
            "endpoint with name web already exists in network back");
  disconnect_network(*context_, "front", "web", Force::No);
  EXPECT_EQ(context_->containers().load(kOne).host.network_mode, "back");
  EXPECT_EQ(sentence([&] { disconnect_network(*context_, "front", "web", Force::No); }),
            "container " + kOne + " is not connected to network front");
  disconnect_network(*context_, "front", "web", Force::Yes);
  disconnect_network(*context_, "front", "nobody", Force::Yes);
  disconnect_network(*context_, "back", "web", Force::No);
  EXPECT_TRUE(endpoints().empty());
}

TEST_F(Networks, ContainersInTheHostsNetworkStayThere) {
  make("front");
  make_container(kOne, "web", "host");
  EXPECT_NE(sentence([&] { connect_network(*context_, "front", "web", {}); }).find("cannot be connected"),
            std::string::npos);
}

}  // namespace
}  // namespace ctr
