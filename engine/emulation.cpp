#include "engine/emulation.h"

#include <map>

#include "base/error.h"
#include "base/file.h"
#include "base/process.h"
#include "base/text.h"

namespace ctr {
namespace {

/// qemu's name of an architecture; empty if it has none.
std::string qemu_name(const std::string& architecture) {
  static const std::map<std::string, std::string> kNames = {
      {"amd64", "x86_64"},   {"386", "i386"},       {"arm64", "aarch64"}, {"arm", "arm"},
      {"riscv64", "riscv64"}, {"ppc64le", "ppc64le"}, {"s390x", "s390x"},   {"mips64le", "mips64el"},
      {"loong64", "loongarch64"}};
  const auto found = kNames.find(architecture);
  return found == kNames.end() ? std::string() : found->second;
}

bool is_registered(const std::string& qemu) {
  const std::optional<std::string> entry = find_file("/proc/sys/fs/binfmt_misc/qemu-" + qemu);
  return entry && entry->starts_with("enabled");
}

}  // namespace

bool can_execute(const Platform& platform) {
  if (platform.os != "linux") return false;
  if (platform_score(host_platform(), platform) > 0) return true;
  if (host_platform().architecture == "amd64" && platform.architecture == "386") return true;
  const std::string qemu = qemu_name(platform.architecture);
  return !qemu.empty() && is_registered(qemu);
}

std::string why_not_executable(const Platform& platform) {
  if (platform.os != "linux") return "programs for " + platform.os + " don't run on Linux";
  const std::string qemu = qemu_name(platform.architecture);
  if (qemu.empty()) return "there is no emulator for " + platform.str();
  if (!find_program("qemu-" + qemu + "-static")) return "install the package qemu-user-static to run it";
  return "qemu-" + qemu + " is installed but not registered with binfmt_misc (the package binfmt-support does it)";
}

std::string check_platform(const Platform& image, const std::optional<Platform>& requested) {
  if (image.architecture.empty() || platform_score(host_platform(), image) > 0) return {};
  if (!can_execute(image)) {
    throw Error(ErrorKind::Unavailable, "this image is for " + image.str() + " and this machine is " +
                                            host_platform().str() + ": " + why_not_executable(image));
  }
  if (requested) return {};
  return "The requested image's platform (" + image.str() + ") does not match the detected host platform (" +
         host_platform().str() + ") and no specific platform was requested";
}

}  // namespace ctr
