// The expressions of a rule. The kernel's registers are 16 words; libnftnl numbers them from NFT_REG32_00.
#include <arpa/inet.h>
#include <cstdio>  // libnftnl/expr.h lacks it

#include <libnftnl/expr.h>
#include <libnftnl/rule.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/rtnetlink.h>
#include <net/if.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "base/error.h"
#include "runtime/nftables.h"

namespace ctr {
namespace {

constexpr unsigned kSourcePort = 0;
constexpr unsigned kDestinationPort = 2;

std::uint32_t register_number(unsigned word) { return NFT_REG32_00 + word; }

nftnl_expr* new_expression(const char* name) {
  nftnl_expr* expression = nftnl_expr_alloc(name);
  if (expression == nullptr) throw Error(ErrorKind::System, std::string("nftables expression ") + name, ENOMEM);
  return expression;
}

/// Interface names are compared with all their padding.
std::array<char, IFNAMSIZ> padded(std::string_view name) {
  std::array<char, IFNAMSIZ> bytes{};
  name.copy(bytes.data(), IFNAMSIZ - 1);
  return bytes;
}

template <typename Value>
Bytes bytes_of(const Value& value) {
  return std::as_bytes(std::span(&value, 1));
}

unsigned source_offset(AddressFamily family) { return family == AddressFamily::V4 ? 12 : 8; }
unsigned destination_offset(AddressFamily family) { return family == AddressFamily::V4 ? 16 : 24; }

}  // namespace

NftRule::NftRule() : rule_(nftnl_rule_alloc(), nftnl_rule_free) {
  if (rule_ == nullptr) throw Error(ErrorKind::System, "nftables rule", ENOMEM);
}
NftRule::~NftRule() = default;
NftRule::NftRule(NftRule&&) noexcept = default;

NftRule& NftRule::load_meta(std::uint32_t key, unsigned reg) {
  nftnl_expr* meta = new_expression("meta");
  nftnl_expr_set_u32(meta, NFTNL_EXPR_META_KEY, key);
  nftnl_expr_set_u32(meta, NFTNL_EXPR_META_DREG, register_number(reg));
  nftnl_rule_add_expr(rule_.get(), meta);
  return *this;
}

NftRule& NftRule::load_payload(std::uint32_t base, unsigned offset, unsigned size, unsigned reg) {
  nftnl_expr* payload = new_expression("payload");
  nftnl_expr_set_u32(payload, NFTNL_EXPR_PAYLOAD_BASE, base);
  nftnl_expr_set_u32(payload, NFTNL_EXPR_PAYLOAD_OFFSET, offset);
  nftnl_expr_set_u32(payload, NFTNL_EXPR_PAYLOAD_LEN, size);
  nftnl_expr_set_u32(payload, NFTNL_EXPR_PAYLOAD_DREG, register_number(reg));
  nftnl_rule_add_expr(rule_.get(), payload);
  return *this;
}

NftRule& NftRule::load_ct(std::uint32_t key, unsigned reg) {
  nftnl_expr* ct = new_expression("ct");
  nftnl_expr_set_u32(ct, NFTNL_EXPR_CT_KEY, key);
  nftnl_expr_set_u32(ct, NFTNL_EXPR_CT_DREG, register_number(reg));
  nftnl_rule_add_expr(rule_.get(), ct);
  return *this;
}

NftRule& NftRule::compare(std::uint32_t operation, Bytes value) {
  nftnl_expr* cmp = new_expression("cmp");
  nftnl_expr_set_u32(cmp, NFTNL_EXPR_CMP_SREG, register_number(0));
  nftnl_expr_set_u32(cmp, NFTNL_EXPR_CMP_OP, operation);
  nftnl_expr_set(cmp, NFTNL_EXPR_CMP_DATA, value.data(), static_cast<std::uint32_t>(value.size()));
  nftnl_rule_add_expr(rule_.get(), cmp);
  return *this;
}

NftRule& NftRule::mask(Bytes value) {
  const std::vector<char> zeros(value.size());
  const auto size = static_cast<std::uint32_t>(value.size());
  nftnl_expr* bitwise = new_expression("bitwise");
  nftnl_expr_set_u32(bitwise, NFTNL_EXPR_BITWISE_SREG, register_number(0));
  nftnl_expr_set_u32(bitwise, NFTNL_EXPR_BITWISE_DREG, register_number(0));
  nftnl_expr_set_u32(bitwise, NFTNL_EXPR_BITWISE_LEN, size);
  nftnl_expr_set(bitwise, NFTNL_EXPR_BITWISE_MASK, value.data(), size);
  nftnl_expr_set(bitwise, NFTNL_EXPR_BITWISE_XOR, zeros.data(), size);
  nftnl_rule_add_expr(rule_.get(), bitwise);
  return *this;
}

NftRule& NftRule::find_in(const std::string& set, std::uint32_t flags) {
  nftnl_expr* lookup = new_expression("lookup");
  nftnl_expr_set_u32(lookup, NFTNL_EXPR_LOOKUP_SREG, register_number(0));
  nftnl_expr_set_str(lookup, NFTNL_EXPR_LOOKUP_SET, set.c_str());
  if (flags != 0) nftnl_expr_set_u32(lookup, NFTNL_EXPR_LOOKUP_FLAGS, flags);
  nftnl_rule_add_expr(rule_.get(), lookup);
  return *this;
}

NftRule& NftRule::verdict(std::uint32_t code) {
  nftnl_expr* immediate = new_expression("immediate");
  nftnl_expr_set_u32(immediate, NFTNL_EXPR_IMM_DREG, NFT_REG_VERDICT);
  nftnl_expr_set_u32(immediate, NFTNL_EXPR_IMM_VERDICT, code);
  nftnl_rule_add_expr(rule_.get(), immediate);
  return *this;
}

NftRule& NftRule::is_family(AddressFamily family) {
  const std::uint8_t value = family == AddressFamily::V4 ? NFPROTO_IPV4 : NFPROTO_IPV6;
  return load_meta(NFT_META_NFPROTO, 0).compare(NFT_CMP_EQ, bytes_of(value));
}

NftRule& NftRule::interface_is(std::uint32_t key, std::uint32_t operation, std::string_view name) {
  const auto bytes = padded(name);
  return load_meta(key, 0).compare(operation, std::as_bytes(std::span(bytes)));
}

NftRule& NftRule::in_interface_is(std::string_view name) { return interface_is(NFT_META_IIFNAME, NFT_CMP_EQ, name); }
NftRule& NftRule::in_interface_is_not(std::string_view name) {
  return interface_is(NFT_META_IIFNAME, NFT_CMP_NEQ, name);
}
NftRule& NftRule::out_interface_is(std::string_view name) { return interface_is(NFT_META_OIFNAME, NFT_CMP_EQ, name); }

NftRule& NftRule::in_interface_in(const std::string& set) { return load_meta(NFT_META_IIFNAME, 0).find_in(set, 0); }
NftRule& NftRule::out_interface_in(const std::string& set) { return load_meta(NFT_META_OIFNAME, 0).find_in(set, 0); }
NftRule& NftRule::out_interface_not_in(const std::string& set) {
  return load_meta(NFT_META_OIFNAME, 0).find_in(set, NFT_LOOKUP_F_INV);
}
NftRule& NftRule::interfaces_in(const std::string& set) {
  return load_meta(NFT_META_IIFNAME, 0).load_meta(NFT_META_OIFNAME, 4).find_in(set, 0);
}

NftRule& NftRule::out_interface_and_source_in(AddressFamily family, const std::string& set) {
  load_meta(NFT_META_OIFNAME, 0);
  load_payload(NFT_PAYLOAD_NETWORK_HEADER, source_offset(family), family == AddressFamily::V4 ? 4 : 16, 4);
  return find_in(set, 0);
}

NftRule& NftRule::prefix_is(unsigned offset, std::uint32_t operation, const IpPrefix& prefix) {
  const IpPrefix network = prefix.network();
  const auto size = static_cast<unsigned>(network.address.bytes().size());
  std::array<std::uint8_t, 16> ones{};
  ones.fill(0xff);
  const IpPrefix netmask{IpAddress::from_bytes({ones.data(), size}), prefix.length};
  load_payload(NFT_PAYLOAD_NETWORK_HEADER, offset, size, 0);
  mask(std::as_bytes(netmask.network().address.bytes()));
  return compare(operation, std::as_bytes(network.address.bytes()));
}

NftRule& NftRule::source_in(const IpPrefix& prefix) {
  return prefix_is(source_offset(prefix.address.family()), NFT_CMP_EQ, prefix);
}
NftRule& NftRule::destination_in(const IpPrefix& prefix) {
  return prefix_is(destination_offset(prefix.address.family()), NFT_CMP_EQ, prefix);
}
NftRule& NftRule::destination_not_in(const IpPrefix& prefix) {
  return prefix_is(destination_offset(prefix.address.family()), NFT_CMP_NEQ, prefix);
}

NftRule& NftRule::destination_is_local() {
  nftnl_expr* fib = new_expression("fib");
  nftnl_expr_set_u32(fib, NFTNL_EXPR_FIB_DREG, register_number(0));
  nftnl_expr_set_u32(fib, NFTNL_EXPR_FIB_RESULT, NFT_FIB_RESULT_ADDRTYPE);
  nftnl_expr_set_u32(fib, NFTNL_EXPR_FIB_FLAGS, NFTA_FIB_F_DADDR);
  nftnl_rule_add_expr(rule_.get(), fib);
  const std::uint32_t local = RTN_LOCAL;
  return compare(NFT_CMP_EQ, bytes_of(local));
}

NftRule& NftRule::is_protocol(std::uint8_t protocol) {
  return load_meta(NFT_META_L4PROTO, 0).compare(NFT_CMP_EQ, bytes_of(protocol));
}

NftRule& NftRule::port_is(unsigned offset, std::uint16_t port) {
  const std::uint16_t value = htons(port);
  return load_payload(NFT_PAYLOAD_TRANSPORT_HEADER, offset, 2, 0).compare(NFT_CMP_EQ, bytes_of(value));
}
NftRule& NftRule::source_port_is(std::uint16_t port) { return port_is(kSourcePort, port); }
NftRule& NftRule::destination_port_is(std::uint16_t port) { return port_is(kDestinationPort, port); }

NftRule& NftRule::has_state(std::uint32_t bits) {
  const std::uint32_t zero = 0;
  return load_ct(NFT_CT_STATE, 0).mask(bytes_of(bits)).compare(NFT_CMP_NEQ, bytes_of(zero));
}
NftRule& NftRule::has_status(std::uint32_t bits) {
  const std::uint32_t zero = 0;
  return load_ct(NFT_CT_STATUS, 0).mask(bytes_of(bits)).compare(NFT_CMP_NEQ, bytes_of(zero));
}

NftRule& NftRule::load_destination(AddressFamily family, unsigned reg) {
  return load_payload(NFT_PAYLOAD_NETWORK_HEADER, destination_offset(family), family == AddressFamily::V4 ? 4 : 16,
                      reg);
}
NftRule& NftRule::load_protocol(unsigned reg) { return load_meta(NFT_META_L4PROTO, reg); }
NftRule& NftRule::load_destination_port(unsigned reg) {
  return load_payload(NFT_PAYLOAD_TRANSPORT_HEADER, kDestinationPort, 2, reg);
}

NftRule& NftRule::look_up(const std::string& map, unsigned key_reg, unsigned data_reg) {
  nftnl_expr* lookup = new_expression("lookup");
  nftnl_expr_set_u32(lookup, NFTNL_EXPR_LOOKUP_SREG, register_number(key_reg));
  nftnl_expr_set_u32(lookup, NFTNL_EXPR_LOOKUP_DREG, register_number(data_reg));
  nftnl_expr_set_str(lookup, NFTNL_EXPR_LOOKUP_SET, map.c_str());
  nftnl_rule_add_expr(rule_.get(), lookup);
  return *this;
}

NftRule& NftRule::translate_destination(AddressFamily family, unsigned address_reg, unsigned port_reg) {
  nftnl_expr* nat = new_expression("nat");
  nftnl_expr_set_u32(nat, NFTNL_EXPR_NAT_TYPE, NFT_NAT_DNAT);
  nftnl_expr_set_u32(nat, NFTNL_EXPR_NAT_FAMILY, family == AddressFamily::V4 ? NFPROTO_IPV4 : NFPROTO_IPV6);
  nftnl_expr_set_u32(nat, NFTNL_EXPR_NAT_REG_ADDR_MIN, register_number(address_reg));
  nftnl_expr_set_u32(nat, NFTNL_EXPR_NAT_REG_PROTO_MIN, register_number(port_reg));
  nftnl_rule_add_expr(rule_.get(), nat);
  return *this;
}

NftRule& NftRule::set_port(unsigned offset, std::uint16_t port) {
  const std::uint16_t value = htons(port);
  nftnl_expr* immediate = new_expression("immediate");
  nftnl_expr_set_u32(immediate, NFTNL_EXPR_IMM_DREG, register_number(0));
  nftnl_expr_set(immediate, NFTNL_EXPR_IMM_DATA, &value, sizeof value);
  nftnl_rule_add_expr(rule_.get(), immediate);
  nftnl_expr* payload = new_expression("payload");
  nftnl_expr_set_u32(payload, NFTNL_EXPR_PAYLOAD_BASE, NFT_PAYLOAD_TRANSPORT_HEADER);
  nftnl_expr_set_u32(payload, NFTNL_EXPR_PAYLOAD_OFFSET, offset);
  nftnl_expr_set_u32(payload, NFTNL_EXPR_PAYLOAD_LEN, 2);
  nftnl_expr_set_u32(payload, NFTNL_EXPR_PAYLOAD_SREG, register_number(0));
  nftnl_expr_set_u32(payload, NFTNL_EXPR_PAYLOAD_CSUM_TYPE, NFT_PAYLOAD_CSUM_INET);
  nftnl_rule_add_expr(rule_.get(), payload);
  return *this;
}
NftRule& NftRule::set_source_port(std::uint16_t port) { return set_port(kSourcePort, port); }
NftRule& NftRule::set_destination_port(std::uint16_t port) { return set_port(kDestinationPort, port); }

NftRule& NftRule::masquerade() {
  nftnl_rule_add_expr(rule_.get(), new_expression("masq"));
  return *this;
}

NftRule& NftRule::count() {
  nftnl_rule_add_expr(rule_.get(), new_expression("counter"));
  return *this;
}

NftRule& NftRule::accept() { return verdict(NF_ACCEPT); }
NftRule& NftRule::drop() { return verdict(NF_DROP); }

}  // namespace ctr
