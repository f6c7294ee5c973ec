#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "base/error.h"
#include "net_host.h"
#include "runtime/network_firewall.h"
#include "runtime/network_firewalld.h"

namespace ctr {
namespace {

const std::string kOne(64, '1');
const std::string kTwo(64, '2');

class ForeignFirewall : public NetHost {
 protected:
  void expect_works_outside(const Fd& neighbour, const NetworkSetup& setup) {
    const AnswerServer outside(neighbour.get(), 81, "outside");
    EXPECT_EQ(ask(open_network_namespace(setup.network.netns).get(), Via::Tcp, "10.99.0.2", 81), "outside 10.99.0.1\n");
  }
  NetworkSetup start_web() {
    NetworkRequest wanted = request(kOne, "web");
    wanted.publish = parse_publish("8080:80");
    return set_up_network(paths(), wanted);
  }
};

TEST_F(ForeignFirewall, DockersForwardPolicyIsOpenedInItsUserChain) {
  const Fd neighbour = add_neighbour();
  shell("nft 'add table ip filter; add chain ip filter FORWARD { type filter hook forward priority 0; policy drop; }; "
        "add chain ip filter DOCKER-USER; add rule ip filter DOCKER-USER counter return; "
        "add rule ip filter FORWARD jump DOCKER-USER'");
  const std::string before = shell("nft list table ip filter | sed 's/packets [0-9]* bytes [0-9]*//'");
  NetworkSetup setup = start_web();
  EXPECT_TRUE(setup.network.warnings.empty());
  expect_works_outside(neighbour, setup);
  const AnswerServer server(open_network_namespace(setup.network.netns).get(), 80, "web");
  EXPECT_EQ(ask(neighbour.get(), Via::Tcp, "10.99.0.1", 8080), "web 10.99.0.2\n");
  const NetworkSetup other = set_up_network(paths(), request(kTwo, "two"));
  const std::string rules = shell("nft list chain ip filter DOCKER-USER");
  EXPECT_EQ(std::count(rules.begin(), rules.end(), '\n'), 7) << "two rules of ours, once\n" << rules;
  setup.service = {};
  release_network(paths(), kOne);
  retire_idle_networks(paths(), WhenIdle::Now);
  EXPECT_NE(shell("nft list table ip filter"), before) << "another container still needs the bridge";
}

TEST_F(ForeignFirewall, ExceptionsGoWithTheLastContainer) {
  shell("nft 'add table ip filter; add chain ip filter FORWARD { type filter hook forward priority 0; policy drop; }; "
        "add chain ip filter DOCKER-USER; add rule ip filter FORWARD jump DOCKER-USER'");
  const std::string before = shell("nft list ruleset");
  NetworkSetup setup = start_web();
  EXPECT_NE(shell("nft list table ip filter").find("ctr0"), std::string::npos);
  if (access("/usr/sbin/iptables-nft", X_OK) == 0) {
    EXPECT_NE(shell("iptables-nft -S DOCKER-USER").find("-i ctr0"), std::string::npos) << "iptables still reads its table";
  }
  setup.service = {};
  release_network(paths(), kOne);
  retire_idle_networks(paths(), WhenIdle::Now);
  EXPECT_EQ(shell("nft list ruleset"), before);
}

TEST_F(ForeignFirewall, ThatDecidesAboutStrangersIsFound) {
  EXPECT_TRUE(dropping_chains().empty());
  shell("nft 'add table ip filter; add chain ip filter FORWARD { type filter hook forward priority 0; policy drop; }; "
        "add chain ip filter INPUT { type filter hook input priority 0; policy accept; }; "
        "add table ip6 filter; add chain ip6 filter FORWARD { type filter hook forward priority 0; policy drop; }; "
        "add chain ip6 filter DOCKER-USER; "
        "add table inet mine; add chain inet mine strict { type filter hook input priority 5; policy drop; }'");
  const NetworkSetup setup = start_web();
  const std::vector<DroppingChain> want = {{"FORWARD of table ip filter", DropsWhat::Forwarded, AddressFamily::V4},
                                           {"strict of table inet mine", DropsWhat::Incoming, std::nullopt}};
  EXPECT_EQ(dropping_chains(), want) << "neither Docker's, nor one that accepts, nor our own";
}

TEST_F(ForeignFirewall, UfwKeepsItsSayAboutStrangers) {
  const Fd neighbour = add_neighbour();
  shell("nft 'add table ip filter; add chain ip filter FORWARD { type filter hook forward priority 0; policy drop; }; "
        "add chain ip filter ufw-user-forward; add rule ip filter FORWARD jump ufw-user-forward'");
  const NetworkSetup setup = start_web();
  ASSERT_EQ(setup.network.warnings.size(), 1u);
  EXPECT_NE(setup.network.warnings[0].find("ufw route allow out on ctr0"), std::string::npos);
  expect_works_outside(neighbour, setup);
  const AnswerServer server(open_network_namespace(setup.network.netns).get(), 80, "web");
  EXPECT_EQ(ask(neighbour.get(), Via::Tcp, "10.99.0.1", 8080), "") << "a stranger";
  EXPECT_EQ(ask(-1, Via::Tcp, "127.0.0.1", 8080), "web 172.17.0.1\n") << "the host itself";
  const NetworkSetup other = set_up_network(paths(), request(kTwo, "two"));
  EXPECT_TRUE(other.network.warnings.empty()) << "told once";
}

TEST_F(ForeignFirewall, ChainWithoutAPlaceIsNamedWithTheCommandThatOpensIt) {
  const Fd neighbour = add_neighbour();
  shell("nft 'add table inet mine; add chain inet mine strict { type filter hook forward priority 5; policy drop; }'");
  const NetworkSetup setup = start_web();
  ASSERT_EQ(setup.network.warnings.size(), 1u);
  const std::string& warning = setup.network.warnings[0];
  EXPECT_NE(warning.find("chain strict of table inet mine drops"), std::string::npos) << warning;
  EXPECT_EQ(shell(warning.substr(warning.find("nft '"))), "");
  expect_works_outside(neighbour, setup);
}

/// A bus that answers every call and keeps what was said.
class FakeBus {
 public:
  explicit FakeBus(const fs::path& path) : listener_(check(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket")) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path.native().copy(address.sun_path, sizeof address.sun_path - 1);
    check(::bind(listener_.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), "bind");
    check(::listen(listener_.get(), 4), "listen");
    thread_ = std::thread([this] {
      for (;;) {
        const Fd client(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
        if (!client) return;
        serve(client.get());
      }
    });
  }
  ~FakeBus() {
    ::shutdown(listener_.get(), SHUT_RDWR);
    thread_.join();
  }
  std::string said() const { return said_; }

 private:
  void serve(int client) {
    char bytes[4096];
    std::string text;
    while (text.find("\r\n") == text.npos) text.append(bytes, static_cast<std::size_t>(::read(client, bytes, 1)));
    (void)!::write(client, "OK 0123\r\n", 9);
    text.clear();
    while (text.find("BEGIN\r\n") == text.npos) text.append(bytes, static_cast<std::size_t>(::read(client, bytes, 1)));
    for (std::uint32_t serial = 1;; ++serial) {
      const ssize_t size = ::recv(client, bytes, sizeof bytes, 0);
      if (size <= 0) return;
      said_.append(bytes, static_cast<std::size_t>(size));
      // A method return: field 5 (reply serial), type u.
      std::string answer("l\2\0\1\0\0\0\0\1\0\0\0\x8\0\0\0\5\1u\0", 20);
      answer += std::string{static_cast<char>(serial), '\0', '\0', '\0'};
      (void)!::write(client, answer.data(), answer.size());
    }
  }
  Fd listener_;
  std::string said_;
  std::thread thread_;
};

TEST_F(ForeignFirewall, FirewalldIsAskedToTrustTheBridge) {
  shell("nft 'add table inet firewalld; add chain inet firewalld filter_FORWARD { type filter hook forward priority 10; }'");
  const fs::path path = paths().run / "bus";
  ::setenv("DBUS_SYSTEM_BUS_ADDRESS", ("unix:path=" + path.string()).c_str(), 1);
  std::string said;
  {
    const FakeBus bus(path);
    NetworkSetup setup = start_web();
    EXPECT_TRUE(setup.network.warnings.empty());
    setup.service = {};
    release_network(paths(), kOne);
    retire_idle_networks(paths(), WhenIdle::Now);
    said = bus.said();
  }
  for (const char* word : {"Hello", "org.fedoraproject.FirewallD1.zone", "changeZoneOfInterface", "trusted", "ctr0",
                           "removeInterface"}) {
    EXPECT_NE(said.find(word), std::string::npos) << word;
  }
  ::unlink(path.c_str());
  const NetworkSetup again = start_web();
  ASSERT_EQ(again.network.warnings.size(), 1u) << "firewalld does not answer";
  EXPECT_NE(again.network.warnings[0].find("firewall-cmd --zone=trusted --add-interface=ctr0"), std::string::npos);
  ::unsetenv("DBUS_SYSTEM_BUS_ADDRESS");
}

}  // namespace
}  // namespace ctr
