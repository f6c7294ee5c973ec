// The mode of COPY --chmod and ADD --chmod: octal ("755", "0755", "4755") or symbolic as chmod(1) reads it ("u=rwX,go=rX",
// "+x", "g=u"). A symbolic mode changes each file's own mode, so parsing and applying are two steps.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string_view>
#include <vector>

namespace ctr {

enum class FileModeTarget { File, Directory };

class FileMode {
 public:
  /// Throws Error(Invalid) "invalid chmod parameter: '…'. …".
  static FileMode parse(std::string_view text);

  /// The permission bits (07777) that a file with mode `current` gets.
  ::mode_t apply(::mode_t current, FileModeTarget target) const;

  /// True if the result does not depend on the file.
  bool is_absolute() const noexcept { return clauses_.empty(); }

 private:
  struct Clause {
    std::uint32_t who = 0;   // bits of 0700, 0070, 0007 (with the set-id and sticky bits that belong to them)
    char operation = '=';
    std::uint32_t bits = 0;  // rwx as in the lowest triple, plus set-id and sticky
    bool conditional_execute = false;  // X
    char copy_from = 0;                // u, g, o
  };
  ::mode_t octal_ = 0;
  std::vector<Clause> clauses_;
};

}  // namespace ctr
