// The compiler: rules -> verdict per number -> intervals of equal verdict -> a binary search in classic BPF. A search
// tree costs the kernel a dozen steps where a list costs hundreds, both for each call and when it works out which calls
// are always allowed (Linux 5.11), and makes the program small enough to be compiled at every start.
#include "runtime/seccomp.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <map>

#include "base/error.h"
#include "base/text.h"
#include "runtime/seccomp_arch.h"
#include "runtime/seccomp_calls.h"

namespace ctr {

namespace {

using Code = std::vector<sock_filter>;

constexpr std::size_t kMaxProgram = BPF_MAXINSNS;

std::uint32_t return_value(SeccompAction action, const std::optional<std::uint32_t>& errno_value) {
  const std::uint32_t data = errno_value.value_or(EPERM) & SECCOMP_RET_DATA;
  switch (action) {
    case SeccompAction::KillThread:
      return SECCOMP_RET_KILL_THREAD;
    case SeccompAction::KillProcess:
      return SECCOMP_RET_KILL_PROCESS;
    case SeccompAction::Trap:
      return SECCOMP_RET_TRAP;
    case SeccompAction::Errno:
      return SECCOMP_RET_ERRNO | data;
    case SeccompAction::Trace:
      return SECCOMP_RET_TRACE | data;
    case SeccompAction::Allow:
      return SECCOMP_RET_ALLOW;
    case SeccompAction::Log:
      return SECCOMP_RET_LOG;
    case SeccompAction::Notify:
      return SECCOMP_RET_USER_NOTIF;
  }
  return SECCOMP_RET_KILL_THREAD;
}

/// What holds for one system call: conditional verdicts in order, then one that always holds.
struct Verdict {
  struct Conditional {
    std::vector<SeccompArgument> conditions;
    std::uint32_t value;
  };
  std::vector<Conditional> conditional;
  std::optional<std::uint32_t> always;
};

struct Section {
  const SeccompArchitecture* architecture;
  std::map<std::uint32_t, Verdict> verdicts;
};

void add_verdict(Section& section, std::uint32_t number, const std::vector<SeccompArgument>& conditions,
                 std::uint32_t value) {
  Verdict& verdict = section.verdicts[number];
  if (!conditions.empty()) {
    verdict.conditional.push_back({conditions, value});
  } else if (!verdict.always) {
    verdict.always = value;
  }
}

/// The call by both ways. What a multiplexer's arguments point to is out of a filter's reach, so that of the conditions
/// only those that are not on the first argument remain there.
void add_multiplexed(Section& section, const MultiplexedCall& call, std::vector<SeccompArgument> conditions,
                     std::uint32_t value) {
  if (call.direct != 0) add_verdict(section, call.direct, conditions, value);
  std::erase_if(conditions, [](const SeccompArgument& one) { return one.index == 0; });
  conditions.push_back({0, call.selector, 0, SeccompOperator::Equal});
  add_verdict(section, call.multiplexer, conditions, value);
}

/// Conditions on different arguments must all hold. Several on one argument are alternatives, as other runtimes read
/// it.
std::vector<std::vector<SeccompArgument>> alternatives(const std::vector<SeccompArgument>& arguments) {
  std::array<int, 6> uses{};
  for (const SeccompArgument& argument : arguments) ++uses[argument.index];
  if (std::all_of(uses.begin(), uses.end(), [](int count) { return count <= 1; })) return {arguments};
  std::vector<std::vector<SeccompArgument>> result;
  for (const SeccompArgument& argument : arguments) result.push_back({argument});
  return result;
}

Section make_section(const SeccompArchitecture& architecture, const SeccompSpec& spec, std::uint32_t default_value) {
  Section section{&architecture, {}};
  for (const SeccompRule& rule : spec.rules) {
    const std::uint32_t value = return_value(rule.action, rule.errno_value);
    if (value == default_value) continue;
    for (const std::string& name : rule.names) {
      const std::int64_t number = resolve_system_call(architecture, name);
      const auto multiplexed = find_multiplexed_call(architecture, name);
      for (const auto& conditions : alternatives(rule.arguments)) {
        if (number >= 0) add_verdict(section, static_cast<std::uint32_t>(number), conditions, value);
        if (multiplexed) add_multiplexed(section, *multiplexed, conditions, value);
      }
    }
  }
  return section;
}

sock_filter statement(int code, std::uint32_t value) {
  return {static_cast<std::uint16_t>(code), 0, 0, value};
}
sock_filter jump(int code, std::uint32_t value, std::size_t if_true, std::size_t if_false) {
  return {static_cast<std::uint16_t>(BPF_JMP | BPF_K | code), static_cast<std::uint8_t>(if_true),
          static_cast<std::uint8_t>(if_false), value};
}
sock_filter give(std::uint32_t value) {
  return statement(BPF_RET | BPF_K, value);
}

void append(Code& code, const Code& more) {
  code.insert(code.end(), more.begin(), more.end());
}

/// Where the halves of an argument are in struct seccomp_data.
std::uint32_t argument_offset(std::uint32_t index, bool is_high) {
  const bool is_little = __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__;
  const std::size_t half = is_high == is_little ? 4 : 0;
  return static_cast<std::uint32_t>(offsetof(seccomp_data, args) + index * 8 + half);
}

/// Code that falls through when the condition holds and leaves through a jump, marked kToFail, when it does not.
class Condition {
 public:
  static constexpr std::uint8_t kToFail = 0xFF;
  static constexpr std::uint8_t kToEnd = 0xFE;

  Condition(const SeccompArgument& argument, bool is_64_bit) : argument_(argument), is_64_bit_(is_64_bit) {
    const bool is_masked = argument.op == SeccompOperator::MaskedEqual;
    wanted_ = is_masked ? argument.value_two : argument.value;
    mask_ = is_masked ? argument.value : ~std::uint64_t{0};
    build();
    for (std::size_t at = 0; at < code_.size(); ++at) {
      if (code_[at].jt == kToEnd) code_[at].jt = static_cast<std::uint8_t>(code_.size() - at - 1);
      if (code_[at].jf == kToEnd) code_[at].jf = static_cast<std::uint8_t>(code_.size() - at - 1);
    }
  }

  const Code& code() const { return code_; }

 private:
  std::uint32_t high() const { return static_cast<std::uint32_t>(wanted_ >> 32); }
  std::uint32_t low() const { return static_cast<std::uint32_t>(wanted_); }

  void load(bool is_high) {
    code_.push_back(statement(BPF_LD | BPF_W | BPF_ABS, argument_offset(argument_.index, is_high)));
    const auto mask = static_cast<std::uint32_t>(is_high ? mask_ >> 32 : mask_);
    if (mask != 0xFFFFFFFFu) code_.push_back(statement(BPF_ALU | BPF_AND | BPF_K, mask));
  }

  void build() {
    using enum SeccompOperator;
    if (is_64_bit_) build_high();
    load(false);
    switch (argument_.op) {
      case Equal:
      case MaskedEqual:
        return code_.push_back(jump(BPF_JEQ, low(), 0, kToFail));
      case NotEqual:
        return code_.push_back(jump(BPF_JEQ, low(), kToFail, 0));
      case Greater:
        return code_.push_back(jump(BPF_JGT, low(), 0, kToFail));
      case GreaterOrEqual:
        return code_.push_back(jump(BPF_JGE, low(), 0, kToFail));
      case Less:
        return code_.push_back(jump(BPF_JGE, low(), kToFail, 0));
      case LessOrEqual:
        return code_.push_back(jump(BPF_JGT, low(), kToFail, 0));
    }
  }

  /// Decides by the high half; equal halves go on to the low one.
  void build_high() {
    using enum SeccompOperator;
    load(true);
    switch (argument_.op) {
      case Equal:
      case MaskedEqual:
        return code_.push_back(jump(BPF_JEQ, high(), 0, kToFail));
      case NotEqual:
        return code_.push_back(jump(BPF_JEQ, high(), 0, kToEnd));
      case Greater:
      case GreaterOrEqual:
        code_.push_back(jump(BPF_JGT, high(), kToEnd, 0));
        return code_.push_back(jump(BPF_JEQ, high(), 0, kToFail));
      case Less:
      case LessOrEqual:
        code_.push_back(jump(BPF_JGT, high(), kToFail, 0));
        return code_.push_back(jump(BPF_JEQ, high(), 0, kToEnd));
    }
  }

  SeccompArgument argument_;
  bool is_64_bit_;
  std::uint64_t wanted_ = 0;
  std::uint64_t mask_ = 0;
  Code code_;
};

Code conditional_code(const Verdict::Conditional& conditional, bool is_64_bit) {
  Code code;
  for (const SeccompArgument& argument : conditional.conditions) append(code, Condition(argument, is_64_bit).code());
  code.push_back(give(conditional.value));
  for (std::size_t at = 0; at < code.size(); ++at) {
    if (BPF_CLASS(code[at].code) != BPF_JMP) continue;
    const auto after = static_cast<std::uint8_t>(code.size() - at - 1);
    if (code[at].jt == Condition::kToFail) code[at].jt = after;
    if (code[at].jf == Condition::kToFail) code[at].jf = after;
  }
  return code;
}

Code verdict_code(const Verdict& verdict, bool is_64_bit, std::uint32_t default_value) {
  Code code;
  // A rule without conditions covers those with conditions, whatever they say.
  if (!verdict.always) {
    for (const Verdict::Conditional& one : verdict.conditional) append(code, conditional_code(one, is_64_bit));
  }
  code.push_back(give(verdict.always.value_or(default_value)));
  return code;
}

/// System calls from `first` on, up to the next interval, with the same verdict.
struct Interval {
  std::uint32_t first;
  Code code;
};

bool is_same_code(const Code& left, const Code& right) {
  return std::equal(left.begin(), left.end(), right.begin(), right.end(), [](const auto& one, const auto& other) {
    return one.code == other.code && one.jt == other.jt && one.jf == other.jf && one.k == other.k;
  });
}

void add_interval(std::vector<Interval>& intervals, std::uint32_t first, Code code) {
  if (!intervals.empty() && intervals.back().first == first) intervals.pop_back();
  if (!intervals.empty() && is_same_code(intervals.back().code, code)) return;
  intervals.push_back({first, std::move(code)});
}

std::vector<Interval> intervals_of(const Section& section, std::uint32_t default_value, std::uint32_t unknown_value) {
  std::vector<Interval> intervals;
  add_interval(intervals, 0, {give(default_value)});
  for (const auto& [number, verdict] : section.verdicts) {
    add_interval(intervals, number, verdict_code(verdict, section.architecture->is_64_bit, default_value));
    add_interval(intervals, number + 1, {give(default_value)});
  }
  // What is newer than everything that the profile knows.
  if (!section.verdicts.empty()) add_interval(intervals, section.verdicts.rbegin()->first + 1, {give(unknown_value)});
  return intervals;
}

Code search_code(const std::vector<Interval>& intervals, std::size_t begin, std::size_t end) {
  if (end - begin == 1) return intervals[begin].code;
  const std::size_t middle = begin + (end - begin) / 2;
  const Code left = search_code(intervals, begin, middle);
  const Code right = search_code(intervals, middle, end);
  Code code;
  if (left.size() <= 255) {
    code.push_back(jump(BPF_JGE, intervals[middle].first, left.size(), 0));
  } else {
    code.push_back(jump(BPF_JGE, intervals[middle].first, 0, 1));
    code.push_back(statement(BPF_JMP | BPF_JA, static_cast<std::uint32_t>(left.size())));
  }
  append(code, left);
  append(code, right);
  return code;
}

Code section_code(const Section& section, std::uint32_t default_value, std::uint32_t unknown_value) {
  const std::vector<Interval> intervals = intervals_of(section, default_value, unknown_value);
  return search_code(intervals, 0, intervals.size());
}

/// "If A is `value`, run `body`", as a block that is skipped otherwise.
Code guarded(int comparison, std::uint32_t value, const Code& body) {
  Code code = {jump(comparison, value, 1, 0), statement(BPF_JMP | BPF_JA, static_cast<std::uint32_t>(body.size()))};
  append(code, body);
  return code;
}

/// All that runs for one audit architecture: x86_64 and x32 share theirs.
Code architecture_code(const std::vector<Section>& sections, std::uint32_t audit, std::uint32_t default_value,
                       std::uint32_t unknown_value) {
  Code code = {statement(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr))};
  const Section* plain = nullptr;
  const Section* x32 = nullptr;
  for (const Section& section : sections) {
    if (section.architecture->audit != audit) continue;
    (section.architecture->number_base == kX32Bit ? x32 : plain) = &section;
  }
  if (audit == AUDIT_ARCH_X86_64) {
    const Code body =
        x32 == nullptr ? Code{give(SECCOMP_RET_KILL_THREAD)} : section_code(*x32, default_value, unknown_value);
    append(code, guarded(BPF_JGE, kX32Bit, body));
  }
  append(code,
         plain == nullptr ? Code{give(SECCOMP_RET_KILL_THREAD)} : section_code(*plain, default_value, unknown_value));
  return code;
}

/// A profile written before a system call existed says nothing about it. ENOSYS lets programs fall back, where the
/// EPERM of the default makes them fail; runc does the same.
std::uint32_t value_for_unknown(const SeccompSpec& spec, std::uint32_t default_value) {
  switch (spec.default_action) {
    case SeccompAction::Errno:
    case SeccompAction::KillThread:
    case SeccompAction::KillProcess:
    case SeccompAction::Trap:
      return SECCOMP_RET_ERRNO | ENOSYS;
    default:
      return default_value;
  }
}

std::vector<Section> make_sections(const SeccompSpec& spec, std::uint32_t default_value) {
  std::vector<Section> sections;
  // The native one always belongs to it, and is alone when none is named.
  std::vector<std::string> names = seccomp_host().architectures;
  names.resize(std::min<std::size_t>(names.size(), 1));
  names.insert(names.end(), spec.architectures.begin(), spec.architectures.end());
  for (const std::string& name : names) {
    const SeccompArchitecture& architecture = find_seccomp_architecture(name);
    const auto is_same = [&](const Section& one) { return one.architecture == &architecture; };
    if (std::any_of(sections.begin(), sections.end(), is_same)) continue;
    sections.push_back(make_section(architecture, spec, default_value));
  }
  return sections;
}

}  // namespace

std::string compile_seccomp(const SeccompSpec& spec) {
  if (spec.default_action == SeccompAction::Notify) {
    throw Error(ErrorKind::Invalid, "SCMP_ACT_NOTIFY cannot be the default action");
  }
  const std::uint32_t default_value = return_value(spec.default_action, spec.default_errno);
  const std::uint32_t unknown_value = value_for_unknown(spec, default_value);
  const std::vector<Section> sections = make_sections(spec, default_value);
  Code code = {statement(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, arch))};
  std::vector<std::uint32_t> done;
  for (const Section& section : sections) {
    const std::uint32_t audit = section.architecture->audit;
    if (std::find(done.begin(), done.end(), audit) != done.end()) continue;
    done.push_back(audit);
    append(code, guarded(BPF_JEQ, audit, architecture_code(sections, audit, default_value, unknown_value)));
  }
  code.push_back(give(SECCOMP_RET_KILL_THREAD));
  if (code.size() > kMaxProgram) throw Error(ErrorKind::Invalid, "the seccomp profile is too large for the kernel");
  return {reinterpret_cast<const char*>(code.data()), code.size() * sizeof(sock_filter)};
}

}  // namespace ctr
