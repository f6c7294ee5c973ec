// What `-p` and `--expose` mean, as values: every form of Docker's text, ranges spread out to one request a port. Knows
// nothing about sockets; network_ports.h takes the ports.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/network_address.h"

namespace ctr {

enum class Protocol { Tcp, Udp, Sctp };

std::string_view protocol_name(Protocol protocol);

/// One port of a container, "8080/tcp".
struct ContainerPort {
  std::uint16_t port = 0;
  Protocol protocol = Protocol::Tcp;

  std::string str() const;
  friend auto operator<=>(const ContainerPort&, const ContainerPort&) = default;
};

/// One port that is asked for. A host port range with one container port means any free port of the range.
struct PublishRequest {
  ContainerPort container;
  std::optional<IpAddress> host_address;  // absent: every address of the host, IPv4 and IPv6
  std::uint16_t host_port_first = 0;      // 0: any free port of the host's ephemeral range
  std::uint16_t host_port_last = 0;

  friend bool operator==(const PublishRequest&, const PublishRequest&) = default;
};

/// One port that is published: what `docker inspect` shows in NetworkSettings.Ports and `ps` in PORTS.
struct PublishedPort {
  ContainerPort container;
  IpAddress host_address;  // 0.0.0.0 and :: are two entries
  std::uint16_t host_port = 0;

  friend bool operator==(const PublishedPort&, const PublishedPort&) = default;
};

/// "8080:80", "80", "127.0.0.1:8080:80", "127.0.0.1::80", "[::1]:8080:80", "8000-8010:80-90/udp", "8000-8010:80",
/// "published=8080,target=80,protocol=tcp". Throws Invalid with Docker's words.
std::vector<PublishRequest> parse_publish(std::string_view text);

/// The same for Docker's API: container port "80/tcp", host address "" or text, host port "", "8080" or "8000-8010".
PublishRequest make_publish_request(std::string_view container_port, std::string_view host_address,
                                    std::string_view host_port);

/// "80", "80/udp", "8000-8010/tcp". Throws Invalid.
std::vector<ContainerPort> parse_exposed_ports(std::string_view text);

/// "0.0.0.0:8080->80/tcp" and "[::]:8080->80/tcp".
std::string to_string(const PublishedPort& port);

}  // namespace ctr
