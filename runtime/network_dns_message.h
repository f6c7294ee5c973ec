// DNS messages (RFC 1035) as far as a container's resolver needs them: it reads one question and writes answers of its
// own; everything else passes through as bytes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/network_address.h"

namespace ctr {

inline constexpr std::uint16_t kDnsA = 1;
inline constexpr std::uint16_t kDnsPtr = 12;
inline constexpr std::uint16_t kDnsAaaa = 28;

inline constexpr std::size_t kShortestDnsMessage = 12;
/// What an answer by UDP may have without EDNS.
inline constexpr std::size_t kDnsDatagram = 512;
inline constexpr std::size_t kLongestDnsMessage = 65535;

struct DnsQuestion {
  std::uint16_t id = 0;
  bool recursion_desired = false;
  std::string name;  // lower case, without the last dot; "" is the root
  std::uint16_t type = 0;
  std::uint16_t record_class = 0;
  std::string wire;  // the question section as it came
};

/// Nothing when the bytes are not a standard query with one question. Names with bytes outside printable ASCII are kept
/// as they are; they match nothing.
std::optional<DnsQuestion> parse_dns_query(std::string_view message);

enum class DnsCode : std::uint8_t { Success = 0, FormatError = 1, ServerFailure = 2, NoSuchName = 3, Refused = 5 };

/// Addresses of the asked family; with more than fit into `limit`, the first ones and the truncation bit.
std::string dns_address_answer(const DnsQuestion& question, const std::vector<IpAddress>& addresses, std::size_t limit);
std::string dns_name_answer(const DnsQuestion& question, std::string_view name);
std::string dns_error_answer(const DnsQuestion& question, DnsCode code);

std::uint16_t dns_id(std::string_view message);
void set_dns_id(std::string& message, std::uint16_t id);
/// Whether the message is an answer to that question (its question section is the same but for case).
bool is_dns_answer_to(std::string_view message, std::uint16_t id, const DnsQuestion& question);

/// "5.0.17.172.in-addr.arpa" or "….ip6.arpa" as an address.
std::optional<IpAddress> address_of_reverse_name(std::string_view name);

}  // namespace ctr
