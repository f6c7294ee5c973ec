// Whole files and directory trees: read with a limit, publish atomically, remove without following links. Everything
// takes (directory descriptor, path) or a plain path; nothing here knows what a file is for.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/fd.h"

namespace ctr {

namespace fs = std::filesystem;

inline constexpr std::uint64_t kMiB = 1024 * 1024;

/// Whether a published file must survive a power cut (fsync of file and directory) or may be lost with the boot.
enum class Durability { Cached, Synced };

/// Opens with O_CLOEXEC added. Throws with the path in the sentence.
Fd open_file(const fs::path& path, int flags, mode_t mode = 0644);
Fd open_at(int dir, const fs::path& path, int flags, mode_t mode = 0644);
/// Like open_at; nothing for ENOENT.
std::optional<Fd> find_at(int dir, const fs::path& path, int flags);
Fd open_directory(const fs::path& path);

/// The content of a file of at most `limit` bytes; throws Invalid when it is larger.
std::string read_file(const fs::path& path, std::uint64_t limit = 64 * kMiB);
std::string read_fd(int fd, std::uint64_t limit, std::string_view name);
/// Nothing when the file does not exist.
std::optional<std::string> find_file(const fs::path& path, std::uint64_t limit = 64 * kMiB);

void write_all(int fd, Bytes bytes, std::string_view name = "file");

/// Replaces or creates `path` by a temporary file beside it and rename: readers see the old or the new content.
void write_file_atomic(const fs::path& path, std::string_view content, Durability durability, mode_t mode = 0644);
/// Creates `path` with that content; throws Exists when it is there.
void create_file_exclusive(const fs::path& path, std::string_view content, Durability durability, mode_t mode = 0644);
/// Writes to an existing file such as one of cgroupfs or /proc, in one write.
void write_control_file(const fs::path& path, std::string_view content);

void sync_directory(const fs::path& path);

/// mkdir -p. Existing directories are left as they are.
void make_directories(const fs::path& path, mode_t mode = 0755);

/// Removes a file or a whole tree, never following a symbolic link, however deep. Absence is fine.
void remove_tree(const fs::path& path);
void remove_tree_at(int dir, const std::string& name);

bool path_exists(const fs::path& path);
/// The names in a directory, sorted, without "." and ".."; empty when the directory does not exist.
std::vector<std::string> list_directory(const fs::path& path);
std::vector<std::string> list_directory_fd(int dir);
/// The target of a symbolic link; nothing when there is none.
std::optional<std::string> find_link(const fs::path& path);

/// A directory that is removed with everything in it at the end of its life.
class TempDirectory {
 public:
  explicit TempDirectory(const fs::path& parent = default_parent(), std::string_view prefix = "ctr");
  ~TempDirectory();
  TempDirectory(TempDirectory&& other) noexcept;
  TempDirectory& operator=(TempDirectory&&) = delete;
  TempDirectory(const TempDirectory&) = delete;
  TempDirectory& operator=(const TempDirectory&) = delete;

  const fs::path& path() const noexcept { return path_; }
  static fs::path default_parent();

 private:
  fs::path path_;
};

/// Reads a descriptor as a stream. Borrows the descriptor.
class FdSource final : public ByteSource {
 public:
  explicit FdSource(int fd) : fd_(fd) {}
  std::size_t read(std::span<std::byte> buffer) override;

 private:
  int fd_;
};

/// Writes a stream to a descriptor. Borrows the descriptor.
class FdSink final : public ByteSink {
 public:
  explicit FdSink(int fd) : fd_(fd) {}
  void write(Bytes bytes) override;

 private:
  int fd_;
};

}  // namespace ctr
