// Small images for registry tests: made in a store from files given as text.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "image/config.h"
#include "image/image.h"
#include "image/store.h"

namespace ctr {

using TestFiles = std::map<std::string, std::string>;  // path to content, no directories

/// A layer of these files in the store; returns its descriptor as an image built here lists it.
Descriptor make_test_layer(Store& store, const TestFiles& files, Digest& diff_id);

/// An image with one layer for each of `layers`.
Descriptor make_test_image(Store& store, const std::vector<TestFiles>& layers, const Platform& platform,
                           const std::string& manifest_type = std::string(media_type::kOciManifest));

/// An index of these, for the platforms that they carry.
Descriptor make_test_index(Store& store, const std::vector<Descriptor>& manifests);

/// The content of a file in a layer's tree.
std::string read_layer_file(const Store& store, const Digest& diff_id, const std::string& path);

}  // namespace ctr
