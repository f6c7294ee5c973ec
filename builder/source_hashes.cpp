#include "builder/source_hashes.h"

#include <algorithm>

#include "base/error.h"
#include "base/time.h"
#include "builder/file_xattrs.h"

namespace ctr {

namespace {

constexpr std::size_t kBlockSize = 1024 * 1024;
constexpr std::size_t kMaxBlocks = 4;
/// A file that is written twice within the clock's grain would keep an old hash.
constexpr std::int64_t kGrainNs = 2'000'000'000;

std::int64_t nanoseconds(const struct ::timespec& time) { return time.tv_sec * 1'000'000'000LL + time.tv_nsec; }

std::int64_t now_ns() {
  struct ::timespec time = {};
  ::clock_gettime(CLOCK_REALTIME, &time);
  return nanoseconds(time);
}

bool is_same_state(const struct ::stat& left, const struct ::stat& right) {
  return left.st_size == right.st_size && nanoseconds(left.st_mtim) == nanoseconds(right.st_mtim) &&
         nanoseconds(left.st_ctim) == nanoseconds(right.st_ctim);
}

}  // namespace

SourceHashes::SourceHashes() : thread_([this] { hash_blocks(); }) {}

SourceHashes::~SourceHashes() {
  {
    const std::lock_guard lock(mutex_);
    is_finished_ = true;
  }
  changed_.notify_all();
  if (thread_.joinable()) thread_.join();
}

void SourceHashes::begin(int fd, const Xattrs& xattrs) {
  File file;
  file.begun_ns = now_ns();
  check(::fstat(fd, &file.before), "stat");
  block_.parts.push_back({files_.size(), 0, xattrs});
  files_.push_back(file);
}

void SourceHashes::write(Bytes bytes) {
  while (!bytes.empty()) {
    const std::size_t count = std::min(bytes.size(), kBlockSize - block_.bytes.size());
    append(as_chars(bytes.first(count)));
    bytes = bytes.subspan(count);
  }
}

void SourceHashes::write_zeros(std::uint64_t size) {
  const std::string zeros(static_cast<std::size_t>(std::min<std::uint64_t>(size, kBlockSize)), '\0');
  while (size > 0) {
    const auto count = static_cast<std::size_t>(std::min<std::uint64_t>(size, zeros.size()));
    write(as_bytes(std::string_view(zeros).substr(0, count)));
    size -= count;
  }
}

void SourceHashes::append(std::string_view bytes) {
  if (block_.parts.empty()) block_.parts.push_back({files_.size() - 1, 0, {}});
  block_.bytes += bytes;
  block_.parts.back().size += bytes.size();
  if (block_.bytes.size() >= kBlockSize) push();
}

void SourceHashes::end(int fd) {
  check(::fstat(fd, &files_.back().after), "stat");
  // A tree of empty files must not pile up either.
  if (block_.parts.size() >= 4096) push();
}

void SourceHashes::push() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return blocks_.size() < kMaxBlocks || failure_; });
  if (failure_) std::rethrow_exception(failure_);
  blocks_.push_back(std::move(block_));
  block_ = {};
  block_.bytes.reserve(kBlockSize);
  changed_.notify_all();
}

void SourceHashes::hash_blocks() {
  try {
    Hasher hasher;
    std::optional<std::size_t> current;
    for (;;) {
      Block block;
      {
        std::unique_lock lock(mutex_);
        changed_.wait(lock, [&] { return !blocks_.empty() || is_finished_; });
        if (blocks_.empty()) break;
        block = std::move(blocks_.front());
        blocks_.pop_front();
        changed_.notify_all();
      }
      std::string_view rest = block.bytes;
      for (const Part& part : block.parts) {
        if (current != part.file) {
          if (current) digests_.push_back(hasher.digest());
          hasher = Hasher();
          hash_xattrs(hasher, part.xattrs);
          current = part.file;
        }
        hasher.write(rest.substr(0, part.size));
        rest.remove_prefix(part.size);
      }
    }
    if (current) digests_.push_back(hasher.digest());
  } catch (...) {
    const std::lock_guard lock(mutex_);
    failure_ = std::current_exception();
    changed_.notify_all();
  }
}

void SourceHashes::finish() {
  if (!block_.parts.empty()) push();
  {
    const std::lock_guard lock(mutex_);
    is_finished_ = true;
  }
  changed_.notify_all();
  thread_.join();
  if (failure_) std::rethrow_exception(failure_);
  for (std::size_t index = 0; index < files_.size(); ++index) {
    const File& file = files_[index];
    const std::int64_t youngest = std::max(nanoseconds(file.after.st_mtim), nanoseconds(file.after.st_ctim));
    Known known{digests_.at(index), file.after, false};
    known.is_stable = is_same_state(file.before, file.after) && youngest + kGrainNs <= file.begun_ns;
    known_.insert_or_assign({file.after.st_dev, file.after.st_ino}, std::move(known));
  }
}

const SourceHashes::Known* SourceHashes::find(const struct ::stat& info) const {
  const auto found = known_.find({info.st_dev, info.st_ino});
  if (found == known_.end() || !is_same_state(found->second.info, info)) return nullptr;
  return &found->second;
}

}  // namespace ctr
