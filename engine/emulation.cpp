#include "engine/emulation.h"

#include "base/error.h"

namespace ctr {

HostRegistration host_registration(const Configuration& configuration) {
  return configuration.registers_emulators ? HostRegistration::Allowed : HostRegistration::Refused;
}

std::string check_platform(const Platform& image, const std::optional<Platform>& requested) {
  if (image.architecture.empty() || platform_score(host_platform(), image) > 0) return {};
  execution_of(image);
  if (requested) return {};
  return "The requested image's platform (" + image.str() + ") does not match the detected host platform (" +
         host_platform().str() + ") and no specific platform was requested";
}

}  // namespace ctr
