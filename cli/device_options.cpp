#include "cli/device_options.h"

#include "base/text.h"

namespace ctr {

namespace {

[[noreturn]] void refuse(std::string_view flag, const std::string& value, const std::string& why) {
  throw UsageError("invalid argument \"" + value + "\" for \"--" + std::string(flag) + "\" flag: " + why);
}

bool are_permissions(const std::string& text) {
  return !text.empty() && text.find_first_not_of("rwm") == std::string::npos;
}

/// "/dev/fuse", "/dev/sda:/dev/xvda", "/dev/sda:rwm", "/dev/sda:/dev/xvda:r".
DeviceMapping parse_device(const std::string& text) {
  const std::vector<std::string> parts = split(text, ':');
  DeviceMapping device{parts.front(), parts.front(), "rwm"};
  if (parts.size() > 3 || device.path_on_host.empty()) refuse("device", text, "bad format for a device");
  for (std::size_t i = 1; i < parts.size(); ++i) {
    if (are_permissions(parts[i]) && i + 1 == parts.size()) {
      device.cgroup_permissions = parts[i];
    } else if (i == 1 && parts[i].starts_with('/')) {
      device.path_in_container = parts[i];
    } else {
      refuse("device", text, "bad mode specified: " + parts[i]);
    }
  }
  return device;
}

std::pair<std::string, std::string> path_and_value(std::string_view flag, const std::string& text) {
  const std::size_t colon = text.rfind(':');
  if (colon == std::string::npos) refuse(flag, text, "not of the form <device-path>:<value>");
  if (!text.starts_with("/dev/")) refuse(flag, text, "the device path must begin with /dev/");
  return {text.substr(0, colon), text.substr(colon + 1)};
}

std::vector<ThrottleDevice> rates(const ParsedFlags& flags, std::string_view flag) {
  std::vector<ThrottleDevice> devices;
  for (const std::string& text : flags.list(flag)) {
    const auto [path, value] = path_and_value(flag, text);
    const auto rate = parse_size(value);
    if (!rate) refuse(flag, text, "the rate must be a positive number with an optional unit kb, mb or gb");
    devices.push_back({path, static_cast<std::uint64_t>(*rate)});
  }
  return devices;
}

std::uint16_t weight(std::string_view flag, const std::string& text, const std::string& value) {
  const auto number = parse_uint(value);
  if (!number || (*number != 0 && (*number < 10 || *number > 1000))) {
    refuse(flag, text, "the weight must be between 10 and 1000, or 0");
  }
  return static_cast<std::uint16_t>(*number);
}

/// "all", "2", "device=GPU-1,GPU-2": what a driver below ctr would have to know; ctr has none.
void refuse_gpus(const ParsedFlags& flags) {
  if (flags.given("gpus")) {
    throw UsageError("--gpus is not supported yet: pass the device nodes with --device and mount the driver's libraries");
  }
}

}  // namespace

void fill_device_options(const ParsedFlags& flags, HostConfig& host) {
  refuse_gpus(flags);
  for (const std::string& text : flags.list("device")) host.devices.push_back(parse_device(text));
  host.device_cgroup_rules = flags.list("device-cgroup-rule");
  host.blkio_weight = weight("blkio-weight", flags.text("blkio-weight"), flags.text("blkio-weight"));
  for (const std::string& text : flags.list("blkio-weight-device")) {
    const auto [path, value] = path_and_value("blkio-weight-device", text);
    host.blkio_weight_device.push_back({path, weight("blkio-weight-device", text, value)});
  }
  host.blkio_device_read_bps = rates(flags, "device-read-bps");
  host.blkio_device_write_bps = rates(flags, "device-write-bps");
  host.blkio_device_read_iops = rates(flags, "device-read-iops");
  host.blkio_device_write_iops = rates(flags, "device-write-iops");
}

}  // namespace ctr
