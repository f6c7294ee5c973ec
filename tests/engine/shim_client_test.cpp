#include "engine/shim_client.h"

#include <csignal>
#include <gtest/gtest.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include "base/lock.h"
#include "base/text.h"
#include "base/time.h"
#include "engine/attach_client.h"
#include "runtime/cgroup.h"
#include "tests/support/engine_held_container.h"

namespace ctr {
namespace {

constexpr std::uint32_t kOutputs = kAttachStdout | kAttachStderr;
constexpr std::uint32_t kAll = kAttachStdin | kOutputs;

class Shim : public testing::Test {
 protected:
  void SetUp() override {
    if (::geteuid() != 0) GTEST_SKIP() << "needs root";
    if (!path_exists("/bin/busybox")) GTEST_SKIP() << "no /bin/busybox (package busybox-static)";
    if (!path_exists(fs::path(CTR_BIN_DIR) / "ctr-shim")) GTEST_SKIP() << "ctr-shim is not built";
  }
  static std::vector<std::string> shell(const std::string& script) { return {"/bin/sh", "-c", script}; }
};

TEST_F(Shim, GivesTheStarterAllOutputAndTheStatus) {
  HeldContainer container(shell("echo out; echo err >&2; exit 7"));
  const auto run = HeldContainer::attend(container.start(kOutputs));
  EXPECT_EQ(run.status, 7);
  EXPECT_EQ(run.output, "out\n");
  EXPECT_EQ(run.error, "err\n");
  EXPECT_EQ(container.exit().exit_code, 7);
  EXPECT_EQ(container.log().size(), 8U);
}

TEST_F(Shim, StartsInAGroupThatAKilledShimLeftFrozen) {
  HeldContainer container({"/bin/true"});
  Cgroup::create(container.spec.linux.cgroups_path, {}, CgroupPolicy::BestEffort).freeze();
  ::alarm(60);  // a start that hangs ends the test
  EXPECT_EQ(HeldContainer::attend(container.start(kOutputs)).status, 0);
  ::alarm(0);
}

TEST_F(Shim, HoldsTheNetworkOfItsContainerAsLongAsItLives) {
  HeldContainer container({"/bin/sleep", "100000"});
  const fs::path path = container.run_directory() / "network.lock";
  NetworkService service;
  service.hold = open_file(path, O_RDWR | O_CREAT, 0600);
  ASSERT_EQ(::flock(service.hold.get(), LOCK_EX | LOCK_NB), 0);
  container.network = &service;
  container.start();
  service.hold.reset();
  EXPECT_FALSE(FileLock::try_acquire(path, LockMode::Exclusive).has_value());
  container.connect().signal(SIGKILL);
  container.wait_until_dead();
  EXPECT_TRUE(FileLock::try_acquire(path, LockMode::Exclusive).has_value());
}

TEST_F(Shim, ThatHasEndedMeanwhileHasStopped) {
  HeldContainer container({"/bin/sleep", "100000"});
  container.start();
  ShimConnection connection = container.connect();
  const fs::path descriptors = "/proc/" + std::to_string(find_shim_state(container.run_directory())->shim_pid) + "/fd";
  container.connect().stop(SIGKILL, 0);
  HeldContainer::wait_for([&] {  // its end of the connection goes with it
    try {
      return list_directory(descriptors).empty();
    } catch (const Error&) {
      return true;
    }
  });
  connection.stop(SIGTERM, 10);
  EXPECT_FALSE(connection.wait(WaitFor::NotRunning).has_value());
}

TEST_F(Shim, GivesOutputCompleteToTheLastByte) {
  HeldContainer container(shell("dd if=/dev/zero bs=1000 count=3000 2>/dev/null | tr '\\000' 'x'; echo end"));
  const auto run = HeldContainer::attend(container.start(kOutputs));
  EXPECT_EQ(run.output.size(), 3'000'004U);
  EXPECT_TRUE(run.output.ends_with("xend\n"));
  EXPECT_EQ(container.log(), run.output);
}

TEST_F(Shim, IsDeadAndHasWrittenTheEndDownBeforeItAnswers) {
  HeldContainer container({"/bin/true"});
  HeldContainer::attend(container.start(kOutputs));
  EXPECT_FALSE(is_shim_alive(container.run_directory()));
  EXPECT_EQ(container.exit().exit_code, 0);
  EXPECT_FALSE(ShimConnection::connect(container.run_directory()).has_value());
}

TEST_F(Shim, TellsWhyACommandCouldNotBeExecuted) {
  const std::vector<std::pair<std::string, int>> cases = {{"/bin/nope", 127}, {"nope", 127}, {"/etc", 126}};
  for (const auto& [command, status] : cases) {
    HeldContainer container({command});
    try {
      container.start(kOutputs);
      ADD_FAILURE() << command << " was started";
    } catch (const ShimStartError& error) {
      EXPECT_EQ(error.exit_status(), status) << error.what();
    }
    EXPECT_EQ(container.exit().exit_code, status);
    EXPECT_TRUE(container.exit().started_at.empty());
    EXPECT_FALSE(container.exit().error.empty());
    EXPECT_FALSE(is_shim_alive(container.run_directory()));
    EXPECT_FALSE(find_shim_state(container.run_directory()).has_value());
  }
}

TEST_F(Shim, RefusesASecondOneForTheSameContainer) {
  HeldContainer container({"/bin/sleep", "100"});
  container.start();
  try {
    container.start();
    ADD_FAILURE() << "there are two shims";
  } catch (const ShimStartError& error) {
    EXPECT_EQ(error.kind(), ErrorKind::Busy);
  }
  EXPECT_TRUE(ShimConnection::connect(container.run_directory()).has_value());
}

TEST_F(Shim, LeavesItsStateForOthers) {
  HeldContainer container({"/bin/sleep", "100"});
  const StartedShim started = container.start();
  const auto state = find_shim_state(container.run_directory());
  ASSERT_TRUE(state.has_value());
  EXPECT_EQ(state->status, ShimStatus::Running);
  EXPECT_EQ(state->pid, started.pid);
  EXPECT_TRUE(is_shim_alive(container.run_directory()));
  EXPECT_EQ(container.connect().pid(), started.pid);
}

TEST_F(Shim, PassesInputAndItsEnd) {
  HeldContainer container({"/bin/cat"});
  container.settings.open_stdin = container.settings.stdin_once = true;
  std::string input;
  for (int i = 0; i < 20000; ++i) input += "line " + std::to_string(i) + "\n";
  EXPECT_EQ(HeldContainer::attend(container.start(kAll), input).output, input);
}

TEST_F(Shim, GivesAContainerWithoutInputAnEmptyOne) {
  HeldContainer container({"/bin/cat"});
  EXPECT_EQ(HeldContainer::attend(container.start(kAll), "nobody reads this").output, "");
}

TEST_F(Shim, KeepsInputOpenForTheNextClient) {
  HeldContainer container({"/bin/head", "-n", "2"});
  container.settings.open_stdin = true;
  container.start();
  const auto send = [&](const std::string& text) {
    StartedShim client;
    client.connection = container.connect().attach(kAll);
    const MessageHeader header = {MessageType::Stdin, {}};
    const std::string packet = std::string(reinterpret_cast<const char*>(&header), sizeof header) + text;
    ASSERT_EQ(::write(client.connection.get(), packet.data(), packet.size()), static_cast<ssize_t>(packet.size()));
  };
  send("one\n");
  send("two\n");
  container.wait_until_dead();
  EXPECT_EQ(container.log(), "one\ntwo\n");
}

TEST_F(Shim, StopsAtOnceWhatWouldNeverTakeTheSignal) {
  HeldContainer container({"/bin/sleep", "100"});
  container.start();
  const std::int64_t before = monotonic_ms();
  container.connect().stop(0, kDefaultStopTimeout);
  EXPECT_LT(monotonic_ms() - before, 5000);
  EXPECT_EQ(container.exit().exit_code, 128 + SIGTERM);
  EXPECT_TRUE(container.exit().stopped_by_request);
}

TEST_F(Shim, LetsAHandlerFinishItsWork) {
  HeldContainer container(shell("trap 'echo bye; exit 3' TERM; echo ready; while true; do sleep 0.05; done"));
  container.start();
  HeldContainer::wait_for([&] { return container.log() == "ready\n"; });
  container.connect().stop(0, kDefaultStopTimeout);
  EXPECT_EQ(container.exit().exit_code, 3);
  EXPECT_EQ(container.log(), "ready\nbye\n");
}

TEST_F(Shim, KillsWhatIgnoresTheSignalWhenTheTimeIsOver) {
  HeldContainer container(shell("trap '' TERM; echo ready; while true; do sleep 0.05; done"));
  container.start();
  HeldContainer::wait_for([&] { return container.log() == "ready\n"; });
  container.connect().stop(0, 0);
  EXPECT_EQ(container.exit().exit_code, 137);
}

TEST_F(Shim, WaitsForAnInitThatPassesTheSignalOn) {
  const fs::path init = fs::path(CTR_BIN_DIR) / "ctr-init";
  if (!path_exists(init)) GTEST_SKIP() << "ctr-init is not built";
  HeldContainer container(
      {"/bin/init", "--", "/bin/sh", "-c", "trap 'exit 3' TERM; echo ready; while true; do sleep 0.05; done"});
  fs::copy_file(init, container.directory() / "rootfs/bin/init");
  container.start();
  HeldContainer::wait_for([&] { return container.log() == "ready\n"; });
  container.connect().stop(0, kDefaultStopTimeout);
  EXPECT_EQ(container.exit().exit_code, 3);
}

TEST_F(Shim, EndsAtOnceWhenAnInitsProgramTakesTheDefault) {
  const fs::path init = fs::path(CTR_BIN_DIR) / "ctr-init";
  if (!path_exists(init)) GTEST_SKIP() << "ctr-init is not built";
  HeldContainer container({"/bin/init", "--", "/bin/sleep", "100"});
  fs::copy_file(init, container.directory() / "rootfs/bin/init");
  container.start();
  const std::int64_t before = monotonic_ms();
  container.connect().stop(0, kDefaultStopTimeout);
  EXPECT_LT(monotonic_ms() - before, 5000);
  EXPECT_EQ(container.exit().exit_code, 128 + SIGTERM);
}

TEST_F(Shim, SendsSignals) {
  HeldContainer container(shell("trap 'echo got' USR1; echo ready; while true; do sleep 0.05; done"));
  container.start();
  HeldContainer::wait_for([&] { return container.log() == "ready\n"; });
  container.connect().signal(SIGUSR1);
  HeldContainer::wait_for([&] { return container.log() == "ready\ngot\n"; });
  container.connect().signal(SIGKILL);
  container.wait_until_dead();
  EXPECT_EQ(container.exit().exit_code, 137);
}

TEST_F(Shim, AnswersWhoWaits) {
  HeldContainer container(shell("sleep 0.2; exit 5"));
  container.start();
  const auto exit = container.connect().wait(WaitFor::NotRunning);
  ASSERT_TRUE(exit.has_value());
  EXPECT_EQ(exit->exit_code, 5);
}

TEST_F(Shim, PausesAndGoesOn) {
  HeldContainer container(shell("while true; do echo x; sleep 0.01; done"));
  container.start();
  HeldContainer::wait_for([&] { return !container.log().empty(); });
  container.connect().pause();
  EXPECT_EQ(find_shim_state(container.run_directory())->status, ShimStatus::Paused);
  const std::string before = container.log();
  ::usleep(100'000);
  EXPECT_LE(container.log().size(), before.size() + 2);
  EXPECT_THROW(container.connect().pause(), Error);
  container.connect().unpause();
  HeldContainer::wait_for([&] { return container.log().size() > before.size() + 4; });
  EXPECT_THROW(container.connect().unpause(), Error);
}

TEST_F(Shim, StopsAPausedContainer) {
  HeldContainer container({"/bin/sleep", "100"});
  container.start();
  container.connect().pause();
  container.connect().stop(0, 1);
  EXPECT_EQ(container.exit().exit_code, 143);
}

TEST_F(Shim, RestartsAsItsPolicySays) {
  HeldContainer container(shell("echo run; exit 1"));
  container.settings.restart = {"on-failure", 2};
  container.start();
  container.wait_until_dead();
  EXPECT_EQ(container.log(), "run\nrun\nrun\n");
  EXPECT_EQ(container.exit().restart_count, 2);
}

TEST_F(Shim, DoesNotRestartWhatWasStopped) {
  HeldContainer container({"/bin/sleep", "100"});
  container.settings.restart = {"always", 0};
  container.start();
  container.connect().stop(0, 5);
  EXPECT_FALSE(is_shim_alive(container.run_directory()));
}

TEST_F(Shim, CanBeStoppedBetweenTwoRuns) {
  HeldContainer container({"/bin/true"});
  container.settings.restart = {"always", 0};
  container.start();
  HeldContainer::wait_for([&] {
    const auto state = find_shim_state(container.run_directory());
    return state && state->restart_count >= 2 && state->status == ShimStatus::Restarting;
  });
  container.connect().stop(0, 5);
  EXPECT_FALSE(is_shim_alive(container.run_directory()));
}

TEST_F(Shim, ReadsItsPolicyAnewAtEachEnd) {
  HeldContainer container(shell("sleep 0.3; echo run; exit 1"));
  container.start();
  container.settings.restart = {"on-failure", 1};
  const Json record = Json::object({{"v", 1}, {"shim", to_json(container.settings)}});
  write_file_atomic(container.directory() / kRecordFile, record.dump(), Durability::Cached);
  container.wait_until_dead();
  EXPECT_EQ(container.log(), "run\nrun\n");
}

TEST_F(Shim, ChecksHealth) {
  HeldContainer container(shell("touch /tmp/fine; sleep 100"));
  HealthSettings health;
  health.argv = shell("echo checked; test -e /tmp/fine");
  health.interval_ns = 50'000'000;
  health.retries = 2;
  container.settings.health = health;
  container.start();
  EXPECT_EQ(find_shim_state(container.run_directory())->health, "starting");
  HeldContainer::wait_for([&] { return find_shim_state(container.run_directory())->health == "healthy"; });
  const auto report = find_health_report(container.run_directory());
  ASSERT_TRUE(report.has_value());
  EXPECT_EQ(report->log.back().output, "checked\n");
  fs::remove(container.directory() / "rootfs/tmp/fine");
  HeldContainer::wait_for([&] { return find_shim_state(container.run_directory())->health == "unhealthy"; });
  EXPECT_GE(find_health_report(container.run_directory())->failing_streak, 2);
}

TEST_F(Shim, ChecksNoHealthWhilePaused) {
  HeldContainer container({"/bin/sleep", "100"});
  HealthSettings health;
  health.argv = {"/bin/true"};
  health.interval_ns = 20'000'000;
  container.settings.health = health;
  container.start();
  HeldContainer::wait_for([&] { return find_shim_state(container.run_directory())->health == "healthy"; });
  container.connect().pause();
  ::usleep(200'000);
  container.connect().unpause();  // answered, so no probe holds the shim up
  const std::string last = find_health_report(container.run_directory())->log.back().end;
  HeldContainer::wait_for([&] { return find_health_report(container.run_directory())->log.back().end != last; });
  EXPECT_EQ(find_shim_state(container.run_directory())->health, "healthy");
}

TEST_F(Shim, EndsAHealthCheckThatTakesTooLong) {
  HeldContainer container({"/bin/sleep", "100"});
  HealthSettings health;
  health.argv = {"/bin/sleep", "50"};
  health.interval_ns = 50'000'000;
  health.timeout_ns = 100'000'000;
  health.retries = 1;
  container.settings.health = health;
  container.start();
  HeldContainer::wait_for([&] { return find_shim_state(container.run_directory())->health == "unhealthy"; });
  const auto report = find_health_report(container.run_directory());
  EXPECT_EQ(report->log.back().exit_code, -1);
  EXPECT_EQ(report->log.back().output, "Health check exceeded timeout (100ms)");
}

TEST_F(Shim, RestartsWhatIsUnhealthyWhenAsked) {
  HeldContainer container({"/bin/sleep", "100"});
  HealthSettings health;
  health.argv = {"/bin/false"};
  health.interval_ns = 50'000'000;
  health.retries = 1;
  container.settings.health = health;
  container.settings.restart = {"on-unhealthy", 0};
  container.start();
  HeldContainer::wait_for([&] { return find_shim_state(container.run_directory())->restart_count >= 1; });
}

TEST_F(Shim, WritesEvents) {
  HeldContainer container(shell("exit 4"));
  container.settings.events.file = container.directory() / "events.jsonl";
  container.settings.events.attributes = {{"image", "busybox"}, {"name", "box"}};
  HeldContainer::attend(container.start(kOutputs));
  // One event a line, the end last.
  const std::vector<std::string> lines = split(std::string(trim(read_file(container.directory() / "events.jsonl"))), '\n');
  const Json event = Json::parse(lines.back(), "event");
  EXPECT_EQ(event.string_or("Action"), "die");
  EXPECT_EQ(event.string_or("from"), "busybox");
  EXPECT_EQ(event.at("Actor").at("Attributes").string_or("exitCode"), "4");
}

TEST_F(Shim, ReleasesItsClaimsBeforeItAnswers) {
  HeldContainer container({"/bin/true"});
  const fs::path ours = container.directory() / "claim";
  const fs::path name = container.directory() / "name";
  const fs::path others = container.directory() / "other";
  fs::create_symlink(container.settings.id, ours);
  fs::create_symlink(container.settings.id, name);
  fs::create_symlink("somebody-else", others);
  container.settings.claims_while_running = {ours, others};
  container.settings.claims_until_removed = {name};
  container.settings.auto_remove = true;
  HeldContainer::attend(container.start(kOutputs));
  EXPECT_FALSE(find_link(ours).has_value());
  EXPECT_FALSE(find_link(name).has_value());
  EXPECT_TRUE(find_link(others).has_value());
  EXPECT_EQ(find_shim_state(container.run_directory())->status, ShimStatus::Removing);
}

TEST_F(Shim, TakesItsContainerWithItWhenItIsKilled) {
  HeldContainer container(shell("echo before; sleep 100"));
  const StartedShim started = container.start();
  HeldContainer::wait_for([&] { return container.log() == "before\n"; });
  const auto state = find_shim_state(container.run_directory());
  ::kill(state->shim_pid, SIGKILL);
  container.wait_until_dead();
  HeldContainer::wait_for([&] { return ::kill(started.pid, 0) != 0; });
  EXPECT_EQ(container.log(), "before\n");
  EXPECT_FALSE(find_process_exit(container.directory()).has_value());
}

TEST_F(Shim, StartsAgainAfterItsEnd) {
  HeldContainer container(shell("echo run"));
  HeldContainer::attend(container.start(kOutputs));
  HeldContainer::attend(container.start(kOutputs));
  EXPECT_EQ(container.log(), "run\nrun\n");
}

TEST_F(Shim, GivesTheTerminalItsSizeBeforeTheFirstInstruction) {
  HeldContainer container({"/bin/stty", "size"});
  container.spec.process->terminal = true;
  EXPECT_EQ(HeldContainer::attend(container.start(kOutputs)).output, "30 100\r\n");
}

TEST_F(Shim, ResizesTheTerminal) {
  HeldContainer container(shell("trap 'stty size; exit' WINCH; echo ready; while true; do sleep 0.05; done"));
  container.spec.process->terminal = true;
  container.start();
  HeldContainer::wait_for([&] { return container.log() == "ready\r\n"; });
  container.connect().resize({41, 123});
  container.wait_until_dead();
  EXPECT_EQ(container.log(), "ready\r\n41 123\r\n");
}

TEST_F(Shim, RecordsThatMemoryRanOut) {
  HeldContainer container(shell("dd if=/dev/zero of=/dev/null bs=200M count=1"));
  container.spec.linux.resources.memory.limit = 16 * 1024 * 1024;
  container.spec.linux.resources.memory.swap = 16 * 1024 * 1024;
  const auto run = HeldContainer::attend(container.start(kOutputs));
  EXPECT_EQ(run.status, 137);
  EXPECT_TRUE(container.exit().oom_killed);
}

TEST_F(Shim, RunsAnotherProcessInTheContainer) {
  HeldContainer container({"/bin/sleep", "100"});
  container.start();
  const auto run = HeldContainer::attend(container.start_exec("e1", shell("echo $$; echo err >&2; exit 9"), kOutputs));
  EXPECT_EQ(run.status, 9);
  EXPECT_NE(run.output, "1\n");
  EXPECT_EQ(run.error, "err\n");
  EXPECT_EQ(find_process_exit(container.run_directory() / "exec/e1")->exit_code, 9);
}

TEST_F(Shim, PassesInputToAnotherProcess) {
  HeldContainer container({"/bin/sleep", "100"});
  container.start();
  ExecSettings exec;
  exec.open_stdin = true;
  EXPECT_EQ(HeldContainer::attend(container.start_exec("e1", {"/bin/cat"}, kAll, exec), "text").output, "text");
}

TEST_F(Shim, TellsWhyAnotherProcessCouldNotBeExecuted) {
  HeldContainer container({"/bin/sleep", "100"});
  container.start();
  try {
    container.start_exec("e1", {"/bin/nope"}, 0);
    ADD_FAILURE() << "it was started";
  } catch (const ShimStartError& error) {
    EXPECT_EQ(error.exit_status(), 127) << error.what();
  }
}

TEST_F(Shim, EndsAnotherProcessWithTheContainer) {
  HeldContainer container({"/bin/sleep", "100"});
  container.start();
  StartedShim exec = container.start_exec("e1", {"/bin/sleep", "100"}, kOutputs);
  container.connect().signal(SIGKILL);
  EXPECT_EQ(HeldContainer::attend(std::move(exec)).status, 137);
}

TEST_F(Shim, RefusesAnotherProcessInADeadContainer) {
  HeldContainer container({"/bin/true"});
  HeldContainer::attend(container.start(kOutputs));
  EXPECT_THROW(container.start_exec("e1", {"/bin/true"}, 0), ShimStartError);
}

}  // namespace
}  // namespace ctr
