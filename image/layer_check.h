// Whether a stored layer still is what its name says. A layer of our own making is, if its canonical tar still has the
// diff id; of a foreign one the blob is unpacked again and the trees are compared by what their canonical tars would be.
#pragma once

#include <optional>
#include <string>

#include "image/descriptor.h"
#include "image/digest.h"

namespace ctr {

class Store;

/// Reads all of a layer: why it is damaged, or nothing. `blob` is where a foreign layer came from, if that is known and
/// kept; without it only what can be read is checked.
std::optional<std::string> find_layer_damage(const Store& store, const Digest& diff_id,
                                             const std::optional<Descriptor>& blob);

}  // namespace ctr
