#include "tests/support/registry_faults.h"

#include <algorithm>
#include <arpa/inet.h>
#include <chrono>
#include <netinet/in.h>
#include <sys/socket.h>

#include "base/error.h"
#include "base/text.h"

namespace ctr {
namespace {

Fd listen_on_loopback(int& port) {
  Fd socket(check(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket"));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  check(::bind(socket.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), "bind");
  check(::listen(socket.get(), 64), "listen");
  socklen_t size = sizeof address;
  check(::getsockname(socket.get(), reinterpret_cast<sockaddr*>(&address), &size), "getsockname");
  port = ntohs(address.sin_port);
  return socket;
}

bool receive_more(int connection, std::string& buffer) {
  char chunk[65536];
  const ssize_t got = ::recv(connection, chunk, sizeof chunk, 0);
  if (got <= 0) return false;
  buffer.append(chunk, static_cast<std::size_t>(got));
  return true;
}

bool send_all(int connection, std::string_view text) {
  while (!text.empty()) {
    const ssize_t sent = ::send(connection, text.data(), text.size(), MSG_NOSIGNAL);
    if (sent <= 0) return false;
    text.remove_prefix(static_cast<std::size_t>(sent));
  }
  return true;
}

// The head of a request as a FakeRequest; `length` is its Content-Length.
FakeRequest parse_head(const std::string& head, const std::string& origin, std::uint64_t& length) {
  const std::vector<std::string> lines = split(head, '\n');
  const std::vector<std::string> first = split_words(lines.front());
  FakeRequest request;
  request.method = first.at(0);
  request.url = Url::parse(origin + first.at(1));
  for (std::size_t i = 1; i < lines.size(); ++i) {
    const auto pair = cut(trim(lines[i]), ':');
    if (pair) request.headers.add(pair->first, std::string(trim(pair->second)));
  }
  length = parse_uint(request.headers.find("Content-Length").value_or("0")).value_or(0);
  return request;
}

}  // namespace

struct FaultyServer::Fault {
  enum class Kind {
    None,
    Break,          // the answer ends in the middle, with the connection
    Stall,          // a pause in the middle
    Corrupt,        // one bit of the body
    LongLength,     // Content-Length says more than there is
    ShortLength,    // Content-Length says less
    Status,         // 429 or 5xx
    Expire,         // all tokens are worthless now
    WrongDigest,    // a header names another digest
    Redirect,       // to the other host
    Garbage,        // no HTTP at all
    CorruptUpload,  // one bit of the request's body
    BreakUpload,    // the connection ends before the body is read
  } kind = Kind::None;
  unsigned position = 0;
  int status = 0;
};

FaultyServer::FaultyServer(FakeRegistry& registry, unsigned seed, int faults)
    : registry_(registry), generator_(seed), faults_left_(faults) {
  listener_ = listen_on_loopback(port_);
  storage_listener_ = listen_on_loopback(storage_port_);
  registry_.token_realm = "http://" + host() + "/token";
  threads_.emplace_back([this] { accept_loop(listener_.get(), false); });
  threads_.emplace_back([this] { accept_loop(storage_listener_.get(), true); });
}

FaultyServer::~FaultyServer() {
  ending_ = true;
  ::shutdown(listener_.get(), SHUT_RDWR);
  ::shutdown(storage_listener_.get(), SHUT_RDWR);
  threads_[0].join();
  threads_[1].join();
  {
    const std::lock_guard guard(mutex_);
    for (const int connection : connections_) ::shutdown(connection, SHUT_RDWR);
  }
  for (std::size_t i = 2; i < threads_.size(); ++i) threads_[i].join();
}

std::string FaultyServer::story() const {
  return join(story_, ", ");
}

unsigned FaultyServer::random(unsigned below) {
  return std::uniform_int_distribution<unsigned>(0, below - 1)(generator_);
}

void FaultyServer::accept_loop(int listener, bool is_storage) {
  while (!ending_) {
    Fd connection(::accept4(listener, nullptr, nullptr, SOCK_CLOEXEC));
    if (!connection) return;
    const std::lock_guard guard(mutex_);
    connections_.push_back(connection.get());
    threads_.emplace_back([this, is_storage, fd = connection.release()] { serve(Fd(fd), is_storage); });
  }
}

void FaultyServer::serve(Fd connection, bool is_storage) {
  std::string buffer;
  while (!ending_ && serve_one(connection.get(), buffer, is_storage)) {
  }
  const std::lock_guard guard(mutex_);
  std::erase(connections_, connection.get());
}

FaultyServer::Fault FaultyServer::choose(const FakeRequest& request, bool is_storage) {
  using Kind = Fault::Kind;
  const std::lock_guard guard(mutex_);
  const bool is_blob = request.method == "GET" && request.url.path.find("/blobs/sha256:") != std::string::npos;
  if (is_blob && !is_storage && random(4) == 0) return {Kind::Redirect};  // costs nothing: registries do that
  if (faults_left_ <= 0 || random(2) == 0) return {};
  static constexpr Kind kKinds[] = {Kind::Break,       Kind::Stall,         Kind::Corrupt,    Kind::LongLength,
                                    Kind::ShortLength, Kind::Status,        Kind::Expire,     Kind::WrongDigest,
                                    Kind::Garbage,     Kind::CorruptUpload, Kind::BreakUpload};
  static constexpr int kStatuses[] = {429, 500, 502, 503, 504, 408};
  --faults_left_;
  const Fault fault{kKinds[random(std::size(kKinds))], random(20'000), kStatuses[random(std::size(kStatuses))]};
  story_.push_back(request.method + " " + request.url.path.substr(request.url.path.rfind('/')) + " fault " +
                   std::to_string(static_cast<int>(fault.kind)) + " at " + std::to_string(fault.position));
  return fault;
}

bool FaultyServer::serve_one(int connection, std::string& buffer, bool is_storage) {
  std::size_t end = 0;
  while ((end = buffer.find("\r\n\r\n")) == std::string::npos) {
    if (!receive_more(connection, buffer)) return false;
    if (buffer.front() == 0x16) return false;  // a TLS hello: a plain server does not wait for more of it
  }
  std::uint64_t length = 0;
  FakeRequest request = parse_head(buffer.substr(0, end), "http://" + host(), length);
  buffer.erase(0, end + 4);
  const Fault fault = choose(request, is_storage);
  if (fault.kind == Fault::Kind::BreakUpload && length > 0) return false;
  while (buffer.size() < length) {
    if (!receive_more(connection, buffer)) return false;
  }
  request.body = buffer.substr(0, length);
  buffer.erase(0, length);
  if (is_storage && request.headers.find("Authorization")) leaked_ = true;
  if (is_storage) request.headers.set("Authorization", "Bearer full.1000000.");  // a signed URL needs none
  if (fault.kind == Fault::Kind::CorruptUpload && !request.body.empty()) {
    request.body[fault.position % request.body.size()] ^= 4;
  }
  if (fault.kind == Fault::Kind::Expire) registry_.expire_tokens();
  const FakeReply reply = bend_reply(registry_.respond(request), fault, request);
  return send_reply(connection, request, reply, fault);
}

FakeReply FaultyServer::bend_reply(FakeReply reply, const Fault& fault, const FakeRequest& request) {
  using Kind = Fault::Kind;
  const std::size_t size = reply.body.size();
  if (fault.kind == Kind::Redirect && (reply.status == 200 || reply.status == 206)) {
    return {307, {{"Location", "http://127.0.0.1:" + std::to_string(storage_port_) + request.url.path}}, ""};
  }
  if (fault.kind == Kind::Status) return {fault.status, {{"Retry-After", "0"}}, "<html>try later</html>"};
  if (fault.kind == Kind::Corrupt && size > 0) reply.body[fault.position % size] ^= 16;
  if (fault.kind == Kind::LongLength) reply.headers.set("Content-Length", std::to_string(size + 1 + fault.position));
  if (fault.kind == Kind::ShortLength) reply.headers.set("Content-Length", std::to_string(fault.position % (size + 1)));
  if (fault.kind == Kind::WrongDigest) {
    reply.headers.set("Docker-Content-Digest", Digest::of(std::to_string(fault.position)).str());
  }
  return reply;
}

bool FaultyServer::send_reply(int connection, const FakeRequest& request, const FakeReply& reply, const Fault& fault) {
  using Kind = Fault::Kind;
  if (fault.kind == Kind::Garbage) {
    send_all(connection, "SSH-2.0-OpenSSH_9.2\r\n");
    return false;
  }
  std::string text = "HTTP/1.1 " + std::to_string(reply.status) + " X\r\n";
  for (const auto& [name, value] : reply.headers.fields()) text += name + ": " + value + "\r\n";
  if (!reply.headers.find("Content-Length")) text += "Content-Length: " + std::to_string(reply.body.size()) + "\r\n";
  text += "\r\n";
  if (request.method != "HEAD") text += reply.body;
  const std::size_t middle = std::min<std::size_t>(fault.position, text.size());
  if (fault.kind == Kind::Break) {
    send_all(connection, std::string_view(text).substr(0, middle));
    return false;
  }
  if (fault.kind == Kind::Stall) {
    if (!send_all(connection, std::string_view(text).substr(0, middle))) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(5 + fault.position % 20));
    return send_all(connection, std::string_view(text).substr(middle));
  }
  if (!send_all(connection, text)) return false;
  // After a lie about the length nobody knows where the next answer begins.
  return fault.kind != Kind::LongLength && fault.kind != Kind::ShortLength;
}

}  // namespace ctr
