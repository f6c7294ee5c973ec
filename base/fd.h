// The only owner of a file descriptor. An int parameter named `fd` or `dir` borrows; an Fd owns and closes.
#pragma once

#include <unistd.h>

#include <utility>

namespace ctr {

class Fd {
 public:
  Fd() = default;
  explicit Fd(int fd) noexcept : fd_(fd) {}
  Fd(Fd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Fd& operator=(Fd&& other) noexcept {
    if (this != &other) {
      reset();
      fd_ = std::exchange(other.fd_, -1);
    }
    return *this;
  }
  Fd(const Fd&) = delete;
  Fd& operator=(const Fd&) = delete;
  ~Fd() { reset(); }

  int get() const noexcept { return fd_; }
  int release() noexcept { return std::exchange(fd_, -1); }
  void reset() noexcept {
    if (fd_ >= 0) ::close(std::exchange(fd_, -1));
  }
  explicit operator bool() const noexcept { return fd_ >= 0; }

 private:
  int fd_ = -1;
};

struct Pipe {
  Fd read;
  Fd write;
};

/// A pipe whose ends are both close-on-exec. `flags` are those of pipe2 besides O_CLOEXEC.
Pipe make_pipe(int flags = 0);

/// A second descriptor for the same open file, close-on-exec.
Fd duplicate(int fd);


}  // namespace ctr
