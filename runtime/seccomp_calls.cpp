#include "runtime/seccomp_calls.h"

#include <algorithm>
#include <array>
#include <linux/audit.h>
#include <seccomp.h>

#include "base/error.h"
#include "base/json.h"

namespace ctr {

namespace {

constexpr std::array kArchitectures = {
    SeccompArchitecture{"SCMP_ARCH_X86_64", SCMP_ARCH_X86_64, AUDIT_ARCH_X86_64, 0, true, false},
    SeccompArchitecture{"SCMP_ARCH_X86", SCMP_ARCH_X86, AUDIT_ARCH_I386, 0, false, true},
    SeccompArchitecture{"SCMP_ARCH_X32", SCMP_ARCH_X32, AUDIT_ARCH_X86_64, kX32Bit, false, false},
    SeccompArchitecture{"SCMP_ARCH_AARCH64", SCMP_ARCH_AARCH64, AUDIT_ARCH_AARCH64, 0, true, false},
    SeccompArchitecture{"SCMP_ARCH_ARM", SCMP_ARCH_ARM, AUDIT_ARCH_ARM, 0, false, false},
    SeccompArchitecture{"SCMP_ARCH_MIPS", SCMP_ARCH_MIPS, AUDIT_ARCH_MIPS, 4000, false, true},
    SeccompArchitecture{"SCMP_ARCH_MIPS64", SCMP_ARCH_MIPS64, AUDIT_ARCH_MIPS64, 5000, true, false},
    SeccompArchitecture{"SCMP_ARCH_MIPS64N32", SCMP_ARCH_MIPS64N32, AUDIT_ARCH_MIPS64N32, 6000, false, false},
    SeccompArchitecture{"SCMP_ARCH_MIPSEL", SCMP_ARCH_MIPSEL, AUDIT_ARCH_MIPSEL, 4000, false, true},
    SeccompArchitecture{"SCMP_ARCH_MIPSEL64", SCMP_ARCH_MIPSEL64, AUDIT_ARCH_MIPSEL64, 5000, true, false},
    SeccompArchitecture{"SCMP_ARCH_MIPSEL64N32", SCMP_ARCH_MIPSEL64N32, AUDIT_ARCH_MIPSEL64N32, 6000, false, false},
    SeccompArchitecture{"SCMP_ARCH_PPC", SCMP_ARCH_PPC, AUDIT_ARCH_PPC, 0, false, true},
    SeccompArchitecture{"SCMP_ARCH_PPC64", SCMP_ARCH_PPC64, AUDIT_ARCH_PPC64, 0, true, true},
    SeccompArchitecture{"SCMP_ARCH_PPC64LE", SCMP_ARCH_PPC64LE, AUDIT_ARCH_PPC64LE, 0, true, true},
    SeccompArchitecture{"SCMP_ARCH_S390", SCMP_ARCH_S390, AUDIT_ARCH_S390, 0, false, true},
    SeccompArchitecture{"SCMP_ARCH_S390X", SCMP_ARCH_S390X, AUDIT_ARCH_S390X, 0, true, true},
    SeccompArchitecture{"SCMP_ARCH_PARISC", SCMP_ARCH_PARISC, AUDIT_ARCH_PARISC, 0, false, false},
    SeccompArchitecture{"SCMP_ARCH_PARISC64", SCMP_ARCH_PARISC64, AUDIT_ARCH_PARISC64, 0, true, false},
    SeccompArchitecture{"SCMP_ARCH_RISCV64", SCMP_ARCH_RISCV64, AUDIT_ARCH_RISCV64, 0, true, false},
};

struct Numbered {
  std::string_view name;
  int number;
};

/// Newer than the library of the floor (libseccomp 2.5.4), and the same on every architecture above its base.
constexpr std::array kNewCalls = {
    Numbered{"set_mempolicy_home_node", 450},
    Numbered{"cachestat", 451},
    Numbered{"fchmodat2", 452},
    Numbered{"map_shadow_stack", 453},
    Numbered{"futex_wake", 454},
    Numbered{"futex_wait", 455},
    Numbered{"futex_requeue", 456},
    Numbered{"statmount", 457},
    Numbered{"listmount", 458},
    Numbered{"lsm_get_self_attr", 459},
    Numbered{"lsm_set_self_attr", 460},
    Numbered{"lsm_list_modules", 461},
    Numbered{"mseal", 462},
    Numbered{"setxattrat", 463},
    Numbered{"getxattrat", 464},
    Numbered{"listxattrat", 465},
    Numbered{"removexattrat", 466},
    Numbered{"open_tree_attr", 467},
    Numbered{"file_getattr", 468},
    Numbered{"file_setattr", 469},
};

constexpr std::array kX8664Calls = {Numbered{"uretprobe", 335}, Numbered{"uprobe", 336}};

/// A call that some architectures offer twice: through socketcall or ipc, whose first argument is the selector, and,
/// since Linux 4.3 or 5.1, directly. The library knows only the first way.
struct Multiplexed {
  std::string_view name;
  std::uint32_t selector;
  // 0 where there is none.
  int x86;
  int s390;
  int ppc;
  int mips;
};

constexpr std::array kSocketCalls = {
    Multiplexed{"socket", 1, 359, 359, 326, 4183},
    Multiplexed{"bind", 2, 361, 361, 327, 4169},
    Multiplexed{"connect", 3, 362, 362, 328, 4170},
    Multiplexed{"listen", 4, 363, 363, 329, 4174},
    Multiplexed{"accept", 5, 0, 0, 330, 4168},
    Multiplexed{"getsockname", 6, 367, 367, 331, 4172},
    Multiplexed{"getpeername", 7, 368, 368, 332, 4171},
    Multiplexed{"socketpair", 8, 360, 360, 333, 4184},
    Multiplexed{"send", 9, 0, 0, 334, 4178},
    Multiplexed{"recv", 10, 0, 0, 336, 4175},
    Multiplexed{"sendto", 11, 369, 369, 335, 4180},
    Multiplexed{"recvfrom", 12, 371, 371, 337, 4176},
    Multiplexed{"shutdown", 13, 373, 373, 338, 4182},
    Multiplexed{"setsockopt", 14, 366, 366, 339, 4181},
    Multiplexed{"getsockopt", 15, 365, 365, 340, 4173},
    Multiplexed{"sendmsg", 16, 370, 370, 341, 4179},
    Multiplexed{"recvmsg", 17, 372, 372, 342, 4177},
    Multiplexed{"accept4", 18, 364, 364, 344, 4334},
    Multiplexed{"recvmmsg", 19, 337, 357, 343, 4335},
    Multiplexed{"sendmmsg", 20, 345, 358, 349, 4343},
};
constexpr std::array kIpcCalls = {
    Multiplexed{"semop", 1, 0, 0, 0, 0},
    Multiplexed{"semget", 2, 393, 393, 393, 4393},
    Multiplexed{"semctl", 3, 394, 394, 394, 4394},
    Multiplexed{"semtimedop", 4, 0, 392, 392, 0},
    Multiplexed{"msgsnd", 11, 400, 400, 400, 4400},
    Multiplexed{"msgrcv", 12, 401, 401, 401, 4401},
    Multiplexed{"msgget", 13, 399, 399, 399, 4399},
    Multiplexed{"msgctl", 14, 402, 402, 402, 4402},
    Multiplexed{"shmat", 21, 397, 397, 397, 4397},
    Multiplexed{"shmdt", 22, 398, 398, 398, 4398},
    Multiplexed{"shmget", 23, 395, 395, 395, 4395},
    Multiplexed{"shmctl", 24, 396, 396, 396, 4396},
};

template <std::size_t Size>
const Multiplexed* find_multiplexed(const std::array<Multiplexed, Size>& table, std::string_view name) {
  const auto found = std::find_if(table.begin(), table.end(), [&](const Multiplexed& one) { return one.name == name; });
  return found == table.end() ? nullptr : &*found;
}

int direct_number(const SeccompArchitecture& architecture, const Multiplexed& call) {
  switch (architecture.audit) {
    case AUDIT_ARCH_I386:
      return call.x86;
    case AUDIT_ARCH_S390:
    case AUDIT_ARCH_S390X:
      return call.s390;
    case AUDIT_ARCH_PPC:
    case AUDIT_ARCH_PPC64:
    case AUDIT_ARCH_PPC64LE:
      return call.ppc;
    default:
      return call.mips;
  }
}

template <std::size_t Size>
int number_in(const std::array<Numbered, Size>& table, std::string_view name) {
  for (const Numbered& one : table) {
    if (one.name == name) return one.number;
  }
  return -1;
}

}  // namespace

const SeccompArchitecture& find_seccomp_architecture(std::string_view name) {
  for (const SeccompArchitecture& one : kArchitectures) {
    if (one.name == name) return one;
  }
  throw Error(ErrorKind::Invalid, "no seccomp architecture " + json_quote(name));
}

std::int64_t resolve_system_call(const SeccompArchitecture& architecture, const std::string& name) {
  const int known = seccomp_syscall_resolve_name_arch(architecture.token, name.c_str());
  if (known >= 0) return known;
  if (architecture.audit == AUDIT_ARCH_X86_64 && architecture.number_base == 0) {
    if (const int number = number_in(kX8664Calls, name); number >= 0) return number;
  }
  const int number = number_in(kNewCalls, name);
  return number < 0 ? -1 : static_cast<std::int64_t>(architecture.number_base) + number;
}

std::optional<MultiplexedCall> find_multiplexed_call(const SeccompArchitecture& architecture, const std::string& name) {
  if (!architecture.has_multiplexer) return std::nullopt;
  const Multiplexed* socket_call = find_multiplexed(kSocketCalls, name);
  const Multiplexed* call = socket_call != nullptr ? socket_call : find_multiplexed(kIpcCalls, name);
  if (call == nullptr) return std::nullopt;
  const std::int64_t multiplexer = resolve_system_call(architecture, socket_call != nullptr ? "socketcall" : "ipc");
  if (multiplexer < 0) return std::nullopt;
  return MultiplexedCall{static_cast<std::uint32_t>(direct_number(architecture, *call)),
                         static_cast<std::uint32_t>(multiplexer), call->selector};
}

}  // namespace ctr
