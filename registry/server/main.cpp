// The program ctr-registry, which `ctr registry serve` becomes: reads its flags, serves until SIGTERM or SIGINT,
// collects garbage meanwhile. A program of its own, so that ctr starts without an HTTP server's libraries.
#include <csignal>
#include <cstdlib>
#include <iostream>
#include <mutex>
#include <poll.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"
#include "base/text.h"
#include "base/time.h"
#include "registry/server/http_server.h"
#include "registry/server/registry_api.h"

namespace ctr {
namespace {

constexpr std::chrono::seconds kUploadIdle{3600};
constexpr std::chrono::seconds kGarbageGrace{3600};
constexpr int kHousekeepingMs = 10 * 60 * 1000;

constexpr std::string_view kUsage = R"(Usage: ctr registry serve [OPTIONS]
       ctr registry garbage-collect [--root DIR]

Serves images by the OCI distribution-spec.

  --listen ADDRESS:PORT   where to listen (default 127.0.0.1:5000; port 0: any free one)
  --root DIR              where images are kept (default /var/lib/ctr-registry, or $XDG_DATA_HOME/ctr-registry)
  --tls-cert FILE         certificate chain (PEM); with --tls-key
  --tls-key FILE          its key (PEM)
  --htpasswd FILE         who may use it: lines of `htpasswd -B`
  --read-only             refuse everything that writes
  --quiet                 no line for each request
)";

struct Settings {
  std::string command = "serve";
  std::string listen = "127.0.0.1:5000";
  fs::path root;
  std::string tls_cert;
  std::string tls_key;
  std::string htpasswd;
  WriteAccess access = WriteAccess::Allowed;
  bool is_quiet = false;
};

fs::path default_root() {
  if (::geteuid() == 0) return "/var/lib/ctr-registry";
  const char* data = std::getenv("XDG_DATA_HOME");
  if (data != nullptr && *data != '\0') return fs::path(data) / "ctr-registry";
  const char* home = std::getenv("HOME");
  return fs::path(home != nullptr ? home : "/") / ".local/share/ctr-registry";
}

Settings parse_arguments(const std::vector<std::string>& arguments) {
  Settings settings;
  settings.root = default_root();
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    std::string name = arguments[i];
    std::optional<std::string> given;
    if (const auto pair = cut(name, '='); pair && name.starts_with("--")) {
      name = pair->first;
      given = pair->second;
    }
    const auto text = [&]() -> std::string {
      if (given) return *given;
      if (i + 1 >= arguments.size()) throw Error(ErrorKind::Invalid, "flag needs an argument: " + name);
      return arguments[++i];
    };
    if (name == "--listen")
      settings.listen = text();
    else if (name == "--root")
      settings.root = text();
    else if (name == "--tls-cert")
      settings.tls_cert = text();
    else if (name == "--tls-key")
      settings.tls_key = text();
    else if (name == "--htpasswd")
      settings.htpasswd = text();
    else if (name == "--read-only")
      settings.access = WriteAccess::ReadOnly;
    else if (name == "--quiet")
      settings.is_quiet = true;
    else if (name == "--help" || name == "-h")
      settings.command = "help";
    else if (i == 0 && (name == "serve" || name == "garbage-collect"))
      settings.command = name;
    else if (name == "--mirror" || name == "--proxy-remoteurl")
      throw Error(ErrorKind::Invalid, name + ": a pull-through mirror is not there yet");
    else
      throw Error(ErrorKind::Invalid, "unknown flag: " + name + "\nSee 'ctr registry serve --help'");
  }
  if (settings.tls_cert.empty() != settings.tls_key.empty()) {
    throw Error(ErrorKind::Invalid, "--tls-cert and --tls-key belong together");
  }
  return settings;
}

ServerOptions server_options(const Settings& settings) {
  const std::size_t colon = settings.listen.rfind(':');
  const auto port = colon == std::string::npos ? std::nullopt : parse_uint(settings.listen.substr(colon + 1));
  if (!port || *port > 65535) throw Error(ErrorKind::Invalid, "--listen " + settings.listen + " is not ADDRESS:PORT");
  ServerOptions options;
  options.address = settings.listen.substr(0, colon);
  if (options.address.starts_with('[')) options.address = options.address.substr(1, options.address.size() - 2);
  options.port = static_cast<std::uint16_t>(*port);
  if (!settings.tls_cert.empty()) {
    options.certificate = read_file(settings.tls_cert, kMiB);
    options.key = read_file(settings.tls_key, kMiB);
  }
  return options;
}

// One line a request, as web servers write it; without the query, which may carry more than others should see.
void log_request(const ServerRequest& request, const ServerReply& reply) {
  const std::string user = reply.user.empty() ? "-" : reply.user;
  const std::uint64_t size = reply.file ? reply.size : reply.body.size();
  const std::string line = request.peer + " - " + user + " [" + format_time_seconds(now()) + "] \"" + request.method +
                           " " + request.path + "\" " + std::to_string(reply.status) + " " + std::to_string(size) +
                           "\n";
  static std::mutex mutex;
  const std::lock_guard guard(mutex);
  std::cerr << line;
}

Fd block_signals() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  check(::sigprocmask(SIG_BLOCK, &signals, nullptr), "block signals");
  std::signal(SIGPIPE, SIG_IGN);
  return Fd(check(::signalfd(-1, &signals, SFD_CLOEXEC), "signalfd"));
}

void report(const CollectedBlobs& garbage) {
  std::cerr << "removed " << garbage.blobs_removed << " blobs, "
            << human_size(static_cast<double>(garbage.bytes_removed)) << "\n";
}

int serve(const Settings& settings) {
  const Fd signals = block_signals();
  Repositories repositories(settings.root);
  UploadSessions uploads(repositories.blobs());
  std::optional<Htpasswd> passwords;
  if (!settings.htpasswd.empty()) passwords.emplace(settings.htpasswd);
  RegistryApi api(repositories, uploads, passwords ? &*passwords : nullptr, settings.access);
  const ServerOptions options = server_options(settings);
  HttpServer server(
      options, [&](const ServerRequest& request) { return api.handle(request); },
      [&](const ServerRequest& request, const ServerReply& reply) {
        if (!settings.is_quiet) log_request(request, reply);
      });
  const std::string host =
      options.address.find(':') == std::string::npos ? options.address : "[" + options.address + "]";
  std::cerr << "serving " << settings.root.native() << " on " << (options.certificate.empty() ? "http" : "https")
            << "://" << host << ":" << server.port() << std::endl;
  pollfd ready{signals.get(), POLLIN, 0};
  while (::poll(&ready, 1, kHousekeepingMs) <= 0) {
    uploads.expire(kUploadIdle);
    const CollectedBlobs garbage = repositories.collect(kGarbageGrace);
    if (garbage.blobs_removed > 0) report(garbage);
  }
  return 0;
}

int run(const Settings& settings) {
  if (settings.command == "help") {
    std::cout << kUsage;
    return 0;
  }
  if (settings.command == "garbage-collect") {
    report(Repositories(settings.root).collect(std::chrono::seconds(0)));
    return 0;
  }
  return serve(settings);
}

}  // namespace
}  // namespace ctr

int main(int argc, char** argv) {
  try {
    return ctr::run(ctr::parse_arguments({argv + 1, argv + argc}));
  } catch (const std::exception& error) {
    std::cerr << "ctr registry: " << error.what() << "\n";
    return 125;
  }
}
