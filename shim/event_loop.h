// The shim's only thread: waits for descriptors (epoll) and for points in time, and calls what belongs to them. A
// handler may add and remove anything, itself included.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <sys/epoll.h>
#include <vector>

#include "base/fd.h"

namespace ctr {

class EventLoop {
 public:
  using Handler = std::function<void(std::uint32_t events)>;
  using TimerId = std::uint64_t;

  EventLoop();

  /// Calls `handler` when `fd` is ready for one of `events` (EPOLLIN …), or broken. Borrows the descriptor.
  void watch(int fd, std::uint32_t events, Handler handler);
  void change(int fd, std::uint32_t events);
  /// REQUIRES: called before the descriptor is closed. Absence is fine.
  void forget(int fd) noexcept;

  /// Calls `action` once, that much later.
  TimerId after_ms(std::int64_t delay_ms, std::function<void()> action);
  /// Absence is fine.
  void cancel(TimerId timer) noexcept;

  /// Waits for at most `limit_ms` (-1: until something happens) and calls what is due. Returns whether anything was.
  bool run_once(std::int64_t limit_ms = -1);

 private:
  struct Watch {
    int fd;
    std::uint64_t key;  // never used twice, so that a late event can't reach the next owner of a number
    Handler handler;
  };
  struct Timer {
    TimerId id;
    std::int64_t due_ms;
    std::function<void()> action;
  };
  bool run_due_timers();
  int wait_ms(std::int64_t limit_ms) const;

  Fd epoll_;
  std::vector<std::shared_ptr<Watch>> watches_;
  std::vector<Timer> timers_;
  std::uint64_t next_ = 1;
};

}  // namespace ctr
