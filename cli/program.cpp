#include "cli/program.h"

#include <algorithm>
#include <cstdlib>
#include <exception>
#include <new>

#include "base/text.h"
#include "base/trace.h"
#include "cli/command.h"
#include "cli/error_text.h"
#include "cli/foreign_daemon.h"
#include "cli/help.h"
#include "cli/output.h"
#include "engine/containers.h"

namespace ctr {

Invocation::Invocation(const GlobalOptions& global, ParsedFlags flags) : global_(global), flags_(std::move(flags)) {}
Invocation::~Invocation() = default;

Context& Invocation::context() {
  if (context_ == nullptr) context_ = open_context(global_.root);
  return *context_;
}

namespace {

constexpr int kUsageStatus = 125;

void define_global_flags(FlagTable& flags) {
  flags.text("config", 0, "string", "Directory of client config files");
  flags.text("context", 'c', "string", "Refused unless default: there is no other machine to talk to");
  flags.toggle("debug", 'D', "Say more about errors");
  flags.toggle("help", 'h', "Print help");
  flags.list("host", 'H', "string", "Refused unless local: there is no daemon");
  flags.text("log-level", 'l', "string", "debug, info, warn, error or fatal", "info");
  flags.text("root", 0, "string", "The store");
  flags.text("trace", 0, "file", "Write a Chrome trace");
  flags.toggle("version", 'v', "Print version information and quit");
}

bool is_one_of(const std::string& word, const std::vector<std::string>& words) {
  return std::find(words.begin(), words.end(), word) != words.end();
}

GlobalOptions apply_global_flags(const ParsedFlags& flags) {
  if (const auto config = flags.find_text("config")) ::setenv("DOCKER_CONFIG", config->c_str(), 1);
  if (!is_one_of(flags.text("log-level"), {"debug", "info", "warn", "error", "fatal"})) {
    throw UsageError("unable to parse logging level: " + flags.text("log-level"));
  }
  if (const auto file = flags.find_text("trace")) start_trace(*file);
  return {flags.text("root"), flags.on("debug")};
}

int print(const std::string& text) {
  write_standard_out(text);
  return 0;
}

int refuse_unknown_command(const std::string& word) {
  if (const auto reason = reason_for_missing_command(word)) {
    print_error(*reason);
    return 1;
  }
  std::vector<std::string> known = command_groups();
  for (const CommandSpec& command : all_commands()) {
    if (command.group != HelpGroup::Hidden) known.push_back(split(command.words, ' ').front());
  }
  std::string message = "'" + word + "' is not a ctr command";
  if (const auto nearest = nearest_word(word, known)) message += "; did you mean '" + *nearest + "'?";
  print_error(message + "\nSee 'ctr --help'");
  return 1;
}

bool asks_for_help(const FlagTable& flags, std::span<const std::string> words, FlagOrder order) {
  for (const std::string& word : words) {
    if (word == "--") return false;
    if (word == "--help" || (word == "-h" && flags.find_shorthand('h') == nullptr)) return true;
    if (order == FlagOrder::BeforeArguments && !word.starts_with('-')) return false;
  }
  return false;
}

int help_for(const std::vector<std::string>& words) {
  if (words.empty()) return print(overview_help());
  std::size_t taken = 0;
  if (const CommandSpec* command = find_command(words, taken); command != nullptr && taken == words.size()) {
    return print(command_help(*command));
  }
  if (words.size() == 1 && is_one_of(words.front(), command_groups())) return print(group_help(words.front()));
  return refuse_unknown_command(words.front());
}

/// What is wrong with the number of arguments, in Docker's words; empty when nothing is.
std::string argument_complaint(const CommandSpec& command, std::size_t count) {
  const auto arguments = [](std::size_t number) {
    return std::to_string(number) + (number == 1 ? " argument" : " arguments");
  };
  if (count >= command.min_arguments && count <= command.max_arguments) return {};
  if (command.max_arguments == 0) return "accepts no arguments";
  if (command.min_arguments == command.max_arguments) return "requires " + arguments(command.min_arguments);
  if (count < command.min_arguments) return "requires at least " + arguments(command.min_arguments);
  return "requires at most " + arguments(command.max_arguments);
}

int run_parsed(const CommandSpec& command, std::span<const std::string> words, const GlobalOptions& global) {
  FlagTable table;
  if (command.define_flags != nullptr) command.define_flags(table);
  if (asks_for_help(table, words, command.order)) return print(command_help(command));
  Invocation invocation(global, ParsedFlags::parse(table, words, command.order));
  if (const std::string complaint = argument_complaint(command, invocation.arguments().size()); !complaint.empty()) {
    print_error("'ctr " + command.words + "' " + complaint + "\nSee 'ctr " + command.words + " --help'\n\nUsage:  " +
                usage_line(command));
    return 1;
  }
  return command.run(invocation);
}

int run_reporting(const CommandSpec& command, std::span<const std::string> words, const GlobalOptions& global) {
  try {
    const TraceSpan span("command", command.words);
    return run_parsed(command, words, global);
  } catch (const UsageError& error) {
    print_error(std::string(error.what()) + "\nSee 'ctr " + command.words + " --help'");
    return kUsageStatus;
  } catch (const StartError& error) {
    print_error(error.what());
    return error.exit_status();
  } catch (const Error& error) {
    print_error(error_text(error, global));
  } catch (const std::bad_alloc&) {
    print_error("out of memory");
  } catch (const std::exception& error) {
    print_error(std::string("internal error: ") + error.what());
  }
  return command.failure_status;
}

/// Words that no command matches: a group alone, a group with an unknown word, or nothing known.
int answer_without_command(const std::vector<std::string>& words) {
  if (!is_one_of(words.front(), command_groups())) return refuse_unknown_command(words.front());
  if (words.size() == 1 || is_one_of(words[1], {"--help", "-h"})) return help_for({words.front()});
  print_error("'" + words[1] + "' is not a command of 'ctr " + words.front() + "'\nSee 'ctr " + words.front() +
              " --help'");
  return 1;
}

int run_words(const std::vector<std::string>& words) {
  FlagTable global_table;
  define_global_flags(global_table);
  const ParsedFlags flags = ParsedFlags::parse(global_table, words, FlagOrder::BeforeArguments);
  const GlobalOptions global = apply_global_flags(flags);
  const std::vector<std::string>& rest = flags.arguments();
  if (flags.on("version")) return print(version_line());
  if (flags.on("help") || rest.empty()) return help_for(rest);
  if (rest.front() == "help") return help_for({rest.begin() + 1, rest.end()});

  std::size_t taken = 0;
  const CommandSpec* command = find_command(rest, taken);
  if (command == nullptr) return answer_without_command(rest);
  refuse_foreign_daemon(flags);
  return run_reporting(*command, std::span(rest).subspan(taken), global);
}

}  // namespace

int run_program(const std::vector<std::string>& words) {
  int status = 1;
  try {
    status = run_words({words.begin() + (words.empty() ? 0 : 1), words.end()});
  } catch (const UsageError& error) {
    print_error(std::string(error.what()) + "\nSee 'ctr --help'");
    status = kUsageStatus;
  } catch (const std::exception& error) {
    print_error(error.what());
  }
  try {
    flush_standard_out();
    write_trace();
  } catch (const std::exception& error) {
    print_error(error.what());
    if (status == 0) status = 1;
  }
  return status;
}

}  // namespace ctr
