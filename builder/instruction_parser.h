// One logical line to one typed instruction: one small function for each keyword. Works on the line alone; the order of
// instructions is dockerfile_parser's business.
#pragma once

#include <string>
#include <variant>
#include <vector>

#include "builder/dockerfile_lines.h"
#include "builder/instructions.h"

namespace ctr {

/// The heredocs whose bodies follow this line: RUN, COPY, ADD, also behind ONBUILD, unless in JSON form.
std::vector<Heredoc> heredocs_of(const LogicalLine& line);

/// FROM gives a Stage, anything else an Instruction. `heredocs` are those of heredocs_of(), with their content.
/// Throws InstructionFault, whose place points into line.text. Ranges are filled in from the line.
std::variant<Stage, Instruction> parse_instruction(const LogicalLine& line, char escape, std::vector<Heredoc> heredocs);

}  // namespace ctr
