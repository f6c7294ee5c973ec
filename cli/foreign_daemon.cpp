#include "cli/foreign_daemon.h"

#include <cstdlib>
#include <map>

namespace ctr {

namespace {

constexpr const char* kAdvice = "; ctr has no daemon and works on this machine only: unset it, or run ctr there";

void refuse_host(const std::string& host, const std::string& origin) {
  // A local socket cannot mean another machine: scripts set it to Docker's own default.
  if (host.empty() || host.starts_with("unix://") || host.starts_with('/')) return;
  throw Error(ErrorKind::Unavailable, origin + " names another machine (" + host + ")" + kAdvice);
}

void refuse_context(const std::string& name, const std::string& origin) {
  if (name.empty() || name == "default") return;
  throw Error(ErrorKind::Unavailable, origin + " names the context " + name + kAdvice);
}

std::string environment(const char* name) {
  const char* value = std::getenv(name);
  return value != nullptr ? value : "";
}

}  // namespace

void refuse_foreign_daemon(const ParsedFlags& global_flags) {
  for (const std::string& host : global_flags.list("host")) refuse_host(host, "-H");
  if (!global_flags.given("host")) refuse_host(environment("DOCKER_HOST"), "DOCKER_HOST");
  if (const auto context = global_flags.find_text("context")) {
    refuse_context(*context, "--context");
  } else {
    refuse_context(environment("DOCKER_CONTEXT"), "DOCKER_CONTEXT");
  }
}

std::optional<std::string> reason_for_missing_command(const std::string& word) {
  static const std::string kSwarm = " belongs to Docker's Swarm, which ctr does not have";
  static const std::map<std::string, std::string> kReasons = {
      {"swarm", kSwarm},
      {"service", kSwarm},
      {"stack", kSwarm},
      {"node", kSwarm},
      {"config", kSwarm},
      {"secret", kSwarm},
      {"compose", " is not there yet: start the containers with 'ctr run'"},
      {"context", " is not there: ctr has no daemon and works on this machine only"},
      {"plugin", " is not there: ctr has no plugins"},
      {"trust", " is not there: sign images with cosign or notation"},
      {"search", " is not there yet: search on the registry's own site"},
      {"checkpoint", " is not there yet"},
      {"scout", " is not there: use an image scanner"},
      {"debug", " is not there yet"},
      {"init", " is not there: write a Dockerfile"},
  };
  const auto found = kReasons.find(word);
  if (found == kReasons.end()) return std::nullopt;
  return "'" + word + "'" + found->second;
}

}  // namespace ctr
