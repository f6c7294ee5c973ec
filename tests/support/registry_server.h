// Debian's docker-registry for a test: on a free port of the loopback interface, with TLS and a password if asked for,
// ended with the object. Its log tells which requests arrived.
#pragma once

#include <string>
#include <vector>

#include "base/file.h"
#include "base/process.h"
#include "registry/session.h"

namespace ctr {

class DebianRegistry {
 public:
  struct Options {
    bool tls = false;
    bool password = false;            ///< user "user", password "secret"
    std::string token_realm = {};     ///< a token server's URL instead of a password
    fs::path token_certificate = {};  ///< that signs its tokens
  };

  static bool is_installed();
  explicit DebianRegistry(const Options& options);
  ~DebianRegistry();
  DebianRegistry(const DebianRegistry&) = delete;
  DebianRegistry& operator=(const DebianRegistry&) = delete;

  /// "localhost:41234"
  std::string host() const { return "localhost:" + std::to_string(port_); }
  /// A session that trusts its certificate and keeps credentials in a file of the test.
  SessionOptions session_options() const;
  fs::path config_file() const { return directory_.path() / "docker/config.json"; }

  /// Lines "PUT /v2/app/manifests/v1 201" of requests that came since the last call, token probes left out.
  std::vector<std::string> new_requests();

 private:
  TempDirectory directory_;
  int port_ = 0;
  std::size_t log_position_ = 0;
  std::optional<ChildProcess> process_;
};

/// Our own server, the program ctr-registry.
class CtrRegistry {
 public:
  struct Options {
    bool tls = false;
    bool password = false;  ///< user "user", password "secret"
    std::vector<std::string> flags = {};
  };

  explicit CtrRegistry(const Options& options);
  ~CtrRegistry();
  CtrRegistry(const CtrRegistry&) = delete;
  CtrRegistry& operator=(const CtrRegistry&) = delete;

  std::string host() const { return "localhost:" + std::to_string(port_); }
  int port() const noexcept { return port_; }
  SessionOptions session_options() const;
  fs::path root() const { return directory_.path() / "root"; }
  /// Ends it as a crash does, and starts it again.
  void kill_and_restart();
  std::string log() const;

 private:
  void start();

  TempDirectory directory_;
  Options options_;
  int port_;
  std::optional<ChildProcess> process_;
};

/// tests/support/token_server.py, which plays Docker Hub's; user "user", password "secret", everybody may pull
/// public/*.
class TokenServer {
 public:
  explicit TokenServer(int lifetime_seconds = 300);
  ~TokenServer();
  TokenServer(const TokenServer&) = delete;
  TokenServer& operator=(const TokenServer&) = delete;

  std::string realm() const { return "https://localhost:" + std::to_string(port_) + "/token"; }
  fs::path certificate() const { return directory_.path() / "cert.pem"; }
  /// "GET user repository:app:pull" for each request.
  std::vector<std::string> requests() const;

 private:
  TempDirectory directory_;
  int port_;
  std::optional<ChildProcess> process_;
};

/// A port that nobody listens on now.
int free_port();
/// Waits until somebody listens; throws after ten seconds.
void wait_for_port(int port);
/// A certificate for localhost and 127.0.0.1 that signs itself: cert.pem and key.pem in `directory`.
enum class KeyType { Ec, Rsa };
void make_certificate(const fs::path& directory, KeyType type = KeyType::Ec);

}  // namespace ctr
