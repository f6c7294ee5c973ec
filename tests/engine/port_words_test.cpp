#include <gtest/gtest.h>

#include "engine/containers.h"

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

}  // namespace
}  // namespace ctr
