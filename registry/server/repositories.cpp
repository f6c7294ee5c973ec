#include "registry/server/repositories.h"

#include <algorithm>
#include <functional>
#include <mutex>
#include <set>
#include <sys/stat.h>

#include "base/error.h"
#include "base/json.h"
#include "base/text.h"
#include "image/reference.h"

namespace ctr {
namespace {

constexpr std::uint64_t kLargestRecord = 64 * 1024;
constexpr int kDeepestRepository = 64;

FileLock lock_directory(const fs::path& root) {
  make_directories(root);
  auto lock = FileLock::try_acquire(root / "server.lock", LockMode::Exclusive);
  if (!lock) throw Error(ErrorKind::Busy, root.native() + " is in use by another registry server");
  return std::move(*lock);
}

// Every descriptor that a document holds, its subject aside (that may come later, or never).
std::vector<Descriptor> children_of(const ManifestOrIndex& document) {
  if (const auto* index = std::get_if<Index>(&document)) return index->manifests;
  const auto& manifest = std::get<Manifest>(document);
  std::vector<Descriptor> children{manifest.config};
  children.insert(children.end(), manifest.layers.begin(), manifest.layers.end());
  return children;
}

const std::optional<Descriptor>& subject_of(const ManifestOrIndex& document) {
  return std::visit([](const auto& value) -> const std::optional<Descriptor>& { return value.subject; }, document);
}

// How a referrer is listed: its type is the artifact's, or the config's.
Descriptor referrer_descriptor(const std::string& bytes, const std::string& media_type,
                               const ManifestOrIndex& document) {
  Descriptor descriptor = describe(media_type, bytes);
  std::visit(
      [&](const auto& value) {
        descriptor.artifact_type = value.artifact_type;
        descriptor.annotations = value.annotations;
      },
      document);
  const auto* manifest = std::get_if<Manifest>(&document);
  if (manifest != nullptr && descriptor.artifact_type.empty()) {
    descriptor.artifact_type = manifest->config.media_type;
  }
  return descriptor;
}

bool is_older_than(const fs::path& path, std::chrono::seconds grace) {
  struct stat info {};
  if (::stat(path.c_str(), &info) != 0) return false;
  return info.st_mtime + grace.count() <= ::time(nullptr);
}

void walk_repositories(const fs::path& directory, const std::string& name, int depth,
                       const std::function<void(const std::string&)>& visit) {
  if (depth > kDeepestRepository) return;
  bool is_repository = false;
  for (const std::string& entry : list_directory(directory)) {
    if (entry.front() == '_') {
      is_repository = true;
    } else {
      walk_repositories(directory / entry, name.empty() ? entry : name + "/" + entry, depth + 1, visit);
    }
  }
  if (is_repository) visit(name);
}

bool remove_file(const fs::path& path) {
  if (::unlink(path.c_str()) == 0) return true;
  if (errno == ENOENT || errno == ENOTDIR) return false;
  throw_errno(errno, "remove", path.native());
}

}  // namespace

bool is_valid_repository_name(const std::string& name) {
  if (name.empty() || name.size() > 255) return false;
  try {
    return Reference::from_parts("localhost:5000", name, "").repository() == name;
  } catch (const Error&) {
    return false;
  }
}

Repositories::Repositories(const fs::path& root)
    : root_(root), lock_(lock_directory(root)), markers_(root, current_boot_id()), blobs_(root, markers_) {
  make_directories(root_ / "trash");
  if (markers_.has_lost()) settle_lost();
  remove_tree(root_ / "trash");
  make_directories(root_ / "trash");
  blobs_.drop_idle_partials();
}

// After a power cut: a blob that was never synced stays if its bytes are what its name says.
void Repositories::settle_lost() {
  constexpr std::string_view kBlobs = "blobs/sha256/";
  std::set<std::string> whole;
  for (const std::string& object : markers_.find_lost()) {
    const auto digest = Digest::from_hex(without_prefix(object, kBlobs));
    if (digest && blobs_.is_whole(*digest)) whole.insert(object);
  }
  markers_.settle_lost(whole, root_ / "trash");
}

bool Repositories::exists(const std::string& repository) const {
  return path_exists(directory(repository) / "_manifests") || path_exists(directory(repository) / "_blobs");
}

bool Repositories::has_blob(const std::string& repository, const Digest& digest) const {
  return path_exists(directory(repository) / "_blobs" / digest.hex()) && blobs_.has(digest);
}

void Repositories::add_blob(const std::string& repository, const Digest& digest) {
  const fs::path links = directory(repository) / "_blobs";
  make_directories(links);
  write_file_atomic(links / digest.hex(), "", Durability::Cached);
}

bool Repositories::remove_blob(const std::string& repository, const Digest& digest) {
  return remove_file(directory(repository) / "_blobs" / digest.hex());
}

std::optional<Digest> Repositories::find_tag(const std::string& repository, const std::string& tag) const {
  const auto text = find_file(directory(repository) / "_tags" / tag, kLargestRecord);
  return text ? Digest::try_parse(*text) : std::nullopt;
}

std::optional<std::string> Repositories::manifest_type(const std::string& repository, const Digest& digest) const {
  auto type = find_file(directory(repository) / "_manifests" / digest.hex(), kLargestRecord);
  if (!type || !blobs_.has(digest)) return std::nullopt;
  return type;
}

std::vector<Digest> Repositories::missing_from(const std::string& repository, const ManifestOrIndex& document) const {
  std::vector<Digest> missing;
  for (const Descriptor& child : children_of(document)) {
    if (is_foreign_layer_type(child.media_type) || !child.urls.empty()) continue;
    const bool is_here = std::holds_alternative<Index>(document) ? manifest_type(repository, child.digest).has_value()
                                                                 : has_blob(repository, child.digest);
    if (!is_here) missing.push_back(child.digest);
  }
  return missing;
}

void Repositories::put_manifest(const std::string& repository, const std::string& bytes, const std::string& media_type,
                                const ManifestOrIndex& document, const std::vector<std::string>& tags) {
  const fs::path root = directory(repository);
  const Descriptor stored = blobs_.put(media_type, bytes);
  make_directories(root / "_manifests");
  make_directories(root / "_tags");
  markers_.sync();
  write_file_atomic(root / "_manifests" / stored.digest.hex(), media_type, Durability::Synced);
  if (const auto& subject = subject_of(document)) {
    const fs::path referrers = root / "_referrers" / subject->digest.hex();
    make_directories(referrers);
    write_file_atomic(referrers / stored.digest.hex(), to_json(referrer_descriptor(bytes, media_type, document)).dump(),
                      Durability::Synced);
  }
  for (const std::string& tag : tags) {
    write_file_atomic(root / "_tags" / tag, stored.digest.str(), Durability::Synced);
  }
}

bool Repositories::remove_manifest(const std::string& repository, const Digest& digest) {
  const fs::path root = directory(repository);
  const auto type = manifest_type(repository, digest);
  if (!type) return false;
  for (const std::string& tag : list_directory(root / "_tags")) {
    if (find_tag(repository, tag) == digest) remove_file(root / "_tags" / tag);
  }
  const ManifestOrIndex document = parse_manifest_or_index(blobs_.read(digest, kManifestLimit), *type);
  if (const auto& subject = subject_of(document)) {
    remove_file(root / "_referrers" / subject->digest.hex() / digest.hex());
  }
  return remove_file(root / "_manifests" / digest.hex());
}

bool Repositories::remove_tag(const std::string& repository, const std::string& tag) {
  return remove_file(directory(repository) / "_tags" / tag);
}

std::vector<std::string> Repositories::tags(const std::string& repository) const {
  return list_directory(directory(repository) / "_tags");
}

std::vector<std::string> Repositories::repositories() const {
  std::vector<std::string> names;
  walk_repositories(root_ / "repositories", "", 0, [&](const std::string& name) { names.push_back(name); });
  std::sort(names.begin(), names.end());
  return names;
}

std::vector<Descriptor> Repositories::referrers(const std::string& repository, const Digest& subject) const {
  std::vector<Descriptor> found;
  const fs::path list = directory(repository) / "_referrers" / subject.hex();
  for (const std::string& name : list_directory(list)) {
    const auto text = find_file(list / name, kLargestRecord);
    if (text) found.push_back(descriptor_from_json(Json::parse(*text), "a referrer"));
  }
  return found;
}

CollectedBlobs Repositories::collect(std::chrono::seconds grace) {
  const std::unique_lock guard(collection_);
  std::set<Digest> used;
  for (const std::string& name : repositories()) {
    std::set<Digest> of_repository;
    for (const std::string& hex : list_directory(directory(name) / "_manifests")) {
      const auto digest = Digest::from_hex(hex);
      const auto type = digest ? manifest_type(name, *digest) : std::nullopt;
      if (!type) continue;
      used.insert(*digest);
      for (const Descriptor& child :
           children_of(parse_manifest_or_index(blobs_.read(*digest, kManifestLimit), *type))) {
        of_repository.insert(child.digest);
      }
    }
    for (const std::string& hex : list_directory(directory(name) / "_blobs")) {
      const auto digest = Digest::from_hex(hex);
      if (!digest) continue;
      if (of_repository.count(*digest) == 0 && is_older_than(directory(name) / "_blobs" / hex, grace)) {
        remove_blob(name, *digest);
      } else {
        used.insert(*digest);
      }
    }
  }
  CollectedBlobs report;
  for (const Digest& digest : blobs_.list()) {
    if (used.count(digest) > 0 || !is_older_than(blobs_.path(digest), grace)) continue;
    report.bytes_removed += blobs_.find_size(digest).value_or(0);
    ++report.blobs_removed;
    blobs_.remove(digest, root_ / "trash");
  }
  remove_tree(root_ / "trash");
  make_directories(root_ / "trash");
  return report;
}

}  // namespace ctr
