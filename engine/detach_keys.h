// Recognises the keys that leave a container running, in what a person types. Bytes that might begin the sequence are
// held back until it is clear that they do not.
#pragma once

#include <string>

namespace ctr {

class DetachKeys {
 public:
  /// `sequence` is bytes, from parse_detach_keys; empty: nothing is ever recognised.
  explicit DetachKeys(std::string sequence) : sequence_(std::move(sequence)) {}

  /// Replaces `typed` by what is to be passed on. True when the sequence was completed; then nothing behind it is kept.
  bool filter(std::string& typed);

 private:
  std::string sequence_;
  std::size_t matched_ = 0;
};

}  // namespace ctr
