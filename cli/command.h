// What a command is to the command line: its words, its flags, its help, and the function that runs it. The table of
// all commands is in command_table.cpp; each command's own file defines one or a few of them.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "cli/flags.h"
#include "engine/context.h"

namespace ctr {

/// Flags that stand before the command: `ctr --root DIR ps`.
struct GlobalOptions {
  std::string root;
  bool is_debug = false;
};

/// What a command's function is given.
class Invocation {
 public:
  Invocation(const GlobalOptions& global, ParsedFlags flags);
  ~Invocation();

  const ParsedFlags& flags() const noexcept { return flags_; }
  const std::vector<std::string>& arguments() const noexcept { return flags_.arguments(); }
  const GlobalOptions& global() const noexcept { return global_; }
  /// Opened when it is first asked for.
  Context& context();

 private:
  const GlobalOptions& global_;
  ParsedFlags flags_;
  std::unique_ptr<Context> context_;
};

enum class HelpGroup { Common, Management, Other, Hidden };

inline constexpr std::size_t kAnyNumber = static_cast<std::size_t>(-1);

struct CommandSpec {
  /// "run", "image ls": the words that select it.
  std::string words;
  /// Behind the words in the usage line: "[OPTIONS] IMAGE [COMMAND] [ARG...]".
  std::string arguments;
  std::string summary;
  HelpGroup group = HelpGroup::Other;
  std::size_t min_arguments = 0;
  std::size_t max_arguments = kAnyNumber;
  FlagOrder order = FlagOrder::Anywhere;
  void (*define_flags)(FlagTable&) = nullptr;
  int (*run)(Invocation&) = nullptr;
  /// The exit status for an Error: 125 for `run`, else 1.
  int failure_status = 1;
  /// Other words for the same command: "container run".
  std::vector<std::string> aliases = {};
};

/// Every command, in the order in which help lists them.
const std::vector<CommandSpec>& all_commands();

/// The command that the words start with, the longest match first, and how many words it took; nullptr for none.
const CommandSpec* find_command(std::span<const std::string> words, std::size_t& words_taken);

}  // namespace ctr
