#include <gtest/gtest.h>

#include "base/error.h"
#include "base/file.h"
#include "runtime/address_pool.h"
#include "runtime/network_address.h"
#include "runtime/network_owner.h"

namespace ctr {
namespace {

TEST(IpAddress, ParsesAndPrintsBothFamilies) {
  EXPECT_EQ(IpAddress::parse("172.17.0.2").str(), "172.17.0.2");
  EXPECT_EQ(IpAddress::parse("FD00:0::1").str(), "fd00::1");
  for (const char* text : {"", "1.2.3", "1.2.3.4.5", "256.1.1.1", "fd00::1%eth0", "[::1]", "localhost", "1.2.3.4 "}) {
    EXPECT_FALSE(IpAddress::find(text)) << text;
  }
  EXPECT_THROW(IpAddress::parse("x"), Error);
}

TEST(IpAddress, CountsAcrossBytes) {
  EXPECT_EQ(IpAddress::parse("10.0.0.255").plus(1).str(), "10.0.1.0");
  EXPECT_EQ(IpAddress::parse("10.0.0.1").plus(65535).str(), "10.1.0.0");
  EXPECT_EQ(IpAddress::parse("255.255.255.255").plus(1).str(), "0.0.0.0");
  EXPECT_EQ(IpAddress::parse("fd00::ffff:ffff").plus(1).str(), "fd00::1:0:0");
}

TEST(IpAddress, KnowsLoopbackAndAny) {
  EXPECT_TRUE(IpAddress::parse("127.8.0.1").is_loopback());
  EXPECT_TRUE(IpAddress::parse("::1").is_loopback());
  EXPECT_FALSE(IpAddress::parse("128.0.0.1").is_loopback());
  EXPECT_TRUE(IpAddress::parse("0.0.0.0").is_any());
  EXPECT_TRUE(IpAddress::parse("::").is_any());
}

TEST(IpPrefix, ContainsAndOverlaps) {
  const IpPrefix pool = IpPrefix::parse("172.16.0.0/12");
  EXPECT_TRUE(pool.contains(IpAddress::parse("172.31.255.255")));
  EXPECT_FALSE(pool.contains(IpAddress::parse("172.32.0.0")));
  EXPECT_FALSE(pool.contains(IpAddress::parse("fd00::1")));
  EXPECT_TRUE(pool.overlaps(IpPrefix::parse("172.17.0.0/16")));
  EXPECT_TRUE(IpPrefix::parse("172.17.0.0/16").overlaps(pool));
  EXPECT_FALSE(IpPrefix::parse("172.17.0.0/16").overlaps(IpPrefix::parse("172.18.0.0/16")));
  EXPECT_TRUE(IpPrefix::parse("0.0.0.0/0").overlaps(pool));
  EXPECT_EQ(IpPrefix::parse("172.17.5.9/20").network().str(), "172.17.0.0/20");
  EXPECT_EQ(IpPrefix::parse("172.17.5.9/20").last().str(), "172.17.15.255");
}

TEST(IpPrefix, RefusesWhatIsNoSubnet) {
  for (const char* text : {"", "10.0.0.0", "10.0.0.0/33", "10.0.0.0/-1", "10.0.0.0/8x", "/8", "fd00::/129"}) {
    EXPECT_THROW(IpPrefix::parse(text), Error) << text;
  }
}

TEST(MacAddress, ComesFromTheAddress) {
  EXPECT_EQ(MacAddress::of(IpAddress::parse("172.17.0.2")).str(), "02:42:ac:11:00:02");
  EXPECT_EQ(MacAddress::parse("AA-bb:cc:dd:ee:ff").str(), "aa:bb:cc:dd:ee:ff");
  for (const char* text : {"", "aa:bb:cc:dd:ee", "aa:bb:cc:dd:ee:fg", "01:00:00:00:00:00"}) {
    EXPECT_THROW(MacAddress::parse(text), Error) << text;
  }
}

TEST(AddressPool, TakesTheFirstUnusedPool) {
  EXPECT_EQ(choose_subnet({}).str(), "172.17.0.0/16");
  EXPECT_EQ(choose_subnet({IpPrefix::parse("172.17.4.0/24"), IpPrefix::parse("172.18.0.0/15")}).str(), "172.20.0.0/16");
  EXPECT_EQ(choose_subnet({IpPrefix::parse("172.16.0.0/12")}).str(), "192.168.0.0/20");
  EXPECT_EQ(choose_subnet({IpPrefix::parse("172.16.0.0/12"), IpPrefix::parse("192.168.1.0/24")}).str(),
            "192.168.16.0/20");
  EXPECT_THROW(choose_subnet({IpPrefix::parse("172.16.0.0/12"), IpPrefix::parse("192.168.0.0/16")}), Error);
}

TEST(AddressPool, MakesUniqueLocalSubnets) {
  const IpPrefix one = choose_subnet_v6({});
  EXPECT_TRUE(IpPrefix::parse("fd00::/8").contains(one.address));
  EXPECT_EQ(one.length, 64);
  EXPECT_FALSE(choose_subnet_v6({}).overlaps(one));
}

TEST(AddressPool, GivesOutTheLowestFreeAddress) {
  const TempDirectory leases;
  NetworkSubnet subnet = make_subnet(IpPrefix::parse("10.0.0.0/29"));
  EXPECT_EQ(subnet.gateway.str(), "10.0.0.1");
  subnet.reserved["printer"] = IpAddress::parse("10.0.0.3");
  EXPECT_EQ(claim_address(leases.path(), subnet, {}, "a").str(), "10.0.0.2");
  EXPECT_EQ(claim_address(leases.path(), subnet, {}, "b").str(), "10.0.0.4");
  EXPECT_EQ(claim_address(leases.path(), subnet, {}, "c").str(), "10.0.0.5");
  EXPECT_EQ(claim_address(leases.path(), subnet, {}, "d").str(), "10.0.0.6");
  EXPECT_THROW(claim_address(leases.path(), subnet, {}, "e"), Error);
  release_address(leases.path(), IpAddress::parse("10.0.0.4"), "a");
  EXPECT_THROW(claim_address(leases.path(), subnet, {}, "e"), Error) << "it was not a's to release";
  release_address(leases.path(), IpAddress::parse("10.0.0.4"), "b");
  EXPECT_EQ(claim_address(leases.path(), subnet, {}, "e").str(), "10.0.0.4");
}

TEST(AddressPool, TakenAddressNamesItsHolder) {
  const TempDirectory leases;
  const NetworkSubnet subnet = make_subnet(IpPrefix::parse("10.0.0.0/24"));
  const IpAddress wanted = IpAddress::parse("10.0.0.77");
  EXPECT_EQ(claim_address(leases.path(), subnet, wanted, "holder"), wanted);
  try {
    claim_address(leases.path(), subnet, wanted, "other");
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::Exists);
    EXPECT_NE(std::string(error.what()).find("held by container holder"), std::string::npos) << error.what();
  }
  for (const char* text : {"10.0.0.0", "10.0.0.1", "10.0.0.255", "10.0.1.1"}) {
    EXPECT_THROW(claim_address(leases.path(), subnet, IpAddress::parse(text), "x"), Error) << text;
  }
}

TEST(AddressPool, StaysInsideTheRange) {
  const TempDirectory leases;
  NetworkSubnet subnet = make_subnet(IpPrefix::parse("10.0.0.0/16"));
  subnet.range = IpPrefix::parse("10.0.5.0/31");
  EXPECT_EQ(claim_address(leases.path(), subnet, {}, "a").str(), "10.0.5.0");
  EXPECT_EQ(claim_address(leases.path(), subnet, {}, "b").str(), "10.0.5.1");
  EXPECT_THROW(claim_address(leases.path(), subnet, {}, "c"), Error);
  EXPECT_EQ(claim_address(leases.path(), subnet, IpAddress::parse("10.0.9.9"), "d").str(), "10.0.9.9");
}

TEST(NetworkOwner, OnlyTheUsualStoreHasThePlainNames) {
  Paths usual{"/var/lib/ctr", "/run/ctr"};
  Paths other{"/x", "/tmp/x/run"};
  EXPECT_EQ(owner_suffix(usual), "");
  EXPECT_EQ(owner_suffix(other).size(), 9u);
  EXPECT_NE(owner_suffix(other), owner_suffix(Paths{"/x", "/tmp/y/run"}));
  EXPECT_EQ(owner_mark(usual), "ctr /run/ctr");
  EXPECT_LT(owner_mark(Paths{"/x", "/" + std::string(500, 'x')}).size(), 128u);
}

}  // namespace
}  // namespace ctr
