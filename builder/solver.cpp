#include "builder/solver.h"

#include <condition_variable>
#include <mutex>
#include <thread>

#include "base/error.h"
#include "base/trace.h"

namespace ctr {

std::string content_id(const std::vector<Digest>& layers) {
  Hasher hasher;
  for (const Digest& layer : layers) hasher.write(layer.str() + "\n");
  return hasher.digest().hex();
}

namespace {

/// Thrown when a step needs the layers of a vertex whose record is known but whose layer is nowhere: it has to be
/// executed after all.
struct MustExecute {
  VertexId vertex;
};

Digest key_of(const char* kind, const Json& op, const std::vector<std::string>& inputs) {
  Json identity = Json::object({{"v", 1}, {"key", kind}});
  identity["op"] = op;
  identity["inputs"] = Json(inputs);
  return Digest::of(identity.dump());
}

/// The inputs of a vertex whose selection is checked, with the selection.
std::vector<SelectedInput> selected_inputs(const Op& op) {
  std::vector<SelectedInput> result;
  if (const auto* copy = std::get_if<CopyOp>(&op)) {
    result.push_back({0, *copy});
  } else if (const auto* exec = std::get_if<ExecOp>(&op)) {
    for (const ExecMount& mount : exec->mounts) {
      const auto* bind = std::get_if<BindMount>(&mount);
      if (bind == nullptr || bind->writable) continue;
      CopyOp selection;
      selection.sources.push_back({.input = bind->input, .path = bind->source});
      selection.keep_owner = true;
      result.push_back({bind->input, std::move(selection)});
    }
  }
  return result;
}

/// The input that is the base of the result: 0 for what has one.
bool has_base(const Op& op) {
  const auto* copy = std::get_if<CopyOp>(&op);
  return copy == nullptr || !copy->link;
}

}  // namespace

/// One pass over the graph. Everything here is guarded by mutex_ but what process() does.
class Solver::Run {
 public:
  Run(Solver& solver, const std::vector<VertexId>& targets)
      : solver_(solver), graph_(solver.graph_), order_(graph_.reachable(targets)) {
    for (const VertexId id : order_) {
      Node& node = nodes_[id];
      const std::set<VertexId> inputs(graph_.vertex(id).inputs.begin(), graph_.vertex(id).inputs.end());
      node.waiting_for = inputs.size();
      for (const VertexId input : inputs) nodes_[input].consumers.push_back(id);
      if (inputs.empty()) ready_.insert(id);
    }
    unsolved_ = order_.size();
  }

  // A step may move its thread into a mount namespace of its own: never the caller's, from where the whole process is
  // seen, and mounts that others are to see are made.
  void work_to_the_end() {
    std::thread([this] { work(); }).join();
    for (;;) {
      std::thread helper;
      {
        const std::lock_guard lock(mutex_);
        if (helpers_.empty()) break;
        helper = std::move(helpers_.back());
        helpers_.pop_back();
      }
      helper.join();
    }
    if (must_execute_) throw MustExecute{*must_execute_};
    if (failure_) std::rethrow_exception(failure_);
  }

  const Built& result(VertexId id) const { return nodes_.at(id).built; }

 private:
  struct Node {
    std::size_t waiting_for = 0;
    std::vector<VertexId> consumers;
    Built built;
    std::optional<VertexId> virtual_origin;  // the last layer is known by a record only
  };

  void work() {
    std::unique_lock lock(mutex_);
    for (;;) {
      changed_.wait(lock, [&] { return !ready_.empty() || unsolved_ == 0 || is_stopping(); });
      if (unsolved_ == 0 || is_stopping()) break;
      const VertexId id = *ready_.begin();
      ready_.erase(ready_.begin());
      call_helper();
      lock.unlock();
      const bool is_solved = attempt(id);
      lock.lock();
      if (is_solved) finish(id);
      changed_.notify_all();
    }
    changed_.notify_all();
  }

  bool is_stopping() const { return failure_ || must_execute_; }

  /// One more thread, if there is something for it and the bound allows it.
  void call_helper() {
    if (ready_.empty() || helper_count_ + 1 >= solver_.options_.jobs) return;
    ++helper_count_;
    helpers_.emplace_back([this] { work(); });
  }

  void finish(VertexId id) {
    --unsolved_;
    for (const VertexId consumer : nodes_[id].consumers)
      if (--nodes_[consumer].waiting_for == 0) ready_.insert(consumer);
  }

  bool attempt(VertexId id) {
    try {
      process(id);
      return true;
    } catch (const MustExecute& request) {
      const std::lock_guard lock(mutex_);
      if (!must_execute_) must_execute_ = request.vertex;
      return false;
    } catch (...) {
      const std::lock_guard lock(mutex_);
      if (!failure_) failure_ = std::current_exception();
    }
    solver_.executor_.cancel();
    return false;
  }

  // ---- one vertex; not under the lock: inputs are finished and don't change ----

  Built& built(VertexId id) { return nodes_.find(id)->second.built; }

  void process(VertexId id) {
    const Vertex& vertex = graph_.vertex(id);
    if (std::holds_alternative<ScratchOp>(vertex.op)) return;
    if (const auto* image = std::get_if<ImageOp>(&vertex.op)) {
      built(id).layers = image->diff_ids;
      show_image(id);
    } else if (is_local_tree(vertex.op)) {
      open_tree(id);
    } else {
      solve_step(id);
    }
  }

  void show_image(VertexId id) {
    if (graph_.note(id).title.empty()) return;
    const StepNumber step = solver_.reporter_.start(graph_.note(id).title);
    solver_.reporter_.end(step, StepEnd::Cached);
  }

  void open_tree(VertexId id) {
    const TraceSpan span("open source");
    const StepNumber step = solver_.reporter_.start(graph_.note(id).title);
    try {
      built(id).tree = solver_.executor_.open_tree(graph_.vertex(id).op, step);
    } catch (const Error& error) {
      solver_.reporter_.end(step, StepEnd::Failed, error.what());
      throw StepError(error, id, step);
    }
    solver_.reporter_.end(step, StepEnd::Done);
  }

  struct Keys {
    std::vector<std::string> input_ids;  // "" for a local tree
    Json op;
    std::optional<Digest> fast;
    std::optional<Digest> slow;
    std::optional<SelectionChecksum> checksum;
  };

  Keys fast_keys(VertexId id) {
    const Vertex& vertex = graph_.vertex(id);
    Keys keys;
    keys.op = op_to_json(vertex.op);
    bool has_tree = false;
    for (std::size_t index = 0; index < vertex.inputs.size(); ++index) {
      const Built& input = built(vertex.inputs[index]);
      if (index == 0 && !has_base(vertex.op)) {
        keys.input_ids.emplace_back();
      } else if (input.tree) {
        has_tree = true;
        keys.input_ids.emplace_back();
      } else {
        keys.input_ids.push_back(content_id(input.layers));
      }
    }
    if (!has_tree) keys.fast = key_of("fast", keys.op, keys.input_ids);
    return keys;
  }

  /// The key by content, where the operation selects files; brings what is selected from into the store.
  void add_slow_key(VertexId id, Keys& keys, StepNumber step) {
    const Vertex& vertex = graph_.vertex(id);
    const std::vector<SelectedInput> selected = selected_inputs(vertex.op);
    if (selected.empty()) return;
    const TraceSpan span("checksum");
    const std::vector<Built> inputs = inputs_of(id);
    std::vector<std::pair<SelectedInput, SelectionChecksum>> checked;
    for (const SelectedInput& each : selected) {
      for (const CopySource& source : each.selection.sources)
        if (!source.content && source.input != 0) bring_layers(vertex.inputs[source.input], step);
      checked.emplace_back(each, solver_.executor_.checksum(each.selection, inputs));
    }
    set_slow_key(keys, std::move(checked));
    if (std::holds_alternative<CopyOp>(vertex.op)) solver_.cache_.note_copied(copied_key(keys));
  }

  static void set_slow_key(Keys& keys, std::vector<std::pair<SelectedInput, SelectionChecksum>> checked) {
    std::vector<std::string> ids = keys.input_ids;
    SelectionChecksum all{Digest::of(""), {}};
    for (auto& [selected, checksum] : checked) {
      for (const CopySource& source : selected.selection.sources)
        if (!source.content && source.input != 0) ids[source.input].clear();
      ids.push_back(checksum.digest.hex());
      all.digest = Digest::of(all.digest.str() + checksum.digest.str());
      all.lines.merge(checksum.lines);
    }
    keys.slow = key_of("slow", keys.op, ids);
    keys.checksum = std::move(all);
  }

  // ---- a COPY that was never made: written first, its key is known when the bytes have passed ----

  bool may_copy_first(VertexId id, const Keys& keys) const {
    if (keys.fast || !std::holds_alternative<CopyOp>(graph_.vertex(id).op)) return false;
    return !solver_.options_.find_remote && !solver_.cache_.was_copied(copied_key(keys));
  }

  static Digest copied_key(const Keys& keys) { return key_of("copied", keys.op, keys.input_ids); }

  /// False if the checksum has to come first after all.
  bool copy_first(VertexId id, Keys& keys, StepNumber step) {
    const Digest copied_by_any = copied_key(keys);
    const std::unique_ptr<KeyLock> lock = solver_.cache_.lock(copied_by_any);
    if (!may_copy_first(id, keys)) return false;
    std::optional<CopiedLayer> copied = solver_.executor_.copy_and_check(id, inputs_of(id), [&] {
      for (const VertexId input : graph_.vertex(id).inputs) bring_layers(input, step);
    });
    if (!copied) return false;
    std::vector<std::pair<SelectedInput, SelectionChecksum>> checked;
    checked.emplace_back(selected_inputs(graph_.vertex(id).op).front(), std::move(copied->checksum));
    set_slow_key(keys, std::move(checked));
    if (const auto hit = find(id, keys.slow)) {
      take(id, keys, *hit, Outcome::Cached, step);
      solver_.reporter_.end(step, StepEnd::Cached);
    } else {
      explain(id, keys, step);
      finish_executed(id, keys, *keys.slow, copied->layer, step);
    }
    solver_.cache_.note_copied(copied_by_any);
    return true;
  }

  std::vector<Built> inputs_of(VertexId id) {
    std::vector<Built> result;
    for (const VertexId input : graph_.vertex(id).inputs) result.push_back(built(input));
    return result;
  }

  /// Every layer of a vertex into the store.
  void bring_layers(VertexId id, StepNumber step) {
    for (const Digest& layer : built(id).layers) {
      if (solver_.executor_.has_layer(layer) || solver_.executor_.fetch_layer(layer, step)) continue;
      const std::lock_guard lock(mutex_);
      const auto origin = origins_.find(layer);
      if (origin == origins_.end())
        throw Error(ErrorKind::NotFound, "layer " + layer.str() + " is neither in the store nor to be had elsewhere");
      throw MustExecute{origin->second};
    }
  }

  enum class Outcome { Cached, Executed };

  struct Hit {
    Digest key;
    BuildRecord record;
  };

  std::optional<Hit> find(VertexId id, const std::optional<Digest>& key) {
    if (!key || graph_.note(id).ignore_cache || solver_.forced_.contains(id)) return std::nullopt;
    if (auto record = solver_.cache_.find(*key)) {
      if (solver_.executor_.has_layer(record->layer)) return Hit{*key, std::move(*record)};
    }
    if (!solver_.options_.find_remote) return std::nullopt;
    auto remote = solver_.options_.find_remote(*key);
    if (!remote) return std::nullopt;
    const std::lock_guard lock(mutex_);
    if (!remote->blob && !solver_.executor_.has_layer(remote->record.layer)) origins_.emplace(remote->record.layer, id);
    return Hit{*key, std::move(remote->record)};
  }

  void solve_step(VertexId id) {
    const TraceSpan span(graph_.note(id).title);
    Keys keys = fast_keys(id);
    StepNumber step = 0;
    const auto begin = [&] {
      if (step == 0) step = solver_.reporter_.start(graph_.note(id).title);
      return step;
    };
    try {
      std::optional<Hit> hit = find(id, keys.fast);
      if (!hit && may_copy_first(id, keys) && copy_first(id, keys, begin())) return;
      if (!hit) {
        add_slow_key(id, keys, begin());
        hit = find(id, keys.slow);
      }
      if (hit) {
        take(id, keys, *hit, Outcome::Cached, begin());
        solver_.reporter_.end(step, StepEnd::Cached);
      } else {
        execute_alone(id, keys, begin());
      }
    } catch (const ExitError& error) {
      StepError failure(error, id, step);
      failure.set_exit_code(error.code());
      if (step != 0) solver_.reporter_.end(step, StepEnd::Failed, error.what());
      throw failure;
    } catch (const StepError&) {
      throw;
    } catch (const Error& error) {
      if (step == 0) step = solver_.reporter_.start(graph_.note(id).title);
      solver_.reporter_.end(step, is_cancelled() ? StepEnd::Cancelled : StepEnd::Failed, error.what());
      throw StepError(error, id, step);
    } catch (const MustExecute&) {
      if (step != 0) solver_.reporter_.end(step, StepEnd::Cancelled);
      throw;
    }
  }

  bool is_cancelled() {
    const std::lock_guard lock(mutex_);
    return is_stopping();
  }

  /// Executes under the key's lock; whoever had to wait looks for the other's record first.
  void execute_alone(VertexId id, Keys& keys, StepNumber step) {
    const Digest& key = keys.slow ? *keys.slow : *keys.fast;
    const std::unique_ptr<KeyLock> lock = solver_.cache_.lock(key);
    if (auto hit = find(id, key)) {
      take(id, keys, *hit, Outcome::Cached, step);
      solver_.reporter_.end(step, StepEnd::Cached);
      return;
    }
    for (const VertexId input : graph_.vertex(id).inputs) bring_layers(input, step);
    explain(id, keys, step);
    finish_executed(id, keys, key, solver_.executor_.execute(id, inputs_of(id), step), step);
  }

  void finish_executed(VertexId id, const Keys& keys, const Digest& key, const MadeLayer& made, StepNumber step) {
    BuildRecord record{.layer = made.diff_id};
    record.size = made.size;
    record.created = made.created;
    record.title = graph_.note(id).title;
    record.op = keys.op;
    record.inputs = keys.input_ids;
    take(id, keys, Hit{key, std::move(record)}, Outcome::Executed, step);
    solver_.reporter_.end(step, StepEnd::Done);
  }

  void explain(VertexId id, const Keys& keys, StepNumber step) {
    if (!solver_.options_.explain) return;
    const std::string reason = solver_.options_.explain(event_of(id, keys, nullptr, Outcome::Executed, step));
    if (!reason.empty()) solver_.reporter_.explain(step, reason);
  }

  /// The record is the vertex' result: saves it under every key that does not have it yet.
  void take(VertexId id, const Keys& keys, const Hit& hit, Outcome outcome, StepNumber step) {
    const bool is_hit = outcome == Outcome::Cached;
    Built& result = built(id);
    const std::vector<VertexId>& inputs = graph_.vertex(id).inputs;
    if (!inputs.empty()) {
      result.layers = built(inputs[0]).layers;
      result.times = built(inputs[0]).times;
    }
    result.layers.push_back(hit.record.layer);
    result.times.push_back(hit.record.created);
    for (const auto& key : {keys.fast, keys.slow}) {
      if (!key || (is_hit && *key == hit.key)) continue;
      solver_.cache_.save(*key, hit.record);
      if (keys.checksum && !is_hit) solver_.cache_.save_lines(*key, keys.checksum->lines);
    }
    if (is_hit && solver_.options_.explain) {
      const std::string reason = solver_.options_.explain(event_of(id, keys, &hit, outcome, step));
      if (!reason.empty()) solver_.reporter_.explain(step, reason);
    }
    if (solver_.options_.on_solved) {
      const SolverOptions::Event event = event_of(id, keys, &hit, outcome, step);
      const std::lock_guard lock(mutex_);
      solver_.options_.on_solved(event);
    }
  }

  SolverOptions::Event event_of(VertexId id, const Keys& keys, const Hit* hit, Outcome outcome, StepNumber step) const {
    const Digest key = hit != nullptr ? hit->key : keys.slow ? *keys.slow : *keys.fast;
    SolverOptions::Event event{.vertex = id,
                               .key = key,
                               .all_keys = {},
                               .record = hit != nullptr ? hit->record : BuildRecord{.layer = key},
                               .input_ids = keys.input_ids,
                               .checksum = keys.checksum,
                               .is_hit = outcome == Outcome::Cached,
                               .step = step};
    if (hit == nullptr) event.record.op = keys.op;
    for (const auto& each : {keys.fast, keys.slow})
      if (each) event.all_keys.push_back(*each);
    return event;
  }

  Solver& solver_;
  const Graph& graph_;
  const std::vector<VertexId> order_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::map<VertexId, Node> nodes_;
  std::set<VertexId> ready_;
  std::map<Digest, VertexId> origins_;
  std::vector<std::thread> helpers_;
  std::size_t helper_count_ = 0;
  std::size_t unsolved_ = 0;
  std::exception_ptr failure_;
  std::optional<VertexId> must_execute_;
};

Solver::Solver(const Graph& graph, Executor& executor, const BuildCache& cache, StepReporter& reporter,
               SolverOptions options)
    : graph_(graph), executor_(executor), cache_(cache), reporter_(reporter), options_(std::move(options)) {
  if (options_.jobs == 0) options_.jobs = 1;
}

Solver::~Solver() = default;

std::vector<Built> Solver::solve(const std::vector<VertexId>& targets) {
  for (;;) {
    Run run(*this, targets);
    try {
      run.work_to_the_end();
    } catch (const MustExecute& request) {
      // At most once a vertex: what is forced is executed and then in the store.
      if (!forced_.insert(request.vertex).second)
        throw Error(ErrorKind::Corrupt, "the build cache is inconsistent: run the build with --no-cache");
      continue;
    }
    std::vector<Built> result;
    for (const VertexId target : targets) result.push_back(run.result(target));
    return result;
  }
}

}  // namespace ctr
