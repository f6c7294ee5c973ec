#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#include "base/error.h"
#include "net_host.h"
#include "runtime/port_relay.h"

namespace ctr {
namespace {

class PortForwarding : public NetHost {
 protected:
  static Fd listen_on(std::uint16_t port, int type = SOCK_STREAM) {
    Fd socket(check(::socket(AF_INET6, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), "socket"));
    const SocketAddress address = SocketAddress::of(IpAddress::any(AddressFamily::V6), port);
    check(::bind(socket.get(), address.get(), address.size), "bind");
    if (type == SOCK_STREAM) check(::listen(socket.get(), 128), "listen");
    return socket;
  }

  static NetworkService service_for(Fd socket, std::uint16_t port, std::uint16_t target, Protocol protocol) {
    NetworkService service;
    ForwardRule rule;
    rule.socket = std::move(socket);
    rule.port = {{target, protocol}, IpAddress::any(AddressFamily::V6), port};
    rule.target = IpAddress::loopback(AddressFamily::V4);
    rule.target_port = target;
    service.forwards.push_back(std::move(rule));
    return service;
  }

  static Fd connect_to(std::uint16_t port) {
    Fd socket(check(::socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket"));
    const SocketAddress address = SocketAddress::of(IpAddress::loopback(AddressFamily::V6), port);
    check(::connect(socket.get(), address.get(), address.size), "connect");
    return socket;
  }
};

/// Sends back everything it gets, then ends its side.
void echo_once(int listener) {
  pollfd ready{listener, POLLIN, 0};
  ::poll(&ready, 1, 5000);
  Fd client(::accept4(listener, nullptr, nullptr, SOCK_CLOEXEC));
  std::vector<char> buffer(100'000);
  for (;;) {
    const ssize_t size = ::read(client.get(), buffer.data(), buffer.size());
    if (size <= 0) return;
    for (ssize_t sent = 0; sent < size;) {
      const ssize_t part = ::send(client.get(), buffer.data() + sent, static_cast<std::size_t>(size - sent), MSG_NOSIGNAL);
      if (part <= 0) return;
      sent += part;
    }
  }
}

TEST_F(PortForwarding, StreamsPassUnchangedInBothDirections) {
  const ServiceThread service(service_for(listen_on(8080), 8080, 80, Protocol::Tcp));
  const Fd listener = listen_on(80);
  std::thread server([&] { echo_once(listener.get()); });
  const Fd client = connect_to(8080);
  std::string sent(3'000'000, '\0');
  for (std::size_t i = 0; i < sent.size(); ++i) sent[i] = static_cast<char>((i * 2654435761u) >> 13);
  std::thread writer([&] {
    write_all(client.get(), as_bytes(sent));
    ::shutdown(client.get(), SHUT_WR);
  });
  const std::string received = read_fd(client.get(), 10'000'000, "client");
  writer.join();
  server.join();
  EXPECT_TRUE(received == sent) << received.size();
}

TEST_F(PortForwarding, RefusedTargetResetsTheClient) {
  const ServiceThread service(service_for(listen_on(8080), 8080, 80, Protocol::Tcp));
  EXPECT_EQ(ask(-1, Via::Tcp, "::1", 8080), "refused");
}

TEST_F(PortForwarding, ManyConnectionsAtOnceAllGetAnswers) {
  const ServiceThread service(service_for(listen_on(8080), 8080, 80, Protocol::Tcp));
  const AnswerServer server(-1, 80, "web");
  std::vector<std::thread> clients;
  std::atomic<int> answered{0};
  for (int i = 0; i < 50; ++i) {
    clients.emplace_back([&] { answered += ask(-1, Via::Tcp, "::1", 8080) == "web 127.0.0.1\n" ? 1 : 0; });
  }
  for (std::thread& client : clients) client.join();
  EXPECT_EQ(answered, 50);
}

TEST_F(PortForwarding, DatagramsOfEachPeerAreAnsweredFromTheAskedAddress) {
  shell("ip addr add 10.1.0.1/32 dev lo; ip addr add fd01::1/128 dev lo");
  const ServiceThread service(service_for(listen_on(5353, SOCK_DGRAM), 5353, 53, Protocol::Udp));
  const AnswerServer server(-1, 53, "dns");
  for (const char* address : {"::1", "fd01::1", "127.0.0.1", "10.1.0.1"}) {
    EXPECT_EQ(ask(-1, Via::Udp, address, 5353), "dns 127.0.0.1\n") << address;
  }
}

TEST_F(PortForwarding, RemovedPortIsRefusedWhileConnectionsLiveOn) {
  PortForwarder forwarder;
  NetworkService service = service_for(listen_on(8080), 8080, 80, Protocol::Tcp);
  const PublishedPort port = service.forwards[0].port;
  forwarder.add(std::move(service.forwards[0]));
  const Fd listener = listen_on(80);
  const Fd client = connect_to(8080);
  const auto turn = [&] {
    pollfd ready{forwarder.poll_fd(), POLLIN, 0};
    if (::poll(&ready, 1, 200) > 0) forwarder.dispatch();
  };
  turn();
  turn();
  EXPECT_EQ(forwarder.connections(), 1u);
  forwarder.remove(port);
  EXPECT_EQ(ask(-1, Via::Tcp, "::1", 8080), "refused");
  const Fd accepted(::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
  write_all(client.get(), as_bytes("hello"));
  turn();
  char bytes[8] = {};
  EXPECT_EQ(::read(accepted.get(), bytes, sizeof bytes), 5);
}

TEST_F(PortForwarding, ServiceSurvivesItsJourneyToTheShim) {
  NetworkService service = service_for(listen_on(8080), 8080, 80, Protocol::Tcp);
  service.hold = open_file("/dev/null", O_RDONLY);
  service.resolver = ResolverSockets{listen_on(5300, SOCK_DGRAM), listen_on(5300), "/run/x"};
  const Json description = Json::parse(to_json(service).dump());
  std::vector<Fd> descriptors;
  for (int fd : descriptors_of(service)) descriptors.push_back(duplicate(fd));
  EXPECT_EQ(descriptors.size(), 4u);
  const NetworkService received = network_service_from_json(description, std::move(descriptors));
  EXPECT_EQ(received.forwards.at(0).port, service.forwards.at(0).port);
  EXPECT_EQ(received.forwards.at(0).target.str(), "127.0.0.1");
  EXPECT_EQ(received.resolver->directory, "/run/x");
  EXPECT_TRUE(received.hold);
  EXPECT_THROW(network_service_from_json(description, {}), Error);
}

TEST_F(PortForwarding, ManyPortsAreSplitIntoMessages) {
  NetworkService service;
  service.hold = open_file("/dev/null", O_RDONLY);
  service.forwards.resize(130);
  const std::vector<NetworkService> parts = split_for_messages(std::move(service));
  ASSERT_EQ(parts.size(), 3u);
  EXPECT_TRUE(parts[0].hold);
  EXPECT_EQ(parts[2].forwards.size(), 10u);
}

}  // namespace
}  // namespace ctr
