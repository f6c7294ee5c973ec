#include "image/byte_pipe.h"

#include <algorithm>
#include <utility>

#include "base/error.h"

namespace ctr {

void BytePipe::write(Bytes bytes) {
  write_chunk({bytes.begin(), bytes.end()});
}

void BytePipe::write_chunk(std::vector<std::byte> chunk) {
  std::unique_lock guard(mutex_);
  changed_.wait(guard, [this] { return size_ < capacity_ || is_reader_gone_; });
  if (is_reader_gone_ || chunk.empty()) return;
  size_ += chunk.size();
  chunks_.push_back(std::move(chunk));
  changed_.notify_all();
}

void BytePipe::close() {
  const std::lock_guard guard(mutex_);
  if (writer_ == Writer::Open) writer_ = Writer::Closed;
  changed_.notify_all();
}

void BytePipe::abort() {
  const std::lock_guard guard(mutex_);
  writer_ = Writer::Aborted;
  changed_.notify_all();
}

std::size_t BytePipe::read(std::span<std::byte> buffer) {
  std::unique_lock guard(mutex_);
  changed_.wait(guard, [this] { return size_ > 0 || writer_ != Writer::Open; });
  if (writer_ == Writer::Aborted) throw Error(ErrorKind::Unavailable, "the data ended before it was complete");
  if (size_ == 0) return 0;
  // The front chunk is the reader's alone, and a deque's elements stay where they are: copy it without the lock.
  const std::vector<std::byte>& front = chunks_.front();
  guard.unlock();
  const std::size_t count = std::min(buffer.size(), front.size() - front_used_);
  std::copy_n(front.begin() + static_cast<std::ptrdiff_t>(front_used_), count, buffer.begin());
  front_used_ += count;
  guard.lock();
  size_ -= count;
  if (front_used_ == front.size()) {
    chunks_.pop_front();
    front_used_ = 0;
  }
  changed_.notify_all();
  return count;
}

void BytePipe::stop_reading() {
  const std::lock_guard guard(mutex_);
  is_reader_gone_ = true;
  changed_.notify_all();
}

}  // namespace ctr
