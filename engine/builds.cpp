#include "engine/builds.h"

#include <sys/stat.h>

#include "base/error.h"
#include "base/json.h"
#include "base/trace.h"
#include "engine/build_services.h"
#include "engine/builders.h"
#include "engine/cache_prune.h"
#include "engine/emulation.h"
#include "engine/events.h"
#include "engine/logins.h"
#include "image/store.h"
#include "registry/session.h"
#include "runtime/protected_program.h"

namespace ctr {

namespace {

/// Changes when a build puts something into the cache.
::timespec cache_stamp(Context& context) {
  struct ::stat info = {};
  if (::stat((context.paths().root / "cache").c_str(), &info) != 0) return {};
  return info.st_mtim;
}

/// Within its bound; a build that is done does not fail for it.
void tidy_cache(Context& context, const BuilderRecord& builder, BuildProgress& progress) {
  const TraceSpan span("bound build cache");
  try {
    bound_build_cache(context, builder.cache_size);
  } catch (const Error& error) {
    progress.warned(std::string("the build cache was not tidied: ") + error.what());
  }
}

BuildRequest with_limits_of(const BuilderRecord& builder, BuildRequest request) {
  if (request.limits.jobs == 0) request.limits.jobs = builder.limits.jobs;
  if (request.limits.memory_bytes == 0) request.limits.memory_bytes = builder.limits.memory_bytes;
  if (request.limits.cpus == 0) request.limits.cpus = builder.limits.cpus;
  return request;
}

}  // namespace

void protect_from_builds() { run_from_protected_program(); }

BuildResult build_image(Context& context, const BuildRequest& asked, BuildProgress& progress, const std::string& name) {
  const TraceSpan span("build");
  const BuilderRecord builder = get_builder(context, name.empty() ? chosen_builder(context) : name);
  check_platforms(builder, asked.platforms);
  BuildRequest request = with_limits_of(builder, asked);
  request.host_registration = host_registration(context.configuration());
  tidy_dead_build_networks(context);
  const std::unique_ptr<RegistrySession> session = open_registry_session(context);
  Store& store = context.store();
  const ::timespec before = cache_stamp(context);
  BuildResult result = build(store, request, build_services(context, *session), progress);
  for (const std::string& tag : result.names) {
    context.events().append({"image", "tag", result.image_id, {{"name", tag}}, 0});
  }
  const ::timespec after = cache_stamp(context);
  if (before.tv_sec != after.tv_sec || before.tv_nsec != after.tv_nsec) tidy_cache(context, builder, progress);
  if (!result.metadata_json.empty()) {
    Json metadata = Json::parse(result.metadata_json, "metadata");
    metadata["buildx.build.ref"] = builder.name + "/" + builder.name + "0/" + result.id;
    result.metadata_json = metadata.dump_pretty();
  }
  return result;
}

}  // namespace ctr
