#include "runtime/port_binding.h"

#include <charconv>

#include "base/error.h"

namespace ctr {
namespace {

// -p 1-65535:1-65535 is legal; more text than that is not a port.
constexpr std::size_t kLongestText = 256;

struct PortRange {
  std::uint16_t first = 0;
  std::uint16_t last = 0;
  int size() const { return last - first + 1; }
};

[[noreturn]] void invalid(const std::string& sentence) { throw Error(ErrorKind::Invalid, sentence); }

std::optional<std::uint16_t> find_port(std::string_view text) {
  std::uint16_t port = 0;
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), port);
  if (parsed.ec != std::errc{} || parsed.ptr != text.data() + text.size()) return std::nullopt;
  return port;
}

std::optional<PortRange> find_range(std::string_view text) {
  const std::size_t dash = text.find('-');
  const std::optional<std::uint16_t> first = find_port(text.substr(0, dash));
  const std::optional<std::uint16_t> last = dash == text.npos ? first : find_port(text.substr(dash + 1));
  if (!first || !last || *last < *first) return std::nullopt;
  return PortRange{*first, *last};
}

Protocol parse_protocol(std::string_view text) {
  std::string lower;
  for (char c : text) lower += c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  if (lower == "tcp") return Protocol::Tcp;
  if (lower == "udp") return Protocol::Udp;
  if (lower == "sctp") return Protocol::Sctp;
  invalid("invalid proto: " + std::string(text));
}

/// "80-90/udp" without and with its protocol.
std::pair<std::string_view, Protocol> split_protocol(std::string_view text) {
  const std::size_t slash = text.find('/');
  if (slash == text.npos) return {text, Protocol::Tcp};
  return {text.substr(0, slash), parse_protocol(text.substr(slash + 1))};
}

struct PublishText {
  std::string_view host_address;
  std::string_view host_port;
  std::string_view container_port;
};

/// Splits at the last two colons that are outside brackets.
PublishText split_publish(std::string_view text) {
  PublishText parts;
  const std::size_t last = text.rfind(':');
  if (last == text.npos) return {{}, {}, text};
  parts.container_port = text.substr(last + 1);
  const std::string_view front = text.substr(0, last);
  const std::size_t middle = front.rfind(':');
  if (middle == front.npos) {
    parts.host_port = front;
    return parts;
  }
  parts.host_address = front.substr(0, middle);
  parts.host_port = front.substr(middle + 1);
  return parts;
}

std::optional<IpAddress> parse_host_address(std::string_view text) {
  if (text.empty()) return std::nullopt;
  if (text.size() > 1 && text.front() == '[' && text.back() == ']') {
    const std::string_view inner = text.substr(1, text.size() - 2);
    const std::optional<IpAddress> address = IpAddress::find(inner);
    if (!address || !address->is_v6()) invalid("invalid IP address: " + std::string(text));
    return address;
  }
  const std::optional<IpAddress> address = IpAddress::find(text);
  if (!address) invalid("invalid IP address: " + std::string(text));
  return address;
}

std::vector<PublishRequest> expand(const PublishText& text, Protocol protocol, std::string_view whole) {
  if (text.container_port.empty()) invalid("no port specified: " + std::string(whole) + "<empty>");
  const std::optional<PortRange> container = find_range(text.container_port);
  if (!container || container->first == 0) invalid("invalid containerPort: " + std::string(text.container_port));
  PortRange host{};
  if (!text.host_port.empty()) {
    const std::optional<PortRange> found = find_range(text.host_port);
    if (!found) invalid("invalid hostPort: " + std::string(text.host_port));
    host = *found;
  }
  const bool ranged = host.size() > 1;
  // A host port of 0 asks for any free one, for each port of a range.
  const bool any = host.first == 0 && host.last == 0;
  if (!any && host.size() != container->size() && container->size() != 1) {
    invalid("invalid ranges specified for container and host Ports: " + std::string(text.container_port) + " and " +
            std::string(text.host_port));
  }
  const std::optional<IpAddress> address = parse_host_address(text.host_address);
  std::vector<PublishRequest> requests;
  for (int i = 0; i < container->size(); ++i) {
    PublishRequest request;
    request.container = {static_cast<std::uint16_t>(container->first + i), protocol};
    request.host_address = address;
    if (ranged && container->size() == 1) {
      request.host_port_first = host.first;
      request.host_port_last = host.last;
    } else if (!any) {
      request.host_port_first = request.host_port_last = static_cast<std::uint16_t>(host.first + i);
    }
    requests.push_back(request);
  }
  return requests;
}

/// "published=8080,target=80,protocol=udp" as "8080:80/udp".
std::string short_form(std::string_view text) {
  std::string published, target, protocol = "tcp";
  for (std::size_t start = 0; start <= text.size();) {
    const std::size_t comma = std::min(text.find(',', start), text.size());
    const std::string_view item = text.substr(start, comma - start);
    const std::size_t equals = item.find('=');
    if (equals == item.npos || equals == 0) {
      invalid("invalid publish opts format (should be name=value but got '" + std::string(item) + "')");
    }
    const std::string_view key = item.substr(0, equals);
    const std::string value(item.substr(equals + 1));
    if (key == "published") published = value;
    if (key == "target") target = value;
    if (key == "protocol") protocol = value;
    start = comma + 1;
  }
  return published + ":" + target + "/" + protocol;
}

}  // namespace

std::string_view protocol_name(Protocol protocol) {
  switch (protocol) {
    case Protocol::Udp: return "udp";
    case Protocol::Sctp: return "sctp";
    case Protocol::Tcp: break;
  }
  return "tcp";
}

std::string ContainerPort::str() const { return std::to_string(port) + "/" + std::string(protocol_name(protocol)); }

std::vector<PublishRequest> parse_publish(std::string_view text) {
  if (text.size() > kLongestText) invalid("invalid publish text: too long");
  if (text.find('=') != text.npos) return parse_publish(short_form(text));
  const auto [ports, protocol] = split_protocol(text);
  return expand(split_publish(ports), protocol, text);
}

PublishRequest make_publish_request(std::string_view container_port, std::string_view host_address,
                                    std::string_view host_port) {
  const auto [port, protocol] = split_protocol(container_port);
  std::vector<PublishRequest> requests = expand({host_address, host_port, port}, protocol, container_port);
  if (requests.size() != 1) invalid("invalid containerPort: " + std::string(container_port));
  return requests.front();
}

std::vector<ContainerPort> parse_exposed_ports(std::string_view text) {
  const auto [ports, protocol] = split_protocol(text);
  const std::optional<PortRange> range = find_range(ports);
  if (!range || range->first == 0) {
    invalid("invalid range format for --expose: " + std::string(text) + ", error: invalid port");
  }
  std::vector<ContainerPort> exposed;
  for (int port = range->first; port <= range->last; ++port) {
    exposed.push_back({static_cast<std::uint16_t>(port), protocol});
  }
  return exposed;
}

std::string to_string(const PublishedPort& port) {
  const std::string address = port.host_address.is_v6() ? "[" + port.host_address.str() + "]" : port.host_address.str();
  return address + ":" + std::to_string(port.host_port) + "->" + port.container.str();
}

}  // namespace ctr
