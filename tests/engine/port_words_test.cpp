#include <gtest/gtest.h>

#include "engine/containers.h"
#include "engine/port_reach.h"

namespace ctr {
namespace {

TEST(PortWords, JoinsNeighboursIntoRanges) {
  EXPECT_EQ(port_words({{"", 80, 0, "tcp"}, {"", 81, 0, "tcp"}, {"", 443, 0, "tcp"}}), "80-81/tcp, 443/tcp");
}

TEST(PortWords, ShowsBothFamiliesOfAPublishedPort) {
  EXPECT_EQ(port_words({{"0.0.0.0", 80, 8080, "tcp"}, {"::", 80, 8080, "tcp"}}),
            "0.0.0.0:8080->80/tcp, [::]:8080->80/tcp");
}

TEST(PortWords, RangesOfEqualPortsStayRanges) {
  EXPECT_EQ(port_words({{"0.0.0.0", 80, 80, "tcp"}, {"0.0.0.0", 81, 81, "tcp"}}), "0.0.0.0:80-81->80-81/tcp");
}

TEST(PortWords, IsEmptyWithoutPorts) { EXPECT_EQ(port_words({}), ""); }

TEST(PortReach, FollowsFromTheAddress) {
  const auto words = [](const PortSummary& port) { return reach_words(port, PortCarrier::Kernel, {}); };
  EXPECT_EQ(words({"127.0.0.1", 80, 8080, "tcp"}), "from this host only");
  EXPECT_EQ(words({"0.0.0.0", 80, 8080, "tcp"}), "from this host, its neighbours and its containers");
  EXPECT_EQ(words({"10.0.0.5", 80, 8080, "tcp"}), "from whoever reaches 10.0.0.5");
  EXPECT_EQ(words({"", 80, 0, "tcp"}), "from containers on the same networks");
}

TEST(PortReach, NamesTheFirewallThatDecidesAboutStrangers) {
  const std::vector<DroppingChain> foreign = {{"FORWARD of table ip filter", DropsWhat::Forwarded, AddressFamily::V4},
                                              {"in of table inet mine", DropsWhat::Incoming, std::nullopt}};
  EXPECT_EQ(reach_words({"0.0.0.0", 80, 8080, "tcp"}, PortCarrier::Kernel, foreign),
            "from this host; from others what chain FORWARD of table ip filter accepts, which drops by default");
  EXPECT_EQ(reach_words({"::", 80, 8080, "tcp"}, PortCarrier::Kernel, foreign),
            "from this host, its neighbours and its containers");
  EXPECT_EQ(reach_words({"::", 80, 8080, "tcp"}, PortCarrier::Shim, foreign),
            "from this host; from others what chain in of table inet mine accepts, which drops by default; the container "
            "does not see the client's address");
  EXPECT_EQ(reach_words({"127.0.0.1", 80, 8080, "tcp"}, PortCarrier::Kernel, foreign), "from this host only");
}

}  // namespace
}  // namespace ctr
