#include <gtest/gtest.h>

#include "base/error.h"
#include "net_host.h"
#include "runtime/address_pool.h"
#include "runtime/network_names.h"
#include "runtime/network_record.h"

namespace ctr {
namespace {

const std::string kOne(64, '1');
const std::string kTwo(64, '2');
const std::string kThree(64, '3');

class UserNetworks : public NetHost {
 protected:
  NetworkRecord make(const std::string& name, const std::string& subnet) {
    NetworkRecord record;
    record.name = name;
    record.id = name + std::string(64 - name.size(), '0');
    record.bridge = "ctr-" + name;
    record.subnets.push_back(make_subnet(IpPrefix::parse(subnet)));
    save(record);
    return record;
  }
  void save(const NetworkRecord& record) {
    const FileLock lock = lock_networks(paths());
    save_network(paths(), record);
  }
  NetworkRequest on(const NetworkRecord& record, const std::string& id, const std::string& name) {
    NetworkRequest wanted = request(id, name);
    wanted.networks = {{record, EndpointRequest{}}};
    return wanted;
  }
  static Fd netns_of(const NetworkSetup& setup) { return open_network_namespace(setup.network.netns); }
};

TEST_F(UserNetworks, AreClosedToEachOther) {
  const NetworkRecord front = make("front", "10.1.0.0/24");
  const NetworkRecord back = make("back", "10.2.0.0/24");
  NetworkRequest wanted = on(back, kTwo, "two");
  wanted.publish = parse_publish("8080:80");
  const NetworkSetup one = set_up_network(paths(), on(front, kOne, "one"));
  const NetworkSetup two = set_up_network(paths(), wanted);
  const AnswerServer server(netns_of(two).get(), 80, "two");
  EXPECT_EQ(ask(netns_of(one).get(), Via::Tcp, "10.2.0.2", 80), "");
  EXPECT_EQ(ask(netns_of(one).get(), Via::Tcp, "10.1.0.1", 8080), "two 10.1.0.2\n") << "a published port is for all";
}

TEST_F(UserNetworks, InternalOnesReachNothingOutside) {
  const Fd neighbour = add_neighbour();
  const AnswerServer outside(neighbour.get(), 80, "outside");
  NetworkRecord inside = make("inside", "10.1.0.0/24");
  inside.internal = true;
  save(inside);
  NetworkRequest wanted = on(inside, kOne, "one");
  wanted.publish = parse_publish("8080:80");
  const NetworkSetup one = set_up_network(paths(), wanted);
  const NetworkSetup two = set_up_network(paths(), on(inside, kTwo, "two"));
  EXPECT_TRUE(one.network.ports.empty());
  EXPECT_EQ(one.network.warnings.size(), 1u);
  in_network_namespace(netns_of(one).get(), [] {
    EXPECT_EQ(shell("ip route show default"), "");
    shell("ip route add default via 10.1.0.1");
  });
  EXPECT_EQ(ask(netns_of(one).get(), Via::Tcp, "10.99.0.2", 80), "");
  const AnswerServer server(netns_of(two).get(), 80, "two");
  EXPECT_EQ(ask(netns_of(one).get(), Via::Tcp, "10.1.0.3", 80), "two 10.1.0.2\n");
}

TEST_F(UserNetworks, ContainersOfAnIsolatedOneDoNotMeet) {
  NetworkRecord record = make("alone", "10.1.0.0/24");
  record.isolated = true;
  save(record);
  const NetworkSetup one = set_up_network(paths(), on(record, kOne, "one"));
  const NetworkSetup two = set_up_network(paths(), on(record, kTwo, "two"));
  const AnswerServer server(netns_of(two).get(), 80, "two");
  EXPECT_EQ(ask(netns_of(one).get(), Via::Tcp, "10.1.0.3", 80), "");
  EXPECT_EQ(ask(-1, Via::Tcp, "10.1.0.3", 80), "two 10.1.0.1\n");
}

TEST_F(UserNetworks, SpeakIPv6WhenAsked) {
  const Fd neighbour = add_neighbour();
  NetworkRecord record = make("six", "10.1.0.0/24");
  record.ipv6 = true;
  record.subnets.push_back(make_subnet(IpPrefix::parse("fd11::/64")));
  save(record);
  NetworkRequest wanted = on(record, kOne, "one");
  wanted.publish = parse_publish("8080:80");
  NetworkSetup one = set_up_network(paths(), wanted);
  const NetworkSetup two = set_up_network(paths(), on(record, kTwo, "two"));
  EXPECT_EQ(one.network.endpoints[0].address_v6->str(), "fd11::2/64");
  const AnswerServer server(netns_of(one).get(), 80, "one");
  const ServiceThread service(std::move(one.service));
  EXPECT_EQ(ask(netns_of(two).get(), Via::Tcp, "fd11::2", 80), "one fd11::3\n");
  EXPECT_EQ(ask(neighbour.get(), Via::Tcp, "fd99::1", 8080), "one fd99::2\n") << "the client's address is kept";
  EXPECT_EQ(ask(netns_of(two).get(), Via::Tcp, "fd99::1", 8080), "one fd11::1\n") << "hairpin";
  EXPECT_EQ(ask(-1, Via::Tcp, "::1", 8080), "one fd11::1\n");
  const AnswerServer outside(neighbour.get(), 81, "outside");
  EXPECT_EQ(ask(netns_of(two).get(), Via::Tcp, "fd99::2", 81), "outside fd99::1\n") << "under the host's address";
}

TEST_F(UserNetworks, OneContainerMayBeOnSeveral) {
  const NetworkRecord front = make("front", "10.1.0.0/24");
  const NetworkRecord back = make("back", "10.2.0.0/24");
  NetworkRequest wanted = on(front, kOne, "one");
  wanted.networks.emplace_back(back, EndpointRequest{});
  wanted.networks[1].second.gateway_priority = 5;
  const NetworkSetup one = set_up_network(paths(), wanted);
  EXPECT_EQ(one.network.endpoints[0].interface, "eth0");
  EXPECT_EQ(one.network.endpoints[1].interface, "eth1");
  in_network_namespace(netns_of(one).get(), [] {
    EXPECT_NE(shell("ip route show default").find("via 10.2.0.1 dev eth1"), std::string::npos);
  });
}

TEST_F(UserNetworks, RunningContainerIsConnectedAndDisconnected) {
  const NetworkRecord front = make("front", "10.1.0.0/24");
  const NetworkRecord back = make("back", "10.2.0.0/24");
  const NetworkSetup one = set_up_network(paths(), on(front, kOne, "one"));
  const NetworkSetup two = set_up_network(paths(), on(back, kTwo, "two"));
  const AnswerServer server(netns_of(two).get(), 80, "two");
  EXPECT_EQ(ask(netns_of(one).get(), Via::Tcp, "10.2.0.2", 80), "");
  EndpointRequest wanted;
  wanted.aliases = {"helper"};
  wanted.address = IpAddress::parse("10.2.0.77");
  const Endpoint endpoint = attach_endpoint(paths(), kOne, back, wanted);
  EXPECT_EQ(endpoint.address.value().str(), "10.2.0.77/24");
  EXPECT_THROW(attach_endpoint(paths(), kOne, back, wanted), Error);
  EXPECT_EQ(ask(netns_of(one).get(), Via::Tcp, "10.2.0.2", 80), "two 10.2.0.77\n");
  const fs::path resolve = paths().run / "networks/.members" / kTwo / "resolve";
  EXPECT_EQ(find_network_name(resolve, "helper").size(), 1u);
  EXPECT_EQ(network_users(paths(), "back").size(), 2u);
  detach_endpoint(paths(), kOne, "front");
  in_network_namespace(netns_of(one).get(), [] {
    EXPECT_NE(shell("ip route show default").find("via 10.2.0.1 dev eth1"), std::string::npos);
    EXPECT_EQ(shell("ip -br link").find("eth0"), std::string::npos);
  });
  detach_endpoint(paths(), kOne, "back");
  EXPECT_EQ(find_network_name(resolve, "helper").size(), 0u);
  EXPECT_THROW(detach_endpoint(paths(), kOne, "back"), Error);
}

TEST_F(UserNetworks, PortsComeAndGoWhileTheContainerRuns) {
  NetworkSetup one = set_up_network(paths(), request(kOne, "one"));
  const AnswerServer server(netns_of(one).get(), 80, "one");
  NetworkService service = publish_ports(paths(), kOne, parse_publish("8080:80"));
  EXPECT_EQ(service.forwards.size(), 2u);
  EXPECT_EQ(ask(-1, Via::Tcp, "127.0.0.1", 8080), "one 172.17.0.1\n");
  EXPECT_THROW(publish_ports(paths(), kOne, parse_publish("8080:81")), Error);
  EXPECT_EQ(find_container_network(paths(), kOne)->ports.size(), 2u);
  EXPECT_EQ(unpublish_ports(paths(), kOne, parse_exposed_ports("80")).size(), 2u);
  service = {};
  EXPECT_EQ(ask(-1, Via::Tcp, "127.0.0.1", 8080), "refused");
  EXPECT_THROW(unpublish_ports(paths(), kOne, parse_exposed_ports("80")), Error);
  service = publish_ports(paths(), kOne, parse_publish("8080:80"));
  EXPECT_EQ(ask(-1, Via::Tcp, "127.0.0.1", 8080), "one 172.17.0.1\n");
}

TEST_F(UserNetworks, RandomPortsAndRangesAreGivenOut) {
  const AnswerServer taken(-1, 9000, "taken");
  NetworkRequest wanted = request(kOne, "one");
  wanted.publish = parse_publish("80");
  wanted.publish.push_back(parse_publish("9000-9005:81").front());
  const NetworkSetup one = set_up_network(paths(), wanted);
  ASSERT_EQ(one.network.ports.size(), 4u);
  EXPECT_GE(one.network.ports[0].host_port, 1024);
  EXPECT_EQ(one.network.ports[0].host_port, one.network.ports[1].host_port) << "the same for IPv4 and IPv6";
  EXPECT_EQ(one.network.ports[2].host_port, 9001);
}

TEST_F(UserNetworks, ManyPortsAreOneTransaction) {
  NetworkRequest wanted = request(kOne, "one");
  wanted.publish = parse_publish("20000-20299:20000-20299");
  const NetworkSetup one = set_up_network(paths(), wanted);
  EXPECT_EQ(one.network.ports.size(), 600u);
  const AnswerServer server(netns_of(one).get(), 20299, "one");
  EXPECT_EQ(ask(-1, Via::Tcp, "127.0.0.1", 20299), "one 172.17.0.1\n");
}

TEST_F(UserNetworks, AskedAddressOfADeadContainerIsFree) {
  const NetworkRecord front = make("front", "10.1.0.0/24");
  NetworkRequest wanted = on(front, kOne, "one");
  wanted.networks[0].second.address = IpAddress::parse("10.1.0.9");
  { const NetworkSetup dead = set_up_network(paths(), wanted); }
  wanted.container_id = kTwo;
  wanted.netns = netns_path(kTwo);
  const NetworkSetup two = set_up_network(paths(), wanted);
  EXPECT_EQ(two.network.endpoints[0].address.value().address.str(), "10.1.0.9");
  wanted.container_id = kThree;
  wanted.netns = netns_path(kThree);
  EXPECT_THROW(set_up_network(paths(), wanted), Error);
}

TEST_F(UserNetworks, RemovedOneCannotBeJoined) {
  const NetworkRecord front = make("front", "10.1.0.0/24");
  NetworkSetup one = set_up_network(paths(), on(front, kOne, "one"));
  EXPECT_THROW(delete_idle_network(paths(), front), Error);
  one.service = {};
  release_network(paths(), kOne);
  delete_idle_network(paths(), front);
  EXPECT_FALSE(find_network(paths(), "front"));
  EXPECT_FALSE(NetworkLinks().find_link("ctr-front"));
  EXPECT_THROW(set_up_network(paths(), on(front, kOne, "one")), Error);
}

TEST_F(UserNetworks, ForeignInterfaceIsLeftAlone) {
  const NetworkRecord front = make("front", "10.1.0.0/24");
  shell("ip link add ctr-front type bridge; ip link set ctr-front up");
  try {
    set_up_network(paths(), on(front, kOne, "one"));
    FAIL();
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("belongs to somebody else"), std::string::npos) << error.what();
  }
  remove_all_networks(paths());
  EXPECT_TRUE(NetworkLinks().find_link("ctr-front"));
}

TEST_F(UserNetworks, ManyContainersComeAndGoWithoutATrace) {
  (void)default_network(paths());
  const std::string before = snapshot();
  std::vector<std::thread> threads;
  std::atomic<int> made{0};
  for (int thread = 0; thread < 4; ++thread) {
    const Fd host = current_network_namespace();
    threads.emplace_back([&, thread, fd = duplicate(host.get()).release()] {
      const Fd own(fd);
      in_network_namespace(own.get(), [&] {
        for (int i = 0; i < 10; ++i) {
          const std::string id = std::to_string(thread) + std::to_string(i) + std::string(62, 'a');
          NetworkRequest wanted = request(id, "c" + id.substr(0, 2));
          wanted.publish = parse_publish("80");
          { const NetworkSetup setup = set_up_network(paths(), wanted); made += !setup.network.ports.empty(); }
          if (i % 2 == 0) release_network(paths(), id);  // else somebody has to find it dead
          if (i % 3 == 0) retire_idle_networks(paths(), WhenIdle::Now);
        }
      });
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(made, 40);
  release_dead_networks(paths());
  retire_idle_networks(paths(), WhenIdle::Now);
  EXPECT_EQ(snapshot(), before);
}

}  // namespace
}  // namespace ctr
