// The mode of COPY --chmod and ADD --chmod: octal ("755", "0755", "4755") or symbolic as chmod(1) reads it
// ("u=rwX,go=rX",
// "+x", "g=u"). A symbolic mode changes each file's own mode, so parsing and applying are two steps. No umask applies.
#pragma once

#include <cstdint>
#include <string_view>
#include <sys/types.h>
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
  bool is_absolute() const noexcept { return changes_.empty(); }

 private:
  // One `u=rwX`; a clause such as `u+r-w` is two.
  struct Change {
    ::mode_t who = 0;                  // the bits that it may touch; 0: all
    char operation = '=';              // = + -
    ::mode_t bits = 0;                 // in all three triples, cut down by `who` when applied
    char copy_from = '\0';             // u, g, o: the permissions of these instead of `bits`
    bool conditional_execute = false;  // X: only directories, and files that have an x already
  };
  static Change parse_permissions(std::string_view& rest, ::mode_t who);

  ::mode_t absolute_ = 0;
  std::vector<Change> changes_;
};

}  // namespace ctr
