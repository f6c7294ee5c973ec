#include "builder/build.h"

#include <algorithm>
#include <thread>

#include "base/error.h"
#include "base/task_pool.h"
#include "base/text.h"
#include "base/trace.h"
#include "builder/base_images.h"
#include "builder/build_cache.h"
#include "builder/build_checks.h"
#include "builder/build_context.h"
#include "builder/build_executor.h"
#include "builder/build_export.h"
#include "builder/dockerfile_parser.h"
#include "builder/explain.h"
#include "builder/git_source.h"
#include "builder/lower.h"
#include "builder/solver.h"
#include "builder/step_reporter.h"

namespace ctr {

namespace {

constexpr std::size_t kMinJobs = 4;  // steps wait for networks and disks more than for processors

/// The platforms to build for, each once.
std::vector<Platform> requested_platforms(const BuildRequest& request) {
  std::vector<Platform> result;
  for (const std::string& text : request.platforms) {
    for (const std::string& each : split(text, ',')) {
      const Platform platform = each == "local" ? host_platform() : normalised(parse_platform(each));
      if (std::find(result.begin(), result.end(), platform) == result.end()) result.push_back(platform);
    }
  }
  if (result.empty()) {
    Platform own = normalised(host_platform());
    own.variant = own.architecture == "amd64" ? "" : own.variant;
    result.push_back(own);
  }
  return result;
}

void check_request(const BuildRequest& request) {
  for (const std::string& tag : request.tags)
    in_context("invalid tag \"" + tag + "\"", [&] { return Reference::parse(tag); });
}

/// One `ctr build`.
class BuildRun {
 public:
  BuildRun(Store& store, const BuildRequest& request, const BuildServices& services, BuildProgress& progress)
      : store_(store),
        request_(request),
        services_(services),
        reporter_(progress),
        pin_(store.pin()),
        cache_(store.root(), store.run()),
        contexts_(store, pin_, request, services),
        images_(store, pin_, request, services, reporter_) {}

  BuildResult run() {
    check_request(request_);
    const TraceSpan span("build");
    read_dockerfile();
    const auto ignore = contexts_.ignore(reporter_);
    epoch_ = find_epoch();
    platforms_ = requested_platforms(request_);
    BuildChecks checks(dockerfile_, request_, ignore.get(), [this](const std::string& name, const Platform& platform) {
      return images_.find(name, platform);
    });
    if (request_.action != BuildAction::Build) return checks.report();
    lower_platforms();
    checks.warn(reporter_);
    return solve_and_export();
  }

 private:
  void read_dockerfile() {
    const DockerfileText text = contexts_.read_dockerfile(reporter_);
    const TraceSpan span("parse Dockerfile");
    dockerfile_ = parse_dockerfile(text.name, text.text);
    const auto syntax = request_.build_args.find("BUILDKIT_SYNTAX");
    if (syntax != request_.build_args.end()) {
      check_syntax_reference(syntax->second);
    } else if (dockerfile_.directives.syntax) {
      check_syntax_reference(dockerfile_.directives.syntax->value);
    }
  }

  std::optional<std::int64_t> find_epoch() const {
    const auto given = request_.build_args.find("SOURCE_DATE_EPOCH");
    const auto parsed = parse_source_date_epoch(given != request_.build_args.end() ? given->second
                                                                                   : request_.source_date_epoch);
    if (!parsed) return std::nullopt;
    if (!parsed->from_context) return parsed->time.count();
    const auto directory = contexts_.directory();
    if (!directory) throw Error(ErrorKind::Invalid, "SOURCE_DATE_EPOCH=git needs a context directory");
    return commit_time_of_clean_tree(*directory);
  }

  LowerOptions lower_options(const Platform& platform) const {
    LowerOptions options;
    options.target = request_.target;
    options.build_platform = normalised(host_platform());
    if (options.build_platform.architecture == "amd64") options.build_platform.variant.clear();
    options.target_platform = platform;
    options.is_platform_given = !request_.platforms.empty();
    options.is_multi_platform = platforms_.size() > 1;
    options.build_args = request_.build_args;
    if (epoch_) options.build_args["SOURCE_DATE_EPOCH"] = std::to_string(*epoch_);
    options.labels = request_.labels;
    options.ignore_cache = request_.cache == CacheUse::Ignore;
    options.ignore_cache_stages = {request_.no_cache_stages.begin(), request_.no_cache_stages.end()};
    options.network = request_.network;
    const auto hostname = request_.build_args.find("BUILDKIT_SANDBOX_HOSTNAME");
    if (hostname != request_.build_args.end()) options.hostname = hostname->second;
    options.add_hosts = request_.add_hosts;
    options.ulimits = request_.ulimits;
    options.cgroup_parent = request_.cgroup_parent;
    options.shm_size_bytes = request_.shm_size_bytes;
    options.entitlements = {request_.entitlements.begin(), request_.entitlements.end()};
    options.epoch = epoch_;
    return options;
  }

  std::optional<NamedSource> named_context(const std::string& name, const Platform& platform) {
    for (const auto& [key, source] : request_.named_contexts) {
      const auto wanted = Reference::try_parse(name);
      const auto given = Reference::try_parse(key);
      if (lower_case(key) != lower_case(name) && (!wanted || !given || *wanted != *given)) continue;
      if (const auto* image = std::get_if<ImageSource>(&source)) return images_.find(image->reference, platform);
      if (const auto* layout = std::get_if<OciLayoutSource>(&source)) return images_.find_in_layout(*layout, platform);
      if (std::holds_alternative<TargetSource>(source))
        throw Error(ErrorKind::Invalid, "context " + key + " is a bake target: it can be used with `ctr buildx bake` only");
      return NamedTree{key};
    }
    return std::nullopt;
  }

  static std::string lower_case(std::string_view text) { return ctr::lower(text); }

  void lower_platforms() {
    const TraceSpan span("lower");
    LowerSources sources;
    sources.image = [this](const std::string& name, const Platform& platform) { return images_.find(name, platform); };
    sources.named_context = [this](const std::string& name, const Platform& platform) {
      return named_context(name, platform);
    };
    for (const Platform& platform : platforms_)
      lowered_.push_back(lower(graph_, dockerfile_, lower_options(platform), sources));
  }

  BuildResult solve_and_export() {
    BuildExecutor executor(store_, pin_, request_, services_, contexts_, reporter_, graph_, epoch_);
    images_.offer_layers(executor);
    std::vector<VertexId> targets;
    for (const LoweredImage& image : lowered_) targets.push_back(image.root);
    expect_steps(targets);
    std::vector<Built> built = solve(executor, targets);
    executor.save_hashes();
    bring_layers(executor, built);
    std::vector<ExportInput> inputs;
    for (std::size_t i = 0; i < lowered_.size(); ++i)
      inputs.push_back({std::move(lowered_[i]), std::move(built[i])});
    ExportOptions options;
    options.names = request_.tags;
    options.annotations = request_.annotations;
    options.epoch = epoch_;
    options.always_index = platforms_.size() > 1;
    options.layer_blobs = images_.layer_blobs();
    return export_images(store_, pin_, std::move(inputs), options, reporter_);
  }

  void expect_steps(const std::vector<VertexId>& targets) {
    int steps = 0;
    for (const VertexId id : graph_.reachable(targets)) steps += graph_.note(id).title.empty() ? 0 : 1;
    reporter_.expect(steps);
  }

  std::vector<Built> solve(BuildExecutor& executor, const std::vector<VertexId>& targets) {
    SolverOptions options;
    options.jobs = request_.limits.jobs > 0 ? static_cast<unsigned>(request_.limits.jobs)
                                            : static_cast<unsigned>(std::max(processor_count(), kMinJobs));
    Explainer explainer(cache_, graph_, build_name());
    options.on_solved = [&](const SolverOptions::Event& event) { explainer.remember(event); };
    if (request_.explanations == Explanations::On)
      options.explain = [&](const SolverOptions::Event& event) { return explainer.explain(event); };
    Solver solver(graph_, executor, cache_, reporter_, std::move(options));
    try {
      std::vector<Built> result = solver.solve(targets);
      explainer.save();
      return result;
    } catch (const StepError& error) {
      executor.save_hashes();
      throw failure_of(error);
    }
  }

  /// What tells this build from others, so that --explain compares with the last one of the same thing.
  std::string build_name() const {
    std::string name = contexts_.identity() + "\n" + dockerfile_.source->name + "\n" + request_.target;
    for (const Platform& platform : platforms_) name += "\n" + platform.str();
    return name;
  }

  BuildFailure failure_of(const StepError& error) const {
    const VertexNote& note = graph_.note(error.vertex());
    BuildFailure::Details details;
    details.step = note.title;
    details.output = reporter_.tail(error.step());
    details.where = {dockerfile_.source->name, static_cast<int>(note.where.start.line),
                     static_cast<int>(note.where.end.line), dockerfile_.source->text};
    details.exit_code = error.exit_code();
    return BuildFailure(error.kind(), error.what(), std::move(details));
  }

  /// The finished image's layers: what records alone knew so far is brought now.
  void bring_layers(BuildExecutor& executor, const std::vector<Built>& built) {
    std::optional<ReportedStep> step;
    for (const Built& each : built) {
      for (const Digest& layer : each.layers) {
        if (executor.has_layer(layer)) continue;
        if (!step) step.emplace(reporter_, "importing layers");
        if (!executor.fetch_layer(layer, step->number()))
          throw Error(ErrorKind::NotFound, "layer " + layer.str() + " of the image can't be had");
      }
    }
    if (step) step->done();
  }

  Store& store_;
  const BuildRequest& request_;
  const BuildServices& services_;
  StepReporter reporter_;
  Pin pin_;
  BuildCache cache_;
  BuildContexts contexts_;
  BaseImages images_;
  Dockerfile dockerfile_;
  std::optional<std::int64_t> epoch_;
  std::vector<Platform> platforms_;
  Graph graph_;
  std::vector<LoweredImage> lowered_;
};

}  // namespace

BuildResult build(Store& store, const BuildRequest& request, const BuildServices& services, BuildProgress& progress) {
  return BuildRun(store, request, services, progress).run();
}

}  // namespace ctr
