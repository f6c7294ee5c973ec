#include "shim/attach_server.h"

#include <array>
#include <csignal>
#include <cstring>
#include <gtest/gtest.h>
#include <pty.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <thread>

#include "base/error.h"
#include "base/time.h"
#include "base/unix_socket.h"

namespace ctr {
namespace {

class FakeHost final : public AttachHost {
 public:
  pid_t process_pid() const override { return 4711; }
  void on_stdin(ClientId client, std::string_view bytes) override {
    input += bytes;
    last_client = client;
  }
  void on_attach(ClientId) override {}
  void on_stdin_end(ClientId) override { ++input_ends; }
  void on_resize(SizePayload size) override { rows = size.rows; }
  void on_signal(ClientId client, int signal, bool) override {
    if (signal == 99) throw Error(ErrorKind::Invalid, "no such signal");
    last_client = client;
    last_signal = signal;
  }
  void on_stop(ClientId, const StopPayload&) override {}
  void on_pause(ClientId, bool) override {}
  void on_wait(ClientId client, WaitFor) override { last_client = client; }
  void on_network(ClientId, std::string_view, std::vector<Fd> fds) override { network_fds += fds.size(); }
  void on_close_ports(ClientId, std::string_view) override {}
  void on_room() override { ++rooms; }

  std::string input;
  ClientId last_client = 0;
  int input_ends = 0;
  int rows = 0;
  int last_signal = 0;
  int rooms = 0;
  std::size_t network_fds = 0;
};

struct Reply {
  MessageType type = MessageType::Done;
  std::string payload;
};

template <typename Payload>
std::string bytes_of(const Payload& payload) {
  return {reinterpret_cast<const char*>(&payload), sizeof payload};
}

class AttachServerTest : public testing::Test {
 protected:
  AttachServerTest() : directory_fd_(open_directory(directory_.path())), server_(loop_, host_) {
    server_.listen(listen_seqpacket(directory_fd_.get(), std::string(kShimSocket)));
  }

  void settle() {
    while (loop_.run_once(0)) {
    }
  }

  void send(const Fd& client, MessageType type, const std::string& payload = {}, std::span<const int> fds = {}) {
    const MessageHeader header = {type, {}};
    send_message(client.get(), as_bytes(bytes_of(header) + payload), fds);
    settle();
  }

  std::optional<Reply> receive(const Fd& client) {
    std::string buffer(sizeof(MessageHeader) + kMaxPayload, '\0');
    const ssize_t length = ::recv(client.get(), buffer.data(), buffer.size(), MSG_DONTWAIT);
    if (length <= 0) return std::nullopt;
    buffer.resize(static_cast<std::size_t>(length));
    return Reply{static_cast<MessageType>(buffer.front()), buffer.substr(sizeof(MessageHeader))};
  }

  bool is_closed(const Fd& client) {
    char byte = 0;
    return ::recv(client.get(), &byte, 1, MSG_DONTWAIT) == 0;
  }

  Fd connect() {
    Fd client = *connect_seqpacket(directory_fd_.get(), std::string(kShimSocket));
    send(client, MessageType::Hello, bytes_of(HelloPayload()));
    const auto reply = receive(client);
    EXPECT_TRUE(reply && reply->type == MessageType::Welcome);
    return client;
  }

  Fd attach(std::uint32_t streams = kAttachStdin | kAttachStdout | kAttachStderr) {
    Fd client = connect();
    send(client, MessageType::Attach, bytes_of(AttachPayload{streams}));
    const auto reply = receive(client);
    EXPECT_TRUE(reply && reply->type == MessageType::Done);
    return client;
  }

  /// Sends output until the server says that somebody's backlog is full.
  std::size_t fill() {
    const std::string part(16 * 1024, 'x');
    std::size_t sent = 0;
    while (server_.has_room() && sent < 64 * 1024 * 1024) {
      server_.broadcast(LogStream::Stdout, part);
      sent += part.size();
    }
    return sent;
  }

  TempDirectory directory_;
  Fd directory_fd_;
  EventLoop loop_;
  FakeHost host_;
  AttachServer server_;
};

TEST_F(AttachServerTest, WelcomesAndTellsThePid) {
  const Fd client = *connect_seqpacket(directory_fd_.get(), std::string(kShimSocket));
  send(client, MessageType::Hello, bytes_of(HelloPayload()));
  const auto reply = receive(client);
  ASSERT_TRUE(reply);
  WelcomePayload welcome;
  std::memcpy(&welcome, reply->payload.data(), sizeof welcome);
  EXPECT_EQ(welcome.version, kShimProtocol);
  EXPECT_EQ(welcome.pid, 4711);
}

TEST_F(AttachServerTest, TellsAClientOfAnotherAgeSo) {
  const Fd client = *connect_seqpacket(directory_fd_.get(), std::string(kShimSocket));
  send(client, MessageType::Hello, bytes_of(HelloPayload{kHelloMagic, 900, 901}));
  const auto reply = receive(client);
  ASSERT_TRUE(reply);
  EXPECT_EQ(reply->payload[0], 0);
  EXPECT_EQ(reply->payload[1], 0);
  EXPECT_TRUE(is_closed(client));
}

TEST_F(AttachServerTest, DropsWhoDoesNotGreet) {
  const Fd client = *connect_seqpacket(directory_fd_.get(), std::string(kShimSocket));
  send(client, MessageType::Attach, bytes_of(AttachPayload{7}));
  EXPECT_TRUE(is_closed(client));
}

TEST_F(AttachServerTest, SurvivesGarbage) {
  const Fd other = attach();
  for (const std::string& garbage :
       {std::string("x"), std::string(4, '\xff'), std::string(16000, 'a'), std::string("\x04\0\0\0", 4)}) {
    const Fd client = connect();
    send_message(client.get(), as_bytes(garbage));
    settle();
  }
  server_.broadcast(LogStream::Stdout, "still here");
  EXPECT_EQ(receive(other)->payload, "still here");
}

TEST_F(AttachServerTest, SendsEachStreamToWhoAttachedIt) {
  const Fd both = attach();
  const Fd only_error = attach(kAttachStderr);
  server_.broadcast(LogStream::Stdout, "out");
  server_.broadcast(LogStream::Stderr, "err");
  EXPECT_EQ(receive(both)->type, MessageType::Stdout);
  EXPECT_EQ(receive(both)->type, MessageType::Stderr);
  EXPECT_EQ(receive(only_error)->payload, "err");
}

TEST_F(AttachServerTest, SplitsLargeOutputIntoMessages) {
  const Fd client = attach();
  const std::string text(40000, 'y');
  server_.broadcast(LogStream::Stdout, text);
  std::string got;
  while (const auto reply = receive(client)) got += reply->payload;
  EXPECT_EQ(got, text);
}

TEST_F(AttachServerTest, PassesInputOnAndAcknowledgesIt) {
  const Fd client = attach();
  send(client, MessageType::Stdin, "abc");
  EXPECT_EQ(host_.input, "abc");
  server_.stdin_taken(host_.last_client, 3);
  EXPECT_EQ(receive(client)->type, MessageType::StdinTaken);
}

TEST_F(AttachServerTest, DropsWhoSendsMoreInputThanItsWindow) {
  const Fd client = attach();
  const std::string part(kMaxPayload, 'z');
  for (std::size_t sent = 0; sent < kStdinWindow; sent += part.size()) send(client, MessageType::Stdin, part);
  EXPECT_FALSE(is_closed(client));
  send(client, MessageType::Stdin, "one too many");
  EXPECT_TRUE(is_closed(client));
}

TEST_F(AttachServerTest, TakesAClientsEndAsTheEndOfItsInput) {
  { const Fd client = attach(); }
  settle();
  EXPECT_EQ(host_.input_ends, 1);
}

TEST_F(AttachServerTest, AnswersRequestsWithRefusals) {
  const Fd client = connect();
  send(client, MessageType::Signal, bytes_of(SignalPayload{99}));
  const auto reply = receive(client);
  ASSERT_TRUE(reply);
  EXPECT_EQ(reply->type, MessageType::Refused);
  EXPECT_EQ(reply->payload.substr(sizeof(FailurePayload)), "no such signal");
  send(client, MessageType::Signal, bytes_of(SignalPayload{15}));
  EXPECT_EQ(host_.last_signal, 15);
}

TEST_F(AttachServerTest, TakesDescriptors) {
  const Fd client = connect();
  const Pipe pipe = make_pipe();
  const int fds[] = {pipe.read.get(), pipe.write.get()};
  send(client, MessageType::Network, "{}", fds);
  EXPECT_EQ(host_.network_fds, 2U);
}

TEST_F(AttachServerTest, GivesSlowReadersEverything) {
  const Fd client = attach();
  const std::size_t sent = fill();
  EXPECT_FALSE(server_.has_room());
  server_.all_attached_exited({3, 0}, "");
  std::size_t got = 0;
  std::optional<Reply> last;
  for (;;) {
    const auto reply = receive(client);
    settle();
    if (!reply) break;
    if (reply->type == MessageType::Stdout) got += reply->payload.size();
    last = reply;
  }
  EXPECT_EQ(got, sent);
  EXPECT_EQ(last->type, MessageType::Exited);
}

TEST_F(AttachServerTest, LetsOutputFlowAgainWhenASlowReaderReads) {
  const Fd client = attach();
  fill();
  while (receive(client)) settle();
  EXPECT_TRUE(server_.has_room());
  EXPECT_EQ(host_.rooms, 1);
}

/// A client of its own process, because the server looks at how the process is.
class SleepingClient {
 public:
  explicit SleepingClient(int directory) {
    int ends[2];
    check(::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), "socketpair");
    const Fd theirs(ends[1]);
    ready_ = Fd(ends[0]);
    pid_ = ::fork();
    if (pid_ == 0) run(directory, theirs.get());
  }
  ~SleepingClient() {
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }
  SleepingClient(const SleepingClient&) = delete;
  SleepingClient& operator=(const SleepingClient&) = delete;

  void stop() {
    ::kill(pid_, SIGSTOP);
    int status = 0;
    ::waitpid(pid_, &status, WUNTRACED);
  }
  /// Lets it read, and tells what its last message was.
  MessageType last_message() {
    ::kill(pid_, SIGCONT);
    ::kill(pid_, SIGUSR1);
    std::uint8_t type = 0;
    check(::read(ready_.get(), &type, 1), "read");
    return static_cast<MessageType>(type);
  }

 private:
  [[noreturn]] static void run(int directory, int report) {
    sigset_t signals;
    ::sigemptyset(&signals);
    ::sigaddset(&signals, SIGUSR1);
    ::sigprocmask(SIG_BLOCK, &signals, nullptr);
    const Fd socket = *connect_seqpacket(directory, std::string(kShimSocket));
    const std::string hello = packet(MessageType::Hello, bytes_of(HelloPayload()));
    const std::string attach = packet(MessageType::Attach, bytes_of(AttachPayload{kAttachStdout}));
    send_message(socket.get(), as_bytes(hello));
    send_message(socket.get(), as_bytes(attach));
    int number = 0;
    ::sigwait(&signals, &number);
    std::uint8_t type = 0;
    std::array<char, 32768> buffer;
    while (::recv(socket.get(), buffer.data(), buffer.size(), 0) > 0) type = static_cast<std::uint8_t>(buffer[0]);
    ::_exit(::write(report, &type, 1) == 1 ? 0 : 1);
  }
  static std::string packet(MessageType type, const std::string& payload) {
    const MessageHeader header = {type, {}};
    return bytes_of(header) + payload;
  }

  pid_t pid_ = -1;
  Fd ready_;
};

class StalledClient : public AttachServerTest {
 protected:
  StalledClient() : client_(directory_fd_.get()) {
    while (!server_.has_attached()) loop_.run_once(1000);
  }
  /// How long the server held its process up.
  std::int64_t time_until_room() {
    const std::int64_t before = monotonic_ms();
    while (!server_.has_room()) loop_.run_once(1000);
    settle();
    return monotonic_ms() - before;
  }
  SleepingClient client_;
};

TEST_F(StalledClient, IsDroppedWithAMessageSoonAfterItWasStopped) {
  client_.stop();
  fill();
  EXPECT_LT(time_until_room(), AttachServer::kWaitingPatienceMs);
  EXPECT_EQ(host_.rooms, 1);
  std::thread serving([this] {
    for (int i = 0; i < 100; ++i) loop_.run_once(10);
  });
  EXPECT_EQ(client_.last_message(), MessageType::Dropped);
  serving.join();
}

TEST_F(StalledClient, IsGivenLongerWhenItWaitsForItsOwnReader) {
  fill();
  const std::int64_t time = time_until_room();
  EXPECT_GE(time, AttachServer::kWaitingPatienceMs - 100);
  EXPECT_LT(time, AttachServer::kLongPatienceMs);
}

TEST_F(AttachServerTest, WaitsForWhoWouldReadIfItCould) {
  const Fd client = attach();
  fill();
  // The client is this very process, which is running.
  const std::int64_t until = monotonic_ms() + AttachServer::kStoppedPatienceMs + 200;
  while (monotonic_ms() < until) loop_.run_once(50);
  EXPECT_FALSE(server_.has_room());
}

TEST_F(AttachServerTest, GivesAReaderWhoGoesAwayNoPower) {
  {
    const Fd client = attach();
    fill();
  }
  settle();
  EXPECT_TRUE(server_.has_room());
}

TEST_F(AttachServerTest, SetsTheTerminalOfADeadClientBack) {
  int master = -1;
  int slave = -1;
  ASSERT_EQ(::openpty(&master, &slave, nullptr, nullptr, nullptr), 0);
  const Fd master_fd(master);
  const Fd terminal(slave);
  TerminalPayload payload = {};
  struct termios before = {};
  ASSERT_EQ(::tcgetattr(slave, &before), 0);
  struct termios raw = before;
  ::cfmakeraw(&raw);
  std::memcpy(payload.before.data(), &before, sizeof before);
  std::memcpy(payload.during.data(), &raw, sizeof raw);
  {
    const Fd client = attach();
    ::tcsetattr(slave, TCSANOW, &raw);
    const int fds[] = {slave};
    send(client, MessageType::Terminal, bytes_of(payload), fds);
  }
  settle();
  struct termios after = {};
  ASSERT_EQ(::tcgetattr(slave, &after), 0);
  EXPECT_EQ(after.c_lflag, before.c_lflag);
}

TEST_F(AttachServerTest, LeavesATerminalAloneThatSomebodyElseHasSet) {
  int master = -1;
  int slave = -1;
  ASSERT_EQ(::openpty(&master, &slave, nullptr, nullptr, nullptr), 0);
  const Fd master_fd(master);
  const Fd terminal(slave);
  TerminalPayload payload = {};
  struct termios before = {};
  ASSERT_EQ(::tcgetattr(slave, &before), 0);
  struct termios raw = before;
  ::cfmakeraw(&raw);
  std::memcpy(payload.before.data(), &before, sizeof before);
  std::memcpy(payload.during.data(), &raw, sizeof raw);
  struct termios shell = before;
  shell.c_lflag &= static_cast<tcflag_t>(~ICANON);
  {
    const Fd client = attach();
    const int fds[] = {slave};
    send(client, MessageType::Terminal, bytes_of(payload), fds);
    ::tcsetattr(slave, TCSANOW, &shell);
  }
  settle();
  struct termios after = {};
  ASSERT_EQ(::tcgetattr(slave, &after), 0);
  EXPECT_EQ(after.c_lflag, shell.c_lflag);
}

TEST_F(AttachServerTest, TellsWaitersTheEnd) {
  const Fd client = connect();
  send(client, MessageType::Wait, bytes_of(WaitPayload{WaitFor::NextExit}));
  server_.exited(host_.last_client, {42, kExitedOom}, "why");
  const auto reply = receive(client);
  ASSERT_TRUE(reply);
  ExitedPayload exited;
  std::memcpy(&exited, reply->payload.data(), sizeof exited);
  EXPECT_EQ(exited.exit_code, 42);
  EXPECT_EQ(exited.flags, kExitedOom);
  EXPECT_EQ(reply->payload.substr(sizeof exited), "why");
  EXPECT_TRUE(is_closed(client));
}

}  // namespace
}  // namespace ctr
