#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include "base/random.h"
#include "base/text.h"
#include "runtime/oci_flags.h"
#include "runtime/oci_main.h"
#include "runtime/spec_defaults.h"
#include "runtime/systemd_cgroup.h"
#include "tests/support/runtime_container.h"

namespace ctr {
namespace {

constexpr const char* kPlayRuntime = "CTR_TEST_PLAYS_OCI_RUNTIME";

/// The runtime executes itself again from a protected copy and leaves children behind, so it has to be a program: this
/// one, when the environment says so.
const bool kPlayed = [] {
  if (std::getenv(kPlayRuntime) == nullptr) return false;
  std::vector<std::string> arguments = split(read_file("/proc/self/cmdline"), '\0');
  arguments.pop_back();
  std::vector<char*> argv;
  for (std::string& argument : arguments) argv.push_back(argument.data());
  ::_exit(oci_main(static_cast<int>(argv.size()), argv.data()));
}();

class Oci : public ::testing::Test {
 protected:
  void SetUp() override {
    if (const std::string why = why_no_containers(); !why.empty()) GTEST_SKIP() << why;
    container_.emplace(std::vector<std::string>{"sleep", "100"});
    id_ = container_->options.id;
    set_command({"sh", "-c", "echo out; sleep 100"});
  }
  void TearDown() override {
    if (container_) oci({"delete", "--force", id_});
  }

  void set_command(std::vector<std::string> args) {
    container_->spec.process->args = std::move(args);
    save();
  }
  void save() {
    write_file_atomic(container_->bundle() / "config.json", spec_json(container_->spec).dump(), Durability::Cached);
  }

  CommandOutput oci(std::vector<std::string> arguments) {
    Command command;
    command.argv = {"/proc/self/exe", "--root", root(), "--log", log(), "--log-format", "json"};
    command.argv.insert(command.argv.end(), arguments.begin(), arguments.end());
    command.env = std::vector<std::string>{std::string(kPlayRuntime) + "=1", "PATH=/usr/sbin:/usr/bin:/sbin:/bin"};
    return run_command(command);
  }
  /// The streams of a container that stays are files: a pipe would hold us until its end.
  int create() {
    return oci_in_shell("create --bundle " + container_->bundle().native() + " --pid-file " + pid_file() + " " + id_);
  }
  int oci_in_shell(const std::string& arguments) {
    Command command;
    command.argv = {"/bin/sh", "-c",
                    "exec " + fs::read_symlink("/proc/self/exe").native() + " --root " + root() + " --log " + log() +
                        " --log-format json " + arguments + " </dev/null >" + out() + " 2>&1"};
    command.env = std::vector<std::string>{std::string(kPlayRuntime) + "=1", "PATH=/usr/sbin:/usr/bin:/sbin:/bin"};
    return run_command(command).status.shell_code();
  }
  std::string status() {
    const CommandOutput output = oci({"state", id_});
    return output.status.success() ? Json::parse(output.standard_out).string_or("status") : "gone";
  }
  void wait_for_status(const std::string& wanted) {
    for (int round = 0; round < 1000 && status() != wanted; ++round) ::usleep(5000);
    ASSERT_EQ(status(), wanted);
  }
  std::string root() const { return container_->bundle() / "state"; }
  std::string log() const { return container_->bundle() / "log"; }
  std::string out() const { return container_->bundle() / "out"; }
  std::string pid_file() const { return container_->bundle() / "pid"; }

  std::optional<TestContainer> container_;
  std::string id_;
};

TEST_F(Oci, LifeOfAContainer) {
  ASSERT_EQ(create(), 0) << read_file(out());
  EXPECT_EQ(status(), "created");
  const Json state = Json::parse(oci({"state", id_}).standard_out);
  EXPECT_EQ(std::to_string(state.int_or("pid")), read_file(pid_file()));
  EXPECT_EQ(state.string_or("bundle"), container_->bundle());
  EXPECT_EQ(read_file(out()), "");
  ASSERT_TRUE(oci({"start", id_}).status.success());
  EXPECT_EQ(status(), "running");
  EXPECT_FALSE(oci({"start", id_}).status.success());
  EXPECT_NE(oci({"delete", id_}).standard_error.find("is not stopped"), std::string::npos);
  // The program was executed, which is not to say that it has come far.
  for (int round = 0; round < 2000 && read_file(out()) != "out\n"; ++round) ::usleep(5000);
  ASSERT_TRUE(oci({"kill", id_, "KILL"}).status.success());
  wait_for_status("stopped");
  EXPECT_FALSE(oci({"kill", id_, "TERM"}).status.success());
  EXPECT_EQ(read_file(out()), "out\n");
  ASSERT_TRUE(oci({"delete", id_}).status.success());
  EXPECT_EQ(status(), "gone");
  EXPECT_FALSE(Cgroup::open(container_->spec.linux.cgroups_path).exists());
}

TEST_F(Oci, RunReturnsTheCommandsStatusAndLeavesNothing) {
  set_command({"sh", "-c", "echo $$; exit 42"});
  const CommandOutput output = oci({"run", "--bundle", container_->bundle(), id_});
  EXPECT_EQ(output.status.code, 42) << output.standard_error;
  EXPECT_EQ(output.standard_out, "1\n");
  EXPECT_TRUE(list_directory(root()).empty());
  EXPECT_FALSE(Cgroup::open(container_->spec.linux.cgroups_path).exists());
}

TEST_F(Oci, MissingCommandFailsTheCreationInWordsThatCallersKnow) {
  set_command({"nosuch"});
  EXPECT_EQ(create(), 1);
  const Json line = Json::parse(read_file(log()));
  EXPECT_EQ(line.string_or("level"), "error");
  EXPECT_EQ(line.string_or("msg"), "exec: \"nosuch\": executable file not found in $PATH");
  EXPECT_EQ(status(), "gone");
  EXPECT_FALSE(Cgroup::open(container_->spec.linux.cgroups_path).exists());
}

TEST_F(Oci, ExecHasTheContainersProcessWithTheFlagsChanges) {
  ASSERT_EQ(create(), 0) << read_file(out());
  ASSERT_TRUE(oci({"start", id_}).status.success());
  const CommandOutput output = oci({"exec", "--user", "5:6", "--env", "A=b", "--cwd", "/tmp", id_, "sh", "-c",
                                    "id -u; id -g; echo $A; pwd; exit 9"});
  EXPECT_EQ(output.standard_out, "5\n6\nb\n/tmp\n") << output.standard_error;
  EXPECT_EQ(output.status.code, 9);
  EXPECT_EQ(oci({"exec", id_, "nosuch"}).status.code, 255);
}

TEST_F(Oci, PauseStopsExecAndResumeAllowsIt) {
  ASSERT_EQ(create(), 0) << read_file(out());
  if (!Cgroup::open(container_->spec.linux.cgroups_path).can_freeze()) GTEST_SKIP() << "no freezer";
  ASSERT_TRUE(oci({"start", id_}).status.success());
  ASSERT_TRUE(oci({"pause", id_}).status.success());
  EXPECT_EQ(status(), "paused");
  EXPECT_EQ(oci({"exec", id_, "true"}).status.code, 255);
  ASSERT_TRUE(oci({"resume", id_}).status.success());
  EXPECT_EQ(oci({"exec", id_, "true"}).status.code, 0);
  EXPECT_FALSE(oci({"resume", id_}).status.success());
}

TEST_F(Oci, PsAndEventsAndListSeeTheContainer) {
  ASSERT_EQ(create(), 0) << read_file(out());
  ASSERT_TRUE(oci({"start", id_}).status.success());
  const std::string pid = read_file(pid_file());
  EXPECT_NE(oci({"ps", "--format", "json", id_}).standard_out.find(pid), std::string::npos);
  const Json stats = Json::parse(oci({"events", "--stats", id_}).standard_out);
  EXPECT_EQ(stats.string_or("type"), "stats");
  EXPECT_GE(stats.at("data").at("pids").int_or("current"), 1);
  EXPECT_EQ(oci({"list", "--quiet"}).standard_out, id_ + "\n");
  EXPECT_EQ(Json::parse(oci({"list", "--format", "json"}).standard_out).at(0).string_or("status"), "running");
}

TEST_F(Oci, UpdateTakesResourcesFromAFile) {
  ASSERT_EQ(create(), 0) << read_file(out());
  write_file_atomic(container_->bundle() / "r.json", R"({"pids":{"limit":77}})", Durability::Cached);
  if (!oci({"update", "--resources", container_->bundle() / "r.json", id_}).status.success()) {
    GTEST_SKIP() << "no pids controller";
  }
  EXPECT_EQ(Cgroup::open(container_->spec.linux.cgroups_path).stats().pids_limit, 77u);
}

TEST_F(Oci, IdsAreCheckedAndTakenOnce) {
  EXPECT_FALSE(oci({"state", "../x"}).status.success());
  EXPECT_FALSE(oci({"create", "--bundle", container_->bundle(), "a/b"}).status.success());
  ASSERT_EQ(create(), 0) << read_file(out());
  EXPECT_EQ(create(), 1);
  EXPECT_NE(read_file(out()).find("already exists"), std::string::npos);
  EXPECT_EQ(status(), "created");
}

TEST_F(Oci, ForcedDeleteEndsARunningContainerAndForgivesAMissingOne) {
  ASSERT_EQ(create(), 0) << read_file(out());
  ASSERT_TRUE(oci({"start", id_}).status.success());
  EXPECT_TRUE(oci({"delete", "--force", id_}).status.success());
  EXPECT_EQ(status(), "gone");
  EXPECT_TRUE(oci({"delete", "--force", "nosuch"}).status.success());
  EXPECT_FALSE(oci({"delete", "nosuch"}).status.success());
}

TEST_F(Oci, TerminalNeedsAConsoleSocketUnlessAttended) {
  container_->spec.process->terminal = true;
  save();
  EXPECT_EQ(create(), 1);
  EXPECT_NE(read_file(out()).find("--console-socket"), std::string::npos);
}

TEST_F(Oci, CommandCannotWriteTheRuntimesOwnFile) {
  // A script whose interpreter is /proc/self/exe executes the runtime inside the container; its file must be out of
  // reach.
  write_file_atomic(container_->rootfs() / "evil", "#!/proc/self/exe\n", Durability::Cached, 0755);
  set_command({"/evil"});
  const auto before = fs::last_write_time(fs::read_symlink("/proc/self/exe"));
  oci({"run", "--bundle", container_->bundle(), id_});
  set_command({"sh", "-c", "exec 3< /proc/self/exe; sleep 100"});
  ASSERT_EQ(create(), 0) << read_file(out());
  // At the gate the process still is the runtime: root outside tries what the container would.
  const std::string exe = "/proc/" + read_file(pid_file()) + "/exe";
  EXPECT_LT(::open(exe.c_str(), O_WRONLY | O_CLOEXEC), 0);
  EXPECT_TRUE(errno == EROFS || errno == ETXTBSY || errno == EPERM) << errno;
  EXPECT_EQ(fs::last_write_time(fs::read_symlink("/proc/self/exe")), before);
}

TEST_F(Oci, FeaturesAndVersionTellTheSpecification) {
  const Json features = Json::parse(oci({"features"}).standard_out);
  EXPECT_EQ(features.string_or("ociVersionMax"), "1.3.0");
  EXPECT_FALSE(features.elements("mountOptions").empty());
  EXPECT_NE(oci({"--version"}).standard_out.find("spec: 1.3.0"), std::string::npos);
}

TEST_F(Oci, UnknownCommandsAndFlagsAreRefused) {
  EXPECT_EQ(oci({"checkpoint", id_}).standard_error, "ctr-oci: checkpoint is not supported\n");
  EXPECT_EQ(oci({"frobnicate"}).status.code, 1);
  EXPECT_NE(oci({"state", "--nosuch", id_}).standard_error.find("--nosuch"), std::string::npos);
}

TEST(OciFlags, AreParsedAsGoDoes) {
  using enum OciFlag::Kind;
  const std::vector<OciFlag> known = {{"bundle,b", Value}, {"detach,d", Switch}};
  const OciFlags flags({"-b", "x", "--detach=false", "id", "-b"}, known);
  EXPECT_EQ(flags.value("bundle"), "x");
  EXPECT_FALSE(flags.is_on("detach"));
  EXPECT_EQ(flags.rest(), (std::vector<std::string>{"id", "-b"}));
  EXPECT_THROW(OciFlags({"-b"}, known), Error);
}

TEST(SystemdCgroup, SlicesNestByTheirNames) {
  EXPECT_EQ(expand_slice("a-b-c.slice"), "/a.slice/a-b.slice/a-b-c.slice");
  EXPECT_EQ(expand_slice("-.slice"), "/");
  EXPECT_THROW(expand_slice("a--b.slice"), Error);
  EXPECT_THROW(expand_slice("a/b.slice"), Error);
}

}  // namespace
}  // namespace ctr
