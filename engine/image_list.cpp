// The list of images as `images` shows it, with its filters.

#include <fnmatch.h>

#include <algorithm>

#include "base/error.h"
#include "base/text.h"
#include "base/time.h"
#include "engine/image_names.h"
#include "engine/images.h"

namespace ctr {
namespace {

std::int64_t unix_seconds(const std::string& time) {
  const std::optional<Time> parsed = parse_time(time);
  return parsed ? parsed->time_since_epoch().count() / 1'000'000'000 : 0;
}

/// Docker's reference patterns match the familiar name, with and without its tag.
bool pattern_matches(const std::string& pattern, const Reference& reference) {
  const auto matches = [&](const std::string& text) { return ::fnmatch(pattern.c_str(), text.c_str(), FNM_PATHNAME) == 0; };
  return matches(reference.familiar_name()) || matches(reference.familiar()) ||
         matches(reference.name()) || matches(reference.name() + ":" + reference.tag());
}

/// Keeps the names that the pattern fits; false if none does.
bool narrow(ImageSummary& summary, const StoredImage& stored, const std::vector<std::string>& patterns) {
  if (patterns.empty()) return true;
  const auto fits = [&](const Reference& reference) {
    return std::any_of(patterns.begin(), patterns.end(),
                       [&](const std::string& pattern) { return pattern_matches(pattern, reference); });
  };
  summary.repo_tags.clear();
  summary.repo_digests.clear();
  for (const Reference& tag : stored.tags) {
    if (fits(tag)) summary.repo_tags.push_back(tag.familiar());
  }
  for (const RepoDigest& digest : stored.digests) {
    if (fits(digest.name)) summary.repo_digests.push_back(digest.name.familiar());
  }
  return !summary.repo_tags.empty() || !summary.repo_digests.empty();
}

ImageSummary summarise(Context& context, const StoredImage& stored) {
  ImageSummary summary;
  summary.id = stored.id;
  summary.repo_tags = stored.repo_tags();
  summary.repo_digests = stored.repo_digests();
  summary.created = unix_seconds(stored.image.config.created);
  summary.size = content_size(context, stored.image);
  summary.labels = stored.image.config.defaults.labels;
  for (const Platform& platform : stored.platforms) summary.platforms.push_back(platform.str());
  return summary;
}

std::optional<std::int64_t> created_of(Context& context, const Filters& filters, const std::string& key) {
  std::optional<std::int64_t> created;
  for (const std::string& name : filters.values(key)) {
    created = unix_seconds(get_image(context, name, std::nullopt).image.config.created);
  }
  return created;
}

/// What the argument of `images` means: "repo", "repo:tag", or a pattern of either.
std::string argument_pattern(const std::string& argument) {
  const std::optional<Reference> reference = Reference::try_parse(argument);
  if (!reference || argument.find_first_of("*?[") != std::string::npos) return argument;
  return Reference::parse_name(argument).familiar();
}

}  // namespace

Filters parse_image_filters(const std::vector<std::string>& texts) {
  return Filters(texts, {"before", "dangling", "label", "label!", "reference", "since", "until"});
}

std::vector<ImageSummary> list_images(Context& context, const ListImagesRequest& request) {
  const Filters& filters = request.filters;
  std::vector<std::string> patterns = filters.values("reference");
  if (!request.reference.empty()) patterns.push_back(argument_pattern(request.reference));
  const std::optional<std::int64_t> before = created_of(context, filters, "before");
  const std::optional<std::int64_t> since = created_of(context, filters, "since");
  const PruneBoundary until(filters);
  const std::map<std::string, std::int64_t> used = used_images(context);
  std::vector<ImageSummary> summaries;
  for (const StoredImage& stored : stored_images(context)) {
    const bool is_dangling = stored.tags.empty();
    if (filters.has("dangling") && filters.flag("dangling", false) != is_dangling) continue;
    ImageSummary summary = summarise(context, stored);
    if ((before && summary.created >= *before) || (since && summary.created <= *since)) continue;
    if (!until.is_older(stored.image.config.created) || !filters.matches_labels(summary.labels)) continue;
    if (!narrow(summary, stored, patterns)) continue;
    const auto users = used.find(summary.id);
    if (users != used.end()) summary.containers = users->second;
    summaries.push_back(std::move(summary));
  }
  std::stable_sort(summaries.begin(), summaries.end(),
                   [](const ImageSummary& left, const ImageSummary& right) { return left.created > right.created; });
  return summaries;
}

Json to_json(const ImageSummary& summary) {
  Json json = Json::object();
  json["Containers"] = summary.containers;
  json["Created"] = summary.created;
  json["Id"] = summary.id;
  json["Labels"] = summary.labels.empty() ? Json() : Json(summary.labels);
  json["ParentId"] = summary.parent_id;
  json["RepoDigests"] = Json(summary.repo_digests);
  json["RepoTags"] = Json(summary.repo_tags);
  json["SharedSize"] = -1;
  json["Size"] = summary.size;
  return json;
}

}  // namespace ctr
