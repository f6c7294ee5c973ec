#include "image/erofs_xattrs.h"

#include <utility>
#include <vector>

#include "base/error.h"
#include "image/erofs_format.h"

namespace ctr {

namespace {

constexpr std::uint64_t kHeaderSize = 12;
constexpr std::uint64_t kEntryHeaderSize = 4;
constexpr std::size_t kValueLimit = 65535;
constexpr std::size_t kSharedPerInode = 255;
constexpr std::uint64_t kBodyLimit = kHeaderSize + 4 * std::uint64_t{65534};

struct Prefix {
  std::string_view text;
  std::uint8_t index;
};
constexpr Prefix kPrefixes[] = {{"user.", 1}, {"trusted.", 4}, {"security.", 6}};

/// As a directory's file system would say: with such a value every exec of the file would fail, so nobody meant it.
bool is_value_for_linux(std::string_view name, const std::string& value) {
  if (name == "user.") return false;
  if (name != "security.capability") return true;
  // struct vfs_ns_cap_data, in little-endian words: revision and a flag, four of capabilities, in revision 3 the root.
  const auto word = [&](std::size_t at) {
    std::uint32_t result = 0;
    for (std::size_t i = 4; i-- > 0;) result = result << 8 | static_cast<unsigned char>(value[at + i]);
    return result;
  };
  if (value.size() != 20 && value.size() != 24) return false;
  const std::uint32_t revision = word(0) & ~1U;
  return value.size() == 20 ? revision == 0x02000000 : revision == 0x03000000 && word(20) != 0xFFFFFFFF;
}

}  // namespace

ErofsXattrs::Key ErofsXattrs::key_of(std::string_view name, const std::string& value) {
  if (name == "system.posix_acl_access") return {2, "", value};
  if (name == "system.posix_acl_default") return {3, "", value};
  for (const Prefix& prefix : kPrefixes) {
    if (name.starts_with(prefix.text)) return {prefix.index, std::string(name.substr(prefix.text.size())), value};
  }
  return {0, std::string(name), value};
}

std::uint64_t ErofsXattrs::entry_size(const Key& key) {
  return erofs_align(kEntryHeaderSize + std::get<1>(key).size() + std::get<2>(key).size(), 4);
}

std::string ErofsXattrs::entry_bytes(const Key& key) {
  const auto& [index, name, value] = key;
  ErofsBytes bytes;
  bytes.u8(static_cast<std::uint8_t>(name.size())).u8(index).u16(static_cast<std::uint16_t>(value.size()));
  bytes.text(name).text(value).pad_to(entry_size(key));
  return bytes.bytes();
}

std::uint64_t ErofsXattrs::size_limit(const Xattrs& xattrs) {
  if (xattrs.empty()) return 0;
  std::uint64_t size = kHeaderSize;
  for (const auto& [name, value] : xattrs) size += entry_size(key_of(name, value));
  return size;
}

void ErofsXattrs::check_values(const std::string& path, const Xattrs& xattrs) {
  for (const auto& [name, value] : xattrs) {
    if (!is_value_for_linux(name, value))
      throw Error(ErrorKind::Invalid, "file " + path + " has an attribute " + name + " that Linux refuses");
  }
}

void ErofsXattrs::count(const std::string& path, const Xattrs& xattrs) {
  if (size_limit(xattrs) > kBodyLimit) throw Error(ErrorKind::Invalid, "file " + path + " has too many attributes");
  for (const auto& [name, value] : xattrs) {
    Key key = key_of(name, value);
    if (std::get<0>(key) == 0 || name.size() > 255 || value.size() > kValueLimit)
      throw Error(ErrorKind::Invalid, "file " + path + " has the attribute " + name + ", which a layer can't hold");
    ++counts_[std::move(key)];
  }
}

void ErofsXattrs::share() {
  std::map<Key, std::uint64_t> offsets;
  for (const auto& [key, count] : counts_) {
    if (count < 2) continue;
    offsets.emplace(key, shared_.size());
    shared_ += entry_bytes(key);
  }
  counts_ = std::move(offsets);
}

std::string ErofsXattrs::encode(const Xattrs& xattrs) const {
  if (xattrs.empty()) return {};
  std::vector<std::uint64_t> shared;
  std::string entries;
  for (const auto& [name, value] : xattrs) {
    const Key key = key_of(name, value);
    const auto found = counts_.find(key);
    if (found != counts_.end() && shared.size() < kSharedPerInode) {
      shared.push_back(found->second / 4);
    } else {
      entries += entry_bytes(key);
    }
  }
  ErofsBytes bytes;
  bytes.u32(0).u8(static_cast<std::uint8_t>(shared.size())).pad_to(kHeaderSize);
  for (const std::uint64_t id : shared) bytes.u32(static_cast<std::uint32_t>(id));
  return bytes.text(entries).bytes();
}

}  // namespace ctr
