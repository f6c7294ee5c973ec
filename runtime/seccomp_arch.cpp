#include "runtime/seccomp_arch.h"

#include <array>
#include <sys/utsname.h>

#include "base/text.h"

namespace ctr {

namespace {

struct Architecture {
  std::string_view machine;
  std::string_view go_name;
  std::string_view own;
  std::string_view compatible;
};

constexpr std::array kArchitectures = {
    Architecture{"x86_64", "amd64", "SCMP_ARCH_X86_64", "SCMP_ARCH_X86 SCMP_ARCH_X32"},
    Architecture{"aarch64", "arm64", "SCMP_ARCH_AARCH64", "SCMP_ARCH_ARM"},
    Architecture{"s390x", "s390x", "SCMP_ARCH_S390X", "SCMP_ARCH_S390"},
    Architecture{"ppc64le", "ppc64le", "SCMP_ARCH_PPC64LE", ""},
    Architecture{"riscv64", "riscv64", "SCMP_ARCH_RISCV64", ""},
    Architecture{"i686", "x86", "SCMP_ARCH_X86", ""},
    Architecture{"armv7l", "arm", "SCMP_ARCH_ARM", ""},
    Architecture{"mips64", "mips64", "SCMP_ARCH_MIPS64", "SCMP_ARCH_MIPS SCMP_ARCH_MIPS64N32"},
};

}  // namespace

SeccompHost seccomp_host() {
  utsname name{};
  ::uname(&name);
  for (const Architecture& one : kArchitectures) {
    if (one.machine != name.machine) continue;
    SeccompHost host{std::string(one.go_name), {std::string(one.own)}};
    for (const std::string& compatible : split_words(one.compatible)) host.architectures.push_back(compatible);
    return host;
  }
  return {name.machine, {}};
}

std::string_view go_architecture(std::string_view scmp_name) {
  for (const Architecture& one : kArchitectures) {
    if (one.own == scmp_name) return one.go_name;
  }
  return {};
}

}  // namespace ctr
