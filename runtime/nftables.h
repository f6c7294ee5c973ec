// The part of nftables that networks need, as values: tables, chains, sets, maps, elements and rules of the family inet,
// sent as one transaction. Which rules, and why, is network_rules.h's business.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "runtime/netlink.h"
#include "runtime/network_address.h"

struct nftnl_rule;

namespace ctr {

enum class NftHook { None, Prerouting, Input, Forward, Output, Postrouting };

struct NftChain {
  std::string name;
  std::string type;  // "filter" or "nat"
  NftHook hook = NftHook::None;
  int priority = 0;
};

/// Parts of keys and data. Each is padded to whole 32-bit registers.
enum class NftType { Address, AddressV6, Protocol, Port, Interface };

struct NftSet {
  std::string name;
  std::vector<NftType> key;
  std::vector<NftType> data;  // not empty: a map
  bool ranges = false;        // elements are ranges in each part of the key (kernel 5.6)
};

/// The bytes of a key or of data, padded part by part.
class NftValue {
 public:
  NftValue& address(const IpAddress& value);
  NftValue& protocol(std::uint8_t value);
  NftValue& port(std::uint16_t value);
  NftValue& interface(std::string_view name);
  Bytes bytes() const noexcept { return as_bytes(bytes_); }

 private:
  NftValue& append(Bytes value, std::size_t width);
  std::string bytes_;
};

struct NftElement {
  NftValue key;
  std::optional<NftValue> data;
  std::optional<NftValue> key_end;  // of a set with ranges
};

/// A rule is a list of expressions: loads into registers, comparisons that end it, and one verdict. Registers count in
/// units of 32 bits from 0.
class NftRule {
 public:
  NftRule();
  ~NftRule();
  NftRule(NftRule&&) noexcept;
  NftRule(const NftRule&) = delete;
  NftRule& operator=(const NftRule&) = delete;

  // Conditions.
  NftRule& is_family(AddressFamily family);
  NftRule& in_interface_is_not(std::string_view name);
  NftRule& in_interface_is(std::string_view name);
  NftRule& out_interface_is(std::string_view name);
  NftRule& in_interface_in(const std::string& set);
  NftRule& out_interface_in(const std::string& set);
  NftRule& out_interface_not_in(const std::string& set);
  NftRule& interfaces_in(const std::string& set);  // iifname . oifname
  NftRule& out_interface_and_source_in(AddressFamily family, const std::string& set);
  NftRule& source_in(const IpPrefix& prefix);
  NftRule& destination_in(const IpPrefix& prefix);
  NftRule& destination_not_in(const IpPrefix& prefix);
  NftRule& destination_is_local();
  NftRule& is_protocol(std::uint8_t protocol);
  NftRule& source_port_is(std::uint16_t port);
  NftRule& destination_port_is(std::uint16_t port);
  NftRule& has_state(std::uint32_t bits);   // NF_CT_STATE_BIT values
  NftRule& has_status(std::uint32_t bits);  // IPS_ values
  // Loads.
  NftRule& load_destination(AddressFamily family, unsigned reg);
  NftRule& load_protocol(unsigned reg);
  NftRule& load_destination_port(unsigned reg);
  // Ends.
  NftRule& look_up(const std::string& map, unsigned key_reg, unsigned data_reg);
  NftRule& translate_destination(AddressFamily family, unsigned address_reg, unsigned port_reg);
  NftRule& set_source_port(std::uint16_t port);
  NftRule& set_destination_port(std::uint16_t port);
  NftRule& masquerade();
  NftRule& count();
  NftRule& accept();
  NftRule& drop();

 private:
  friend class NftBatch;
  NftRule& interface_is(std::uint32_t key, std::uint32_t operation, std::string_view name);
  NftRule& prefix_is(unsigned offset, std::uint32_t operation, const IpPrefix& prefix);
  NftRule& port_is(unsigned offset, std::uint16_t port);
  NftRule& set_port(unsigned offset, std::uint16_t port);
  NftRule& load_meta(std::uint32_t key, unsigned reg);
  NftRule& load_payload(std::uint32_t base, unsigned offset, unsigned size, unsigned reg);
  NftRule& load_ct(std::uint32_t key, unsigned reg);
  NftRule& compare(std::uint32_t operation, Bytes value);
  NftRule& mask(Bytes value);
  NftRule& find_in(const std::string& set, std::uint32_t flags);
  NftRule& verdict(std::uint32_t code);
  std::unique_ptr<nftnl_rule, void (*)(const nftnl_rule*)> rule_;
};

/// One transaction.
class NftBatch {
 public:
  NftBatch();

  /// `mark` is kept with the table as its comment.
  void add_table(const std::string& table, std::string_view mark);
  void delete_table(const std::string& table);
  void add_chain(const std::string& table, const NftChain& chain);
  void add_set(const std::string& table, const NftSet& set);
  void add_rule(const std::string& table, const std::string& chain, NftRule rule);
  /// In front of a chain of any table, such as another program's. `family` is NFPROTO_*; `comment` finds it again.
  void insert_rule(std::uint8_t family, const std::string& table, const std::string& chain, std::string_view comment,
                   NftRule rule);
  void delete_rule(std::uint8_t family, const std::string& table, const std::string& chain, std::uint64_t handle);
  /// The same element once more is no error; the same key with other data is EEXIST.
  void add_elements(const std::string& table, const std::string& set, const std::vector<NftElement>& elements);
  /// An element that is missing fails the transaction with ENOENT.
  void delete_elements(const std::string& table, const std::string& set, const std::vector<NftElement>& elements);

  /// All or nothing.
  void commit(const NetlinkSocket& socket);

 private:
  void change_elements(const std::string& table, const std::string& set, const std::vector<NftElement>& elements,
                       std::uint16_t type, std::uint16_t flags, const std::string& what);
  NetlinkBatch batch_;
};

/// The comment of the table inet `table`; nothing when there is no such table.
std::optional<std::string> find_table_mark(const NetlinkSocket& socket, const std::string& table);

/// A chain of the machine, whoever made it.
struct ForeignChain {
  std::uint8_t family = 0;  // NFPROTO_IPV4, NFPROTO_INET, ...
  std::string table;
  std::string name;
  std::optional<std::uint32_t> hook;
  std::int32_t priority = 0;
  std::optional<std::uint32_t> policy;  // NF_DROP, NF_ACCEPT
};
std::vector<ForeignChain> list_chains(const NetlinkSocket& socket);

struct ForeignRule {
  std::uint64_t handle = 0;
  std::string comment;
};
std::vector<ForeignRule> list_rules(const NetlinkSocket& socket, std::uint8_t family, const std::string& table,
                                    const std::string& chain);

/// Keys and data of a set's elements, for tests and repairs.
struct FoundElement {
  std::string key;
  std::string data;
};
std::vector<FoundElement> list_elements(const NetlinkSocket& socket, const std::string& table, const std::string& set);

}  // namespace ctr
