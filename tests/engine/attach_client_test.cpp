#include "engine/attach_client.h"

#include <csignal>
#include <functional>
#include <gtest/gtest.h>
#include <pthread.h>
#include <pty.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <termios.h>
#include <thread>

#include "base/error.h"
#include "base/file.h"
#include "engine/shim_messages.h"

namespace ctr {
namespace {

/// The other side of the connection, played by a thread.
class FakeShim {
 public:
  explicit FakeShim(std::function<void(FakeShim&)> script) {
    int ends[2];
    check(::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), "socketpair");
    client_ = Fd(ends[0]);
    socket_ = Fd(ends[1]);
    thread_ = std::thread([this, script = std::move(script)] {
      script(*this);
      socket_.reset();
    });
  }
  ~FakeShim() { thread_.join(); }

  Fd take_client() { return std::move(client_); }

  void send(MessageType type, std::string_view payload = {}) { send_shim_message(socket_.get(), type, payload); }
  void exit(int code) { send(MessageType::Exited, payload_bytes(ExitedPayload{code, 0})); }
  /// Receives until a message of that type comes; false at the end.
  bool receive(MessageType type) {
    while (receive_shim_message(socket_.get(), message)) {
      if (message.type == type) return true;
    }
    return false;
  }
  bool receive_any() { return receive_shim_message(socket_.get(), message); }
  ShimMessage message;

 private:
  Fd client_;
  Fd socket_;
  std::thread thread_;
};

class AttachTest : public testing::Test {
 protected:
  AttachTest() : in_(make_pipe()), out_(make_pipe()), err_(make_pipe()) {
    options_.input = in_.read.get();
    options_.output = out_.write.get();
    options_.error = err_.write.get();
  }

  static std::string rest_of(Pipe& pipe) {
    pipe.write.reset();
    return read_fd(pipe.read.get(), kMiB, "pipe");
  }

  Pipe in_;
  Pipe out_;
  Pipe err_;
  AttachOptions options_;
};

TEST_F(AttachTest, CopiesBothOutputsAndReturnsTheStatus) {
  FakeShim shim([](FakeShim& self) {
    self.send(MessageType::Stdout, "out");
    self.send(MessageType::Stderr, "err");
    self.exit(42);
  });
  const AttachEnd end = attach(shim.take_client(), options_);
  EXPECT_EQ(end.kind, AttachEnd::Kind::Exited);
  EXPECT_EQ(end.status, 42);
  EXPECT_EQ(rest_of(out_), "out");
  EXPECT_EQ(rest_of(err_), "err");
}

TEST_F(AttachTest, SendsInputAndItsEnd) {
  write_all(in_.write.get(), as_bytes("typed"));
  in_.write.reset();
  std::string got;
  FakeShim shim([&](FakeShim& self) {
    while (self.receive(MessageType::Stdin)) {
      got += self.message.payload;
      if (got.size() == 5) break;
    }
    EXPECT_TRUE(self.receive(MessageType::StdinEnd));
    self.exit(0);
  });
  attach(shim.take_client(), options_);
  EXPECT_EQ(got, "typed");
}

TEST_F(AttachTest, SendsNoMoreInputThanItsWindowUntilItIsTaken) {
  std::thread writer([&] {
    write_all(in_.write.get(), as_bytes(std::string(3 * kStdinWindow, 'i')));
    in_.write.reset();
  });
  std::size_t got = 0;
  FakeShim shim([&](FakeShim& self) {
    std::size_t on_way = 0;
    while (self.receive_any()) {
      if (self.message.type == MessageType::StdinEnd) break;
      got += self.message.payload.size();
      on_way += self.message.payload.size();
      EXPECT_LE(on_way, kStdinWindow);
      if (on_way < kStdinWindow / 2) continue;
      self.send(MessageType::StdinTaken, payload_bytes(CountPayload{static_cast<std::uint32_t>(on_way)}));
      on_way = 0;
    }
    self.exit(0);
  });
  attach(shim.take_client(), options_);
  writer.join();
  EXPECT_EQ(got, 3 * kStdinWindow);
}

TEST_F(AttachTest, TellsWhenTheShimIsLost) {
  FakeShim shim([](FakeShim& self) { self.send(MessageType::Stdout, "last"); });
  EXPECT_EQ(attach(shim.take_client(), options_).kind, AttachEnd::Kind::Lost);
  EXPECT_EQ(rest_of(out_), "last");
}

TEST_F(AttachTest, TellsWhyItWasDropped) {
  FakeShim shim([](FakeShim& self) { self.send(MessageType::Dropped, "too slow"); });
  const AttachEnd end = attach(shim.take_client(), options_);
  EXPECT_EQ(end.kind, AttachEnd::Kind::Dropped);
  EXPECT_EQ(end.message, "too slow");
}

TEST_F(AttachTest, SendsSignalsOn) {
  const pthread_t self_thread = ::pthread_self();
  int got = 0;
  FakeShim shim([&](FakeShim& self) {
    // The first input shows that the client runs, with its signals blocked.
    EXPECT_TRUE(self.receive(MessageType::Stdin));
    ::pthread_kill(self_thread, SIGUSR1);
    EXPECT_TRUE(self.receive(MessageType::Signal));
    got = payload_of<SignalPayload>(self.message).signal;
    self.exit(0);
  });
  write_all(in_.write.get(), as_bytes("x"));
  attach(shim.take_client(), options_);
  EXPECT_EQ(got, SIGUSR1);
}

TEST_F(AttachTest, LeavesAfterThreeInterruptsInARow) {
  const pthread_t self_thread = ::pthread_self();
  FakeShim shim([&](FakeShim& self) {
    EXPECT_TRUE(self.receive(MessageType::Stdin));
    for (int i = 0; i < 3; ++i) {
      ::pthread_kill(self_thread, SIGINT);
      EXPECT_TRUE(self.receive(MessageType::Signal));
    }
    self.receive(MessageType::StdinEnd);
  });
  write_all(in_.write.get(), as_bytes("x"));
  EXPECT_EQ(attach(shim.take_client(), options_).kind, AttachEnd::Kind::Signalled);
}

TEST_F(AttachTest, EndsWhenItsOwnReaderHasGone) {
  out_.read.reset();
  FakeShim shim([](FakeShim& self) {
    self.send(MessageType::Stdout, "text");
    self.receive(MessageType::StdinEnd);
  });
  const AttachEnd end = attach(shim.take_client(), options_);
  EXPECT_EQ(end.kind, AttachEnd::Kind::Signalled);
  EXPECT_EQ(end.status, SIGPIPE);
}

class AttachTerminal : public testing::Test {
 protected:
  AttachTerminal() {
    int master = -1;
    int slave = -1;
    check(::openpty(&master, &slave, nullptr, nullptr, nullptr), "openpty");
    person_ = Fd(master);
    terminal_ = Fd(slave);
    const winsize size = {25, 80, 0, 0};
    ::ioctl(slave, TIOCSWINSZ, &size);
    ::tcgetattr(slave, &before_);
    options_.input = options_.output = options_.error = slave;
    options_.tty = true;
  }

  struct termios mode() const {
    struct termios now = {};
    ::tcgetattr(terminal_.get(), &now);
    return now;
  }

  Fd person_;
  Fd terminal_;
  struct termios before_ = {};
  AttachOptions options_;
};

TEST_F(AttachTerminal, IsRawMeanwhileAndAsBeforeAfterwards) {
  bool was_raw = false;
  FakeShim shim([&](FakeShim& self) {
    EXPECT_TRUE(self.receive(MessageType::Resize));
    was_raw = (mode().c_lflag & (ICANON | ECHO | ISIG)) == 0;
    EXPECT_EQ(payload_of<SizePayload>(self.message).rows, 25);
    self.exit(0);
    EXPECT_TRUE(self.receive(MessageType::Terminal));  // it has set it back
  });
  attach(shim.take_client(), options_);
  EXPECT_TRUE(was_raw);
  EXPECT_EQ(mode().c_lflag, before_.c_lflag);
  EXPECT_EQ(mode().c_oflag, before_.c_oflag);
}

TEST_F(AttachTerminal, IsLeftByTheDetachKeys) {
  FakeShim shim([&](FakeShim& self) {
    EXPECT_TRUE(self.receive(MessageType::Resize));
    write_all(person_.get(), as_bytes("ls\x10\x11"));
    EXPECT_TRUE(self.receive(MessageType::Stdin));
    EXPECT_EQ(self.message.payload, "ls");
    EXPECT_FALSE(self.receive(MessageType::StdinEnd));
  });
  EXPECT_EQ(attach(shim.take_client(), options_).kind, AttachEnd::Kind::Detached);
  EXPECT_EQ(mode().c_lflag, before_.c_lflag);
}

TEST_F(AttachTerminal, SendsItsNewSize) {
  const pthread_t self_thread = ::pthread_self();
  FakeShim shim([&](FakeShim& self) {
    EXPECT_TRUE(self.receive(MessageType::Resize));
    const winsize size = {40, 100, 0, 0};
    ::ioctl(terminal_.get(), TIOCSWINSZ, &size);
    ::pthread_kill(self_thread, SIGWINCH);
    EXPECT_TRUE(self.receive(MessageType::Resize));
    EXPECT_EQ(payload_of<SizePayload>(self.message).rows, 40);
    EXPECT_EQ(payload_of<SizePayload>(self.message).columns, 100);
    self.exit(0);
  });
  attach(shim.take_client(), options_);
}

}  // namespace
}  // namespace ctr
