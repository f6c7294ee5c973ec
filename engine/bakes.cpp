#include "engine/bakes.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <condition_variable>
#include <exception>
#include <mutex>
#include <set>
#include <thread>

#include "base/error.h"
#include "base/text.h"
#include "engine/builds.h"
#include "image/store.h"

namespace ctr {
namespace {

constexpr std::uint64_t kBakeFileLimit = 16 * kMiB;

/// The steps of several builds as those of one: numbers go on over all targets, titles get the target's name.
class SharedProgress {
 public:
  explicit SharedProgress(BuildProgress& progress) : progress_(progress) {}

  StepNumber start(const std::string& title) {
    const std::lock_guard lock(mutex_);
    progress_.step_started(++last_, title);
    return last_;
  }
  void expect(int more) {
    const std::lock_guard lock(mutex_);
    expected_ += more;
    progress_.steps_known(expected_);
  }
  template <typename Act>
  void tell(Act&& act) {
    const std::lock_guard lock(mutex_);
    act(progress_);
  }

 private:
  std::mutex mutex_;
  BuildProgress& progress_;
  StepNumber last_ = 0;
  int expected_ = 0;
};

class TargetProgress final : public BuildProgress {
 public:
  TargetProgress(SharedProgress& shared, std::string prefix) : shared_(shared), prefix_(std::move(prefix)) {}

  void step_started(StepNumber step, std::string_view title) override {
    std::string shown(title);
    if (!prefix_.empty()) shown = title.starts_with('[') ? "[" + prefix_ + " " + shown.substr(1) : "[" + prefix_ + "] " + shown;
    numbers_[step] = shared_.start(shown);
  }
  void step_output(StepNumber step, StepStream stream, std::string_view bytes) override {
    shared_.tell([&](BuildProgress& progress) { progress.step_output(numbers_[step], stream, bytes); });
  }
  void step_status(StepNumber step, const StepStatus& status) override {
    shared_.tell([&](BuildProgress& progress) { progress.step_status(numbers_[step], status); });
  }
  void step_ended(StepNumber step, StepEnd end, std::chrono::nanoseconds elapsed, std::string_view message) override {
    shared_.tell([&](BuildProgress& progress) { progress.step_ended(numbers_[step], end, elapsed, message); });
  }
  void step_explained(StepNumber step, std::string_view reason) override {
    shared_.tell([&](BuildProgress& progress) { progress.step_explained(numbers_[step], reason); });
  }
  void steps_known(int total) override {
    shared_.expect(total - known_);
    known_ = total;
  }
  void interrupted(const std::function<void()>& act) override {
    shared_.tell([&](BuildProgress& progress) { progress.interrupted(act); });
  }
  void warned(std::string_view message) override {
    shared_.tell([&](BuildProgress& progress) { progress.warned(message); });
  }

 private:
  SharedProgress& shared_;
  std::string prefix_;
  std::map<StepNumber, StepNumber> numbers_;
  int known_ = 0;
};

/// A text as a descriptor that can be read from its beginning.
Fd file_of(const std::string& text) {
  Fd file(check(::memfd_create("Dockerfile", MFD_CLOEXEC), "memfd_create"));
  write_all(file.get(), as_bytes(text));
  check(::lseek(file.get(), 0, SEEK_SET), "lseek");
  return file;
}

BuildAction action_of(const BakeTarget& target) {
  const std::string call = target.call.value_or("build");
  if (call.empty() || call == "build") return BuildAction::Build;
  if (call == "check" || call == "lint") return BuildAction::Check;
  if (call == "outline") return BuildAction::Outline;
  if (call == "targets") return BuildAction::Targets;
  throw Error(ErrorKind::Invalid, "target " + target.name + ": invalid call \"" + call + "\": build, check, outline or targets");
}

/// --attest of a target as --provenance would say it.
std::string provenance_of(const BakeTarget& target) {
  std::string provenance;
  for (const BakeEntry& entry : target.attest) {
    const auto field = [&](const char* key) { return entry.contains(key) ? entry.at(key) : std::string(); };
    const bool is_off = parse_bool(field("disabled")).value_or(false);
    if (field("type") == "sbom" && !is_off)
      throw Error(ErrorKind::Unavailable, "target " + target.name + ": attest: type=sbom is not supported yet");
    if (field("type") != "provenance") continue;
    provenance = is_off ? "" : "true";
    for (const auto& [key, value] : entry)
      if (!is_off && key != "type" && key != "disabled") provenance = (provenance == "true" ? "" : provenance + ",") + key + "=" + value;
  }
  return provenance;
}

void check_entitlements(const BakeTarget& target, const std::vector<std::string>& allowed) {
  for (const std::string& wanted : target.entitlements) {
    if (std::find(allowed.begin(), allowed.end(), wanted) != allowed.end()) continue;
    throw Error(ErrorKind::Denied, "additional privileges requested: target " + target.name + " wants " + wanted +
                                       ": allow it with --allow " + wanted);
  }
}

/// The targets whose images the contexts of this one name.
std::set<std::string> needed_targets(const BuildRequest& request) {
  std::set<std::string> names;
  for (const auto& [name, source] : request.named_contexts)
    if (const auto* target = std::get_if<TargetSource>(&source)) names.insert(target->target);
  return names;
}

OutputSpec unnamed_image() { return parse_output_spec("type=image,store=false"); }

/// One bake: a thread a target, each waiting for those that it needs.
class Bake {
 public:
  Bake(Context& context, const BakePlan& plan, const BakeSettings& settings, BuildProgress& progress)
      : context_(context), builder_(settings.builder), shared_(progress), pin_(context.store().pin()) {
    context.events();
    for (const BakeTarget& target : plan.targets) jobs_.push_back(job_of(target, settings));
    std::set<std::string> needed;
    for (const Job& job : jobs_) needed.insert(job.needs.begin(), job.needs.end());
    for (Job& job : jobs_)
      if (needed.contains(job.name)) make_image_of(job);
  }

  std::vector<BakedTarget> run() {
    std::vector<std::thread> threads;
    for (Job& job : jobs_) threads.emplace_back([this, &job] { work(job); });
    for (std::thread& thread : threads) thread.join();
    if (failure_) std::rethrow_exception(failure_);
    std::vector<BakedTarget> results;
    for (Job& job : jobs_) results.push_back({job.name, std::move(job.result)});
    return results;
  }

 private:
  struct Job {
    std::string name;
    BuildRequest request;
    Fd dockerfile;
    std::set<std::string> needs;
    bool is_linked = false;
    bool is_done = false;
    BuildResult result = {};
  };

  static Job job_of(const BakeTarget& target, const BakeSettings& settings) {
    check_entitlements(target, settings.entitlements);
    Job job;
    job.name = target.name;
    job.is_linked = target.is_linked;
    job.request = bake_build_request(target);
    job.request.action = target.is_linked ? BuildAction::Build : action_of(target);
    job.request.provenance = provenance_of(target);
    if (target.dockerfile_inline) {
      job.dockerfile = file_of(*target.dockerfile_inline);
      job.request.dockerfile = "-";
      job.request.standard_input = job.dockerfile.get();
    }
    if (settings.adjust) settings.adjust(job.request);
    job.needs = needed_targets(job.request);
    return job;
  }

  /// A target that others name leaves an image, named or not, whatever else it makes.
  static void make_image_of(Job& job) {
    if (job.is_linked) job.request.outputs.clear();
    if (job.is_linked || !job.request.outputs.empty()) job.request.outputs.push_back(unnamed_image());
    job.request.action = BuildAction::Build;
  }

  void work(Job& job) {
    try {
      if (!wait_for_needs(job)) return;
      TargetProgress progress(shared_, jobs_.size() > 1 ? job.name : std::string());
      BuildResult result = build_image(context_, job.request, progress, builder_);
      if (result.image) pin_.add(result.image->digest);
      const std::lock_guard lock(mutex_);
      job.result = std::move(result);
      job.is_done = true;
    } catch (...) {
      const std::lock_guard lock(mutex_);
      if (!failure_) failure_ = std::current_exception();
    }
    changed_.notify_all();
  }

  /// False if one of them failed.
  bool wait_for_needs(Job& job) {
    std::unique_lock lock(mutex_);
    for (Job& other : jobs_) {
      if (!job.needs.contains(other.name)) continue;
      changed_.wait(lock, [&] { return other.is_done || failure_; });
      if (failure_) return false;
      job.request.target_images.emplace(other.name, *other.result.image);
    }
    return true;
  }

  Context& context_;
  std::string builder_;
  SharedProgress shared_;
  Pin pin_;
  std::vector<Job> jobs_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::exception_ptr failure_;
};

std::map<std::string, std::string> read_dot_env() {
  std::map<std::string, std::string> values;
  for (const std::string& line : split(find_file(".env", kMiB).value_or(""), '\n')) {
    const std::string_view text = without_prefix(trim(line), "export ");
    const auto pair = cut(text, '=');
    if (!pair || text.starts_with('#')) continue;
    std::string_view value = trim(pair->second);
    if (value.size() >= 2 && (value.front() == '"' || value.front() == '\'') && value.back() == value.front())
      value = value.substr(1, value.size() - 2);
    values[std::string(trim(pair->first))] = std::string(value);
  }
  return values;
}

}  // namespace

std::vector<BakeFile> read_bake_files(const std::vector<std::string>& names) {
  std::vector<BakeFile> files;
  for (const std::string& given : names) {
    if (given == "-") {
      files.push_back({"-", read_fd(STDIN_FILENO, kBakeFileLimit, "standard input")});
      continue;
    }
    const std::string name(without_prefix(given, "cwd://"));
    if (name.find("://") != std::string::npos)
      throw Error(ErrorKind::Unavailable, "a bake file at an address is not supported: " + name + ": fetch it first");
    auto text = find_file(name, kBakeFileLimit);
    if (!text) throw Error(ErrorKind::NotFound, "open " + name + ": no such file or directory");
    files.push_back({name, std::move(*text)});
  }
  if (!names.empty()) return files;
  for (const std::string& name : default_bake_files())
    if (auto text = find_file(name, kBakeFileLimit)) files.push_back({name, std::move(*text)});
  return files;
}

std::function<std::optional<std::string>(std::string_view)> dot_env() {
  return [file = read_dot_env()](std::string_view name) -> std::optional<std::string> {
    const auto found = file.find(std::string(name));
    if (found == file.end()) return std::nullopt;
    return found->second;
  };
}

std::vector<BakedTarget> bake(Context& context, const BakePlan& plan, const BakeSettings& settings,
                              BuildProgress& progress) {
  return Bake(context, plan, settings, progress).run();
}

}  // namespace ctr
