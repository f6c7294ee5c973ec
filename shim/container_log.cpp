#include "shim/container_log.h"

#include <algorithm>
#include <cerrno>
#include <fcntl.h>
#include <sys/stat.h>

#include "base/error.h"
#include "base/time.h"

namespace ctr {

namespace {

/// As Docker's: a longer line is cut into pieces of this size.
constexpr std::size_t kMaxEntry = 16 * 1024;
constexpr std::size_t kFlushSize = 32 * 1024;
constexpr char kNextFile[] = "log.next";

/// Where to cut the first entry off: after its newline, else at the largest size that splits no UTF-8 character.
std::size_t entry_length(std::string_view bytes) {
  const std::size_t newline = bytes.substr(0, kMaxEntry).find('\n');
  if (newline != std::string_view::npos) return newline + 1;
  if (bytes.size() <= kMaxEntry) return bytes.size();
  std::size_t length = kMaxEntry;
  while (length > kMaxEntry - 3 && (static_cast<unsigned char>(bytes[length]) & 0xc0) == 0x80) --length;
  return length;
}

}  // namespace

ContainerLog::ContainerLog(const fs::path& directory, const LogSettings& settings) {
  if (settings.driver == "none") return;
  directory_ = open_directory(directory);
  file_ = open_at(directory_.get(), kLogFile, O_RDWR | O_CREAT | O_NOFOLLOW, 0640);
  limit_ = static_cast<std::uint64_t>(std::max<std::int64_t>(settings.max_size_bytes, 0));
  max_files_ = std::max(settings.max_files, 1);
  size_ = repair_log_file(file_.get());
}

void ContainerLog::append(LogStream stream, std::string_view bytes) {
  if (!directory_ || bytes.empty()) return;
  const std::string time = format_time(now());
  if (lost_bytes_ != 0) note_loss(time);
  while (!bytes.empty()) {
    const std::size_t length = entry_length(bytes);
    const std::size_t before = pending_.size();
    append_log_line(pending_, bytes.substr(0, length), stream, time);
    // A line that would make the file too long is the first of the next file.
    if (limit_ != 0 && size_ + pending_.size() > limit_ && size_ + before > 0) {
      const std::string line = pending_.substr(before);
      pending_.resize(before);
      flush();
      rotate();
      pending_ = line;
    }
    pending_text_ += length;
    bytes.remove_prefix(length);
    if (pending_.size() >= kFlushSize) flush();
  }
  flush();
}

void ContainerLog::flush() {
  if (!pending_.empty() && !write_pending()) lost_bytes_ += pending_text_;
  pending_.clear();
  pending_text_ = 0;
}

/// All or nothing, so that the file holds whole lines whatever happens.
bool ContainerLog::write_pending() {
  if (!file_) return false;
  std::size_t done = 0;
  while (done < pending_.size()) {
    const ssize_t count =
        ::pwrite(file_.get(), pending_.data() + done, pending_.size() - done, static_cast<off_t>(size_ + done));
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) {
      if (::ftruncate(file_.get(), static_cast<off_t>(size_)) < 0) return false;
      return false;
    }
    done += static_cast<std::size_t>(count);
  }
  size_ += pending_.size();
  return true;
}

void ContainerLog::note_loss(std::string_view time) {
  append_log_line(pending_, "ctr: " + std::to_string(lost_bytes_) + " bytes of output could not be written here\n",
                  LogStream::Stderr, time);
  if (write_pending()) lost_bytes_ = 0;
  pending_.clear();
}

std::string ContainerLog::numbered(std::int32_t number) const {
  return number == 0 ? std::string(kLogFile) : std::string(kLogFile) + "." + std::to_string(number);
}

/// A reader that follows finds its file again by its inode under the next number, so nothing is lost to it. The new
/// file exists before the old one moves: without space for it the log grows beyond its bound, but loses nothing.
void ContainerLog::rotate() {
  const int dir = directory_.get();
  Fd next(::openat(dir, kNextFile, O_RDWR | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0640));
  if (!next) return;
  for (std::int32_t number = max_files_ - 1; number > 0; --number) {
    // ENOENT: there are not that many yet.
    ::renameat(dir, numbered(number - 1).c_str(), dir, numbered(number).c_str());
  }
  if (::renameat(dir, kNextFile, dir, numbered(0).c_str()) < 0) return;
  file_ = std::move(next);
  size_ = 0;
}

void ContainerLog::release_memory() {
  pending_ = std::string();
}

}  // namespace ctr
