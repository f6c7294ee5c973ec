#include <algorithm>
#include <fcntl.h>
#include <mutex>
#include <set>
#include <sys/stat.h>

#include "base/error.h"
#include "image/blob_store.h"
#include "image/manifest.h"
#include "registry/content.h"

namespace ctr {
namespace {

constexpr std::string_view kRefName = "org.opencontainers.image.ref.name";
constexpr std::string_view kLayoutVersion = R"({"imageLayoutVersion":"1.0.0"})";

fs::path blob_path(const fs::path& directory, const Digest& digest) {
  return directory / "blobs/sha256" / digest.hex();
}

Index read_index(const fs::path& directory) {
  const auto text = find_file(directory / "index.json", kManifestLimit);
  if (!text) throw Error(ErrorKind::NotFound, directory.native() + " is not an OCI layout (it has no index.json)");
  return parse_index(*text, media_type::kOciIndex);
}

// An open file that is sent whole.
class OwnedFileBody : public FileBody {
 public:
  OwnedFileBody(Fd file, std::uint64_t size) : FileBody(file.get(), 0, size), file_(std::move(file)) {}

 private:
  Fd file_;
};

class LayoutSource : public ContentSource {
 public:
  explicit LayoutSource(const fs::path& directory) : directory_(directory), index_(read_index(directory)) {}

  FetchedManifest manifest(const std::string& reference) override {
    if (const auto digest = Digest::try_parse(reference)) return read(*digest);
    std::vector<const Descriptor*> fitting;
    for (const Descriptor& descriptor : index_.manifests) {
      const auto name = descriptor.annotations.find(std::string(kRefName));
      const bool has_name = name != descriptor.annotations.end();
      if (has_name && (name->second == reference || name->second.ends_with(":" + reference))) return read(descriptor);
      if (!has_name || reference.empty()) fitting.push_back(&descriptor);
    }
    // A layout of one image needs no name.
    if (reference.empty() && index_.manifests.size() == 1) return read(*fitting.front());
    throw Error(ErrorKind::NotFound,
                directory_.native() +
                    (reference.empty() ? " holds several images: name one with :TAG" : " has no image " + reference));
  }

  std::unique_ptr<HttpBodySource> open_blob(const Descriptor& blob) override {
    Fd file = open_file(blob_path(directory_, blob.digest), O_RDONLY);
    struct stat info {};
    check(::fstat(file.get(), &info), "stat", blob.digest.str());
    if (static_cast<std::uint64_t>(info.st_size) != blob.size) {
      throw Error(ErrorKind::Corrupt, "blob " + blob.digest.str() + " has another size than its descriptor says");
    }
    return std::make_unique<OwnedFileBody>(std::move(file), blob.size);
  }

  std::vector<Descriptor> referrers(const Digest& subject) override {
    std::vector<Descriptor> found;
    for (const Descriptor& descriptor : index_.manifests) {
      const FetchedManifest manifest = read(descriptor);
      const ManifestOrIndex document = parse_manifest_or_index(manifest.bytes, manifest.descriptor.media_type);
      const auto& own =
          std::visit([](const auto& value) -> const std::optional<Descriptor>& { return value.subject; }, document);
      if (own && own->digest == subject) found.push_back(descriptor);
    }
    return found;
  }

 private:
  FetchedManifest read(const Digest& digest) {
    std::string bytes = read_file(blob_path(directory_, digest), kManifestLimit);
    if (Digest::of(bytes) != digest) throw Error(ErrorKind::Corrupt, "blob " + digest.str() + " is damaged");
    const std::string type =
        std::visit([](const auto& value) { return value.media_type; }, parse_manifest_or_index(bytes, ""));
    return {{.media_type = type, .digest = digest, .size = bytes.size()}, std::move(bytes)};
  }
  FetchedManifest read(const Descriptor& descriptor) {
    FetchedManifest manifest = read(descriptor.digest);
    manifest.descriptor.media_type = descriptor.media_type;
    return manifest;
  }

  fs::path directory_;
  Index index_;
};

class LayoutTarget : public ContentTarget {
 public:
  LayoutTarget(const fs::path& directory, TransferProgress& progress)
      : directory_(directory),
        progress_(progress),
        markers_(directory, current_boot_id()),
        blobs_(directory, markers_) {
    index_.media_type = std::string(media_type::kOciIndex);
    if (path_exists(directory_ / "index.json")) index_ = read_index(directory_);
  }

  bool has_manifest(const Digest& digest) override { return blobs_.has(digest); }

  void put_blob(const Descriptor& blob, ContentSource& source, const std::string& id) override {
    std::optional<BlobWriter> writer = blobs_.ingest(blob.digest);
    if (!writer) return progress_.layer({id, LayerState::AlreadyExists, 0, blob.size, {}});
    writer->restart();
    progress_.layer({id, LayerState::Downloading, 0, blob.size, {}});
    const std::unique_ptr<HttpBodySource> body = source.open_blob(blob);
    std::vector<std::byte> buffer(256 * 1024);
    while (const std::size_t got = body->read(buffer)) writer->write(Bytes(buffer).first(got));
    std::move(*writer).commit(blob.media_type, blob.size);
    progress_.layer({id, LayerState::DownloadComplete, blob.size, blob.size, {}});
  }

  void put_manifest(const FetchedManifest& manifest, const std::optional<std::string>& tag) override {
    blobs_.put(manifest.descriptor.media_type, manifest.bytes);
    if (!tag) return;
    Descriptor named = manifest.descriptor;
    if (!tag->empty()) named.annotations[std::string(kRefName)] = *tag;
    add(named);
  }

  void link_referrer(const Digest&, const Descriptor& referrer) override { add(referrer); }

  void finish() override {
    markers_.sync();
    remove_tree(directory_ / "ingest");
    remove_tree(directory_ / "unsynced");
    write_file_atomic(directory_ / "oci-layout", kLayoutVersion, Durability::Synced);
    write_file_atomic(directory_ / "index.json", serialise(index_), Durability::Synced);
  }

 private:
  void add(const Descriptor& descriptor) {
    const std::lock_guard guard(mutex_);
    const auto name = descriptor.annotations.find(std::string(kRefName));
    std::erase_if(index_.manifests, [&](const Descriptor& known) {
      const auto other = known.annotations.find(std::string(kRefName));
      if (name == descriptor.annotations.end()) return known.digest == descriptor.digest;
      return other != known.annotations.end() && other->second == name->second;
    });
    index_.manifests.push_back(descriptor);
  }

  fs::path directory_;
  TransferProgress& progress_;
  UnsyncedMarkers markers_;
  BlobStore blobs_;
  std::mutex mutex_;
  Index index_{};
};

}  // namespace

std::unique_ptr<ContentSource> layout_source(const fs::path& directory) {
  return std::make_unique<LayoutSource>(directory);
}

std::unique_ptr<ContentTarget> layout_target(const fs::path& directory, TransferProgress& progress) {
  return std::make_unique<LayoutTarget>(directory, progress);
}

}  // namespace ctr
