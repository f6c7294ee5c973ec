#include "tests/support/registry_server.h"

#include <arpa/inet.h>
#include <csignal>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdexcept>
#include <sys/socket.h>
#include <thread>

#include "base/error.h"
#include "base/text.h"

namespace ctr {
namespace {

Fd loopback_socket() {
  return Fd(check(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket"));
}

sockaddr_in loopback(int port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<std::uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

std::string must_run(std::vector<std::string> argv) {
  Command command;
  command.argv = std::move(argv);
  const CommandOutput output = run_command(std::move(command));
  if (!output.status.success()) throw std::runtime_error(output.standard_error);
  return output.standard_out;
}

}  // namespace

int free_port() {
  const Fd socket = loopback_socket();
  sockaddr_in address = loopback(0);
  check(::bind(socket.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), "bind");
  socklen_t size = sizeof address;
  check(::getsockname(socket.get(), reinterpret_cast<sockaddr*>(&address), &size), "getsockname");
  return ntohs(address.sin_port);
}

void wait_for_port(int port) {
  const sockaddr_in address = loopback(port);
  for (int i = 0; i < 1000; ++i) {
    const Fd socket = loopback_socket();
    if (::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0) return;
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  throw std::runtime_error("nobody listens on port " + std::to_string(port));
}

void make_certificate(const fs::path& directory, KeyType type) {
  const bool is_rsa = type == KeyType::Rsa;
  must_run({"openssl", "req", "-x509", "-newkey", is_rsa ? "rsa:2048" : "ec", "-pkeyopt",
            is_rsa ? "rsa_keygen_bits:2048" : "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj",
            "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-keyout",
            (directory / "key.pem").native(), "-out", (directory / "cert.pem").native()});
}

CtrRegistry::CtrRegistry(const Options& options) : options_(options), port_(free_port()) {
  const fs::path& root = directory_.path();
  if (options.tls) {
    make_certificate(root);
    make_directories(root / "certs.d" / host());
    fs::copy_file(root / "cert.pem", root / "certs.d" / host() / "ca.crt");
  }
  // "secret", as htpasswd -B writes it.
  if (options.password) {
    write_file_atomic(root / "htpasswd", must_run({"htpasswd", "-Bbn", "user", "secret"}), Durability::Cached);
  }
  start();
}

void CtrRegistry::start() {
  const fs::path& directory = directory_.path();
  Command command;
  command.argv = {CTR_BIN_DIR "/ctr-registry",         "serve", "--root", root().native(), "--listen",
                  "127.0.0.1:" + std::to_string(port_)};
  const auto add = [&command](std::vector<std::string> words) {
    command.argv.insert(command.argv.end(), words.begin(), words.end());
  };
  if (options_.tls) {
    add({"--tls-cert", (directory / "cert.pem").native(), "--tls-key", (directory / "key.pem").native()});
  }
  if (options_.password) add({"--htpasswd", (directory / "htpasswd").native()});
  add(options_.flags);
  const Fd log = open_file(directory / "log", O_WRONLY | O_CREAT | O_APPEND);
  command.standard_out = log.get();
  command.standard_error = log.get();
  process_ = spawn(command);
  wait_for_port(port_);
}

CtrRegistry::~CtrRegistry() {
  process_->kill(SIGKILL);
  process_->wait();
}

void CtrRegistry::kill_and_restart() {
  process_->kill(SIGKILL);
  process_->wait();
  start();
}

std::string CtrRegistry::log() const {
  return read_file(directory_.path() / "log", 256 * kMiB);
}

SessionOptions CtrRegistry::session_options() const {
  HostConfiguration::Files files;
  files.docker_certs = {directory_.path() / "certs.d"};
  SessionOptions options{.credentials = CredentialStore(directory_.path() / "docker/config.json"),
                         .hosts = HostConfiguration(files)};
  options.retry.first_delay = std::chrono::milliseconds(10);
  return options;
}

TokenServer::TokenServer(int lifetime_seconds) : port_(free_port()) {
  make_certificate(directory_.path(), KeyType::Rsa);
  Command command;
  command.argv = {"python3",
                  (fs::path(CTR_TESTDATA).parent_path() / "tests/support/token_server.py").native(),
                  std::to_string(port_),
                  certificate().native(),
                  (directory_.path() / "key.pem").native(),
                  (directory_.path() / "log").native(),
                  std::to_string(lifetime_seconds)};
  process_ = spawn(command);
  wait_for_port(port_);
}

TokenServer::~TokenServer() {
  process_->kill(SIGKILL);
  process_->wait();
}

std::vector<std::string> TokenServer::requests() const {
  std::vector<std::string> lines = split(find_file(directory_.path() / "log").value_or(""), '\n');
  if (!lines.empty()) lines.pop_back();
  return lines;
}

bool DebianRegistry::is_installed() {
  return find_program("docker-registry") && find_program("htpasswd") && find_program("openssl");
}

DebianRegistry::DebianRegistry(const Options& options) : port_(free_port()) {
  const fs::path& root = directory_.path();
  std::string config =
      "version: 0.1\nlog: {level: info, formatter: json, accesslog: {disabled: false}}\nstorage:\n"
      "  filesystem: {rootdirectory: " +
      (root / "data").native() + "}\n  delete: {enabled: true}\nhttp:\n  addr: 127.0.0.1:" + std::to_string(port_) +
      "\n";
  if (options.tls) {
    make_certificate(root);
    config += "  tls: {certificate: " + (root / "cert.pem").native() + ", key: " + (root / "key.pem").native() + "}\n";
    make_directories(root / "certs.d" / host());
    fs::copy_file(root / "cert.pem", root / "certs.d" / host() / "ca.crt");
  }
  if (options.password) {
    write_file_atomic(root / "htpasswd", must_run({"htpasswd", "-Bbn", "user", "secret"}), Durability::Cached);
    config += "auth:\n  htpasswd: {realm: test, path: " + (root / "htpasswd").native() + "}\n";
  }
  if (!options.token_realm.empty()) {
    config += "auth:\n  token: {realm: \"" + options.token_realm +
              "\", service: test, issuer: test, rootcertbundle: " + options.token_certificate.native() + "}\n";
  }
  write_file_atomic(root / "config.yml", config, Durability::Cached);
  const Fd log = open_file(root / "log", O_WRONLY | O_CREAT | O_APPEND);
  Command command;
  command.argv = {"docker-registry", "serve", (root / "config.yml").native()};
  command.standard_out = log.get();
  command.standard_error = log.get();
  process_ = spawn(command);
  wait_for_port(port_);
}

DebianRegistry::~DebianRegistry() {
  process_->kill(SIGKILL);
  process_->wait();
}

SessionOptions DebianRegistry::session_options() const {
  HostConfiguration::Files files;
  files.docker_certs = {directory_.path() / "certs.d"};
  SessionOptions options{.credentials = CredentialStore(config_file()), .hosts = HostConfiguration(files)};
  options.retry.first_delay = std::chrono::milliseconds(10);
  return options;
}

// Access lines look like: 127.0.0.1 - - [date] "PUT /v2/app/manifests/v1 HTTP/1.1" 201 0 "" "ctr/0.1.0"
std::vector<std::string> DebianRegistry::new_requests() {
  std::this_thread::sleep_for(std::chrono::milliseconds(50));  // the log is written after the answer
  const std::string log = read_file(directory_.path() / "log", 256 * kMiB);
  std::vector<std::string> requests;
  for (const std::string& line : split(log.substr(log_position_), '\n')) {
    const std::vector<std::string> parts = split(line, '"');
    if (parts.size() < 3 || !parts[0].ends_with("] ")) continue;
    const std::vector<std::string> words = split_words(parts[1]);
    const std::vector<std::string> answer = split_words(parts[2]);
    if (words.size() != 3 || answer.empty() || answer[0] == "401") continue;
    requests.push_back(words[0] + " " + words[1].substr(0, words[1].find('?')) + " " + answer[0]);
  }
  log_position_ = log.size();
  return requests;
}

}  // namespace ctr
