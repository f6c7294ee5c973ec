#include "runtime/network_address.h"

#include <arpa/inet.h>

#include <algorithm>
#include <charconv>

#include "base/error.h"

namespace ctr {
namespace {

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

}  // namespace

IpAddress IpAddress::from_bytes(std::span<const std::uint8_t> bytes) {
  IpAddress address;
  if (bytes.size() != 4 && bytes.size() != 16) throw Error(ErrorKind::Invalid, "invalid IP address length");
  address.family_ = bytes.size() == 4 ? AddressFamily::V4 : AddressFamily::V6;
  std::copy(bytes.begin(), bytes.end(), address.bytes_.begin());
  return address;
}

std::optional<IpAddress> IpAddress::find(std::string_view text) {
  const std::string terminated(text);
  IpAddress address;
  if (::inet_pton(AF_INET, terminated.c_str(), address.bytes_.data()) == 1) return address;
  address.family_ = AddressFamily::V6;
  if (::inet_pton(AF_INET6, terminated.c_str(), address.bytes_.data()) == 1) return address;
  return std::nullopt;
}

IpAddress IpAddress::parse(std::string_view text) {
  if (std::optional<IpAddress> address = find(text)) return *address;
  throw Error(ErrorKind::Invalid, "invalid IP address: " + std::string(text));
}

IpAddress IpAddress::any(AddressFamily family) {
  IpAddress address;
  address.family_ = family;
  return address;
}

IpAddress IpAddress::loopback(AddressFamily family) {
  IpAddress address = any(family);
  if (family == AddressFamily::V4) address.bytes_[0] = 127;
  address.bytes_[family == AddressFamily::V4 ? 3 : 15] = 1;
  return address;
}

bool IpAddress::is_any() const noexcept {
  return std::all_of(bytes_.begin(), bytes_.end(), [](std::uint8_t byte) { return byte == 0; });
}

bool IpAddress::is_loopback() const noexcept {
  return is_v4() ? bytes_[0] == 127 : *this == loopback(AddressFamily::V6);
}

std::string IpAddress::str() const {
  char text[INET6_ADDRSTRLEN] = {};
  ::inet_ntop(is_v4() ? AF_INET : AF_INET6, bytes_.data(), text, sizeof text);
  return text;
}

IpAddress IpAddress::plus(std::uint64_t count) const noexcept {
  IpAddress sum = *this;
  for (std::size_t i = bytes().size(); i-- > 0 && count != 0;) {
    count += sum.bytes_[i];
    sum.bytes_[i] = static_cast<std::uint8_t>(count & 0xff);
    count >>= 8;
  }
  return sum;
}

IpPrefix IpPrefix::parse(std::string_view text) {
  const Error invalid(ErrorKind::Invalid, "invalid subnet: " + std::string(text));
  const std::size_t slash = text.find('/');
  if (slash == std::string_view::npos) throw invalid;
  const std::optional<IpAddress> address = IpAddress::find(text.substr(0, slash));
  const std::string_view digits = text.substr(slash + 1);
  int length = -1;
  const auto parsed = std::from_chars(digits.data(), digits.data() + digits.size(), length);
  if (!address || parsed.ec != std::errc{} || parsed.ptr != digits.data() + digits.size() || length < 0 ||
      length > address->bits()) {
    throw invalid;
  }
  return {*address, length};
}

IpPrefix IpPrefix::network() const noexcept {
  std::array<std::uint8_t, 16> bytes{};
  const std::span<const std::uint8_t> own = address.bytes();
  for (std::size_t i = 0; i < own.size(); ++i) {
    const int kept = std::clamp(length - static_cast<int>(i) * 8, 0, 8);
    bytes[i] = static_cast<std::uint8_t>(own[i] & (0xff00 >> kept));
  }
  return {IpAddress::from_bytes({bytes.data(), own.size()}), length};
}

IpAddress IpPrefix::last() const noexcept {
  std::array<std::uint8_t, 16> bytes{};
  const std::span<const std::uint8_t> own = address.bytes();
  for (std::size_t i = 0; i < own.size(); ++i) {
    const int kept = std::clamp(length - static_cast<int>(i) * 8, 0, 8);
    bytes[i] = static_cast<std::uint8_t>(own[i] | (0xff >> kept));
  }
  return IpAddress::from_bytes({bytes.data(), own.size()});
}

bool IpPrefix::contains(const IpAddress& candidate) const noexcept {
  if (candidate.family() != address.family()) return false;
  return IpPrefix{candidate, length}.network().address == network().address;
}

bool IpPrefix::overlaps(const IpPrefix& other) const noexcept {
  return length <= other.length ? contains(other.address) : other.contains(address);
}

std::string IpPrefix::str() const { return address.str() + "/" + std::to_string(length); }

MacAddress MacAddress::parse(std::string_view text) {
  const Error invalid(ErrorKind::Invalid, "invalid MAC address: " + std::string(text));
  MacAddress mac;
  if (text.size() != 17) throw invalid;
  for (std::size_t i = 0; i < 6; ++i) {
    const int high = hex_digit(text[i * 3]);
    const int low = hex_digit(text[i * 3 + 1]);
    if (high < 0 || low < 0 || (i < 5 && text[i * 3 + 2] != ':' && text[i * 3 + 2] != '-')) throw invalid;
    mac.bytes[i] = static_cast<std::uint8_t>(high * 16 + low);
  }
  if ((mac.bytes[0] & 1) != 0) throw invalid;  // a group address cannot be an interface's
  return mac;
}

MacAddress MacAddress::of(const IpAddress& address) {
  const std::span<const std::uint8_t> bytes = address.bytes();
  MacAddress mac{{0x02, 0x42}};
  std::copy(bytes.end() - 4, bytes.end(), mac.bytes.begin() + 2);
  return mac;
}

std::string MacAddress::str() const {
  constexpr char kDigits[] = "0123456789abcdef";
  std::string text;
  for (std::uint8_t byte : bytes) {
    if (!text.empty()) text += ':';
    text += kDigits[byte >> 4];
    text += kDigits[byte & 15];
  }
  return text;
}

}  // namespace ctr
