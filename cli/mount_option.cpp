#include "cli/mount_option.h"

#include <filesystem>

#include "base/text.h"
#include "builder/csv.h"
#include "cli/flags.h"

namespace ctr {

namespace {

[[noreturn]] void refuse(const std::string& text, const std::string& why) {
  throw UsageError("invalid argument \"" + text + "\" for \"--mount\" flag: " + why);
}

/// One key of a mount. Returns false for a key that no mount has.
class MountParser {
 public:
  explicit MountParser(const std::string& text) : text_(text) {}

  MountRequest parse() {
    mount_.type = "volume";
    for (const CsvField& field : parse_csv_fields(text_)) apply(field);
    if (mount_.type.empty()) refuse(text_, "type is required");
    if (mount_.target.empty()) refuse(text_, "target is required");
    if (mount_.type == "bind" && mount_.source.empty()) refuse(text_, "source is required for a bind mount");
    check_options_fit();
    return mount_;
  }

 private:
  void apply(const CsvField& field) {
    const std::string& key = field.key;
    if (key == "readonly" || key == "ro" || key == "rw") {
      mount_.read_only = key == "rw" ? !truth(field) : truth(field);
    } else if (key == "volume-nocopy") {
      volume().no_copy = truth(field);
    } else if (key == "bind-create-src") {
      bind().create_mountpoint = truth(field);
    } else if (key == "bind-nonrecursive") {
      bind().non_recursive = truth(field);
    } else if (key == "idmap" && !field.value) {
      mount_.id_mapping = "idmap";
    } else {
      apply_text(key, value_of(field));
    }
  }

  void apply_text(const std::string& key, const std::string& value) {
    if (key == "type") {
      mount_.type = lower(value);
      if (mount_.type != "bind" && mount_.type != "volume" && mount_.type != "tmpfs" && mount_.type != "image") {
        refuse(text_, "mount type " + value + " is not known: bind, volume, tmpfs or image");
      }
    } else if (key == "source" || key == "src") {
      mount_.source = value.starts_with('.') ? std::filesystem::absolute(value).lexically_normal().string() : value;
    } else if (key == "target" || key == "dst" || key == "destination") {
      mount_.target = value;
    } else if (key == "consistency") {
      mount_.consistency = value;
    } else if (key == "idmap") {
      mount_.id_mapping = "idmap=" + value;
    } else if (key == "bind-propagation") {
      bind().propagation = lower(value);
    } else if (key == "bind-recursive") {
      recursion(value);
    } else if (key == "volume-subpath") {
      volume().subpath = value;
    } else if (key == "volume-driver") {
      volume().driver = value;
    } else if (key == "volume-label") {
      add_pair(volume().labels, value);
    } else if (key == "volume-opt") {
      add_pair(volume().driver_options, value);
    } else if (key == "image-subpath") {
      image_options_used_ = true;
      mount_.image_options = ImageOptions{value};
    } else if (key == "tmpfs-size") {
      const auto size = parse_size(value);
      if (!size) refuse(text_, "invalid value for tmpfs-size: " + value);
      tmpfs().size_bytes = *size;
    } else if (key == "tmpfs-mode") {
      const auto mode = parse_uint(value, 8);
      if (!mode || *mode > 07777) refuse(text_, "invalid value for tmpfs-mode: " + value);
      tmpfs().mode = static_cast<std::int64_t>(*mode);
    } else {
      refuse(text_, "unexpected key '" + key + "'");
    }
  }

  void recursion(const std::string& value) {
    bind();
    if (value == "disabled") {
      bind().non_recursive = true;
    } else if (value == "writable") {
      bind().read_only_non_recursive = true;
    } else if (value == "readonly") {
      bind().read_only_force_recursive = true;
    } else if (value != "enabled") {
      refuse(text_, "invalid value for bind-recursive: " + value + " (enabled, disabled, writable or readonly)");
    }
  }

  bool truth(const CsvField& field) {
    if (!field.value) return true;
    const auto value = parse_bool(*field.value);
    if (!value) refuse(text_, "invalid value for " + field.key + ": " + *field.value);
    return *value;
  }
  std::string value_of(const CsvField& field) {
    if (!field.value) refuse(text_, "invalid field '" + field.text + "' must be a key=value pair");
    return *field.value;
  }
  static void add_pair(StringMap& map, const std::string& text) {
    const auto pair = cut(text, '=');
    map[pair ? pair->first : text] = pair ? pair->second : "";
  }

  BindOptions& bind() { return mount_.bind_options ? *mount_.bind_options : mount_.bind_options.emplace(); }
  VolumeOptions& volume() { return mount_.volume_options ? *mount_.volume_options : mount_.volume_options.emplace(); }
  TmpfsOptions& tmpfs() { return mount_.tmpfs_options ? *mount_.tmpfs_options : mount_.tmpfs_options.emplace(); }

  void check_options_fit() {
    const auto misfit = [&](bool is_used, const char* type, const char* options) {
      if (is_used && mount_.type != type) {
        refuse(text_, std::string("cannot mix '") + options + "' options with mount type '" + mount_.type + "'");
      }
    };
    misfit(mount_.bind_options.has_value(), "bind", "bind-*");
    misfit(mount_.volume_options.has_value(), "volume", "volume-*");
    misfit(mount_.tmpfs_options.has_value(), "tmpfs", "tmpfs-*");
    misfit(image_options_used_, "image", "image-*");
    check_recursion();
  }

  void check_recursion() {
    if (!mount_.bind_options) return;
    const auto needs = [&](const char* value, const char* other) {
      refuse(text_, std::string("option 'bind-recursive=") + value + "' requires '" + other + "' to be specified in conjunction");
    };
    if (bind().read_only_non_recursive && !mount_.read_only) needs("writable", "readonly");
    if (!bind().read_only_force_recursive) return;
    if (!mount_.read_only) needs("readonly", "readonly");
    if (bind().propagation != "rprivate") needs("readonly", "bind-propagation=rprivate");
  }

  const std::string& text_;
  MountRequest mount_;
  bool image_options_used_ = false;
};

}  // namespace

MountRequest parse_mount_option(const std::string& text) { return MountParser(text).parse(); }

void add_volume_option(const std::string& text, ContainerConfig& config, HostConfig& host) {
  if (text.find(':') == std::string::npos) {
    if (!text.starts_with('/')) {
      throw UsageError("invalid argument \"" + text + "\" for \"-v, --volume\" flag: the path in the container must be absolute");
    }
    config.volumes.push_back(text);
    return;
  }
  std::string bind = text;
  if (text.starts_with('.')) {
    const std::size_t colon = text.find(':');
    bind = std::filesystem::absolute(text.substr(0, colon)).lexically_normal().string() + text.substr(colon);
  }
  host.binds.push_back(bind);
}

}  // namespace ctr
