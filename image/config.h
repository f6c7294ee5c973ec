// Image configs: what the OCI image-spec calls the image configuration, with the further members that Docker writes
// (Healthcheck, OnBuild, Shell, ArgsEscaped). Members that this program does not know are kept and written back.
#pragma once

#include <chrono>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "image/digest.h"
#include "image/platform.h"

namespace ctr {

inline constexpr std::uint64_t kConfigLimit = 16 * 1024 * 1024;

struct Healthcheck {
  std::vector<std::string> test;
  std::chrono::nanoseconds interval{0};
  std::chrono::nanoseconds timeout{0};
  std::chrono::nanoseconds start_period{0};
  std::chrono::nanoseconds start_interval{0};
  int retries = 0;

  friend bool operator==(const Healthcheck&, const Healthcheck&) = default;
};

/// The member "config": what a container of this image gets unless its user says otherwise.
struct ContainerDefaults {
  std::string user;
  std::set<std::string> exposed_ports;
  std::vector<std::string> env;
  std::optional<std::vector<std::string>> entrypoint;
  std::optional<std::vector<std::string>> cmd;
  std::set<std::string> volumes;
  std::string working_dir;
  std::map<std::string, std::string> labels;
  std::string stop_signal;
  std::optional<Healthcheck> healthcheck;
  std::optional<std::vector<std::string>> shell;
  std::vector<std::string> on_build;
  bool args_escaped = false;
  Json unknown = {};
};

struct History {
  std::string created;
  std::string created_by;
  std::string author;
  std::string comment;
  bool empty_layer = false;
};

struct ImageConfig {
  /// RFC 3339, as it stands in the document; empty when absent.
  std::string created;
  std::string author;
  Platform platform;
  ContainerDefaults defaults;
  std::vector<Digest> diff_ids;
  std::vector<History> history;
  Json unknown = {};
};

/// Throws Invalid, naming the member.
ImageConfig parse_image_config(std::string_view text);
/// The same value gives the same bytes for ever. The digest of these bytes is the image's id.
std::string serialise_image_config(const ImageConfig& config);

Json to_json(const ContainerDefaults& defaults);
ContainerDefaults container_defaults_from_json(const Json& json);
Json to_json(const Healthcheck& healthcheck);
Healthcheck healthcheck_from_json(const Json& json);

/// chain(1) = diff(1); chain(n) = sha256(chain(n-1) + " " + diff(n)): the name of a stack of layers.
Digest chain_id(const Digest& parent_chain, const Digest& diff_id);
std::vector<Digest> chain_ids(const std::vector<Digest>& diff_ids);

}  // namespace ctr
