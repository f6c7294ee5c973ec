// `--ssh`: an agent for steps. A socket with the owner and mode that a step's mount asks for, in front of the caller's
// agent or of one that is started here with key files in it. The step never sees the agent's own socket, which talks to
// its owner alone.
#pragma once

#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "base/fd.h"
#include "base/file.h"
#include "base/process.h"

namespace ctr {

/// An agent of ours that holds some keys, as long as this lives.
class KeyAgent {
 public:
  /// Starts ssh-agent with its socket in `directory` and adds the keys. Throws Unavailable, naming the package, without
  /// the programs, and Invalid for what is no key or asks for a passphrase.
  KeyAgent(const fs::path& directory, const std::vector<std::string>& keys);
  ~KeyAgent();
  KeyAgent(const KeyAgent&) = delete;
  KeyAgent& operator=(const KeyAgent&) = delete;

  const fs::path& socket() const noexcept { return socket_; }

 private:
  fs::path socket_;
  std::unique_ptr<ChildProcess> process_;
  pid_t agent_pid_ = 0;
  Fd alive_;
};

/// Passes what comes in at one socket on to an agent's.
class SshForward {
 public:
  struct Access {
    std::uint32_t mode = 0600;
    std::uint32_t uid = 0;
    std::uint32_t gid = 0;
  };
  /// Makes the socket `name` in `directory`.
  SshForward(const fs::path& directory, const std::string& name, fs::path agent, Access access);
  ~SshForward();
  SshForward(const SshForward&) = delete;
  SshForward& operator=(const SshForward&) = delete;

  fs::path socket() const { return path_; }

 private:
  struct Pair {
    Fd step;
    Fd agent;
  };
  void serve();
  void accept_one(std::vector<Pair>& pairs) const;

  fs::path path_;
  fs::path agent_;
  Fd listener_;
  Fd stop_;
  std::thread thread_;
};

}  // namespace ctr
