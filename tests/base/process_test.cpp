#include "base/process.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/socket.h>

#include "base/error.h"
#include "base/task_pool.h"
#include "base/unix_socket.h"

namespace ctr {
namespace {

TEST(Process, FeedsInputAndCollectsBothOutputs) {
  const std::string input(300000, 'x');
  const CommandOutput output = run_command({.argv = {"sh", "-c", "cat; echo bad >&2; exit 3"}}, input);
  EXPECT_EQ(output.standard_out, input);
  EXPECT_EQ(output.standard_error, "bad\n");
  EXPECT_EQ(output.status.shell_code(), 3);
}

TEST(Process, AChildThatIgnoresItsInputIsNoError) {
  EXPECT_TRUE(run_command({.argv = {"true"}}, std::string(1000000, 'x')).status.success());
}

TEST(Process, ReportsTheSignalThatEndedAChild) {
  const CommandOutput output = run_command({.argv = {"sh", "-c", "kill -TERM $$"}});
  EXPECT_EQ(output.status.signal, SIGTERM);
  EXPECT_EQ(output.status.shell_code(), 143);
}

TEST(Process, NamesAProgramThatDoesNotExist) {
  try {
    spawn({.argv = {"no-such-program"}});
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::NotFound);
  }
}

TEST(Process, PassesOnlyTheNamedDescriptors) {
  const Fd extra = open_file("/dev/null", O_RDONLY);
  Command command{.argv = {"sh", "-c", "ls /proc/self/fd"}};
  command.passed_fds = {{extra.get(), 7}};
  EXPECT_EQ(run_command(command).standard_out, "0\n1\n2\n3\n7\n");
}

TEST(Process, SignalsHaveNames) {
  EXPECT_EQ(parse_signal("SIGTERM"), SIGTERM);
  EXPECT_EQ(parse_signal("kill"), SIGKILL);
  EXPECT_EQ(parse_signal("9"), SIGKILL);
  EXPECT_EQ(parse_signal("RTMIN+3"), 37);
  EXPECT_EQ(parse_signal("SIGRTMAX-1"), 63);
  EXPECT_FALSE(parse_signal("NOPE"));
  EXPECT_FALSE(parse_signal("0"));
  EXPECT_EQ(signal_name(37), "SIGRTMIN+3");
}

TEST(UnixSocket, KeepsMessageBordersAndCarriesDescriptors) {
  const TempDirectory temp;
  const Fd dir = open_directory(temp.path());
  EXPECT_FALSE(connect_seqpacket(dir.get(), "s"));
  const Fd server = listen_seqpacket(dir.get(), "s");
  const std::optional<Fd> client = connect_seqpacket(dir.get(), "s");
  ASSERT_TRUE(client);
  const Fd accepted(::accept4(server.get(), nullptr, nullptr, SOCK_CLOEXEC));
  Pipe pipe = make_pipe();
  const int passed[] = {pipe.write.get()};
  send_message(client->get(), as_bytes("one"), passed);
  send_message(client->get(), as_bytes("two"));
  Message first = receive_message(accepted.get());
  EXPECT_EQ(first.bytes, "one");
  ASSERT_EQ(first.fds.size(), 1u);
  write_all(first.fds[0].get(), as_bytes("!"));
  EXPECT_EQ(receive_message(accepted.get()).bytes, "two");
  char byte = 0;
  EXPECT_EQ(::read(pipe.read.get(), &byte, 1), 1);
}

TEST(TaskPool, RunsEverythingAndHandsExceptionsBack) {
  TaskPool pool(3);
  std::vector<std::future<int>> results;
  for (int i = 0; i < 50; ++i) results.push_back(pool.submit([i] { return i; }));
  int sum = 0;
  for (std::future<int>& result : results) sum += result.get();
  EXPECT_EQ(sum, 1225);
  EXPECT_THROW(pool.submit([]() -> int { throw Error(ErrorKind::Busy, "x"); }).get(), Error);
}

}  // namespace
}  // namespace ctr
