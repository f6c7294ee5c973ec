#include <cstdlib>

#include "base/error.h"
#include "base/text.h"
#include "builder/go_match.h"
#include "builder/image_config_fold.h"
#include "builder/lower_stage.h"
#include "builder/predefined_arguments.h"

namespace ctr {

namespace {

/// "|2 A=1 B=2 /bin/sh -c …": the build arguments that the step sees, then what it runs.
std::string history_text(const StageState& stage, const std::vector<std::string>& arguments) {
  std::vector<std::string> words;
  for (const BuildArgument& argument : stage.arguments) {
    const std::string value =
        find_environment(stage.environment, argument.name).value_or(argument.value.value_or(""));
    set_environment(words, argument.name, value);
  }
  if (!words.empty()) words.insert(words.begin(), "|" + std::to_string(words.size()));
  words.insert(words.end(), arguments.begin(), arguments.end());
  return "RUN " + join(words, " ") + " # buildkit";
}

/// The first line of a heredoc, as titles show it.
std::string heredoc_summary(const std::string& content) {
  const std::string trimmed(trim(content));
  const std::size_t end = trimmed.find('\n');
  return end == std::string::npos ? trimmed : trimmed.substr(0, end) + "...";
}

std::string mount_target(const StageState& stage, const std::string& target) {
  const std::string path = clean_path(
      target.starts_with('/') ? target : "/" + stage.config.defaults.working_dir + "/" + target);
  if (path == "/") throw Error(ErrorKind::Invalid, "invalid mount target \"/\"");
  return path;
}

class MountLowering {
 public:
  MountLowering(LowerContext& context, const Instruction& instruction, std::vector<VertexId>& inputs)
      : context_(context), instruction_(instruction), inputs_(inputs) {}

  ExecMount lower(const RunMount& mount) {
    switch (mount.type) {
      case MountType::Bind: return bind(mount);
      case MountType::Cache: return cache(mount);
      case MountType::Tmpfs:
        return TmpfsMount{mount_target(context_.stage, mount.target),
                          static_cast<std::uint64_t>(std::max<std::int64_t>(mount.size_bytes.value_or(0), 0))};
      case MountType::Secret: return secret(mount);
      case MountType::Ssh: return ssh(mount);
    }
    throw Error(ErrorKind::Invalid, "unknown mount type");
  }

 private:
  std::size_t add_input(VertexId vertex) {
    inputs_.push_back(vertex);
    return inputs_.size() - 1;
  }

  BindMount bind(const RunMount& mount) {
    BindMount result;
    result.input = add_input(mount.from.empty() ? context_.context() : context_.source_of(mount.from, instruction_));
    result.source = clean_path("/" + mount.source);
    result.target = mount_target(context_.stage, mount.target);
    result.writable = !mount.read_only;
    return result;
  }

  CacheMount cache(const RunMount& mount) {
    CacheMount result;
    result.target = mount_target(context_.stage, mount.target);
    const auto& arguments = context_.options.build_args;
    const auto space = arguments.find("BUILDKIT_CACHE_MOUNT_NS");
    const std::string id = clean_path(mount.id.empty() ? result.target : mount.id);
    result.id = (space == arguments.end() ? "" : space->second) + "/" + id;
    result.sharing = mount.sharing == CacheSharing::Locked    ? CacheMount::Sharing::Locked
                     : mount.sharing == CacheSharing::Private ? CacheMount::Sharing::Private
                                                              : CacheMount::Sharing::Shared;
    result.read_only = mount.read_only;
    if (!mount.from.empty()) result.input = add_input(context_.source_of(mount.from, instruction_));
    result.source = clean_path("/" + mount.source);
    result.mode = mount.mode.value_or(0755);
    result.uid = mount.uid.value_or(0);
    result.gid = mount.gid.value_or(0);
    return result;
  }

  SecretMount secret(const RunMount& mount) {
    SecretMount result;
    result.id = mount.id.empty() ? mount.target.substr(mount.target.rfind('/') + 1) : mount.id;
    result.variable = mount.env.value_or("");
    if (!mount.target.empty()) {
      result.target = mount_target(context_.stage, mount.target);
    } else if (!mount.env) {
      result.target = "/run/secrets/" + result.id.substr(result.id.rfind('/') + 1);
    }
    result.required = mount.required;
    result.mode = mount.mode.value_or(0400);
    result.uid = mount.uid.value_or(0);
    result.gid = mount.gid.value_or(0);
    return result;
  }

  SshMount ssh(const RunMount& mount) {
    SshMount result;
    result.id = mount.id.empty() ? "default" : mount.id;
    result.target = mount.target.empty() ? "/run/buildkit/ssh_agent." + std::to_string(ssh_count_)
                                         : mount_target(context_.stage, mount.target);
    ++ssh_count_;
    result.required = mount.required;
    result.mode = mount.mode.value_or(0600);
    result.uid = mount.uid.value_or(0);
    result.gid = mount.gid.value_or(0);
    return result;
  }

  LowerContext& context_;
  const Instruction& instruction_;
  std::vector<VertexId>& inputs_;
  int ssh_count_ = 0;
};

std::string network_of(const LowerContext& context, const RunInstruction& run) {
  switch (run.network) {
    case RunNetwork::None: return "none";
    case RunNetwork::Host:
      if (!context.options.entitlements.contains("network.host"))
        throw Error(ErrorKind::Denied, "granting entitlement network.host is not allowed by build options (--allow)");
      return "host";
    case RunNetwork::Default: break;
  }
  return context.options.network;
}

void check_security(const LowerContext& context, const RunInstruction& run) {
  if (run.security == RunSecurity::Insecure && !context.options.entitlements.contains("security.insecure"))
    throw Error(ErrorKind::Denied, "granting entitlement security.insecure is not allowed by build options (--allow)");
  if (!run.devices.empty())
    throw Error(ErrorKind::Unavailable, "RUN --device is not supported yet: CDI devices can't be given to a step");
}

}  // namespace

void lower_run(LowerContext& context, const Instruction& instruction, const RunInstruction& run) {
  check_security(context, run);
  StageState& stage = context.stage;
  const RunBody body = run_body(run);

  ExecOp op;
  op.arguments = command_arguments(stage.config, body.command);
  op.script = body.script;
  op.environment = stage.environment;
  op.directory = stage.config.defaults.working_dir.empty() ? "/" : stage.config.defaults.working_dir;
  op.user = stage.config.defaults.user;
  op.network = network_of(context, run);
  op.insecure = run.security == RunSecurity::Insecure;
  op.hostname = context.options.hostname;
  op.add_hosts = context.options.add_hosts;
  op.ulimits = context.options.ulimits;
  op.cgroup_parent = context.options.cgroup_parent;
  op.shm_size_bytes = context.options.shm_size_bytes;
  op.platform = normalised(stage.platform);
  op.epoch = context.options.epoch;

  std::vector<VertexId> inputs{stage.root};
  MountLowering mounts(context, instruction, inputs);
  for (const RunMount& mount : run.mounts) op.mounts.push_back(mounts.lower(mount));

  std::string title = title_text(context, instruction);
  if (!run.command.heredocs.empty())
    title += " (" + heredoc_summary(run.command.heredocs.front().content) + ")";
  VertexNote note = next_note(context, instruction, title);
  // Programs look for either spelling: a step sees both, whichever was given.
  for (const auto& [name, value] : context.options.build_args) {
    if (!is_proxy_argument(name)) continue;
    for (const std::string& spelling : {upper(name), lower(name)})
      if (spelling == name || !context.options.build_args.contains(spelling))
        note.proxies.push_back(spelling + "=" + value);
  }

  std::string history = history_text(stage, op.arguments);
  stage.root = context.graph.add({std::move(op), std::move(inputs)}, std::move(note));
  add_history(stage.config, std::move(history), HistoryLayer::Added);
}

}  // namespace ctr
