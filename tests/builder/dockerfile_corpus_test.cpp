// The corpus under testdata/dockerfiles: each case is a Dockerfile and what the parser makes of it, instructions.json
// or error.txt, and in checks.txt what the build checks say. CTR_UPDATE_GOLDEN=1 rewrites the files: read the
// difference before you commit it.
#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <gtest/gtest.h>
#include <sstream>

#include "base/error.h"
#include "base/file.h"
#include "builder/dockerfile_parser.h"
#include "builder/lint.h"
#include "tests/support/builder_instruction_json.h"

namespace ctr {
namespace {

std::vector<fs::path> cases() {
  std::vector<fs::path> all;
  for (const fs::directory_entry& entry : fs::directory_iterator(fs::path(CTR_TESTDATA) / "dockerfiles")) {
    if (fs::exists(entry.path() / "Dockerfile")) all.push_back(entry.path());
  }
  std::sort(all.begin(), all.end());
  return all;
}

std::string read_text(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

// Compares with the golden file. A file that must not exist has an empty text.
void expect_golden(const fs::path& path, const std::string& text) {
  if (std::getenv("CTR_UPDATE_GOLDEN") != nullptr) {
    fs::remove(path);
    if (!text.empty()) std::ofstream(path, std::ios::binary) << text;
    return;
  }
  EXPECT_EQ(read_text(path), text) << path;
}

class DockerfileCorpus : public ::testing::TestWithParam<fs::path> {};

TEST_P(DockerfileCorpus, ParsesToItsGoldenFile) {
  const fs::path folder = GetParam();
  std::string instructions, error_text, checks;
  try {
    const Dockerfile dockerfile = parse_dockerfile("Dockerfile", read_text(folder / "Dockerfile"));
    if (dockerfile.directives.syntax) check_syntax_reference(dockerfile.directives.syntax->value);
    instructions = to_json(dockerfile).dump_pretty() + "\n";
    for (const LintWarning& warning : lint_dockerfile(dockerfile, lint_config_of(dockerfile, std::nullopt), {})) {
      checks += warning.rule + ":" + std::to_string(warning.range.start.line) + ": " + warning.detail + "\n";
    }
  } catch (const Error& error) {
    error_text = std::string(error.what()) + "\n";
    EXPECT_EQ(error.kind(), ErrorKind::Invalid);
  }
  expect_golden(folder / "instructions.json", instructions);
  expect_golden(folder / "error.txt", error_text);
  expect_golden(folder / "checks.txt", checks);
}

INSTANTIATE_TEST_SUITE_P(All, DockerfileCorpus, ::testing::ValuesIn(cases()), [](const auto& parameter) {
  std::string name = parameter.param.filename().string();
  std::replace_if(
      name.begin(), name.end(), [](unsigned char c) { return std::isalnum(c) == 0; }, '_');
  return name;
});

TEST(DockerfileCorpusFolder, IsFound) {
  EXPECT_GE(cases().size(), 40u);
}

}  // namespace
}  // namespace ctr
