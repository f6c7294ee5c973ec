// Advisory locks on files (flock): held by an open file, so they end with the process however it ends.
#pragma once

#include <optional>

#include "base/fd.h"
#include "base/file.h"

namespace ctr {

enum class LockMode { Shared, Exclusive };

/// A lock that is held as long as this lives. The file is made when it is missing and never removed by this class.
class FileLock {
 public:
  /// Waits until the lock is free.
  static FileLock acquire(const fs::path& path, LockMode mode);
  /// Nothing when somebody else holds it.
  static std::optional<FileLock> try_acquire(const fs::path& path, LockMode mode);

  int fd() const noexcept { return file_.get(); }

 private:
  explicit FileLock(Fd file) : file_(std::move(file)) {}
  Fd file_;
};

}  // namespace ctr
