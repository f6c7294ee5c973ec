#include "builder/image_config_fold.h"

#include "base/error.h"
#include "base/process.h"
#include "base/text.h"
#include "builder/go_match.h"

namespace ctr {

namespace {

constexpr const char* kHistoryComment = "buildkit.dockerfile.v0";
constexpr const char* kPathVariable = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Go's %q of a text.
std::string go_quoted(std::string_view text) {
  constexpr std::string_view kHexDigits = "0123456789abcdef";
  std::string result = "\"";
  for (const char character : text) {
    const auto byte = static_cast<unsigned char>(character);
    switch (character) {
      case '"': result += "\\\""; break;
      case '\\': result += "\\\\"; break;
      case '\n': result += "\\n"; break;
      case '\t': result += "\\t"; break;
      case '\r': result += "\\r"; break;
      case '\a': result += "\\a"; break;
      case '\b': result += "\\b"; break;
      case '\f': result += "\\f"; break;
      case '\v': result += "\\v"; break;
      default:
        if (byte < 0x20 || byte == 0x7f) {
          result += "\\x";
          result += kHexDigits[byte >> 4];
          result += kHexDigits[byte & 15];
        } else {
          result += character;
        }
    }
  }
  return result + "\"";
}

/// Go's %q of a list: ["a" "b"].
std::string go_quoted(const std::vector<std::string>& words) {
  std::string result = "[";
  for (const std::string& word : words) {
    if (result.size() > 1) result += ' ';
    result += go_quoted(word);
  }
  return result + "]";
}

/// Go's %v of a list: [a b].
std::string go_list(const std::vector<std::string>& words) { return "[" + join(words, " ") + "]"; }

std::string pair_text(const KeyValue& pair) { return pair.key + (pair.has_equals ? "=" : " ") + pair.value; }

std::optional<std::pair<std::uint64_t, std::uint64_t>> parse_port_range(std::string_view text) {
  const std::size_t dash = text.find('-');
  const auto first = parse_uint(text.substr(0, dash));
  const auto last = dash == std::string_view::npos ? first : parse_uint(text.substr(dash + 1));
  if (!first || !last || *first > 65535 || *last > 65535 || *last < *first) return std::nullopt;
  return std::pair(*first, *last);
}

/// One word of EXPOSE: [[ip:]hostPort:]port[-port][/protocol]. The part before the port is checked and ignored.
std::vector<std::string> exposed_ports(const std::string& word) {
  const std::size_t colon = word.rfind(':');
  const std::string container = colon == std::string::npos ? word : word.substr(colon + 1);
  const std::size_t slash = container.find('/');
  const std::string port = container.substr(0, slash);
  std::string protocol = slash == std::string::npos ? "" : lower(container.substr(slash + 1));
  if (port.empty()) throw Error(ErrorKind::Invalid, "no port specified: " + container + "<empty>");
  if (protocol.empty()) protocol = "tcp";
  if (protocol != "tcp" && protocol != "udp" && protocol != "sctp")
    throw Error(ErrorKind::Invalid, "invalid proto: " + protocol);
  const auto range = parse_port_range(port);
  if (!range) throw Error(ErrorKind::Invalid, "invalid containerPort: " + port);
  if (colon != std::string::npos) {
    const std::string before = word.substr(0, colon);
    const std::string host = before.substr(before.rfind(':') + 1);
    if (!host.empty() && !parse_port_range(host)) throw Error(ErrorKind::Invalid, "invalid hostPort: " + host);
  }
  std::vector<std::string> result;
  for (std::uint64_t number = range->first; number <= range->second; ++number)
    result.push_back(std::to_string(number) + "/" + protocol);
  return result;
}

std::string go_healthcheck(const Healthcheck& check) {
  return "{Test:" + go_list(check.test) + " Interval:" + format_duration(check.interval) +
         " Timeout:" + format_duration(check.timeout) + " StartPeriod:" + format_duration(check.start_period) +
         " StartInterval:" + format_duration(check.start_interval) + " Retries:" + std::to_string(check.retries) + "}";
}

}  // namespace

ImageConfig empty_image_config(const Platform& platform) {
  ImageConfig config;
  config.platform = platform;
  config.defaults.working_dir = "/";
  return stage_config(std::move(config));
}

ImageConfig stage_config(ImageConfig base) {
  base.created.clear();
  if (!find_environment(base.defaults.env, "PATH"))
    base.defaults.env.push_back(kPathVariable);
  return base;
}

void add_history(ImageConfig& config, std::string created_by, HistoryLayer layer) {
  History entry;
  entry.created_by = std::move(created_by);
  entry.comment = kHistoryComment;
  entry.empty_layer = layer == HistoryLayer::None;
  config.history.push_back(std::move(entry));
}

std::vector<std::string> command_arguments(const ImageConfig& config, const CommandLine& command) {
  if (!command.shell_form) return command.words;
  std::vector<std::string> result =
      config.defaults.shell ? *config.defaults.shell : std::vector<std::string>{"/bin/sh", "-c"};
  result.push_back(join(command.words, " "));
  return result;
}

void fold_env(ImageConfig& config, const EnvInstruction& instruction) {
  std::string text = "ENV";
  for (const KeyValue& variable : instruction.variables) {
    text += ' ' + pair_text(variable);
    set_environment(config.defaults.env, variable.key, variable.value);
  }
  add_history(config, std::move(text), HistoryLayer::None);
}

void fold_label(ImageConfig& config, const LabelInstruction& instruction) {
  std::string text = "LABEL";
  for (const KeyValue& label : instruction.labels) {
    text += ' ' + pair_text(label);
    config.defaults.labels[label.key] = label.value;
  }
  add_history(config, std::move(text), HistoryLayer::None);
}

void fold_maintainer(ImageConfig& config, const MaintainerInstruction& instruction) {
  config.author = instruction.name;
  add_history(config, "MAINTAINER " + instruction.name, HistoryLayer::None);
}

void fold_cmd(ImageConfig& config, const CmdInstruction& instruction) {
  std::vector<std::string> arguments = command_arguments(config, instruction.command);
  add_history(config, "CMD " + go_quoted(arguments), HistoryLayer::None);
  config.defaults.cmd = std::move(arguments);
  config.defaults.args_escaped = true;
}

void fold_entrypoint(ImageConfig& config, const EntrypointInstruction& instruction, InheritedCmd cmd) {
  std::vector<std::string> arguments = command_arguments(config, instruction.command);
  add_history(config, "ENTRYPOINT " + go_quoted(arguments), HistoryLayer::None);
  config.defaults.entrypoint = std::move(arguments);
  if (cmd == InheritedCmd::Reset) config.defaults.cmd.reset();
}

void fold_healthcheck(ImageConfig& config, const HealthcheckInstruction& instruction) {
  Healthcheck check;
  if (instruction.none) {
    check.test = {"NONE"};
  } else {
    check.test.push_back(instruction.command.shell_form ? "CMD-SHELL" : "CMD");
    check.test.insert(check.test.end(), instruction.command.words.begin(), instruction.command.words.end());
  }
  check.interval = instruction.interval.value_or(std::chrono::nanoseconds{0});
  check.timeout = instruction.timeout.value_or(std::chrono::nanoseconds{0});
  check.start_period = instruction.start_period.value_or(std::chrono::nanoseconds{0});
  check.start_interval = instruction.start_interval.value_or(std::chrono::nanoseconds{0});
  check.retries = instruction.retries.value_or(0);
  add_history(config, "HEALTHCHECK " + go_healthcheck(check), HistoryLayer::None);
  config.defaults.healthcheck = std::move(check);
}

void fold_user(ImageConfig& config, const UserInstruction& instruction) {
  config.defaults.user = instruction.user;
  add_history(config, "USER " + instruction.user, HistoryLayer::None);
}

void fold_volume(ImageConfig& config, const VolumeInstruction& instruction) {
  for (const std::string& path : instruction.paths) {
    if (path.empty()) throw Error(ErrorKind::Invalid, "VOLUME specified can not be an empty string");
    config.defaults.volumes.insert(path);
  }
  add_history(config, "VOLUME " + go_list(instruction.paths), HistoryLayer::None);
}

void fold_stop_signal(ImageConfig& config, const StopSignalInstruction& instruction) {
  if (!parse_signal(instruction.signal)) throw Error(ErrorKind::Invalid, "Invalid signal: " + instruction.signal);
  config.defaults.stop_signal = instruction.signal;
  add_history(config, "STOPSIGNAL " + instruction.signal, HistoryLayer::None);
}

void fold_shell(ImageConfig& config, const ShellInstruction& instruction) {
  config.defaults.shell = instruction.words;
  add_history(config, "SHELL " + go_list(instruction.words), HistoryLayer::None);
}

void fold_expose(ImageConfig& config, const ExposeInstruction& instruction) {
  std::vector<std::string> ports;
  for (const std::string& word : instruction.ports)
    for (std::string& port : exposed_ports(word)) ports.push_back(std::move(port));
  config.defaults.exposed_ports.insert(ports.begin(), ports.end());
  add_history(config, "EXPOSE " + go_list(ports), HistoryLayer::None);
}

void fold_onbuild(ImageConfig& config, const OnbuildInstruction& instruction) {
  config.defaults.on_build.push_back(instruction.trigger);
}

std::string fold_workdir(ImageConfig& config, const WorkdirInstruction& instruction) {
  const std::string before = config.defaults.working_dir.empty() ? "/" : config.defaults.working_dir;
  const bool is_absolute = !instruction.path.empty() && instruction.path.front() == '/';
  const std::string path = clean_path(is_absolute ? instruction.path : "/" + before + "/" + instruction.path);
  config.defaults.working_dir = path;
  add_history(config, "WORKDIR " + path, path == "/" ? HistoryLayer::None : HistoryLayer::Added);
  return path;
}

std::string absolute_path(const std::string& working_directory, const std::string& path) {
  const std::string start = working_directory.empty() ? "/" : working_directory;
  const bool is_absolute = !path.empty() && path.front() == '/';
  std::string result = clean_path(is_absolute ? path : "/" + start + "/" + path);
  const bool wants_directory =
      path.empty() || path == "." || path.ends_with('/') || path.ends_with("/.");
  if (wants_directory && !result.ends_with('/')) result += '/';
  return result;
}

void set_environment(std::vector<std::string>& environment, const std::string& key, const std::string& value) {
  for (std::string& entry : environment) {
    if (std::string_view(entry).substr(0, entry.find('=')) == key) {
      entry = key + "=" + value;
      return;
    }
  }
  environment.push_back(key + "=" + value);
}

std::optional<std::string> find_environment(const std::vector<std::string>& environment, std::string_view key) {
  for (const std::string& entry : environment) {
    const std::size_t equals = entry.find('=');
    if (std::string_view(entry).substr(0, equals) == key)
      return equals == std::string::npos ? std::string() : entry.substr(equals + 1);
  }
  return std::nullopt;
}

namespace {

/// Times of entries that have none: the layers' own first, then those of entries without a layer.
void fill_layer_times(ImageConfig& config, const std::vector<Time>& times) {
  std::size_t layers = 0;
  for (const History& entry : config.history) layers += entry.empty_layer ? 0 : 1;
  std::size_t index = 0;
  for (History& entry : config.history) {
    if (entry.empty_layer) continue;
    const std::size_t from_end = layers - index++;
    if (entry.created.empty() && from_end <= times.size())
      entry.created = format_time(times[times.size() - from_end]);
  }
}

void fill_other_times(ImageConfig& config) {
  std::string created;
  bool seen_missing = false;
  for (const History& entry : config.history) {
    if (entry.created.empty()) {
      seen_missing = true;
      continue;
    }
    created = entry.created;
    if (seen_missing) break;
  }
  seen_missing = false;
  for (History& entry : config.history) {
    if (!entry.created.empty()) {
      if (seen_missing) created = entry.created;
      continue;
    }
    seen_missing = true;
    entry.created = created;
  }
}

}  // namespace

void finish_config(ImageConfig& config, const std::vector<Digest>& diff_ids, const std::vector<Time>& new_layer_times,
                   std::optional<std::int64_t> epoch) {
  config.diff_ids = diff_ids;
  if (epoch) {
    const std::string text = format_time(Time(std::chrono::seconds(*epoch)));
    for (History& entry : config.history)
      if (entry.created.empty() && entry.comment == kHistoryComment) entry.created = text;
    config.created = text;
  }
  fill_layer_times(config, new_layer_times);
  fill_other_times(config);
  if (config.created.empty() && !config.history.empty()) config.created = config.history.back().created;
}

}  // namespace ctr
