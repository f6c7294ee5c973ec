#include "image/media_types.h"

#include <algorithm>
#include <array>

namespace ctr {

namespace {

using namespace media_type;

struct LayerType {
  std::string_view name;
  Compression compression;
  bool is_foreign;
};

constexpr std::array kLayerTypes{
    LayerType{kOciLayer, Compression::None, false},
    LayerType{kOciLayerGzip, Compression::Gzip, false},
    LayerType{kOciLayerZstd, Compression::Zstd, false},
    LayerType{kOciForeignLayer, Compression::None, true},
    LayerType{kOciForeignLayerGzip, Compression::Gzip, true},
    LayerType{kOciForeignLayerZstd, Compression::Zstd, true},
    LayerType{kDockerLayer, Compression::None, false},
    LayerType{kDockerLayerGzip, Compression::Gzip, false},
    LayerType{kDockerLayerZstd, Compression::Zstd, false},
    LayerType{kDockerForeignLayerGzip, Compression::Gzip, true},
};

const LayerType* find_layer_type(std::string_view name) {
  const auto found = std::ranges::find(kLayerTypes, name, &LayerType::name);
  return found == kLayerTypes.end() ? nullptr : &*found;
}

}  // namespace

bool is_index_type(std::string_view name) {
  return name == kOciIndex || name == kDockerIndex;
}
bool is_manifest_type(std::string_view name) {
  return name == kOciManifest || name == kDockerManifest;
}
bool is_config_type(std::string_view name) {
  return name == kOciConfig || name == kDockerConfig;
}
bool is_layer_type(std::string_view name) {
  return find_layer_type(name) != nullptr;
}

bool is_foreign_layer_type(std::string_view name) {
  const LayerType* type = find_layer_type(name);
  return type && type->is_foreign;
}

bool is_docker_type(std::string_view name) {
  return name.starts_with("application/vnd.docker.");
}

Compression compression_of(std::string_view name) {
  const LayerType* type = find_layer_type(name);
  return type ? type->compression : Compression::None;
}

std::string_view layer_type(std::string_view manifest_media_type, Compression compression) {
  const bool is_docker = is_docker_type(manifest_media_type);
  switch (compression) {
    case Compression::Gzip:
      return is_docker ? kDockerLayerGzip : kOciLayerGzip;
    case Compression::Zstd:
      return is_docker ? kDockerLayerZstd : kOciLayerZstd;
    case Compression::None:
      break;
  }
  return is_docker ? kDockerLayer : kOciLayer;
}

}  // namespace ctr
