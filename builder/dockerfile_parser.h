// Dockerfile text to stages of typed instructions. Errors are BuildKit's sentences with file, line, column, the line
// itself and a suggestion. The parser knows no build: nothing is expanded, resolved or looked up here.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "builder/instructions.h"

namespace ctr {

/// A larger Dockerfile, or one with more instructions, is refused (a generator gone wild, or an attack).
inline constexpr std::size_t kMaxDockerfileBytes = 32 << 20;
inline constexpr std::size_t kMaxInstructions = 20'000;
inline constexpr std::size_t kMaxVariables = 50'000;  ///< ARG, ENV and LABEL together
/// Stages times variables, because each stage may inherit all of them.
inline constexpr std::size_t kMaxStageVariables = 1'000'000;

struct DirectiveValue {
  std::string value;
  SourceRange range;
};

/// `# name=value` lines on top of the file.
struct ParserDirectives {
  std::optional<DirectiveValue> syntax;
  std::optional<DirectiveValue> escape;
  std::optional<DirectiveValue> check;  ///< see lint.h
};

struct Dockerfile {
  SharedSource source;
  ParserDirectives directives;
  char escape = '\\';
  std::vector<Instruction> global_arguments;          ///< ARG before the first FROM
  std::vector<Stage> stages;                          ///< at least one
  std::vector<SourceRange> empty_continuation_lines;  ///< for lint

  /// The last stage with that name (any case), or the stage with that number; nullopt: none.
  std::optional<std::size_t> find_stage(std::string_view name_or_number) const;
};

/// Parses the text. `name` is what errors call the file. Throws SourceError (kind Invalid).
/// A `# syntax=` that names another frontend than docker/dockerfile is the caller's to refuse, with
/// check_syntax_reference(), because BUILDKIT_SYNTAX goes before it.
Dockerfile parse_dockerfile(std::string name, std::string text);

/// Throws unless `reference` is docker/dockerfile (any tag, digest, -labs), docker/dockerfile-upstream, or
/// dockerfile.v0.
void check_syntax_reference(std::string_view reference);

/// Parses the text of one ONBUILD trigger.
Instruction parse_trigger(const std::string& trigger, char escape = '\\');

}  // namespace ctr
