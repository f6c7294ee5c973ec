#include "tests/support/engine_held_container.h"

#include <chrono>
#include <gtest/gtest.h>
#include <thread>

#include "base/error.h"
#include "base/random.h"
#include "engine/attach_client.h"
#include "engine/logs.h"
#include "runtime/bundle.h"
#include "runtime/cgroup.h"
#include "runtime/spec_defaults.h"

namespace ctr {

HeldContainer::HeldContainer(std::vector<std::string> args)
    : spec(default_spec(std::move(args))), directory_(top_.path() / "root"), run_directory_(top_.path() / "run") {
  const fs::path rootfs = directory_ / "rootfs";
  for (const char* name : {"bin", "etc", "proc", "sys", "dev", "tmp"}) make_directories(rootfs / name);
  make_directories(run_directory_);
  fs::copy_file("/bin/busybox", rootfs / "bin/busybox");
  for (const char* name :
       {"sh", "cat", "sleep", "true", "echo", "stty", "dd", "tr", "head", "yes", "kill", "test", "rm", "touch"}) {
    fs::create_symlink("busybox", rootfs / "bin" / name);
  }
  spec.root.path = rootfs;
  spec.linux.seccomp.reset();
  settings.id = random_hex(32);
  spec.linux.cgroups_path = container_cgroup_path(settings.id);
}

HeldContainer::~HeldContainer() {
  try {
    if (auto shim = ShimConnection::connect(run_directory_)) shim->stop(9, 0);
    wait_until_dead();
    for (const std::string& path : {container_cgroup_path(settings.id), "/ctr/" + settings.id}) {
      const Cgroup cgroup = Cgroup::open(path);
      if (cgroup.exists()) cgroup.remove(std::chrono::milliseconds(3000));
    }
    remove_shared_cgroups();
  } catch (const Error& error) {
    ADD_FAILURE() << error.what();
  }
}

StartedShim HeldContainer::start(std::uint32_t streams) {
  settings.tty = spec.process->terminal;
  save_bundle({directory_, spec, {}}, Durability::Cached);
  const Json record = Json::object({{"v", 1}, {"shim", to_json(settings)}});
  write_file_atomic(directory_ / kRecordFile, record.dump(), Durability::Cached);
  ShimRequest request;
  request.shim_program = fs::path(CTR_BIN_DIR) / "ctr-shim";
  request.container_dir = directory_;
  request.run_dir = run_directory_;
  request.attach_streams = streams;
  request.network = network;
  request.terminal = {30, 100};
  return start_shim(request);
}

StartedShim HeldContainer::start_exec(const std::string& exec_id, const std::vector<std::string>& args,
                                      std::uint32_t streams, const ExecSettings& exec) {
  const fs::path directory = run_directory_ / "exec" / exec_id;
  make_directories(directory);
  ProcessSpec process = *spec.process;
  process.args = args;
  process.terminal = exec.tty;
  ExecSettings exec_settings = exec;
  exec_settings.id = exec_id;
  exec_settings.container_id = settings.id;
  exec_settings.cgroup = spec.linux.cgroups_path;
  write_file_atomic(directory / kProcessFile, process_json(process).dump(), Durability::Cached);
  write_file_atomic(directory / kExecSettingsFile, to_json(exec_settings).dump(), Durability::Cached);
  ShimRequest request;
  request.shim_program = fs::path(CTR_BIN_DIR) / "ctr-shim";
  request.container_dir = directory_;
  request.run_dir = run_directory_;
  request.exec_id = exec_id;
  request.attach_streams = streams;
  return start_shim(request);
}

ShimConnection HeldContainer::connect() const {
  std::optional<ShimConnection> shim = ShimConnection::connect(run_directory_);
  if (!shim) throw Error(ErrorKind::NotFound, "no shim listens");
  return *std::move(shim);
}

void HeldContainer::wait_for(const std::function<bool()>& condition) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(10);
  while (!condition()) {
    if (std::chrono::steady_clock::now() > end) {
      // What follows relies on it: with a mere failure it would read what is not there.
      throw Error(ErrorKind::Unavailable, "it did not happen within ten seconds");
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
}

void HeldContainer::wait_until_dead() const {
  wait_for([this] { return !is_shim_alive(run_directory_); });
}

ProcessExit HeldContainer::exit() const {
  return find_process_exit(directory_).value_or(ProcessExit{-1, false, "no exit.json", {}, {}, 0, false});
}

std::string HeldContainer::log() const {
  std::string text;
  read_logs(directory_, run_directory_, {}, [&](const LogEntry& entry) {
    text += entry.text;
    return true;
  });
  return text;
}

HeldContainer::Run HeldContainer::attend(StartedShim started, const std::string& input) {
  Pipe in = make_pipe();
  Pipe out = make_pipe();
  Pipe err = make_pipe();
  Run run;
  std::thread feeder([&] {
    write_all(in.write.get(), as_bytes(input));
    in.write.reset();
  });
  std::thread reader([&] { run.output = read_fd(out.read.get(), 64 * kMiB, "output"); });
  std::thread error_reader([&] { run.error = read_fd(err.read.get(), 64 * kMiB, "error output"); });
  AttachOptions options;
  options.input = in.read.get();
  options.output = out.write.get();
  options.error = err.write.get();
  options.sig_proxy = false;
  run.status = attach(std::move(started.connection), options).status;
  out.write.reset();
  err.write.reset();
  in.read.reset();
  feeder.join();
  reader.join();
  error_reader.join();
  return run;
}

}  // namespace ctr
