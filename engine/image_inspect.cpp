// Docker's documents of one image: `inspect` and `history`.

#include "base/text.h"
#include "base/time.h"
#include "engine/image_names.h"
#include "engine/images.h"
#include "engine/merge_config.h"
#include "image/store.h"

namespace ctr {
namespace {

ContainerConfig config_of(const ContainerDefaults& defaults) {
  ContainerConfig config = merge_config({}, defaults);
  config.on_build = defaults.on_build;
  return config;
}

Json config_document(const ContainerDefaults& defaults) {
  Json json = to_json(config_of(defaults), JsonForm::Full);
  if (defaults.labels.empty()) json["Labels"] = nullptr;
  return json;
}

/// The overlay directories, for scripts that look into GraphDriver.
Json graph_driver(Context& context, const Image& image) {
  Json json = Json::object();
  std::vector<std::string> lowers;
  for (auto layer = image.layers.rbegin(); layer != image.layers.rend(); ++layer) {
    lowers.push_back(context.store().layers().tree_path(layer->diff_id).native());
  }
  json["Data"] = Json::object();
  if (lowers.size() > 1) {
    json["Data"]["LowerDir"] = join(std::vector<std::string>(lowers.begin() + 1, lowers.end()), ":");
  }
  if (!lowers.empty()) json["Data"]["UpperDir"] = lowers.front();
  json["Name"] = "overlay2";
  return json;
}

std::string last_comment(const ImageConfig& config) {
  return config.history.empty() ? std::string() : config.history.back().comment;
}

}  // namespace

Json inspect_image(Context& context, const std::string& name, const std::optional<Platform>& platform) {
  const FoundImage found = get_image(context, name, platform);
  const ImageConfig& config = found.image.config;
  const std::optional<StoredImage> stored = find_stored(context, found.id);
  Json json = Json::object();
  json["Id"] = found.id;
  json["RepoTags"] = Json(stored ? stored->repo_tags() : std::vector<std::string>{});
  json["RepoDigests"] = Json(stored ? stored->repo_digests() : std::vector<std::string>{});
  json["Parent"] = "";
  json["Comment"] = last_comment(config);
  json["Created"] = config.created;
  json["DockerVersion"] = "";
  json["Author"] = config.author;
  json["Config"] = config_document(config.defaults);
  json["Architecture"] = config.platform.architecture;
  if (!config.platform.variant.empty()) json["Variant"] = config.platform.variant;
  json["Os"] = config.platform.os;
  json["Size"] = content_size(context, found.image);
  json["GraphDriver"] = graph_driver(context, found.image);
  json["RootFS"]["Type"] = "layers";
  json["RootFS"]["Layers"] = Json::array();
  for (const Layer& layer : found.image.layers) json["RootFS"]["Layers"].push_back(layer.diff_id.str());
  json["Metadata"]["LastTagTime"] = kZeroTimeText;
  json["Descriptor"] = to_json(found.target);
  return json;
}

std::vector<HistoryItem> image_history(Context& context, const std::string& name,
                                       const std::optional<Platform>& platform) {
  const FoundImage found = get_image(context, name, platform);
  const std::optional<StoredImage> stored = find_stored(context, found.id);
  std::vector<HistoryItem> items;
  std::size_t layer = 0;
  for (const History& entry : found.image.config.history) {
    HistoryItem item;
    item.id = "<missing>";
    const std::optional<Time> created = parse_time(entry.created);
    if (created) item.created = created->time_since_epoch().count() / 1'000'000'000;
    item.created_by = entry.created_by;
    item.comment = entry.comment;
    if (!entry.empty_layer && layer < found.image.layers.size()) {
      if (const auto info = context.store().layers().find(found.image.layers[layer].diff_id)) item.size = info->content_size;
      ++layer;
    }
    items.insert(items.begin(), std::move(item));
  }
  if (items.empty()) items.emplace_back();
  items.front().id = found.id;
  if (stored) items.front().tags = stored->repo_tags();
  return items;
}

}  // namespace ctr
