// The commands of `ctr-oci`. Each takes its arguments after its name, prints what runc prints, and returns the exit
// status; failures are thrown.
#pragma once

#include <csignal>
#include <string>
#include <vector>

#include "base/file.h"
#include "runtime/oci_state.h"
#include "runtime/sandbox.h"

namespace ctr {

struct OciContext {
  OciStore store;
  bool uses_systemd = false;
  bool is_rootless = false;
};

using OciArguments = std::vector<std::string>;

int oci_create(const OciContext& context, const OciArguments& arguments);
int oci_start(const OciContext& context, const OciArguments& arguments);
int oci_run(const OciContext& context, const OciArguments& arguments);
int oci_exec(const OciContext& context, const OciArguments& arguments);
int oci_state(const OciContext& context, const OciArguments& arguments);
int oci_kill(const OciContext& context, const OciArguments& arguments);
int oci_delete(const OciContext& context, const OciArguments& arguments);
int oci_list(const OciContext& context, const OciArguments& arguments);
int oci_ps(const OciContext& context, const OciArguments& arguments);
int oci_pause(const OciContext& context, const OciArguments& arguments);
int oci_resume(const OciContext& context, const OciArguments& arguments);
int oci_update(const OciContext& context, const OciArguments& arguments);
int oci_events(const OciContext& context, const OciArguments& arguments);
int oci_spec(const OciContext& context, const OciArguments& arguments);
int oci_features(const OciContext& context, const OciArguments& arguments);

/// Goes on as ctr-runtime, protected from the container; as this program where that one is not installed.
void continue_protected();

/// The one argument that names the container. Throws Invalid when there is another number of them.
std::string container_id_of(const OciArguments& rest);

/// Ends a container that may still live and removes everything that is left of it.
void destroy_container(const OciContext& context, const OciContainer& container);

/// The poststop hooks, after a container's end or failed creation. Their failures are printed and stop nothing.
void run_last_hooks(const Spec& spec, const OciContainer& container);

/// From its making on, signals to this process wait to be handed on instead of ending it. Made before the process is
/// started, which may otherwise be left alone by a signal that comes between.
class SignalWatch {
 public:
  SignalWatch();
  ~SignalWatch();
  SignalWatch(const SignalWatch&) = delete;
  SignalWatch& operator=(const SignalWatch&) = delete;

  int fd() const noexcept { return signals_.get(); }

 private:
  sigset_t before_{};
  Fd signals_;
};

/// Waits for the process like a terminal's user would: signals are handed on, and with a terminal bytes go both ways.
ExitStatus attend_process(Sandbox& process, const Fd& console, const SignalWatch& signals);

void print_line(const std::string& text);

}  // namespace ctr
