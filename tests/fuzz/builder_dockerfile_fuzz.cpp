// Any bytes as a Dockerfile: parsing and all checks either work or throw an Error, and what parses can be expanded.
#include <cstddef>
#include <cstdint>

#include "base/error.h"
#include "builder/dockerfile_parser.h"
#include "builder/lint.h"
#include "builder/word_expansion.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace ctr;
  try {
    Dockerfile dockerfile = parse_dockerfile("Dockerfile", std::string(reinterpret_cast<const char*>(data), size));
    lint_dockerfile(dockerfile, parse_lint_config("experimental=all"), {});
    const auto expand = [](std::string_view word) { return expand_word(word, nullptr).text; };
    const Expansions expansions{expand, [&](std::string_view word) { return expand_words(word, nullptr).words; },
                                expand};
    for (Stage& stage : dockerfile.stages) {
      for (Instruction& instruction : stage.instructions) {
        if (const auto* run = std::get_if<RunInstruction>(&instruction.body)) run_body(*run);
        if (const auto* trigger = std::get_if<OnbuildInstruction>(&instruction.body)) {
          parse_trigger(trigger->trigger, dockerfile.escape);
        }
        expand_instruction(instruction, expansions, *dockerfile.source);
      }
    }
  } catch (const Error&) {
  }
  return 0;
}
