#include "base/error.h"
#include "base/text.h"
#include "builder/context_spec.h"
#include "builder/file_mode.h"
#include "builder/go_match.h"
#include "builder/image_config_fold.h"
#include "builder/lower_stage.h"

namespace ctr {

namespace {

std::string history_text(const char* keyword, const FileTransfer& files, const std::string& flags) {
  std::string text = keyword + flags;
  if (!files.chown.empty()) text += " --chown=" + files.chown;
  if (!files.chmod.empty()) text += " --chmod=" + files.chmod;
  for (const std::string& source : files.sources) text += ' ' + source;
  for (const Heredoc& content : files.contents) text += " <<" + content.name;
  return text + ' ' + files.destination + " # buildkit";
}

/// The operation without its sources.
CopyOp copy_op(const LowerContext& context, const FileTransfer& files) {
  CopyOp op;
  op.destination = absolute_path(context.stage.config.defaults.working_dir, files.destination);
  op.chown = files.chown;
  op.chmod = files.chmod;
  if (!files.chmod.empty()) FileMode::parse(files.chmod);
  op.exclude = files.exclude;
  op.link = files.link;
  op.epoch = context.options.epoch;
  const std::size_t count = files.sources.size() + files.contents.size();
  if (count > 1 && !op.destination.ends_with('/'))
    throw Error(ErrorKind::Invalid, "When using COPY with more than one source file, the destination must be a "
                                    "directory and end with a /");
  return op;
}

void add_contents(CopyOp& op, const FileTransfer& files) {
  for (const Heredoc& content : files.contents) {
    CopySource source;
    source.input = 0;
    source.path = content.name;
    source.content = content.strip_tabs ? content.stripped_content() : content.content;
    op.sources.push_back(std::move(source));
  }
}

void add_step(LowerContext& context, const Instruction& instruction, CopyOp op, std::vector<VertexId> inputs,
              std::string history) {
  VertexNote note = next_note(context, instruction, title_text(context, instruction));
  context.stage.root = context.graph.add({std::move(op), std::move(inputs)}, std::move(note));
  add_history(context.stage.config, std::move(history), HistoryLayer::Added);
}

/// The last component of a URL's path, as ADD names the file.
std::string url_file_name(const std::string& url) {
  std::string path = url.substr(0, url.find_first_of("?#"));
  const std::size_t scheme = path.find("://");
  if (scheme != std::string::npos) path = path.substr(scheme + 3);
  const std::size_t slash = path.find('/');
  path = slash == std::string::npos ? "" : path.substr(slash);
  const std::string name = path.substr(path.rfind('/') + 1);
  return name.empty() ? "__unnamed__" : name;
}

/// Inputs of ADD: one vertex for each remote source, and the context once.
class AddSources {
 public:
  AddSources(LowerContext& context, const Instruction& instruction, const AddInstruction& add)
      : context_(context), instruction_(instruction), add_(add), inputs_{context.stage.root} {}

  CopySource source(const std::string& text) {
    if (const auto git = parse_git_source(text)) return git_source(*git, text);
    if (is_http_source(text)) return http_source(text);
    if (!context_input_) {
      inputs_.push_back(context_.context());
      context_input_ = inputs_.size() - 1;
    }
    CopySource result;
    result.input = *context_input_;
    result.path = clean_path("/" + text);
    result.unpack = add_.unpack.value_or(true);
    return result;
  }

  std::vector<VertexId> take_inputs() && { return std::move(inputs_); }

 private:
  CopySource git_source(const GitSource& git, const std::string& text) {
    GitOp op;
    op.remote = git.remote;
    op.reference = git.reference;
    op.subdirectory = git.subdirectory;
    op.checksum = git.checksum.empty() ? add_.checksum : git.checksum;
    if (!add_.checksum.empty() && !git.checksum.empty() && add_.checksum != git.checksum)
      throw Error(ErrorKind::Invalid, "checksum mismatch \"" + add_.checksum + "\" != \"" + git.checksum + "\"");
    op.keep_git_dir = add_.keep_git_dir.value_or(git.keep_git_dir);
    op.submodules = git.submodules;
    op.commit_times = git.commit_times;
    return remote_source(std::move(op), "/", text, false);
  }

  CopySource http_source(const std::string& text) {
    HttpOp op;
    op.url = text;
    op.file_name = url_file_name(text);
    op.checksum = add_.checksum;
    const std::string name = op.file_name;
    return remote_source(std::move(op), "/" + name, text, add_.unpack.value_or(false));
  }

  CopySource remote_source(Op op, const std::string& path, const std::string& text, bool unpack) {
    VertexNote note;
    note.title = text;
    note.where = instruction_.range;
    note.ignore_cache = context_.stage.ignore_cache;
    inputs_.push_back(context_.graph.add({std::move(op), {}}, std::move(note)));
    CopySource result;
    result.input = inputs_.size() - 1;
    result.path = path;
    result.unpack = unpack;
    return result;
  }

  LowerContext& context_;
  const Instruction& instruction_;
  const AddInstruction& add_;
  std::vector<VertexId> inputs_;
  std::optional<std::size_t> context_input_;
};

void check_checksum(const AddInstruction& add) {
  if (add.checksum.empty()) return;
  if (add.files.sources.size() != 1)
    throw Error(ErrorKind::Invalid, "checksum can't be specified for multiple sources");
  const std::string& source = add.files.sources.front();
  if (!is_http_source(source) && !parse_git_source(source))
    throw Error(ErrorKind::Invalid, "checksum requires HTTP(S) or Git sources");
}

}  // namespace

void lower_copy(LowerContext& context, const Instruction& instruction, const CopyInstruction& copy) {
  for (const std::string& source : copy.files.sources) {
    if (is_http_source(source)) throw Error(ErrorKind::Invalid, "source can't be a URL for COPY");
    if (parse_git_source(source)) throw Error(ErrorKind::Invalid, "source can't be a git ref for COPY");
  }
  CopyOp op = copy_op(context, copy.files);
  op.parents = copy.parents;
  op.keep_owner = !copy.from.empty();
  std::vector<VertexId> inputs{context.stage.root};
  if (!copy.files.sources.empty())
    inputs.push_back(copy.from.empty() ? context.context() : context.source_of(copy.from, instruction));
  for (const std::string& text : copy.files.sources) {
    CopySource source;
    source.path = copy.parents ? text : clean_path("/" + text);
    op.sources.push_back(std::move(source));
  }
  add_contents(op, copy.files);
  add_step(context, instruction, std::move(op), std::move(inputs),
           history_text("COPY", copy.files, copy.parents ? " --parents" : ""));
}

void lower_add(LowerContext& context, const Instruction& instruction, const AddInstruction& add) {
  check_checksum(add);
  CopyOp op = copy_op(context, add.files);
  AddSources sources(context, instruction, add);
  for (const std::string& text : add.files.sources) op.sources.push_back(sources.source(text));
  add_contents(op, add.files);
  add_step(context, instruction, std::move(op), std::move(sources).take_inputs(), history_text("ADD", add.files, ""));
}

void lower_workdir(LowerContext& context, const Instruction& instruction, const WorkdirInstruction& workdir) {
  StageState& stage = context.stage;
  const std::string path = fold_workdir(stage.config, workdir);
  if (path == "/") return;
  MakeDirectoryOp op;
  op.path = path;
  op.owner = stage.config.defaults.user;
  op.epoch = context.options.epoch;
  VertexNote note = next_note(context, instruction, title_text(context, instruction));
  const VertexId base = stage.root;
  stage.root = context.graph.add({std::move(op), {base}}, std::move(note));
}

}  // namespace ctr
