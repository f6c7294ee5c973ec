#include "runtime/systemd_cgroup.h"

#include "base/error.h"
#include "base/process.h"
#include "base/text.h"

namespace ctr {

std::string expand_slice(std::string_view slice) {
  if (slice == "-.slice") return "/";
  if (!slice.ends_with(".slice") || slice.find('/') != std::string_view::npos || slice.starts_with('-')) {
    throw Error(ErrorKind::Invalid, "invalid slice name " + json_quote(slice));
  }
  std::string path;
  std::string name;
  for (const std::string& part : split(without_suffix(slice, ".slice"), '-')) {
    if (part.empty()) throw Error(ErrorKind::Invalid, "invalid slice name " + json_quote(slice));
    name += (name.empty() ? "" : "-") + part;
    path += "/" + name + ".slice";
  }
  return path;
}

std::string systemd_cgroup_path(std::string_view cgroups_path, std::string_view id) {
  if (!path_exists("/run/systemd/system")) {
    throw Error(ErrorKind::Unavailable, "--systemd-cgroup was asked for, but systemd does not run here");
  }
  std::vector<std::string> parts = split(cgroups_path, ':');
  if (cgroups_path.empty()) parts = {"", "ctr-oci", std::string(id)};
  if (parts.size() != 3) {
    throw Error(ErrorKind::Invalid,
                "with --systemd-cgroup, linux.cgroupsPath is slice:prefix:name, not " + json_quote(cgroups_path));
  }
  const std::string slice = parts[0].empty() ? "system.slice" : parts[0];
  const std::string unit = parts[1].empty() ? parts[2] : parts[1] + "-" + parts[2];
  return (fs::path(expand_slice(slice)) / (unit.ends_with(".slice") ? unit : unit + ".scope")).native();
}

void register_with_systemd(const std::string& path, const Spec& spec, pid_t pid) {
  const fs::path group = path;
  const std::string slice = group.parent_path() == "/" ? "-.slice" : group.parent_path().filename().native();
  Command command;
  command.argv = {"busctl",
                  "call",
                  "org.freedesktop.systemd1",
                  "/org/freedesktop/systemd1",
                  "org.freedesktop.systemd1.Manager",
                  "StartTransientUnit",
                  "ssa(sv)a(sa(sv))",
                  group.filename().native(),
                  "replace"};
  std::vector<std::vector<std::string>> properties = {
      {"Description", "s", "container " + group.filename().native()},
      {"Slice", "s", slice},
      {"PIDs", "au", "1", std::to_string(pid)},
      {"Delegate", "b", "true"},
      {"DefaultDependencies", "b", "false"},
  };
  const ResourcesSpec& resources = spec.linux.resources;
  // systemd applies what it knows again whenever it touches the unit: it must know the same.
  if (resources.memory.limit.value_or(0) > 0) {
    properties.push_back({"MemoryMax", "t", std::to_string(*resources.memory.limit)});
  }
  if (resources.pids_limit.value_or(0) > 0)
    properties.push_back({"TasksMax", "t", std::to_string(*resources.pids_limit)});
  command.argv.push_back(std::to_string(properties.size()));
  for (const auto& property : properties) command.argv.insert(command.argv.end(), property.begin(), property.end());
  command.argv.emplace_back("0");
  const CommandOutput output = run_command(command);
  if (!output.status.success()) {
    throw Error(ErrorKind::Unavailable,
                "systemd made no scope for the container: " + std::string(trim(output.standard_error)));
  }
}

}  // namespace ctr
