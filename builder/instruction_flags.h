// The flags of one instruction: each is declared with the place its value goes to, then all are applied at once.
// Unknown, repeated and malformed ones are refused in BuildKit's words, with the nearest name.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "builder/instruction_words.h"

namespace ctr {

/// A sentence about a part of an instruction's text. The parser turns it into a SourceError.
class InstructionFault : public Error {
 public:
  /// `place` points into the line's text; an empty one means the instruction as a whole.
  InstructionFault(const std::string& sentence, std::string_view place)
      : Error(ErrorKind::Invalid, sentence), place_(place) {}
  std::string_view place() const noexcept { return place_; }

 private:
  std::string_view place_;
};

/// The name, or what was meant: " (did you mean X?)" or nothing.
std::string did_you_mean(std::string_view word, const std::vector<std::string>& candidates);

class InstructionFlags {
 public:
  InstructionFlags& text(std::string name, std::string& target);
  InstructionFlags& texts(std::string name, std::vector<std::string>& target);
  InstructionFlags& boolean(std::string name, bool& target);
  InstructionFlags& boolean(std::string name, std::optional<bool>& target);

  /// Throws InstructionFault.
  void apply(const std::vector<InstructionFlag>& given) const;

 private:
  enum class Repeat { Refused, Allowed };
  struct Declared {
    std::string name;
    Repeat repeat;
    bool needs_value;
    std::function<void(const InstructionFlag&)> set;
  };
  InstructionFlags& declare(Declared declared);

  std::vector<Declared> declared_;
};

}  // namespace ctr
