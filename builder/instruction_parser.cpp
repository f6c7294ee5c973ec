#include "builder/instruction_parser.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "base/text.h"
#include "builder/instruction_flags.h"
#include "builder/instruction_words.h"
#include "builder/word_expansion.h"

namespace ctr {

namespace {

// What the functions for the single instructions work on.
struct Parts {
  SplitInstruction split;
  std::string name;  // upper case, for messages
  std::vector<Heredoc> heredocs;
  char escape;
  const std::vector<std::string>& comments;

  [[noreturn]] void fail(const std::string& sentence) const { throw InstructionFault(sentence, {}); }
  [[noreturn]] void fail_at(const std::string& sentence, std::string_view place) const {
    throw InstructionFault(sentence, place);
  }
  void need_arguments() const {
    if (split.rest.empty()) fail(name + " requires at least one argument");
  }
  std::string one_argument() const {
    if (split.rest.empty()) fail(name + " requires exactly one argument");
    return std::string(split.rest);
  }
  void no_flags() const { InstructionFlags().apply(split.flags); }
};

constexpr const char* kOnlyStrings = "when using JSON array syntax, arrays must be comprised of strings only";

// The comment `# name what it is` describes `name`.
std::string description_for(const std::vector<std::string>& comments, const std::string& name) {
  for (const std::string& comment : comments) {
    if (!name.empty() && comment.starts_with(name + " ")) return std::string(trim(comment.substr(name.size())));
  }
  return {};
}

// ---- words and command lines ----

CommandLine command_line(Parts& parts, std::string_view text) {
  CommandLine command;
  JsonArray array = parse_json_array(text);
  if (array.kind == JsonArrayKind::NotOnlyStrings) parts.fail_at(kOnlyStrings, text);
  if (array.kind == JsonArrayKind::Strings) {
    command.words = std::move(array.elements);
    return command;
  }
  command.shell_form = true;
  if (!text.empty()) command.words.emplace_back(text);
  command.heredocs = std::move(parts.heredocs);
  return command;
}

std::vector<std::string> list_of_words(const Parts& parts) {
  JsonArray array = parse_json_array(parts.split.rest);
  if (array.kind == JsonArrayKind::NotOnlyStrings) parts.fail_at(kOnlyStrings, parts.split.rest);
  if (array.kind == JsonArrayKind::Strings) return std::move(array.elements);
  std::vector<std::string> words;
  for (const std::string_view word : split_blanks(parts.split.rest)) words.emplace_back(word);
  return words;
}

// `key=value …`, or the legacy `key value with blanks`.
std::vector<KeyValue> key_values(const Parts& parts) {
  parts.no_flags();
  const std::vector<std::string> words = split_quoted(parts.split.rest, parts.escape);
  if (words.empty()) parts.fail(parts.name + " requires at least one argument");
  std::vector<KeyValue> pairs;
  if (words.front().find('=') == std::string::npos) {
    const std::string_view rest = parts.split.rest;
    const std::string_view key = split_blanks(rest).front();
    const std::string_view value = trim(rest.substr(key.size()));
    if (value.empty()) parts.fail(parts.name + " must have two arguments");
    pairs.push_back({std::string(key), std::string(value), false});
    return pairs;
  }
  for (const std::string& word : words) {
    const std::size_t equals = word.find('=');
    if (equals == std::string::npos) {
      parts.fail("Syntax error - can't find = in \"" + word + "\". Must be of the form: name=value");
    }
    if (equals == 0) parts.fail(parts.name + " names can not be blank");
    pairs.push_back({word.substr(0, equals), word.substr(equals + 1), true});
  }
  return pairs;
}

// ---- one function for each instruction ----

InstructionBody parse_env(Parts& parts) {
  return EnvInstruction{key_values(parts)};
}

InstructionBody parse_label(Parts& parts) {
  return LabelInstruction{key_values(parts)};
}

InstructionBody parse_arg(Parts& parts) {
  parts.no_flags();
  const std::vector<std::string> words = split_quoted(parts.split.rest, parts.escape);
  if (words.empty()) parts.fail("ARG requires at least one argument");
  ArgInstruction arg;
  for (const std::string& word : words) {
    const std::size_t equals = word.find('=');
    ArgInstruction::Argument argument;
    argument.name = word.substr(0, equals);
    if (argument.name.empty()) parts.fail("ARG names can not be blank");
    if (equals != std::string::npos) argument.value = word.substr(equals + 1);
    argument.description = description_for(parts.comments, argument.name);
    arg.arguments.push_back(std::move(argument));
  }
  return arg;
}

InstructionBody parse_maintainer(Parts& parts) {
  parts.no_flags();
  return MaintainerInstruction{parts.one_argument()};
}

RunNetwork network_of(const Parts& parts, const std::string& value) {
  if (value.empty() || value == "default") return RunNetwork::Default;
  if (value == "none") return RunNetwork::None;
  if (value == "host") return RunNetwork::Host;
  parts.fail("unsupported network mode \"" + value + "\"" + did_you_mean(value, {"default", "none", "host"}));
}

RunSecurity security_of(const Parts& parts, const std::string& value) {
  if (value.empty() || value == "sandbox") return RunSecurity::Sandbox;
  if (value == "insecure") return RunSecurity::Insecure;
  parts.fail("security mode \"" + value + "\" is not valid" + did_you_mean(value, {"sandbox", "insecure"}));
}

// `vendor.com/class=name[,required[=bool]]`, or `name=…` spelt out.
RunDevice device_of(const Parts& parts, const std::string& value) {
  RunDevice device;
  for (const std::string& field : split(value, ',')) {
    const std::size_t equals = field.find('=');
    const std::string key = lower(field.substr(0, equals));
    if (key == "required") {
      const std::optional<bool> required = equals == std::string::npos ? true : parse_bool(field.substr(equals + 1));
      if (!required) parts.fail("invalid value for required: " + field.substr(equals + 1));
      device.required = *required;
    } else if (!device.name.empty()) {
      parts.fail("unexpected key '" + key + "' in '" + field + "'" + did_you_mean(key, {"name", "required"}));
    } else {
      device.name = key == "name" && equals != std::string::npos ? field.substr(equals + 1) : field;
    }
  }
  if (device.name.empty()) parts.fail("--device needs a name");
  return device;
}

// Mounts are parsed for good once variables are known; whatever can be wrong without them is found here.
void check_mount(const Parts& parts, const std::string& value) {
  const auto place = std::find_if(parts.split.flags.begin(), parts.split.flags.end(), [&](const InstructionFlag& flag) {
    return flag.name == "mount" && flag.value == value;
  });
  try {
    if (value.find('$') == std::string::npos) {
      const ExpandOptions options{parts.escape, QuoteHandling::Remove, EscapeHandling::Remove, UnsetVariables::Empty};
      parse_run_mount(value, [&](std::string_view word) { return expand_word(word, nullptr, options).text; });
    } else {
      check_run_mount_from(value);
    }
  } catch (const Error& error) {
    parts.fail_at(error.what(), place == parts.split.flags.end() ? std::string_view() : place->place);
  }
}

InstructionBody parse_run(Parts& parts) {
  RunInstruction run;
  std::string network;
  std::string security;
  std::vector<std::string> devices;
  InstructionFlags()
      .texts("mount", run.mount_flags)
      .text("network", network)
      .text("security", security)
      .texts("device", devices)
      .apply(parts.split.flags);
  run.network = network_of(parts, network);
  run.security = security_of(parts, security);
  for (const std::string& device : devices) run.devices.push_back(device_of(parts, device));
  for (const std::string& mount : run.mount_flags) check_mount(parts, mount);
  if (parts.split.rest.empty()) parts.fail("RUN requires at least one argument");
  run.command = command_line(parts, parts.split.rest);
  return run;
}

// Web pages turn "--from" into "–from", which then looks like a file.
void refuse_long_dashes(const Parts& parts) {
  for (const std::string_view dash : {"\u2013", "\u2014"}) {
    const std::string_view rest = parts.split.rest;
    const std::string_view word = rest.substr(0, rest.find_first_of(" \t"));
    if (!word.starts_with(dash) || word.find('=') == std::string_view::npos) continue;
    parts.fail_at("\"" + std::string(word) + "\" begins with a long dash (did you mean --" +
                      std::string(word.substr(dash.size())) + "?)",
                  word);
  }
}

void take_sources(Parts& parts, FileTransfer& files) {
  refuse_long_dashes(parts);
  const std::vector<std::string> words = list_of_words(parts);
  if (words.size() < 2) {
    parts.fail(parts.name +
               " requires at least two arguments, but only one was provided. Destination could not be determined");
  }
  files.destination = words.back();
  if (!parts.heredocs.empty() && parse_heredoc_word(files.destination)) {
    parts.fail_at(parts.name + " cannot accept a heredoc as a destination", parts.split.rest);
  }
  for (auto word = words.begin(); word != std::prev(words.end()); ++word) {
    const std::optional<Heredoc> announced = parse_heredoc_word(*word);
    const auto heredoc = std::find_if(parts.heredocs.begin(), parts.heredocs.end(), [&](const Heredoc& candidate) {
      return announced && candidate.name == announced->name;
    });
    if (heredoc == parts.heredocs.end()) {
      files.sources.push_back(*word);
    } else {
      files.contents.push_back(std::move(*heredoc));
      parts.heredocs.erase(heredoc);
    }
  }
}

InstructionBody parse_copy(Parts& parts) {
  CopyInstruction copy;
  InstructionFlags()
      .text("chown", copy.files.chown)
      .text("from", copy.from)
      .text("chmod", copy.files.chmod)
      .boolean("link", copy.files.link)
      .boolean("parents", copy.parents)
      .texts("exclude", copy.files.exclude)
      .apply(parts.split.flags);
  if (copy.from.find('$') != std::string::npos) {
    parts.fail(
        "variable expansion is not supported for --from, define a new stage with FROM using ARG from global scope "
        "as a workaround");
  }
  take_sources(parts, copy.files);
  return copy;
}

InstructionBody parse_add(Parts& parts) {
  AddInstruction add;
  InstructionFlags()
      .text("chown", add.files.chown)
      .text("chmod", add.files.chmod)
      .boolean("link", add.files.link)
      .boolean("keep-git-dir", add.keep_git_dir)
      .text("checksum", add.checksum)
      .texts("exclude", add.files.exclude)
      .boolean("unpack", add.unpack)
      .apply(parts.split.flags);
  take_sources(parts, add.files);
  return add;
}

InstructionBody parse_cmd(Parts& parts) {
  parts.no_flags();
  return CmdInstruction{command_line(parts, parts.split.rest)};
}

InstructionBody parse_entrypoint(Parts& parts) {
  parts.no_flags();
  return EntrypointInstruction{command_line(parts, parts.split.rest)};
}

InstructionBody parse_workdir(Parts& parts) {
  std::string path = parts.one_argument();
  parts.no_flags();
  return WorkdirInstruction{std::move(path)};
}

InstructionBody parse_user(Parts& parts) {
  std::string user = parts.one_argument();
  parts.no_flags();
  return UserInstruction{std::move(user)};
}

InstructionBody parse_expose(Parts& parts) {
  parts.need_arguments();
  parts.no_flags();
  ExposeInstruction expose;
  for (const std::string_view port : split_blanks(parts.split.rest)) expose.ports.emplace_back(port);
  std::sort(expose.ports.begin(), expose.ports.end());  // as BuildKit writes them into the history
  return expose;
}

InstructionBody parse_volume(Parts& parts) {
  parts.no_flags();
  VolumeInstruction volume;
  for (const std::string& word : list_of_words(parts)) {
    volume.paths.emplace_back(trim(word));
    if (volume.paths.back().empty()) parts.fail("VOLUME specified can not be an empty string");
  }
  if (volume.paths.empty()) parts.fail("VOLUME requires at least one argument");
  return volume;
}

InstructionBody parse_stop_signal(Parts& parts) {
  parts.no_flags();
  return StopSignalInstruction{parts.one_argument()};
}

InstructionBody parse_shell(Parts& parts) {
  parts.no_flags();
  JsonArray array = parse_json_array(parts.split.rest);
  if (array.kind == JsonArrayKind::NotOnlyStrings) parts.fail_at(kOnlyStrings, parts.split.rest);
  if (parts.split.rest.empty() || (array.kind == JsonArrayKind::Strings && array.elements.empty())) {
    parts.fail("SHELL requires at least one argument");
  }
  if (array.kind != JsonArrayKind::Strings) {
    parts.fail_at("SHELL requires the arguments to be in JSON form", parts.split.rest);
  }
  return ShellInstruction{std::move(array.elements)};
}

// Zero and an absent flag are the same: the default applies.
std::optional<std::chrono::nanoseconds> interval_of(const Parts& parts, const std::string& name,
                                                    const std::string& value) {
  if (value.empty()) return std::nullopt;
  const std::optional<std::chrono::nanoseconds> duration = parse_duration(value);
  if (!duration) {
    parts.fail("--" + name + ": time: invalid duration \"" + value +
               "\" (expected a number with a unit, such as 30s or 1m30s)");
  }
  if (*duration == std::chrono::nanoseconds(0)) return std::nullopt;
  if (*duration < std::chrono::milliseconds(1)) parts.fail("Interval \"" + name + "\" cannot be less than 1ms");
  return duration;
}

InstructionBody parse_healthcheck(Parts& parts) {
  parts.need_arguments();
  HealthcheckInstruction health;
  const std::string_view kind = split_blanks(parts.split.rest).front();
  const std::string_view rest = trim(parts.split.rest.substr(kind.size()));
  if (upper(kind) == "NONE") {
    if (!rest.empty()) parts.fail_at("HEALTHCHECK NONE takes no arguments", rest);
    health.none = true;
    return health;
  }
  std::string interval, timeout, start_period, start_interval, retries;
  InstructionFlags()
      .text("interval", interval)
      .text("timeout", timeout)
      .text("start-period", start_period)
      .text("start-interval", start_interval)
      .text("retries", retries)
      .apply(parts.split.flags);
  if (upper(kind) != "CMD") parts.fail_at("Unknown type \"" + upper(kind) + "\" in HEALTHCHECK (try CMD)", kind);
  health.command = command_line(parts, rest);
  if (health.command.words.empty()) parts.fail("Missing command after HEALTHCHECK CMD");
  health.interval = interval_of(parts, "interval", interval);
  health.timeout = interval_of(parts, "timeout", timeout);
  health.start_period = interval_of(parts, "start-period", start_period);
  health.start_interval = interval_of(parts, "start-interval", start_interval);
  if (!retries.empty()) {
    const std::optional<std::int64_t> count = parse_int(retries);
    if (!count || *count > INT32_MAX) parts.fail("--retries: \"" + retries + "\" is not a number");
    if (*count < 0) parts.fail("--retries cannot be negative (" + retries + ")");
    if (*count > 0) health.retries = static_cast<int>(*count);
  }
  return health;
}

InstructionBody parse_onbuild(Parts& parts);

struct Keyword {
  std::string_view name;
  InstructionBody (*parse)(Parts&);
};
constexpr Keyword kKeywords[] = {
    {"ADD", parse_add},
    {"ARG", parse_arg},
    {"CMD", parse_cmd},
    {"COPY", parse_copy},
    {"ENTRYPOINT", parse_entrypoint},
    {"ENV", parse_env},
    {"EXPOSE", parse_expose},
    {"HEALTHCHECK", parse_healthcheck},
    {"LABEL", parse_label},
    {"MAINTAINER", parse_maintainer},
    {"ONBUILD", parse_onbuild},
    {"RUN", parse_run},
    {"SHELL", parse_shell},
    {"STOPSIGNAL", parse_stop_signal},
    {"USER", parse_user},
    {"VOLUME", parse_volume},
    {"WORKDIR", parse_workdir},
};

InstructionBody parse_body(Parts& parts) {
  const auto* keyword = std::find_if(std::begin(kKeywords), std::end(kKeywords),
                                     [&](const Keyword& candidate) { return candidate.name == parts.name; });
  if (keyword != std::end(kKeywords)) return keyword->parse(parts);
  std::vector<std::string> names{"FROM"};
  for (const Keyword& candidate : kKeywords) names.emplace_back(candidate.name);
  const std::string written(parts.split.keyword.substr(0, 60));
  parts.fail_at("unknown instruction: " + written + did_you_mean(parts.name, names), parts.split.keyword);
}

InstructionBody parse_onbuild(Parts& parts) {
  parts.need_arguments();
  parts.no_flags();
  Parts inner{split_instruction(parts.split.rest), {}, parts.heredocs, parts.escape, parts.comments};
  inner.name = upper(inner.split.keyword);
  if (inner.name == "ONBUILD") {
    parts.fail_at("Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed", inner.split.keyword);
  }
  if (inner.name == "FROM" || inner.name == "MAINTAINER") {
    parts.fail_at(inner.name + " isn't allowed as an ONBUILD trigger", inner.split.keyword);
  }
  parse_body(inner);  // a trigger that can't work is refused where it is written, not in some child's build
  OnbuildInstruction onbuild{std::string(parts.split.rest)};
  for (const Heredoc& heredoc : parts.heredocs) onbuild.trigger += "\n" + heredoc.content + heredoc.name;
  return onbuild;
}

bool is_stage_name(std::string_view name) {
  const auto is_letter = [](char c) { return c >= 'a' && c <= 'z'; };
  const auto may_follow = [&](char c) {
    return is_letter(c) || (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.';
  };
  return !name.empty() && is_letter(name.front()) && std::all_of(name.begin(), name.end(), may_follow);
}

Stage parse_from(const Parts& parts) {
  Stage stage;
  stage.keyword = parts.split.keyword;
  const std::vector<std::string_view> words = split_blanks(parts.split.rest);
  if (words.size() != 1 && !(words.size() == 3 && upper(words[1]) == "AS")) {
    parts.fail_at("FROM requires either one or three arguments", parts.split.rest);
  }
  stage.base = words.front();
  if (words.size() == 3) {
    stage.as_keyword = words[1];
    stage.name_as_written = words[2];
    stage.name = lower(words[2]);
    if (!is_stage_name(stage.name)) {
      parts.fail_at("invalid name for build stage: \"" + stage.name_as_written +
                        "\", name can't start with a number or contain symbols",
                    words[2]);
    }
  }
  InstructionFlags().text("platform", stage.platform).apply(parts.split.flags);
  stage.description = description_for(parts.comments, stage.name);
  return stage;
}

SourceRange range_of(const LogicalLine& line) {
  return {line.position(0), {line.last_line, line.last_column}};
}

}  // namespace

std::vector<Heredoc> heredocs_of(const LogicalLine& line) {
  if (line.text.find("<<") == std::string::npos) return {};
  SplitInstruction split = split_instruction(line.text);
  if (upper(split.keyword) == "ONBUILD") split = split_instruction(split.rest);
  const std::string name = upper(split.keyword);
  if (name != "RUN" && name != "COPY" && name != "ADD") return {};
  if (parse_json_array(split.rest).kind != JsonArrayKind::None) return {};
  return find_heredocs(line.text);
}

std::variant<Stage, Instruction> parse_instruction(const LogicalLine& line, char escape,
                                                   std::vector<Heredoc> heredocs) {
  Parts parts{split_instruction(line.text), {}, std::move(heredocs), escape, line.comments};
  parts.name = upper(parts.split.keyword);
  const std::string text(trim(line.text));
  if (parts.name == "FROM") {
    Stage stage = parse_from(parts);
    stage.text = text;
    stage.range = range_of(line);
    stage.comments = line.comments;
    return stage;
  }
  Instruction instruction;
  instruction.keyword = parts.split.keyword;
  instruction.text = text;
  instruction.range = range_of(line);
  instruction.comments = line.comments;
  instruction.body = parse_body(parts);
  return instruction;
}

}  // namespace ctr
