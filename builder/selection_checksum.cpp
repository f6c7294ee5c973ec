#include "builder/selection_checksum.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <thread>

#include "base/error.h"
#include "base/rooted_path.h"
#include "builder/file_xattrs.h"
#include "builder/source_hashes.h"

namespace ctr {

namespace {

constexpr std::string_view kMagic = "ctr file hashes 1\n";
constexpr std::int64_t kGrainNs = 2'000'000'000;

std::int64_t nanoseconds(const struct ::timespec& time) { return time.tv_sec * 1'000'000'000LL + time.tv_nsec; }

std::int64_t now_ns() {
  struct ::timespec time = {};
  ::clock_gettime(CLOCK_REALTIME, &time);
  return nanoseconds(time);
}

/// How an entry lies in the file.
struct StoredEntry {
  std::uint64_t device, inode, size;
  std::int64_t mtime_ns, ctime_ns;
  char digest[32];
};
static_assert(sizeof(StoredEntry) == 72);

Digest digest_of_raw(const char* raw) {
  constexpr char kHexDigits[] = "0123456789abcdef";
  std::string hex;
  for (int i = 0; i < 32; ++i) {
    const auto byte = static_cast<unsigned char>(raw[i]);
    hex += kHexDigits[byte >> 4];
    hex += kHexDigits[byte & 15];
  }
  return *Digest::from_hex(hex);
}

void raw_of_digest(const Digest& digest, char* raw) {
  const std::string hex = digest.hex();
  const auto value = [](char digit) { return digit <= '9' ? digit - '0' : digit - 'a' + 10; };
  for (std::size_t i = 0; i < 32; ++i) raw[i] = static_cast<char>(value(hex[2 * i]) << 4 | value(hex[2 * i + 1]));
}

}  // namespace

FileHashCache::Key FileHashCache::key_of(const struct ::stat& info) {
  return {info.st_dev, info.st_ino, static_cast<std::uint64_t>(info.st_size), nanoseconds(info.st_mtim),
          nanoseconds(info.st_ctim)};
}

FileHashCache::FileHashCache(fs::path file) : file_(std::move(file)) {
  try {
    if (const auto content = find_file(file_, kMaxEntries * sizeof(StoredEntry) + kMagic.size())) load(*content);
  } catch (const Error&) {
    entries_.clear();  // a cache that can't be read is an empty one
  }
}

void FileHashCache::load(const std::string& content) {
  if (!content.starts_with(kMagic) || (content.size() - kMagic.size()) % sizeof(StoredEntry) != 0) return;
  const std::size_t count = (content.size() - kMagic.size()) / sizeof(StoredEntry);
  entries_.reserve(count);
  for (std::size_t index = 0; index < count; ++index) {
    StoredEntry entry;
    std::memcpy(&entry, content.data() + kMagic.size() + index * sizeof entry, sizeof entry);
    entries_.emplace(Key{entry.device, entry.inode, entry.size, entry.mtime_ns, entry.ctime_ns},
                     Value{digest_of_raw(entry.digest), false});
  }
}

std::optional<Digest> FileHashCache::find(const struct ::stat& info) {
  const std::lock_guard lock(mutex_);
  const auto found = entries_.find(key_of(info));
  if (found == entries_.end()) return std::nullopt;
  found->second.is_used = true;
  return found->second.digest;
}

void FileHashCache::remember(const struct ::stat& info, const Digest& digest) {
  const std::lock_guard lock(mutex_);
  entries_.insert_or_assign(key_of(info), Value{digest, true});
  is_changed_ = true;
}

void FileHashCache::save() noexcept {
  const std::lock_guard lock(mutex_);
  if (!is_changed_ || file_.empty()) return;
  try {
    std::string content(kMagic);
    // Entries that were not used may belong to files that were edited: they make room first.
    std::size_t room = std::max<std::size_t>(1000, 2 * static_cast<std::size_t>(std::count_if(
                                                           entries_.begin(), entries_.end(),
                                                           [](const auto& each) { return each.second.is_used; })));
    room = std::min(room, kMaxEntries);
    for (const bool wants_used : {true, false}) {
      for (const auto& [key, value] : entries_) {
        if (value.is_used != wants_used || room == 0) continue;
        StoredEntry entry{key.device, key.inode, key.size, key.mtime_ns, key.ctime_ns, {}};
        raw_of_digest(value.digest, entry.digest);
        content.append(reinterpret_cast<const char*>(&entry), sizeof entry);
        --room;
      }
    }
    make_directories(file_.parent_path());
    write_file_atomic(file_, content, Durability::Cached, 0600);
    is_changed_ = false;
  } catch (const std::exception&) {
    // The next build hashes again.
  }
}

Digest hash_file(const SourceTree& tree, const TreeFile& file, FileHashCache& hashes) {
  if (const auto known = hashes.find(file.info)) return *known;
  const std::int64_t before_ns = now_ns();
  const Fd fd = open_beneath(tree.root(), file.path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
  struct ::stat before = {};
  check(::fstat(fd.get(), &before), "stat", file.path);
  if (!S_ISREG(before.st_mode)) throw Error(ErrorKind::Busy, "/" + file.path + " changed while it was read");
  Hasher hasher;
  hash_xattrs(hasher, read_layer_xattrs(fd.get()));
  std::string buffer(256 * 1024, '\0');
  std::uint64_t size = 0;
  for (;;) {
    const ssize_t count = ::read(fd.get(), buffer.data(), buffer.size());
    if (count < 0 && errno == EINTR) continue;
    check(count, "read", file.path);
    if (count == 0) break;
    hasher.write(std::string_view(buffer).substr(0, static_cast<std::size_t>(count)));
    size += static_cast<std::uint64_t>(count);
  }
  const Digest digest = hasher.digest();
  struct ::stat after = {};
  check(::fstat(fd.get(), &after), "stat", file.path);
  const bool is_stable = size == static_cast<std::uint64_t>(before.st_size) && before.st_size == after.st_size &&
                         nanoseconds(before.st_mtim) == nanoseconds(after.st_mtim) &&
                         nanoseconds(before.st_ctim) == nanoseconds(after.st_ctim);
  const std::int64_t youngest = std::max(nanoseconds(after.st_mtim), nanoseconds(after.st_ctim));
  if (is_stable && youngest + kGrainNs <= before_ns) hashes.remember(after, digest);
  return digest;
}

namespace {

/// What an entry is besides its name and its bytes.
std::string describe(const Selection& selection, const SelectedFile& selected) {
  const struct ::stat& info = selected.file.info;
  const auto mode = info.st_mode & 07777;
  std::string text;
  switch (info.st_mode & S_IFMT) {
    case S_IFDIR: text = "d"; break;
    case S_IFREG: text = "f"; break;
    case S_IFLNK: text = "l"; break;
    case S_IFCHR: text = "c"; break;
    case S_IFBLK: text = "b"; break;
    default: text = "p"; break;
  }
  if (!S_ISLNK(info.st_mode)) text += ' ' + std::to_string(mode);
  if (selection.tree->owners() == Owners::Kept)
    text += ' ' + std::to_string(info.st_uid) + ':' + std::to_string(info.st_gid);
  if (S_ISCHR(info.st_mode) || S_ISBLK(info.st_mode))
    text += ' ' + std::to_string(::major(info.st_rdev)) + ':' + std::to_string(::minor(info.st_rdev));
  if (S_ISLNK(info.st_mode)) text += " -> " + read_link_text(selection.tree->root(), selected.file.path);
  return text;
}

struct HashTask {
  const Selection* selection;
  const SelectedFile* file;
  std::optional<Digest> digest;
};

void hash_all(std::vector<HashTask>& tasks, FileHashCache& hashes, unsigned threads) {
  std::atomic<std::size_t> next{0};
  std::exception_ptr failure;
  std::mutex failure_mutex;
  const auto work = [&] {
    try {
      for (std::size_t index; (index = next.fetch_add(1)) < tasks.size();)
        tasks[index].digest = hash_file(*tasks[index].selection->tree, tasks[index].file->file, hashes);
    } catch (...) {
      const std::lock_guard lock(failure_mutex);
      if (!failure) failure = std::current_exception();
      next = tasks.size();
    }
  };
  std::vector<std::thread> helpers;
  // A thread costs about as much as hashing a few dozen small files.
  const std::size_t useful = std::min<std::size_t>(threads, tasks.size() / 32 + 1);
  for (std::size_t i = 1; i < useful; ++i) helpers.emplace_back(work);
  work();
  for (std::thread& helper : helpers) helper.join();
  if (failure) std::rethrow_exception(failure);
}

}  // namespace

SelectionChecksum checksum_selections(const std::vector<Selection>& selections, FileHashCache& hashes, unsigned threads,
                                      const SourceHashes* passed) {
  std::vector<HashTask> tasks;
  for (const Selection& selection : selections)
    for (const SelectedFile& file : selection.files) {
      if (!S_ISREG(file.file.info.st_mode)) continue;
      HashTask task{&selection, &file, hashes.find(file.file.info)};
      if (const auto* known = passed != nullptr && !task.digest ? passed->find(file.file.info) : nullptr) {
        task.digest = known->digest;
        if (known->is_stable) hashes.remember(known->info, known->digest);
      }
      tasks.push_back(std::move(task));
    }
  std::vector<HashTask> unknown;
  for (const HashTask& task : tasks)
    if (!task.digest) unknown.push_back(task);
  hash_all(unknown, hashes, threads);
  std::size_t next_unknown = 0;
  for (HashTask& task : tasks)
    if (!task.digest) task.digest = unknown[next_unknown++].digest;

  Hasher hasher;
  SelectionLines lines;
  std::size_t next_task = 0;
  for (const Selection& selection : selections) {
    const bool is_directory = selection.is_directory;
    const std::string head = is_directory ? "" : selection.base_name;
    hasher.write(is_directory ? "directory\n" : selection.unpack ? "archive\n" : "file\n");
    if (selection.content) {
      const std::string line = "content " + Digest::of(*selection.content).str();
      hasher.write(head + '\0' + line + '\n');
      lines[head] = line;
    }
    for (const SelectedFile& file : selection.files) {
      const bool is_file = S_ISREG(file.file.info.st_mode);
      const std::string name = join_path(head, file.target);
      // The directory whose contents are copied gives nothing but its contents.
      if (is_directory && file.target.empty()) continue;
      std::string line = describe(selection, file);
      if (is_file) line += ' ' + tasks[next_task++].digest->hex();
      hasher.write(name + '\0' + line + '\n');
      lines[name] = std::move(line);
    }
  }
  return {hasher.digest(), std::move(lines)};
}

}  // namespace ctr
