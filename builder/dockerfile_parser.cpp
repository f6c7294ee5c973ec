#include "builder/dockerfile_parser.h"

#include <algorithm>
#include <utility>

#include "base/json.h"
#include "base/text.h"
#include "builder/dockerfile_lines.h"
#include "builder/instruction_flags.h"
#include "builder/instruction_parser.h"

namespace ctr {

namespace {

// A place inside the line's text as a range of the file; the whole instruction if it is somewhere else.
SourceRange range_of(const LogicalLine& line, std::string_view place, std::uint32_t last_line) {
  const char* begin = line.text.data();
  const char* end = begin + line.text.size();
  const std::less_equal<const char*> is_before;
  if (place.empty() || !is_before(begin, place.data()) || !is_before(place.data() + place.size(), end)) {
    return {line.position(0), {std::max(line.last_line, last_line), line.last_column}};
  }
  const auto offset = static_cast<std::size_t>(place.data() - begin);
  return {line.position(offset), line.position(offset + place.size() - 1)};
}

class Parser {
 public:
  explicit Parser(Dockerfile& dockerfile) : dockerfile_(dockerfile), source_(*dockerfile.source), lines_(source_) {}

  void parse();

 private:
  void take_directives();
  std::vector<Heredoc> read_heredocs(const LogicalLine& line);
  void add(std::variant<Stage, Instruction> parsed);
  void add(Stage stage);
  void add(Instruction instruction);
  void check_size(const SourceRange& range) const;

  Dockerfile& dockerfile_;
  const SourceText& source_;
  DockerfileLines lines_;
  std::size_t count_ = 0;
  std::size_t variables_ = 0;
};

void Parser::take_directives() {
  for (const DockerfileLines::Directive& directive : lines_.directives()) {
    const DirectiveValue value{directive.value, directive.range};
    if (directive.name == "syntax") dockerfile_.directives.syntax = value;
    if (directive.name == "escape") dockerfile_.directives.escape = value;
    if (directive.name == "check") dockerfile_.directives.check = value;
  }
  dockerfile_.escape = lines_.escape();
}

std::vector<Heredoc> Parser::read_heredocs(const LogicalLine& line) {
  std::vector<Heredoc> heredocs = heredocs_of(line);
  for (Heredoc& heredoc : heredocs) {
    std::optional<DockerfileLines::HeredocBody> body = lines_.read_heredoc(heredoc.name, heredoc.strip_tabs);
    if (!body) {
      throw_parse_error(
          "unterminated heredoc (expected a line with " + heredoc.name + " alone before the end of the file)", source_,
          range_of(line, {}, 0));
    }
    heredoc.content = std::move(body->content);
    heredoc.range = body->range;
  }
  return heredocs;
}

std::size_t variables_of(const Instruction& instruction) {
  if (const auto* arg = std::get_if<ArgInstruction>(&instruction.body)) return arg->arguments.size();
  if (const auto* env = std::get_if<EnvInstruction>(&instruction.body)) return env->variables.size();
  if (const auto* label = std::get_if<LabelInstruction>(&instruction.body)) return label->labels.size();
  return 0;
}

void Parser::check_size(const SourceRange& range) const {
  if (variables_ > kMaxVariables) {
    throw_parse_error("more than " + std::to_string(kMaxVariables) + " variables and labels", source_, range);
  }
  if (dockerfile_.stages.size() * variables_ > kMaxStageVariables) {
    throw_parse_error("too many stages with too many variables", source_, range);
  }
}

void Parser::add(Stage stage) {
  check_size(stage.range);
  dockerfile_.stages.push_back(std::move(stage));
}

void Parser::add(Instruction instruction) {
  variables_ += variables_of(instruction);
  check_size(instruction.range);
  if (!dockerfile_.stages.empty()) {
    dockerfile_.stages.back().instructions.push_back(std::move(instruction));
  } else if (std::holds_alternative<ArgInstruction>(instruction.body)) {
    dockerfile_.global_arguments.push_back(std::move(instruction));
  } else {
    throw_parse_error("no build stage in current context (expected FROM, or ARG before it)", source_,
                      instruction.range);
  }
}

void Parser::add(std::variant<Stage, Instruction> parsed) {
  std::visit([this](auto&& value) { add(std::move(value)); }, std::move(parsed));
}

void Parser::parse() {
  take_directives();
  while (const std::optional<LogicalLine> line = lines_.next()) {
    if (++count_ > kMaxInstructions) {
      throw_parse_error("more than " + std::to_string(kMaxInstructions) + " instructions", source_,
                        range_of(*line, {}, 0));
    }
    try {
      std::vector<Heredoc> heredocs = read_heredocs(*line);
      std::variant<Stage, Instruction> parsed = parse_instruction(*line, dockerfile_.escape, std::move(heredocs));
      if (auto* instruction = std::get_if<Instruction>(&parsed);
          instruction && lines_.line_number() > line->last_line) {
        instruction->range.end = lines_.end_of_line();
      }
      add(std::move(parsed));
    } catch (const SourceError&) {
      throw;
    } catch (const InstructionFault& fault) {
      throw_parse_error(fault.what(), source_, range_of(*line, fault.place(), 0));
    } catch (const Error& error) {
      throw_parse_error(error.what(), source_, range_of(*line, {}, 0));
    }
  }
  dockerfile_.empty_continuation_lines = lines_.empty_continuations();
  const SourceRange end{{std::max<std::uint32_t>(lines_.line_number(), 1), 1}, {lines_.line_number(), 1}};
  if (count_ == 0) throw_parse_error("file with no instructions", source_, end);
  if (dockerfile_.stages.empty()) throw_parse_error("no build stage in current context (expected FROM)", source_, end);
}

// Frontends whose files are JSON name themselves in a "syntax" member. None of them is built in.
void refuse_json_syntax(const std::string& text) {
  if (!trim(std::string_view(text).substr(0, 64)).starts_with('{')) return;
  std::optional<std::string> syntax;
  try {
    syntax = Json::parse(text).find_string("syntax");
  } catch (const Error&) {
    return;  // not JSON: the parser will say what is wrong
  }
  if (syntax) check_syntax_reference(*syntax);
}

}  // namespace

std::optional<std::size_t> Dockerfile::find_stage(std::string_view name_or_number) const {
  const std::string name = lower(name_or_number);
  for (std::size_t i = stages.size(); i-- > 0;) {
    if (!name.empty() && stages[i].name == name) return i;
  }
  const std::optional<std::uint64_t> number = parse_uint(name);
  if (number && *number < stages.size()) return static_cast<std::size_t>(*number);
  return std::nullopt;
}

Dockerfile parse_dockerfile(std::string name, std::string text) {
  if (text.size() > kMaxDockerfileBytes) {
    throw Error(ErrorKind::Invalid, name + " is larger than " +
                                        human_size_binary(static_cast<double>(kMaxDockerfileBytes)) +
                                        ", which no Dockerfile may be");
  }
  refuse_json_syntax(text);
  Dockerfile dockerfile;
  dockerfile.source = std::make_shared<const SourceText>(SourceText{std::move(name), std::move(text)});
  try {
    Parser(dockerfile).parse();
  } catch (const SourceError&) {
    // In another frontend's language nothing parses: then its name is the better answer.
    if (dockerfile.directives.syntax) check_syntax_reference(dockerfile.directives.syntax->value);
    throw;
  }
  return dockerfile;
}

void check_syntax_reference(std::string_view reference) {
  std::string_view name = reference.substr(0, reference.find_first_of(" \t"));
  if (name == "dockerfile.v0") return;
  for (const std::string_view prefix : {"docker.io/", "index.docker.io/", "docker-image://"}) {
    if (name.starts_with(prefix)) name.remove_prefix(prefix.size());
  }
  name = name.substr(0, name.find('@'));
  name = name.substr(0, name.find(':'));
  if (name == "docker/dockerfile" || name == "docker/dockerfile-upstream") return;
  throw Error(ErrorKind::Invalid, "the frontend " + std::string(reference.substr(0, 200)) +
                                      " (# syntax=) can't be run: only docker/dockerfile is built in");
}

Instruction parse_trigger(const std::string& trigger, char escape) {
  // A trigger stands in an image's config, far from any file; a directive is the way to say what its escape character
  // is.
  std::string text = escape == '\\' ? trigger : "# escape=" + std::string(1, escape) + "\n" + trigger;
  Dockerfile dockerfile;
  dockerfile.source = std::make_shared<const SourceText>(SourceText{"ONBUILD", std::move(text)});
  dockerfile.stages.emplace_back();
  Parser(dockerfile).parse();
  if (dockerfile.stages.size() != 1 || dockerfile.stages.front().instructions.size() != 1) {
    throw Error(ErrorKind::Invalid, "the ONBUILD trigger \"" + trigger.substr(0, 200) + "\" is not one instruction");
  }
  return std::move(dockerfile.stages.front().instructions.front());
}

}  // namespace ctr
