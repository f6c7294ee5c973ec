// RUN: a process in a container on the layers below it. The root is an overlay whose upper directory becomes the layer,
// by rename. Runs on runtime/ itself, without a shim: the calling thread waits, and the container dies with it. Mount
// points that the file system lacks come from a lowest layer that is never part of the image.
#pragma once

#include <atomic>
#include <span>
#include <string>
#include <vector>

#include "builder/executor.h"
#include "builder/op.h"
#include "builder/run_environment.h"
#include "image/store.h"

namespace ctr {

class StepReporter;

struct RunStep {
  const ExecOp& op;
  const std::vector<std::string>& proxies;
  std::span<const Built> inputs;
  StepNumber number;
  StepReporter& reporter;
  Pin& pin;
  const std::atomic<bool>& is_cancelled;
  int cancel_fd;  ///< becomes readable when the step must end
};

/// Throws ExitError if the process failed.
MadeLayer execute_run(RunEnvironment& environment, const RunStep& step, Time step_time);

}  // namespace ctr
