#include "builder/build_executor.h"

#include <fcntl.h>
#include <sys/eventfd.h>

#include "base/error.h"
#include "base/task_pool.h"
#include "base/trace.h"
#include "builder/build_cache.h"
#include "builder/exec_copy.h"
#include "builder/solver.h"
#include "builder/source_hashes.h"

namespace ctr {

BuildExecutor::BuildExecutor(Store& store, Pin& pin, const BuildRequest& request, const BuildServices& services,
                             BuildContexts& contexts, StepReporter& reporter, const Graph& graph,
                             std::optional<std::int64_t> epoch)
    : store_(store),
      pin_(pin),
      request_(request),
      contexts_(contexts),
      reporter_(reporter),
      graph_(graph),
      epoch_(epoch),
      views_(store),
      runs_(store, request, services),
      hashes_(BuildCache(store.root(), store.run()).file_hashes_path(contexts.identity())),
      cancel_event_(check(::eventfd(0, EFD_CLOEXEC), "eventfd")) {}

BuildExecutor::~BuildExecutor() = default;

void BuildExecutor::offer(const std::vector<Digest>& diff_ids, LayerFetcher fetcher) {
  auto offered = std::make_shared<Offer>();
  offered->fetch = std::move(fetcher);
  const std::lock_guard lock(mutex_);
  for (const Digest& diff_id : diff_ids) offers_.try_emplace(diff_id, offered);
}

void BuildExecutor::set_cache_mounts(std::function<std::optional<Digest>(const std::string& id)> find) {
  runs_.set_cache_mounts([this, find = std::move(find)](const std::string& id, StepNumber step) -> std::optional<Digest> {
    const auto layer = find(id);
    if (!layer || !(has_layer(*layer) || fetch_layer(*layer, step))) return std::nullopt;
    return layer;
  });
}

std::shared_ptr<const SourceTree> BuildExecutor::open_tree(const Op& op, StepNumber) {
  if (const auto* context = std::get_if<ContextOp>(&op)) return contexts_.tree(context->name);
  if (const auto* http = std::get_if<HttpOp>(&op)) return contexts_.download(*http);
  return contexts_.checkout(std::get<GitOp>(op));
}

bool BuildExecutor::has_layer(const Digest& diff_id) {
  {
    const std::lock_guard lock(mutex_);
    if (pinned_.contains(diff_id)) return true;
  }
  pin_.add(diff_id);
  if (!store_.layers().has(diff_id)) return false;
  const std::lock_guard lock(mutex_);
  pinned_.insert(diff_id);
  return true;
}

bool BuildExecutor::fetch_layer(const Digest& diff_id, StepNumber step) {
  std::shared_ptr<Offer> offered;
  {
    const std::lock_guard lock(mutex_);
    const auto found = offers_.find(diff_id);
    if (found == offers_.end()) return false;
    offered = found->second;
  }
  const std::lock_guard lock(offered->mutex);
  if (!offered->is_done) {
    const TraceSpan span("fetch layers");
    offered->fetch(step);
    offered->is_done = true;
  }
  return has_layer(diff_id);
}

std::vector<const SourceTree*> BuildExecutor::trees_of(const CopyOp& op, std::span<const Built> inputs,
                                                       std::vector<std::unique_ptr<SourceTree>>& opened) {
  std::vector<const SourceTree*> trees(inputs.size(), nullptr);
  for (const CopySource& source : op.sources) {
    if (source.content || trees.at(source.input) != nullptr) continue;
    const Built& input = inputs[source.input];
    if (input.tree) {
      trees[source.input] = input.tree.get();
    } else {
      opened.push_back(
          std::make_unique<SourceTree>(duplicate(views_.open(input.layers)), "the source stage", Owners::Kept));
      trees[source.input] = opened.back().get();
    }
  }
  return trees;
}

SelectionChecksum BuildExecutor::checksum(const CopyOp& op, std::span<const Built> inputs) {
  std::vector<std::unique_ptr<SourceTree>> opened;
  const std::vector<const SourceTree*> trees = trees_of(op, inputs, opened);
  const std::vector<Selection> selections = select_files(op, trees);
  return checksum_selections(selections, hashes_, static_cast<unsigned>(processor_count()));
}

Time BuildExecutor::step_time() const { return epoch_ ? Time(std::chrono::seconds(*epoch_)) : now(); }

MadeLayer BuildExecutor::copy(const CopyOp& op, std::span<const Built> inputs) {
  std::vector<std::unique_ptr<SourceTree>> opened;
  const std::vector<const SourceTree*> trees = trees_of(op, inputs, opened);
  const std::vector<Selection> selections = select_files(op, trees);
  const Time time = step_time();
  const TraceSpan span("write layer");
  const LayerInfo layer = execute_copy(store_.layers(), op, selections, views_.open(inputs[0].layers), time);
  return {layer.identity.diff_id, layer.content_size, time};
}

/// Hashing first is cheap where most hashes are known, and needed where an archive may be unpacked.
bool BuildExecutor::is_worth_one_pass(const std::vector<Selection>& selections) {
  std::uint64_t unknown_bytes = 0;
  for (const Selection& selection : selections) {
    if (selection.unpack) return false;
    for (const SelectedFile& file : selection.files)
      if (S_ISREG(file.file.info.st_mode) && !hashes_.find(file.file.info))
        unknown_bytes += static_cast<std::uint64_t>(file.file.info.st_size);
  }
  return unknown_bytes >= kMiB;
}

std::optional<CopiedLayer> BuildExecutor::copy_and_check(VertexId vertex, std::span<const Built> inputs,
                                                         const std::function<void()>& bring) {
  const CopyOp& op = std::get<CopyOp>(graph_.vertex(vertex).op);
  std::vector<std::unique_ptr<SourceTree>> opened;
  const std::vector<const SourceTree*> trees = trees_of(op, inputs, opened);
  const std::vector<Selection> selections = select_files(op, trees);
  if (!is_worth_one_pass(selections)) return std::nullopt;
  bring();
  std::call_once(emulators_checked_, [this] { check_emulators(); });
  const TraceSpan span("write layer and hash");
  const Time time = step_time();
  SourceHashes passed;
  const LayerInfo layer =
      execute_copy(store_.layers(), op, selections, views_.open(inputs[0].layers), time, &passed);
  passed.finish();
  return CopiedLayer{finish({layer.identity.diff_id, layer.content_size, time}),
                     checksum_selections(selections, hashes_, static_cast<unsigned>(processor_count()), &passed)};
}

MadeLayer BuildExecutor::finish(MadeLayer made) {
  if (epoch_) made.created = Time(std::chrono::seconds(*epoch_));
  if (!has_layer(made.diff_id))
    throw Error(ErrorKind::Busy, "the layer of a step was removed while it was made: build again");
  return made;
}

MadeLayer BuildExecutor::execute(VertexId vertex, std::span<const Built> inputs, StepNumber step) {
  if (is_cancelled_) throw Error(ErrorKind::Unavailable, "canceled");
  std::call_once(emulators_checked_, [this] { check_emulators(); });
  const Op& op = graph_.vertex(vertex).op;
  return finish([&] {
    if (const auto* copied = std::get_if<CopyOp>(&op)) return copy(*copied, inputs);
    if (const auto* make = std::get_if<MakeDirectoryOp>(&op)) {
      const Time time = step_time();
      const LayerInfo layer = execute_make_directory(store_.layers(), *make, views_.open(inputs[0].layers), time);
      return MadeLayer{layer.identity.diff_id, layer.content_size, time};
    }
    const RunStep run{std::get<ExecOp>(op), graph_.note(vertex).proxies, inputs,       step,
                      reporter_,            pin_,                        is_cancelled_, cancel_event_.get()};
    return execute_run(runs_, run, now());
  }());
}

void BuildExecutor::note_solved(VertexId vertex) {
  const std::lock_guard lock(mutex_);
  solved_.insert(vertex);
}

void BuildExecutor::check_emulators() {
  const std::lock_guard lock(mutex_);
  for (VertexId id = 0; id < graph_.size(); ++id) {
    const auto* exec = std::get_if<ExecOp>(&graph_.vertex(id).op);
    if (exec == nullptr || solved_.contains(id)) continue;
    RunEnvironment::check_rights();
    execution_of(exec->platform);
  }
}

void BuildExecutor::cancel() {
  is_cancelled_ = true;
  const std::uint64_t one = 1;
  if (::write(cancel_event_.get(), &one, sizeof one) < 0) return;  // full: it is readable already
}

}  // namespace ctr
