#include "builder/build.h"

#include <algorithm>
#include <thread>

#include "base/error.h"
#include "base/random.h"
#include "base/task_pool.h"
#include "base/text.h"
#include "base/trace.h"
#include "builder/base_images.h"
#include "builder/build_cache.h"
#include "builder/build_checks.h"
#include "builder/build_context.h"
#include "builder/build_executor.h"
#include "builder/build_export.h"
#include "builder/build_outputs.h"
#include "builder/cache_transfer.h"
#include "builder/cache_usage.h"
#include "builder/dockerfile_parser.h"
#include "builder/explain.h"
#include "builder/git_source.h"
#include "builder/lower.h"
#include "builder/solver.h"
#include "builder/step_reporter.h"

namespace ctr {

namespace {

constexpr std::size_t kIdBytes = 13;
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

void check_request(const BuildRequest& request, const BuildServices& services) {
  if (request.on_failure == FailureAction::Shell && !services.offer_shell)
    throw Error(ErrorKind::Invalid, "--on-failure=shell needs a terminal: standard input and standard error are none");
  if (!request.provenance.empty())
    throw Error(ErrorKind::Unavailable, "provenance attestations are not supported yet: the statement names the digest of the "
                                        "pushed manifest, which is made at push; build with --provenance=false");
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
        reporter_(progress, build_logs_directory(store.root()) / id_),
        pin_(store.pin()),
        cache_(store.root(), store.run()),
        contexts_(store, pin_, request, services),
        images_(store, pin_, request, services, reporter_),
        imports_(store, pin_, services) {}

  BuildResult run() {
    check_request(request_, services_);
    const TraceSpan span("build");
    read_dockerfile();
    const auto ignore = contexts_.ignore(reporter_);
    epoch_ = find_epoch();
    platforms_ = requested_platforms(request_);
    BuildChecks checks(dockerfile_, request_, ignore.get(), platforms_.front(), [this](const std::string& name, const Platform& platform) {
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
      if (const auto* target = std::get_if<TargetSource>(&source)) return built_target(key, target->target, platform);
      return NamedTree{key};
    }
    return std::nullopt;
  }

  BaseImage built_target(const std::string& context, const std::string& target, const Platform& platform) {
    const auto built = request_.target_images.find(target);
    if (built == request_.target_images.end())
      throw Error(ErrorKind::Invalid, "context " + context + " is a bake target: it can be used with `ctr buildx bake` only");
    return images_.find_built(target, built->second, platform);
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
    read_caches(executor);
    std::vector<VertexId> targets;
    for (const LoweredImage& image : lowered_) targets.push_back(image.root);
    expect_steps(targets);
    std::vector<Built> built = solve(executor, targets);
    executor.save_hashes();
    bring_layers(executor, built);
    BuildResult result = finish(built);
    export_caches(targets, built);
    result.id = id_;
    result.metadata_json = metadata_of(result);
    return result;
  }

  void read_caches(BuildExecutor& executor) {
    for (const CacheSpec& spec : request_.cache_from) imports_.read(spec, reporter_);
    imports_.offer_layers(executor, reporter_);
    executor.set_cache_mounts([this](const std::string& id) { return imports_.find_mount(id); });
  }

  /// What the request's outputs want of the finished file systems.
  BuildResult finish(const std::vector<Built>& built) {
    const std::vector<OutputSpec> outputs = outputs_of(request_);
    std::vector<FinishedPlatform> platforms;
    for (std::size_t i = 0; i < built.size(); ++i) platforms.push_back({lowered_[i].platform, built[i].layers});
    BuildResult result;
    if (std::any_of(outputs.begin(), outputs.end(), needs_image)) result = export_image(outputs, built);
    for (const OutputSpec& output : outputs) write_output(output, platforms, result);
    return result;
  }

  BuildResult export_image(const std::vector<OutputSpec>& outputs, const std::vector<Built>& built) {
    ExportOptions options;
    options.names = names_of(outputs);
    options.annotations = request_.annotations;
    options.epoch = epoch_;
    options.always_index = platforms_.size() > 1 || has_build_argument("BUILDKIT_MULTI_PLATFORM", "1");
    options.layer_blobs = images_.layer_blobs();
    options.is_named = std::any_of(outputs.begin(), outputs.end(), keeps_image);
    for (const OutputSpec& output : outputs) {
      const auto types = output.attributes.find("oci-mediatypes");
      options.is_docker_format |= types != output.attributes.end() && !parse_bool(types->second).value_or(true);
      if (!options.compression) options.compression = compression_of(output);
    }
    for (const CacheSpec& spec : request_.cache_to)
      if (spec.type == CacheSpec::Type::Inline) options.inline_cache = to_json(CacheDocument{records_, {}});
    if (has_build_argument("BUILDKIT_INLINE_CACHE", "1"))
      options.inline_cache = to_json(CacheDocument{records_, {}});
    std::vector<ExportInput> inputs;
    for (std::size_t i = 0; i < lowered_.size(); ++i) inputs.push_back({lowered_[i], built[i]});
    return export_images(store_, pin_, std::move(inputs), options, reporter_);
  }

  bool has_build_argument(const std::string& name, const std::string& value) const {
    const auto found = request_.build_args.find(name);
    return found != request_.build_args.end() && found->second == value;
  }

  std::vector<std::string> names_of(const std::vector<OutputSpec>& outputs) const {
    std::vector<std::string> names = request_.tags;
    for (const OutputSpec& output : outputs)
      for (const std::string& name : output.names)
        if (std::find(names.begin(), names.end(), name) == names.end()) names.push_back(name);
    return names;
  }

  void write_output(const OutputSpec& output, const std::vector<FinishedPlatform>& platforms, const BuildResult& result) {
    const std::vector<std::string> names = names_of({output});
    if (output.type == OutputSpec::Type::Local || output.type == OutputSpec::Type::Tar) {
      write_files(store_, output, platforms, {request_.entitlements.begin(), request_.entitlements.end()}, reporter_);
    } else if (output.type == OutputSpec::Type::Oci || !output.destination.empty()) {
      write_archive(store_, output, names, *result.image, reporter_);
    }
    if (output.push) push_image(services_, names, *result.image, output, reporter_);
  }

  /// --cache-to, after the image is safe: a cache that can't be written fails the build unless ignore-error is set.
  void export_caches(const std::vector<VertexId>& targets, const std::vector<Built>& built) {
    for (const CacheSpec& spec : request_.cache_to) {
      if (spec.type == CacheSpec::Type::Inline) continue;
      try {
        CacheDocument document{records_, {}};
        if (spec.mounts) document.mounts = snapshot_mounts(targets);
        std::set<Digest> wanted;
        for (const TravellingRecord& each : records_)
          if (spec.mode == CacheSpec::Mode::Max) wanted.insert(each.record.layer);
        for (const Built& each : built) wanted.insert(each.layers.begin(), each.layers.end());
        export_cache(spec, std::move(document), wanted, platforms_.front(), store_, pin_, services_, reporter_);
      } catch (const Error& error) {
        if (!spec.ignore_error) throw;
        reporter_.warn(std::string("the cache was not exported: ") + error.what());
      }
    }
  }

  std::map<std::string, Digest> snapshot_mounts(const std::vector<VertexId>& targets) {
    std::map<std::string, Digest> result;
    for (const VertexId id : graph_.reachable(targets)) {
      const auto* exec = std::get_if<ExecOp>(&graph_.vertex(id).op);
      if (exec == nullptr) continue;
      for (const ExecMount& mount : exec->mounts)
        if (const auto* cache = std::get_if<CacheMount>(&mount); cache != nullptr && !result.contains(cache->id))
          if (const auto layer = snapshot_cache_mount(store_, pin_, cache->id)) result.emplace(cache->id, *layer);
    }
    return result;
  }

  std::string metadata_of(const BuildResult& result) const {
    Json metadata = Json::object();
    if (result.image) {
      if (!result.image->is_index()) metadata["containerimage.config.digest"] = result.platforms.front().config.str();
      metadata["containerimage.descriptor"] = to_json(*result.image);
      metadata["containerimage.digest"] = result.image->digest.str();
    }
    if (!result.names.empty()) metadata["image.name"] = join(result.names, ",");
    return metadata.dump_pretty();
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
    options.on_solved = [&](const SolverOptions::Event& event) {
      explainer.remember(event);
      executor.note_solved(event.vertex);
      collect_record(event);
    };
    if (!request_.cache_from.empty()) options.find_remote = [this](const Digest& key) { return imports_.find(key); };
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

  /// Keeps a step's result for caches that travel.
  void collect_record(const SolverOptions::Event& event) {
    TravellingRecord record{{event.key.hex()}, event.record};
    for (const Digest& key : event.all_keys) record.keys.insert(key.hex());
    records_.push_back(std::move(record));
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
    details.output_file = reporter_.whole_output(error.step());
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
        bring_layer(executor, layer, *step);
      }
    }
    if (step) step->done();
  }

  static void bring_layer(BuildExecutor& executor, const Digest& layer, ReportedStep& step) {
    try {
      if (executor.fetch_layer(layer, step.number())) return;
    } catch (const Error& error) {
      step.failed(error.what());
      throw Error(error.kind(), "layer " + layer.str() + " can't be taken from the cache that offers it (" + error.what() +
                                    "): build without that --cache-from");
    }
    throw Error(ErrorKind::NotFound, "layer " + layer.str() + " of the image can't be had");
  }

  const std::string id_ = random_hex(kIdBytes);
  Store& store_;
  const BuildRequest& request_;
  const BuildServices& services_;
  StepReporter reporter_;
  Pin pin_;
  BuildCache cache_;
  BuildContexts contexts_;
  BaseImages images_;
  CacheImports imports_;
  std::vector<TravellingRecord> records_;
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
