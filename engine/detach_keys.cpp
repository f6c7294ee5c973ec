#include "engine/detach_keys.h"

#include "base/error.h"
#include "base/text.h"
#include "engine/attach_client.h"

namespace ctr {

bool DetachKeys::filter(std::string& typed) {
  if (sequence_.empty()) return false;
  std::string passed;
  for (const char key : typed) {
    // What was held back and does not go on as the sequence does is passed, but its end may begin the sequence anew.
    while (matched_ != 0 && key != sequence_[matched_]) {
      std::size_t again = matched_ - 1;
      while (again != 0 && sequence_.compare(0, again, sequence_, matched_ - again, again) != 0) --again;
      passed.append(sequence_, 0, matched_ - again);
      matched_ = again;
    }
    if (key != sequence_[matched_]) {
      passed += key;
      continue;
    }
    if (++matched_ < sequence_.size()) continue;
    matched_ = 0;
    typed = std::move(passed);
    return true;
  }
  typed = std::move(passed);
  return false;
}

std::string parse_detach_keys(std::string_view text) {
  std::string bytes;
  if (text.empty()) return bytes;
  for (const std::string& key : split(text, ',')) {
    const std::string_view control = without_prefix(key, "ctrl-");
    if (key.size() == 1) {
      bytes += key;
    } else if (control.size() == 1 && key.size() == 6 &&
               ((control[0] >= 'a' && control[0] <= 'z') ||
                std::string_view("@[\\]^_").find(control[0]) != std::string_view::npos)) {
      bytes += static_cast<char>(control[0] & 31);
    } else {
      throw Error(ErrorKind::Invalid, "invalid detach keys (" + std::string(text) + "): unknown key \"" + key + "\"");
    }
  }
  return bytes;
}

}  // namespace ctr
