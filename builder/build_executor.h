// The real executor: opens contexts, brings layers, and hands each kind of step to the file that does it.
#pragma once

#include <atomic>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "builder/build_context.h"
#include "builder/exec_run.h"
#include "builder/executor.h"
#include "builder/rootfs_view.h"

namespace ctr {

/// From where a layer that the store lacks can be had.
using LayerFetcher = std::function<void(StepNumber step)>;

class BuildExecutor final : public Executor {
 public:
  BuildExecutor(Store& store, Pin& pin, const BuildRequest& request, const BuildServices& services,
                BuildContexts& contexts, StepReporter& reporter, const Graph& graph, std::optional<std::int64_t> epoch);
  ~BuildExecutor() override;

  /// Says how these layers can be had. One fetcher may bring several: it is called once.
  void offer(const std::vector<Digest>& diff_ids, LayerFetcher fetcher);

  std::shared_ptr<const SourceTree> open_tree(const Op& op, StepNumber step) override;
  bool has_layer(const Digest& diff_id) override;
  bool fetch_layer(const Digest& diff_id, StepNumber step) override;
  SelectionChecksum checksum(const CopyOp& op, std::span<const Built> inputs) override;
  std::optional<CopiedLayer> copy_and_check(VertexId vertex, std::span<const Built> inputs,
                                            const std::function<void()>& bring) override;
  MadeLayer execute(VertexId vertex, std::span<const Built> inputs, StepNumber step) override;
  void cancel() override;

  /// The vertex has its result: it will not be executed.
  void note_solved(VertexId vertex);

  /// What new cache mounts start with.
  void set_cache_mounts(std::function<std::optional<Digest>(const std::string& id)> find);

  /// Keeps the hashes of the context's files for the next build.
  void save_hashes() noexcept { hashes_.save(); }

 private:
  struct Offer {
    std::mutex mutex;
    LayerFetcher fetch;
    bool is_done = false;
  };
  /// Trees of a COPY's inputs; those of stages are opened here and owned by `opened`.
  std::vector<const SourceTree*> trees_of(const CopyOp& op, std::span<const Built> inputs,
                                          std::vector<std::unique_ptr<SourceTree>>& opened);
  /// Before the first step is executed: every RUN that may still come must be able to run here.
  void check_emulators();
  MadeLayer copy(const CopyOp& op, std::span<const Built> inputs);
  bool is_worth_one_pass(const std::vector<Selection>& selections);
  MadeLayer finish(MadeLayer made);
  Time step_time() const;

  Store& store_;
  Pin& pin_;
  const BuildRequest& request_;
  BuildContexts& contexts_;
  StepReporter& reporter_;
  const Graph& graph_;
  std::optional<std::int64_t> epoch_;
  RootfsViews views_;
  RunEnvironment runs_;
  FileHashCache hashes_;
  std::mutex mutex_;
  std::set<Digest> pinned_;
  std::set<VertexId> solved_;
  std::once_flag emulators_checked_;
  std::map<Digest, std::shared_ptr<Offer>> offers_;
  std::atomic<bool> is_cancelled_ = false;
  Fd cancel_event_;
};

}  // namespace ctr
