// Docker's document of one container, as `inspect` prints it and scripts read it.

#include "base/text.h"
#include "base/time.h"
#include "engine/container_mounts.h"
#include "engine/container_network.h"
#include "engine/container_store.h"
#include "engine/containers.h"
#include "engine/exec.h"
#include "engine/make_spec.h"
#include "engine/security_options.h"
#include "image/garbage.h"
#include "image/store.h"
#include "runtime/spec_defaults.h"

namespace ctr {
namespace {

Json health_document(const HealthState& health) {
  Json json = Json::object();
  json["Status"] = health.status;
  json["FailingStreak"] = health.failing_streak;
  json["Log"] = Json::array();
  for (const HealthProbe& probe : health.log) {
    Json entry = Json::object();
    entry["Start"] = probe.start;
    entry["End"] = probe.end;
    entry["ExitCode"] = probe.exit_code;
    entry["Output"] = probe.output;
    json["Log"].push_back(std::move(entry));
  }
  return json;
}

Json state_document(const ContainerState& state) {
  Json json = Json::object();
  json["Status"] = to_string(state.status);
  json["Running"] = state.is_running();
  json["Paused"] = state.status == ContainerStatus::Paused;
  json["Restarting"] = state.status == ContainerStatus::Restarting;
  json["OOMKilled"] = state.oom_killed;
  json["Dead"] = state.status == ContainerStatus::Dead;
  json["Pid"] = state.pid;
  json["ExitCode"] = state.exit_code;
  json["Error"] = state.error;
  json["StartedAt"] = state.started_at;
  json["FinishedAt"] = state.finished_at;
  if (!state.health.status.empty()) json["Health"] = health_document(state.health);
  return json;
}

/// HostConfig as Docker shows it: with the paths that are masked and made read-only.
Json host_document(const ContainerRecord& record) {
  HostConfig host = record.host;
  const bool unconfined = parse_security_options(host).unconfined_system_paths;
  if (unconfined && !host.privileged) {
    host.masked_paths = StringList{};
    host.readonly_paths = StringList{};
  } else if (!unconfined) {
    if (!host.masked_paths) host.masked_paths = default_masked_paths();
    if (!host.readonly_paths) host.readonly_paths = default_readonly_paths();
  }
  if (host.cgroupns_mode.empty()) {
    Spec spec;
    spec.linux.namespaces = default_namespaces();
    host.cgroupns_mode = find_namespace(spec, NamespaceType::Cgroup) != nullptr ? "private" : "host";
  }
  return to_json(host, JsonForm::Full);
}

Json graph_driver(const ContainerRecord& record, Context& context) {
  Json json = Json::object();
  Json data = Json::object();
  data["ID"] = record.id;
  if (record.shim.root) {
    std::vector<std::string> lowers;
    for (const fs::path& lower : record.shim.root->lowers) lowers.push_back(lower.native());
    data["LowerDir"] = join(lowers, ":");
  }
  data["MergedDir"] = (context.containers().directory(record.id) / "rootfs").native();
  data["UpperDir"] = (context.paths().root / "snapshots" / record.snapshot / "upper").native();
  data["WorkDir"] = (context.paths().root / "snapshots" / record.snapshot / "work").native();
  json["Data"] = std::move(data);
  json["Name"] = "overlay2";
  return json;
}

Json exec_ids(Context& context, const ContainerRecord& record, const ContainerState& state) {
  if (!state.is_running()) return {};
  const std::vector<std::string> ids = list_execs(context, record.id);
  return ids.empty() ? Json() : Json(ids);
}

/// Docker's path of a file that only exists once the container has run.
std::string etc_path(const fs::path& directory, const char* name) {
  const fs::path path = directory / name;
  return path_exists(path) ? path.native() : std::string();
}

std::uint64_t layers_size(Context& context, const ContainerRecord& record) {
  std::uint64_t size = 0;
  for (const std::string& diff_id : record.layers) {
    if (const auto layer = context.store().layers().find(Digest::parse(diff_id))) size += layer->content_size;
  }
  return size;
}

}  // namespace

Json inspect_container(Context& context, const std::string& container, WithSize size) {
  const ContainerRecord record = context.containers().get(container);
  const ContainerState state = read_state(context, record);
  const fs::path directory = context.containers().directory(record.id);
  Json json = Json::object();
  json["Id"] = record.id;
  json["Created"] = record.created;
  json["Path"] = record.path;
  json["Args"] = Json(record.args);
  json["State"] = state_document(state);
  json["Image"] = record.image_id;
  json["ResolvConfPath"] = etc_path(directory, "resolv.conf");
  json["HostnamePath"] = etc_path(directory, "hostname");
  json["HostsPath"] = etc_path(directory, "hosts");
  json["LogPath"] = record.host.log_config.type != "json-file" ? std::string() : (directory / kLogFile).native();
  json["Name"] = "/" + record.name;
  json["RestartCount"] = state.restart_count;
  json["Driver"] = "overlay2";
  json["Platform"] = "linux";
  json["MountLabel"] = "";
  json["ProcessLabel"] = parse_security_options(record.host).selinux_label;
  json["AppArmorProfile"] = parse_security_options(record.host).apparmor_profile;
  json["ExecIDs"] = exec_ids(context, record, state);
  json["HostConfig"] = host_document(record);
  json["GraphDriver"] = graph_driver(record, context);
  if (size == WithSize::Yes) {
    const std::uint64_t upper = disk_usage(context.store().snapshots().upper(record.snapshot));
    json["SizeRw"] = upper;
    json["SizeRootFs"] = upper + layers_size(context, record);
  }
  json["Mounts"] = mounts_document(record);
  json["Config"] = to_json(record.config, JsonForm::Full);
  json["NetworkSettings"] = network_settings(context, record, state);
  return json;
}

}  // namespace ctr
