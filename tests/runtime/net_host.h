// A machine for network tests: a network namespace that plays the host, with its own store, seen by the test's thread
// alone. Nothing reaches the real network, and everything ends with the test.
#pragma once

#include <gtest/gtest.h>
#include <sched.h>
#include <sys/mount.h>
#include <unistd.h>

#include <atomic>
#include <functional>
#include <string>
#include <thread>

#include "base/file.h"
#include "base/paths.h"
#include "base/process.h"
#include "runtime/bridge_network.h"
#include "runtime/network_links.h"
#include "runtime/network_namespace.h"

namespace ctr {

class NetHost : public ::testing::Test {
 protected:
  void SetUp() override;
  void TearDown() override;

  Paths paths() const { return paths_; }
  fs::path netns_path(const std::string& id) const { return paths_.run / (id + ".netns"); }

  /// A container on the default bridge.
  NetworkRequest request(const std::string& id, const std::string& name) const;

  /// A neighbour machine on the wire eth0: host 10.99.0.1/24, neighbour 10.99.0.2/24. Returns its namespace.
  Fd add_neighbour();

  static NetworkSubnet make_subnet_for_test();
  static std::string shell(const std::string& command);
  /// Interfaces, addresses, routes, rules and mounts, as text.
  std::string snapshot() const;

  Paths paths_;

 private:
  std::unique_ptr<TempDirectory> directory_;
  Fd real_;
};

/// Runs a NetworkServer in a thread, as a shim does in its loop.
class ServiceThread {
 public:
  explicit ServiceThread(NetworkService service);
  ~ServiceThread();

 private:
  NetworkServer server_;
  std::atomic<bool> stop_{false};
  std::thread thread_;
};

/// Answers every TCP connection with "<text> <peer address>\n", and every datagram the same, inside a namespace.
class AnswerServer {
 public:
  AnswerServer(int netns, std::uint16_t port, std::string text);
  ~AnswerServer();

 private:
  void serve();
  std::string text_;
  Fd stream_;
  Fd datagram_;
  std::atomic<bool> stop_{false};
  std::thread thread_;
};

enum class Via { Tcp, Udp };

/// What a server says to a client in a namespace (-1: the caller's), or "" when nothing comes within a second; "refused"
/// when the connection is.
std::string ask(int netns, Via via, const std::string& address, std::uint16_t port,
                const std::string& interface = "");

}  // namespace ctr
