#include "runtime/nftables.h"

#include <arpa/inet.h>
#include <libmnl/libmnl.h>
#include <libnftnl/chain.h>
#include <libnftnl/common.h>
#include <libnftnl/rule.h>
#include <libnftnl/set.h>
#include <libnftnl/table.h>
#include <libnftnl/udata.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <net/if.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "base/error.h"

namespace ctr {
namespace {

// A netlink attribute holds 64 KiB; an element is at most about 140 bytes.
constexpr std::size_t kElementsPerMessage = 256;
constexpr std::size_t kElementLimit = 200;

template <typename T, void (*Free)(const T*)>
using Owned = std::unique_ptr<T, decltype(Free)>;

template <typename T>
T* made(T* object) {
  if (object == nullptr) throw Error(ErrorKind::System, "nftables object", ENOMEM);
  return object;
}

std::uint16_t message_type(int type) { return static_cast<std::uint16_t>((NFNL_SUBSYS_NFTABLES << 8) | type); }

nlmsghdr* start_message(NetlinkBatch& batch, int type, std::uint16_t flags, std::uint8_t family,
                        std::size_t limit = 4096) {
  nlmsghdr* message = batch.start(message_type(type), flags, limit);
  auto* header = static_cast<nfgenmsg*>(mnl_nlmsg_put_extra_header(message, sizeof(nfgenmsg)));
  header->nfgen_family = family;
  header->version = NFNETLINK_V0;
  return message;
}

void put_batch_marker(NetlinkBatch& batch, std::uint16_t type, const char* what) {
  nlmsghdr* message = batch.start(type, 0, 64);
  auto* header = static_cast<nfgenmsg*>(mnl_nlmsg_put_extra_header(message, sizeof(nfgenmsg)));
  header->nfgen_family = AF_UNSPEC;
  header->version = NFNETLINK_V0;
  header->res_id = htons(NFNL_SUBSYS_NFTABLES);
  batch.finish(what);
}

std::uint32_t hook_number(NftHook hook) {
  switch (hook) {
    case NftHook::Input: return NF_INET_LOCAL_IN;
    case NftHook::Forward: return NF_INET_FORWARD;
    case NftHook::Output: return NF_INET_LOCAL_OUT;
    case NftHook::Postrouting: return NF_INET_POST_ROUTING;
    case NftHook::Prerouting:
    case NftHook::None: break;
  }
  return NF_INET_PRE_ROUTING;
}

/// Only nft(8) looks at types, to print elements; the kernel knows lengths.
std::uint32_t nft_type_number(NftType type) {
  switch (type) {
    case NftType::Address: return 7;
    case NftType::AddressV6: return 8;
    case NftType::Protocol: return 12;
    case NftType::Port: return 13;
    case NftType::Interface: return 41;
  }
  return 0;
}

std::uint32_t type_number(const std::vector<NftType>& parts) {
  std::uint32_t number = 0;
  for (NftType part : parts) number = (number << 6) | nft_type_number(part);
  return number;
}

std::uint8_t width(NftType part) { return part == NftType::AddressV6 || part == NftType::Interface ? 16 : 4; }

std::uint32_t width(const std::vector<NftType>& parts) {
  std::uint32_t bytes = 0;
  for (NftType part : parts) bytes += width(part);
  // A key of one part is as long as its value; only concatenations are padded.
  if (parts.size() == 1 && parts[0] == NftType::Port) return 2;
  if (parts.size() == 1 && parts[0] == NftType::Protocol) return 1;
  return bytes;
}

/// The comment in user data as nft(8) writes it: type 0, length, text with its end.
std::string comment_data(std::string_view comment) {
  const std::string text(comment.substr(0, NFTNL_UDATA_COMMENT_MAXLEN - 1));
  std::string data;
  data += static_cast<char>(0);
  data += static_cast<char>(text.size() + 1);
  data += text;
  data += '\0';
  return data;
}

std::string comment_of(const void* data, std::uint32_t size) {
  const auto* bytes = static_cast<const unsigned char*>(data);
  for (std::uint32_t i = 0; data != nullptr && i + 2 <= size;) {
    const std::uint32_t length = bytes[i + 1];
    if (i + 2 + length > size) break;
    if (bytes[i] == 0 && length > 0) return std::string(reinterpret_cast<const char*>(bytes + i + 2), length - 1);
    i += 2 + length;
  }
  return {};
}

Owned<nftnl_rule, nftnl_rule_free> new_rule() { return {made(nftnl_rule_alloc()), nftnl_rule_free}; }

std::string text_or_empty(const char* text) { return text == nullptr ? std::string() : std::string(text); }

}  // namespace

NftValue& NftValue::append(Bytes value, std::size_t size) {
  bytes_.append(reinterpret_cast<const char*>(value.data()), value.size());
  bytes_.append(size - value.size(), '\0');
  return *this;
}
NftValue& NftValue::address(const IpAddress& value) {
  return append(std::as_bytes(value.bytes()), value.bytes().size());
}
NftValue& NftValue::protocol(std::uint8_t value) { return append(std::as_bytes(std::span(&value, 1)), 4); }
NftValue& NftValue::port(std::uint16_t value) {
  const std::uint16_t network_order = htons(value);
  return append(std::as_bytes(std::span(&network_order, 1)), 4);
}
NftValue& NftValue::interface(std::string_view name) {
  return append(as_bytes(name.substr(0, IFNAMSIZ - 1)), IFNAMSIZ);
}

NftBatch::NftBatch() { put_batch_marker(batch_, NFNL_MSG_BATCH_BEGIN, "begin nftables transaction"); }

void NftBatch::add_table(const std::string& table, std::string_view mark) {
  const Owned<nftnl_table, nftnl_table_free> object(made(nftnl_table_alloc()), nftnl_table_free);
  nftnl_table_set_str(object.get(), NFTNL_TABLE_NAME, table.c_str());
  const std::string comment = comment_data(mark);
  nftnl_table_set_data(object.get(), NFTNL_TABLE_USERDATA, comment.data(), static_cast<std::uint32_t>(comment.size()));
  nftnl_table_nlmsg_build_payload(start_message(batch_, NFT_MSG_NEWTABLE, NLM_F_CREATE, NFPROTO_INET), object.get());
  batch_.finish("add nftables table " + table);
}

void NftBatch::delete_table(const std::string& table) {
  const Owned<nftnl_table, nftnl_table_free> object(made(nftnl_table_alloc()), nftnl_table_free);
  nftnl_table_set_str(object.get(), NFTNL_TABLE_NAME, table.c_str());
  nftnl_table_nlmsg_build_payload(start_message(batch_, NFT_MSG_DELTABLE, 0, NFPROTO_INET), object.get());
  batch_.finish("delete nftables table " + table);
}

void NftBatch::add_chain(const std::string& table, const NftChain& chain) {
  const Owned<nftnl_chain, nftnl_chain_free> object(made(nftnl_chain_alloc()), nftnl_chain_free);
  nftnl_chain_set_str(object.get(), NFTNL_CHAIN_TABLE, table.c_str());
  nftnl_chain_set_str(object.get(), NFTNL_CHAIN_NAME, chain.name.c_str());
  if (chain.hook != NftHook::None) {
    nftnl_chain_set_str(object.get(), NFTNL_CHAIN_TYPE, chain.type.c_str());
    nftnl_chain_set_u32(object.get(), NFTNL_CHAIN_HOOKNUM, hook_number(chain.hook));
    nftnl_chain_set_s32(object.get(), NFTNL_CHAIN_PRIO, chain.priority);
    nftnl_chain_set_u32(object.get(), NFTNL_CHAIN_POLICY, NF_ACCEPT);
  }
  nftnl_chain_nlmsg_build_payload(start_message(batch_, NFT_MSG_NEWCHAIN, NLM_F_CREATE, NFPROTO_INET), object.get());
  batch_.finish("add nftables chain " + chain.name);
}

void NftBatch::add_set(const std::string& table, const NftSet& set) {
  const Owned<nftnl_set, nftnl_set_free> object(made(nftnl_set_alloc()), nftnl_set_free);
  nftnl_set_set_str(object.get(), NFTNL_SET_TABLE, table.c_str());
  nftnl_set_set_str(object.get(), NFTNL_SET_NAME, set.name.c_str());
  nftnl_set_set_u32(object.get(), NFTNL_SET_ID, 1);
  nftnl_set_set_u32(object.get(), NFTNL_SET_KEY_TYPE, type_number(set.key));
  nftnl_set_set_u32(object.get(), NFTNL_SET_KEY_LEN, width(set.key));
  if (!set.data.empty()) {
    nftnl_set_set_u32(object.get(), NFTNL_SET_FLAGS, NFT_SET_MAP);
    nftnl_set_set_u32(object.get(), NFTNL_SET_DATA_TYPE, type_number(set.data));
    nftnl_set_set_u32(object.get(), NFTNL_SET_DATA_LEN, width(set.data));
  }
  if (set.ranges) {
    nftnl_set_set_u32(object.get(), NFTNL_SET_FLAGS, NFT_SET_INTERVAL | NFT_SET_CONCAT);
    std::vector<std::uint8_t> widths;
    for (NftType part : set.key) widths.push_back(width(part));
    nftnl_set_set_data(object.get(), NFTNL_SET_DESC_CONCAT, widths.data(), static_cast<std::uint32_t>(widths.size()));
  }
  nftnl_set_nlmsg_build_payload(start_message(batch_, NFT_MSG_NEWSET, NLM_F_CREATE, NFPROTO_INET), object.get());
  batch_.finish("add nftables set " + set.name);
}

void NftBatch::add_rule(const std::string& table, const std::string& chain, NftRule rule) {
  nftnl_rule_set_str(rule.rule_.get(), NFTNL_RULE_TABLE, table.c_str());
  nftnl_rule_set_str(rule.rule_.get(), NFTNL_RULE_CHAIN, chain.c_str());
  nftnl_rule_nlmsg_build_payload(
      start_message(batch_, NFT_MSG_NEWRULE, NLM_F_CREATE | NLM_F_APPEND, NFPROTO_INET), rule.rule_.get());
  batch_.finish("add nftables rule to " + chain);
}

void NftBatch::insert_rule(std::uint8_t family, const std::string& table, const std::string& chain,
                           std::string_view comment, NftRule rule) {
  nftnl_rule_set_u32(rule.rule_.get(), NFTNL_RULE_FAMILY, family);
  nftnl_rule_set_str(rule.rule_.get(), NFTNL_RULE_TABLE, table.c_str());
  nftnl_rule_set_str(rule.rule_.get(), NFTNL_RULE_CHAIN, chain.c_str());
  const std::string data = comment_data(comment);
  nftnl_rule_set_data(rule.rule_.get(), NFTNL_RULE_USERDATA, data.data(), static_cast<std::uint32_t>(data.size()));
  nftnl_rule_nlmsg_build_payload(start_message(batch_, NFT_MSG_NEWRULE, NLM_F_CREATE, family), rule.rule_.get());
  batch_.finish("insert nftables rule into " + chain);
}

void NftBatch::delete_rule(std::uint8_t family, const std::string& table, const std::string& chain,
                           std::uint64_t handle) {
  const auto rule = new_rule();
  nftnl_rule_set_str(rule.get(), NFTNL_RULE_TABLE, table.c_str());
  nftnl_rule_set_str(rule.get(), NFTNL_RULE_CHAIN, chain.c_str());
  nftnl_rule_set_u64(rule.get(), NFTNL_RULE_HANDLE, handle);
  nftnl_rule_nlmsg_build_payload(start_message(batch_, NFT_MSG_DELRULE, 0, family), rule.get());
  batch_.finish("delete nftables rule of " + chain);
}

void NftBatch::change_elements(const std::string& table, const std::string& set,
                               const std::vector<NftElement>& elements, std::uint16_t type, std::uint16_t flags,
                               const std::string& what) {
  for (std::size_t start = 0; start < elements.size(); start += kElementsPerMessage) {
    const Owned<nftnl_set, nftnl_set_free> object(made(nftnl_set_alloc()), nftnl_set_free);
    nftnl_set_set_str(object.get(), NFTNL_SET_TABLE, table.c_str());
    nftnl_set_set_str(object.get(), NFTNL_SET_NAME, set.c_str());
    const std::size_t end = std::min(elements.size(), start + kElementsPerMessage);
    for (std::size_t i = start; i < end; ++i) {
      nftnl_set_elem* element = made(nftnl_set_elem_alloc());
      nftnl_set_elem_add(object.get(), element);  // takes it
      const Bytes key = elements[i].key.bytes();
      nftnl_set_elem_set(element, NFTNL_SET_ELEM_KEY, key.data(), static_cast<std::uint32_t>(key.size()));
      if (elements[i].key_end) {
        const Bytes end_key = elements[i].key_end->bytes();
        nftnl_set_elem_set(element, NFTNL_SET_ELEM_KEY_END, end_key.data(), static_cast<std::uint32_t>(end_key.size()));
      }
      if (!elements[i].data) continue;
      const Bytes data = elements[i].data->bytes();
      nftnl_set_elem_set(element, NFTNL_SET_ELEM_DATA, data.data(), static_cast<std::uint32_t>(data.size()));
    }
    const std::size_t limit = 256 + (end - start) * kElementLimit;
    nftnl_set_elems_nlmsg_build_payload(start_message(batch_, type, flags, NFPROTO_INET, limit), object.get());
    batch_.finish(what + set);
  }
}

void NftBatch::add_elements(const std::string& table, const std::string& set,
                            const std::vector<NftElement>& elements) {
  change_elements(table, set, elements, NFT_MSG_NEWSETELEM, NLM_F_CREATE, "add to nftables set ");
}

void NftBatch::delete_elements(const std::string& table, const std::string& set,
                               const std::vector<NftElement>& elements) {
  change_elements(table, set, elements, NFT_MSG_DELSETELEM, 0, "delete from nftables set ");
}

void NftBatch::commit(const NetlinkSocket& socket) {
  put_batch_marker(batch_, NFNL_MSG_BATCH_END, "end nftables transaction");
  socket.run(batch_);
  batch_ = NetlinkBatch();
}

std::optional<std::string> find_table_mark(const NetlinkSocket& socket, const std::string& table) {
  NetlinkBatch request;
  const Owned<nftnl_table, nftnl_table_free> object(made(nftnl_table_alloc()), nftnl_table_free);
  nftnl_table_set_str(object.get(), NFTNL_TABLE_NAME, table.c_str());
  nftnl_table_nlmsg_build_payload(start_message(request, NFT_MSG_GETTABLE, 0, NFPROTO_INET), object.get());
  request.finish("find nftables table " + table);
  std::optional<std::string> mark;
  try {
    socket.query(request, [&](const nlmsghdr* answer) {
      if (nftnl_table_nlmsg_parse(answer, object.get()) < 0) return;
      std::uint32_t size = 0;
      const void* data = nftnl_table_get_data(object.get(), NFTNL_TABLE_USERDATA, &size);
      mark = comment_of(data, size);
    });
  } catch (const Error& error) {
    if (error.error_number() != ENOENT) throw;
  }
  return mark;
}

std::vector<ForeignChain> list_chains(const NetlinkSocket& socket) {
  NetlinkBatch request;
  start_message(request, NFT_MSG_GETCHAIN, NLM_F_DUMP, NFPROTO_UNSPEC);
  request.finish("list nftables chains");
  std::vector<ForeignChain> chains;
  socket.query(request, [&](const nlmsghdr* answer) {
    const Owned<nftnl_chain, nftnl_chain_free> object(made(nftnl_chain_alloc()), nftnl_chain_free);
    if (nftnl_chain_nlmsg_parse(answer, object.get()) < 0) return;
    ForeignChain chain;
    chain.family = static_cast<std::uint8_t>(nftnl_chain_get_u32(object.get(), NFTNL_CHAIN_FAMILY));
    chain.table = text_or_empty(nftnl_chain_get_str(object.get(), NFTNL_CHAIN_TABLE));
    chain.name = text_or_empty(nftnl_chain_get_str(object.get(), NFTNL_CHAIN_NAME));
    if (nftnl_chain_is_set(object.get(), NFTNL_CHAIN_HOOKNUM)) {
      chain.hook = nftnl_chain_get_u32(object.get(), NFTNL_CHAIN_HOOKNUM);
      chain.priority = nftnl_chain_get_s32(object.get(), NFTNL_CHAIN_PRIO);
      chain.policy = nftnl_chain_get_u32(object.get(), NFTNL_CHAIN_POLICY);
    }
    chains.push_back(std::move(chain));
  });
  return chains;
}

std::vector<ForeignRule> list_rules(const NetlinkSocket& socket, std::uint8_t family, const std::string& table,
                                    const std::string& chain) {
  NetlinkBatch request;
  const auto wanted = new_rule();
  nftnl_rule_set_str(wanted.get(), NFTNL_RULE_TABLE, table.c_str());
  nftnl_rule_set_str(wanted.get(), NFTNL_RULE_CHAIN, chain.c_str());
  nftnl_rule_nlmsg_build_payload(start_message(request, NFT_MSG_GETRULE, NLM_F_DUMP, family), wanted.get());
  request.finish("list nftables rules of " + chain);
  std::vector<ForeignRule> rules;
  socket.query(request, [&](const nlmsghdr* answer) {
    const auto rule = new_rule();
    if (nftnl_rule_nlmsg_parse(answer, rule.get()) < 0) return;
    if (text_or_empty(nftnl_rule_get_str(rule.get(), NFTNL_RULE_CHAIN)) != chain ||
        text_or_empty(nftnl_rule_get_str(rule.get(), NFTNL_RULE_TABLE)) != table) {
      return;
    }
    std::uint32_t size = 0;
    const void* data = nftnl_rule_get_data(rule.get(), NFTNL_RULE_USERDATA, &size);
    rules.push_back({nftnl_rule_get_u64(rule.get(), NFTNL_RULE_HANDLE), comment_of(data, size)});
  });
  return rules;
}

std::vector<FoundElement> list_elements(const NetlinkSocket& socket, const std::string& table, const std::string& set) {
  NetlinkBatch request;
  const Owned<nftnl_set, nftnl_set_free> wanted(made(nftnl_set_alloc()), nftnl_set_free);
  nftnl_set_set_str(wanted.get(), NFTNL_SET_TABLE, table.c_str());
  nftnl_set_set_str(wanted.get(), NFTNL_SET_NAME, set.c_str());
  nftnl_set_elems_nlmsg_build_payload(start_message(request, NFT_MSG_GETSETELEM, NLM_F_DUMP, NFPROTO_INET),
                                      wanted.get());
  request.finish("list nftables set " + set);
  std::vector<FoundElement> elements;
  socket.query(request, [&](const nlmsghdr* answer) {
    const Owned<nftnl_set, nftnl_set_free> object(made(nftnl_set_alloc()), nftnl_set_free);
    if (nftnl_set_elems_nlmsg_parse(answer, object.get()) < 0) return;
    nftnl_set_elem_foreach(
        object.get(),
        [](nftnl_set_elem* element, void* list) {
          FoundElement found;
          std::uint32_t size = 0;
          const auto* key = static_cast<const char*>(nftnl_set_elem_get(element, NFTNL_SET_ELEM_KEY, &size));
          found.key.assign(key, size);
          if (nftnl_set_elem_is_set(element, NFTNL_SET_ELEM_DATA)) {
            const auto* data = static_cast<const char*>(nftnl_set_elem_get(element, NFTNL_SET_ELEM_DATA, &size));
            found.data.assign(data, size);
          }
          static_cast<std::vector<FoundElement>*>(list)->push_back(std::move(found));
          return 0;
        },
        &elements);
  });
  return elements;
}

}  // namespace ctr
