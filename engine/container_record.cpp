#include "engine/container_record.h"

#include "engine/json_fields.h"

namespace ctr {
namespace {
constexpr std::int64_t kRecordVersion = 1;
}

template <class V>
void fields(V& visit, MountPoint& m) {
  visit("type", m.type);
  visit("name", m.name);
  visit("source", m.source);
  visit("destination", m.destination);
  visit("driver", m.driver);
  visit("mode", m.mode);
  bool is_read_only = !m.read_write;  // compact JSON leaves out what is false
  visit("ro", is_read_only);
  if (m.read_write == is_read_only) m.read_write = !is_read_only;
  visit("propagation", m.propagation);
  visit("anonymous", m.anonymous);
  visit("no_copy", m.no_copy);
  visit("subpath", m.subpath);
  visit("id_mapping", m.id_mapping);
  visit("tmpfs_options", m.tmpfs_options);
  visit("non_recursive", m.non_recursive);
  visit("recursive_read_only", m.recursive_read_only);
}

template <class V>
void fields(V& visit, ContainerRecord& r) {
  visit("id", r.id);
  visit("name", r.name);
  visit("created", r.created);
  visit("image_id", r.image_id);
  visit("manifest", r.manifest_digest);
  visit("target", r.target_digest);
  visit("platform", r.platform);
  visit("path", r.path);
  visit("args", r.args);
  visit("layers", r.layers);
  visit("snapshot", r.snapshot);
  visit("mounts", r.mounts);
  visit("cgroup", r.cgroup_path);
  visit("ctr", r.ctr_path);
  visit("wanted", r.wanted);
  visit("has_been_started", r.has_been_started);
  visit("last_finished_at", r.last_finished_at);
}

Json to_json(const ContainerRecord& record) {
  Json json = Json::object();
  json["v"] = kRecordVersion;
  FieldWriter writer(json, true);
  fields(writer, const_cast<ContainerRecord&>(record));
  json["config"] = to_json(record.config, JsonForm::Compact);
  json["host"] = to_json(record.host, JsonForm::Compact);
  json["networking"] = to_json(record.networking, JsonForm::Compact);
  json["shim"] = to_json(record.shim);
  return json;
}

ContainerRecord container_record_from_json(const Json& json) {
  const std::int64_t version = json.int_or("v", 0);
  if (version > kRecordVersion) {
    throw Error(ErrorKind::Unavailable, "the container's record has version " + std::to_string(version) +
                                            ", made by a newer ctr; this one reads up to version " +
                                            std::to_string(kRecordVersion));
  }
  ContainerRecord record;
  FieldReader reader(json);
  fields(reader, record);
  if (record.id.empty()) throw Error(ErrorKind::Corrupt, "the container's record has no id");
  if (const Json* config = json.find("config")) record.config = container_config_from_json(*config);
  if (const Json* host = json.find("host")) record.host = host_config_from_json(*host);
  if (const Json* networking = json.find("networking")) record.networking = networking_config_from_json(*networking);
  if (const Json* shim = json.find("shim")) record.shim = shim_settings_from_json(*shim);
  return record;
}

}  // namespace ctr
