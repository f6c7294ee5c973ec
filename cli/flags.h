// Command-line flags with the grammar of Docker's (pflag): `-it`, `-p8080:80`, `-d=false`, `--name x`, `--name=x`, `--`,
// and `-t -1`, where a flag that takes a value takes whatever follows. One table a command serves parsing, --help and
// completion. (CLI11 reads `-1` as a flag, has no `-d=false`, and costs start-up time a command does not have.)
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace ctr {

/// The user typed something that the command does not take. Printed with a pointer to --help, exit status 125.
class UsageError : public Error {
 public:
  explicit UsageError(const std::string& message) : Error(ErrorKind::Invalid, message) {}
};

enum class FlagKind { Toggle, Text, Integer, List };

struct Flag {
  std::string name;
  char shorthand = 0;
  FlagKind kind = FlagKind::Toggle;
  /// What --help calls the value: "string", "list", "bytes"; empty for toggles.
  std::string value_name;
  std::string help;
  /// The value if the flag is not given, as text.
  std::string otherwise;
  /// For a Text that may stand without a value (`--pull`): the value it has then.
  std::optional<std::string> bare_value;
  bool is_hidden = false;
};

class FlagTable {
 public:
  /// On or off: `--all`, `-a`, `--all=false`.
  void toggle(std::string name, char shorthand, std::string help, bool otherwise = false);
  void text(std::string name, char shorthand, std::string value_name, std::string help, std::string otherwise = {});
  void integer(std::string name, char shorthand, std::string value_name, std::string help, std::int64_t otherwise = 0);
  /// May be given again and again.
  void list(std::string name, char shorthand, std::string value_name, std::string help);
  /// A text that may stand alone, with `bare_value` then; its value is only taken from behind `=`.
  void optional_text(std::string name, char shorthand, std::string value_name, std::string help,
                     std::string bare_value);
  /// The last flag is not shown by --help and not completed.
  void hide_last();

  const std::vector<Flag>& flags() const noexcept { return flags_; }
  const Flag* find(std::string_view name) const;
  const Flag* find_shorthand(char shorthand) const;

 private:
  std::vector<Flag> flags_;
};

/// Whether flags may stand behind the first argument. After IMAGE of `run` everything belongs to the command. RawWords:
/// nothing is a flag, another program reads the words.
enum class FlagOrder { Anywhere, BeforeArguments, RawWords };

class ParsedFlags {
 public:
  /// Throws UsageError in Docker's words, for an unknown flag with the nearest known one.
  static ParsedFlags parse(const FlagTable& table, std::span<const std::string> words, FlagOrder order);

  /// Was it given?
  bool given(std::string_view name) const { return values_.contains(name); }
  bool none_given() const { return values_.empty(); }
  bool on(std::string_view name) const;
  const std::string& text(std::string_view name) const;
  std::optional<std::string> find_text(std::string_view name) const;
  std::int64_t integer(std::string_view name) const;
  const std::vector<std::string>& list(std::string_view name) const;

  const std::vector<std::string>& arguments() const noexcept { return arguments_; }

 private:
  void parse_long(std::span<const std::string> words, std::size_t& at);
  void parse_bundle(std::span<const std::string> words, std::size_t& at);
  void set(const Flag& flag, const std::string& value);
  const Flag& known(std::string_view name) const;

  FlagTable table_;
  std::map<std::string, std::vector<std::string>, std::less<>> values_;
  std::vector<std::string> arguments_;
};

}  // namespace ctr
