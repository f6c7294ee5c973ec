// .dockerignore patterns, exactly as moby's patternmatcher reads them: anchored at the root, `**` crosses directories,
// `!` re-includes, the last match wins, a match covers everything below. Also what COPY --exclude uses. Pure text: the
// walk over the files is the caller's.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace ctr {

/// The patterns of an ignore file: comments, blank lines and the byte order mark dropped, each cleaned.
std::vector<std::string> parse_ignore_file(std::string_view text);

class IgnorePatterns {
 public:
  /// Throws Error(Invalid) for a pattern that can't be compiled ("syntax error in pattern").
  explicit IgnorePatterns(const std::vector<std::string>& patterns);
  IgnorePatterns(IgnorePatterns&&) noexcept;
  IgnorePatterns& operator=(IgnorePatterns&&) noexcept;
  ~IgnorePatterns();

  bool empty() const noexcept;

  /// True if any pattern starts with '!'.
  bool has_exceptions() const noexcept;

  /// True if `path` (slashes, relative, no leading "./") or one of its parents is ignored. Costs one match for each
  /// parent; while walking a tree use Walk instead.
  bool is_ignored(std::string_view path) const;

  /// What a directory's patterns decided, for its children.
  struct Decision {
    std::vector<bool> matched;  ///< a flag a pattern
    bool ignored = false;
  };
  /// The decision for `path`, given its parent's (nullptr: the root is the parent).
  Decision decide(std::string_view path, const Decision* parent) const;

  /// False if nothing below the ignored directory `path` can be re-included, so that a walk may skip it.
  bool may_include_below(std::string_view path) const;

 private:
  struct Pattern;
  std::vector<std::unique_ptr<Pattern>> patterns_;
};

}  // namespace ctr
