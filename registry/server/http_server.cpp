#include "registry/server/http_server.h"

#include <arpa/inet.h>
#include <cstring>
#include <microhttpd.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include "base/error.h"

namespace ctr {
namespace {

constexpr std::size_t kConnectionMemory = 256 * 1024;
constexpr std::size_t kThreadStack = 512 * 1024;
constexpr unsigned kIdleSeconds = 120;
// A body that nobody wants is read to its end, so that the client gets the answer instead of a reset, but not for ever.
constexpr std::uint64_t kLongestUnwanted = 64 * 1024 * 1024;

struct ResponseDeleter {
  void operator()(MHD_Response* response) const { MHD_destroy_response(response); }
};
using Response = std::unique_ptr<MHD_Response, ResponseDeleter>;

// One request from its first line to its answer.
struct Exchange {
  ServerRequest request = {};
  std::unique_ptr<ServerBody> body = {};
  std::optional<ServerReply> reply = {};
  std::uint64_t unwanted = 0;
};

ServerReply failure_reply(const std::exception& error) {
  ServerReply reply;
  reply.status = 500;
  reply.headers.add("Content-Type", "text/plain; charset=utf-8");
  reply.body = std::string(error.what()) + "\n";
  return reply;
}

MHD_Result collect_header(void* context, MHD_ValueKind, const char* name, const char* value) {
  static_cast<ServerRequest*>(context)->headers.add(name, value != nullptr ? value : "");
  return MHD_YES;
}

MHD_Result collect_query(void* context, MHD_ValueKind, const char* name, const char* value) {
  auto& request = *static_cast<ServerRequest*>(context);
  request.query[name] = value != nullptr ? value : "";
  request.all_query.emplace(name, value != nullptr ? value : "");
  return MHD_YES;
}

std::string peer_of(MHD_Connection* connection) {
  const MHD_ConnectionInfo* info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
  if (info == nullptr || info->client_addr == nullptr) return "-";
  char text[INET6_ADDRSTRLEN] = "-";
  const sockaddr* address = info->client_addr;
  if (address->sa_family == AF_INET) {
    ::inet_ntop(AF_INET, &reinterpret_cast<const sockaddr_in*>(address)->sin_addr, text, sizeof text);
  } else if (address->sa_family == AF_INET6) {
    ::inet_ntop(AF_INET6, &reinterpret_cast<const sockaddr_in6*>(address)->sin6_addr, text, sizeof text);
  }
  return text;
}

Response make_response(ServerReply& reply) {
  if (!reply.file) {
    return Response(MHD_create_response_from_buffer(reply.body.size(), reply.body.data(), MHD_RESPMEM_MUST_COPY));
  }
  Response response(MHD_create_response_from_fd_at_offset64(reply.size, reply.file.get(), reply.offset));
  if (response) reply.file.release();  // libmicrohttpd closes it
  return response;
}

MHD_Result send_reply(MHD_Connection* connection, const ServerRequest& request, ServerReply& reply,
                      const HttpServer::Logger& logger) {
  const Response response = make_response(reply);
  if (!response) return MHD_NO;
  for (const auto& [name, value] : reply.headers.fields()) {
    if (MHD_add_response_header(response.get(), name.c_str(), value.c_str()) == MHD_NO) return MHD_NO;
  }
  logger(request, reply);
  return MHD_queue_response(connection, static_cast<unsigned>(reply.status), response.get());
}

Fd listen_on(const ServerOptions& options) {
  addrinfo hints{};
  hints.ai_flags = AI_PASSIVE | AI_NUMERICSERV;
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  const std::string port = std::to_string(options.port);
  const char* address = options.address.empty() ? nullptr : options.address.c_str();
  if (const int code = ::getaddrinfo(address, port.c_str(), &hints, &found); code != 0) {
    throw Error(ErrorKind::Invalid, "listen address " + options.address + ": " + ::gai_strerror(code));
  }
  const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> owner(found, &::freeaddrinfo);
  Fd socket(check(::socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket"));
  const int on = 1;
  check(::setsockopt(socket.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on), "setsockopt");
  check(::setsockopt(socket.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on), "setsockopt");
  check(::bind(socket.get(), found->ai_addr, found->ai_addrlen), "listen on", options.address + ":" + port);
  check(::listen(socket.get(), 256), "listen on", options.address + ":" + port);
  return socket;
}

std::uint16_t port_of(int socket) {
  sockaddr_storage address{};
  socklen_t size = sizeof address;
  check(::getsockname(socket, reinterpret_cast<sockaddr*>(&address), &size), "getsockname");
  return ntohs(address.ss_family == AF_INET6 ? reinterpret_cast<sockaddr_in6&>(address).sin6_port
                                             : reinterpret_cast<sockaddr_in&>(address).sin_port);
}

}  // namespace

std::optional<std::string> ServerRequest::parameter(const std::string& name) const {
  const auto found = query.find(name);
  if (found == query.end()) return std::nullopt;
  return found->second;
}

struct HttpServer::State {
  Handler handler;
  Logger logger;
  std::string certificate;
  std::string key;
  std::uint16_t port = 0;
  MHD_Daemon* daemon = nullptr;

  ~State() {
    if (daemon != nullptr) MHD_stop_daemon(daemon);
  }

  void start(Exchange& exchange) {
    try {
      ServerAction action = handler(exchange.request);
      if (auto* reply = std::get_if<ServerReply>(&action)) {
        exchange.reply = std::move(*reply);
      } else {
        exchange.body = std::move(std::get<std::unique_ptr<ServerBody>>(action));
      }
    } catch (const std::exception& error) {
      exchange.reply = failure_reply(error);
    }
  }

  void take(Exchange& exchange, Bytes data) {
    if (exchange.reply) {
      exchange.unwanted += data.size();
      return;
    }
    try {
      exchange.body->write(data);
    } catch (const std::exception& error) {
      exchange.reply = failure_reply(error);
      exchange.body.reset();
    }
  }

  void finish(Exchange& exchange) {
    if (exchange.reply) return;
    try {
      exchange.reply = exchange.body->finish();
    } catch (const std::exception& error) {
      exchange.reply = failure_reply(error);
    }
    exchange.body.reset();
  }

  // libmicrohttpd calls this once for the headers, then for each piece of the body, then once more with size 0.
  MHD_Result handle(MHD_Connection* connection, const char* url, const char* method, const char* data,
                    std::size_t* size, void** slot) {
    if (*slot == nullptr) {
      auto exchange = std::make_unique<Exchange>();
      exchange->request.method = method;
      exchange->request.path = url;
      exchange->request.peer = peer_of(connection);
      MHD_get_connection_values(connection, MHD_HEADER_KIND, &collect_header, &exchange->request);
      MHD_get_connection_values(connection, MHD_GET_ARGUMENT_KIND, &collect_query, &exchange->request);
      start(*exchange);
      *slot = exchange.release();
      auto& started = *static_cast<Exchange*>(*slot);
      // A client that waits for "100 Continue" need not send what is refused anyway.
      const bool waits = started.request.headers.find("Expect").has_value();
      if (started.reply && waits) return send_reply(connection, started.request, *started.reply, logger);
      return MHD_YES;
    }
    auto& exchange = *static_cast<Exchange*>(*slot);
    if (*size > 0) {
      take(exchange, as_bytes({data, *size}));
      *size = 0;
      return exchange.unwanted > kLongestUnwanted ? MHD_NO : MHD_YES;
    }
    finish(exchange);
    return send_reply(connection, exchange.request, *exchange.reply, logger);
  }

  static MHD_Result on_request(void* context, MHD_Connection* connection, const char* url, const char* method,
                               const char*, const char* data, std::size_t* size, void** slot) noexcept {
    try {
      return static_cast<State*>(context)->handle(connection, url, method, data, size, slot);
    } catch (const std::exception&) {
      return MHD_NO;  // no memory for the request: the connection is closed
    }
  }

  static void on_completed(void*, MHD_Connection*, void** slot, MHD_RequestTerminationCode) {
    delete static_cast<Exchange*>(*slot);
    *slot = nullptr;
  }
};

HttpServer::HttpServer(const ServerOptions& options, Handler handler, Logger logger)
    : state_(std::make_unique<State>()) {
  state_->handler = std::move(handler);
  state_->logger = std::move(logger);
  state_->certificate = options.certificate;
  state_->key = options.key;
  Fd socket = listen_on(options);
  state_->port = port_of(socket.get());
  unsigned flags = MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_THREAD_PER_CONNECTION | MHD_USE_POLL;
  std::vector<MHD_OptionItem> items{
      {MHD_OPTION_LISTEN_SOCKET, socket.get(), nullptr},
      {MHD_OPTION_CONNECTION_LIMIT, static_cast<intptr_t>(options.most_connections), nullptr},
      {MHD_OPTION_CONNECTION_MEMORY_LIMIT, static_cast<intptr_t>(kConnectionMemory), nullptr},
      {MHD_OPTION_CONNECTION_TIMEOUT, static_cast<intptr_t>(kIdleSeconds), nullptr},
      {MHD_OPTION_THREAD_STACK_SIZE, static_cast<intptr_t>(kThreadStack), nullptr},
      {MHD_OPTION_NOTIFY_COMPLETED, reinterpret_cast<intptr_t>(&State::on_completed), nullptr}};
  if (!options.certificate.empty()) {
    flags |= MHD_USE_TLS;
    items.push_back({MHD_OPTION_HTTPS_MEM_CERT, 0, state_->certificate.data()});
    items.push_back({MHD_OPTION_HTTPS_MEM_KEY, 0, state_->key.data()});
  }
  items.push_back({MHD_OPTION_END, 0, nullptr});
  state_->daemon = MHD_start_daemon(flags, 0, nullptr, nullptr, &State::on_request, state_.get(), MHD_OPTION_ARRAY,
                                    items.data(), MHD_OPTION_END);
  if (state_->daemon == nullptr) {
    throw Error(ErrorKind::Invalid, options.certificate.empty() ? "the HTTP server can't be started"
                                                                : "the HTTP server can't be started: certificate or "
                                                                  "key is not usable");
  }
  socket.release();  // the daemon's now
}

HttpServer::~HttpServer() = default;

std::uint16_t HttpServer::port() const noexcept {
  return state_->port;
}

}  // namespace ctr
