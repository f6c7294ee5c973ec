#include "engine/registry_copies.h"

#include "engine/logins.h"
#include "registry/session.h"

namespace ctr {

Descriptor copy_between_registries(Context& context, const std::string& source, const std::string& destination,
                                   const CopyOptions& options) {
  const std::unique_ptr<RegistrySession> session = open_registry_session(context);
  return copy_image(*session, parse_copy_place(source), parse_copy_place(destination), options).target;
}

}  // namespace ctr
