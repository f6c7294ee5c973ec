// The shim's end of the connection to the `ctr` that started it: what to serve and how to begin comes in, and one
// answer goes out. Afterwards the connection is an attached client's, or closed. A starter that dies after Begin
// changes nothing.
#pragma once

#include <exception>
#include <string>
#include <vector>

#include "base/fd.h"
#include "shim/protocol.h"

namespace ctr {

class Starter {
 public:
  struct Network {
    std::string json;
    std::vector<Fd> fds;
  };

  /// The descriptor that start_shim() passes.
  static constexpr int kDescriptor = 3;

  explicit Starter(Fd connection) : connection_(std::move(connection)) {}

  /// Reads until Begin. Throws Unavailable if the starter went away, Invalid if it speaks another protocol.
  void receive();

  const BeginPayload& begin() const noexcept { return begin_; }
  std::vector<Network>& networks() noexcept { return networks_; }

  void report_started(pid_t pid) noexcept;
  void report_failure(const std::exception& error, int exit_code) noexcept;

  /// The connection, for a client that wants to be attached.
  Fd take() noexcept { return std::move(connection_); }

 private:
  Fd connection_;
  BeginPayload begin_ = {};
  std::vector<Network> networks_;
};

}  // namespace ctr
