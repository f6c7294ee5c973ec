// The server's side of HTTP, on libmicrohttpd: one thread a connection, bodies streamed in, files streamed out
// (sendfile where there is no TLS). Memory is bounded by the number of connections. Knows nothing about registries.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "base/bytes.h"
#include "base/fd.h"
#include "registry/http.h"

namespace ctr {

struct ServerRequest {
  std::string method = {};
  std::string path = {};                          ///< percent-decoded, without the query
  std::map<std::string, std::string> query = {};  ///< the last value of each key
  std::multimap<std::string, std::string> all_query = {};
  HttpHeaders headers = {};
  std::string peer = {};

  std::optional<std::string> parameter(const std::string& name) const;
};

struct ServerReply {
  int status = 200;
  HttpHeaders headers = {};
  std::string body = {};
  Fd file = {};  ///< instead of a body: `size` bytes from `offset` on
  std::uint64_t offset = 0;
  std::uint64_t size = 0;
  std::string user = {};  ///< for the log
};

/// Takes a request's body as it arrives. Destroyed without finish if the connection breaks.
class ServerBody {
 public:
  virtual ~ServerBody() = default;
  virtual void write(Bytes data) = 0;
  virtual ServerReply finish() = 0;
};

/// What a request leads to: an answer at once, or somebody who takes the body first.
using ServerAction = std::variant<ServerReply, std::unique_ptr<ServerBody>>;

struct ServerOptions {
  std::string address = "127.0.0.1";
  std::uint16_t port = 5000;
  std::string certificate = {};  ///< PEM text; empty: plain HTTP
  std::string key = {};
  unsigned most_connections = 256;
};

class HttpServer {
 public:
  using Handler = std::function<ServerAction(const ServerRequest&)>;
  using Logger = std::function<void(const ServerRequest&, const ServerReply&)>;

  /// Listens and serves until destroyed. `handler` and `logger` are called from many threads; what a handler or a body
  /// throws becomes status 500.
  HttpServer(const ServerOptions& options, Handler handler, Logger logger);
  ~HttpServer();
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;

  /// The port that is listened on (chosen by the kernel if 0 was asked for).
  std::uint16_t port() const noexcept;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace ctr
