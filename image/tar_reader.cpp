#include "image/tar_reader.h"

#include <algorithm>
#include <archive.h>
#include <archive_entry.h>
#include <cstring>
#include <exception>
#include <limits>
#include <locale.h>
#include <vector>

#include "base/error.h"
#include "image/canonical_tar.h"

namespace ctr {

namespace {

constexpr std::size_t kBufferSize = 256 * 1024;
constexpr std::size_t kLinkLimit = 4095;
constexpr std::string_view kWhiteoutPrefix = ".wh.";
constexpr std::string_view kReservedPrefix = ".wh..wh.";
constexpr std::string_view kOpaqueName = ".wh..wh..opq";

struct FreeArchive {
  void operator()(struct archive* archive) const noexcept { ::archive_read_free(archive); }
};

// libarchive converts the UTF-8 of PAX headers to the thread's character set, and what that lacks is lost. In the C
// locale, which this program never leaves, that is everything but ASCII: so its calls run in C.UTF-8.
class Utf8Locale {
 public:
  Utf8Locale() : before_(::uselocale(utf8())) {}
  ~Utf8Locale() { ::uselocale(before_); }
  Utf8Locale(const Utf8Locale&) = delete;
  Utf8Locale& operator=(const Utf8Locale&) = delete;

 private:
  static locale_t utf8() {
    static const locale_t locale = ::newlocale(LC_CTYPE_MASK, "C.UTF-8", nullptr);
    return locale;
  }
  locale_t before_;
};

[[noreturn]] void refuse(const std::string& path, const std::string& why) {
  throw Error(ErrorKind::Invalid, "tar entry \"" + path.substr(0, 200) + "\" " + why);
}

std::uint32_t id_of(std::int64_t id, const std::string& path) {
  if (id < 0 || id >= std::numeric_limits<std::uint32_t>::max())
    refuse(path, "has the impossible owner " + std::to_string(id));
  return static_cast<std::uint32_t>(id);
}

Xattrs read_xattrs(struct archive_entry* from, const std::string& path) {
  Xattrs result;
  ::archive_entry_xattr_reset(from);
  const char* name = nullptr;
  const void* value = nullptr;
  std::size_t size = 0;
  while (::archive_entry_xattr_next(from, &name, &value, &size) == ARCHIVE_OK) {
    if (name == nullptr) continue;
    const std::string_view text = name;
    if (text.starts_with("trusted.overlay.") || text.starts_with("user.overlay."))
      refuse(path, "has the attribute " + std::string(text) + ", which only overlay file systems set");
    if (!is_canonical_xattr(text)) continue;
    if (text.size() > 255 || size > 65536) refuse(path, "has an attribute larger than Linux takes");
    result[std::string(text)] = std::string(static_cast<const char*>(value), size);
  }
  return result;
}

std::optional<EntryType> type_of(struct archive_entry* from) {
  if (::archive_entry_hardlink(from) != nullptr) return EntryType::HardLink;
  switch (::archive_entry_filetype(from)) {
    case AE_IFREG:
      return EntryType::File;
    case AE_IFDIR:
      return EntryType::Directory;
    case AE_IFLNK:
      return EntryType::Symlink;
    case AE_IFCHR:
      return EntryType::CharacterDevice;
    case AE_IFBLK:
      return EntryType::BlockDevice;
    case AE_IFIFO:
      return EntryType::Fifo;
    default:
      return std::nullopt;  // sockets, and what libarchive couldn't tell
  }
}

std::string raw_path(struct archive_entry* from) {
  if (const char* path = ::archive_entry_pathname(from)) return path;
  if (const char* path = ::archive_entry_pathname_utf8(from)) return path;
  throw Error(ErrorKind::Invalid, "tar entry has a name that is not UTF-8 although its format says so");
}

enum class MarkResult { NotAMark, Mark, Ignored };

// Turns ".wh.x" into a whiteout of x and ".wh..wh..opq" into an opaque mark of its directory.
MarkResult apply_mark(Entry& entry) {
  const std::string_view parent = parent_path(entry.path);
  if (parent.starts_with(kWhiteoutPrefix) || parent.find("/.wh.") != std::string_view::npos)
    refuse(entry.path, "is below a deleted file's mark");
  const std::string name(base_name(entry.path));
  if (!name.starts_with(kWhiteoutPrefix)) return MarkResult::NotAMark;
  const std::string directory(parent);
  if (name == kOpaqueName) {
    entry = Entry{directory, EntryType::Opaque};
    return MarkResult::Mark;
  }
  if (name.starts_with(kReservedPrefix)) return MarkResult::Ignored;  // aufs' own files
  const std::string hidden = name.substr(kWhiteoutPrefix.size());
  if (hidden.empty() || hidden == "." || hidden == "..") refuse(entry.path, "deletes nothing that can exist");
  entry = Entry{directory.empty() ? hidden : directory + "/" + hidden, EntryType::Whiteout};
  return MarkResult::Mark;
}

Entry convert(struct archive_entry* from, EntryType type) {
  const std::string path = raw_path(from);
  Entry entry{clean_entry_path(path), type};
  entry.mode = static_cast<std::uint32_t>(::archive_entry_perm(from)) & 07777;
  entry.uid = id_of(::archive_entry_uid(from), path);
  entry.gid = id_of(::archive_entry_gid(from), path);
  entry.mtime = {::archive_entry_mtime(from),
                 static_cast<std::uint32_t>(std::clamp(::archive_entry_mtime_nsec(from), 0L, 999'999'999L))};
  if (type == EntryType::File)
    entry.size = static_cast<std::uint64_t>(std::max<std::int64_t>(::archive_entry_size(from), 0));
  if (type == EntryType::HardLink) entry.link = clean_entry_path(::archive_entry_hardlink(from));
  if (type == EntryType::Symlink) {
    const char* target = ::archive_entry_symlink(from);
    entry.link = target ? target : "";
    if (entry.link.empty() || entry.link.size() > kLinkLimit) refuse(path, "is a symbolic link of impossible length");
  }
  if (type == EntryType::CharacterDevice || type == EntryType::BlockDevice) {
    entry.device_major = static_cast<std::uint32_t>(::archive_entry_rdevmajor(from));
    entry.device_minor = static_cast<std::uint32_t>(::archive_entry_rdevminor(from));
    if (entry.device_major > 0xfff || entry.device_minor > 0xfffff) refuse(path, "has an impossible device number");
    if (type == EntryType::CharacterDevice && entry.device_major == 0 && entry.device_minor == 0)
      refuse(path, "is the device 0/0, which overlay file systems take for a deleted file");
  }
  if (type == EntryType::File || type == EntryType::Directory) entry.xattrs = read_xattrs(from, path);
  const bool needs_name = type != EntryType::Directory;
  if (needs_name && entry.path.empty()) refuse(path, "replaces the root directory");
  return entry;
}

}  // namespace

struct TarReader::State {
  State(ByteSource& source, WhiteoutNames given) : input(source), names(given), buffer(kBufferSize) {}

  static la_ssize_t give(struct archive* to, void* self, const void** bytes) noexcept {
    auto& state = *static_cast<State*>(self);
    try {
      const std::size_t count = state.input.read(state.buffer);
      *bytes = state.buffer.data();
      return static_cast<la_ssize_t>(count);
    } catch (...) {
      state.failure = std::current_exception();
      ::archive_set_error(to, EIO, "input failed");
      return -1;
    }
  }

  // A failed read of the input is that error; anything else is the tar's fault.
  [[noreturn]] void fail() {
    if (failure) std::rethrow_exception(failure);
    const char* why = ::archive_error_string(tar.get());
    throw Error(ErrorKind::Corrupt, std::string("tar: ") + (why ? why : "unreadable"));
  }

  // Makes the next block of the current file available; false at its end.
  bool fill() {
    while (block.empty() && !at_end) {
      const void* bytes = nullptr;
      std::size_t count = 0;
      la_int64_t offset = 0;
      const int result = ::archive_read_data_block(tar.get(), &bytes, &count, &offset);
      if (result == ARCHIVE_EOF) {
        at_end = true;
        return false;
      }
      if (result != ARCHIVE_OK && result != ARCHIVE_WARN) fail();
      const auto begin = static_cast<std::uint64_t>(offset);
      if (offset < 0 || begin < position || begin > size || count > size - begin)
        throw Error(ErrorKind::Corrupt, "tar: a sparse file's map contradicts its size");
      block = {static_cast<const std::byte*>(bytes), count};
      block_offset = begin;
    }
    return !block.empty();
  }

  ByteSource& input;
  WhiteoutNames names;
  std::vector<std::byte> buffer;
  std::exception_ptr failure;
  std::unique_ptr<struct archive, FreeArchive> tar;
  Bytes block;                     // content of the current file that nobody has read yet ...
  std::uint64_t block_offset = 0;  // ... and where it belongs
  std::uint64_t position = 0;
  std::uint64_t size = 0;
  bool at_end = true;
};

TarReader::TarReader(ByteSource& source, WhiteoutNames names) : state_(std::make_unique<State>(source, names)) {
  const Utf8Locale locale;
  state_->tar.reset(::archive_read_new());
  struct archive* tar = state_->tar.get();
  if (tar == nullptr) throw Error(ErrorKind::System, "tar: out of memory");
  ::archive_read_support_format_tar(tar);
  ::archive_read_support_format_empty(tar);
  if (::archive_read_open(tar, state_.get(), nullptr, &State::give, nullptr) != ARCHIVE_OK) state_->fail();
}

TarReader::~TarReader() = default;

std::optional<Entry> TarReader::next() {
  const Utf8Locale locale;
  for (;;) {
    struct archive_entry* from = nullptr;
    const int result = ::archive_read_next_header(state_->tar.get(), &from);
    if (result == ARCHIVE_EOF) return std::nullopt;
    if (result == ARCHIVE_RETRY) continue;
    if (result != ARCHIVE_OK && result != ARCHIVE_WARN) state_->fail();
    state_->block = {};
    state_->position = 0;
    state_->size = 0;
    state_->at_end = true;
    const std::optional<EntryType> type = type_of(from);
    if (!type) continue;
    Entry entry = convert(from, *type);
    if (state_->names == WhiteoutNames::AreMarks) {
      const MarkResult mark = apply_mark(entry);
      if (mark == MarkResult::Ignored) continue;
      if (mark == MarkResult::Mark) return entry;
    }
    state_->size = entry.size;
    state_->at_end = entry.type != EntryType::File;
    return entry;
  }
}

std::uint64_t TarReader::skip_hole() {
  State& state = *state_;
  const bool has_data = state.fill();
  const std::uint64_t data = has_data ? state.block_offset : state.size;
  const std::uint64_t hole = data - state.position;
  state.position = data;
  return hole;
}

std::size_t TarReader::read(std::span<std::byte> buffer) {
  State& state = *state_;
  if (buffer.empty()) return 0;
  const bool has_data = state.fill();
  const std::uint64_t data = has_data ? state.block_offset : state.size;
  if (data > state.position) {
    const auto count = static_cast<std::size_t>(std::min<std::uint64_t>(buffer.size(), data - state.position));
    std::memset(buffer.data(), 0, count);
    state.position += count;
    return count;
  }
  if (!has_data) return 0;
  const std::size_t count = std::min(buffer.size(), state.block.size());
  std::memcpy(buffer.data(), state.block.data(), count);
  state.block = state.block.subspan(count);
  state.block_offset += count;
  state.position += count;
  return count;
}

}  // namespace ctr
