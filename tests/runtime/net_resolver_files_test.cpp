#include <gtest/gtest.h>

#include "base/error.h"
#include "runtime/resolver_files.h"

namespace ctr {
namespace {

TEST(ResolverFiles, ReadsWhatResolversRead) {
  const ResolverConfig config = parse_resolver_config(
      "# comment\nnameserver 10.0.0.1 # trailing\n  nameserver fe80::1%eth0\ndomain old.example\nsearch a.example "
      "b.example\noptions ndots:2 edns0\noptions timeout:1\nnonsense\nnameserver\n");
  EXPECT_EQ(config.nameservers, (std::vector<std::string>{"10.0.0.1", "fe80::1%eth0"}));
  EXPECT_EQ(config.search, (std::vector<std::string>{"a.example", "b.example"}));
  EXPECT_EQ(config.options, (std::vector<std::string>{"ndots:2", "edns0", "timeout:1"}));
  EXPECT_EQ(resolver_file(config),
            "nameserver 10.0.0.1\nnameserver fe80::1%eth0\nsearch a.example b.example\noptions ndots:2 edns0 "
            "timeout:1\n");
}

TEST(ResolverFiles, LoopbackServersAreReplaced) {
  ResolverConfig config;
  config.nameservers = {"127.0.0.53", "10.0.0.1", "::1"};
  EXPECT_EQ(without_loopback_servers(config).nameservers, std::vector<std::string>{"10.0.0.1"});
  config.nameservers = {"127.0.0.53"};
  EXPECT_EQ(without_loopback_servers(config).nameservers, (std::vector<std::string>{"8.8.8.8", "8.8.4.4"}));
}

TEST(ResolverFiles, OptionsOfTheUserComeFirst) {
  ResolverConfig host{{"10.0.0.1"}, {"corp.example"}, {"edns0"}};
  ResolverConfig merged = with_dns_options(host, {{"1.1.1.1"}, {"."}, {}});
  EXPECT_EQ(resolver_file(merged), "nameserver 1.1.1.1\noptions edns0\n");
  merged = with_dns_options(host, {{}, {"own.example"}, {"ndots:3"}});
  EXPECT_EQ(resolver_file(merged), "nameserver 10.0.0.1\nsearch own.example\noptions ndots:3\n");
}

TEST(ResolverFiles, EmbeddedResolverKeepsSearchAndOptions) {
  EXPECT_EQ(embedded_resolver_file({{"10.0.0.1"}, {"corp.example"}, {"edns0"}}),
            "nameserver 127.0.0.11\nsearch corp.example\noptions edns0 ndots:0\n");
  EXPECT_EQ(embedded_resolver_file({{}, {}, {"ndots:5"}}), "nameserver 127.0.0.11\noptions ndots:5\n");
}

TEST(HostsFile, HoldsLoopbackExtraAndOwn) {
  const std::string text = hosts_file({{"10.0.0.9", {"db"}}}, {{"172.17.0.2", {"web.example", "web"}}});
  EXPECT_TRUE(text.starts_with("127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n"));
  EXPECT_TRUE(text.ends_with("10.0.0.9\tdb\n172.17.0.2\tweb.example web\n"));
  EXPECT_EQ(hosts_file_of_host("127.0.0.1 localhost", {{"10.0.0.9", {"db"}}}),
            "127.0.0.1 localhost\n10.0.0.9\tdb\n");
}

TEST(ExtraHost, TakesColonAndEqualsAndTheGateway) {
  EXPECT_EQ(parse_extra_host("db:10.0.0.9", "172.17.0.1").address, "10.0.0.9");
  EXPECT_EQ(parse_extra_host("db=10.0.0.9", "172.17.0.1").names, std::vector<std::string>{"db"});
  EXPECT_EQ(parse_extra_host("db:::1", "").address, "::1");
  EXPECT_EQ(parse_extra_host("db:[fd00::1]", "").address, "fd00::1");
  EXPECT_EQ(parse_extra_host("host.docker.internal:host-gateway", "172.17.0.1").address, "172.17.0.1");
  for (const char* text : {"", "db", ":1.2.3.4", "db:", "db:nonsense", "a b:1.2.3.4", "db:host-gateway"}) {
    EXPECT_THROW(parse_extra_host(text, ""), Error) << text;
  }
}

}  // namespace
}  // namespace ctr
