#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#include "base/error.h"
#include "net_host.h"
#include "runtime/network_dns_message.h"
#include "runtime/network_names.h"
#include "runtime/port_relay.h"

namespace ctr {
namespace {

const std::string kOne(64, '1');
const std::string kTwo(64, '2');

std::string question_bytes(const std::string& name, std::uint16_t type) {
  std::string message("\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00", 12);
  std::string label;
  for (char c : name + ".") {
    if (c != '.') {
      label += c;
      continue;
    }
    message += static_cast<char>(label.size());
    message += label;
    label.clear();
  }
  message += '\0';
  message += static_cast<char>(type >> 8);
  message += static_cast<char>(type & 0xff);
  return message + std::string("\x00\x01", 2);
}

/// Asks 127.0.0.11 as a container does, and prints code and addresses: "0 172.17.0.2".
std::string look_up(int netns, Via via, const std::string& name, std::uint16_t type = kDnsA) {
  Fd socket;
  in_network_namespace(netns, [&] {
    socket = Fd(check(::socket(AF_INET, (via == Via::Tcp ? SOCK_STREAM : SOCK_DGRAM) | SOCK_CLOEXEC, 0), "socket"));
  });
  const SocketAddress server = SocketAddress::of(IpAddress::parse("127.0.0.11"), 53);
  if (::connect(socket.get(), server.get(), server.size) != 0) return "no connection";
  std::string query = question_bytes(name, type);
  if (via == Via::Tcp) query = std::string{'\0', static_cast<char>(query.size())} + query;
  write_all(socket.get(), as_bytes(query));
  std::string answer;
  const std::size_t wanted = via == Via::Tcp ? 3 : 1;
  while (answer.size() < wanted) {
    pollfd ready{socket.get(), POLLIN, 0};
    if (::poll(&ready, 1, 6000) <= 0) return "silence";
    char bytes[4096];
    const ssize_t size = ::recv(socket.get(), bytes, sizeof bytes, 0);
    if (size <= 0) return "closed";
    answer.append(bytes, static_cast<std::size_t>(size));
  }
  if (via == Via::Tcp) answer.erase(0, 2);
  std::string words = std::to_string(answer[3] & 15);
  std::size_t at = question_bytes(name, type).size();
  for (int i = 0; i < static_cast<unsigned char>(answer[7]); ++i) {
    const std::size_t length = static_cast<unsigned char>(answer[at + 11]);
    const std::string data = answer.substr(at + 12, length);
    words += " " + (type == kDnsPtr ? data.substr(1, static_cast<std::size_t>(data[0]))
                                    : IpAddress::from_bytes({reinterpret_cast<const std::uint8_t*>(data.data()),
                                                             data.size()}).str());
    at += 12 + length;
  }
  return words;
}

/// A name server of the outside: it knows one address for all names, and refuses nothing.
class OutsideServer {
 public:
  explicit OutsideServer(const std::string& address) {
    for (int type : {SOCK_DGRAM, SOCK_STREAM}) {
      Fd& socket = type == SOCK_DGRAM ? datagram_ : stream_;
      socket = Fd(check(::socket(AF_INET, type | SOCK_CLOEXEC, 0), "socket"));
      const SocketAddress own = SocketAddress::of(IpAddress::parse(address), 53);
      check(::bind(socket.get(), own.get(), own.size), "bind");
    }
    check(::listen(stream_.get(), 8), "listen");
    thread_ = std::thread([this] { serve(); });
  }
  ~OutsideServer() {
    stop_ = true;
    thread_.join();
  }

 private:
  static std::string answer(std::string_view query) {
    return dns_address_answer(*parse_dns_query(query), {IpAddress::parse("203.0.113.7")}, kDnsDatagram);
  }
  void serve() {
    while (!stop_) {
      pollfd ready[2] = {{datagram_.get(), POLLIN, 0}, {stream_.get(), POLLIN, 0}};
      if (::poll(ready, 2, 20) <= 0) continue;
      char bytes[2048];
      if ((ready[0].revents & POLLIN) != 0) {
        SocketAddress peer;
        peer.size = sizeof peer.storage;
        const ssize_t size = ::recvfrom(datagram_.get(), bytes, sizeof bytes, 0, peer.get(), &peer.size);
        const std::string reply = answer({bytes, static_cast<std::size_t>(size)});
        (void)::sendto(datagram_.get(), reply.data(), reply.size(), 0, peer.get(), peer.size);
        continue;
      }
      const Fd client(::accept4(stream_.get(), nullptr, nullptr, SOCK_CLOEXEC));
      const ssize_t size = ::recv(client.get(), bytes, sizeof bytes, 0);
      const std::string reply = answer({bytes + 2, static_cast<std::size_t>(size) - 2});
      const std::string framed = std::string{'\0', static_cast<char>(reply.size())} + reply;
      (void)!::write(client.get(), framed.data(), framed.size());
    }
  }
  Fd datagram_;
  Fd stream_;
  std::atomic<bool> stop_{false};
  std::thread thread_;
};

class NameResolution : public NetHost {};

TEST_F(NameResolution, ContainersFindEachOtherHoweverLateTheyCome) {
  NetworkSetup one = set_up_network(paths(), request(kOne, "one"));
  const ServiceThread service(std::move(one.service));
  const Fd netns = open_network_namespace(one.network.netns);
  NetworkRequest wanted = request(kTwo, "Two");
  wanted.networks[0].second.aliases = {"db", "cache"};
  wanted.dns.nameservers = {"127.0.0.99"};  // for the first test that nothing is found elsewhere
  for (Via via : {Via::Udp, Via::Tcp}) {
    EXPECT_EQ(look_up(netns.get(), via, "one"), "0 172.17.0.2");
    EXPECT_EQ(look_up(netns.get(), via, "ONE.bridge"), "0 172.17.0.2");
  }
  NetworkSetup two = set_up_network(paths(), wanted);
  for (const std::string name : {"two", "db", "cache", "222222222222", "two.bridge"}) {
    EXPECT_EQ(look_up(netns.get(), Via::Udp, name), "0 172.17.0.3") << name;
  }
  EXPECT_EQ(look_up(netns.get(), Via::Udp, "two", kDnsAaaa), "0") << "known, but without such an address";
  EXPECT_EQ(look_up(netns.get(), Via::Udp, "3.0.17.172.in-addr.arpa", kDnsPtr), "0 Two");
  rename_endpoints(paths(), kTwo, "three");
  EXPECT_EQ(look_up(netns.get(), Via::Udp, "three"), "0 172.17.0.3");
  EXPECT_EQ(find_network_name(paths().run / "networks/.members" / kOne / "resolve", "two").size(), 0u);
}

TEST_F(NameResolution, OutsideNamesGoToTheAskedServers) {
  const OutsideServer outside("127.0.0.99");
  NetworkRequest wanted = request(kOne, "one");
  wanted.dns.nameservers = {"127.0.0.98", "127.0.0.99"};  // the first does not answer
  NetworkSetup setup = set_up_network(paths(), wanted);
  const ServiceThread service(std::move(setup.service));
  const Fd netns = open_network_namespace(setup.network.netns);
  EXPECT_EQ(look_up(netns.get(), Via::Udp, "example.com"), "0 203.0.113.7");
  EXPECT_EQ(look_up(netns.get(), Via::Tcp, "example.com"), "0 203.0.113.7");
}

TEST_F(NameResolution, SilentServersAreAnError) {
  NetworkRequest wanted = request(kOne, "one");
  wanted.dns.nameservers = {"127.0.0.98"};
  NetworkSetup setup = set_up_network(paths(), wanted);
  const ServiceThread service(std::move(setup.service));
  EXPECT_EQ(look_up(open_network_namespace(setup.network.netns).get(), Via::Udp, "example.com"), "2");
}

TEST_F(NameResolution, NamesOfInternalNetworksStayInside) {
  NetworkRecord record = default_network(paths());
  record.name = "inside";
  record.bridge = "ctr-inside";
  record.internal = true;
  record.subnets = {make_subnet_for_test()};
  save_network(paths(), record);
  NetworkRequest wanted = request(kOne, "one");
  wanted.networks = {{record, EndpointRequest{}}};
  NetworkSetup setup = set_up_network(paths(), wanted);
  const ServiceThread service(std::move(setup.service));
  const Fd netns = open_network_namespace(setup.network.netns);
  EXPECT_EQ(look_up(netns.get(), Via::Udp, "one"), "0 10.5.0.2");
  EXPECT_EQ(look_up(netns.get(), Via::Udp, "example.com"), "3");
}

TEST_F(NameResolution, ContainerMayServePort53Itself) {
  NetworkSetup setup = set_up_network(paths(), request(kOne, "one"));
  const ServiceThread service(std::move(setup.service));
  const Fd netns = open_network_namespace(setup.network.netns);
  const AnswerServer own(netns.get(), 53, "own");
  EXPECT_EQ(ask(netns.get(), Via::Udp, "127.0.0.1", 53), "own 127.0.0.1\n");
  EXPECT_EQ(look_up(netns.get(), Via::Udp, "one"), "0 172.17.0.2");
}

TEST(NetworkNames, AreSharedAndGivenBack) {
  const TempDirectory network;
  const IpAddress first = IpAddress::parse("10.0.0.2");
  const IpAddress second = IpAddress::parse("10.0.0.3");
  add_network_name(network.path(), "DB", first, "a");
  add_network_name(network.path(), "db", second, "b");
  remove_network_name(network.path(), "db", first, "b");
  EXPECT_EQ(list_directory(network.path() / "names" / "db").size(), 2u) << "it is a's";
  remove_network_name(network.path(), "db", first, "a");
  remove_network_name(network.path(), "db", second, "b");
  EXPECT_FALSE(path_exists(network.path() / "names" / "db"));
  for (const char* name : {"", ".", "..", "a/b", ".hidden", "a b", "-x"}) EXPECT_FALSE(is_resolvable_name(name)) << name;
}

}  // namespace
}  // namespace ctr
