// Hashes of source files, taken while their bytes pass on the way into a layer, so that a COPY that must be made anyway
// reads each file once. A thread hashes behind the writer, with a bounded number of bytes between them.
#pragma once

#include <sys/stat.h>

#include <condition_variable>
#include <deque>
#include <exception>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "image/digest.h"
#include "image/entry.h"

namespace ctr {

class SourceHashes {
 public:
  SourceHashes();
  ~SourceHashes();
  SourceHashes(const SourceHashes&) = delete;
  SourceHashes& operator=(const SourceHashes&) = delete;

  /// A file begins: its descriptor and the attributes that count. Its bytes follow.
  void begin(int fd, const Xattrs& xattrs);
  void write(Bytes bytes);
  void write_zeros(std::uint64_t size);
  /// The file's end: what is known of it now is compared with its beginning.
  void end(int fd);

  struct Known {
    Digest digest;
    struct ::stat info = {};
    bool is_stable = false;  ///< unchanged while it was read, and old enough that a later change shows in its times
  };
  /// Waits for the thread; then `find` answers.
  void finish();
  /// By device, inode, size and times.
  const Known* find(const struct ::stat& info) const;

 private:
  struct Part {
    std::size_t file = 0;
    std::size_t size = 0;
    Xattrs xattrs = {};  // of the file's first part
  };
  struct Block {
    std::string bytes;
    std::vector<Part> parts;
  };
  struct File {
    struct ::stat before = {};
    struct ::stat after = {};
    std::int64_t begun_ns = 0;
  };

  void append(std::string_view bytes);
  void push();
  void hash_blocks();

  std::vector<File> files_;
  std::vector<Digest> digests_;  // the thread's, in the order of files_
  Block block_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Block> blocks_;
  bool is_finished_ = false;
  std::exception_ptr failure_;
  std::map<std::pair<dev_t, ino_t>, Known> known_;
  std::thread thread_;
};

}  // namespace ctr
