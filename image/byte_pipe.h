// A bounded pipe between two threads: one writes, one reads. Either may give up, which the other one learns.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <mutex>
#include <vector>

#include "base/bytes.h"

namespace ctr {

class BytePipe final : public ByteSink, public ByteSource {
 public:
  explicit BytePipe(std::size_t capacity) : capacity_(capacity) {}

  /// Waits while the pipe is full. When the reader is gone the bytes are dropped.
  void write(Bytes bytes) override;
  /// The same without a copy.
  void write_chunk(std::vector<std::byte> chunk);
  /// The end of the data.
  void close();
  /// The writer gives up: the reader gets an error (Unavailable) instead of an end.
  void abort();

  /// Waits for data; 0 is the end.
  std::size_t read(std::span<std::byte> buffer) override;
  /// The reader wants no more.
  void stop_reading();

 private:
  enum class Writer { Open, Closed, Aborted };

  const std::size_t capacity_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::vector<std::byte>> chunks_;
  std::size_t size_ = 0;
  std::size_t front_used_ = 0;
  Writer writer_ = Writer::Open;
  bool is_reader_gone_ = false;
};

}  // namespace ctr
