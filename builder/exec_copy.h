// COPY, ADD and WORKDIR: files go from where they lie straight into a new layer, in one pass. Where they go is decided as
// BuildKit does, with links of the base resolved inside it; parents that exist keep what they are, missing ones are
// made.
#pragma once

#include <vector>

#include "base/time.h"
#include "builder/copy_selection.h"
#include "builder/op.h"
#include "image/layer_store.h"

namespace ctr {

class SourceHashes;

/// `base` is a directory descriptor of the base file system (-1 for --link: none). `step_time` is the time of what is
/// made rather than copied.
/// `hashes`, if given, sees every file's bytes; REQUIRES then: nothing that may be unpacked.
LayerInfo execute_copy(const LayerStore& store, const CopyOp& op, const std::vector<Selection>& selections, int base,
                       Time step_time, SourceHashes* hashes = nullptr);

LayerInfo execute_make_directory(const LayerStore& store, const MakeDirectoryOp& op, int base, Time step_time);

}  // namespace ctr
