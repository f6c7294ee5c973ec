#include "cli/build_view.h"

#include "cli/build_view_plain.h"
#include "cli/build_view_terminal.h"
#include "cli/flags.h"
#include "cli/output.h"

namespace ctr {

namespace {

class QuietBuildView final : public BuildProgress {
 public:
  void step_started(StepNumber, std::string_view) override {}
  void step_output(StepNumber, StepStream, std::string_view) override {}
  void step_status(StepNumber, const StepStatus&) override {}
  void step_ended(StepNumber, StepEnd, std::chrono::nanoseconds, std::string_view) override {}
  void step_explained(StepNumber, std::string_view reason) override { write_standard_error(std::string(reason) + "\n"); }
  void steps_known(int) override {}
  void warned(std::string_view) override {}
};

}  // namespace

std::unique_ptr<BuildProgress> make_build_view(const std::string& mode, int fd) {
  if (mode == "quiet" || mode == "none") return std::make_unique<QuietBuildView>();
  if (mode == "plain") return std::make_unique<PlainBuildView>(fd);
  if (mode == "tty") {
    if (!is_terminal(fd)) throw Error(ErrorKind::Invalid, "--progress=tty needs a terminal on standard error");
    return std::make_unique<TerminalBuildView>(fd);
  }
  if (mode == "auto" || mode.empty()) {
    if (is_terminal(fd)) return std::make_unique<TerminalBuildView>(fd);
    return std::make_unique<PlainBuildView>(fd);
  }
  if (mode == "rawjson") throw UsageError("--progress=rawjson is not supported yet: use plain");
  throw UsageError("invalid progress type \"" + mode + "\": auto, plain, tty, quiet or none");
}

}  // namespace ctr
