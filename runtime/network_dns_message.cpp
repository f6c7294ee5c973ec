#include "runtime/network_dns_message.h"

#include <algorithm>
#include <array>
#include <charconv>

#include "base/text.h"

namespace ctr {
namespace {

constexpr std::size_t kLongestName = 255;
constexpr std::size_t kLongestLabel = 63;
constexpr std::uint16_t kClassInternet = 1;
// Short, because a container that starts again may have another address.
constexpr std::uint32_t kTimeToLive = 1;
// A pointer to the question's name, which follows the header.
constexpr std::uint16_t kNamePointer = 0xc000 | kShortestDnsMessage;

std::uint16_t read_16(std::string_view message, std::size_t at) {
  return static_cast<std::uint16_t>((static_cast<unsigned char>(message[at]) << 8) |
                                    static_cast<unsigned char>(message[at + 1]));
}

void put_16(std::string& message, std::uint16_t value) {
  message += static_cast<char>(value >> 8);
  message += static_cast<char>(value & 0xff);
}

void put_32(std::string& message, std::uint32_t value) {
  put_16(message, static_cast<std::uint16_t>(value >> 16));
  put_16(message, static_cast<std::uint16_t>(value & 0xffff));
}

char lower_char(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

std::string answer_head(const DnsQuestion& question, DnsCode code, std::size_t answers, bool truncated) {
  std::string message;
  put_16(message, question.id);
  std::uint16_t flags = 0x8080;  // answer, recursion available
  if (question.recursion_desired) flags |= 0x0100;
  if (truncated) flags |= 0x0200;
  put_16(message, static_cast<std::uint16_t>(flags | static_cast<std::uint16_t>(code)));
  put_16(message, 1);
  put_16(message, static_cast<std::uint16_t>(answers));
  put_32(message, 0);
  return message + question.wire;
}

void put_record(std::string& message, const DnsQuestion& question, std::string_view data) {
  put_16(message, kNamePointer);
  put_16(message, question.type);
  put_16(message, kClassInternet);
  put_32(message, kTimeToLive);
  put_16(message, static_cast<std::uint16_t>(data.size()));
  message += data;
}

}  // namespace

std::optional<DnsQuestion> parse_dns_query(std::string_view message) {
  if (message.size() < kShortestDnsMessage) return std::nullopt;
  const std::uint16_t flags = read_16(message, 2);
  const bool is_query = (flags & 0x8000) == 0 && (flags & 0x7800) == 0;
  if (!is_query || read_16(message, 4) != 1) return std::nullopt;
  DnsQuestion question;
  question.id = read_16(message, 0);
  question.recursion_desired = (flags & 0x0100) != 0;
  std::size_t at = kShortestDnsMessage;
  for (;;) {
    if (at >= message.size()) return std::nullopt;
    const std::size_t length = static_cast<unsigned char>(message[at++]);
    if (length == 0) break;
    // A question is the first name of a message: there is nothing that it could point back to.
    if (length > kLongestLabel || at + length > message.size()) return std::nullopt;
    if (!question.name.empty()) question.name += '.';
    for (char c : message.substr(at, length)) question.name += lower_char(c);
    if (question.name.size() > kLongestName) return std::nullopt;
    at += length;
  }
  if (at + 4 > message.size()) return std::nullopt;
  question.type = read_16(message, at);
  question.record_class = read_16(message, at + 2);
  question.wire = std::string(message.substr(kShortestDnsMessage, at + 4 - kShortestDnsMessage));
  return question;
}

std::string dns_address_answer(const DnsQuestion& question, const std::vector<IpAddress>& addresses,
                               std::size_t limit) {
  std::vector<IpAddress> fitting;
  std::size_t size = kShortestDnsMessage + question.wire.size();
  bool truncated = false;
  for (const IpAddress& address : addresses) {
    if (question.type != (address.is_v4() ? kDnsA : kDnsAaaa)) continue;
    const std::size_t record = 12 + address.bytes().size();
    truncated = size + record > limit;
    if (truncated) break;
    size += record;
    fitting.push_back(address);
  }
  std::string message = answer_head(question, DnsCode::Success, fitting.size(), truncated);
  for (const IpAddress& address : fitting) {
    put_record(message, question,
               {reinterpret_cast<const char*>(address.bytes().data()), address.bytes().size()});
  }
  return message;
}

std::string dns_name_answer(const DnsQuestion& question, std::string_view name) {
  std::string data;
  for (const std::string& label : split(name, '.')) {
    if (label.empty() || label.size() > kLongestLabel) return dns_error_answer(question, DnsCode::ServerFailure);
    data += static_cast<char>(label.size());
    data += label;
  }
  data += '\0';
  std::string message = answer_head(question, DnsCode::Success, 1, false);
  put_record(message, question, data);
  return message;
}

std::string dns_error_answer(const DnsQuestion& question, DnsCode code) {
  return answer_head(question, code, 0, false);
}

std::uint16_t dns_id(std::string_view message) { return message.size() < 2 ? std::uint16_t{0} : read_16(message, 0); }

void set_dns_id(std::string& message, std::uint16_t id) {
  if (message.size() < 2) return;
  message[0] = static_cast<char>(id >> 8);
  message[1] = static_cast<char>(id & 0xff);
}

bool is_dns_answer_to(std::string_view message, std::uint16_t id, const DnsQuestion& question) {
  if (message.size() < kShortestDnsMessage + question.wire.size()) return false;
  if (read_16(message, 0) != id || (read_16(message, 2) & 0x8000) == 0 || read_16(message, 4) != 1) return false;
  const std::string_view wire = message.substr(kShortestDnsMessage, question.wire.size());
  return std::equal(wire.begin(), wire.end(), question.wire.begin(),
                    [](char a, char b) { return lower_char(a) == lower_char(b); });
}

std::optional<IpAddress> address_of_reverse_name(std::string_view name) {
  const bool v4 = name.ends_with(".in-addr.arpa");
  if (!v4 && !name.ends_with(".ip6.arpa")) return std::nullopt;
  const std::vector<std::string> parts = split(name.substr(0, name.size() - (v4 ? 13 : 9)), '.');
  if (parts.size() != (v4 ? 4 : 32)) return std::nullopt;
  std::array<std::uint8_t, 16> bytes{};
  for (std::size_t i = 0; i < parts.size(); ++i) {
    const std::string& part = parts[parts.size() - 1 - i];
    unsigned value = 0;
    const auto parsed = std::from_chars(part.data(), part.data() + part.size(), value, v4 ? 10 : 16);
    if (parsed.ec != std::errc{} || parsed.ptr != part.data() + part.size() || value > (v4 ? 255u : 15u)) {
      return std::nullopt;
    }
    std::uint8_t& byte = bytes[v4 ? i : i / 2];
    byte = static_cast<std::uint8_t>(v4 ? value : byte * 16 + value);
  }
  return IpAddress::from_bytes({bytes.data(), v4 ? 4u : 16u});
}

}  // namespace ctr
