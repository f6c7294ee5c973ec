#include "runtime/seccomp_notify.h"

#include "runtime/stream_socket.h"

namespace ctr {

void send_seccomp_listener(const Spec& spec, const std::string& id, const fs::path& bundle, pid_t pid, int listener) {
  Json state = Json::object({{"ociVersion", kOciRuntimeVersion}, {"id", id}, {"status", "creating"}, {"pid", pid}});
  state["bundle"] = bundle.native();
  if (!spec.annotations.empty()) state["annotations"] = spec.annotations;
  Json message = Json::object({{"ociVersion", kOciRuntimeVersion}});
  message["fds"] = std::vector<std::string>{"seccompFd"};
  message["pid"] = pid;
  if (!spec.linux.seccomp->listener_metadata.empty()) message["metadata"] = spec.linux.seccomp->listener_metadata;
  message["state"] = state;
  send_descriptor_to(spec.linux.seccomp->listener_path, message.dump(), listener);
}

}  // namespace ctr
