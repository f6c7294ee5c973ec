// References: what a person types for an image, normalised as Docker does it. "nginx" is
// docker.io/library/nginx:latest, "localhost:5000/app@sha256:…" keeps its host. A Reference can't exist unchecked.
#pragma once

#include <compare>
#include <optional>
#include <string>
#include <string_view>

#include "image/digest.h"

namespace ctr {

class Reference {
 public:
  /// Reads and normalises; with neither tag nor digest the tag is "latest". Throws Invalid in Docker's words
  /// ("invalid reference format: repository name (library/Foo) must be lowercase").
  static Reference parse(std::string_view text);
  /// The same, but a missing tag stays missing (`pull -a`, filters, builds from a bare name).
  static Reference parse_name(std::string_view text);
  static std::optional<Reference> try_parse(std::string_view text);
  /// From parts that are normalised already, as read from the store. Throws Invalid.
  static Reference from_parts(std::string host, std::string repository, std::string tag,
                              std::optional<Digest> digest = {});

  /// "docker.io", "localhost:5000"
  const std::string& host() const noexcept { return host_; }
  /// "library/nginx"
  const std::string& repository() const noexcept { return repository_; }
  /// Empty when there is none.
  const std::string& tag() const noexcept { return tag_; }
  const std::optional<Digest>& digest() const noexcept { return digest_; }

  /// "docker.io/library/nginx"
  std::string name() const { return host_ + "/" + repository_; }
  /// "docker.io/library/nginx:latest@sha256:…"
  std::string str() const;
  /// "nginx", as Docker shows a repository
  std::string familiar_name() const;
  /// "nginx:latest", "nginx@sha256:…"
  std::string familiar() const;

  Reference with_tag(std::string_view tag) const;
  Reference with_digest(const Digest& digest) const;
  /// Host and repository alone.
  Reference without_tag() const;

  friend auto operator<=>(const Reference&, const Reference&) = default;
  friend bool operator==(const Reference&, const Reference&) = default;

 private:
  Reference() = default;

  std::string host_;
  std::string repository_;
  std::string tag_;
  std::optional<Digest> digest_;
};

/// [A-Za-z0-9_][A-Za-z0-9_.-]{0,127}
bool is_valid_tag(std::string_view tag);

}  // namespace ctr
