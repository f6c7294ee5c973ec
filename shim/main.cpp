// ctr-shim: holds one process of a container and outlives the `ctr` that started it. See shim/protocol.h for what it
// reads, writes and says. It is static and single-threaded, and an idle one costs a few hundred kilobytes.
//
//   ctr-shim run CONTAINER_DIRECTORY RUN_DIRECTORY       the starter's connection is descriptor 3
//   ctr-shim exec RUN_DIRECTORY EXEC_ID
//   ctr-shim hold LOCK                                   holds namespaces, see shim/namespace_holder.h
#include <cstring>
#include <fcntl.h>
#include <string_view>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/error.h"
#include "runtime/protected_program.h"
#include "shim/container_shim.h"
#include "shim/exec_shim.h"
#include "shim/namespace_holder.h"
#include "shim/own_process.h"

namespace ctr {
namespace {

void hold(Starter& starter, int argc, char** argv) {
  starter.receive();
  if (argc == 4 && std::strcmp(argv[1], "run") == 0) {
    ContainerShim(starter, argv[2], argv[3]).run();
  } else if (argc == 4 && std::strcmp(argv[1], "exec") == 0) {
    ExecShim(starter, argv[2], argv[3]).run();
  } else {
    throw Error(ErrorKind::Invalid, "ctr-shim is started by ctr, not by hand");
  }
}

int run(int argc, char** argv) {
  if (argc == 3 && std::strcmp(argv[1], "hold") == 0) return hold_namespaces(argv[2]);
  if (::fcntl(Starter::kDescriptor, F_GETFD) < 0) {
    constexpr std::string_view kText = "ctr-shim is started by ctr, not by hand\n";
    [[maybe_unused]] const ssize_t count = ::write(STDERR_FILENO, kText.data(), kText.size());
    return kOwnFailure;
  }
  try {
    // A container's first process is a copy of this one until it executes its command.
    run_from_protected_program();
  } catch (const std::exception& error) {
    Starter{Fd(Starter::kDescriptor)}.report_failure(error, kOwnFailure);
    return kOwnFailure;
  }
  if (::fcntl(Starter::kDescriptor, F_SETFD, FD_CLOEXEC) < 0) return kOwnFailure;
  // Whatever else the starter's own parent left open is not ours to keep alive.
  ::syscall(SYS_close_range, Starter::kDescriptor + 1, ~0U, 0);
  ::umask(022);
  if (::chdir("/") < 0) return kOwnFailure;
  Starter starter{Fd(Starter::kDescriptor)};
  try {
    hold(starter, argc, argv);
    return 0;
  } catch (const SandboxError& error) {
    starter.report_failure(error, error.exit_status());
  } catch (const std::exception& error) {
    starter.report_failure(error, kOwnFailure);
  }
  return kOwnFailure;
}

}  // namespace
}  // namespace ctr

int main(int argc, char** argv) {
  return ctr::run(argc, argv);
}
