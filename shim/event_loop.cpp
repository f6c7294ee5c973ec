#include "shim/event_loop.h"

#include <algorithm>
#include <array>
#include <cerrno>

#include "base/error.h"
#include "base/time.h"

namespace ctr {

EventLoop::EventLoop() : epoll_(check(::epoll_create1(EPOLL_CLOEXEC), "make an epoll descriptor")) {}

void EventLoop::watch(int fd, std::uint32_t events, Handler handler) {
  const auto entry = std::make_shared<Watch>(Watch{fd, next_++, std::move(handler)});
  epoll_event event = {};
  event.events = events;
  event.data.u64 = entry->key;
  check(::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event), "watch a descriptor");
  watches_.push_back(entry);
}

void EventLoop::change(int fd, std::uint32_t events) {
  for (const auto& entry : watches_) {
    if (entry->fd != fd) continue;
    epoll_event event = {};
    event.events = events;
    event.data.u64 = entry->key;
    check(::epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, fd, &event), "watch a descriptor");
  }
}

void EventLoop::forget(int fd) noexcept {
  const auto is_it = [fd](const auto& entry) { return entry->fd == fd; };
  if (std::erase_if(watches_, is_it) != 0) ::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, fd, nullptr);
}

EventLoop::TimerId EventLoop::after_ms(std::int64_t delay_ms, std::function<void()> action) {
  const TimerId id = next_++;
  timers_.push_back({id, monotonic_ms() + std::max<std::int64_t>(delay_ms, 0), std::move(action)});
  return id;
}

void EventLoop::cancel(TimerId timer) noexcept {
  std::erase_if(timers_, [timer](const Timer& entry) { return entry.id == timer; });
}

int EventLoop::wait_ms(std::int64_t limit_ms) const {
  std::int64_t wait = limit_ms;
  const std::int64_t now_ms = timers_.empty() ? 0 : monotonic_ms();
  for (const Timer& timer : timers_) {
    const std::int64_t until = std::max<std::int64_t>(timer.due_ms - now_ms, 0);
    if (wait < 0 || until < wait) wait = until;
  }
  return static_cast<int>(std::min<std::int64_t>(wait, 3'600'000));
}

bool EventLoop::run_due_timers() {
  bool any = false;
  // One at a time: an action may add and cancel timers.
  for (;;) {
    const std::int64_t now_ms = timers_.empty() ? 0 : monotonic_ms();
    const auto due = std::min_element(timers_.begin(), timers_.end(),
                                      [](const Timer& a, const Timer& b) { return a.due_ms < b.due_ms; });
    if (due == timers_.end() || due->due_ms > now_ms) return any;
    const auto action = std::move(due->action);
    timers_.erase(due);
    action();
    any = true;
  }
}

bool EventLoop::run_once(std::int64_t limit_ms) {
  std::array<epoll_event, 16> events;
  const int count = ::epoll_wait(epoll_.get(), events.data(), static_cast<int>(events.size()), wait_ms(limit_ms));
  if (count < 0 && errno != EINTR) throw_errno(errno, "wait for events");
  bool any = count > 0;
  for (int i = 0; i < count; ++i) {
    const epoll_event& event = events[static_cast<std::size_t>(i)];
    const auto entry =
        std::find_if(watches_.begin(), watches_.end(), [&](const auto& watch) { return watch->key == event.data.u64; });
    if (entry == watches_.end()) continue;  // forgotten by a handler of this round
    const std::shared_ptr<Watch> keep = *entry;
    keep->handler(event.events);
  }
  return run_due_timers() || any;
}

}  // namespace ctr
