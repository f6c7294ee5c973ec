#include "builder/op.h"

namespace ctr {

namespace {

template <typename... Ts>
struct Overloaded : Ts... {
  using Ts::operator()...;
};
template <typename... Ts>
Overloaded(Ts...) -> Overloaded<Ts...>;

void set_text(Json& object, const char* key, const std::string& value) {
  if (!value.empty()) object[key] = value;
}
void set_flag(Json& object, const char* key, bool value) {
  if (value) object[key] = true;
}
void set_texts(Json& object, const char* key, const std::vector<std::string>& values) {
  if (!values.empty()) object[key] = Json(values);
}
void set_epoch(Json& object, const std::optional<std::int64_t>& epoch) {
  if (epoch) object["epoch"] = *epoch;
}
void set_owner(Json& object, std::uint32_t mode, std::uint32_t uid, std::uint32_t gid) {
  object["mode"] = mode;
  object["uid"] = uid;
  object["gid"] = gid;
}

Json mount_to_json(const BindMount& mount) {
  Json object = Json::object({{"type", "bind"}, {"target", mount.target}});
  object["input"] = static_cast<std::int64_t>(mount.input);
  set_text(object, "source", mount.source);
  set_flag(object, "writable", mount.writable);
  return object;
}

Json mount_to_json(const CacheMount& mount) {
  Json object = Json::object({{"type", "cache"}, {"target", mount.target}, {"id", mount.id}});
  object["sharing"] = static_cast<std::int64_t>(mount.sharing);
  if (mount.input) object["input"] = static_cast<std::int64_t>(*mount.input);
  set_text(object, "source", mount.source);
  set_flag(object, "read-only", mount.read_only);
  set_owner(object, mount.mode, mount.uid, mount.gid);
  return object;
}

Json mount_to_json(const TmpfsMount& mount) {
  Json object = Json::object({{"type", "tmpfs"}, {"target", mount.target}});
  if (mount.size_bytes != 0) object["size"] = mount.size_bytes;
  return object;
}

Json mount_to_json(const SecretMount& mount) {
  Json object = Json::object({{"type", "secret"}, {"id", mount.id}});
  set_text(object, "target", mount.target);
  set_text(object, "variable", mount.variable);
  set_flag(object, "required", mount.required);
  set_owner(object, mount.mode, mount.uid, mount.gid);
  return object;
}

Json mount_to_json(const SshMount& mount) {
  Json object = Json::object({{"type", "ssh"}, {"id", mount.id}, {"target", mount.target}});
  set_flag(object, "required", mount.required);
  set_owner(object, mount.mode, mount.uid, mount.gid);
  return object;
}

Json exec_to_json(const ExecOp& op) {
  Json object = Json::object({{"op", "exec"}});
  object["arguments"] = Json(op.arguments);
  object["environment"] = Json(op.environment);
  object["directory"] = op.directory;
  set_text(object, "user", op.user);
  object["network"] = op.network;
  set_text(object, "hostname", op.hostname);
  if (!op.mounts.empty()) {
    Json mounts = Json::array();
    for (const ExecMount& mount : op.mounts)
      mounts.push_back(std::visit([](const auto& each) { return mount_to_json(each); }, mount));
    object["mounts"] = std::move(mounts);
  }
  if (op.script) object["script"] = Json::object({{"name", op.script->first}, {"content", op.script->second}});
  set_texts(object, "add-hosts", op.add_hosts);
  set_flag(object, "insecure", op.insecure);
  object["platform"] = op.platform.str();
  set_epoch(object, op.epoch);
  return object;
}

Json copy_to_json(const CopyOp& op) {
  Json object = Json::object({{"op", "copy"}});
  Json sources = Json::array();
  for (const CopySource& source : op.sources) {
    Json each = Json::object({{"path", source.path}});
    each["input"] = static_cast<std::int64_t>(source.input);
    if (source.content) each["content"] = *source.content;
    set_flag(each, "unpack", source.unpack);
    set_flag(each, "whole-directory", !source.contents_only);
    sources.push_back(std::move(each));
  }
  object["sources"] = std::move(sources);
  object["destination"] = op.destination;
  set_text(object, "chown", op.chown);
  set_text(object, "chmod", op.chmod);
  set_texts(object, "exclude", op.exclude);
  set_flag(object, "link", op.link);
  set_flag(object, "parents", op.parents);
  set_flag(object, "keep-owner", op.keep_owner);
  set_epoch(object, op.epoch);
  return object;
}

Json image_to_json(const ImageOp& op) {
  Json layers = Json::array();
  for (const Digest& diff_id : op.diff_ids) layers.push_back(diff_id.str());
  Json object = Json::object({{"op", "image"}});
  object["layers"] = std::move(layers);
  return object;
}

Json git_to_json(const GitOp& op) {
  Json object = Json::object({{"op", "git"}, {"remote", op.remote}});
  set_text(object, "reference", op.reference);
  set_text(object, "subdirectory", op.subdirectory);
  set_text(object, "checksum", op.checksum);
  set_flag(object, "keep-git-dir", op.keep_git_dir);
  set_flag(object, "no-submodules", !op.submodules);
  set_flag(object, "commit-times", op.commit_times);
  return object;
}

}  // namespace

Json op_to_json(const Op& op) {
  return std::visit(
      Overloaded{
          [](const ScratchOp&) { return Json::object({{"op", "scratch"}}); },
          [](const ImageOp& image) { return image_to_json(image); },
          [](const ContextOp& context) { return Json::object({{"op", "context"}, {"name", context.name}}); },
          [](const HttpOp& http) {
            Json object = Json::object({{"op", "http"}, {"url", http.url}, {"file-name", http.file_name}});
            set_text(object, "checksum", http.checksum);
            return object;
          },
          [](const GitOp& git) { return git_to_json(git); },
          [](const ExecOp& exec) { return exec_to_json(exec); },
          [](const CopyOp& copy) { return copy_to_json(copy); },
          [](const MakeDirectoryOp& make) {
            Json object = Json::object({{"op", "mkdir"}, {"path", make.path}});
            set_text(object, "owner", make.owner);
            set_epoch(object, make.epoch);
            return object;
          },
      },
      op);
}

const char* op_kind(const Op& op) {
  constexpr const char* kNames[] = {"scratch", "image", "context", "http", "git", "exec", "copy", "mkdir"};
  static_assert(std::size(kNames) == std::variant_size_v<Op>);
  return kNames[op.index()];
}

bool is_local_tree(const Op& op) {
  return std::holds_alternative<ContextOp>(op) || std::holds_alternative<HttpOp>(op) ||
         std::holds_alternative<GitOp>(op);
}

}  // namespace ctr
