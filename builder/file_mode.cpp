#include "builder/file_mode.h"

#include <optional>
#include <string>
#include <sys/stat.h>

#include "base/error.h"
#include "base/text.h"

namespace ctr {

namespace {

constexpr ::mode_t kAll = 07777;
constexpr ::mode_t kAnyExecute = 0111;

[[noreturn]] void fail(std::string_view text) {
  throw Error(ErrorKind::Invalid,
              "invalid chmod parameter: '" + std::string(text) +
                  "'. it should be an octal number between 0 and 07777, or symbolic such as u=rwX,go=rX");
}

// The bits that a letter in front of the operator stands for; 0 if it stands for none.
::mode_t who_bits(char letter) {
  switch (letter) {
    case 'u':
      return S_ISUID | S_IRWXU;
    case 'g':
      return S_ISGID | S_IRWXG;
    case 'o':
      return S_ISVTX | S_IRWXO;
    case 'a':
      return kAll;
    default:
      return 0;
  }
}

::mode_t permission_bits(char letter) {
  switch (letter) {
    case 'r':
      return 0444;
    case 'w':
      return 0222;
    case 'x':
      return 0111;
    case 's':
      return S_ISUID | S_ISGID;
    case 't':
      return S_ISVTX;
    default:
      return 0;
  }
}

// The rwx of user, group or others, in all three places.
::mode_t spread(::mode_t mode, char from) {
  const ::mode_t triple = (from == 'u' ? mode >> 6 : from == 'g' ? mode >> 3 : mode) & 7;
  return triple << 6 | triple << 3 | triple;
}

}  // namespace

FileMode::Change FileMode::parse_permissions(std::string_view& rest, ::mode_t who) {
  Change change;
  change.who = who;
  change.operation = rest.front();
  rest.remove_prefix(1);
  if (!rest.empty() && (rest.front() == 'u' || rest.front() == 'g' || rest.front() == 'o')) {
    change.copy_from = rest.front();
    rest.remove_prefix(1);
    return change;
  }
  for (; !rest.empty(); rest.remove_prefix(1)) {
    if (rest.front() == 'X') {
      change.conditional_execute = true;
    } else if (const ::mode_t bits = permission_bits(rest.front())) {
      change.bits |= bits;
    } else {
      break;
    }
  }
  return change;
}

FileMode FileMode::parse(std::string_view text) {
  FileMode mode;
  if (const std::optional<std::uint64_t> octal = parse_uint(text, 8)) {
    if (*octal > kAll) fail(text);
    mode.absolute_ = static_cast<::mode_t>(*octal);
    return mode;
  }
  std::string_view rest = text;
  while (true) {
    ::mode_t who = 0;
    for (; !rest.empty() && who_bits(rest.front()) != 0; rest.remove_prefix(1)) who |= who_bits(rest.front());
    const auto at_operator = [&] {
      return !rest.empty() && std::string_view("=+-").find(rest.front()) != std::string_view::npos;
    };
    if (!at_operator()) fail(text);
    while (at_operator()) mode.changes_.push_back(parse_permissions(rest, who));
    if (rest.empty()) return mode;
    if (rest.front() != ',') fail(text);
    rest.remove_prefix(1);
  }
}

::mode_t FileMode::apply(::mode_t current, FileModeTarget target) const {
  if (is_absolute()) return absolute_;
  const bool is_directory = target == FileModeTarget::Directory;
  ::mode_t mode = current & kAll;
  for (const Change& change : changes_) {
    ::mode_t bits = change.copy_from != '\0' ? spread(mode, change.copy_from) : change.bits;
    if (change.conditional_execute && (is_directory || (mode & kAnyExecute) != 0)) bits |= kAnyExecute;
    const ::mode_t who = change.who == 0 ? kAll : change.who;
    // As with chmod(1), a directory keeps its set-id bits unless they are named.
    const ::mode_t untouched = is_directory ? (S_ISUID | S_ISGID) & ~change.bits : 0;
    bits &= who & ~untouched;
    switch (change.operation) {
      case '+':
        mode |= bits;
        break;
      case '-':
        mode &= ~bits;
        break;
      default:
        mode = (mode & (~who | untouched)) | bits;
        break;
    }
  }
  return mode & kAll;
}

}  // namespace ctr
