// The instructions of a Dockerfile as values: what the parser makes and what lowering reads. Text is kept as it was
// written, quotes and $variables included; expand_instruction() replaces it in place once a stage's variables are
// known. A new instruction is one struct, one alternative of InstructionBody, one parse function, one lowering.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "builder/source_range.h"

namespace ctr {

/// `<<NAME` … NAME. `content` is verbatim; tabs are already stripped for `<<-` in stripped_content().
struct Heredoc {
  std::string name;         ///< the word after <<, unquoted; for COPY and ADD it is the file's name
  std::string content;      ///< the lines, each with its newline, without the terminator
  bool expand = true;       ///< false if the word was quoted
  bool strip_tabs = false;  ///< <<-
  std::uint32_t file_descriptor = 0;
  SourceRange range;

  std::string stripped_content() const;
};

/// What RUN, CMD, ENTRYPOINT and HEALTHCHECK run. Shell form: one word, the whole text, for the shell to read.
struct CommandLine {
  std::vector<std::string> words;
  bool shell_form = false;        ///< put SHELL (default /bin/sh -c) in front
  std::vector<Heredoc> heredocs;  ///< RUN only
};

/// `key=value`, unexpanded and with its quotes until expand_instruction().
struct KeyValue {
  std::string key;
  std::string value;
  bool has_equals = true;  ///< false in the legacy form `ENV key value`
};

struct ArgInstruction {
  struct Argument {
    std::string name;
    std::optional<std::string> value;
    std::string description;  ///< of the comment `# name description` right above
  };
  std::vector<Argument> arguments;
};
struct EnvInstruction {
  std::vector<KeyValue> variables;
};
struct LabelInstruction {
  std::vector<KeyValue> labels;
};
struct MaintainerInstruction {
  std::string name;
};

enum class MountType { Bind, Cache, Tmpfs, Secret, Ssh };
enum class CacheSharing { Shared, Private, Locked };

/// One `RUN --mount`, all values expanded and defaults applied.
struct RunMount {
  MountType type = MountType::Bind;
  std::string from;       ///< stage, image or named context; empty: the build context
  std::string source;     ///< path inside `from`; empty: its root
  std::string target;     ///< as written; relative to WORKDIR
  bool read_only = true;  ///< bind: unless rw; cache: if ro
  bool required = false;  ///< secret, ssh
  std::string id;         ///< cache (default: the target), secret (default: target's base name), ssh
  CacheSharing sharing = CacheSharing::Shared;
  std::optional<std::string> env;     ///< secret: the environment variable that holds it; a file too if target is given
  std::optional<std::uint32_t> mode;  ///< defaults: cache 0755, secret 0400, ssh 0600
  std::optional<std::uint32_t> uid;
  std::optional<std::uint32_t> gid;
  std::optional<std::int64_t> size_bytes;  ///< tmpfs
};

enum class RunNetwork { Default, None, Host };
enum class RunSecurity { Sandbox, Insecure };
struct RunDevice {
  std::string name;
  bool required = false;
};

struct RunInstruction {
  CommandLine command;
  std::vector<std::string> mount_flags;  ///< the values of --mount as written
  std::vector<RunMount> mounts;          ///< filled by expand_instruction()
  RunNetwork network = RunNetwork::Default;
  RunSecurity security = RunSecurity::Sandbox;
  std::vector<RunDevice> devices;
};

/// What COPY and ADD share.
struct FileTransfer {
  std::vector<std::string> sources;  ///< paths, globs, and for ADD URLs; without the heredocs
  std::vector<Heredoc> contents;     ///< files written in the Dockerfile; go before `sources`
  std::string destination;
  std::string chown;  ///< user[:group]; empty: not given
  std::string chmod;  ///< octal or symbolic, see file_mode.h; empty: not given
  bool link = false;
  std::vector<std::string> exclude;  ///< patterns, see ignore_patterns.h
};
struct CopyInstruction {
  FileTransfer files;
  std::string from;  ///< stage name or number, image, named context; empty: the build context
  bool parents = false;
};
struct AddInstruction {
  FileTransfer files;
  std::optional<bool> keep_git_dir;
  std::string checksum;        ///< sha256:… for a URL, a commit (or its beginning) for git; empty: not given
  std::optional<bool> unpack;  ///< default: local archives yes, remote no
};

struct CmdInstruction {
  CommandLine command;
};
struct EntrypointInstruction {
  CommandLine command;
};
struct WorkdirInstruction {
  std::string path;
};
struct UserInstruction {
  std::string user;
};
struct ExposeInstruction {
  std::vector<std::string> ports;
};  ///< after expansion one a word: 80, 80-90/tcp
struct VolumeInstruction {
  std::vector<std::string> paths;
};
struct StopSignalInstruction {
  std::string signal;
};
struct ShellInstruction {
  std::vector<std::string> words;
};
struct HealthcheckInstruction {
  bool none = false;  ///< HEALTHCHECK NONE
  CommandLine command;
  std::optional<std::chrono::nanoseconds> interval, timeout, start_period, start_interval;
  std::optional<int> retries;
};
/// The text after ONBUILD, heredocs included; parse_trigger() parses it in the child's build.
struct OnbuildInstruction {
  std::string trigger;
};

using InstructionBody =
    std::variant<ArgInstruction, EnvInstruction, LabelInstruction, MaintainerInstruction, RunInstruction,
                 CopyInstruction, AddInstruction, CmdInstruction, EntrypointInstruction, WorkdirInstruction,
                 UserInstruction, ExposeInstruction, VolumeInstruction, StopSignalInstruction, ShellInstruction,
                 HealthcheckInstruction, OnbuildInstruction>;

struct Instruction {
  std::string keyword;  ///< as written: "run", "RUN"
  std::string text;     ///< the whole instruction, continuations joined, without heredocs: what progress prints
  SourceRange range;    ///< first to last line, heredocs included
  std::vector<std::string> comments;  ///< the comment lines right above, without '#'
  InstructionBody body;
};

struct Stage {
  std::string name;  ///< AS name, lower case as BuildKit compares it; empty: only its number
  std::string name_as_written;
  std::string base;         ///< unexpanded: image, stage name, scratch
  std::string platform;     ///< --platform, unexpanded; empty: not given
  std::string description;  ///< of the comment `# name description` right above
  std::vector<std::string> comments;
  std::string keyword;     ///< FROM as written
  std::string as_keyword;  ///< AS as written; empty: none
  std::string text;        ///< the FROM line
  SourceRange range;       ///< of the FROM line
  std::vector<Instruction> instructions;
};

/// How a word is expanded; see word_expansion.h. The range tells lint where the word's instruction stands.
struct Expansions {
  std::function<std::string(std::string_view)> word;                ///< one word in, one word out, quotes removed
  std::function<std::vector<std::string>(std::string_view)> words;  ///< split at blanks as well (EXPOSE)
  std::function<std::string(std::string_view)> raw;                 ///< heredocs: QuoteHandling::Ignore
};

/// Replaces what BuildKit expands in this instruction (never RUN, CMD, ENTRYPOINT bodies) and parses the mounts of RUN.
/// Throws a SourceError at the instruction.
void expand_instruction(Instruction& instruction, const Expansions& expansions, const SourceText& source);

/// Parses one --mount value. Throws Error(Invalid) with BuildKit's words and a suggestion.
RunMount parse_run_mount(std::string_view value, const std::function<std::string(std::string_view)>& expand);

/// What can be said of a --mount before variables are known: `from` takes none. Throws Error(Invalid).
void check_run_mount_from(std::string_view value);

/// What a RUN executes once its heredocs are worked in. A heredoc alone that starts with #! is a script: it is to be
/// put read-only at /dev/pipes/<name> with mode 0755, and `command` runs that path.
struct RunBody {
  CommandLine command;                                        ///< without heredocs
  std::optional<std::pair<std::string, std::string>> script;  ///< name, content
};
RunBody run_body(const RunInstruction& run);

}  // namespace ctr
