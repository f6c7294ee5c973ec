// The log of a container: what it wrote, as JSON lines (protocol.h) in the file `log` of its directory, bounded by
// rotation to log.1, log.2 … Each write holds whole lines, and no bytes wait in memory: what append() took is in the
// file, whatever kills the shim afterwards. Errors never reach the container: lost bytes are counted and noted later.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/fd.h"
#include "shim/protocol.h"

namespace ctr {

class ContainerLog {
 public:
  /// Opens or makes the log in that directory; with driver "none" nothing is opened. Repairs a broken last line.
  ContainerLog(const fs::path& directory, const LogSettings& settings);

  /// Writes each line of `bytes` as one entry; what follows the last newline becomes an unfinished one.
  void append(LogStream stream, std::string_view bytes);

  std::uint64_t lost_bytes() const noexcept { return lost_bytes_; }
  /// Gives back memory that a burst of output needed.
  void release_memory();

 private:
  void flush();
  void rotate();
  bool write_pending();
  void note_loss(std::string_view time);
  std::string numbered(std::int32_t number) const;

  Fd directory_;
  Fd file_;
  std::uint64_t limit_ = 0;
  std::int32_t max_files_ = 1;
  std::uint64_t size_ = 0;
  std::uint64_t lost_bytes_ = 0;
  std::string pending_;             // encoded lines that are not written yet; empty between calls
  std::uint64_t pending_text_ = 0;  // bytes of the container's in them
};

}  // namespace ctr
