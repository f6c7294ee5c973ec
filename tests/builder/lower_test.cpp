#include "builder/lower.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "builder/image_config_fold.h"

namespace ctr {
namespace {

Digest digest_of(const std::string& text) { return Digest::of(text); }

class Lower : public testing::Test {
 protected:
  Lower() {
    options.build_platform = parse_platform("linux/amd64");
    options.target_platform = parse_platform("linux/amd64");
    options.build_platform.variant.clear();
    options.target_platform.variant.clear();
    sources.image = [this](const std::string& name, const Platform& platform) {
      asked.push_back(name + " " + platform.str());
      if (name == "missing") throw Error(ErrorKind::NotFound, "docker.io/library/missing:latest: not found");
      BaseImage image{.name = "docker.io/library/" + name + ":latest", .manifest = digest_of("manifest " + name)};
      image.config.platform = platform;
      image.config.diff_ids = {digest_of("layer " + name)};
      image.config.defaults.env = {"PATH=/usr/bin", "BASE=yes"};
      image.config.defaults.on_build = triggers;
      image.config.defaults.cmd = std::vector<std::string>{"sh"};
      return image;
    };
  }

  LoweredImage lower_text(const std::string& text) {
    dockerfile = parse_dockerfile("Dockerfile", text);
    return lower(graph, dockerfile, options, sources);
  }

  std::vector<std::string> titles(VertexId root) {
    std::vector<std::string> result;
    for (const VertexId id : graph.reachable({root}))
      if (!graph.note(id).title.empty()) result.push_back(graph.note(id).title);
    return result;
  }

  static std::vector<std::string> history(const LoweredImage& image) {
    std::vector<std::string> result;
    for (const History& entry : image.config.history) result.push_back(entry.created_by);
    return result;
  }

  const ExecOp& exec(VertexId id) { return std::get<ExecOp>(graph.vertex(id).op); }
  const CopyOp& copy(VertexId id) { return std::get<CopyOp>(graph.vertex(id).op); }

  std::string error_of(const std::string& text) {
    try {
      lower_text(text);
    } catch (const SourceError& error) {
      return error.sentence();
    } catch (const Error& error) {
      return error.what();
    }
    return "no error";
  }

  LowerOptions options;
  LowerSources sources;
  std::vector<std::string> asked;
  std::vector<std::string> triggers;
  Graph graph;
  Dockerfile dockerfile;
};

using Texts = std::vector<std::string>;

TEST_F(Lower, SampleAppHasBuildKitsTitlesHistoryAndConfig) {
  const LoweredImage image = lower_text(
      "FROM node\nWORKDIR /home/node/app\nCOPY app.js .\nEXPOSE 8080\nUSER node\nCMD [\"node\", \"app.js\"]\n");
  EXPECT_EQ(titles(image.root),
            (Texts{"[1/3] FROM docker.io/library/node:latest", "[2/3] WORKDIR /home/node/app",
                   "[internal] load build context", "[3/3] COPY app.js ."}));
  EXPECT_EQ(history(image), (Texts{"WORKDIR /home/node/app", "COPY app.js . # buildkit", "EXPOSE [8080/tcp]",
                                   "USER node", "CMD [\"node\" \"app.js\"]"}));
  EXPECT_FALSE(image.config.history[1].empty_layer);
  EXPECT_TRUE(image.config.history[2].empty_layer);
  EXPECT_EQ(image.config.defaults.working_dir, "/home/node/app");
  EXPECT_TRUE(image.config.defaults.exposed_ports.contains("8080/tcp"));
  EXPECT_EQ(image.config.defaults.user, "node");
  EXPECT_EQ(copy(image.root).destination, "/home/node/app/");
}

TEST_F(Lower, StagesThatTheTargetDoesNotNeedAreNotLookedAt) {
  lower_text("FROM unused AS a\nRUN x\nFROM used AS b\nRUN y\nFROM scratch\nCOPY --from=b /y /y\n");
  EXPECT_EQ(asked, (Texts{"used linux/amd64"}));
}

TEST_F(Lower, EqualStepsOfTwoStagesAreOneVertex) {
  const LoweredImage image =
      lower_text("FROM base AS a\nRUN make\nFROM base AS b\nRUN make\nFROM scratch\nCOPY --from=a /x /x\n"
                 "COPY --from=b /x /y\n");
  int runs = 0;
  for (const VertexId id : graph.reachable({image.root})) runs += std::holds_alternative<ExecOp>(graph.vertex(id).op);
  EXPECT_EQ(runs, 1);
}

TEST_F(Lower, ArgumentsAreSeenAfterTheirLineOnly) {
  options.build_args = {{"A", "given"}};
  const LoweredImage image = lower_text("FROM base\nRUN first\nARG A=default\nARG B=$A-b\nRUN second\n");
  const ExecOp& second = exec(image.root);
  EXPECT_EQ(second.environment, (Texts{"PATH=/usr/bin", "BASE=yes", "A=given", "B=given-b"}));
  const ExecOp& first = exec(graph.vertex(image.root).inputs[0]);
  EXPECT_EQ(first.environment, (Texts{"PATH=/usr/bin", "BASE=yes"}));
  EXPECT_EQ(image.config.history.back().created_by, "RUN |2 A=given B=given-b /bin/sh -c second # buildkit");
}

TEST_F(Lower, GlobalArgumentsMustBeRedeclaredInAStage) {
  const LoweredImage image = lower_text("ARG V=7\nFROM base\nLABEL outside=$V\nARG V\nLABEL inside=$V\n");
  EXPECT_EQ(image.config.defaults.labels.at("outside"), "");
  EXPECT_EQ(image.config.defaults.labels.at("inside"), "7");
}

TEST_F(Lower, SubstitutionsOfOneEnvUseTheValuesBeforeIt) {
  const LoweredImage image = lower_text("FROM base\nENV a=hello\nENV a=bye b=$a\nENV c=$a\n");
  EXPECT_EQ(*find_environment(image.config.defaults.env, "b"), "hello");
  EXPECT_EQ(*find_environment(image.config.defaults.env, "c"), "bye");
}

TEST_F(Lower, ProxyArgumentsReachTheStepButNotItsIdentity) {
  options.build_args = {{"HTTP_PROXY", "http://p"}};
  const LoweredImage with = lower_text("FROM base\nRUN x\n");
  EXPECT_EQ(graph.note(with.root).proxies, (Texts{"HTTP_PROXY=http://p", "http_proxy=http://p"}));
  const std::string identity = graph.digest(with.root).str();
  options.build_args.clear();
  graph = Graph();
  EXPECT_EQ(graph.digest(lower_text("FROM base\nRUN x\n").root).str(), identity);
}

TEST_F(Lower, PlatformArgumentsComeFromTheTarget) {
  options.target_platform = parse_platform("linux/arm64");
  options.is_platform_given = true;
  const LoweredImage image = lower_text(
      "FROM --platform=$BUILDPLATFORM base AS build\nARG TARGETARCH\nARG BUILDARCH\nRUN cross $TARGETARCH\n"
      "FROM base\nCOPY --from=build /x /x\n");
  EXPECT_EQ(asked, (Texts{"base linux/amd64", "base linux/arm64"}));
  const VertexId build = graph.vertex(image.root).inputs[1];
  EXPECT_EQ(*find_environment(exec(build).environment, "TARGETARCH"), "arm64");
  EXPECT_EQ(*find_environment(exec(build).environment, "BUILDARCH"), "amd64");
  EXPECT_EQ(exec(build).platform.architecture, "amd64");
  EXPECT_EQ(image.config.platform.architecture, "arm64");
}

TEST_F(Lower, OnbuildTriggersRunRightAfterFromAndGoAway) {
  triggers = {"COPY . /src", "RUN make"};
  const LoweredImage image = lower_text("FROM base\nRUN own\n");
  EXPECT_EQ(titles(image.root),
            (Texts{"[1/4] FROM docker.io/library/base:latest", "[internal] load build context",
                   "[2/4] ONBUILD COPY . /src", "[3/4] ONBUILD RUN make", "[4/4] RUN own"}));
  EXPECT_TRUE(image.config.defaults.on_build.empty());
}

TEST_F(Lower, EntrypointResetsAnInheritedCmdButNotAnOwnOne) {
  EXPECT_FALSE(lower_text("FROM base\nENTRYPOINT [\"x\"]\n").config.defaults.cmd);
  EXPECT_EQ(*lower_text("FROM base\nCMD [\"y\"]\nENTRYPOINT [\"x\"]\n").config.defaults.cmd, (Texts{"y"}));
}

TEST_F(Lower, ScratchHasAPathAndRootAsWorkingDirectory) {
  const LoweredImage image = lower_text("FROM scratch\nCOPY a /\n");
  EXPECT_EQ(image.config.defaults.working_dir, "/");
  EXPECT_TRUE(find_environment(image.config.defaults.env, "PATH"));
}

TEST_F(Lower, MountsBecomeInputsAndTargetsFollowTheWorkingDirectory) {
  const LoweredImage image = lower_text(
      "FROM base AS tools\nRUN t\nFROM base\nWORKDIR /w\n"
      "RUN --mount=type=cache,target=c --mount=from=tools,source=/bin,target=/tools --mount=type=secret,id=s "
      "--mount=type=ssh make\n");
  const ExecOp& op = exec(image.root);
  ASSERT_EQ(op.mounts.size(), 4u);
  EXPECT_EQ(std::get<CacheMount>(op.mounts[0]).target, "/w/c");
  const auto& bind = std::get<BindMount>(op.mounts[1]);
  EXPECT_EQ(bind.source, "/bin");
  EXPECT_EQ(exec(graph.vertex(image.root).inputs[bind.input]).arguments.back(), "t");
  EXPECT_EQ(std::get<SecretMount>(op.mounts[2]).target, "/run/secrets/s");
  EXPECT_EQ(std::get<SshMount>(op.mounts[3]).target, "/run/buildkit/ssh_agent.0");
}

TEST_F(Lower, NamedContextsReplaceStagesImagesAndSources) {
  sources.named_context = [](const std::string& name, const Platform&) -> std::optional<NamedSource> {
    if (name == "files") return NamedTree{"files"};
    if (name == "base") {
      BaseImage image{.name = "other", .manifest = digest_of("other")};
      image.config.diff_ids = {digest_of("other layer")};
      return image;
    }
    return std::nullopt;
  };
  const LoweredImage image = lower_text("FROM base\nCOPY --from=files /a /a\n");
  EXPECT_TRUE(asked.empty());
  const VertexId source = graph.vertex(image.root).inputs[1];
  EXPECT_EQ(std::get<ContextOp>(graph.vertex(source).op).name, "files");
}

TEST_F(Lower, ErrorsHaveBuildKitsWords) {
  options.target = "nope";
  EXPECT_EQ(error_of("FROM base AS nape\n"), "target stage \"nope\" could not be found (did you mean nape?)");
  options.target.clear();
  EXPECT_EQ(error_of("FROM ${X}\n"), "base name (${X}) should not be blank");
  EXPECT_EQ(error_of("FROM base AS a\nCOPY --from=a /x /x\n"), "circular dependency detected on stage: a");
  EXPECT_EQ(error_of("FROM base AS a\nCOPY --from=b /x /x\nFROM base AS b\nFROM a\n"),
            "cannot copy from stage \"b\", it needs to be defined before current stage \"a\"");
  EXPECT_EQ(error_of("FROM missing\n"), "docker.io/library/missing:latest: not found");
  EXPECT_EQ(error_of("FROM base\nRUN --network=host x\n"),
            "granting entitlement network.host is not allowed by build options (--allow)");
}

TEST_F(Lower, AMultiPlatformTitleNamesThePlatform) {
  options.is_multi_platform = true;
  EXPECT_EQ(titles(lower_text("FROM base\nRUN x\n").root).back(), "[linux/amd64 2/2] RUN x");
}

TEST(ImageConfigFold, FillsTimesAsBuildKitDoes) {
  ImageConfig config;
  config.history = {{.created = "2020-01-01T00:00:00Z", .created_by = "base"}};
  add_history(config, "ENV a=b", HistoryLayer::None);
  add_history(config, "COPY x", HistoryLayer::Added);
  add_history(config, "CMD y", HistoryLayer::None);
  finish_config(config, {digest_of("1"), digest_of("2")}, {*parse_time("2024-05-01T10:00:00Z")}, std::nullopt);
  EXPECT_EQ(config.history[1].created, "2024-05-01T10:00:00Z");
  EXPECT_EQ(config.history[2].created, "2024-05-01T10:00:00Z");
  EXPECT_EQ(config.history[3].created, "2024-05-01T10:00:00Z");
  EXPECT_EQ(config.created, "2024-05-01T10:00:00Z");
}

TEST(ImageConfigFold, ExposeTakesRangesAndRefusesNonsense) {
  ImageConfig config;
  fold_expose(config, {{"80-82/udp", "443"}});
  EXPECT_EQ(config.defaults.exposed_ports, (std::set<std::string>{"80/udp", "81/udp", "82/udp", "443/tcp"}));
  EXPECT_THROW(fold_expose(config, {{"80/xyz"}}), Error);
  EXPECT_THROW(fold_expose(config, {{"99999"}}), Error);
}

TEST(ImageConfigFold, WorkdirIsRelativeToTheOneBefore) {
  ImageConfig config;
  EXPECT_EQ(fold_workdir(config, {"a"}), "/a");
  EXPECT_EQ(fold_workdir(config, {"../b/./c"}), "/b/c");
  EXPECT_EQ(absolute_path("/b/c", "."), "/b/c/");
  EXPECT_EQ(absolute_path("/b/c", "d"), "/b/c/d");
  EXPECT_EQ(absolute_path("", "/x/../y/"), "/y/");
}

}  // namespace
}  // namespace ctr
