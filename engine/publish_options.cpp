#include "engine/publish_options.h"

#include <algorithm>

#include "runtime/port_binding.h"

namespace ctr {

namespace {

void expose(const ContainerPort& port, CreateRequest& request) {
  std::vector<std::string>& exposed = request.config.exposed_ports;
  if (std::find(exposed.begin(), exposed.end(), port.str()) == exposed.end()) exposed.push_back(port.str());
}

std::string host_port_text(const PublishRequest& publish) {
  if (publish.host_port_first == 0) return {};
  if (publish.host_port_first == publish.host_port_last) return std::to_string(publish.host_port_first);
  return std::to_string(publish.host_port_first) + "-" + std::to_string(publish.host_port_last);
}

}  // namespace

void add_published_ports(const std::string& text, CreateRequest& request) {
  for (const PublishRequest& publish : parse_publish(text)) {
    expose(publish.container, request);
    request.host.port_bindings[publish.container.str()].push_back(
        {publish.host_address ? publish.host_address->str() : "", host_port_text(publish)});
  }
}

void add_exposed_ports(const std::string& text, CreateRequest& request) {
  for (const ContainerPort& port : parse_exposed_ports(text)) expose(port, request);
}

}  // namespace ctr
