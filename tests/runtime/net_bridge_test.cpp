#include <gtest/gtest.h>

#include "base/error.h"
#include "net_host.h"
#include "runtime/network_record.h"

namespace ctr {
namespace {

const std::string kOne(64, '1');
const std::string kTwo(64, '2');

class BridgeNetwork : public NetHost {};

Fd netns_of(const NetworkSetup& setup) { return open_network_namespace(setup.network.netns); }

TEST_F(BridgeNetwork, ContainerGetsAddressGatewayAndNames) {
  const NetworkSetup setup = set_up_network(paths(), request(kOne, "web"));
  ASSERT_EQ(setup.network.endpoints.size(), 1u);
  const Endpoint& endpoint = setup.network.endpoints[0];
  EXPECT_EQ(endpoint.address.value().str(), "172.17.0.2/16");
  EXPECT_EQ(endpoint.gateway.value().str(), "172.17.0.1");
  EXPECT_EQ(endpoint.mac.str(), "02:42:ac:11:00:02");
  EXPECT_EQ(endpoint.interface, "eth0");
  EXPECT_EQ(endpoint.names, (std::vector<std::string>{"web", std::string(12, '1')}));
  in_network_namespace(netns_of(setup).get(), [] {
    EXPECT_NE(shell("ip route").find("default via 172.17.0.1 dev eth0"), std::string::npos);
    EXPECT_NE(shell("ip -o addr show lo").find("127.0.0.1"), std::string::npos);
  });
}

TEST_F(BridgeNetwork, ContainersOfOneNetworkReachEachOther) {
  const NetworkSetup one = set_up_network(paths(), request(kOne, "one"));
  const NetworkSetup two = set_up_network(paths(), request(kTwo, "two"));
  const AnswerServer server(netns_of(one).get(), 80, "one");
  EXPECT_EQ(ask(netns_of(two).get(), Via::Tcp, "172.17.0.2", 80), "one 172.17.0.3\n");
}

TEST_F(BridgeNetwork, PublishedPortIsReachedFromEverywhere) {
  const Fd neighbour = add_neighbour();
  NetworkRequest wanted = request(kOne, "web");
  wanted.publish = parse_publish("8080:80");
  wanted.publish.push_back(parse_publish("8080:80/udp").front());
  NetworkSetup setup = set_up_network(paths(), wanted);
  const NetworkSetup other = set_up_network(paths(), request(kTwo, "other"));
  const ServiceThread service(std::move(setup.service));
  const AnswerServer server(netns_of(setup).get(), 80, "web");
  for (Via via : {Via::Tcp, Via::Udp}) {
    EXPECT_EQ(ask(-1, via, "127.0.0.1", 8080), "web 172.17.0.1\n");
    EXPECT_EQ(ask(-1, via, "10.99.0.1", 8080), "web 10.99.0.1\n");
    EXPECT_EQ(ask(-1, via, "::1", 8080), "web 172.17.0.1\n");
    EXPECT_EQ(ask(neighbour.get(), via, "10.99.0.1", 8080), "web 10.99.0.2\n") << "the client's address is kept";
    EXPECT_EQ(ask(neighbour.get(), via, "fd99::1", 8080), "web 172.17.0.1\n");
    EXPECT_EQ(ask(netns_of(other).get(), via, "172.17.0.1", 8080), "web 172.17.0.1\n") << "hairpin";
    EXPECT_EQ(ask(netns_of(other).get(), via, "10.99.0.1", 8080), "web 172.17.0.1\n");
    EXPECT_EQ(ask(netns_of(setup).get(), via, "10.99.0.1", 8080), "web 172.17.0.1\n") << "itself";
  }
  EXPECT_EQ(setup.network.ports.size(), 4u);
}

TEST_F(BridgeNetwork, PortOnLoopbackIsClosedToOthers) {
  const Fd neighbour = add_neighbour();
  NetworkRequest wanted = request(kOne, "web");
  wanted.publish = parse_publish("127.0.0.1:8080:80");
  NetworkSetup setup = set_up_network(paths(), wanted);
  const ServiceThread service(std::move(setup.service));
  const AnswerServer server(netns_of(setup).get(), 80, "web");
  EXPECT_EQ(ask(-1, Via::Tcp, "127.0.0.1", 8080), "web 172.17.0.1\n");
  EXPECT_EQ(ask(-1, Via::Tcp, "10.99.0.1", 8080), "refused");
  EXPECT_EQ(ask(neighbour.get(), Via::Tcp, "10.99.0.1", 8080), "refused");
  // A neighbour that sends packets for 127.0.0.1 over the wire.
  in_network_namespace(neighbour.get(), [] {
    shell("ip link set lo down; ip route add 127.0.0.0/8 via 10.99.0.1 dev eth0 table main; "
          "ip addr del 127.0.0.1/8 dev lo; echo 1 > /proc/sys/net/ipv4/conf/eth0/route_localnet; "
          "ip route add 127.0.0.1/32 via 10.99.0.1 src 10.99.0.2");
  });
  EXPECT_EQ(ask(neighbour.get(), Via::Tcp, "127.0.0.1", 8080, "eth0"), "");
}

TEST_F(BridgeNetwork, LoopbackOfTheHostIsClosedToContainers) {
  const NetworkSetup setup = set_up_network(paths(), request(kOne, "web"));
  const AnswerServer secret(-1, 9999, "secret");
  EXPECT_EQ(ask(-1, Via::Tcp, "127.0.0.1", 9999), "secret 127.0.0.1\n");
  const Fd netns = netns_of(setup);
  in_network_namespace(netns.get(), [] {
    shell("echo 1 > /proc/sys/net/ipv4/conf/all/route_localnet; ip addr del 127.0.0.1/8 dev lo; "
          "ip route add 127.0.0.1/32 via 172.17.0.1 src 172.17.0.2");
  });
  EXPECT_EQ(ask(netns.get(), Via::Tcp, "127.0.0.1", 9999, "eth0"), "");
  EXPECT_EQ(ask(netns.get(), Via::Udp, "127.0.0.1", 9999, "eth0"), "");
  EXPECT_EQ(ask(netns.get(), Via::Tcp, "172.17.0.1", 9999), "secret 172.17.0.2\n") << "what listens everywhere is open";
}

TEST_F(BridgeNetwork, UnpublishedPortsAreClosedToNeighbours) {
  const Fd neighbour = add_neighbour();
  const NetworkSetup setup = set_up_network(paths(), request(kOne, "web"));
  const AnswerServer server(netns_of(setup).get(), 80, "web");
  in_network_namespace(neighbour.get(), [] { shell("ip route add 172.17.0.0/16 via 10.99.0.1"); });
  EXPECT_EQ(ask(neighbour.get(), Via::Tcp, "172.17.0.2", 80), "");
  EXPECT_EQ(ask(-1, Via::Tcp, "172.17.0.2", 80), "web 172.17.0.1\n") << "the host itself may";
}

TEST_F(BridgeNetwork, ContainersReachOutsideUnderTheHostsAddress) {
  const Fd neighbour = add_neighbour();
  const NetworkSetup setup = set_up_network(paths(), request(kOne, "web"));
  const AnswerServer outside(neighbour.get(), 80, "outside");
  EXPECT_EQ(ask(netns_of(setup).get(), Via::Tcp, "10.99.0.2", 80), "outside 10.99.0.1\n");
  EXPECT_EQ(ask(netns_of(setup).get(), Via::Udp, "10.99.0.2", 80), "outside 10.99.0.1\n");
}

TEST_F(BridgeNetwork, TakenPortNamesTheContainer) {
  NetworkRequest wanted = request(kOne, "web");
  wanted.publish = parse_publish("8080:80");
  const NetworkSetup setup = set_up_network(paths(), wanted);
  wanted = request(kTwo, "other");
  wanted.publish = parse_publish("8080:81");
  try {
    set_up_network(paths(), wanted);
    FAIL() << "the port is taken";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::Busy);
    EXPECT_EQ(std::string(error.what()),
              "Bind for 0.0.0.0:8080 failed: port is already allocated to container 111111111111");
  }
  EXPECT_FALSE(find_container_network(paths(), kTwo)) << "nothing is left of the failed one";
  EXPECT_FALSE(path_exists(netns_path(kTwo)));
}

TEST_F(BridgeNetwork, TakenPortNamesTheProcess) {
  const AnswerServer server(-1, 8080, "host");
  NetworkRequest wanted = request(kOne, "web");
  wanted.publish = parse_publish("8080:80");
  try {
    set_up_network(paths(), wanted);
    FAIL() << "the port is taken";
  } catch (const Error& error) {
    EXPECT_EQ(std::string(error.what()), "Bind for 0.0.0.0:8080 failed: port is already allocated to process " +
                                             std::to_string(::getpid()) + " (test_runtime)");
  }
}

TEST_F(BridgeNetwork, ReleaseGivesEverythingBack) {
  (void)default_network(paths());
  const std::string before = snapshot();
  for (int round = 0; round < 3; ++round) {
    NetworkRequest wanted = request(kOne, "web");
    wanted.publish = parse_publish("8080:80");
    NetworkSetup one = set_up_network(paths(), wanted);
    NetworkSetup two = set_up_network(paths(), request(kTwo, "two"));
    one.service = {};
    two.service = {};
    release_network(paths(), kOne);
    release_network(paths(), kTwo);
    release_network(paths(), kTwo);
  }
  retire_idle_networks(paths(), WhenIdle::Now);
  EXPECT_EQ(snapshot(), before);
}

TEST_F(BridgeNetwork, ReleaseLeavesAloneWhatSomebodyHolds) {
  const NetworkSetup setup = set_up_network(paths(), request(kOne, "web"));
  release_network(paths(), kOne);
  EXPECT_TRUE(find_container_network(paths(), kOne));
}

TEST_F(BridgeNetwork, DeadContainersAreTidiedUpByWhoComesNext) {
  const std::string before = snapshot();
  { const NetworkSetup dropped = set_up_network(paths(), request(kOne, "web")); }
  const NetworkSetup alive = set_up_network(paths(), request(kTwo, "two"));
  release_dead_networks(paths());
  EXPECT_FALSE(find_container_network(paths(), kOne));
  EXPECT_TRUE(find_container_network(paths(), kTwo));
}

TEST_F(BridgeNetwork, FlushedRulesComeBackWithTheNextContainer) {
  NetworkRequest wanted = request(kOne, "web");
  wanted.publish = parse_publish("8080:80");
  const NetworkSetup one = set_up_network(paths(), wanted);
  const AnswerServer server(netns_of(one).get(), 80, "web");
  shell("nft flush ruleset");
  const NetworkSetup two = set_up_network(paths(), request(kTwo, "two"));
  EXPECT_EQ(ask(-1, Via::Tcp, "127.0.0.1", 8080), "web 172.17.0.1\n");
}

TEST_F(BridgeNetwork, PoolsOfTheHostAreLeftAlone) {
  add_neighbour();
  shell("ip addr add 172.17.5.1/24 dev eth0; ip route add 172.18.0.0/15 via 10.99.0.2");
  EXPECT_EQ(default_network(paths()).subnets.at(0).prefix.str(), "172.20.0.0/16");
}

}  // namespace
}  // namespace ctr
