#include "runtime/network_poller.h"

#include <sys/epoll.h>

#include <array>
#include <cerrno>

#include "base/error.h"

namespace ctr {

NetworkPoller::NetworkPoller() : epoll_(check(::epoll_create1(EPOLL_CLOEXEC), "epoll_create1")) {}

NetworkPoller::Watch NetworkPoller::add(int fd, std::uint32_t events, Handler handler) {
  const Watch watch = ++last_;
  epoll_event event{};
  event.events = events;
  event.data.u64 = watch;
  check(::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event), "watch socket");
  entries_.emplace(watch, Entry{fd, events, std::make_shared<Handler>(std::move(handler))});
  return watch;
}

void NetworkPoller::change(Watch watch, std::uint32_t events) {
  const auto entry = entries_.find(watch);
  if (entry == entries_.end() || entry->second.events == events) return;
  epoll_event event{};
  event.events = events;
  event.data.u64 = watch;
  check(::epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, entry->second.fd, &event), "watch socket");
  entry->second.events = events;
}

void NetworkPoller::remove(Watch watch) {
  const auto entry = entries_.find(watch);
  if (entry == entries_.end()) return;
  (void)::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, entry->second.fd, nullptr);
  entries_.erase(entry);
}

void NetworkPoller::dispatch() {
  std::array<epoll_event, 64> events;
  const int count = ::epoll_wait(epoll_.get(), events.data(), static_cast<int>(events.size()), 0);
  if (count < 0 && errno != EINTR) check(count, "epoll_wait");
  for (int i = 0; i < count; ++i) {
    const epoll_event& event = events[static_cast<std::size_t>(i)];
    const auto entry = entries_.find(event.data.u64);
    if (entry == entries_.end()) continue;  // removed by a handler before this one
    const std::shared_ptr<Handler> handler = entry->second.handler;
    (*handler)(event.events);
  }
}

}  // namespace ctr
