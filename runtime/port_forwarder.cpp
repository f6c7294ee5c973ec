#include "runtime/port_forwarder.h"

#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <list>
#include <optional>

#include "base/error.h"
#include "runtime/port_relay.h"

namespace ctr {
namespace {

constexpr int kExpirySeconds = 10;

}  // namespace

struct PortForwarder::State {
  struct Port {
    ForwardRule rule;
    NetworkPoller::Watch watch = 0;
    std::optional<DatagramRelay> datagrams;
  };

  NetworkPoller poller;
  StreamRelay streams{poller};
  std::list<Port> ports;
  Fd timer;
  NetworkPoller::Watch timer_watch = 0;

  /// Ticks only while conversations may have to end: an idle shim must not wake up.
  void start_timer() {
    if (timer) return;
    timer = Fd(check(::timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC), "timerfd_create"));
    const itimerspec interval{{kExpirySeconds, 0}, {kExpirySeconds, 0}};
    check(::timerfd_settime(timer.get(), 0, &interval, nullptr), "timerfd_settime");
    timer_watch = poller.add(timer.get(), EPOLLIN, [this](std::uint32_t) { expire(); });
  }

  void expire() {
    std::uint64_t ticks = 0;
    (void)!::read(timer.get(), &ticks, sizeof ticks);
    bool any_left = false;
    for (Port& port : ports) {
      if (port.datagrams) any_left |= port.datagrams->expire();
    }
    if (any_left) return;
    poller.remove(timer_watch);
    timer.reset();
  }

  void watch(Port& port) {
    const SocketAddress target = SocketAddress::of(port.rule.target, port.rule.target_port);
    const int socket = port.rule.socket.get();
    if (port.rule.port.container.protocol == Protocol::Tcp) {
      port.watch =
          poller.add(socket, EPOLLIN, [this, socket, target](std::uint32_t) { streams.accept_from(socket, target); });
      return;
    }
    port.datagrams.emplace(poller, socket, target);
    port.watch = poller.add(socket, EPOLLIN, [this, &port](std::uint32_t) {
      port.datagrams->receive();
      if (!port.datagrams->empty()) start_timer();
    });
  }
};

PortForwarder::PortForwarder() : state_(std::make_unique<State>()) {}
PortForwarder::~PortForwarder() = default;

void PortForwarder::add(ForwardRule rule) {
  State::Port& port = state_->ports.emplace_back();
  port.rule = std::move(rule);
  if (port.rule.target_port != 0 && port.rule.socket) state_->watch(port);
}

void PortForwarder::remove(const PublishedPort& port) {
  state_->ports.remove_if([&](State::Port& candidate) {
    if (!(candidate.rule.port == port)) return false;
    state_->poller.remove(candidate.watch);
    return true;
  });
}

void PortForwarder::clear() {
  while (!state_->ports.empty()) remove(PublishedPort(state_->ports.front().rule.port));
}

int PortForwarder::poll_fd() const noexcept { return state_->poller.fd(); }

void PortForwarder::dispatch() { state_->poller.dispatch(); }

std::size_t PortForwarder::connections() const noexcept { return state_->streams.size(); }

}  // namespace ctr
