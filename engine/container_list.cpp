// The list of containers as `ps` shows it, with its filters.

#include <regex.h>

#include <algorithm>

#include "base/error.h"
#include "base/file.h"
#include "base/text.h"
#include "base/time.h"
#include "engine/container_cleanup.h"
#include "engine/container_mounts.h"
#include "engine/container_store.h"
#include "engine/containers.h"
#include "engine/images.h"
#include "image/garbage.h"
#include "image/image_store.h"
#include "image/layer_store.h"
#include "image/store.h"
#include "runtime/port_binding.h"

namespace ctr {
namespace {

/// Docker's name and id filters are regular expressions that may match anywhere.
class Pattern {
 public:
  explicit Pattern(const std::string& text) {
    if (::regcomp(&expression_, text.c_str(), REG_EXTENDED | REG_NOSUB) != 0) {
      throw Error(ErrorKind::Invalid, "invalid filter: \"" + text + "\" is not a regular expression");
    }
  }
  ~Pattern() { ::regfree(&expression_); }
  Pattern(const Pattern&) = delete;
  Pattern& operator=(const Pattern&) = delete;

  bool matches(const std::string& text) const { return ::regexec(&expression_, text.c_str(), 0, nullptr, 0) == 0; }

 private:
  regex_t expression_{};
};

bool any_of(const std::vector<std::string>& values, const std::function<bool(const std::string&)>& test) {
  return values.empty() || std::any_of(values.begin(), values.end(), test);
}

bool name_matches(const Filters& filters, const ContainerRecord& record) {
  return any_of(filters.values("name"), [&](const std::string& text) {
    const Pattern pattern(text);
    return pattern.matches(record.name) || pattern.matches("/" + record.name);
  });
}

bool id_matches(const Filters& filters, const ContainerRecord& record) {
  return any_of(filters.values("id"), [&](const std::string& text) { return record.id.starts_with(text); });
}

bool exit_matches(const Filters& filters, const ContainerState& state) {
  return any_of(filters.values("exited"), [&](const std::string& text) {
    const std::optional<std::int64_t> code = parse_int(text);
    if (!code) throw Error(ErrorKind::Invalid, "invalid filter 'exited=" + text + "'");
    return !state.is_running() && state.status != ContainerStatus::Created && state.exit_code == *code;
  });
}

bool health_matches(const Filters& filters, const ContainerState& state) {
  return any_of(filters.values("health"), [&](const std::string& text) {
    return text == (state.health.status.empty() ? "none" : state.health.status);
  });
}

bool volume_matches(const Filters& filters, const ContainerRecord& record) {
  return any_of(filters.values("volume"), [&](const std::string& text) {
    return std::any_of(record.mounts.begin(), record.mounts.end(), [&](const MountPoint& mount) {
      return mount.name == text || mount.destination == text || mount.source == text;
    });
  });
}

bool port_matches(const Filters& filters, const std::string& key, const std::vector<PortSummary>& ports,
                  const ContainerRecord& record) {
  return any_of(filters.values(key), [&](const std::string& text) {
    const std::vector<ContainerPort> wanted = parse_exposed_ports(text);
    return std::any_of(wanted.begin(), wanted.end(), [&](const ContainerPort& port) {
      if (key == "expose") {
        const std::vector<std::string>& exposed = record.config.exposed_ports;
        return std::find(exposed.begin(), exposed.end(), port.str()) != exposed.end();
      }
      return std::any_of(ports.begin(), ports.end(), [&](const PortSummary& summary) {
        return summary.public_port == port.port && summary.type == protocol_name(port.protocol);
      });
    });
  });
}

/// A container's images by which `ancestor` finds it: its own, and whatever image has the given one's layers below.
class AncestorFilter {
 public:
  AncestorFilter(Context& context, const Filters& filters) {
    for (const std::string& name : filters.values("ancestor")) {
      if (const std::optional<FoundImage> found = find_image(context, name, std::nullopt)) {
        std::vector<std::string> layers;
        for (const Digest& diff_id : found->image.diff_ids()) layers.push_back(diff_id.str());
        ids_.push_back(found->id);
        stacks_.push_back(std::move(layers));
      }
    }
    is_given_ = filters.has("ancestor");
  }

  bool matches(const ContainerRecord& record) const {
    if (!is_given_) return true;
    if (std::find(ids_.begin(), ids_.end(), record.image_id) != ids_.end()) return true;
    return std::any_of(stacks_.begin(), stacks_.end(), [&](const std::vector<std::string>& stack) {
      return !stack.empty() && stack.size() <= record.layers.size() &&
             std::equal(stack.begin(), stack.end(), record.layers.begin());
    });
  }

 private:
  bool is_given_ = false;
  std::vector<std::string> ids_;
  std::vector<std::vector<std::string>> stacks_;
};

/// before=, since=: containers created before or after another one.
class NeighbourFilter {
 public:
  NeighbourFilter(Context& context, const Filters& filters) {
    for (const std::string& name : filters.values("before")) before_ = context.containers().get(name).created;
    for (const std::string& name : filters.values("since")) since_ = context.containers().get(name).created;
  }
  bool matches(const ContainerRecord& record) const {
    return (before_.empty() || record.created < before_) && (since_.empty() || record.created > since_);
  }

 private:
  std::string before_;
  std::string since_;
};

/// As Docker shows it: an argument with a space is in quotes.
std::string command_of(const ContainerRecord& record) {
  std::string command = record.path;
  for (const std::string& argument : record.args) {
    command += argument.find(' ') == std::string::npos ? " " + argument : " '" + argument + "'";
  }
  return command;
}

/// Tells whether image names still mean the image that a container was made from; each name is looked up once.
class ImageNames {
 public:
  explicit ImageNames(Context& context) : images_(context.paths().root) {}

  std::string shown(const ContainerRecord& record) {
    const std::string& name = record.config.image;
    const auto [found, is_new] = targets_.try_emplace(name);
    if (is_new) {
      const std::optional<Reference> reference = Reference::try_parse(name);
      const std::optional<Descriptor> target = reference ? images_.find(*reference) : std::nullopt;
      if (target) found->second = target->digest.str();
    }
    if (found->second == record.target_digest && !found->second.empty()) return name;
    const std::string_view hex = without_prefix(name, "sha256:");
    if (!hex.empty() && without_prefix(record.image_id, "sha256:").starts_with(hex)) return name;
    return record.image_id;
  }

 private:
  ImageStore images_;
  std::map<std::string, std::string> targets_;
};

std::vector<std::string> network_names(const ContainerRecord& record) {
  std::vector<std::string> names;
  for (const auto& [name, settings] : record.networking.endpoints_config) names.push_back(name);
  if (names.empty()) names.push_back(record.host.network_mode);
  for (std::string& name : names) {
    if (name.empty() || name == "default") name = "bridge";
  }
  return names;
}

bool network_matches(const Filters& filters, const ContainerSummary& summary) {
  return any_of(filters.values("network"), [&](const std::string& text) {
    return std::any_of(summary.networks.begin(), summary.networks.end(), [&](const std::string& name) {
      return name == text;
    });
  });
}

bool status_matches(const Filters& filters, const ContainerState& state) {
  return any_of(filters.values("status"), [&](const std::string& text) { return to_string(state.status) == text; });
}

void measure(Context& context, ContainerSummary& summary) {
  summary.size_rw = static_cast<std::int64_t>(disk_usage(context.store().snapshots().upper(summary.record.snapshot)));
  summary.size_root_fs = summary.size_rw;
  for (const std::string& diff_id : summary.record.layers) {
    if (const auto layer = context.store().layers().find(Digest::parse(diff_id))) {
      summary.size_root_fs += static_cast<std::int64_t>(layer->content_size);
    }
  }
}

}  // namespace

Filters parse_container_filters(const std::vector<std::string>& texts) {
  Filters filters(texts, {"ancestor", "before", "exited", "expose", "health", "id", "is-task", "isolation", "label", "label!",
                          "name", "network", "publish", "since", "status", "volume"});
  static const std::vector<std::string> kStatuses = {"created", "dead",     "exited", "paused",
                                                     "removing", "restarting", "running"};
  for (const std::string& status : filters.values("status")) {
    if (std::find(kStatuses.begin(), kStatuses.end(), status) == kStatuses.end()) {
      throw Error(ErrorKind::Invalid, "invalid filter 'status=" + status + "'");
    }
  }
  return filters;
}

std::vector<ContainerSummary> list_containers(Context& context, const ListContainersRequest& request) {
  tidy_dead_containers(context);
  const Filters& filters = request.filters;
  const bool shows_stopped = request.all || request.last > 0 || filters.has("status") || filters.has("exited");
  const AncestorFilter ancestor(context, filters);
  const NeighbourFilter neighbour(context, filters);
  ImageNames image_names(context);
  const Time moment = now();
  std::vector<ContainerSummary> summaries;
  for (ContainerRecord& record : context.containers().list()) {
    if (!name_matches(filters, record) || !id_matches(filters, record) || !filters.matches_labels(record.config.labels) ||
        !volume_matches(filters, record) || !ancestor.matches(record) || !neighbour.matches(record) ||
        filters.flag("is-task", false)) {
      continue;
    }
    ContainerSummary summary;
    summary.state = read_state(context, record);
    if (!shows_stopped && !summary.state.is_running()) continue;
    if (summary.state.status == ContainerStatus::Removing && !filters.has("status")) continue;
    if (!status_matches(filters, summary.state) || !exit_matches(filters, summary.state) ||
        !health_matches(filters, summary.state)) {
      continue;
    }
    if (summary.state.is_running()) summary.ports = container_ports(context, record);
    summary.networks = network_names(record);
    if (!network_matches(filters, summary) || !port_matches(filters, "publish", summary.ports, record) ||
        !port_matches(filters, "expose", summary.ports, record)) {
      continue;
    }
    summary.image = image_names.shown(record);
    summary.command = command_of(record);
    summary.status = status_words(summary.state, moment);
    summary.record = std::move(record);
    if (request.size) measure(context, summary);
    summaries.push_back(std::move(summary));
    if (request.last > 0 && summaries.size() == static_cast<std::size_t>(request.last)) break;
  }
  return summaries;
}

namespace {

Json port_document(const PortSummary& port) {
  Json json = Json::object();
  if (!port.ip.empty()) json["IP"] = port.ip;
  json["PrivatePort"] = port.private_port;
  if (port.public_port != 0) json["PublicPort"] = port.public_port;
  json["Type"] = port.type;
  return json;
}

}  // namespace

Json to_json(const ContainerSummary& summary) {
  const ContainerRecord& record = summary.record;
  Json json = Json::object();
  json["Id"] = record.id;
  json["Names"] = Json(std::vector<std::string>{"/" + record.name});
  json["Image"] = summary.image;
  json["ImageID"] = record.image_id;
  json["Command"] = summary.command;
  const std::optional<Time> created = parse_time(record.created);
  json["Created"] = created ? created->time_since_epoch().count() / 1'000'000'000 : 0;
  json["Ports"] = Json::array();
  for (const PortSummary& port : summary.ports) json["Ports"].push_back(port_document(port));
  if (summary.size_rw >= 0) {
    json["SizeRw"] = summary.size_rw;
    json["SizeRootFs"] = summary.size_root_fs;
  }
  json["Labels"] = Json(record.config.labels);
  json["State"] = to_string(summary.state.status);
  json["Status"] = summary.status;
  json["HostConfig"]["NetworkMode"] = record.host.network_mode;
  json["NetworkSettings"]["Networks"] = Json::object();
  for (const std::string& name : summary.networks) {
    json["NetworkSettings"]["Networks"][name] = Json::object();
  }
  json["Mounts"] = mounts_document(record);
  return json;
}

namespace {

struct PortGroup {
  std::string key;  // "ip/type", or the type alone
  std::uint16_t first = 0;
  std::uint16_t last = 0;
};

std::string host_and_port(const std::string& ip, const std::string& port) {
  return (ip.find(':') != std::string::npos ? "[" + ip + "]" : ip) + ":" + port;
}

std::string group_words(const PortGroup& group) {
  const auto parts = cut(group.key, '/');
  std::string range = std::to_string(group.first);
  if (group.first != group.last) range += "-" + std::to_string(group.last);
  if (!parts) return range + "/" + group.key;
  return host_and_port(parts->first, range) + "->" + range + "/" + parts->second;
}

}  // namespace

std::string port_words(const std::vector<PortSummary>& ports) {
  std::vector<PortSummary> sorted = ports;
  std::sort(sorted.begin(), sorted.end(), [](const PortSummary& a, const PortSummary& b) {
    return std::tie(a.private_port, a.ip, a.public_port, a.type) < std::tie(b.private_port, b.ip, b.public_port, b.type);
  });
  std::vector<PortGroup> open;
  std::vector<std::string> words;
  std::vector<std::string> translated;
  for (const PortSummary& port : sorted) {
    if (!port.ip.empty() && port.public_port != port.private_port) {
      translated.push_back(host_and_port(port.ip, std::to_string(port.public_port)) + "->" +
                           std::to_string(port.private_port) + "/" + port.type);
      continue;
    }
    const std::string key = port.ip.empty() ? port.type : port.ip + "/" + port.type;
    const auto group = std::find_if(open.begin(), open.end(), [&](const PortGroup& g) { return g.key == key; });
    if (group == open.end()) {
      open.push_back({key, port.private_port, port.private_port});
    } else if (port.private_port == group->last + 1) {
      group->last = port.private_port;
    } else {
      words.push_back(group_words(*group));
      *group = {key, port.private_port, port.private_port};
    }
  }
  for (const PortGroup& group : open) words.push_back(group_words(group));
  words.insert(words.end(), translated.begin(), translated.end());
  return join(words, ", ");
}

}  // namespace ctr
