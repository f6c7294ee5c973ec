#include "engine/shim_client.h"

#include <fcntl.h>
#include <sys/socket.h>

#include "base/process.h"
#include "base/trace.h"
#include "base/unix_socket.h"
#include "engine/shim_messages.h"
#include "runtime/network_service.h"
#include "runtime/user_session.h"

namespace ctr {

namespace {

/// Descriptor of the starter's connection in the shim.
constexpr int kStarterDescriptor = 3;
/// A message carries at most 16 descriptors.
constexpr std::size_t kForwardsPerMessage = 12;

/// The two ends of a connection between us and a shim.
struct ConnectedPair {
  Fd ours;
  Fd theirs;
};

ConnectedPair make_pair() {
  int ends[2];
  check(::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), "make a pair of sockets");
  return {Fd(ends[0]), Fd(ends[1])};
}

/// Sends a network's sockets in as many messages as their number needs.
template <typename Send>
void send_network(const NetworkService& service, const Send& send) {
  const auto send_part = [&](const NetworkService& part) {
    if (part.empty()) return;
    const std::vector<int> fds = descriptors_of(part);
    send(to_json(part).dump(), fds);
  };
  NetworkService part;
  if (service.hold) part.hold = duplicate(service.hold.get());
  if (service.resolver) {
    part.resolver = ResolverSockets{duplicate(service.resolver->udp.get()), duplicate(service.resolver->tcp.get()),
                                    service.resolver->directory};
  }
  send_part(part);
  part = NetworkService();
  for (const ForwardRule& rule : service.forwards) {
    part.forwards.push_back({duplicate(rule.socket.get()), rule.port, rule.target, rule.target_port});
    if (part.forwards.size() < kForwardsPerMessage) continue;
    send_part(part);
    part = NetworkService();
  }
  send_part(part);
}

[[noreturn]] void throw_refusal(const ShimMessage& message) {
  const auto failure = payload_of<FailurePayload>(message);
  throw Error(static_cast<ErrorKind>(failure.kind), sentence_of<FailurePayload>(message), failure.error_number);
}

/// Connects and agrees on a version. Nothing if nobody listens.
std::optional<Fd> connect_to(const fs::path& directory, pid_t& pid) {
  const std::optional<Fd> dir = find_at(AT_FDCWD, directory, O_RDONLY | O_DIRECTORY);
  if (!dir) return std::nullopt;
  std::optional<Fd> socket = connect_seqpacket(dir->get(), std::string(kShimSocket));
  if (!socket) return std::nullopt;
  ShimMessage message;
  try {
    send_shim_message(socket->get(), MessageType::Hello, payload_bytes(HelloPayload()));
    if (!receive_shim_message(socket->get(), message)) return std::nullopt;
  } catch (const Error& error) {
    if (error.kind() == ErrorKind::Unavailable) return std::nullopt;  // it ended just now
    throw;
  }
  const auto welcome = payload_of<WelcomePayload>(message);
  if (message.type != MessageType::Welcome || welcome.version == 0) {
    throw Error(ErrorKind::Unavailable, "the container was started by a release of ctr that this one can't talk to");
  }
  pid = welcome.pid;
  return socket;
}

}  // namespace

StartedShim start_shim(const ShimRequest& request) {
  const TraceSpan span("start shim");
  ConnectedPair pair = make_pair();
  Command command;
  if (request.exec_id.empty()) {
    command.argv = {request.shim_program.native(), "run", request.container_dir.native(), request.run_dir.native()};
  } else {
    command.argv = {request.shim_program.native(), "exec", request.run_dir.native(), request.exec_id};
  }
  // A shim reads nothing: its standard input keeps what has to last as long as it does.
  command.standard_in = user_session_hold();
  command.standard_out = -1;
  command.standard_error = -1;
  command.new_session = true;
  command.passed_fds = {{pair.theirs.get(), kStarterDescriptor}};
  spawn(command);
  pair.theirs.reset();

  ShimMessage message;
  bool has_answer = false;
  try {
    if (request.network != nullptr) {
      send_network(*request.network, [&](const std::string& json, const std::vector<int>& fds) {
        send_shim_message(pair.ours.get(), MessageType::Network, json, fds);
      });
    }
    BeginPayload begin = {};
    begin.version = kShimProtocol;
    begin.streams = request.attach_streams;
    begin.size = {request.terminal.rows, request.terminal.columns};
    send_shim_message(pair.ours.get(), MessageType::Begin, payload_bytes(begin));
    has_answer = receive_shim_message(pair.ours.get(), message);
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::Unavailable) throw;
    // It failed while we were still talking: its answer is waiting all the same.
    has_answer = receive_shim_message(pair.ours.get(), message);
  }
  if (has_answer && message.type == MessageType::Failed) {
    const auto failure = payload_of<FailurePayload>(message);
    throw ShimStartError(static_cast<ErrorKind>(failure.kind), sentence_of<FailurePayload>(message),
                         failure.error_number, failure.exit_code);
  }
  if (!has_answer || message.type != MessageType::Started) {
    throw ShimStartError(ErrorKind::System, request.shim_program.native() + " ended without an answer", 0, 125);
  }
  StartedShim started;
  started.pid = payload_of<StartedPayload>(message).pid;
  if (request.attach_streams != 0) started.connection = std::move(pair.ours);
  return started;
}

std::optional<ShimConnection> ShimConnection::connect(const fs::path& directory) {
  pid_t pid = 0;
  std::optional<Fd> socket = connect_to(directory, pid);
  if (!socket) return std::nullopt;
  return ShimConnection(*std::move(socket), pid);
}

/// A shim that has ended hears nothing more. What it said before is still there to be read, and then the end.
void ShimConnection::send(MessageType type, std::string_view payload, std::span<const int> fds) {
  try {
    send_shim_message(socket_.get(), type, payload, fds);
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::Unavailable) throw;
  }
}

/// Sends a request and waits for Done. A shim that ends instead has done all it could.
void ShimConnection::request(MessageType type, std::string_view payload) {
  send(type, payload);
  ShimMessage message;
  while (receive_shim_message(socket_.get(), message)) {
    if (message.type == MessageType::Done) return;
    if (message.type == MessageType::Refused) throw_refusal(message);
  }
}

void ShimConnection::signal(int number) {
  request(MessageType::Signal, payload_bytes(SignalPayload{number}));
}

void ShimConnection::stop(std::int32_t signal, std::int32_t timeout_seconds) {
  request(MessageType::Stop, payload_bytes(StopPayload{signal, timeout_seconds}));
}

void ShimConnection::pause() {
  request(MessageType::Pause, {});
}
void ShimConnection::unpause() {
  request(MessageType::Unpause, {});
}

void ShimConnection::resize(TerminalSize size) {
  send(MessageType::Resize, payload_bytes(SizePayload{size.rows, size.columns}));
}

void ShimConnection::add_network(const NetworkService& service) {
  send_network(service, [&](const std::string& json, const std::vector<int>& fds) {
    send(MessageType::Network, json, fds);
    ShimMessage message;
    if (receive_shim_message(socket_.get(), message) && message.type == MessageType::Refused) throw_refusal(message);
  });
}

void ShimConnection::close_ports(const std::vector<PublishedPort>& ports) {
  Json list = Json::array();
  for (const PublishedPort& port : ports) list.push_back(to_json(port));
  request(MessageType::ClosePorts, list.dump());
}

std::optional<ProcessExit> ShimConnection::wait(WaitFor condition) {
  send(MessageType::Wait, payload_bytes(WaitPayload{condition}));
  ShimMessage message;
  while (receive_shim_message(socket_.get(), message)) {
    if (message.type == MessageType::Refused) throw_refusal(message);
    if (message.type != MessageType::Exited) continue;
    const auto exited = payload_of<ExitedPayload>(message);
    ProcessExit exit;
    exit.exit_code = exited.exit_code;
    exit.oom_killed = (exited.flags & kExitedOom) != 0;
    exit.error = sentence_of<ExitedPayload>(message);
    return exit;
  }
  return std::nullopt;
}

Fd ShimConnection::attach(std::uint32_t streams) && {
  request(MessageType::Attach, payload_bytes(AttachPayload{streams}));
  return std::move(socket_);
}

}  // namespace ctr
