#include "engine/logs.h"

#include <algorithm>
#include <cerrno>
#include <fcntl.h>
#include <poll.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>
#include <vector>

#include "base/error.h"
#include "base/lock.h"
#include "base/text.h"
#include "base/time.h"
#include "engine/shim_client.h"
#include "shim/protocol.h"

namespace ctr {

namespace {

constexpr int kMaxFiles = 1000;
constexpr int kMaxAttempts = 5;
/// A rotation leaves one number without a file; two that follow each other closely may look like more.
constexpr int kMaxGap = 3;
constexpr std::size_t kBlock = 64 * 1024;
/// A "line" longer than this is no line of ours; it is skipped.
constexpr std::size_t kMaxLine = 4 * kMiB;
/// How often a follower looks by itself, should the kernel give it no watch, and whether the container still lives.
constexpr int kFollowIntervalMs = 500;

using OnEntry = std::function<bool(const LogEntry&)>;

ino_t inode_of(int fd) {
  struct stat status = {};
  check(::fstat(fd, &status), "look at", "the log");
  return status.st_ino;
}

std::string name_of(int number) {
  return number == 0 ? std::string(kLogFile) : std::string(kLogFile) + "." + std::to_string(number);
}

/// The files of a log, which its shim renames while we read. A rotation moves each file to the next number, the highest
/// first: there is a gap for a moment, and a reader who goes upwards meets a file twice rather than never. The order in
/// which files were met last is that of their ages, however many rotations overtook the reader. Files are known by their
/// inodes, which are not given out again while we hold them.
class LogFiles {
 public:
  explicit LogFiles(const fs::path& directory) : directory_(open_directory(directory)) {}

  /// All of them, oldest first.
  std::vector<Fd> open_all() const {
    std::vector<Met> met = open_newer_than(std::nullopt).files;
    std::vector<Fd> files;
    for (auto file = met.rbegin(); file != met.rend(); ++file) files.push_back(std::move(file->file));
    return files;
  }

  /// The file that came after this one; nothing if this one is still the newest.
  std::optional<Fd> open_next(int current) const {
    const ino_t inode = inode_of(current);
    for (int attempt = 0;; ++attempt) {
      Newer newer = open_newer_than(inode);
      if (!newer.is_complete && attempt < kMaxAttempts) continue;
      // If ours was rotated away, it goes on with the oldest that is left.
      return newer.files.empty() ? std::nullopt : std::optional(std::move(newer.files.back().file));
    }
  }

  std::optional<Fd> open_oldest() const {
    std::vector<Met> met = open_newer_than(std::nullopt).files;
    return met.empty() ? std::nullopt : std::optional(std::move(met.back().file));
  }

 private:
  struct Met {
    ino_t inode;
    Fd file;
  };
  struct Newer {
    std::vector<Met> files;    // newest first
    bool is_complete = false;  // the file that was named was found behind them
  };

  Newer open_newer_than(std::optional<ino_t> known) const {
    Newer newer;
    int missing = 0;
    for (int number = 0; number < kMaxFiles && missing <= kMaxGap; ++number) {
      std::optional<Fd> file = find_at(directory_.get(), name_of(number), O_RDONLY);
      missing = file ? 0 : missing + 1;
      if (!file) continue;
      const ino_t inode = inode_of(file->get());
      newer.is_complete = inode == known;
      if (newer.is_complete) break;
      std::erase_if(newer.files, [&](const Met& met) { return met.inode == inode; });
      newer.files.push_back({inode, *std::move(file)});
    }
    return newer;
  }

  Fd directory_;
};

/// Turns the text of log files into entries that fit the query.
class EntryReader {
 public:
  EntryReader(const LogQuery& query, const OnEntry& on_entry) : query_(query), on_entry_(on_entry) {}

  /// Reads what a file has by now. False when no more is wanted.
  bool drain(int file) {
    std::size_t size = pending_.size();
    for (;;) {
      pending_.resize(size + kBlock);
      const ssize_t count = ::read(file, pending_.data() + size, kBlock);
      if (count < 0 && errno == EINTR) continue;
      check(count, "read", "the log");
      if (count == 0) break;
      size += static_cast<std::size_t>(count);
      const std::size_t used = take_lines(std::string_view(pending_.data(), size));
      if (is_over_) return false;
      pending_.erase(0, used);
      size -= used;
      if (size > kMaxLine) size = 0;
    }
    pending_.resize(size);
    return true;
  }

  /// A file is over: what is left of it is a line that a killed shim did not finish.
  bool end_file() {
    if (!pending_.empty()) {
      if (std::optional<LogLine> line = salvage_log_line(pending_)) {
        line_ = *std::move(line);
        emit();
      }
      pending_.clear();
    }
    return !is_over_;
  }

 private:
  std::size_t take_lines(std::string_view text) {
    std::size_t used = 0;
    for (std::size_t end; !is_over_ && (end = text.find('\n', used)) != std::string_view::npos; used = end + 1) {
      if (parse_log_line(text.substr(used, end - used), line_)) emit();
    }
    return used;
  }

  void emit() {
    const auto stream = static_cast<std::size_t>(line_.stream);
    const bool begins_line = begins_line_[stream];
    begins_line_[stream] = line_.text.ends_with('\n');
    LogEntry entry;
    entry.stream = line_.stream == LogStream::Stderr ? LogEntry::Stream::Stderr : LogEntry::Stream::Stdout;
    entry.time_text = line_.time;
    entry.text = line_.text;
    entry.begins_line = begins_line;
    const std::optional<Time> time = parse_time(line_.time);
    entry.time_ns = time ? time->time_since_epoch().count() : 0;
    if (query_.since_ns && entry.time_ns < *query_.since_ns) return;
    if (query_.until_ns && entry.time_ns > *query_.until_ns) {
      is_over_ = true;
      return;
    }
    if (!on_entry_(entry)) is_over_ = true;
  }

  const LogQuery& query_;
  const OnEntry& on_entry_;
  std::string pending_;
  LogLine line_;
  bool begins_line_[2] = {true, true};
  bool is_over_ = false;
};

/// Where the last `lines` lines begin: a file's index and an offset in it.
struct TailStart {
  std::size_t file = 0;
  off_t offset = 0;
};

/// Searches backwards, because a log of 30 MB is asked for its last ten lines all the time. An entry without a newline
/// belongs to the line that it continues.
TailStart find_tail(const std::vector<Fd>& files, std::uint64_t lines) {
  if (files.empty()) return {};
  constexpr std::string_view kLineEnd = "\\n\",\"stream\":";
  std::uint64_t seen = 0;
  bool is_last_entry = true;
  for (std::size_t index = files.size(); index-- > 0;) {
    const int file = files[index].get();
    struct stat status = {};
    check(::fstat(file, &status), "look at", "the log");
    std::string text;  // from `start` to the end of the entry that was not counted yet
    off_t start = status.st_size;
    while (start > 0) {
      const off_t length = std::min<off_t>(start, kBlock);
      std::string block(static_cast<std::size_t>(length), '\0');
      check(::pread(file, block.data(), block.size(), start - length), "read", "the log");
      start -= length;
      text.insert(0, block);
      // Whole entries from the back; what precedes the first newline may continue in the block before.
      std::size_t end = text.size();
      while (end > 0) {
        const std::size_t newline = end >= 2 ? text.rfind('\n', end - 2) : std::string::npos;
        if (newline == std::string::npos && start > 0) break;
        const std::size_t begin = newline == std::string::npos ? 0 : newline + 1;
        const std::string_view entry = std::string_view(text).substr(begin, end - begin);
        // The entry ends a line, so the lines after it are complete; an unfinished last one counts too.
        if (entry.find(kLineEnd) != std::string_view::npos || is_last_entry) {
          if (seen == lines) return {index, start + static_cast<off_t>(end)};
          ++seen;
        }
        is_last_entry = false;
        end = begin;
      }
      text.resize(end);
    }
  }
  return {};
}

Fd watch_directory(const fs::path& directory) {
  Fd watch(::inotify_init1(IN_CLOEXEC | IN_NONBLOCK));
  // Out of watches: then we look at intervals.
  if (watch && ::inotify_add_watch(watch.get(), directory.c_str(), IN_MODIFY | IN_CREATE | IN_MOVED_TO) < 0)
    watch.reset();
  return watch;
}

void wait_for_change(const Fd& watch, int timeout_ms) {
  pollfd event = {watch.get(), POLLIN, 0};
  if (::poll(&event, watch ? 1 : 0, timeout_ms) <= 0) return;
  char buffer[4096];
  while (::read(watch.get(), buffer, sizeof buffer) > 0) {
  }
}

std::int64_t now_ns() {
  return now().time_since_epoch().count();
}

class Follower {
 public:
  Follower(const fs::path& directory, const fs::path& run_directory, const LogQuery& query)
      : files_(directory), watch_(watch_directory(directory)), run_directory_(run_directory), query_(query) {}

  void follow(std::optional<Fd> current, EntryReader& reader) {
    for (;;) {
      // Asked before reading: what a shim wrote before its death is then read in this round.
      const bool is_alive = is_shim_alive(run_directory_);
      // There was no log yet; by now it may have been rotated.
      if (!current) current = files_.open_oldest();
      if (current && !drain_all(*current, reader)) return;
      if (!is_alive || (query_.until_ns && now_ns() > *query_.until_ns)) return;
      wait_for_change(watch_, kFollowIntervalMs);
    }
  }

 private:
  /// Reads the current file and those that have come after it.
  bool drain_all(Fd& current, EntryReader& reader) {
    for (;;) {
      if (!reader.drain(current.get())) return false;
      std::optional<Fd> next = files_.open_next(current.get());
      if (!next) return true;
      // It got its last lines before it was renamed.
      if (!reader.drain(current.get()) || !reader.end_file()) return false;
      current = *std::move(next);
    }
  }

  LogFiles files_;
  Fd watch_;
  const fs::path& run_directory_;
  const LogQuery& query_;
};

}  // namespace

void read_logs(const fs::path& container_dir, const fs::path& run_dir, const LogQuery& query, const OnEntry& on_entry) {
  Follower follower(container_dir, run_dir, query);  // watches before the first look, so that no change is missed
  std::vector<Fd> files = LogFiles(container_dir).open_all();
  EntryReader reader(query, on_entry);
  TailStart start;
  if (query.tail && !files.empty()) {
    start = find_tail(files, *query.tail);
    check(::lseek(files[start.file].get(), start.offset, SEEK_SET), "seek in", "the log");
  }
  for (std::size_t i = start.file; i < files.size(); ++i) {
    if (!reader.drain(files[i].get())) return;
    const bool is_newest = i + 1 == files.size();
    if ((!is_newest || !query.follow) && !reader.end_file()) return;
  }
  if (!query.follow) return;
  follower.follow(files.empty() ? std::nullopt : std::optional(std::move(files.back())), reader);
  reader.end_file();
}

void print_logs(const fs::path& container_dir, const fs::path& run_dir, const LogQuery& query, int output, int error) {
  // Collected, so that a large log does not cost a system call a line; written before we might wait.
  std::string pending;
  int pending_fd = output;
  const auto flush = [&] {
    if (!pending.empty()) write_all(pending_fd, as_bytes(pending), "the output");
    pending.clear();
  };
  read_logs(container_dir, run_dir, query, [&](const LogEntry& entry) {
    const int fd = entry.stream == LogEntry::Stream::Stderr ? error : output;
    if (fd != pending_fd) flush();
    pending_fd = fd;
    if (query.timestamps && entry.begins_line) {
      const Time time{std::chrono::nanoseconds(entry.time_ns)};
      pending += format_time_fixed(time);
      pending += ' ';
    }
    if (query.details && entry.begins_line) pending += ' ';
    pending += entry.text;
    if (query.follow || pending.size() >= kBlock) flush();
    return true;
  });
  flush();
}

std::int64_t parse_log_time(std::string_view text) {
  const std::optional<Time> time = parse_time_argument(text, now());
  if (!time)
    throw Error(ErrorKind::Invalid, "invalid time \"" + std::string(text) +
                                        "\": give RFC 3339, seconds since 1970 or a duration such as 10m");
  return time->time_since_epoch().count();
}

void repair_log(const fs::path& container_dir) {
  const std::optional<Fd> log = find_at(AT_FDCWD, container_dir / kLogFile, O_RDWR);
  if (log) repair_log_file(log->get());
}

}  // namespace ctr
