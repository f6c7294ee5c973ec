#include "runtime/seccomp.h"

#include <cerrno>
#include <cstring>
#include <functional>
#include <gtest/gtest.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <seccomp.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"
#include "runtime/capabilities.h"
#include "runtime/spec_defaults.h"

namespace ctr {
namespace {

/// Docker's own profile, where the machine has a copy to compare with.
constexpr const char* kReferences[] = {"../../shared/data/seccomp-default.json",
                                       "../../../shared/data/seccomp-default.json"};

std::optional<Json> reference_profile() {
  for (const fs::path path : kReferences) {
    if (const auto text = find_file(fs::path(CTR_TESTDATA) / path)) return Json::parse(*text);
  }
  return std::nullopt;
}

/// The kernel's classic BPF machine, as far as seccomp allows it.
std::uint32_t run_filter(const std::string& filter, const seccomp_data& data) {
  std::vector<sock_filter> code(filter.size() / sizeof(sock_filter));
  std::memcpy(code.data(), filter.data(), filter.size());
  std::uint32_t accumulator = 0;
  for (std::size_t at = 0; at < code.size(); ++at) {
    const sock_filter& one = code[at];
    switch (one.code) {
      case BPF_LD | BPF_W | BPF_ABS:
        std::memcpy(&accumulator, reinterpret_cast<const char*>(&data) + one.k, sizeof accumulator);
        break;
      case BPF_ALU | BPF_AND | BPF_K:
        accumulator &= one.k;
        break;
      case BPF_JMP | BPF_JA:
        at += one.k;
        break;
      case BPF_JMP | BPF_JEQ | BPF_K:
        at += accumulator == one.k ? one.jt : one.jf;
        break;
      case BPF_JMP | BPF_JGE | BPF_K:
        at += accumulator >= one.k ? one.jt : one.jf;
        break;
      case BPF_JMP | BPF_JGT | BPF_K:
        at += accumulator > one.k ? one.jt : one.jf;
        break;
      case BPF_RET | BPF_K:
        return one.k;
      default:
        ADD_FAILURE() << "unexpected instruction " << one.code;
        return 0;
    }
  }
  ADD_FAILURE() << "the filter runs past its end";
  return 0;
}

std::uint32_t verdict(const std::string& filter, std::uint32_t arch, int number, std::vector<std::uint64_t> args = {}) {
  seccomp_data data{};
  data.arch = arch;
  data.nr = number;
  for (std::size_t index = 0; index < args.size(); ++index) data.args[index] = args[index];
  return run_filter(filter, data);
}

constexpr std::uint32_t kEperm = SECCOMP_RET_ERRNO | EPERM;
constexpr std::uint32_t kNoSys = SECCOMP_RET_ERRNO | ENOSYS;

std::uint32_t libseccomp_action(const SeccompRule& rule) {
  return rule.action == SeccompAction::Errno ? SCMP_ACT_ERRNO(rule.errno_value.value_or(EPERM)) : SCMP_ACT_ALLOW;
}

scmp_compare libseccomp_operator(SeccompOperator op) {
  switch (op) {
    case SeccompOperator::NotEqual:
      return SCMP_CMP_NE;
    case SeccompOperator::Less:
      return SCMP_CMP_LT;
    case SeccompOperator::LessOrEqual:
      return SCMP_CMP_LE;
    case SeccompOperator::Equal:
      return SCMP_CMP_EQ;
    case SeccompOperator::GreaterOrEqual:
      return SCMP_CMP_GE;
    case SeccompOperator::Greater:
      return SCMP_CMP_GT;
    case SeccompOperator::MaskedEqual:
      return SCMP_CMP_MASKED_EQ;
  }
  return SCMP_CMP_EQ;
}

/// The same spec through the library that other runtimes use.
std::string compile_with_libseccomp(const SeccompSpec& spec) {
  const scmp_filter_ctx context = seccomp_init(SCMP_ACT_ERRNO(spec.default_errno.value_or(EPERM)));
  seccomp_arch_add(context, SCMP_ARCH_X86);
  seccomp_arch_add(context, SCMP_ARCH_X32);
  for (const SeccompRule& rule : spec.rules) {
    std::vector<scmp_arg_cmp> arguments;
    for (const SeccompArgument& one : rule.arguments) {
      arguments.push_back({one.index, libseccomp_operator(one.op), one.value, one.value_two});
    }
    for (const std::string& name : rule.names) {
      const int number = seccomp_syscall_resolve_name(name.c_str());
      if (number == __NR_SCMP_ERROR) continue;
      seccomp_rule_add_array(context, libseccomp_action(rule), number, static_cast<unsigned>(arguments.size()),
                             arguments.data());
    }
  }
  const Fd file(static_cast<int>(::syscall(SYS_memfd_create, "filter", MFD_CLOEXEC)));
  EXPECT_EQ(seccomp_export_bpf(context, file.get()), 0);
  seccomp_release(context);
  std::string filter(static_cast<std::size_t>(::lseek(file.get(), 0, SEEK_END)), '\0');
  EXPECT_EQ(::pread(file.get(), filter.data(), filter.size(), 0), static_cast<ssize_t>(filter.size()));
  return filter;
}

bool library_knows(std::uint32_t token, int number) {
  char* name = seccomp_syscall_resolve_num_arch(token, number);
  std::free(name);
  return name != nullptr;
}

TEST(Seccomp, DefaultProfileEqualsDockersForEveryCapability) {
  const auto profile = reference_profile();
  if (!profile) GTEST_SKIP() << "no copy of Docker's profile to compare with";
  std::vector<std::uint64_t> sets = {0, default_capabilities(), ~std::uint64_t{0}};
  for (int number = 0; number < 41; ++number) sets.push_back(std::uint64_t{1} << number);
  for (const std::uint64_t capabilities : sets) {
    EXPECT_EQ(compile_seccomp(default_seccomp(capabilities)),
              compile_seccomp(parse_seccomp_profile(*profile, capabilities)))
        << "with capabilities " << capabilities;
  }
}

#ifdef __x86_64__
TEST(Seccomp, VerdictsEqualThoseOfLibseccomp) {
  const SeccompSpec spec = default_seccomp(default_capabilities());
  const std::string ours = compile_seccomp(spec);
  const std::string theirs = compile_with_libseccomp(spec);
  const std::vector<std::uint64_t> probes = {
      0,          1,          8,    37,      38,         39,         40,          41,          0x20000,   0x20008,
      0xFFFFFFFF, 0x10000000, 0x11, 1u << 7, 0x7E020000, 0x7E020011, 0x100000000, 0x100000026, 1ull << 63};
  struct Place {
    std::uint32_t audit;
    std::uint32_t token;
    int base;
  };
  for (const Place& place : {Place{AUDIT_ARCH_X86_64, SCMP_ARCH_X86_64, 0}, Place{AUDIT_ARCH_I386, SCMP_ARCH_X86, 0},
                             Place{AUDIT_ARCH_X86_64, SCMP_ARCH_X32, 0x40000000}}) {
    for (int number = place.base; number < place.base + 450; ++number) {
      // The library says nothing about calls that are newer than itself.
      if (!library_knows(place.token, number)) continue;
      for (const std::uint64_t value : probes) {
        const std::vector<std::uint64_t> args = {value, value, 0, 0, 0, 0};
        ASSERT_EQ(verdict(ours, place.audit, number, args), verdict(theirs, place.audit, number, args))
            << "call " << number << " of architecture " << place.token << " with " << value;
      }
    }
  }
  EXPECT_EQ(verdict(ours, AUDIT_ARCH_AARCH64, 0), verdict(theirs, AUDIT_ARCH_AARCH64, 0));
}

TEST(Seccomp, EachOperatorComparesAll64Bits) {
  struct Case {
    SeccompOperator op;
    std::uint64_t value;
    std::uint64_t value_two;
    std::function<bool(std::uint64_t)> holds;
  };
  const std::uint64_t pivot = 0x200000005;
  const std::vector<Case> cases = {
      {SeccompOperator::Equal, pivot, 0, [&](std::uint64_t x) { return x == pivot; }},
      {SeccompOperator::NotEqual, pivot, 0, [&](std::uint64_t x) { return x != pivot; }},
      {SeccompOperator::Less, pivot, 0, [&](std::uint64_t x) { return x < pivot; }},
      {SeccompOperator::LessOrEqual, pivot, 0, [&](std::uint64_t x) { return x <= pivot; }},
      {SeccompOperator::Greater, pivot, 0, [&](std::uint64_t x) { return x > pivot; }},
      {SeccompOperator::GreaterOrEqual, pivot, 0, [&](std::uint64_t x) { return x >= pivot; }},
      {SeccompOperator::MaskedEqual, 0x30000000F, pivot, [&](std::uint64_t x) { return (x & 0x30000000F) == pivot; }},
  };
  for (const Case& one : cases) {
    SeccompSpec spec;
    spec.rules.push_back({{"read"}, SeccompAction::Allow, {}, {{1, one.value, one.value_two, one.op}}});
    const std::string filter = compile_seccomp(spec);
    for (const std::uint64_t high : {0ull, 1ull, 2ull, 3ull, 0xFFFFFFFFull}) {
      for (const std::uint64_t low : {0ull, 4ull, 5ull, 6ull, 0xFFFFFFFFull}) {
        const std::uint64_t value = high << 32 | low;
        EXPECT_EQ(verdict(filter, AUDIT_ARCH_X86_64, SYS_read, {0, value}) == SECCOMP_RET_ALLOW, one.holds(value))
            << "operator " << static_cast<int>(one.op) << " with " << value;
      }
    }
  }
}

TEST(Seccomp, RuleWithoutConditionsCoversThoseWithConditions) {
  SeccompSpec spec;
  spec.rules.push_back({{"read"}, SeccompAction::Log, {}, {{0, 1, 0, SeccompOperator::Equal}}});
  spec.rules.push_back({{"read"}, SeccompAction::Allow, {}, {}});
  EXPECT_EQ(verdict(compile_seccomp(spec), AUDIT_ARCH_X86_64, SYS_read, {1}), SECCOMP_RET_ALLOW);
}

TEST(Seccomp, SeveralConditionsOnOneArgumentAreAlternatives) {
  SeccompSpec spec;
  spec.rules.push_back(
      {{"read"}, SeccompAction::Allow, {}, {{0, 1, 0, SeccompOperator::Equal}, {0, 2, 0, SeccompOperator::Equal}}});
  const std::string filter = compile_seccomp(spec);
  EXPECT_EQ(verdict(filter, AUDIT_ARCH_X86_64, SYS_read, {1}), SECCOMP_RET_ALLOW);
  EXPECT_EQ(verdict(filter, AUDIT_ARCH_X86_64, SYS_read, {2}), SECCOMP_RET_ALLOW);
  EXPECT_EQ(verdict(filter, AUDIT_ARCH_X86_64, SYS_read, {3}), kEperm);
}

TEST(Seccomp, ConditionsOnDifferentArgumentsMustAllHold) {
  SeccompSpec spec;
  spec.rules.push_back(
      {{"read"}, SeccompAction::Allow, {}, {{0, 1, 0, SeccompOperator::Equal}, {2, 2, 0, SeccompOperator::Equal}}});
  const std::string filter = compile_seccomp(spec);
  EXPECT_EQ(verdict(filter, AUDIT_ARCH_X86_64, SYS_read, {1, 0, 2}), SECCOMP_RET_ALLOW);
  EXPECT_EQ(verdict(filter, AUDIT_ARCH_X86_64, SYS_read, {1, 0, 3}), kEperm);
}

TEST(Seccomp, UnknownNewerCallsAnswerEnosysUnderAnAllowList) {
  const std::string filter = compile_seccomp(default_seccomp(default_capabilities()));
  EXPECT_EQ(verdict(filter, AUDIT_ARCH_X86_64, 2000), kNoSys);
  EXPECT_EQ(verdict(filter, AUDIT_ARCH_X86_64, SYS_mount), kEperm);
  EXPECT_EQ(verdict(filter, AUDIT_ARCH_X86_64, SYS_clone3), kNoSys);
  SeccompSpec deny_list;
  deny_list.default_action = SeccompAction::Allow;
  deny_list.rules.push_back({{"mount"}, SeccompAction::Errno, {}, {}});
  EXPECT_EQ(verdict(compile_seccomp(deny_list), AUDIT_ARCH_X86_64, 2000), SECCOMP_RET_ALLOW);
}

TEST(Seccomp, ActionsCarryTheirErrno) {
  SeccompSpec spec;
  spec.default_action = SeccompAction::Allow;
  spec.rules = {{{"read"}, SeccompAction::Errno, 42, {}},       {{"write"}, SeccompAction::Trap, {}, {}},
                {{"open"}, SeccompAction::KillProcess, {}, {}}, {{"close"}, SeccompAction::KillThread, {}, {}},
                {{"stat"}, SeccompAction::Log, {}, {}},         {{"fstat"}, SeccompAction::Trace, 7, {}},
                {{"lstat"}, SeccompAction::Notify, {}, {}}};
  const std::string filter = compile_seccomp(spec);
  const auto of = [&](int number) { return verdict(filter, AUDIT_ARCH_X86_64, number); };
  EXPECT_EQ(of(SYS_read), SECCOMP_RET_ERRNO | 42);
  EXPECT_EQ(of(SYS_write), SECCOMP_RET_TRAP);
  EXPECT_EQ(of(SYS_open), SECCOMP_RET_KILL_PROCESS);
  EXPECT_EQ(of(SYS_close), SECCOMP_RET_KILL_THREAD);
  EXPECT_EQ(of(SYS_stat), SECCOMP_RET_LOG);
  EXPECT_EQ(of(SYS_fstat), SECCOMP_RET_TRACE | 7);
  EXPECT_EQ(of(SYS_lstat), SECCOMP_RET_USER_NOTIF);
  EXPECT_EQ(of(SYS_getpid), SECCOMP_RET_ALLOW);
}

TEST(Seccomp, ForeignArchitectureIsKilled) {
  SeccompSpec spec;
  spec.default_action = SeccompAction::Allow;
  spec.architectures = {"SCMP_ARCH_X86_64"};
  EXPECT_EQ(verdict(compile_seccomp(spec), AUDIT_ARCH_I386, 1), SECCOMP_RET_KILL_THREAD);
  EXPECT_EQ(verdict(compile_seccomp(spec), AUDIT_ARCH_X86_64, 0x40000001), SECCOMP_RET_KILL_THREAD);
}
#endif

TEST(Seccomp, UnknownNamesAreSkippedAndUnknownArchitecturesRefused) {
  SeccompSpec spec;
  spec.rules.push_back({{"no_such_call", "read"}, SeccompAction::Allow, {}, {}});
  EXPECT_NO_THROW(compile_seccomp(spec));
  spec.architectures = {"SCMP_ARCH_PDP11"};
  EXPECT_THROW(compile_seccomp(spec), Error);
}

TEST(Seccomp, NotifyAsDefaultIsRefused) {
  SeccompSpec spec;
  spec.default_action = SeccompAction::Notify;
  EXPECT_THROW(compile_seccomp(spec), Error);
}

TEST(Seccomp, ProfileFileInPlainOciFormIsAccepted) {
  const SeccompSpec spec = parse_seccomp_profile(
      Json::parse(
          R"({"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["mkdir"],"action":"SCMP_ACT_ERRNO","errnoRet":5}]})"),
      0);
  ASSERT_EQ(spec.rules.size(), 1u);
  EXPECT_EQ(spec.rules[0].errno_value, 5u);
}

}  // namespace
}  // namespace ctr
