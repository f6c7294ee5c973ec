#include "image/canonical_tar.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <vector>

#include "base/error.h"
#include "image/held_owner.h"

// testdata/canonical_tar/RULES.md is the specification; every line of this file serves one of its rules.
namespace ctr {

namespace {

constexpr std::size_t kBlock = 512;
constexpr std::size_t kNameField = 100;
constexpr std::uint64_t kOctal7 = 07777777;
constexpr std::uint64_t kOctal11 = 077777777777;
constexpr std::string_view kPaxName = "PaxHeaders/0";
constexpr std::string_view kWhiteoutPrefix = ".wh.";
constexpr std::string_view kOpaqueName = ".wh..wh..opq";

struct Header {
  char name[100];
  char mode[8];
  char uid[8];
  char gid[8];
  char size[12];
  char mtime[12];
  char checksum[8];
  char type;
  char link[100];
  char magic[6];
  char version[2];
  char user[32];
  char group[32];
  char major[8];
  char minor[8];
  char prefix[155];
  char padding[12];
};
static_assert(sizeof(Header) == kBlock);

// Digits to the width of the field but one, then NUL.
template <std::size_t Size>
void put_octal(char (&field)[Size], std::uint64_t value) {
  field[Size - 1] = '\0';
  for (std::size_t i = Size - 1; i-- > 0; value /= 8) field[i] = static_cast<char>('0' + value % 8);
}

template <std::size_t Size>
void put_text(char (&field)[Size], std::string_view text) {
  std::memcpy(field, text.data(), std::min(Size, text.size()));
}

Bytes finish_header(Header& header) {
  std::memcpy(header.magic, "ustar", 6);
  std::memcpy(header.version, "00", 2);
  std::memset(header.checksum, ' ', sizeof header.checksum);
  const auto* bytes = reinterpret_cast<const unsigned char*>(&header);
  std::uint64_t sum = 0;
  for (std::size_t i = 0; i < kBlock; ++i) sum += bytes[i];
  char digits[7];
  put_octal(digits, sum);
  std::memcpy(header.checksum, digits, sizeof digits);
  return std::as_bytes(std::span(&header, 1));
}

char type_flag(EntryType type) {
  switch (type) {
    case EntryType::HardLink:
      return '1';
    case EntryType::Symlink:
      return '2';
    case EntryType::CharacterDevice:
      return '3';
    case EntryType::BlockDevice:
      return '4';
    case EntryType::Directory:
      return '5';
    case EntryType::Fifo:
      return '6';
    case EntryType::File:
    case EntryType::Whiteout:
    case EntryType::Opaque:
      break;
  }
  return '0';
}

std::string tar_name(const Entry& entry) {
  switch (entry.type) {
    case EntryType::Directory:
      return entry.path.empty() ? "./" : entry.path + "/";
    case EntryType::Opaque:
      return (entry.path.empty() ? "" : entry.path + "/") + std::string(kOpaqueName);
    case EntryType::Whiteout: {
      const std::string_view parent = parent_path(entry.path);
      return (parent.empty() ? "" : std::string(parent) + "/") + std::string(kWhiteoutPrefix) +
             std::string(base_name(entry.path));
    }
    default:
      return entry.path;
  }
}

// "<length> <key>=<value>\n", where the length counts itself.
std::string pax_record(std::string_view key, std::string_view value) {
  const std::size_t rest = key.size() + value.size() + 3;
  std::size_t total = rest + std::to_string(rest).size();
  total = rest + std::to_string(total).size();
  std::string record = std::to_string(total) + " ";
  record.append(key).append("=").append(value).append("\n");
  return record;
}

std::string pax_records(const Entry& entry, const std::string& name) {
  std::vector<std::pair<std::string, std::string>> records;
  for (const auto& [key, value] : entry.xattrs) records.emplace_back("SCHILY.xattr." + key, value);
  if (entry.gid > kOctal7) records.emplace_back("gid", std::to_string(entry.gid));
  if (entry.link.size() > kNameField) records.emplace_back("linkpath", entry.link);
  if (entry.mtime.seconds < 0 || static_cast<std::uint64_t>(entry.mtime.seconds) > kOctal11)
    records.emplace_back("mtime", std::to_string(entry.mtime.seconds));
  if (name.size() > kNameField) records.emplace_back("path", name);
  if (entry.size > kOctal11) records.emplace_back("size", std::to_string(entry.size));
  if (entry.uid > kOctal7) records.emplace_back("uid", std::to_string(entry.uid));
  std::string text;
  for (const auto& [key, value] : records) text += pax_record(key, value);
  return text;
}

void write_padding(ByteSink& sink, std::uint64_t size) {
  static constexpr std::array<std::byte, kBlock> kZeros{};
  if (const std::size_t rest = size % kBlock) sink.write(Bytes(kZeros).first(kBlock - rest));
}

void write_pax(ByteSink& sink, const std::string& records) {
  if (records.empty()) return;
  Header header = {};
  put_text(header.name, kPaxName);
  put_octal(header.mode, 0644);
  put_octal(header.uid, 0);
  put_octal(header.gid, 0);
  put_octal(header.size, records.size());
  put_octal(header.mtime, 0);
  put_octal(header.major, 0);
  put_octal(header.minor, 0);
  header.type = 'x';
  sink.write(finish_header(header));
  sink.write(as_bytes(records));
  write_padding(sink, records.size());
}

std::uint64_t if_fits(std::uint64_t value, std::uint64_t limit) {
  return value > limit ? 0 : value;
}

void write_header(ByteSink& sink, const Entry& entry, const std::string& name) {
  Header header = {};
  put_text(header.name, name);
  put_octal(header.mode, entry.mode);
  put_octal(header.uid, if_fits(entry.uid, kOctal7));
  put_octal(header.gid, if_fits(entry.gid, kOctal7));
  put_octal(header.size, if_fits(entry.size, kOctal11));
  put_octal(header.mtime,
            entry.mtime.seconds < 0 ? 0 : if_fits(static_cast<std::uint64_t>(entry.mtime.seconds), kOctal11));
  put_text(header.link, entry.link);
  put_octal(header.major, entry.device_major);
  put_octal(header.minor, entry.device_minor);
  header.type = type_flag(entry.type);
  sink.write(finish_header(header));
}

void check_names(const Entry& entry) {
  for (std::string_view rest = entry.path; !rest.empty();) {
    const std::size_t slash = std::min(rest.find('/'), rest.size());
    if (rest.substr(0, slash).starts_with(kWhiteoutPrefix))
      throw Error(ErrorKind::Invalid, "file name \"" + entry.path + "\" can't be in an image: names that begin with " +
                                          "\".wh.\" mean deleted files");
    rest.remove_prefix(std::min(slash + 1, rest.size()));
  }
}

// Compares as the order of the archive: an opaque mark comes right behind its directory.
std::string order_key(const Entry& entry) {
  return (entry.type == EntryType::Opaque ? "1" : "0") + entry.path;
}

bool is_ascending(const std::string& left, const std::string& right) {
  const auto order = compare_paths(std::string_view(left).substr(1), std::string_view(right).substr(1));
  return order < 0 || (order == 0 && left[0] < right[0]);
}

}  // namespace

bool is_canonical_xattr(std::string_view name) {
  if (name.find('=') != std::string_view::npos) return false;
  if (name.starts_with("user.")) return !name.starts_with("user.overlay.") && name != kHeldOwnerXattr;
  return name == "security.capability" || name == "system.posix_acl_access" || name == "system.posix_acl_default";
}

Entry canonical_entry(Entry entry) {
  std::erase_if(entry.xattrs, [](const auto& xattr) { return !is_canonical_xattr(xattr.first); });
  entry.mtime.nanoseconds = 0;
  entry.mode &= 07777;
  if (entry.type != EntryType::File) entry.size = 0;
  if (entry.type == EntryType::Symlink) entry.mode = 0777;
  if (entry.type == EntryType::HardLink) entry.xattrs.clear();
  const bool is_link = entry.type == EntryType::Symlink || entry.type == EntryType::HardLink;
  if (!is_link) entry.link.clear();
  const bool is_device = entry.type == EntryType::CharacterDevice || entry.type == EntryType::BlockDevice;
  if (!is_device) entry.device_major = entry.device_minor = 0;
  const bool is_mark = entry.type == EntryType::Whiteout || entry.type == EntryType::Opaque;
  if (is_mark) entry = Entry{std::move(entry.path), entry.type};
  return entry;
}

CanonicalTarWriter::CanonicalTarWriter(ByteSink& sink, int version) : sink_(sink) {
  if (version != kCanonicalTarVersion)
    throw Error(ErrorKind::Invalid, "canonical tar version " + std::to_string(version) + " is unknown");
}

void CanonicalTarWriter::begin(const Entry& given) {
  end_entry();
  const Entry entry = canonical_entry(given);
  check_names(entry);
  std::string key = order_key(entry);
  if (!last_key_.empty() && !is_ascending(last_key_, key))
    throw Error(ErrorKind::Invalid, "layer entries out of order: " + entry.path + " after " + last_key_.substr(1));
  last_key_ = std::move(key);
  const std::string name = tar_name(entry);
  write_pax(sink_, pax_records(entry, name));
  write_header(sink_, entry, name);
  missing_ = entry.size;
  padding_ = entry.size;
}

void CanonicalTarWriter::write(Bytes content) {
  if (content.size() > missing_)
    throw Error(ErrorKind::Corrupt, last_key_.substr(1) + " has more content than its size says");
  missing_ -= content.size();
  sink_.write(content);
}

void CanonicalTarWriter::write_zeros(std::uint64_t count) {
  static constexpr std::array<std::byte, 64 * 1024> kZeros{};
  while (count > 0) {
    const auto part = static_cast<std::size_t>(std::min<std::uint64_t>(count, kZeros.size()));
    write(Bytes(kZeros).first(part));
    count -= part;
  }
}

void CanonicalTarWriter::add(const Entry& entry, FileContent& content) {
  begin(entry);
  if (entry.type != EntryType::File) return;
  std::vector<std::byte> buffer(static_cast<std::size_t>(std::min<std::uint64_t>(entry.size + 1, 256 * 1024)));
  for (;;) {
    if (const std::uint64_t hole = content.skip_hole()) {
      write_zeros(hole);
      continue;
    }
    const std::size_t count = content.read(buffer);
    if (count == 0) return;
    write(Bytes(buffer).first(count));
  }
}

void CanonicalTarWriter::end_entry() {
  if (missing_ != 0) throw Error(ErrorKind::Corrupt, last_key_.substr(1) + " has less content than its size says");
  write_padding(sink_, padding_);
  padding_ = 0;
}

void CanonicalTarWriter::finish() {
  end_entry();
  static constexpr std::array<std::byte, 2 * kBlock> kEnd{};
  sink_.write(kEnd);
}

}  // namespace ctr
