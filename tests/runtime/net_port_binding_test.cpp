#include <gtest/gtest.h>

#include "base/error.h"
#include "runtime/port_binding.h"

namespace ctr {
namespace {

std::string words(const std::vector<PublishRequest>& requests) {
  std::string text;
  for (const PublishRequest& request : requests) {
    if (!text.empty()) text += " ";
    text += request.host_address ? request.host_address->str() : "*";
    text += "|" + std::to_string(request.host_port_first);
    if (request.host_port_last != request.host_port_first) text += "-" + std::to_string(request.host_port_last);
    text += "|" + request.container.str();
  }
  return text;
}

TEST(PublishText, EveryFormIsUnderstood) {
  const std::pair<const char*, const char*> cases[] = {
      {"80", "*|0|80/tcp"},
      {"8080:80", "*|8080|80/tcp"},
      {"8080:80/udp", "*|8080|80/udp"},
      {"8080:80/SCTP", "*|8080|80/sctp"},
      {"127.0.0.1:8080:80", "127.0.0.1|8080|80/tcp"},
      {"127.0.0.1::80", "127.0.0.1|0|80/tcp"},
      {"127.0.0.1:0:80", "127.0.0.1|0|80/tcp"},
      {"[::1]:8080:80", "::1|8080|80/tcp"},
      {"[::]::80/udp", "::|0|80/udp"},
      {"::1:8080:80", "::1|8080|80/tcp"},
      {"0:80", "*|0|80/tcp"},
      {":80", "*|0|80/tcp"},
      {"8000-8002:80-82", "*|8000|80/tcp *|8001|81/tcp *|8002|82/tcp"},
      {"8000-8010:80", "*|8000-8010|80/tcp"},
      {"80-81", "*|0|80/tcp *|0|81/tcp"},
      {"127.0.0.1::80-81", "127.0.0.1|0|80/tcp 127.0.0.1|0|81/tcp"},
      {"published=8080,target=80,protocol=udp", "*|8080|80/udp"},
      {"target=80,published=8080,mode=host", "*|8080|80/tcp"},
  };
  for (const auto& [text, expected] : cases) EXPECT_EQ(words(parse_publish(text)), expected) << text;
}

TEST(PublishText, MistakesAreNamed) {
  const std::pair<const char*, const char*> cases[] = {
      {"", "no port specified: <empty>"},
      {"8080:", "no port specified: 8080:<empty>"},
      {"8080:x", "invalid containerPort: x"},
      {"8080:0", "invalid containerPort: 0"},
      {"8080:70000", "invalid containerPort: 70000"},
      {"x:80", "invalid hostPort: x"},
      {"-1:80", "invalid hostPort: -1"},
      {"90-80:1", "invalid hostPort: 90-80"},
      {"8080:80/icmp", "invalid proto: icmp"},
      {"localhost:8080:80", "invalid IP address: localhost"},
      {"[127.0.0.1]:8080:80", "invalid IP address: [127.0.0.1]"},
      {"8000-8001:80-82", "invalid ranges specified for container and host Ports: 80-82 and 8000-8001"},
      {"a=b,c", "invalid publish opts format (should be name=value but got 'c')"},
  };
  for (const auto& [text, expected] : cases) {
    try {
      parse_publish(text);
      FAIL() << text;
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::Invalid);
      EXPECT_STREQ(error.what(), expected) << text;
    }
  }
}

TEST(PublishText, ApiPartsMeanTheSame) {
  EXPECT_EQ(words({make_publish_request("80/udp", "", "8080")}), "*|8080|80/udp");
  EXPECT_EQ(words({make_publish_request("80", "::1", "")}), "::1|0|80/tcp");
  EXPECT_EQ(words({make_publish_request("80", "", "8000-8010")}), "*|8000-8010|80/tcp");
  EXPECT_THROW(make_publish_request("80-81", "", "8080-8081"), Error);
}

TEST(ExposeText, RangesAreSpreadOut) {
  EXPECT_EQ(parse_exposed_ports("80").size(), 1u);
  const std::vector<ContainerPort> ports = parse_exposed_ports("8000-8002/udp");
  ASSERT_EQ(ports.size(), 3u);
  EXPECT_EQ(ports[2].str(), "8002/udp");
  for (const char* text : {"", "0", "x", "90-80", "80/icmp"}) EXPECT_THROW(parse_exposed_ports(text), Error) << text;
}

TEST(PublishedPort, PrintsAsPsDoes) {
  EXPECT_EQ(to_string({{80, Protocol::Tcp}, IpAddress::parse("0.0.0.0"), 8080}), "0.0.0.0:8080->80/tcp");
  EXPECT_EQ(to_string({{53, Protocol::Udp}, IpAddress::parse("::"), 8053}), "[::]:8053->53/udp");
}

}  // namespace
}  // namespace ctr
