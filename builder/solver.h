// The solver: yields the layers of target vertices, from records where there are any, by executing where there are none.
// A vertex has up to two keys. `fast` is made of the operation and of what its inputs are; `slow` of the operation, the
// base and the checksum of what it selects, for COPY and read-only bind mounts. What a vertex "is" for those that
// follow is the list of its layers: equal content joins the cached chain again, whatever path led there.
//
// Vertices are looked at once, inputs first, by as many threads as there is work for. A full hit opens only records:
// layers are brought into the store when a step that must be executed needs them.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "builder/build_cache.h"
#include "builder/executor.h"
#include "builder/graph.h"
#include "builder/step_reporter.h"

namespace ctr {

struct SolverOptions {
  unsigned jobs = 1;  ///< vertices at the same time
  /// Records of other machines, asked after the local ones.
  std::function<std::optional<RemoteRecord>(const Digest& key)> find_remote;
  /// Told of each vertex that has a key: for --explain and for cache export.
  struct Event {
    VertexId vertex;
    Digest key;                     ///< the one that hit, or under which the result was saved
    std::vector<Digest> all_keys;
    BuildRecord record;
    std::vector<std::string> input_ids;
    std::optional<SelectionChecksum> checksum;
    bool is_hit = false;
    StepNumber step = 0;
  };
  std::function<void(const Event&)> on_solved;
  /// Asked before the step is begun, for a line of --explain.
  std::function<std::string(const Event&)> explain;
};

/// The identity of a stack of layers, as keys of later steps use it.
std::string content_id(const std::vector<Digest>& layers);

class Solver {
 public:
  Solver(const Graph& graph, Executor& executor, const BuildCache& cache, StepReporter& reporter, SolverOptions options);
  ~Solver();

  /// Throws what the first failing step threw; a StepError names the vertex.
  std::vector<Built> solve(const std::vector<VertexId>& targets);

 private:
  class Run;

  const Graph& graph_;
  Executor& executor_;
  const BuildCache& cache_;
  StepReporter& reporter_;
  SolverOptions options_;
  std::set<VertexId> forced_;
};

/// An error of one step, with the step.
class StepError : public Error {
 public:
  StepError(const Error& cause, VertexId vertex, StepNumber step)
      : Error(cause.kind(), cause.what(), cause.error_number()), vertex_(vertex), step_(step) {}
  VertexId vertex() const noexcept { return vertex_; }
  StepNumber step() const noexcept { return step_; }
  int exit_code() const noexcept { return exit_code_; }
  void set_exit_code(int code) noexcept { exit_code_ = code; }

 private:
  VertexId vertex_;
  StepNumber step_;
  int exit_code_ = 0;
};

/// The process of a step ended with a code that is not 0.
class ExitError : public Error {
 public:
  ExitError(const std::string& message, int code) : Error(ErrorKind::Invalid, message), code_(code) {}
  int code() const noexcept { return code_; }

 private:
  int code_;
};

}  // namespace ctr
