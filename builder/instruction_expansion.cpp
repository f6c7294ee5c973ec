#include <type_traits>
#include <utility>

#include "builder/instruction_words.h"
#include "builder/instructions.h"

namespace ctr {

namespace {

using Expand = std::function<std::string(std::string_view)>;

void expand_in_place(std::string& word, const Expand& expand) {
  if (!word.empty()) word = expand(word);
}

void expand_in_place(std::vector<std::string>& words, const Expand& expand) {
  for (std::string& word : words) expand_in_place(word, expand);
}

void expand_pairs(std::vector<KeyValue>& pairs, const Expand& expand) {
  for (KeyValue& pair : pairs) {
    expand_in_place(pair.key, expand);
    expand_in_place(pair.value, expand);
  }
}

void expand_files(FileTransfer& files, const Expansions& expansions) {
  expand_in_place(files.chown, expansions.word);
  expand_in_place(files.chmod, expansions.word);
  expand_in_place(files.exclude, expansions.word);
  expand_in_place(files.destination, expansions.word);
  expand_in_place(files.sources, expansions.word);
  for (Heredoc& heredoc : files.contents) {
    if (!heredoc.expand) continue;
    heredoc.content = expansions.raw(heredoc.stripped_content());
    heredoc.strip_tabs = false;
    heredoc.expand = false;
  }
}

// One overload an instruction that expands something; the others stay as they are.
struct ExpandBody {
  const Expansions& expansions;

  template <typename Other>
  void operator()(Other&) const {
    static_assert(!std::is_const_v<Other>);
  }
  void operator()(ArgInstruction& arg) const {
    for (ArgInstruction::Argument& argument : arg.arguments) {
      expand_in_place(argument.name, expansions.word);
      if (argument.value) expand_in_place(*argument.value, expansions.word);
    }
  }
  void operator()(EnvInstruction& env) const { expand_pairs(env.variables, expansions.word); }
  void operator()(LabelInstruction& label) const { expand_pairs(label.labels, expansions.word); }
  void operator()(RunInstruction& run) const {
    run.mounts.clear();
    for (const std::string& mount : run.mount_flags) run.mounts.push_back(parse_run_mount(mount, expansions.word));
  }
  void operator()(CopyInstruction& copy) const { expand_files(copy.files, expansions); }
  void operator()(AddInstruction& add) const {
    expand_in_place(add.checksum, expansions.word);
    expand_files(add.files, expansions);
  }
  void operator()(WorkdirInstruction& workdir) const { expand_in_place(workdir.path, expansions.word); }
  void operator()(UserInstruction& user) const { expand_in_place(user.user, expansions.word); }
  void operator()(VolumeInstruction& volume) const { expand_in_place(volume.paths, expansions.word); }
  void operator()(StopSignalInstruction& signal) const { expand_in_place(signal.signal, expansions.word); }
  void operator()(ExposeInstruction& expose) const {
    std::vector<std::string> ports;
    for (const std::string& port : expose.ports) {
      for (std::string& word : expansions.words(port)) ports.push_back(std::move(word));
    }
    expose.ports = std::move(ports);
  }
};

}  // namespace

std::string Heredoc::stripped_content() const {
  if (!strip_tabs) return content;
  std::string stripped;
  stripped.reserve(content.size());
  bool at_line_start = true;
  for (const char c : content) {
    if (at_line_start && c == '\t') continue;
    at_line_start = c == '\n';
    stripped += c;
  }
  return stripped;
}

void expand_instruction(Instruction& instruction, const Expansions& expansions, const SourceText& source) {
  try {
    std::visit(ExpandBody{expansions}, instruction.body);
  } catch (const SourceError&) {
    throw;
  } catch (const Error& error) {
    throw SourceError(error.kind(), error.what(), source, instruction.range);
  }
}

RunBody run_body(const RunInstruction& run) {
  RunBody body;
  body.command.words = run.command.words;
  body.command.shell_form = run.command.shell_form;
  if (run.command.heredocs.empty() || body.command.words.empty()) return body;
  const std::string& text = run.command.words.front();
  const Heredoc& first = run.command.heredocs.front();
  if (!parse_heredoc_word(text)) {
    // A command that reads heredocs: the shell gets them back as they were.
    std::string full = text;
    for (const Heredoc& heredoc : run.command.heredocs) full += "\n" + heredoc.content + heredoc.name;
    body.command.words = {full};
  } else if (first.content.starts_with("#!")) {
    body.script = {first.name, first.stripped_content()};
    body.command.words = {"/dev/pipes/" + first.name};
  } else {
    body.command.words = {first.stripped_content()};
  }
  return body;
}

}  // namespace ctr
