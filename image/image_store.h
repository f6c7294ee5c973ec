// Names of images: images/<host>/<repository>/:<tag> holds the descriptor that the name stands for, an index or a
// manifest alike; images/@<hex> keeps an image that has no name; images/<host>/<repository>/@<hex> remembers that this
// repository has served or taken that manifest (a repo digest). Knows nothing about what is behind a descriptor.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/file.h"
#include "image/descriptor.h"
#include "image/reference.h"

namespace ctr {

struct NamedImage {
  /// Nothing for an image without a name.
  std::optional<Reference> name;
  Descriptor target;
};

struct RepoDigest {
  /// With a digest, without a tag.
  Reference name;
  /// What the registry has under that digest.
  Descriptor remote;
  /// The local image's target (as in NamedImage) or manifest that was pulled from or pushed there; differs from
  /// `remote` where layers were compressed for the push.
  Digest local;
};

/// Safe for use by several threads and processes at once. Names are durable when a call returns.
class ImageStore {
 public:
  explicit ImageStore(fs::path root);

  /// What a name with a tag, or a repo digest, stands for.
  std::optional<Descriptor> find(const Reference& name) const;
  /// Names an image. What the name stood for before, if it is another image that has no other name, stays as an
  /// image without a name; an image without a name that gets one is no longer listed without. REQUIRES: the blobs are
  /// there and synced.
  void set(const Reference& name, const Descriptor& target) const;
  /// Keeps an image that has no name.
  void set_untagged(const Descriptor& target) const;
  /// Whether there was one to remove.
  bool remove(const Reference& name) const;
  bool remove_untagged(const Digest& target) const;

  /// Every tag, then the images without a name; sorted.
  std::vector<NamedImage> list() const;
  /// The names that stand for that target.
  std::vector<Reference> names_of(const Digest& target) const;

  /// `repository` needs no tag. `remote` is what the registry has, `local` the target here.
  void remember_repo_digest(const Reference& repository, const Descriptor& remote, const Digest& local) const;
  std::vector<RepoDigest> repo_digests() const;
  /// The repo digests of that target.
  std::vector<RepoDigest> repo_digests_of(const Digest& local) const;
  bool forget_repo_digest(const Reference& name_with_digest) const;

 private:
  fs::path root_;
};

}  // namespace ctr
