#include "engine/transfers.h"

#include "base/error.h"
#include "engine/events.h"
#include "engine/images.h"
#include "engine/logins.h"
#include "image/store.h"
#include "registry/pull.h"
#include "registry/push.h"

namespace ctr {
namespace {

/// The references that a request means: one, or all tags of a repository.
std::vector<Reference> references_of(RegistrySession& session, const PullRequest& request) {
  if (!request.all_tags) return {Reference::parse(request.reference)};
  const Reference repository = Reference::parse_name(request.reference);
  if (!repository.tag().empty() || repository.digest()) {
    throw Error(ErrorKind::Invalid, "tag can't be used with --all-tags/-a");
  }
  std::vector<Reference> references;
  for (const std::string& tag : list_tags(session, repository)) references.push_back(repository.with_tag(tag));
  return references;
}

std::vector<Reference> local_tags(Context& context, const PushRequest& request) {
  if (!request.all_tags) return {Reference::parse(request.reference)};
  const Reference repository = Reference::parse_name(request.reference);
  if (!repository.tag().empty() || repository.digest()) {
    throw Error(ErrorKind::Invalid, "tag can't be used with --all-tags/-a");
  }
  std::vector<Reference> references;
  for (const NamedImage& named : context.store().images().list()) {
    if (named.name && named.name->name() == repository.name()) references.push_back(*named.name);
  }
  if (references.empty()) {
    throw Error(ErrorKind::NotFound, "An image does not exist locally with the tag: " + repository.familiar_name());
  }
  return references;
}

}  // namespace

std::vector<PulledImage> pull_image(Context& context, const PullRequest& request, TransferProgress& progress) {
  const std::unique_ptr<RegistrySession> session = open_registry_session(context);
  std::vector<PulledImage> pulled;
  for (const Reference& reference : references_of(*session, request)) {
    PullOptions options;
    options.platform = request.platform;
    options.preferred = default_platform(context);
    options.progress = &progress;
    const PullResult result = pull_image(context.store(), *session, reference, options);
    pulled.push_back({reference, result.target, result.status == PullStatus::Downloaded});
    context.events().append({"image", "pull", reference.familiar(), {{"name", reference.familiar_name()}}, 0});
  }
  return pulled;
}

std::vector<PushedImage> push_image(Context& context, const PushRequest& request, TransferProgress& progress) {
  const std::unique_ptr<RegistrySession> session = open_registry_session(context);
  std::vector<PushedImage> pushed;
  for (const Reference& reference : local_tags(context, request)) {
    const std::optional<Descriptor> source = context.store().images().find(reference);
    if (!source) {
      throw Error(ErrorKind::NotFound, "An image does not exist locally with the tag: " + reference.familiar_name());
    }
    PushOptions options;
    options.platform = request.platform;
    options.progress = &progress;
    if (request.create_repository) options.missing_repository = MissingRepository::Create;
    PushResult result = push_image(context.store(), *session, *source, reference, options);
    pushed.push_back({reference, result.target, std::move(result.notice)});
    context.events().append({"image", "push", reference.familiar(), {{"name", reference.familiar_name()}}, 0});
  }
  return pushed;
}

}  // namespace ctr
