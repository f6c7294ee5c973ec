#include "engine/builds.h"

#include "base/trace.h"
#include "engine/build_services.h"
#include "engine/events.h"
#include "engine/logins.h"
#include "image/store.h"
#include "registry/session.h"
#include "runtime/protected_program.h"

namespace ctr {

void protect_from_builds() { run_from_protected_program(); }

BuildResult build_image(Context& context, const BuildRequest& request, BuildProgress& progress) {
  const TraceSpan span("build");
  tidy_dead_build_networks(context);
  const std::unique_ptr<RegistrySession> session = open_registry_session(context);
  Store& store = context.store();
  const BuildResult result = build(store, request, build_services(context, *session), progress);
  for (const std::string& name : result.names) {
    context.events().append({"image", "tag", result.image_id, {{"name", name}}, 0});
  }
  return result;
}

}  // namespace ctr
