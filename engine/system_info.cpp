#include "engine/system_info.h"

#include <sys/statvfs.h>
#include <sys/sysinfo.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <optional>

#include "base/file.h"
#include "base/text.h"
#include "base/time.h"
#include "engine/abilities.h"
#include "engine/container_store.h"
#include "engine/cpu_list.h"
#include "engine/image_names.h"
#include "engine/port_reach.h"
#include "image/store.h"
#include "runtime/cgroup.h"

namespace ctr {
namespace {

constexpr const char* kApiVersion = "1.48";
constexpr const char* kOldestApiVersion = "1.24";

utsname machine() {
  utsname names{};
  ::uname(&names);
  return names;
}

/// PRETTY_NAME of the distribution.
std::string os_release(std::string_view key) {
  const std::optional<std::string> text = find_file("/etc/os-release", kMiB);
  if (!text) return {};
  for (const std::string& line : split(*text, '\n')) {
    const auto parts = cut(line, '=');
    if (parts && parts->first == key) {
      std::string_view value = parts->second;
      if (value.size() >= 2 && value.front() == '"') value = value.substr(1, value.size() - 2);
      return std::string(value);
    }
  }
  return {};
}

Json component(const char* name, Json details) {
  Json json = Json::object();
  json["Name"] = name;
  json["Version"] = CTR_VERSION;
  json["Details"] = std::move(details);
  return json;
}

Json engine_details() {
  const utsname names = machine();
  Json json = Json::object();
  json["ApiVersion"] = kApiVersion;
  json["Arch"] = host_platform().architecture;
  json["BuildTime"] = "";
  json["Experimental"] = "false";
  json["GitCommit"] = "";
  json["GoVersion"] = "";
  json["KernelVersion"] = std::string(names.release);
  json["MinAPIVersion"] = kOldestApiVersion;
  json["Os"] = "linux";
  return json;
}

Json server_document() {
  Json json = Json::object();
  json["Platform"]["Name"] = "ctr";
  json["Components"] = Json::array();
  json["Components"].push_back(component("Engine", engine_details()));
  json["Version"] = CTR_VERSION;
  json["ApiVersion"] = kApiVersion;
  json["MinAPIVersion"] = kOldestApiVersion;
  json["GitCommit"] = "";
  json["GoVersion"] = "";
  json["Os"] = "linux";
  json["Arch"] = host_platform().architecture;
  json["KernelVersion"] = std::string(machine().release);
  json["Experimental"] = false;
  json["BuildTime"] = "";
  return json;
}

struct ContainerCounts {
  std::int64_t all = 0, running = 0, paused = 0;
};

ContainerCounts count_containers(Context& context) {
  ContainerCounts counts;
  for (const ContainerRecord& record : context.containers().list()) {
    ++counts.all;
    const ContainerStatus status = read_state(context, record).status;
    if (status == ContainerStatus::Paused) ++counts.paused;
    if (status == ContainerStatus::Running || status == ContainerStatus::Restarting) ++counts.running;
  }
  return counts;
}

std::string layer_format_words(Context& context) {
  try {
    return context.store().layers().form() == LayerForm::Erofs ? "erofs" : "directory";
  } catch (const Error& error) {
    return std::string("none: ") + error.what();
  }
}

void add_store(Json& json, Context& context) {
  struct statvfs space {};
  ::statvfs(context.store().root().c_str(), &space);
  const std::uint64_t free_bytes = static_cast<std::uint64_t>(space.f_bavail) * space.f_frsize;
  json["Driver"] = "overlay2";
  json["DriverStatus"] = Json::array();
  json["DriverStatus"].push_back(Json(std::vector<std::string>{"Layer Format", layer_format_words(context)}));
  json["DockerRootDir"] = context.paths().root.native();
  json["RunDir"] = context.paths().run.native();
  json["FreeSpace"] = free_bytes;
  json["FreeSpaceWords"] = human_size(static_cast<double>(free_bytes));
  json["ConfigFiles"] = Json::array();
  for (const fs::path& file : context.configuration().files) json["ConfigFiles"].push_back(file.native());
}

void add_plugins(Json& json) {
  json["Plugins"]["Volume"] = Json(std::vector<std::string>{"local"});
  json["Plugins"]["Network"] = Json(std::vector<std::string>{"bridge", "host", "null"});
  json["Plugins"]["Authorization"] = nullptr;
  json["Plugins"]["Log"] = Json(std::vector<std::string>{"json-file", "local", "none"});
}

void add_cgroups(Json& json) {
  const CgroupLayout layout = cgroup_layout();
  const bool is_v2 = layout == CgroupLayout::V2;
  const bool has_cgroups = layout != CgroupLayout::None;
  for (const char* key : {"MemoryLimit", "SwapLimit", "CpuCfsPeriod", "CpuCfsQuota", "CPUShares", "CPUSet", "PidsLimit"}) {
    json[key] = has_cgroups;
  }
  json["OomKillDisable"] = has_cgroups && !is_v2;
  json["CgroupDriver"] = has_cgroups ? "cgroupfs" : "none";
  json["CgroupVersion"] = is_v2 ? "2" : "1";
}

void add_machine(Json& json) {
  const utsname names = machine();
  struct sysinfo memory {};
  ::sysinfo(&memory);
  json["KernelVersion"] = std::string(names.release);
  json["OperatingSystem"] = os_release("PRETTY_NAME");
  json["OSVersion"] = os_release("VERSION_ID");
  json["OSType"] = "linux";
  json["Architecture"] = std::string(names.machine);
  json["NCPU"] = usable_cpus().size();
  json["MemTotal"] = static_cast<std::uint64_t>(memory.totalram) * memory.mem_unit;
  json["Name"] = std::string(names.nodename);
}

Json registry_document(const Configuration& configuration) {
  Json json = Json::object();
  json["InsecureRegistryCIDRs"] = Json(std::vector<std::string>{"::1/128", "127.0.0.0/8"});
  json["IndexConfigs"] = Json::object();
  json["IndexConfigs"]["docker.io"]["Name"] = "docker.io";
  json["IndexConfigs"]["docker.io"]["Mirrors"] = Json(configuration.registry_mirrors);
  json["IndexConfigs"]["docker.io"]["Secure"] = true;
  json["IndexConfigs"]["docker.io"]["Official"] = true;
  for (const std::string& host : configuration.insecure_registries) {
    json["IndexConfigs"][host]["Name"] = host;
    json["IndexConfigs"][host]["Mirrors"] = Json::array();
    json["IndexConfigs"][host]["Secure"] = false;
    json["IndexConfigs"][host]["Official"] = false;
  }
  json["Mirrors"] = Json(configuration.registry_mirrors);
  return json;
}

std::vector<std::string> security_options(const Context& context) {
  std::vector<std::string> options = {"name=seccomp,profile=builtin"};
  if (cgroup_layout() == CgroupLayout::V2) options.emplace_back("name=cgroupns");
  if (context.paths().is_rootless) options.emplace_back("name=rootless");
  return options;
}

Json client_document() {
  Json json = Json::object();
  json["Debug"] = false;
  json["Version"] = CTR_VERSION;
  json["Context"] = "default";
  json["Plugins"] = Json::array();
  json["Warnings"] = nullptr;
  return json;
}

}  // namespace

Json version_document() {
  Json json = Json::object();
  Json& client = json["Client"];
  client["Platform"]["Name"] = "ctr";
  client["Version"] = CTR_VERSION;
  client["ApiVersion"] = kApiVersion;
  client["DefaultAPIVersion"] = kApiVersion;
  client["GitCommit"] = "";
  client["GoVersion"] = "";
  client["Os"] = "linux";
  client["Arch"] = host_platform().architecture;
  client["BuildTime"] = "";
  client["Context"] = "default";
  json["Server"] = server_document();
  return json;
}

namespace {

/// From where each published port can be reached, in words.
Json published_ports(Context& context) {
  Json list = Json::array();
  std::optional<PortReach> reach;
  for (const ContainerRecord& record : context.containers().list()) {
    for (const PortSummary& port : container_ports(context, record)) {
      if (port.public_port == 0) continue;
      if (!reach) reach.emplace(context);
      list.push_back(record.name + ": " + port_words({port}) + " " + reach->words(record, port));
    }
  }
  if (context.configuration().publish_address.empty()) return list;
  list.push_back("without an address -p means " + context.configuration().publish_address + " (publish-address)");
  return list;
}

}  // namespace

Json system_information(Context& context) {
  const ContainerCounts counts = count_containers(context);
  Json json = Json::object();
  json["ID"] = context.paths().root.native();
  json["Containers"] = counts.all;
  json["ContainersRunning"] = counts.running;
  json["ContainersPaused"] = counts.paused;
  json["ContainersStopped"] = counts.all - counts.running - counts.paused;
  json["Images"] = stored_images(context).size();
  add_store(json, context);
  add_plugins(json);
  add_cgroups(json);
  json["IPv4Forwarding"] = find_file("/proc/sys/net/ipv4/ip_forward").value_or("0").starts_with('1');
  json["Debug"] = false;
  json["NFd"] = 0;
  json["NGoroutines"] = 0;
  json["SystemTime"] = format_time(now());
  json["LoggingDriver"] = context.configuration().log_driver;
  json["NEventsListener"] = 0;
  add_machine(json);
  json["IndexServerAddress"] = "https://index.docker.io/v1/";
  json["RegistryConfig"] = registry_document(context.configuration());
  json["GenericResources"] = nullptr;
  json["HttpProxy"] = "";
  json["HttpsProxy"] = "";
  json["NoProxy"] = "";
  json["Labels"] = Json::array();
  json["ExperimentalBuild"] = false;
  json["ServerVersion"] = CTR_VERSION;
  json["Runtimes"]["ctr"]["path"] = "ctr-shim";
  json["DefaultRuntime"] = "ctr";
  json["Swarm"]["LocalNodeState"] = "inactive";
  json["LiveRestoreEnabled"] = true;
  json["Isolation"] = "";
  json["InitBinary"] = "ctr-init";
  json["SecurityOptions"] = Json(security_options(context));
  json["Warnings"] = nullptr;
  json["Abilities"] = Json::array();
  for (const Ability& ability : probe_abilities(context)) {
    Json entry = Json::object();
    entry["Name"] = ability.name;
    entry["Available"] = ability.available;
    entry["Reason"] = ability.reason;
    json["Abilities"].push_back(std::move(entry));
  }
  json["PublishedPorts"] = published_ports(context);
  json["ClientInfo"] = client_document();
  return json;
}

}  // namespace ctr
