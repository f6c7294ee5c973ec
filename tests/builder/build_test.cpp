#include "builder/build.h"

#include <gtest/gtest.h>

#include <fcntl.h>
#include <unistd.h>

#include <thread>

#include "base/error.h"
#include "base/process.h"
#include "builder/build_cache.h"
#include "builder/dockerfile_parser.h"
#include "image/image.h"
#include "image/store.h"
#include "tests/support/image_namespace.h"

namespace ctr {
namespace {

using Texts = std::vector<std::string>;

/// Keeps what a build tells, as the plain output's lines.
class Recording : public BuildProgress {
 public:
  void step_started(StepNumber, std::string_view title) override { titles.emplace_back(title); }
  void step_output(StepNumber, StepStream, std::string_view bytes) override { output += bytes; }
  void step_status(StepNumber, const StepStatus&) override {}
  void step_ended(StepNumber step, StepEnd end, std::chrono::nanoseconds, std::string_view) override {
    ends[titles[static_cast<std::size_t>(step - 1)]] = end;
  }
  void step_explained(StepNumber, std::string_view reason) override { reasons.emplace_back(reason); }
  void steps_known(int) override {}
  void warned(std::string_view message) override { warnings.emplace_back(message); }

  Texts titles, reasons, warnings;
  std::string output;
  std::map<std::string, StepEnd> ends;
};

/// Builds for real, in a store of its own. RUN steps need root and a static shell.
class BuildTest : public testing::Test {
 protected:
  BuildTest() : store(root.path() / "store", root.path() / "run") {
    request.context = (root.path() / "context").native();
    make_directories(request.context);
    request.network = "none";
  }

  void file(const std::string& path, const std::string& content) {
    const fs::path full = fs::path(request.context) / path;
    make_directories(full.parent_path());
    write_file_atomic(full, content, Durability::Cached);
  }

  bool has_busybox() {
    if (::geteuid() != 0) return false;
    for (const char* path : {"/bin/busybox", "/usr/bin/busybox"}) {
      if (!fs::exists(path)) continue;
      make_directories(fs::path(request.context) / "rootfs/bin");
      fs::copy_file(path, fs::path(request.context) / "rootfs/bin/busybox", fs::copy_options::overwrite_existing);
      fs::permissions(fs::path(request.context) / "rootfs/bin/busybox", fs::perms(0755));
      fs::remove(fs::path(request.context) / "rootfs/bin/sh");
      fs::create_symlink("busybox", fs::path(request.context) / "rootfs/bin/sh");
      return true;
    }
    return false;
  }

  BuildResult run(const std::string& dockerfile) {
    file("Dockerfile", dockerfile);
    progress = {};
    return build(store, request, services, progress);
  }

  ImageConfig config_of(const BuildResult& result) {
    return load_image(store.blobs(), *result.image, result.platforms.front().platform).config;
  }

  std::string error_of(const std::string& dockerfile) {
    try {
      run(dockerfile);
    } catch (const BuildFailure& failure) {
      return render_failure(failure);
    } catch (const Error& error) {
      return error.what();
    }
    return "no error";
  }

  TempDirectory root;
  NamespaceEnd end{root.path() / "run"};
  Store store;
  BuildRequest request;
  BuildServices services;
  Recording progress;
};

TEST_F(BuildTest, AnImageIsNamedAndASecondBuildIsCachedWithTheSameId) {
  file("a.txt", "hello");
  request.tags = {"app:1", "app:2"};
  const std::string text = "FROM scratch\nWORKDIR /srv\nCOPY a.txt .\nLABEL x=y\nCMD [\"/srv/a\"]\n";
  const BuildResult first = run(text);
  EXPECT_EQ(first.names, (Texts{"docker.io/library/app:1", "docker.io/library/app:2"}));
  EXPECT_EQ(first.image->digest, store.images().find(Reference::parse("app:2"))->digest);
  EXPECT_EQ(progress.ends.at("[2/2] COPY a.txt ."), StepEnd::Done);
  const BuildResult second = run(text);
  EXPECT_EQ(second.image_id, first.image_id);
  EXPECT_EQ(second.image->digest, first.image->digest);
  EXPECT_EQ(progress.ends.at("[1/2] WORKDIR /srv"), StepEnd::Cached);
  EXPECT_EQ(progress.ends.at("[2/2] COPY a.txt ."), StepEnd::Cached);
}

TEST_F(BuildTest, AnEditRunsTheCopyAlone) {
  file("a.txt", "1");
  const std::string text = "FROM scratch\nWORKDIR /srv\nCOPY a.txt .\n";
  run(text);
  file("a.txt", "2");
  request.explanations = Explanations::On;
  run(text);
  EXPECT_EQ(progress.ends.at("[1/2] WORKDIR /srv"), StepEnd::Cached);
  EXPECT_EQ(progress.ends.at("[2/2] COPY a.txt ."), StepEnd::Done);
  EXPECT_EQ(progress.reasons.back(), "COPY a.txt .: 1 file changed: a.txt");
}

TEST_F(BuildTest, ABuiltImageIsABase) {
  file("a", "1");
  request.tags = {"base"};
  run("FROM scratch\nENV X=1\nCOPY a /a\nONBUILD LABEL from=trigger\n");
  request.tags = {"child"};
  const ImageConfig config = config_of(run("FROM base\nCOPY a /b\n"));
  EXPECT_EQ(config.diff_ids.size(), 2u);
  EXPECT_EQ(config.defaults.labels.at("from"), "trigger");
  EXPECT_EQ(config.history.size(), 4u);
}

TEST_F(BuildTest, SeveralPlatformsAreOneIndex) {
  file("a", "1");
  request.tags = {"multi"};
  request.platforms = {"linux/amd64,linux/arm64"};
  const BuildResult result = run("FROM scratch\nARG TARGETARCH\nCOPY a /a\nLABEL arch=$TARGETARCH\n");
  ASSERT_TRUE(result.image->is_index());
  EXPECT_EQ(result.image_id, result.image->digest.str());
  const Image arm = load_image(store.blobs(), *result.image, parse_platform("linux/arm64"));
  EXPECT_EQ(arm.config.platform.architecture, "arm64");
  EXPECT_EQ(arm.config.defaults.labels.at("arch"), "arm64");
}

TEST_F(BuildTest, AnEpochMakesBuildsReproducible) {
  request.source_date_epoch = "1000000000";
  file("d/a", "1");
  const std::string text = "FROM scratch\nCOPY d /x/\nWORKDIR /y\n";
  const std::string first = run(text).image_id;
  TempDirectory elsewhere;
  Store other(elsewhere.path() / "store", elsewhere.path() / "run");
  request.context = (elsewhere.path() / "context").native();
  make_directories(request.context);
  file("d/a", "1");
  file("Dockerfile", text);
  EXPECT_EQ(build(other, request, services, progress).image_id, first);
}

TEST_F(BuildTest, ErrorsShowTheLineAndTheReason) {
  EXPECT_EQ(error_of("FROM scratch\n\nCOPY nope /x\n"),
            "Dockerfile:3\n--------------------\n   1 |     FROM scratch\n   2 |     \n   3 | >>> COPY nope /x\n"
            "   4 |     \n--------------------\n"
            "ERROR: failed to solve: failed to compute cache key: \"/nope\": not found\n");
  EXPECT_NE(error_of("FROM missing:1\n").find("docker.io/library/missing:1: not found"), std::string::npos);
  fs::remove(fs::path(request.context) / "Dockerfile");
  try {
    build(store, request, services, progress);
    FAIL();
  } catch (const Error& error) {
    EXPECT_STREQ(error.what(), "failed to read dockerfile: open Dockerfile: no such file or directory");
  }
}

TEST_F(BuildTest, ADockerfileFromStandardInputNeedsNoContext) {
  Pipe pipe = make_pipe();
  write_all(pipe.write.get(), as_bytes("FROM scratch\nLABEL a=b\n"));
  pipe.write.reset();
  request.context = "-";
  request.standard_input = pipe.read.get();
  const BuildResult result = build(store, request, services, progress);
  EXPECT_EQ(config_of(result).defaults.labels.at("a"), "b");
}

TEST_F(BuildTest, ATarFromStandardInputIsAContext) {
  file("in/Dockerfile", "FROM scratch\nCOPY a /a\n");
  file("in/a", "1");
  const std::string tar = (root.path() / "t.tar").native();
  ASSERT_EQ(std::system(("tar -C " + request.context + "/in -czf " + tar + " .").c_str()), 0);
  const Fd input = open_file(tar, O_RDONLY);
  request.context = "-";
  request.standard_input = input.get();
  const BuildResult result = build(store, request, services, progress);
  EXPECT_EQ(config_of(result).diff_ids.size(), 1u);
}

TEST_F(BuildTest, ANamedContextIsASourceAndABase) {
  make_directories(root.path() / "other");
  write_file_atomic(root.path() / "other/f", "x", Durability::Cached);
  request.named_contexts.emplace("other", LocalSource{(root.path() / "other").native()});
  EXPECT_EQ(config_of(run("FROM scratch\nCOPY --from=other f /f\n")).diff_ids.size(), 1u);
  EXPECT_EQ(config_of(run("FROM other\nWORKDIR /x\n")).diff_ids.size(), 2u);
}

// ---- RUN ----

TEST_F(BuildTest, RunStepsWriteLayersOfWhatTheyChanged) {
  if (!has_busybox()) GTEST_SKIP() << "needs root and a static busybox";
  request.tags = {"box"};
  run("FROM scratch\nCOPY rootfs/ /\nRUN echo hello; mkdir -p /a && echo data > /a/b\nENV V=7\nRUN test \"$V\" = 7 && rm /a/b\n");
  EXPECT_NE(progress.output.find("hello\n"), std::string::npos);
  const Image image = load_image(store.blobs(), *store.images().find(Reference::parse("box")), host_platform());
  ASSERT_EQ(image.layers.size(), 3u);
  Texts entries;
  const auto source = store.layers().read(image.layers[1].diff_id);
  while (const auto entry = source->next()) entries.push_back(entry->path);
  EXPECT_EQ(entries, (Texts{"a", "a/b"}));
}

TEST_F(BuildTest, AFailedStepShowsOutputLineAndExitCode) {
  if (!has_busybox()) GTEST_SKIP() << "needs root and a static busybox";
  const std::string text = error_of("FROM scratch\nCOPY rootfs/ /\nRUN echo before; exit 3\n");
  EXPECT_NE(text.find(" > [2/2] RUN echo before; exit 3:\nbefore\n"), std::string::npos) << text;
  EXPECT_NE(text.find("   3 | >>> RUN echo before; exit 3"), std::string::npos) << text;
  EXPECT_NE(text.find("ERROR: failed to solve: process \"/bin/sh -c echo before; exit 3\" did not complete successfully: "
                      "exit code: 3\n"),
            std::string::npos)
      << text;
}

TEST_F(BuildTest, MountsOfAStepAreThereAndLeaveNoTrace) {
  if (!has_busybox()) GTEST_SKIP() << "needs root and a static busybox";
  file("ctx.txt", "from the context");
  file("hidden.txt", "x");
  file(".dockerignore", "hidden.txt\n");
  write_file_atomic(root.path() / "token", "s3cret", Durability::Cached);
  request.secrets = {{"tok", SecretSpec::Type::File, (root.path() / "token").native()}};
  run("FROM scratch AS other\nCOPY rootfs/ /\nRUN echo tool > /tool\n"
      "FROM scratch\nCOPY rootfs/ /\n"
      "RUN --mount=type=cache,target=/cache echo 1 > /cache/x\n"
      "RUN --mount=type=cache,target=/cache --mount=type=bind,target=/ctx --mount=from=other,source=/tool,target=/t/tool "
      "--mount=type=tmpfs,target=/tmp --mount=type=secret,id=tok "
      "/bin/busybox cat /cache/x /ctx/ctx.txt /t/tool /run/secrets/tok; "
      "test ! -e /ctx/hidden.txt && ! echo x 2>/dev/null > /ctx/y && echo x > /tmp/x\n");
  EXPECT_NE(progress.output.find("1\nfrom the contexttool\ns3cret"), std::string::npos) << progress.output;
  const auto target = store.images().list();
  ASSERT_FALSE(target.empty());
  const Image image = load_image(store.blobs(), target.back().target, host_platform());
  const auto source = store.layers().read(image.layers.back().diff_id);
  EXPECT_FALSE(source->next());
}

TEST_F(BuildTest, AWritableBindMountIsThrownAway) {
  if (!has_busybox()) GTEST_SKIP() << "needs root and a static busybox";
  file("src/f", "old");
  run("FROM scratch\nCOPY rootfs/ /\n"
      "RUN --mount=type=bind,source=src,target=/src,rw echo new > /src/f && /bin/busybox cat /src/f\n");
  EXPECT_NE(progress.output.find("new\n"), std::string::npos);
  EXPECT_EQ(read_file(fs::path(request.context) / "src/f"), "old");
}

TEST_F(BuildTest, HeredocsAreScriptsAndShellText) {
  if (!has_busybox()) GTEST_SKIP() << "needs root and a static busybox";
  run("FROM scratch\nCOPY rootfs/ /\nRUN <<EOF\necho one\necho two\nEOF\n"
      "RUN <<EOT\n#!/bin/busybox sh\necho script\nEOT\n");
  EXPECT_NE(progress.output.find("one\ntwo\n"), std::string::npos);
  EXPECT_NE(progress.output.find("script\n"), std::string::npos);
}

TEST_F(BuildTest, AStepIsIsolated) {
  if (!has_busybox()) GTEST_SKIP() << "needs root and a static busybox";
  run("FROM scratch\nCOPY rootfs/ /\n"
      "RUN /bin/busybox id -u; /bin/busybox hostname; /bin/busybox ls /proc/1/exe >/dev/null && echo pid $$; "
      "/bin/busybox ls /sys/class/net\nUSER 5:6\nRUN /bin/busybox id -u\n");
  EXPECT_NE(progress.output.find("0\nbuildkitsandbox\npid 1\nlo\n"), std::string::npos) << progress.output;
  EXPECT_NE(progress.output.find("5\n"), std::string::npos) << progress.output;
}

TEST_F(BuildTest, ManyStepsInOneBuildLeaveNothingBehind) {
  if (!has_busybox()) GTEST_SKIP() << "needs root and a static busybox";
  std::string text = "FROM scratch\nCOPY rootfs/ /\n";
  for (int i = 0; i < 10; ++i) text += "RUN echo " + std::to_string(i) + " > /f" + std::to_string(i) + "\n";
  EXPECT_EQ(config_of(run(text)).diff_ids.size(), 11u);
  EXPECT_TRUE(list_directory(store.root() / "snapshots").empty());
  EXPECT_TRUE(list_directory(store.run() / "builds").empty());
  EXPECT_TRUE(list_directory(store.run() / "build-locks").empty());
}

/// A program for arm64 that prints "arm" and ends.
std::string arm64_program() {
  static constexpr std::uint32_t kCode[] = {0xd2800808, 0xd2800020, 0x100000c1, 0xd2800082,
                                            0xd4000001, 0xd2800ba8, 0xd2800000, 0xd4000001};
  static constexpr std::uint64_t kBase = 0x400000;
  std::string program("\x7f" "ELF\x02\x01\x01\0\0\0\0\0\0\0\0\0", 16);
  const auto add = [&program](std::uint64_t value, int size) {
    for (int i = 0; i < size; ++i) program += static_cast<char>(value >> (8 * i));
  };
  const std::uint64_t size = 64 + 56 + sizeof kCode + 4;
  for (const auto& [value, width] : std::vector<std::pair<std::uint64_t, int>>{
           {2, 2}, {0xb7, 2}, {1, 4}, {kBase + 120, 8}, {64, 8}, {0, 8}, {0, 4}, {64, 2}, {56, 2}, {1, 2}, {0, 2}, {0, 2}, {0, 2},
           {1, 4}, {5, 4}, {0, 8}, {kBase, 8}, {kBase, 8}, {size, 8}, {size, 8}, {0x1000, 8}})
    add(value, width);
  for (const std::uint32_t instruction : kCode) add(instruction, 4);
  return program + "arm\n";
}

TEST_F(BuildTest, ForeignStepsRunWithoutAnySetUpOrSayWhatIsMissing) {
  if (::geteuid() != 0 || host_platform().architecture == "arm64") GTEST_SKIP() << "needs root on another machine than arm64";
  file("hello", arm64_program());
  fs::permissions(fs::path(request.context) / "hello", fs::perms(0755));
  request.platforms = {"linux/arm64"};
  const std::string text = "FROM scratch\nCOPY hello /\nRUN [\"/hello\"]\n";
  if (find_program("qemu-aarch64-static")) {
    run(text);
    EXPECT_EQ(progress.output, "arm\n");
  } else {
    EXPECT_NE(error_of(text).find("install the package qemu-user-static"), std::string::npos);
    EXPECT_FALSE(progress.ends.contains("[1/2] COPY hello /") && progress.ends.at("[1/2] COPY hello /") == StepEnd::Done);
  }
}

TEST_F(BuildTest, TwoBuildsAtOnceDoAStepOnce) {
  if (!has_busybox()) GTEST_SKIP() << "needs root and a static busybox";
  file("Dockerfile", "FROM scratch\nCOPY rootfs/ /\nRUN cat /proc/sys/kernel/random/uuid > /id\n");
  std::vector<std::thread> threads;
  std::vector<std::string> ids(3);
  for (std::string& id : ids)
    threads.emplace_back([&] {
      Recording own;
      id = build(store, request, services, own).image_id;
    });
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(ids[0], ids[1]);
  EXPECT_EQ(ids[1], ids[2]);
}

}  // namespace
}  // namespace ctr
