// One epoll descriptor for all sockets that a shim serves for its network. It nests in the shim's own loop: readable when
// something is to do. Handlers may add and remove watches, their own included, while they run.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <unordered_map>

#include "base/fd.h"

namespace ctr {

class NetworkPoller {
 public:
  using Watch = std::uint64_t;
  using Handler = std::function<void(std::uint32_t events)>;

  NetworkPoller();

  /// Level-triggered; `events` are EPOLLIN and so on. The descriptor must stay open until remove().
  Watch add(int fd, std::uint32_t events, Handler handler);
  void change(Watch watch, std::uint32_t events);
  void remove(Watch watch);

  int fd() const noexcept { return epoll_.get(); }
  /// Runs the handlers of what is ready now; never blocks.
  void dispatch();

 private:
  struct Entry {
    int fd;
    std::uint32_t events;
    std::shared_ptr<Handler> handler;
  };
  Fd epoll_;
  Watch last_ = 0;
  std::unordered_map<Watch, Entry> entries_;
};

}  // namespace ctr
