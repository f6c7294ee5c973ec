#include "image/entry_list.h"

#include <algorithm>
#include <utility>

#include "base/error.h"

namespace ctr {

namespace {

constexpr std::string_view kMagic = "ctr-entries-1\n";
constexpr std::uint8_t kEnd = 0xff;
constexpr std::uint8_t kImplied = 0x80;
constexpr std::size_t kXattrLimit = 1024;

void put_number(std::string& bytes, std::uint64_t value) {
  for (; value >= 0x80; value >>= 7) bytes += static_cast<char>(value | 0x80);
  bytes += static_cast<char>(value);
}

void put_text(std::string& bytes, std::string_view text) {
  put_number(bytes, text.size());
  bytes += text;
}

// Small numbers for small magnitudes of either sign.
std::uint64_t fold_sign(std::int64_t value) {
  return (static_cast<std::uint64_t>(value) << 1) ^ static_cast<std::uint64_t>(value >> 63);
}
std::int64_t unfold_sign(std::uint64_t value) {
  return static_cast<std::int64_t>(value >> 1) ^ -static_cast<std::int64_t>(value & 1);
}

std::size_t common_prefix(std::string_view left, std::string_view right) {
  const std::size_t limit = std::min(left.size(), right.size());
  std::size_t length = 0;
  while (length < limit && left[length] == right[length]) ++length;
  return length;
}

[[noreturn]] void throw_corrupt() {
  throw Error(ErrorKind::Corrupt, "entry list of a layer is damaged");
}

template <typename Number>
Number narrow(std::uint64_t value) {
  if (value > ~Number{0}) throw_corrupt();
  return static_cast<Number>(value);
}

}  // namespace

EntryListWriter::EntryListWriter() : bytes_(kMagic) {}

void EntryListWriter::add(const Entry& entry, bool is_implied) {
  ++count_;
  bytes_ += static_cast<char>(static_cast<std::uint8_t>(entry.type) | (is_implied ? kImplied : 0));
  const std::size_t prefix = common_prefix(last_path_, entry.path);
  put_number(bytes_, prefix);
  put_text(bytes_, std::string_view(entry.path).substr(prefix));
  last_path_ = entry.path;
  for (const std::uint64_t number : {std::uint64_t{entry.mode}, std::uint64_t{entry.uid}, std::uint64_t{entry.gid},
                                     fold_sign(entry.mtime.seconds), std::uint64_t{entry.mtime.nanoseconds}, entry.size,
                                     std::uint64_t{entry.device_major}, std::uint64_t{entry.device_minor}})
    put_number(bytes_, number);
  put_text(bytes_, entry.link);
  put_number(bytes_, entry.xattrs.size());
  for (const auto& [name, value] : entry.xattrs) {
    put_text(bytes_, name);
    put_text(bytes_, value);
  }
}

std::string EntryListWriter::finish() && {
  bytes_ += static_cast<char>(kEnd);
  put_number(bytes_, count_);
  return std::move(bytes_);
}

EntryListReader::EntryListReader(std::string bytes) : bytes_(std::move(bytes)), position_(kMagic.size()) {
  if (!bytes_.starts_with(kMagic)) throw_corrupt();
}

std::uint64_t EntryListReader::take_number() {
  std::uint64_t value = 0;
  for (unsigned shift = 0; shift < 64; shift += 7) {
    if (position_ >= bytes_.size()) throw_corrupt();
    const auto byte = static_cast<std::uint8_t>(bytes_[position_++]);
    value |= std::uint64_t{byte & 0x7fu} << shift;
    if (byte < 0x80) return value;
  }
  throw_corrupt();
}

std::string_view EntryListReader::take_text(std::size_t limit) {
  const std::uint64_t size = take_number();
  if (size > limit || size > bytes_.size() - position_) throw_corrupt();
  const auto length = static_cast<std::size_t>(size);
  position_ += length;
  return std::string_view(bytes_).substr(position_ - length, length);
}

std::optional<ListedEntry> EntryListReader::next() {
  if (position_ >= bytes_.size()) throw_corrupt();
  const auto head = static_cast<std::uint8_t>(bytes_[position_++]);
  if (head == kEnd) {
    --position_;
    return std::nullopt;
  }
  const auto type = static_cast<std::uint8_t>(head & ~kImplied);
  if (type > static_cast<std::uint8_t>(EntryType::Opaque)) throw_corrupt();
  ListedEntry result;
  result.is_implied = (head & kImplied) != 0;
  Entry& entry = result.entry;
  entry.type = static_cast<EntryType>(type);
  const std::uint64_t prefix = take_number();
  if (prefix > last_path_.size()) throw_corrupt();
  entry.path = last_path_.substr(0, static_cast<std::size_t>(prefix));
  entry.path += take_text(4096);
  last_path_ = entry.path;
  entry.mode = narrow<std::uint32_t>(take_number());
  entry.uid = narrow<std::uint32_t>(take_number());
  entry.gid = narrow<std::uint32_t>(take_number());
  entry.mtime.seconds = unfold_sign(take_number());
  entry.mtime.nanoseconds = narrow<std::uint32_t>(take_number());
  entry.size = take_number();
  entry.device_major = narrow<std::uint32_t>(take_number());
  entry.device_minor = narrow<std::uint32_t>(take_number());
  entry.link = take_text(4096);
  const std::uint64_t xattrs = take_number();
  if (xattrs > kXattrLimit) throw_corrupt();
  for (std::uint64_t i = 0; i < xattrs; ++i) {
    std::string name(take_text(256));
    entry.xattrs.emplace(std::move(name), take_text(64 * 1024));
  }
  return result;
}

}  // namespace ctr
