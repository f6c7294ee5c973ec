#include "tests/support/builder_instruction_json.h"

#include <utility>

namespace ctr {

namespace {

// Adds a member unless it is at its default.
void put(Json& json, std::string_view key, const std::string& value) {
  if (!value.empty()) json[key] = value;
}
void put(Json& json, std::string_view key, const std::vector<std::string>& values) {
  if (!values.empty()) json[key] = Json(values);
}
void put_flag(Json& json, std::string_view key, std::optional<bool> value) {
  if (value) json[key] = *value;
}

std::string text_of(const SourceRange& range) {
  const auto place = [](const SourcePosition& position) {
    return std::to_string(position.line) + ":" + std::to_string(position.column);
  };
  return place(range.start) + "-" + place(range.end);
}

Json to_json(const std::vector<Heredoc>& heredocs) {
  Json all = Json::array();
  for (const Heredoc& heredoc : heredocs) {
    Json one = Json::object();
    one["name"] = heredoc.name;
    one["content"] = heredoc.content;
    put_flag(one, "expand", heredoc.expand ? std::nullopt : std::optional(false));
    put_flag(one, "strip_tabs", heredoc.strip_tabs ? std::optional(true) : std::nullopt);
    if (heredoc.file_descriptor != 0) one["fd"] = static_cast<std::int64_t>(heredoc.file_descriptor);
    all.push_back(std::move(one));
  }
  return all;
}

void put_command(Json& json, const CommandLine& command) {
  json[command.shell_form ? "shell" : "exec"] = Json(command.words);
  if (!command.heredocs.empty()) json["heredocs"] = to_json(command.heredocs);
}

Json to_json(const std::vector<KeyValue>& pairs) {
  Json all = Json::array();
  for (const KeyValue& pair : pairs) {
    all.push_back(Json(std::vector<std::string>{pair.key, pair.has_equals ? "=" : " ", pair.value}));
  }
  return all;
}

void put_files(Json& json, const FileTransfer& files) {
  put(json, "sources", files.sources);
  if (!files.contents.empty()) json["contents"] = to_json(files.contents);
  put(json, "destination", files.destination);
  put(json, "chown", files.chown);
  put(json, "chmod", files.chmod);
  put(json, "exclude", files.exclude);
  if (files.link) json["link"] = true;
}

void put_duration(Json& json, std::string_view key, std::optional<std::chrono::nanoseconds> value) {
  if (value) json[key] = static_cast<std::int64_t>(value->count());
}

struct BodyWriter {
  Json& json;

  void operator()(const ArgInstruction& arg) const {
    Json all = Json::array();
    for (const auto& argument : arg.arguments) {
      Json one = Json::object();
      one["name"] = argument.name;
      if (argument.value) one["value"] = *argument.value;
      put(one, "description", argument.description);
      all.push_back(std::move(one));
    }
    json["arguments"] = std::move(all);
  }
  void operator()(const EnvInstruction& env) const { json["variables"] = to_json(env.variables); }
  void operator()(const LabelInstruction& label) const { json["labels"] = to_json(label.labels); }
  void operator()(const MaintainerInstruction& maintainer) const { json["name"] = maintainer.name; }
  void operator()(const RunInstruction& run) const {
    put(json, "mounts", run.mount_flags);
    if (run.network != RunNetwork::Default) json["network"] = run.network == RunNetwork::None ? "none" : "host";
    if (run.security == RunSecurity::Insecure) json["security"] = "insecure";
    for (const RunDevice& device : run.devices)
      json["devices"].push_back(device.name + (device.required ? ",required" : ""));
    put_command(json, run.command);
    const RunBody body = run_body(run);
    if (!run.command.heredocs.empty()) json["runs"] = Json(body.command.words);
    if (body.script) json["script"] = body.script->second;
  }
  void operator()(const CopyInstruction& copy) const {
    put(json, "from", copy.from);
    if (copy.parents) json["parents"] = true;
    put_files(json, copy.files);
  }
  void operator()(const AddInstruction& add) const {
    put_flag(json, "keep_git_dir", add.keep_git_dir);
    put(json, "checksum", add.checksum);
    put_flag(json, "unpack", add.unpack);
    put_files(json, add.files);
  }
  void operator()(const CmdInstruction& cmd) const { put_command(json, cmd.command); }
  void operator()(const EntrypointInstruction& entrypoint) const { put_command(json, entrypoint.command); }
  void operator()(const WorkdirInstruction& workdir) const { json["path"] = workdir.path; }
  void operator()(const UserInstruction& user) const { json["user"] = user.user; }
  void operator()(const ExposeInstruction& expose) const { json["ports"] = Json(expose.ports); }
  void operator()(const VolumeInstruction& volume) const { json["paths"] = Json(volume.paths); }
  void operator()(const StopSignalInstruction& signal) const { json["signal"] = signal.signal; }
  void operator()(const ShellInstruction& shell) const { json["words"] = Json(shell.words); }
  void operator()(const OnbuildInstruction& onbuild) const { json["trigger"] = onbuild.trigger; }
  void operator()(const HealthcheckInstruction& health) const {
    if (health.none) {
      json["none"] = true;
      return;
    }
    put_command(json, health.command);
    put_duration(json, "interval", health.interval);
    put_duration(json, "timeout", health.timeout);
    put_duration(json, "start_period", health.start_period);
    put_duration(json, "start_interval", health.start_interval);
    if (health.retries) json["retries"] = *health.retries;
  }
};

Json to_json(const Instruction& instruction) {
  Json json = Json::object();
  json["is"] = instruction.keyword;
  json["at"] = text_of(instruction.range);
  std::visit(BodyWriter{json}, instruction.body);
  return json;
}

Json to_json(const std::vector<Instruction>& instructions) {
  Json all = Json::array();
  for (const Instruction& instruction : instructions) all.push_back(to_json(instruction));
  return all;
}

Json to_json(const Stage& stage) {
  Json json = Json::object();
  json["from"] = stage.base;
  json["at"] = text_of(stage.range);
  put(json, "name", stage.name);
  put(json, "platform", stage.platform);
  put(json, "description", stage.description);
  json["instructions"] = to_json(stage.instructions);
  return json;
}

}  // namespace

Json to_json(const Dockerfile& dockerfile) {
  Json json = Json::object();
  const auto directive = [&](std::string_view name, const std::optional<DirectiveValue>& value) {
    if (value) json[name] = value->value;
  };
  directive("syntax", dockerfile.directives.syntax);
  directive("escape", dockerfile.directives.escape);
  directive("check", dockerfile.directives.check);
  if (!dockerfile.global_arguments.empty()) json["arguments"] = to_json(dockerfile.global_arguments);
  Json stages = Json::array();
  for (const Stage& stage : dockerfile.stages) stages.push_back(to_json(stage));
  json["stages"] = std::move(stages);
  return json;
}

}  // namespace ctr
