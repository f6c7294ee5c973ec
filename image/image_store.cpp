#include "image/image_store.h"

#include <algorithm>
#include <cerrno>
#include <dirent.h>
#include <functional>
#include <sys/stat.h>
#include <unistd.h>
#include <utility>

#include "base/error.h"

namespace ctr {

namespace {

constexpr int kRecordVersion = 1;
constexpr std::uint64_t kRecordLimit = kMiB;
constexpr char kTagMark = ':';
constexpr char kDigestMark = '@';

struct Record {
  Descriptor descriptor;
  std::optional<Digest> local;
};

std::string serialise_record(const Record& record) {
  Json json = Json::object({{"v", kRecordVersion}, {"descriptor", to_json(record.descriptor)}});
  if (record.local) json["local"] = record.local->str();
  return json.dump();
}

Record parse_record(const std::string& text, const fs::path& path) {
  const Json json = Json::parse(text, path.native());
  return in_context(path.native(), [&] {
    if (const auto version = json.require_int("v"); version > kRecordVersion)
      throw Error(ErrorKind::Invalid, "written by a newer ctr (record version " + std::to_string(version) + ")");
    Record record{descriptor_from_json(json.at("descriptor"), "descriptor"), std::nullopt};
    if (const auto local = json.find_string("local")) record.local = Digest::parse(*local);
    return record;
  });
}

std::optional<Record> find_record(const fs::path& path) {
  const std::optional<std::string> text = find_file(path, kRecordLimit);
  if (!text) return std::nullopt;
  return parse_record(*text, path);
}

// A directory may be removed as empty by another process between its creation and the file's: try again.
void write_record(const fs::path& path, const Record& record, Durability durability = Durability::Synced) {
  for (int attempt = 0;; ++attempt) {
    make_directories(path.parent_path());
    try {
      return write_file_atomic(path, serialise_record(record), durability);
    } catch (const Error& error) {
      if (error.error_number() != ENOENT || attempt == 10) throw;
    }
  }
}

bool remove_record(const fs::path& path, const fs::path& top) {
  if (::unlink(path.c_str()) != 0) {
    if (errno == ENOENT || errno == ENOTDIR) return false;
    throw_errno(errno, "remove", path.native());
  }
  fs::path directory = path.parent_path();
  sync_directory(directory);
  for (; directory != top && ::rmdir(directory.c_str()) == 0;) directory = directory.parent_path();
  return true;
}

fs::path repository_path(const fs::path& top, const Reference& name) {
  return top / name.host() / name.repository();
}

fs::path name_path(const fs::path& top, const Reference& name) {
  const fs::path directory = repository_path(top, name);
  // A name with both tag and digest is the digest's: the tag may have moved.
  if (name.digest()) return directory / (kDigestMark + name.digest()->hex());
  if (name.tag().empty()) throw Error(ErrorKind::Invalid, "the name " + name.familiar() + " has no tag");
  return directory / (kTagMark + name.tag());
}

fs::path untagged_path(const fs::path& top, const Digest& target) {
  return top / (kDigestMark + target.hex());
}

bool is_record_name(const std::string& name, char mark) {
  return name.size() > 1 && name[0] == mark && !name.ends_with(".tmp");
}

using Visit = std::function<void(const Reference& repository, const std::string& file, const fs::path& path)>;

void visit_repository(const std::string& host, const std::string& repository, const fs::path& directory,
                      const Visit& visit) {
  for (const std::string& name : list_directory(directory)) {
    const fs::path path = directory / name;
    if (name[0] == kTagMark || name[0] == kDigestMark) {
      if (!repository.empty()) visit(Reference::from_parts(host, repository, {}), name, path);
    } else if (fs::is_directory(fs::symlink_status(path))) {
      visit_repository(host, repository.empty() ? name : repository + "/" + name, path, visit);
    }
  }
}

void visit_all(const fs::path& top, const Visit& visit) {
  for (const std::string& host : list_directory(top)) {
    if (host[0] != kDigestMark && fs::is_directory(fs::symlink_status(top / host)))
      visit_repository(host, {}, top / host, visit);
  }
}

}  // namespace

ImageStore::ImageStore(fs::path root) : root_(std::move(root) / "images") {
  make_directories(root_);
}

std::optional<Descriptor> ImageStore::find(const Reference& name) const {
  std::optional<Record> record = find_record(name_path(root_, name));
  if (!record) return std::nullopt;
  if (!record->local || *record->local == record->descriptor.digest) return std::move(record->descriptor);
  // A repo digest of something that was compressed for its push: the image here has another digest.
  for (const NamedImage& image : list()) {
    if (image.target.digest == *record->local) return image.target;
  }
  return std::nullopt;
}

void ImageStore::set(const Reference& name, const Descriptor& target) const {
  const fs::path path = name_path(root_, name);
  const std::optional<Record> before = find_record(path);
  if (before && before->descriptor.digest != target.digest && names_of(before->descriptor.digest).size() <= 1)
    set_untagged(before->descriptor);
  if (!before || before->descriptor != target) write_record(path, {target, std::nullopt});
  remove_untagged(target.digest);
}

void ImageStore::set_untagged(const Descriptor& target) const {
  write_record(untagged_path(root_, target.digest), {target, std::nullopt});
}

bool ImageStore::remove(const Reference& name) const {
  return remove_record(name_path(root_, name), root_);
}

bool ImageStore::remove_untagged(const Digest& target) const {
  return remove_record(untagged_path(root_, target), root_);
}

std::vector<NamedImage> ImageStore::list() const {
  std::vector<NamedImage> result;
  visit_all(root_, [&](const Reference& repository, const std::string& file, const fs::path& path) {
    if (!is_record_name(file, kTagMark) || !is_valid_tag(std::string_view(file).substr(1))) return;
    if (auto record = find_record(path))
      result.push_back({repository.with_tag(std::string_view(file).substr(1)), std::move(record->descriptor)});
  });
  for (const std::string& file : list_directory(root_)) {
    if (!is_record_name(file, kDigestMark)) continue;
    if (auto record = find_record(root_ / file)) result.push_back({std::nullopt, std::move(record->descriptor)});
  }
  return result;
}

std::vector<Reference> ImageStore::names_of(const Digest& target) const {
  std::vector<Reference> result;
  for (const NamedImage& image : list()) {
    if (image.name && image.target.digest == target) result.push_back(*image.name);
  }
  return result;
}

void ImageStore::remember_repo_digest(const Reference& repository, const Descriptor& remote,
                                      const Digest& local) const {
  const fs::path path = name_path(root_, repository.with_digest(remote.digest));
  const std::optional<Record> before = find_record(path);
  if (before && before->descriptor == remote && before->local == local) return;
  write_record(path, {remote, local}, Durability::Cached);  // can be learned again
}

std::vector<RepoDigest> ImageStore::repo_digests() const {
  std::vector<RepoDigest> result;
  visit_all(root_, [&](const Reference& repository, const std::string& file, const fs::path& path) {
    if (!is_record_name(file, kDigestMark)) return;
    const std::optional<Digest> digest = Digest::from_hex(std::string_view(file).substr(1));
    const std::optional<Record> record = digest ? find_record(path) : std::nullopt;
    if (!record) return;
    result.push_back(
        {repository.with_digest(*digest), record->descriptor, record->local.value_or(record->descriptor.digest)});
  });
  return result;
}

std::vector<RepoDigest> ImageStore::repo_digests_of(const Digest& local) const {
  std::vector<RepoDigest> result = repo_digests();
  std::erase_if(result, [&](const RepoDigest& digest) { return digest.local != local; });
  return result;
}

bool ImageStore::forget_repo_digest(const Reference& name) const {
  return remove(name);
}

}  // namespace ctr
