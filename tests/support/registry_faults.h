// A registry over real connections that misbehaves by a seed: breaks and stalls connections at any byte, corrupts and
// cuts bodies both ways, lies in Content-Length and digests, answers 429 and 5xx, lets tokens expire, and redirects
// blobs to another host, which notes whether credentials came along.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "base/fd.h"
#include "tests/support/registry_fake.h"

namespace ctr {

class FaultyServer {
 public:
  /// At most `faults` faults, then it behaves. Borrows the registry.
  FaultyServer(FakeRegistry& registry, unsigned seed, int faults);
  ~FaultyServer();
  FaultyServer(const FaultyServer&) = delete;
  FaultyServer& operator=(const FaultyServer&) = delete;

  /// "localhost:PORT"
  std::string host() const { return "localhost:" + std::to_string(port_); }
  /// Whether a request with credentials reached the host that blobs are redirected to.
  bool credentials_leaked() const { return leaked_; }
  /// What was done, for the message of a failing run.
  std::string story() const;

 private:
  struct Fault;

  void accept_loop(int listener, bool is_storage);
  void serve(Fd connection, bool is_storage);
  bool serve_one(int connection, std::string& buffer, bool is_storage);
  Fault choose(const FakeRequest& request, bool is_storage);
  FakeReply bend_reply(FakeReply reply, const Fault& fault, const FakeRequest& request);
  bool send_reply(int connection, const FakeRequest& request, const FakeReply& reply, const Fault& fault);
  unsigned random(unsigned below);

  FakeRegistry& registry_;
  std::mutex mutex_;
  std::mt19937 generator_;
  int faults_left_;
  std::vector<std::string> story_;
  int port_ = 0;
  int storage_port_ = 0;
  Fd listener_;
  Fd storage_listener_;
  std::atomic<bool> ending_{false};
  std::atomic<bool> leaked_{false};
  std::vector<std::thread> threads_;
  std::vector<int> connections_;
};

}  // namespace ctr
