#include "shim/attach_server.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <sys/socket.h>

#include "base/error.h"
#include "base/time.h"

namespace ctr {

namespace {

constexpr std::size_t kMaxFdsAtOnce = 16;
/// Messages that one client may have handled before others have their turn.
constexpr int kMessagesPerTurn = 16;
/// A client whose backlog fell below this lets the output flow again.
constexpr std::size_t kRoomAgain = AttachServer::kMaxBacklog / 2;

static_assert(sizeof(struct termios) <= sizeof(TerminalPayload::before));

template <typename Payload>
std::optional<Payload> payload_as(std::string_view bytes) {
  if (bytes.size() < sizeof(Payload)) return std::nullopt;
  Payload payload;
  std::memcpy(&payload, bytes.data(), sizeof payload);
  return payload;
}

template <typename Payload>
std::string_view bytes_of(const Payload& payload) {
  return {reinterpret_cast<const char*>(&payload), sizeof payload};
}

/// One received packet, in a buffer that the caller owns.
struct Packet {
  ssize_t length = 0;
  bool is_cut = false;
  std::vector<Fd> fds;
};

Packet receive_packet(int socket, std::span<char> buffer) {
  iovec part = {buffer.data(), buffer.size()};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int) * kMaxFdsAtOnce)];
  msghdr header = {};
  header.msg_iov = &part;
  header.msg_iovlen = 1;
  header.msg_control = control;
  header.msg_controllen = sizeof control;
  Packet packet;
  do {
    packet.length = ::recvmsg(socket, &header, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
  } while (packet.length < 0 && errno == EINTR);
  if (packet.length < 0) return packet;
  packet.is_cut = (header.msg_flags & MSG_TRUNC) != 0;
  for (cmsghdr* item = CMSG_FIRSTHDR(&header); item != nullptr; item = CMSG_NXTHDR(&header, item)) {
    if (item->cmsg_level != SOL_SOCKET || item->cmsg_type != SCM_RIGHTS) continue;
    const std::size_t count = (item->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (std::size_t i = 0; i < count; ++i) {
      int fd = -1;
      std::memcpy(&fd, CMSG_DATA(item) + i * sizeof(int), sizeof fd);
      packet.fds.emplace_back(fd);
    }
  }
  return packet;
}

/// The state letter of the process at the other end (R runs or wants to, T is stopped, S sleeps); 0 if unknown.
char state_of_peer(int socket) {
  ucred peer = {};
  socklen_t size = sizeof peer;
  if (::getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0 || peer.pid <= 0) return 0;
  try {
    const std::optional<std::string> stat = find_file("/proc/" + std::to_string(peer.pid) + "/stat", 4096);
    const std::size_t name_end = stat ? stat->rfind(") ") : std::string::npos;
    return name_end == std::string::npos || name_end + 2 >= stat->size() ? char{0} : (*stat)[name_end + 2];
  } catch (const Error&) {
    return 0;  // it has just ended
  }
}

}  // namespace

/// A client's terminal, as it was before the client changed it. Set back when the client dies without doing it.
struct KeptTerminal {
  Fd fd;
  struct termios before;
  struct termios during;

  void set_back() const {
    // Only if nobody else has set it since: a shell that took over knows better.
    struct termios current = {};
    if (::tcgetattr(fd.get(), &current) != 0) return;
    if (current.c_lflag == during.c_lflag && current.c_iflag == during.c_iflag && current.c_oflag == during.c_oflag) {
      ::tcsetattr(fd.get(), TCSANOW, &before);
    }
  }
};

struct AttachServer::Client {
  ClientId id = 0;
  Fd socket;
  bool is_greeted = false;
  bool is_closing = false;  // its last message is in the backlog
  std::uint32_t streams = 0;
  std::size_t stdin_on_way = 0;
  std::deque<std::string> backlog;
  std::size_t backlog_bytes = 0;
  bool is_full = false;
  std::int64_t last_progress_ms = 0;
  EventLoop::TimerId stall_timer = 0;
  std::uint32_t interest = 0;
  std::optional<KeptTerminal> terminal;

  ~Client() {
    if (terminal) terminal->set_back();
  }
};

AttachServer::AttachServer(EventLoop& loop, AttachHost& host) : loop_(loop), host_(host) {}

AttachServer::~AttachServer() {
  stop_listening();
  loop_.cancel(room_timer_);
  for (const auto& client : clients_) {
    loop_.cancel(client->stall_timer);
    loop_.forget(client->socket.get());
  }
}

void AttachServer::listen(Fd socket) {
  listener_ = std::move(socket);
  loop_.watch(listener_.get(), EPOLLIN, [this](std::uint32_t) { accept_one(); });
}

void AttachServer::stop_listening() {
  if (!listener_) return;
  loop_.forget(listener_.get());
  listener_.reset();
}

void AttachServer::accept_one() {
  Fd socket(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
  if (!socket || clients_.size() >= kMaxClients) return;
  add_client(std::move(socket), false, 0);
}

ClientId AttachServer::adopt(Fd connection, std::uint32_t streams) {
  return add_client(std::move(connection), true, streams);
}

ClientId AttachServer::add_client(Fd socket, bool is_greeted, std::uint32_t streams) {
  const auto client = std::make_shared<Client>();
  client->id = next_id_++;
  client->socket = std::move(socket);
  client->is_greeted = is_greeted;
  client->streams = streams;
  client->last_progress_ms = monotonic_ms();
  client->interest = EPOLLIN;
  clients_.push_back(client);
  const ClientId id = client->id;
  loop_.watch(client->socket.get(), EPOLLIN, [this, id](std::uint32_t events) { on_ready(id, events); });
  return id;
}

AttachServer::Client* AttachServer::find(ClientId id) noexcept {
  for (const auto& client : clients_) {
    if (client->id == id) return client.get();
  }
  return nullptr;
}

void AttachServer::on_ready(ClientId id, std::uint32_t events) {
  Client* client = find(id);
  if (client == nullptr) return;
  if ((events & EPOLLOUT) != 0) send_backlog(*client);
  for (int turn = 0; turn < kMessagesPerTurn && (events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0; ++turn) {
    client = find(id);  // what a handler did may have removed it
    if (client == nullptr || !receive_from(*client)) break;
  }
  client = find(id);
  if (client != nullptr && client->is_closing && client->backlog.empty()) remove(id);
}

/// Handles one message; false when there is none now, or the client is gone.
bool AttachServer::receive_from(Client& client) {
  const ClientId id = client.id;
  char buffer[sizeof(MessageHeader) + kMaxPayload];
  Packet packet = receive_packet(client.socket.get(), buffer);
  if (packet.length < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return false;
  bool is_fine = packet.length >= static_cast<ssize_t>(sizeof(MessageHeader)) && !packet.is_cut;
  if (is_fine) {
    const std::string_view bytes(buffer, static_cast<std::size_t>(packet.length));
    const auto header = payload_as<MessageHeader>(bytes);
    is_fine = handle(client, header->type, bytes.substr(sizeof(MessageHeader)), std::move(packet.fds));
  }
  if (!is_fine) remove(id);
  return is_fine;
}

/// False if the client must go: it went, or it does not keep to the protocol.
bool AttachServer::handle(Client& client, MessageType type, std::string_view payload, std::vector<Fd> fds) {
  if (type == MessageType::Hello) return greet(client, payload);
  if (!client.is_greeted) return false;
  if (client.is_closing) return true;
  const ClientId id = client.id;
  try {
    return handle_request(client, type, payload, fds);
  } catch (const std::exception& error) {
    refuse(id, error);
    return true;
  }
}

bool AttachServer::handle_request(Client& client, MessageType type, std::string_view payload, std::vector<Fd>& fds) {
  const auto attach = payload_as<AttachPayload>(payload);
  const auto size = payload_as<SizePayload>(payload);
  const auto signal = payload_as<SignalPayload>(payload);
  const auto stop = payload_as<StopPayload>(payload);
  const auto wait = payload_as<WaitPayload>(payload);
  switch (type) {
    case MessageType::Attach:
      if (!attach) return false;
      client.streams = attach->streams;
      send(client, MessageType::Done, {});
      host_.on_attach(client.id);
      return true;
    case MessageType::Stdin:
      return take_stdin(client, payload);
    case MessageType::StdinEnd:
      if ((client.streams & kAttachStdin) != 0) host_.on_stdin_end(client.id);
      return true;
    case MessageType::Resize:
      if (size) host_.on_resize(*size);
      return size.has_value();
    case MessageType::Signal:
    case MessageType::RawSignal:
      if (signal) host_.on_signal(client.id, signal->signal, type == MessageType::RawSignal);
      return signal.has_value();
    case MessageType::Stop:
      if (stop) host_.on_stop(client.id, *stop);
      return stop.has_value();
    case MessageType::Pause:
    case MessageType::Unpause:
      host_.on_pause(client.id, type == MessageType::Pause);
      return true;
    case MessageType::Wait:
      if (wait) host_.on_wait(client.id, wait->condition);
      return wait.has_value();
    case MessageType::Terminal:
      keep_terminal(client, payload, fds);
      return true;
    case MessageType::Network:
      host_.on_network(client.id, payload, std::move(fds));
      return true;
    case MessageType::ClosePorts:
      host_.on_close_ports(client.id, payload);
      return true;
    default:
      return false;
  }
}

bool AttachServer::greet(Client& client, std::string_view payload) {
  const auto hello = payload_as<HelloPayload>(payload);
  if (!hello || hello->magic != kHelloMagic || client.is_greeted) return false;
  const bool is_common = hello->oldest <= kShimProtocol && hello->newest >= kOldestShimProtocol;
  WelcomePayload welcome = {};
  welcome.version = is_common ? std::min(hello->newest, kShimProtocol) : std::uint16_t{0};
  welcome.pid = host_.process_pid();
  client.is_greeted = is_common;
  client.is_closing = !is_common;
  send(client, MessageType::Welcome, bytes_of(welcome));
  return true;
}

bool AttachServer::take_stdin(Client& client, std::string_view payload) {
  if ((client.streams & kAttachStdin) == 0) return false;
  client.stdin_on_way += payload.size();
  if (client.stdin_on_way > kStdinWindow) return false;
  host_.on_stdin(client.id, payload);
  return true;
}

void AttachServer::keep_terminal(Client& client, std::string_view payload, std::vector<Fd>& fds) {
  // Without a descriptor: the client has set it back itself.
  if (fds.empty()) client.terminal.reset();
  const auto terminal = payload_as<TerminalPayload>(payload);
  if (!terminal || fds.size() != 1) return;
  KeptTerminal kept;
  kept.fd = std::move(fds.front());
  std::memcpy(&kept.before, terminal->before.data(), sizeof kept.before);
  std::memcpy(&kept.during, terminal->during.data(), sizeof kept.during);
  client.terminal = std::move(kept);
}

void AttachServer::broadcast(LogStream stream, std::string_view bytes) {
  const std::uint32_t wanted = stream == LogStream::Stdout ? kAttachStdout : kAttachStderr;
  const MessageType type = stream == LogStream::Stdout ? MessageType::Stdout : MessageType::Stderr;
  while (!bytes.empty()) {
    const std::string_view part = bytes.substr(0, kMaxPayload);
    for (std::size_t i = 0; i < clients_.size(); ++i) {
      const std::shared_ptr<Client> client = clients_[i];
      if ((client->streams & wanted) != 0 && !client->is_closing) send(*client, type, {}, part);
    }
    bytes.remove_prefix(part.size());
  }
}

void AttachServer::send(Client& client, MessageType type, std::string_view payload, std::string_view text) {
  MessageHeader header = {type, {}};
  iovec parts[3] = {{&header, sizeof header},
                    {const_cast<char*>(payload.data()), payload.size()},
                    {const_cast<char*>(text.data()), text.size()}};
  if (client.backlog.empty()) {
    msghdr message = {};
    message.msg_iov = parts;
    message.msg_iovlen = 3;
    ssize_t sent = 0;
    do {
      sent = ::sendmsg(client.socket.get(), &message, MSG_NOSIGNAL | MSG_DONTWAIT);
    } while (sent < 0 && errno == EINTR);
    if (sent >= 0) {
      client.last_progress_ms = monotonic_ms();
      return;
    }
    // Anything but a full buffer means that it is gone: its end of file is on the way.
    if (errno != EAGAIN && errno != EWOULDBLOCK && errno != ENOBUFS) return;
  }
  std::string packet(bytes_of(header));
  packet.append(payload).append(text);
  send_later(client, std::move(packet));
}

void AttachServer::send_later(Client& client, std::string packet) {
  if (client.backlog.empty()) client.last_progress_ms = monotonic_ms();
  client.backlog_bytes += packet.size();
  client.backlog.push_back(std::move(packet));
  update_interest(client);
  if (client.backlog_bytes < kMaxBacklog || client.is_full) return;
  set_full(client, true);
  check_stall(client.id);
}

void AttachServer::send_backlog(Client& client) {
  while (!client.backlog.empty()) {
    const std::string& packet = client.backlog.front();
    const ssize_t sent = ::send(client.socket.get(), packet.data(), packet.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent < 0 && errno == EINTR) continue;
    if (sent < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == ENOBUFS)) break;
    client.last_progress_ms = monotonic_ms();
    client.backlog_bytes -= packet.size();
    client.backlog.pop_front();
  }
  update_interest(client);
  if (client.is_full && client.backlog_bytes < kRoomAgain) set_full(client, false);
}

void AttachServer::update_interest(Client& client) {
  const std::uint32_t interest = client.backlog.empty() ? EPOLLIN : EPOLLIN | EPOLLOUT;
  if (interest == client.interest) return;
  client.interest = interest;
  loop_.change(client.socket.get(), interest);
}

void AttachServer::set_full(Client& client, bool is_full) {
  if (client.is_full == is_full) return;
  client.is_full = is_full;
  full_clients_ += is_full ? 1 : -1;
  if (is_full) return;
  loop_.cancel(client.stall_timer);
  // Not from here: a broadcast may be under way, and the next output must not overtake it.
  loop_.cancel(room_timer_);
  room_timer_ = loop_.after_ms(0, [this] {
    if (has_room()) host_.on_room();
  });
}

/// Waits while the client still reads; drops it when it has read nothing for too long.
void AttachServer::check_stall(ClientId id) {
  Client* client = find(id);
  if (client == nullptr || !client->is_full) return;
  const std::int64_t left = client->last_progress_ms + patience_with(*client) - monotonic_ms();
  if (left <= 0) {
    drop_stalled(*client);
  } else {
    // Looked at again soon, because what is known of it may change.
    client->stall_timer = loop_.after_ms(std::min(left, kStoppedPatienceMs), [this, id] { check_stall(id); });
  }
}

std::int64_t AttachServer::patience_with(const Client& client) const {
  if (is_only_terminal(client)) return kLongPatienceMs;
  switch (state_of_peer(client.socket.get())) {
    case 'T':
    case 't':
      return kStoppedPatienceMs;
    case 'R':
      return kLongPatienceMs;
    default:
      return kWaitingPatienceMs;
  }
}

bool AttachServer::is_only_terminal(const Client& client) const noexcept {
  if (!client.terminal) return false;
  return std::none_of(clients_.begin(), clients_.end(), [&](const auto& other) {
    return other.get() != &client && (other->streams & (kAttachStdout | kAttachStderr)) != 0 && !other->is_closing;
  });
}

/// The message waits until the client reads again; the backlog before it is given up.
void AttachServer::drop_stalled(Client& client) {
  client.backlog.clear();
  client.backlog.shrink_to_fit();
  client.backlog_bytes = 0;
  client.is_closing = true;
  if ((client.streams & kAttachStdin) != 0) host_.on_stdin_end(client.id);
  client.streams = 0;
  send(client, MessageType::Dropped, {},
       "the output was not read for too long, so the connection was closed; the container runs on, see ctr logs");
  set_full(client, false);
}

void AttachServer::stdin_taken(ClientId id, std::size_t bytes) {
  Client* client = find(id);
  if (client == nullptr) return;
  client->stdin_on_way -= std::min(client->stdin_on_way, bytes);
  send(*client, MessageType::StdinTaken, bytes_of(CountPayload{static_cast<std::uint32_t>(bytes)}));
}

void AttachServer::done(ClientId id) {
  if (Client* client = find(id)) send(*client, MessageType::Done, {});
}

void AttachServer::refuse(ClientId id, const std::exception& error) {
  Client* client = find(id);
  if (client == nullptr) return;
  FailurePayload failure = {125, static_cast<std::int32_t>(ErrorKind::System), 0};
  if (const auto* known = dynamic_cast<const Error*>(&error)) {
    failure.kind = static_cast<std::int32_t>(known->kind());
    failure.error_number = known->error_number();
  }
  send(*client, MessageType::Refused, bytes_of(failure), std::string_view(error.what()).substr(0, kMaxPayload / 2));
}

void AttachServer::exited(ClientId id, const ExitedPayload& exit, std::string_view sentence) {
  Client* client = find(id);
  if (client == nullptr || client->is_closing) return;
  // It sets its terminal back now; were we to do it later, the next program might be using it already.
  client->terminal.reset();
  send(*client, MessageType::Exited, bytes_of(exit), sentence);
  client->is_closing = true;
  if (client->backlog.empty()) ::shutdown(client->socket.get(), SHUT_WR);
}

void AttachServer::all_attached_exited(const ExitedPayload& exit, std::string_view sentence) {
  for (std::size_t i = 0; i < clients_.size(); ++i) {
    const std::shared_ptr<Client> client = clients_[i];
    if (client->streams != 0) exited(client->id, exit, sentence);
  }
}

bool AttachServer::has_attached() const noexcept {
  return std::any_of(clients_.begin(), clients_.end(),
                     [](const auto& client) { return client->streams != 0 && !client->is_closing; });
}

bool AttachServer::has_unsent() const noexcept {
  const std::int64_t oldest = monotonic_ms() - kLongPatienceMs;
  return std::any_of(clients_.begin(), clients_.end(), [oldest](const auto& client) {
    return !client->backlog.empty() && client->last_progress_ms > oldest;
  });
}

void AttachServer::remove(ClientId id) {
  const auto entry =
      std::find_if(clients_.begin(), clients_.end(), [id](const auto& client) { return client->id == id; });
  if (entry == clients_.end()) return;
  const std::shared_ptr<Client> client = *entry;
  clients_.erase(entry);
  loop_.cancel(client->stall_timer);
  loop_.forget(client->socket.get());
  if ((client->streams & kAttachStdin) != 0 && !client->is_closing) host_.on_stdin_end(id);
  set_full(*client, false);
}

}  // namespace ctr
