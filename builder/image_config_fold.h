// What instructions do to an image's config: each takes a config and leaves the next one, with the history entry that
// BuildKit writes for it. No files, no graph: lowering calls these beside building the graph, and build_export fills in
// layers and times at the end.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/time.h"
#include "builder/instructions.h"
#include "image/config.h"

namespace ctr {

/// The config of FROM scratch.
ImageConfig empty_image_config(const Platform& platform);

/// A base image's config as a stage starts with it: no creation time, PATH set.
ImageConfig stage_config(ImageConfig base);

enum class HistoryLayer { None, Added };
/// Appends a history entry. "# buildkit" is put behind what RUN, COPY and ADD say, by the caller.
void add_history(ImageConfig& config, std::string created_by, HistoryLayer layer);

/// The text of an instruction behind SHELL (default /bin/sh -c), or its words in exec form.
std::vector<std::string> command_arguments(const ImageConfig& config, const CommandLine& command);

void fold_env(ImageConfig& config, const EnvInstruction& instruction);
void fold_label(ImageConfig& config, const LabelInstruction& instruction);
void fold_maintainer(ImageConfig& config, const MaintainerInstruction& instruction);
void fold_cmd(ImageConfig& config, const CmdInstruction& instruction);
enum class InheritedCmd { Keep, Reset };
void fold_entrypoint(ImageConfig& config, const EntrypointInstruction& instruction, InheritedCmd cmd);
void fold_healthcheck(ImageConfig& config, const HealthcheckInstruction& instruction);
void fold_user(ImageConfig& config, const UserInstruction& instruction);
void fold_volume(ImageConfig& config, const VolumeInstruction& instruction);
void fold_stop_signal(ImageConfig& config, const StopSignalInstruction& instruction);
void fold_shell(ImageConfig& config, const ShellInstruction& instruction);
void fold_expose(ImageConfig& config, const ExposeInstruction& instruction);
void fold_onbuild(ImageConfig& config, const OnbuildInstruction& instruction);
/// Sets WorkingDir and returns it: absolute and clean. The history entry has a layer unless it is "/".
std::string fold_workdir(ImageConfig& config, const WorkdirInstruction& instruction);

/// A relative path behind the working directory, cleaned; a trailing slash stays (and "." means one).
std::string absolute_path(const std::string& working_directory, const std::string& path);

/// `KEY=value` in a list: replaces the first of that key, or is appended.
void set_environment(std::vector<std::string>& environment, const std::string& key, const std::string& value);
std::optional<std::string> find_environment(const std::vector<std::string>& environment, std::string_view key);

/// Layers and the times that were missing, as BuildKit's exporter fills them in: a layer's entry gets the time at which
/// it was made, entries without a layer the time of the layer before (or the first new one), the image the last.
/// `new_layer_times` belong to the last layers; `epoch` replaces them all.
void finish_config(ImageConfig& config, const std::vector<Digest>& diff_ids,
                   const std::vector<Time>& new_layer_times,
                   std::optional<std::int64_t> epoch);

}  // namespace ctr
