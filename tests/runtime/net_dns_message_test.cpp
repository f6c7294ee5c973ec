#include <gtest/gtest.h>

#include "runtime/network_dns_message.h"

namespace ctr {
namespace {

std::string name_on_wire(const std::vector<std::string>& labels) {
  std::string wire;
  for (const std::string& label : labels) wire += static_cast<char>(label.size()) + label;
  return wire + std::string(1, '\0');
}

std::string query(const std::vector<std::string>& labels, std::uint16_t type) {
  std::string message("\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00", 12);
  message += name_on_wire(labels);
  message += static_cast<char>(type >> 8);
  message += static_cast<char>(type & 0xff);
  return message + std::string("\x00\x01", 2);
}

TEST(DnsMessage, QuestionIsReadInLowerCase) {
  const auto question = parse_dns_query(query({"Web", "Front"}, kDnsA));
  ASSERT_TRUE(question);
  EXPECT_EQ(question->name, "web.front");
  EXPECT_EQ(question->id, 0x1234);
  EXPECT_EQ(question->type, kDnsA);
  EXPECT_TRUE(question->recursion_desired);
}

TEST(DnsMessage, BrokenQuestionsAreRefused) {
  const std::string whole = query({"web"}, kDnsA);
  for (std::size_t size = 0; size < whole.size(); ++size) EXPECT_FALSE(parse_dns_query(whole.substr(0, size))) << size;
  std::string pointer = whole;
  pointer[12] = static_cast<char>(0xc0);
  EXPECT_FALSE(parse_dns_query(pointer)) << "a question cannot point back";
  std::string answer = whole;
  answer[2] = static_cast<char>(0x80);
  EXPECT_FALSE(parse_dns_query(answer)) << "an answer is no question";
  std::string two = whole;
  two[5] = 2;
  EXPECT_FALSE(parse_dns_query(two));
  EXPECT_FALSE(parse_dns_query(query(std::vector<std::string>(6, std::string(60, 'x')), kDnsA))) << "too long a name";
}

TEST(DnsMessage, AddressAnswerHoldsOnlyTheAskedFamily) {
  const auto question = parse_dns_query(query({"web"}, kDnsA));
  const std::vector<IpAddress> addresses = {IpAddress::parse("172.17.0.2"), IpAddress::parse("fd00::2")};
  const std::string answer = dns_address_answer(*question, addresses, kDnsDatagram);
  EXPECT_EQ(answer.substr(0, 12), std::string("\x12\x34\x81\x80\x00\x01\x00\x01\x00\x00\x00\x00", 12));
  EXPECT_EQ(answer.substr(answer.size() - 4), std::string("\xac\x11\x00\x02", 4));
  EXPECT_TRUE(is_dns_answer_to(answer, 0x1234, *question));
  EXPECT_FALSE(is_dns_answer_to(answer, 0x1235, *question));
  EXPECT_FALSE(is_dns_answer_to(answer, 0x1234, *parse_dns_query(query({"wec"}, kDnsA))));
}

TEST(DnsMessage, TooManyAddressesAreCutWithTheTruncationBit) {
  const auto question = parse_dns_query(query({"web"}, kDnsA));
  const std::vector<IpAddress> addresses(100, IpAddress::parse("172.17.0.2"));
  const std::string answer = dns_address_answer(*question, addresses, kDnsDatagram);
  EXPECT_LE(answer.size(), kDnsDatagram);
  EXPECT_TRUE(answer[2] & 2);
  EXPECT_FALSE(dns_address_answer(*question, addresses, kLongestDnsMessage)[2] & 2);
}

TEST(DnsMessage, ErrorsCarryTheirCode) {
  const auto question = parse_dns_query(query({"web"}, kDnsA));
  EXPECT_EQ(dns_error_answer(*question, DnsCode::NoSuchName)[3] & 15, 3);
}

TEST(DnsMessage, ReverseNamesAreAddresses) {
  EXPECT_EQ(address_of_reverse_name("2.0.17.172.in-addr.arpa")->str(), "172.17.0.2");
  EXPECT_EQ(address_of_reverse_name("2.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.d.f.ip6.arpa")->str(),
            "fd00::2");
  for (const char* name : {"web", "0.17.172.in-addr.arpa", "x.0.17.172.in-addr.arpa", "300.0.17.172.in-addr.arpa"}) {
    EXPECT_FALSE(address_of_reverse_name(name)) << name;
  }
}

}  // namespace
}  // namespace ctr
