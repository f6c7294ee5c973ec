#include "shim/stdio_relay.h"

#include <csignal>
#include <gtest/gtest.h>
#include <pty.h>
#include <sys/ioctl.h>

#include "base/error.h"
#include "base/file.h"

namespace ctr {
namespace {

class StdioRelayTest : public testing::Test {
 protected:
  StdioRelayTest()
      : relay_(loop_, {[this](LogStream stream, std::string_view bytes) { take(stream, bytes); },
                       [this](std::uint64_t client, std::size_t bytes) { taken_[client] += bytes; }}) {
    ::signal(SIGPIPE, SIG_IGN);
  }

  void take(LogStream stream, std::string_view bytes) {
    pieces_.emplace_back(bytes);
    (stream == LogStream::Stdout ? out_ : err_) += bytes;
    if (pauses_) relay_.pause();
  }

  void start_pipes() {
    Pipe in = make_pipe();
    Pipe out = make_pipe();
    Pipe err = make_pipe();
    process_in_ = std::move(in.read);
    process_out_ = std::move(out.write);
    process_err_ = std::move(err.write);
    relay_.start_pipes(std::move(in.write), std::move(out.read), std::move(err.read));
  }

  void settle() {
    while (loop_.run_once(0)) {
    }
  }

  /// For what a terminal carries: the kernel hands it over in its own time.
  void settle_until_out_has(std::size_t size) {
    for (int waits = 0; out_.size() < size && waits < 1000; ++waits) loop_.run_once(10);
    settle();
  }

  EventLoop loop_;
  std::string out_;
  std::string err_;
  std::vector<std::string> pieces_;
  std::map<std::uint64_t, std::size_t> taken_;
  bool pauses_ = false;
  Fd process_in_;
  Fd process_out_;
  Fd process_err_;
  StdioRelay relay_;
};

TEST_F(StdioRelayTest, KeepsTheTwoOutputsApart) {
  start_pipes();
  write_all(process_out_.get(), as_bytes("out\n"));
  write_all(process_err_.get(), as_bytes("err\n"));
  settle();
  EXPECT_EQ(out_, "out\n");
  EXPECT_EQ(err_, "err\n");
}

TEST_F(StdioRelayTest, HandsOnALineWithoutItsEndAtOnce) {
  start_pipes();
  write_all(process_out_.get(), as_bytes("prompt> "));
  settle();
  EXPECT_EQ(out_, "prompt> ");
}

TEST_F(StdioRelayTest, HandsOnWholeLinesWhereMoreIsThere) {
  start_pipes();
  std::string text;
  for (int i = 0; i < 6000; ++i) text += "line " + std::to_string(i) + "\n";
  write_all(process_out_.get(), as_bytes(std::string_view(text).substr(0, 60000)));
  settle();
  EXPECT_EQ(out_, text.substr(0, 60000));
  for (std::size_t i = 0; i + 1 < pieces_.size(); ++i) EXPECT_EQ(pieces_[i].back(), '\n') << i;
}

TEST_F(StdioRelayTest, HandsOnEverythingThatAnEndedProcessLeft) {
  start_pipes();
  const std::string text(60000, 'x');
  write_all(process_out_.get(), as_bytes(text));
  relay_.pause();
  process_out_.reset();
  relay_.finish();
  EXPECT_EQ(out_, text);
}

TEST_F(StdioRelayTest, FinishesThoughOthersStillHoldThePipe) {
  start_pipes();
  write_all(process_out_.get(), as_bytes("last words"));
  relay_.finish();
  EXPECT_EQ(out_, "last words");
}

TEST_F(StdioRelayTest, ReadsNothingWhilePaused) {
  start_pipes();
  pauses_ = true;
  write_all(process_out_.get(), as_bytes("one\n"));
  settle();
  write_all(process_out_.get(), as_bytes("two\n"));
  settle();
  EXPECT_EQ(out_, "one\n");
  pauses_ = false;
  relay_.resume();
  settle();
  EXPECT_EQ(out_, "one\ntwo\n");
}

TEST_F(StdioRelayTest, TellsWhenInputWasTaken) {
  start_pipes();
  relay_.write(7, "hello");
  EXPECT_EQ(taken_[7], 5U);
  relay_.end_input();
  EXPECT_EQ(read_fd(process_in_.get(), 100, "stdin"), "hello");
}

TEST_F(StdioRelayTest, KeepsInputThatTheProcessDoesNotReadYet) {
  start_pipes();
  std::string sent;
  for (int i = 0; i < 8; ++i) {
    const std::string part(16 * 1024, static_cast<char>('a' + i));
    relay_.write(1, part);
    sent += part;
  }
  relay_.end_input();
  EXPECT_LT(taken_[1], sent.size());
  std::string got;
  std::array<char, 8192> buffer;
  for (;;) {
    const ssize_t count = ::read(process_in_.get(), buffer.data(), buffer.size());
    if (count <= 0) break;
    got.append(buffer.data(), static_cast<std::size_t>(count));
    settle();
  }
  EXPECT_EQ(got, sent);
  EXPECT_EQ(taken_[1], sent.size());
}

TEST_F(StdioRelayTest, ThrowsInputAwayThatNobodyReads) {
  start_pipes();
  process_in_.reset();
  relay_.write(1, "lost");
  relay_.write(1, "too");
  EXPECT_EQ(taken_[1], 7U);
}

class StdioRelayTerminal : public StdioRelayTest {
 protected:
  void start_terminal() {
    int master = -1;
    int slave = -1;
    check(::openpty(&master, &slave, nullptr, nullptr, nullptr), "openpty");
    process_ = Fd(slave);
    relay_.start_terminal(Fd(master));
  }
  Fd process_;
};

TEST_F(StdioRelayTerminal, CarriesBothWays) {
  start_terminal();
  relay_.write(3, "typed\n");
  std::array<char, 64> buffer;
  const ssize_t count = ::read(process_.get(), buffer.data(), buffer.size());
  EXPECT_EQ(std::string_view(buffer.data(), static_cast<std::size_t>(count)), "typed\n");
  write_all(process_.get(), as_bytes("shown\n"));
  const std::string_view carried = "typed\r\nshown\r\n";
  settle_until_out_has(carried.size());
  EXPECT_EQ(out_, carried);
  EXPECT_EQ(taken_[3], 6U);
}

TEST_F(StdioRelayTerminal, SetsTheSize) {
  start_terminal();
  relay_.resize({30, 100});
  winsize size = {};
  ASSERT_EQ(::ioctl(process_.get(), TIOCGWINSZ, &size), 0);
  EXPECT_EQ(size.ws_row, 30);
  EXPECT_EQ(size.ws_col, 100);
}

TEST_F(StdioRelayTerminal, GivesTheLastBytesOfAHangUp) {
  start_terminal();
  write_all(process_.get(), as_bytes("bye"));
  process_.reset();
  settle();
  EXPECT_EQ(out_, "bye");
  EXPECT_FALSE(relay_.has_terminal());
  relay_.write(1, "x");
  EXPECT_EQ(taken_[1], 1U);
}

}  // namespace
}  // namespace ctr
