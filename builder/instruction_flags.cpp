#include "builder/instruction_flags.h"

#include <algorithm>
#include <utility>

#include "base/text.h"

namespace ctr {

namespace {

bool boolean_of(const InstructionFlag& flag) {
  if (!flag.value) return true;
  if (flag.value->empty()) throw InstructionFault("missing a value on flag: --" + flag.name, flag.place);
  const std::string value = lower(*flag.value);
  if (value == "true") return true;
  if (value == "false") return false;
  throw InstructionFault("expecting boolean value for flag --" + flag.name + ", not: " + *flag.value, flag.place);
}

}  // namespace

std::string did_you_mean(std::string_view word, const std::vector<std::string>& candidates) {
  const std::optional<std::string> nearest = nearest_word(word, candidates);
  return nearest ? " (did you mean " + *nearest + "?)" : "";
}

InstructionFlags& InstructionFlags::declare(Declared declared) {
  declared_.push_back(std::move(declared));
  return *this;
}

InstructionFlags& InstructionFlags::text(std::string name, std::string& target) {
  return declare(
      {std::move(name), Repeat::Refused, true, [&target](const InstructionFlag& flag) { target = *flag.value; }});
}

InstructionFlags& InstructionFlags::texts(std::string name, std::vector<std::string>& target) {
  return declare({std::move(name), Repeat::Allowed, true,
                  [&target](const InstructionFlag& flag) { target.push_back(*flag.value); }});
}

InstructionFlags& InstructionFlags::boolean(std::string name, bool& target) {
  return declare(
      {std::move(name), Repeat::Refused, false, [&target](const InstructionFlag& flag) { target = boolean_of(flag); }});
}

InstructionFlags& InstructionFlags::boolean(std::string name, std::optional<bool>& target) {
  return declare(
      {std::move(name), Repeat::Refused, false, [&target](const InstructionFlag& flag) { target = boolean_of(flag); }});
}

void InstructionFlags::apply(const std::vector<InstructionFlag>& given) const {
  std::vector<std::string> seen;
  for (const InstructionFlag& flag : given) {
    const auto known = std::find_if(declared_.begin(), declared_.end(),
                                    [&](const Declared& declared) { return declared.name == flag.name; });
    if (known == declared_.end()) {
      std::vector<std::string> names;
      for (const Declared& declared : declared_) names.push_back(declared.name);
      throw InstructionFault("unknown flag: --" + flag.name + did_you_mean(flag.name, names), flag.place);
    }
    if (known->repeat == Repeat::Refused && std::find(seen.begin(), seen.end(), flag.name) != seen.end()) {
      throw InstructionFault("duplicate flag specified: --" + flag.name, flag.place);
    }
    seen.push_back(flag.name);
    if (known->needs_value && !flag.value) {
      throw InstructionFault("missing a value on flag: --" + flag.name, flag.place);
    }
    known->set(flag);
  }
}

}  // namespace ctr
