// ctr-shim: holds one process. `ctr-shim run CONTAINER_DIR RUN_DIR` holds a container's first process, `ctr-shim exec
// RUN_DIR EXEC_ID` one that was started in a running container. The starter's connection is descriptor 3.
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <exception>
#include <string_view>

#include "base/error.h"
#include "shim/container_shim.h"
#include "shim/exec_shim.h"
#include "shim/starter.h"

namespace {

constexpr int kOwnFailure = 125;

void hold_process(ctr::Starter& starter, int argc, char** argv) {
  const std::string_view kind = argc == 4 ? argv[1] : "";
  if (kind == "run") {
    ctr::ContainerShim(starter, argv[2], argv[3]).run();
  } else if (kind == "exec") {
    ctr::ExecShim(starter, argv[2], argv[3]).run();
  } else {
    throw ctr::Error(ctr::ErrorKind::Invalid, "ctr-shim is started by ctr, not by hand");
  }
}

int exit_code_of(const std::exception& error) {
  const auto* failure = dynamic_cast<const ctr::SandboxError*>(&error);
  return failure != nullptr ? failure->exit_status() : kOwnFailure;
}

}  // namespace

int main(int argc, char** argv) {
  // A client that goes away is noticed where we write to it.
  ::signal(SIGPIPE, SIG_IGN);
  if (::fcntl(ctr::Starter::kDescriptor, F_SETFD, FD_CLOEXEC) != 0) {
    constexpr std::string_view kText = "ctr-shim is started by ctr, not by hand\n";
    [[maybe_unused]] const ssize_t count = ::write(STDERR_FILENO, kText.data(), kText.size());
    return kOwnFailure;
  }
  ctr::Starter starter{ctr::Fd(ctr::Starter::kDescriptor)};
  try {
    starter.receive();
    hold_process(starter, argc, argv);
  } catch (const std::exception& error) {
    starter.report_failure(error, exit_code_of(error));
    return kOwnFailure;
  }
  return 0;
}
