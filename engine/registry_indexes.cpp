#include "engine/registry_indexes.h"

#include <algorithm>

#include "base/error.h"
#include "base/text.h"
#include "engine/logins.h"
#include "image/config.h"
#include "registry/content.h"
#include "registry/copy.h"
#include "registry/registry_client.h"
#include "registry/session.h"

namespace ctr {
namespace {

std::string place_of(const Reference& reference) {
  return reference.digest() ? reference.digest()->str() : reference.tag();
}

bool is_same_repository(const Reference& left, const Reference& right) { return left.name() == right.name(); }

// ---- annotations ----

struct PlacedAnnotation {
  bool is_of_index = true;
  std::optional<Platform> platform = {};
  std::string key;
  std::string value;
};

PlacedAnnotation parse_annotation(const std::string& text) {
  const auto pair = cut(text, '=');
  if (!pair) throw Error(ErrorKind::Invalid, "invalid annotation \"" + text + "\": expected [type:]key=value");
  PlacedAnnotation annotation;
  annotation.key = pair->first;
  annotation.value = pair->second;
  const std::size_t colon = annotation.key.find(':');
  if (colon == std::string::npos) return annotation;
  std::string place = annotation.key.substr(0, colon);
  annotation.key.erase(0, colon + 1);
  if (const std::size_t bracket = place.find('['); bracket != std::string::npos && place.ends_with(']')) {
    annotation.platform = parse_platform(place.substr(bracket + 1, place.size() - bracket - 2));
    place.erase(bracket);
  }
  if (place != "index" && place != "manifest-descriptor")
    throw Error(ErrorKind::Invalid, place + " annotations are not supported here: index or manifest-descriptor");
  annotation.is_of_index = place == "index";
  return annotation;
}

// ---- putting an index together ----

/// One entry a digest: what comes later adds its platform and annotations.
void add_part(std::vector<IndexPart>& parts, const IndexPart& part) {
  const auto known = std::find_if(parts.begin(), parts.end(), [&](const IndexPart& other) {
    return other.descriptor.digest == part.descriptor.digest;
  });
  if (known == parts.end()) {
    parts.push_back(part);
    return;
  }
  if (part.descriptor.platform) known->descriptor.platform = part.descriptor.platform;
  for (const auto& [key, value] : part.descriptor.annotations) known->descriptor.annotations[key] = value;
}

bool is_wanted(const Descriptor& descriptor, const std::vector<Platform>& platforms, const std::vector<IndexPart>& all) {
  if (platforms.empty()) return true;
  if (is_attestation(descriptor)) {
    const auto subject = descriptor.annotations.find("vnd.docker.reference.digest");
    return std::any_of(all.begin(), all.end(), [&](const IndexPart& other) {
      return subject != descriptor.annotations.end() && other.descriptor.digest.str() == subject->second &&
             is_wanted(other.descriptor, platforms, {});
    });
  }
  return descriptor.platform && std::any_of(platforms.begin(), platforms.end(), [&](const Platform& platform) {
           return platform_matches(platform, *descriptor.platform);
         });
}

/// A create of one index.
class IndexCreation {
 public:
  IndexCreation(RegistryIndexes& registries, const CreateIndexRequest& request)
      : registries_(registries), request_(request) {
    for (const std::string& tag : request.tags) targets_.push_back(Reference::parse(tag));
    for (const std::string& text : request.annotations) annotations_.push_back(parse_annotation(text));
  }

  RemoteManifest run(TransferProgress& progress) {
    if (request_.append) {
      if (targets_.empty()) throw Error(ErrorKind::Invalid, "--append needs a target: give one with --tag");
      sources_.push_back({registries_.fetch(targets_.front()), std::nullopt});
    }
    for (const std::string& text : request_.sources) sources_.push_back(source_of(text));
    if (sources_.empty()) throw Error(ErrorKind::Invalid, "no sources specified");
    const RemoteManifest result = combine();
    if (request_.dry_run) return result;
    if (targets_.empty()) throw Error(ErrorKind::Invalid, "no tags specified: give one with --tag, or use --dry-run");
    for (const Reference& target : targets_) registries_.put(target, result, parts_, progress);
    return result;
  }

 private:
  struct Source {
    RemoteManifest manifest;
    std::optional<Descriptor> given;  // its platform and annotations go over the manifest's
  };

  /// The repository in which a digest alone is looked for.
  const Reference& own_repository(const std::string& text) const {
    if (targets_.empty()) throw Error(ErrorKind::Invalid, "the source " + text + " names no repository: give a --tag");
    for (const Reference& target : targets_)
      if (!is_same_repository(target, targets_.front()))
        throw Error(ErrorKind::Invalid, "the source " + text + " could be in several repositories: name one");
    return targets_.front();
  }

  Source source_of(const std::string& text) {
    if (text.starts_with('{')) {
      const Descriptor given = descriptor_from_json(Json::parse(text, "descriptor"), "descriptor");
      return {registries_.fetch(own_repository(text).with_digest(given.digest)), given};
    }
    if (text.starts_with("sha256:"))
      return {registries_.fetch(own_repository(text).with_digest(Digest::parse(text))), std::nullopt};
    return {registries_.fetch(Reference::parse(text)), std::nullopt};
  }

  RemoteManifest combine() {
    for (const Source& source : sources_) {
      const std::vector<IndexPart> all = registries_.parts_of(source.manifest);
      for (IndexPart part : all) {
        if (!is_wanted(part.descriptor, request_.platforms, all)) continue;
        if (source.given && source.given->digest == part.descriptor.digest) {
          if (source.given->platform) part.descriptor.platform = source.given->platform;
          for (const auto& [key, value] : source.given->annotations) part.descriptor.annotations[key] = value;
        }
        add_part(parts_, part);
      }
    }
    if (parts_.empty()) throw Error(ErrorKind::NotFound, "the sources have no manifest for the platforms that were asked for");
    const RemoteManifest& first = sources_.front().manifest;
    // One source alone stays byte for byte what it is.
    if (sources_.size() == 1 && annotations_.empty() && request_.platforms.empty() && !sources_.front().given &&
        (first.descriptor.is_index() || !request_.prefer_index))
      return first;
    return written(annotate());
  }

  Index annotate() {
    Annotations of_index;
    for (const PlacedAnnotation& annotation : annotations_) {
      if (annotation.is_of_index) of_index[annotation.key] = annotation.value;
      for (IndexPart& part : parts_)
        if (!annotation.is_of_index && !is_attestation(part.descriptor) &&
            (!annotation.platform || (part.descriptor.platform && platform_matches(*annotation.platform, *part.descriptor.platform))))
          part.descriptor.annotations[annotation.key] = annotation.value;
    }
    return index_of(parts_, of_index);
  }

  RemoteManifest written(const Index& index) const {
    const std::string text = serialise(index);
    const Reference& name = targets_.empty() ? sources_.front().manifest.reference : targets_.front();
    return {name, describe(index.media_type, text), text};
  }

  RegistryIndexes& registries_;
  const CreateIndexRequest& request_;
  std::vector<Reference> targets_;
  std::vector<PlacedAnnotation> annotations_;
  std::vector<Source> sources_;
  std::vector<IndexPart> parts_;
};

}  // namespace

RegistryIndexes::RegistryIndexes(const Context& context, RegistryTrust trust)
    : trust_(trust) {
  sessions_.push_back(open_registry_session(context));
}

RegistryIndexes::~RegistryIndexes() = default;

/// With --insecure another host needs another session; those before stay, for they may be in use.
RegistrySession& RegistryIndexes::session_for(const Reference& reference) {
  if (trust_ == RegistryTrust::Insecure && !sessions_.back()->hosts().is_insecure(reference.host())) {
    SessionOptions options;
    options.hosts = sessions_.back()->hosts();
    options.hosts.insecure_registries.push_back(reference.host());
    sessions_.push_back(std::make_unique<RegistrySession>(std::move(options)));
  }
  return *sessions_.back();
}

RemoteManifest RegistryIndexes::fetch(const Reference& reference) {
  RegistryClient client = session_for(reference).client(reference.host(), reference.repository());
  FetchedManifest fetched = client.get_manifest(place_of(reference));
  return {reference, fetched.descriptor, std::move(fetched.bytes)};
}

std::string RegistryIndexes::config_of(const Reference& repository, const Manifest& manifest) {
  RegistryClient client = session_for(repository).client(repository.host(), repository.repository());
  return client.read_blob(manifest.config, kConfigLimit);
}

std::vector<IndexPart> RegistryIndexes::parts_of(const RemoteManifest& manifest) {
  const ManifestOrIndex document = parse_manifest_or_index(manifest.bytes, manifest.descriptor.media_type);
  std::vector<IndexPart> parts;
  if (const auto* index = std::get_if<Index>(&document)) {
    for (const Descriptor& child : index->manifests) parts.push_back({manifest.reference, child});
    return parts;
  }
  const auto& image = std::get<Manifest>(document);
  IndexPart part{manifest.reference, manifest.descriptor};
  if (is_config_type(image.config.media_type))
    part.descriptor.platform = parse_image_config(config_of(manifest.reference, image)).platform;
  return {part};
}

void RegistryIndexes::put(const Reference& target, const RemoteManifest& document, const std::vector<IndexPart>& parts,
                          TransferProgress& progress) {
  if (target.digest()) throw Error(ErrorKind::Invalid, "the target " + target.familiar() + " is a digest: name a tag");
  CopyOptions options;
  options.progress = &progress;
  options.referrers = CopyReferrers::Skip;
  const std::unique_ptr<ContentTarget> to = registry_target(session_for(target), target.host(), target.repository(), progress);
  for (const IndexPart& part : parts) {
    if (is_same_repository(part.repository, target)) continue;
    const std::unique_ptr<ContentSource> from =
        registry_source(session_for(part.repository), part.repository.host(), part.repository.repository());
    copy_tree(*from, *to, part.descriptor, options);
  }
  to->put_manifest({document.descriptor, document.bytes}, target.tag());
  to->finish();
}

Index index_of(const std::vector<IndexPart>& parts, const Annotations& annotations) {
  bool is_oci = !annotations.empty();
  for (const IndexPart& part : parts)
    is_oci = is_oci || !is_docker_type(part.descriptor.media_type) || !part.descriptor.annotations.empty();
  Index index;
  index.media_type = is_oci ? media_type::kOciIndex : media_type::kDockerIndex;
  for (const IndexPart& part : parts) index.manifests.push_back(part.descriptor);
  index.annotations = annotations;
  return index;
}

RemoteManifest create_index(Context& context, const CreateIndexRequest& request, TransferProgress& progress) {
  RegistryIndexes registries(context);
  return IndexCreation(registries, request).run(progress);
}

}  // namespace ctr
