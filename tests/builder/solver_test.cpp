#include "builder/solver.h"

#include <gtest/gtest.h>

#include <atomic>
#include <condition_variable>
#include <mutex>

#include "base/error.h"

namespace ctr {
namespace {

/// Executes nothing: a step's layer is a function of its operation and, unless it says otherwise, of its inputs.
class FakeExecutor : public Executor {
 public:
  explicit FakeExecutor(const Graph& graph) : graph_(graph) {}

  std::shared_ptr<const SourceTree> open_tree(const Op& op, StepNumber) override {
    ++trees_opened;
    (void)op;
    return std::make_shared<SourceTree>(Fd(), "context", Owners::Root);
  }
  bool has_layer(const Digest& diff_id) override {
    const std::lock_guard lock(mutex);
    return layers.contains(diff_id);
  }
  bool fetch_layer(const Digest& diff_id, StepNumber) override {
    const std::lock_guard lock(mutex);
    if (!fetchable.contains(diff_id)) return false;
    fetched.push_back(diff_id);
    layers.insert(diff_id);
    return true;
  }
  SelectionChecksum checksum(const CopyOp& op, std::span<const Built> inputs) override {
    std::string text = context;
    for (const CopySource& source : op.sources)
      if (source.input != 0 && !inputs[source.input].tree) text = selected_from(inputs[source.input]);
    return {Digest::of(text), {{"file", text}}};
  }
  std::optional<CopiedLayer> copy_and_check(VertexId vertex, std::span<const Built> inputs,
                                            const std::function<void()>& bring) override {
    if (!copies_at_once) return std::nullopt;
    bring();
    ++copied_at_once;
    return CopiedLayer{execute(vertex, inputs, 0), checksum(std::get<CopyOp>(graph_.vertex(vertex).op), inputs)};
  }
  MadeLayer execute(VertexId vertex, std::span<const Built> inputs, StepNumber step) override {
    const std::string name = command(vertex);
    {
      std::unique_lock lock(mutex);
      executed.push_back(name);
      if (barrier > 0) {
        ++arrived;
        changed.notify_all();
        changed.wait_for(lock, std::chrono::seconds(10), [&] { return arrived >= barrier; });
        if (arrived < barrier) throw Error(ErrorKind::Busy, "the steps did not run at the same time");
      }
    }
    if (name == "fail") throw ExitError("process \"fail\" did not complete successfully: exit code: 3", 3);
    (void)step;
    std::string content = name == "copy" ? name + context + stage_files : name;
    if (!same_content.contains(name))
      for (const Built& input : inputs)
        for (const Digest& layer : input.layers) content += layer.str();
    const Digest layer = Digest::of(content + (same_content.contains(name) ? "" : std::to_string(salt)));
    const std::lock_guard lock(mutex);
    layers.insert(layer);
    return {layer, 1, Time(std::chrono::seconds(100))};
  }
  void cancel() override { is_cancelled = true; }

  std::string command(VertexId vertex) const {
    const Op& op = graph_.vertex(vertex).op;
    if (const auto* exec = std::get_if<ExecOp>(&op)) return exec->arguments.front();
    return std::string(op_kind(op));
  }

  /// A stage's selected files depend on its last layer's name unless overridden.
  std::string selected_from(const Built& input) const { return stage_files.empty() ? input.layers.back().str() : stage_files; }

  std::mutex mutex;
  std::condition_variable changed;
  std::set<Digest> layers;
  std::set<Digest> fetchable;
  std::vector<Digest> fetched;
  std::vector<std::string> executed;
  std::set<std::string> same_content;
  std::string context = "content 1";
  std::string stage_files;
  std::atomic<int> trees_opened = 0;
  std::atomic<bool> is_cancelled = false;
  bool copies_at_once = false;
  int copied_at_once = 0;
  int barrier = 0;
  int arrived = 0;
  int salt = 0;

 private:
  const Graph& graph_;
};

class QuietProgress : public BuildProgress {
 public:
  void step_started(StepNumber, std::string_view title) override { titles.emplace_back(title); }
  void step_output(StepNumber, StepStream, std::string_view) override {}
  void step_status(StepNumber, const StepStatus&) override {}
  void step_ended(StepNumber step, StepEnd end, std::chrono::nanoseconds, std::string_view) override {
    ends[titles[static_cast<std::size_t>(step - 1)]] = end;
  }
  void step_explained(StepNumber, std::string_view) override {}
  void steps_known(int) override {}
  void warned(std::string_view) override {}

  std::vector<std::string> titles;
  std::map<std::string, StepEnd> ends;
};

class SolverTest : public testing::Test {
 protected:
  VertexId image(const std::string& name) {
    const Digest layer = Digest::of("layer " + name);
    executor.layers.insert(layer);
    return graph.add({ImageOp{name, Digest::of(name), {layer}}, {}}, {.title = "FROM " + name});
  }
  VertexId run(const std::string& command, std::vector<VertexId> inputs) {
    ExecOp op;
    op.arguments = {command};
    return graph.add({op, std::move(inputs)}, {.title = "RUN " + command});
  }
  VertexId copy(VertexId base, VertexId source, const std::string& path = "/") {
    CopyOp op;
    op.sources.push_back({.input = 1, .path = path});
    op.destination = "/";
    return graph.add({op, {base, source}}, {.title = "COPY " + path});
  }
  VertexId context() { return graph.add({ContextOp{""}, {}}, {.title = "context"}); }

  Built solve(VertexId target, unsigned jobs = 1) {
    progress = {};
    executor.executed.clear();
    StepReporter reporter(progress);
    SolverOptions options;
    options.jobs = jobs;
    options.find_remote = find_remote;
    return Solver(graph, executor, BuildCache(directory.path(), directory.path() / "run"), reporter, options)
        .solve({target})
        .front();
  }

  using Names = std::vector<std::string>;
  TempDirectory directory;
  Graph graph;
  FakeExecutor executor{graph};
  QuietProgress progress;
  std::function<std::optional<RemoteRecord>(const Digest&)> find_remote;
};

TEST_F(SolverTest, ACopyThatWasNeverMadeIsWrittenAndCheckedInOnePass) {
  executor.copies_at_once = true;
  const VertexId target = copy(image("base"), context());
  const Built first = solve(target);
  EXPECT_EQ(executor.copied_at_once, 1);
  // Known by its content from then on: nothing is written, and what changed is hashed before it is.
  EXPECT_EQ(solve(target).layers, first.layers);
  EXPECT_TRUE(executor.executed.empty());
  executor.context = "content 2";
  EXPECT_NE(solve(target).layers, first.layers);
  EXPECT_EQ(executor.executed, std::vector<std::string>{"copy"});
  executor.context = "content 1";
  EXPECT_EQ(solve(target).layers, first.layers);
  EXPECT_TRUE(executor.executed.empty());
  EXPECT_EQ(executor.copied_at_once, 1);
}

TEST_F(SolverTest, ExecutesOnceAndThenHits) {
  const VertexId target = run("b", {run("a", {image("base")})});
  const Built first = solve(target);
  EXPECT_EQ(executor.executed, (Names{"a", "b"}));
  const Built second = solve(target);
  EXPECT_TRUE(executor.executed.empty());
  EXPECT_EQ(first.layers, second.layers);
  EXPECT_EQ(first.times, second.times);
  EXPECT_EQ(progress.ends.at("RUN a"), StepEnd::Cached);
}

TEST_F(SolverTest, AFullHitFetchesNoLayer) {
  const VertexId base = image("base");
  const VertexId target = copy(run("a", {base}), context());
  solve(target);
  executor.layers.erase(Digest::of("layer base"));
  executor.fetchable = {Digest::of("layer base")};
  solve(target);
  EXPECT_TRUE(executor.executed.empty());
  EXPECT_TRUE(executor.fetched.empty());
}

TEST_F(SolverTest, ALayerThatIsNeededIsFetched) {
  const VertexId target = run("a", {image("base")});
  executor.layers.clear();
  executor.fetchable = {Digest::of("layer base")};
  solve(target);
  EXPECT_EQ(executor.fetched.size(), 1u);
}

TEST_F(SolverTest, ChangedFilesRunTheCopyAndWhatFollows) {
  const VertexId target = run("after", {copy(run("before", {image("base")}), context())});
  solve(target);
  executor.context = "content 2";
  solve(target);
  EXPECT_EQ(executor.executed, (Names{"copy", "after"}));
  executor.context = "content 1";
  solve(target);
  EXPECT_TRUE(executor.executed.empty());
}

TEST_F(SolverTest, EqualContentJoinsTheCachedChainAgain) {
  // The build stage is executed again and gives another layer, but the files taken from it are the same.
  executor.stage_files = "binary";
  const VertexId base = image("base");
  const VertexId target1 = run("test", {copy(base, run("compile", {base}))});
  solve(target1);
  const VertexId target2 = run("test", {copy(base, run("compile --again", {base}))});
  solve(target2);
  EXPECT_EQ(executor.executed, (Names{"compile --again"}));
}

TEST_F(SolverTest, AStepWithTheSameLayerLeavesLaterStepsCached) {
  executor.same_content = {"a", "a2"};
  const VertexId base = image("base");
  executor.same_content.insert("b");
  ExecOp op;
  op.arguments = {"a"};
  op.directory = "/1";
  const VertexId one = graph.add({op, {base}}, {.title = "one"});
  solve(run("b", {one}));
  op.directory = "/2";
  const VertexId two = graph.add({op, {base}}, {.title = "two"});
  solve(run("b", {two}));
  EXPECT_EQ(executor.executed, (Names{"a"}));
}

TEST_F(SolverTest, WhatTheTargetDoesNotNeedIsNotExecuted) {
  const VertexId base = image("base");
  run("unneeded", {base});
  solve(run("needed", {base}));
  EXPECT_EQ(executor.executed, (Names{"needed"}));
}

TEST_F(SolverTest, IndependentStepsRunAtTheSameTime) {
  const VertexId base = image("base");
  std::vector<VertexId> inputs{base};
  for (int i = 0; i < 4; ++i) inputs.push_back(run("r" + std::to_string(i), {base}));
  executor.barrier = 4;
  solve(run("join", inputs), 4);
  EXPECT_EQ(executor.executed.size(), 5u);
}

TEST_F(SolverTest, IgnoreCacheExecutesAgainButSaves) {
  ExecOp op;
  op.arguments = {"x"};
  const VertexId target = graph.add({op, {image("base")}}, {.title = "x", .ignore_cache = true});
  solve(target);
  solve(target);
  EXPECT_EQ(executor.executed, (Names{"x"}));
}

TEST_F(SolverTest, ALayerThatWasRemovedIsMadeAgain) {
  const VertexId target = run("a", {image("base")});
  const Built first = solve(target);
  executor.layers.erase(first.layers.back());
  solve(target);
  EXPECT_EQ(executor.executed, (Names{"a"}));
}

TEST_F(SolverTest, AFailingStepEndsTheOthersAndNamesItself) {
  const VertexId base = image("base");
  const VertexId target = run("never", {base, run("fail", {base})});
  try {
    solve(target);
    FAIL();
  } catch (const StepError& error) {
    EXPECT_EQ(error.exit_code(), 3);
    EXPECT_EQ(graph.note(error.vertex()).title, "RUN fail");
  }
  EXPECT_TRUE(executor.is_cancelled);
  EXPECT_EQ(progress.ends.at("RUN fail"), StepEnd::Failed);
  EXPECT_FALSE(progress.ends.contains("RUN never"));
}

TEST_F(SolverTest, RecordsOfOtherMachinesHit) {
  const VertexId base = image("base");
  const VertexId target = run("b", {run("a", {base})});
  std::map<Digest, RemoteRecord> remote;
  {
    StepReporter reporter(progress);
    SolverOptions options;
    TempDirectory other;
    options.on_solved = [&](const SolverOptions::Event& event) {
      for (const Digest& key : event.all_keys)
        remote.emplace(key, RemoteRecord{event.record, Descriptor{"x", event.record.layer, 1}});
    };
    Solver(graph, executor, BuildCache(other.path(), other.path() / "run"), reporter, options).solve({target});
  }
  executor.layers = {Digest::of("layer base")};
  find_remote = [&](const Digest& key) -> std::optional<RemoteRecord> {
    const auto found = remote.find(key);
    return found == remote.end() ? std::nullopt : std::optional(found->second);
  };
  solve(target);
  EXPECT_TRUE(executor.executed.empty());
}

TEST_F(SolverTest, ARecordWithoutItsLayerIsExecutedOnlyIfALaterStepNeedsIt) {
  const VertexId base = image("base");
  const VertexId a = run("a", {base});
  std::map<Digest, RemoteRecord> remote;
  {
    StepReporter reporter(progress);
    SolverOptions options;
    TempDirectory other;
    options.on_solved = [&](const SolverOptions::Event& event) {
      for (const Digest& key : event.all_keys) remote.emplace(key, RemoteRecord{event.record, std::nullopt});
    };
    Solver(graph, executor, BuildCache(other.path(), other.path() / "run"), reporter, options).solve({a});
  }
  executor.layers = {Digest::of("layer base")};
  find_remote = [&](const Digest& key) -> std::optional<RemoteRecord> {
    const auto found = remote.find(key);
    return found == remote.end() ? std::nullopt : std::optional(found->second);
  };
  executor.salt = 1;  // a step that is executed again gives another layer
  solve(run("b", {a}));
  EXPECT_EQ(executor.executed, (Names{"a", "b"}));
}

TEST_F(SolverTest, ALinkedCopyDoesNotDependOnItsBase) {
  CopyOp op;
  op.sources.push_back({.input = 1, .path = "/"});
  op.destination = "/";
  op.link = true;
  const VertexId tree = context();
  solve(graph.add({op, {image("one"), tree}}, {.title = "link"}));
  const Built second = solve(graph.add({op, {image("two"), tree}}, {.title = "link"}));
  EXPECT_TRUE(executor.executed.empty());
  EXPECT_EQ(second.layers.front(), Digest::of("layer two"));
}

TEST(KeyLock, TwoHoldersExcludeEachOtherAndLeaveNothing) {
  const TempDirectory directory;
  const BuildCache cache(directory.path(), directory.path() / "run");
  std::atomic<int> inside = 0;
  std::atomic<int> overlaps = 0;
  std::vector<std::thread> threads;
  for (int i = 0; i < 8; ++i)
    threads.emplace_back([&] {
      for (int round = 0; round < 50; ++round) {
        const auto lock = cache.lock(Digest::of("key"));
        if (++inside != 1) ++overlaps;
        --inside;
      }
    });
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(overlaps, 0);
  EXPECT_TRUE(list_directory(directory.path() / "run" / "build-locks").empty());
}

TEST(BuildCache, ARecordComesBackAndADamagedOneIsNone) {
  const TempDirectory directory;
  const BuildCache cache(directory.path(), directory.path() / "run");
  BuildRecord record{.layer = Digest::of("layer")};
  record.title = "RUN x";
  record.op = Json::object({{"op", "exec"}});
  record.created = Time(std::chrono::nanoseconds(1'700'000'000'123'456'789));
  record.inputs = {"a"};
  const Digest key = Digest::of("key");
  cache.save(key, record);
  const auto found = cache.find(key);
  ASSERT_TRUE(found);
  EXPECT_EQ(found->layer, record.layer);
  EXPECT_EQ(found->created, record.created);
  EXPECT_EQ(found->op, record.op);
  write_file_atomic(directory.path() / "cache" / (key.hex() + ".json"), "{", Durability::Cached);
  EXPECT_FALSE(cache.find(key));
}

TEST(BuildCache, SelectionLinesComeBack) {
  const TempDirectory directory;
  const BuildCache cache(directory.path(), directory.path() / "run");
  const SelectionLines lines{{"a", "f 420 abc"}, {"b/c", "d 493"}};
  cache.save_lines(Digest::of("key"), lines);
  EXPECT_EQ(*cache.find_lines(Digest::of("key")), lines);
}

}  // namespace
}  // namespace ctr
