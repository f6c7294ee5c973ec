// System calls as the kernel numbers them on each architecture: names come from libseccomp, newer ones and those that a
// multiplexer hides from tables here.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace ctr {

/// The bit that x32 sets in each number.
inline constexpr std::uint32_t kX32Bit = 0x40000000;

struct SeccompArchitecture {
  std::string_view name;
  std::uint32_t token;        // libseccomp's
  std::uint32_t audit;        // what the kernel says
  std::uint32_t number_base;  // where its system calls start
  bool is_64_bit;
  bool has_multiplexer;  // socketcall and ipc
};

/// By the specification's name. Throws Invalid for an unknown one.
const SeccompArchitecture& find_seccomp_architecture(std::string_view name);

/// The number as the kernel sees it, or a negative one when the architecture lacks the call.
std::int64_t resolve_system_call(const SeccompArchitecture& architecture, const std::string& name);

/// The two ways to a call that an architecture also offers through socketcall or ipc.
struct MultiplexedCall {
  /// 0 when there is no direct one.
  std::uint32_t direct = 0;
  std::uint32_t multiplexer = 0;
  /// The multiplexer's first argument.
  std::uint32_t selector = 0;
};
std::optional<MultiplexedCall> find_multiplexed_call(const SeccompArchitecture& architecture, const std::string& name);

}  // namespace ctr
