// The resolvers that answer what no container is called, and one question on its way to them.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "base/file.h"
#include "runtime/network_dns_message.h"
#include "runtime/network_poller.h"
#include "runtime/port_relay.h"

namespace ctr {

/// The servers of a container: its own file, or the host's /etc/resolv.conf as it is now. None: it has no way out.
std::vector<SocketAddress> upstream_servers(const fs::path& resolve);

enum class DnsTransport { Datagram, Stream };

/// Asks one server after the other until one answers. Calls `done` once, with the answer or with "" when none came; the
/// object may be destroyed by it.
class UpstreamQuery {
 public:
  UpstreamQuery(NetworkPoller& poller, DnsTransport transport, std::string query, DnsQuestion question,
                std::vector<SocketAddress> servers, std::function<void(std::string answer)> done);
  ~UpstreamQuery();
  UpstreamQuery(const UpstreamQuery&) = delete;
  UpstreamQuery& operator=(const UpstreamQuery&) = delete;

  /// Goes on to the next server when this one has been silent too long.
  void check_time();

 private:
  void ask_next();
  void receive();
  void receive_datagram();
  void receive_stream();
  void finish(std::string answer);

  NetworkPoller& poller_;
  DnsTransport transport_;
  std::string query_;
  DnsQuestion question_;
  std::vector<SocketAddress> servers_;
  std::function<void(std::string)> done_;
  std::size_t next_ = 0;
  std::uint16_t id_ = 0;
  std::int64_t deadline_ = 0;
  Fd socket_;
  NetworkPoller::Watch watch_ = 0;
  std::string received_;
  std::size_t sent_ = 0;
};

}  // namespace ctr
