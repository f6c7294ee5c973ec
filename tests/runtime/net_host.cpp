#include "net_host.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#include <cerrno>

#include "base/error.h"
#include "runtime/port_relay.h"

namespace ctr {
namespace {

std::string peer_text(const SocketAddress& peer) {
  char text[INET6_ADDRSTRLEN] = {};
  if (peer.storage.ss_family == AF_INET) {
    ::inet_ntop(AF_INET, &reinterpret_cast<const sockaddr_in&>(peer.storage).sin_addr, text, sizeof text);
  } else {
    const auto& v6 = reinterpret_cast<const sockaddr_in6&>(peer.storage);
    if (IN6_IS_ADDR_V4MAPPED(&v6.sin6_addr)) {
      ::inet_ntop(AF_INET, &v6.sin6_addr.s6_addr[12], text, sizeof text);
    } else {
      ::inet_ntop(AF_INET6, &v6.sin6_addr, text, sizeof text);
    }
  }
  return text;
}

Fd open_server(int type, std::uint16_t port) {
  Fd socket(check(::socket(AF_INET6, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), "socket"));
  const int on = 1;
  (void)::setsockopt(socket.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  const SocketAddress any = SocketAddress::of(IpAddress::any(AddressFamily::V6), port);
  check(::bind(socket.get(), any.get(), any.size), "bind");
  if (type == SOCK_STREAM) check(::listen(socket.get(), 64), "listen");
  return socket;
}

}  // namespace

void NetHost::SetUp() {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root to make network namespaces";
  real_ = current_network_namespace();
  check(::unshare(CLONE_NEWNET | CLONE_NEWNS), "unshare");
  check(::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr), "mount");
  NetworkLinks().set_loopback_up();
  directory_ = std::make_unique<TempDirectory>("/dev/shm");  // $CTR_RUN is a tmpfs, too
  paths_.root = directory_->path() / "root";
  paths_.run = directory_->path() / "run";
  make_directories(paths_.root);
  make_directories(paths_.run);
}

void NetHost::TearDown() {
  if (!real_) return;
  for (const std::string& name : list_directory(paths_.run)) {
    if (name.ends_with(".netns")) remove_network_namespace(paths_.run / name);
  }
  in_network_namespace(real_.get(), [] {});
  ::setns(real_.get(), CLONE_NEWNET);
}

NetworkRequest NetHost::request(const std::string& id, const std::string& name) const {
  NetworkRequest request;
  request.container_id = id;
  request.container_name = name;
  request.netns = netns_path(id);
  request.networks.emplace_back(default_network(paths_), EndpointRequest{});
  return request;
}

NetworkSubnet NetHost::make_subnet_for_test() {
  NetworkSubnet subnet;
  subnet.prefix = IpPrefix::parse("10.5.0.0/24");
  subnet.gateway = IpAddress::parse("10.5.0.1");
  return subnet;
}

std::string NetHost::shell(const std::string& command) {
  Command shell;
  shell.argv = {"/bin/sh", "-c", command};
  const CommandOutput output = run_command(shell);
  return output.standard_out + output.standard_error;
}

Fd NetHost::add_neighbour() {
  const fs::path path = netns_path("neighbour");
  create_network_namespace(path);
  Fd neighbour = open_network_namespace(path);
  const int pid = static_cast<int>(::getpid());
  const std::string theirs = "/proc/" + std::to_string(pid) + "/fd/" + std::to_string(neighbour.get());
  shell("ip link add eth0 type veth peer name eth0 netns " + theirs + "; ip addr add 10.99.0.1/24 dev eth0; ip addr add "
        "fd99::1/64 dev eth0 nodad; ip link set eth0 up");
  in_network_namespace(neighbour.get(), [] {
    shell("ip link set lo up; ip addr add 10.99.0.2/24 dev eth0; ip addr add fd99::2/64 dev eth0 nodad; ip link set "
          "eth0 up");
    NetworkLinks().wait_until_running("eth0");
  });
  NetworkLinks().wait_until_running("eth0");
  return neighbour;
}

std::string NetHost::snapshot() const {
  return shell(
      "ip -o addr | sed 's/^[0-9]*: //; s/valid_lft.*//'; ip -o link | sed 's/^[0-9]*: //'; ip route; ip -6 route; "
      "cat /proc/self/mountinfo | cut -d' ' -f4- | sort") +
         shell("find " + (paths_.run / "networks").string() + " -mindepth 1 -not -name '.*' 2>/dev/null; nft list ruleset");
}

ServiceThread::ServiceThread(NetworkService service) {
  server_.add(std::move(service));
  thread_ = std::thread([this] {
    while (!stop_) {
      pollfd ready{server_.poll_fd(), POLLIN, 0};
      if (::poll(&ready, 1, 20) > 0) server_.dispatch();
    }
  });
}

ServiceThread::~ServiceThread() {
  stop_ = true;
  thread_.join();
}

AnswerServer::AnswerServer(int netns, std::uint16_t port, std::string text) : text_(std::move(text)) {
  const auto open = [&] {
    stream_ = open_server(SOCK_STREAM, port);
    datagram_ = open_server(SOCK_DGRAM, port);
  };
  netns < 0 ? open() : in_network_namespace(netns, open);
  thread_ = std::thread([this] { serve(); });
}

AnswerServer::~AnswerServer() {
  stop_ = true;
  thread_.join();
}

void AnswerServer::serve() {
  while (!stop_) {
    pollfd ready[2] = {{stream_.get(), POLLIN, 0}, {datagram_.get(), POLLIN, 0}};
    if (::poll(ready, 2, 20) <= 0) continue;
    SocketAddress peer;
    peer.size = sizeof peer.storage;
    if ((ready[0].revents & POLLIN) != 0) {
      Fd client(::accept4(stream_.get(), peer.get(), &peer.size, SOCK_CLOEXEC));
      const std::string answer = text_ + " " + peer_text(peer) + "\n";
      (void)!::write(client.get(), answer.data(), answer.size());
      continue;
    }
    char bytes[2048];
    const ssize_t size = ::recvfrom(datagram_.get(), bytes, sizeof bytes, 0, peer.get(), &peer.size);
    if (size < 0) continue;
    const std::string answer = text_ + " " + peer_text(peer) + "\n";
    (void)::sendto(datagram_.get(), answer.data(), answer.size(), 0, peer.get(), peer.size);
  }
}

std::string ask(int netns, Via via, const std::string& address, std::uint16_t port, const std::string& interface) {
  const IpAddress target = IpAddress::parse(address);
  Fd socket;
  const auto open = [&] {
    const int type = via == Via::Tcp ? SOCK_STREAM : SOCK_DGRAM;
    socket = Fd(check(::socket(target.is_v4() ? AF_INET : AF_INET6, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), "socket"));
    if (!interface.empty()) {
      check(::setsockopt(socket.get(), SOL_SOCKET, SO_BINDTODEVICE, interface.c_str(),
                         static_cast<socklen_t>(interface.size())), "bind to device");
    }
  };
  netns < 0 ? open() : in_network_namespace(netns, open);
  const SocketAddress server = SocketAddress::of(target, port);
  if (::connect(socket.get(), server.get(), server.size) != 0 && errno != EINPROGRESS) {
    return errno == ECONNREFUSED ? "refused" : "";
  }
  if (via == Via::Udp && ::send(socket.get(), "?", 1, MSG_NOSIGNAL) != 1) return "";
  std::string answer;
  for (;;) {
    pollfd ready{socket.get(), POLLIN, 0};
    if (::poll(&ready, 1, 3000) <= 0) return answer;
    char bytes[4096];
    const ssize_t size = ::recv(socket.get(), bytes, sizeof bytes, 0);
    if (size < 0 && (errno == ECONNREFUSED || errno == ECONNRESET)) return "refused";
    if (size <= 0) return answer;
    answer.append(bytes, static_cast<std::size_t>(size));
    if (via == Via::Udp) return answer;
  }
}

}  // namespace ctr
