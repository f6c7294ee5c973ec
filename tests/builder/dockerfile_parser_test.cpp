#include "builder/dockerfile_parser.h"

#include <chrono>
#include <gtest/gtest.h>

#include "base/error.h"

namespace ctr {
namespace {

template <typename Body>
Body only(const std::string& line) {
  Dockerfile dockerfile = parse_dockerfile("Dockerfile", "FROM scratch\n" + line);
  EXPECT_EQ(dockerfile.stages.at(0).instructions.size(), 1u);
  return std::get<Body>(dockerfile.stages.at(0).instructions.at(0).body);
}

std::string error_of(const std::string& text) {
  try {
    parse_dockerfile("Dockerfile", text);
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

TEST(DockerfileParser, SaysWhereAndWhatWithASuggestion) {
  EXPECT_EQ(error_of("FROM node:21.7\n\n  FORM alpine\n"),
            "dockerfile parse error on line 3: unknown instruction: FORM (did you mean FROM?)\n"
            "Dockerfile:3:3:\n"
            "  3 |   FORM alpine\n"
            "    |   ^");
}

TEST(DockerfileParser, PointsIntoContinuedLines) {
  const std::string error = error_of("FROM a\nCOPY --chown=1 \\\n  # why\n  --chmdo=755 a b\n");
  EXPECT_EQ(error,
            "dockerfile parse error on line 4: unknown flag: --chmdo (did you mean chmod?)\n"
            "Dockerfile:4:3:\n"
            "  4 |   --chmdo=755 a b\n"
            "    |   ^");
}

TEST(DockerfileParser, JoinsContinuationsAndDropsComments) {
  const auto run = only<RunInstruction>("RUN a && \\\n  # a comment\n\n\t b \\  \n  && c\n");
  ASSERT_EQ(run.command.words.size(), 1u);
  EXPECT_EQ(run.command.words[0], "a && \t b   && c");
  EXPECT_TRUE(run.command.shell_form);
}

TEST(DockerfileParser, HonoursTheEscapeDirective) {
  const Dockerfile dockerfile = parse_dockerfile("Dockerfile", "# Escape=`\nFROM a\nCOPY a `\n b C:\\\nRUN x\n");
  EXPECT_EQ(dockerfile.escape, '`');
  EXPECT_EQ(dockerfile.stages[0].instructions.size(), 2u);
}

TEST(DockerfileParser, EndsTheDirectivesAtTheFirstOtherLine) {
  EXPECT_EQ(parse_dockerfile("D", "# a comment\n# escape=`\nFROM a\n").escape, '\\');
  EXPECT_EQ(parse_dockerfile("D", "\n# escape=`\nFROM a\n").escape, '\\');
  EXPECT_EQ(parse_dockerfile("D", "#!/usr/bin/env ctr\n# escape=`\nFROM a\n").escape, '`');
  const Dockerfile all = parse_dockerfile("D", "\xEF\xBB\xBF# syntax = docker/dockerfile:1\n#check=skip=all\nFROM a");
  EXPECT_EQ(all.directives.syntax.value().value, "docker/dockerfile:1");
  EXPECT_EQ(all.directives.check.value().value, "skip=all");
  EXPECT_NE(error_of("# check=a\n# check=b\nFROM a\n").find("only one check parser directive can be used"),
            std::string::npos);
}

TEST(DockerfileParser, SeparatesGlobalArgumentsFromStages) {
  const Dockerfile dockerfile = parse_dockerfile(
      "D", "ARG V=1 W\nFROM --platform=$BUILDPLATFORM node:$V AS Build\nRUN a\nfrom build as second\nFROM 0\n");
  ASSERT_EQ(dockerfile.global_arguments.size(), 1u);
  ASSERT_EQ(dockerfile.stages.size(), 3u);
  EXPECT_EQ(dockerfile.stages[0].name, "build");
  EXPECT_EQ(dockerfile.stages[0].name_as_written, "Build");
  EXPECT_EQ(dockerfile.stages[0].platform, "$BUILDPLATFORM");
  EXPECT_EQ(dockerfile.stages[0].base, "node:$V");
  EXPECT_EQ(dockerfile.find_stage("SECOND"), 1u);
  EXPECT_EQ(dockerfile.find_stage("2"), 2u);
  EXPECT_EQ(dockerfile.find_stage("3"), std::nullopt);
  EXPECT_EQ(dockerfile.find_stage(""), std::nullopt);
}

TEST(DockerfileParser, ReadsHeredocs) {
  const auto run = only<RunInstruction>("RUN <<EOF cat >a && 3<<-'B' cat\n\tone $x\nEOF\n\ttwo\n\tB\n");
  ASSERT_EQ(run.command.heredocs.size(), 2u);
  EXPECT_EQ(run.command.heredocs[0].content, "\tone $x\n");
  EXPECT_TRUE(run.command.heredocs[0].expand);
  EXPECT_EQ(run.command.heredocs[1].name, "B");
  EXPECT_EQ(run.command.heredocs[1].file_descriptor, 3u);
  EXPECT_FALSE(run.command.heredocs[1].expand);
  EXPECT_EQ(run.command.heredocs[1].stripped_content(), "two\n");
  EXPECT_EQ(run_body(run).command.words.at(0), "<<EOF cat >a && 3<<-'B' cat\n\tone $x\nEOF\n\ttwo\nB");
}

TEST(DockerfileParser, RunsAHeredocAlone) {
  EXPECT_EQ(run_body(only<RunInstruction>("RUN <<-EOF\n\ta\n\tb\n\tEOF\n")).command.words.at(0), "a\nb\n");
  const RunBody script = run_body(only<RunInstruction>("RUN <<PY\n#!/usr/bin/python3\nprint(1)\nPY\n"));
  EXPECT_EQ(script.command.words.at(0), "/dev/pipes/PY");
  ASSERT_TRUE(script.script);
  EXPECT_EQ(script.script->second, "#!/usr/bin/python3\nprint(1)\n");
}

TEST(DockerfileParser, TakesHeredocsAsFilesOfCopy) {
  const auto copy = only<CopyInstruction>("COPY --chmod=755 <<a.sh b <<\"c\" /d/\necho $x\na.sh\n$y\nc\n");
  ASSERT_EQ(copy.files.contents.size(), 2u);
  EXPECT_EQ(copy.files.contents[0].name, "a.sh");
  EXPECT_EQ(copy.files.contents[0].content, "echo $x\n");
  EXPECT_FALSE(copy.files.contents[1].expand);
  EXPECT_EQ(copy.files.sources, std::vector<std::string>{"b"});
  EXPECT_EQ(copy.files.destination, "/d/");
  EXPECT_EQ(copy.files.chmod, "755");
}

TEST(DockerfileParser, SeesNoHeredocWhereThereIsNone) {
  EXPECT_TRUE(only<RunInstruction>("RUN echo $((1<<2)) a<<b <<<c").command.heredocs.empty());
  EXPECT_TRUE(only<CmdInstruction>("CMD cat <<EOF").command.heredocs.empty());
  EXPECT_EQ(only<RunInstruction>("RUN [\"echo\", \"<<EOF\"]").command.words.size(), 2u);
}

TEST(DockerfileParser, FallsBackToTheShellFormForBrokenJson) {
  EXPECT_EQ(only<CmdInstruction>("CMD [\"a\", \"b\\n\"]").command.words, (std::vector<std::string>{"a", "b\n"}));
  const auto broken = only<CmdInstruction>("CMD ['a', 'b']");
  EXPECT_TRUE(broken.command.shell_form);
  EXPECT_EQ(broken.command.words.at(0), "['a', 'b']");
  EXPECT_TRUE(only<RunInstruction>("RUN [ -f x ] && y").command.shell_form);
  EXPECT_FALSE(only<CmdInstruction>("CMD []").command.shell_form);
  EXPECT_NE(error_of("FROM a\nCMD [1]").find("arrays must be comprised of strings only"), std::string::npos);
}

TEST(DockerfileParser, ReadsKeyValuesInBothForms) {
  const auto env = only<EnvInstruction>("ENV A=1 B=\"x y\" C='z z' D=a\\ b");
  ASSERT_EQ(env.variables.size(), 4u);
  EXPECT_EQ(env.variables[1].value, "\"x y\"");
  EXPECT_EQ(env.variables[3].value, "a\\ b");
  const auto legacy = only<EnvInstruction>("ENV A  b c=d");
  ASSERT_EQ(legacy.variables.size(), 1u);
  EXPECT_EQ(legacy.variables[0].value, "b c=d");
  EXPECT_FALSE(legacy.variables[0].has_equals);
}

TEST(DockerfileParser, ReadsEveryFlag) {
  const auto copy = only<CopyInstruction>(
      "COPY --from=build --chown=a:b --chmod=u=rwX --link --parents=false --exclude=*.md --exclude=*.txt a b c/");
  EXPECT_EQ(copy.from, "build");
  EXPECT_TRUE(copy.files.link);
  EXPECT_FALSE(copy.parents);
  EXPECT_EQ(copy.files.exclude.size(), 2u);
  const auto add =
      only<AddInstruction>("ADD --keep-git-dir --checksum=sha256:a --unpack=false --link=true https://x /y");
  EXPECT_EQ(add.keep_git_dir, true);
  EXPECT_EQ(add.unpack, false);
  const auto run = only<RunInstruction>(
      "RUN --network=none --security=insecure --device=vendor.com/gpu=all,required --mount=type=tmpfs,target=/t x");
  EXPECT_EQ(run.network, RunNetwork::None);
  EXPECT_EQ(run.security, RunSecurity::Insecure);
  ASSERT_EQ(run.devices.size(), 1u);
  EXPECT_EQ(run.devices[0].name, "vendor.com/gpu=all");
  EXPECT_TRUE(run.devices[0].required);
  EXPECT_EQ(run.command.words.at(0), "x");
  const auto health = only<HealthcheckInstruction>(
      "HEALTHCHECK --interval=5m --timeout=3s --start-period=1s --start-interval=500ms --retries=4 CMD curl -f x");
  EXPECT_EQ(health.interval, std::chrono::minutes(5));
  EXPECT_EQ(health.start_interval, std::chrono::milliseconds(500));
  EXPECT_EQ(health.retries, 4);
  EXPECT_TRUE(health.command.shell_form);
}

TEST(DockerfileParser, KeepsTriggersAndParsesThem) {
  const auto onbuild = only<OnbuildInstruction>("ONBUILD COPY <<x /y\ntext\nx\n");
  EXPECT_EQ(onbuild.trigger, "COPY <<x /y\ntext\nx");
  const Instruction trigger = parse_trigger(onbuild.trigger);
  EXPECT_EQ(std::get<CopyInstruction>(trigger.body).files.contents.at(0).content, "text\n");
  EXPECT_THROW(parse_trigger("RUN a\nRUN b"), Error);
  EXPECT_THROW(parse_trigger("FROM b"), Error);
  EXPECT_THROW(parse_trigger(""), Error);
}

TEST(DockerfileParser, KnowsRangesWithHeredocs) {
  const Dockerfile dockerfile = parse_dockerfile("D", "FROM a\n RUN <<E \\\n  x\nbody\nE\nCMD y\n");
  const SourceRange range = dockerfile.stages[0].instructions[0].range;
  EXPECT_EQ(range.start, (SourcePosition{2, 2}));
  EXPECT_EQ(range.end, (SourcePosition{5, 1}));
}

TEST(DockerfileParser, RefusesOnlyForeignFrontends) {
  for (const char* good :
       {"docker/dockerfile", "docker/dockerfile:1.7-labs", "docker.io/docker/dockerfile:1@sha256:abc",
        "docker/dockerfile-upstream:master", "dockerfile.v0"}) {
    EXPECT_NO_THROW(check_syntax_reference(good)) << good;
  }
  EXPECT_THROW(check_syntax_reference("crazymax/dockerfile:1"), Error);
  EXPECT_THROW(parse_dockerfile("D", "{\"syntax\": \"r2d4/mocker\"}"), Error);
}

TEST(DockerfileParser, RefusesHostileInputQuickly) {
  EXPECT_NE(error_of("FROM a\nRUN " + std::string(10'000'000, 'x')).find("line greater than maximum allowed size"),
            std::string::npos);
  std::string many = "FROM a\n";
  for (int i = 0; i < 1'000'000; ++i) many += "RUN x\n";
  EXPECT_NE(error_of(many).find("more than 20000 instructions"), std::string::npos);
  std::string long_words = "FROM a\n";
  for (int i = 0; i < 30; ++i) long_words += "COPY " + std::string(900'000, 'a') + " b\n";
  EXPECT_NE(error_of(long_words).find("bytes in all"), std::string::npos);
  EXPECT_NE(error_of("FROM a\nRUN \xff\n").find("Dockerfile:2:5:"), std::string::npos);
  EXPECT_NE(error_of("FROM a\n# \xff is fine in a comment\nRUN <<E\nx\n").find("unterminated heredoc"),
            std::string::npos);
  EXPECT_NE(error_of(std::string("FROM a\nRUN a\0b\n", 14)).find("NUL"), std::string::npos);
  EXPECT_NE(error_of(std::string(40 << 20, '#')).find("is larger than"), std::string::npos);
}

std::string repeated(const std::string& text, std::size_t count) {
  std::string all;
  for (std::size_t i = 0; i < count; ++i) all += text;
  return all;
}

TEST(DockerfileParser, BoundsWhatCostsMoreMemoryThanItsText) {
  EXPECT_NE(error_of("FROM a\nCOPY \\\n" + repeated(repeated("a ", 1000) + "\\\n", 1000) + " b\n")
                .find("words in one instruction"),
            std::string::npos);
  EXPECT_NE(error_of("FROM a\n" + repeated("ENV " + repeated("a= ", 90'000) + "\n", 2)).find("variables and labels"),
            std::string::npos);
  EXPECT_NE(error_of("FROM a\n" + repeated("ENV a=b\n", 2000) + repeated("FROM a\n", 1000)).find("too many stages"),
            std::string::npos);
  EXPECT_NE(error_of("FROM a\nRUN " + repeated("<<a ", 2000) + "\n").find("heredocs in one instruction"),
            std::string::npos);
  EXPECT_NE(error_of("FROM a\nRUN x" + repeated("\\\n", 1'000'000)).find("bytes in all"), std::string::npos);
  EXPECT_EQ(parse_dockerfile("D", repeated("#\n", 1'000'000) + "FROM a\n").stages.size(), 1u);
}

TEST(DockerfileParser, NeverShowsMegabytesOrControlCharacters) {
  const std::string error = error_of("FROM a\nFOO\x1b[31m " + std::string(500'000, 'x') + "\n");
  EXPECT_LT(error.size(), 1000u);
  EXPECT_EQ(error.substr(error.find('\n')).find('\x1b'), std::string::npos);
}

TEST(DockerfileParser, ExpandsWhatBuildKitExpands) {
  const SourceText source{"D", ""};
  const Expansions expansions{[](std::string_view word) { return "<" + std::string(word) + ">"; },
                              [](std::string_view word) {
                                return std::vector<std::string>{std::string(word), "more"};
                              },
                              [](std::string_view text) { return "raw:" + std::string(text); }};
  Dockerfile dockerfile = parse_dockerfile(
      "D",
      "FROM a\nCOPY --chown=u --chmod=1 a <<-E /b\n\tx\nE\nEXPOSE 80\nRUN --mount=type=cache,target=/c y\nCMD z\n");
  std::vector<Instruction>& all = dockerfile.stages[0].instructions;
  EXPECT_THROW(expand_instruction(all[2], expansions, source), SourceError);  // <cache> is no mount type
  for (const int i : {0, 1, 3}) expand_instruction(all[static_cast<std::size_t>(i)], expansions, source);
  const auto& files = std::get<CopyInstruction>(all[0].body).files;
  EXPECT_EQ(files.chown, "<u>");
  EXPECT_EQ(files.destination, "</b>");
  EXPECT_EQ(files.contents.at(0).content, "raw:x\n");
  EXPECT_EQ(std::get<ExposeInstruction>(all[1].body).ports, (std::vector<std::string>{"80", "more"}));
  EXPECT_EQ(std::get<CmdInstruction>(all[3].body).command.words.at(0), "z");
}

}  // namespace
}  // namespace ctr
