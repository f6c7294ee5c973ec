// IPv4 and IPv6 addresses and prefixes as values: parse, print, compare, count. No names, no sockets.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace ctr {

enum class AddressFamily { V4, V6 };

class IpAddress {
 public:
  /// 0.0.0.0.
  IpAddress() = default;
  /// Network byte order; 4 or 16 bytes.
  static IpAddress from_bytes(std::span<const std::uint8_t> bytes);
  /// Throws Invalid: "invalid IP address: x". Brackets and zones are refused.
  static IpAddress parse(std::string_view text);
  static std::optional<IpAddress> find(std::string_view text);
  static IpAddress any(AddressFamily family);
  static IpAddress loopback(AddressFamily family);

  AddressFamily family() const noexcept { return family_; }
  bool is_v4() const noexcept { return family_ == AddressFamily::V4; }
  bool is_v6() const noexcept { return family_ == AddressFamily::V6; }
  bool is_any() const noexcept;
  /// 127.0.0.0/8 or ::1.
  bool is_loopback() const noexcept;
  /// 4 or 16 bytes in network order.
  std::span<const std::uint8_t> bytes() const noexcept { return {bytes_.data(), is_v4() ? 4u : 16u}; }
  int bits() const noexcept { return is_v4() ? 32 : 128; }
  std::string str() const;
  /// The address that lies `count` after this one (wraps).
  IpAddress plus(std::uint64_t count) const noexcept;

  friend std::strong_ordering operator<=>(const IpAddress&, const IpAddress&) = default;

 private:
  AddressFamily family_ = AddressFamily::V4;
  std::array<std::uint8_t, 16> bytes_{};
};

/// An address with a prefix length; the host bits may be set ("172.17.0.2/16").
struct IpPrefix {
  IpAddress address;
  int length = 0;

  /// "172.17.0.0/16"; throws Invalid: "invalid subnet: x".
  static IpPrefix parse(std::string_view text);

  /// The same with all host bits zero.
  IpPrefix network() const noexcept;
  /// The highest address inside.
  IpAddress last() const noexcept;
  bool contains(const IpAddress& candidate) const noexcept;
  bool overlaps(const IpPrefix& other) const noexcept;
  std::string str() const;

  friend bool operator==(const IpPrefix&, const IpPrefix&) = default;
};

/// Six bytes as "02:42:ac:11:00:02".
struct MacAddress {
  std::array<std::uint8_t, 6> bytes{};

  static MacAddress parse(std::string_view text);
  /// The locally administered address that belongs to an IPv4 address, so that one address has one MAC for ever and
  /// nobody's neighbour cache goes stale when the address is given to the next container.
  static MacAddress of(const IpAddress& address);
  std::string str() const;

  friend bool operator==(const MacAddress&, const MacAddress&) = default;
};

}  // namespace ctr
