#include "shim/container_log.h"

#include <csignal>
#include <gtest/gtest.h>
#include <sys/resource.h>

#include "base/text.h"

namespace ctr {
namespace {

class ContainerLogTest : public testing::Test {
 protected:
  std::vector<LogLine> lines_of(const std::string& name) {
    std::vector<LogLine> lines;
    for (const std::string& text : split(read_file(directory_.path() / name), '\n')) {
      if (text.empty()) continue;
      LogLine line;
      EXPECT_TRUE(parse_log_line(text, line)) << text;
      lines.push_back(line);
    }
    return lines;
  }
  std::string text_of_all() {
    std::string text;
    for (int number = 9; number >= 0; --number) {
      const std::string name = number == 0 ? "log" : "log." + std::to_string(number);
      if (!exists(directory_.path() / name)) continue;
      for (const LogLine& line : lines_of(name)) text += line.text;
    }
    return text;
  }
  TempDirectory directory_;
};

TEST_F(ContainerLogTest, WritesEachLineAsOneEntry) {
  ContainerLog log(directory_.path(), {});
  log.append(LogStream::Stdout, "one\ntwo\n");
  log.append(LogStream::Stderr, "three");
  const std::vector<LogLine> lines = lines_of("log");
  ASSERT_EQ(lines.size(), 3U);
  EXPECT_EQ(lines[1].text, "two\n");
  EXPECT_EQ(lines[2].text, "three");
  EXPECT_EQ(lines[2].stream, LogStream::Stderr);
}

TEST_F(ContainerLogTest, CutsLongLinesBetweenCharacters) {
  std::string text(16 * 1024 - 1, 'a');
  for (int i = 0; i < 10; ++i) text += "€";
  ContainerLog log(directory_.path(), {});
  log.append(LogStream::Stdout, text + "\n");
  const std::vector<LogLine> lines = lines_of("log");
  ASSERT_EQ(lines.size(), 2U);
  EXPECT_EQ(lines[0].text + lines[1].text, text + "\n");
  EXPECT_EQ(read_file(directory_.path() / "log").find("raw"), std::string::npos);
}

TEST_F(ContainerLogTest, RotatesWithoutLosingALine) {
  ContainerLog log(directory_.path(), {"json-file", 2000, 100});
  std::string all;
  for (int i = 0; i < 100; ++i) {
    const std::string line = "line " + std::to_string(i) + "\n";
    log.append(LogStream::Stdout, line);
    all += line;
  }
  std::string text;
  for (int number = 99; number >= 0; --number) {
    const std::string name = number == 0 ? "log" : "log." + std::to_string(number);
    if (!exists(directory_.path() / name)) continue;
    EXPECT_LE(fs::file_size(directory_.path() / name), 2000U);
    for (const LogLine& line : lines_of(name)) text += line.text;
  }
  EXPECT_EQ(text, all);
}

TEST_F(ContainerLogTest, KeepsNoMoreFilesThanAsked) {
  ContainerLog log(directory_.path(), {"json-file", 1000, 3});
  for (int i = 0; i < 1000; ++i) log.append(LogStream::Stdout, "0123456789\n");
  EXPECT_EQ(list_directory(directory_.path()), (std::vector<std::string>{"log", "log.1", "log.2"}));
}

TEST_F(ContainerLogTest, WithOneFileStartsItAnew) {
  ContainerLog log(directory_.path(), {"json-file", 1000, 1});
  for (int i = 0; i < 100; ++i) log.append(LogStream::Stdout, "0123456789\n");
  EXPECT_EQ(list_directory(directory_.path()), (std::vector<std::string>{"log"}));
  EXPECT_LE(fs::file_size(directory_.path() / "log"), 1000U);
}

TEST_F(ContainerLogTest, WritesALineThatIsLongerThanAFileMayBe) {
  ContainerLog log(directory_.path(), {"json-file", 100, 3});
  const std::string line(1000, 'x');
  log.append(LogStream::Stdout, line + "\n" + line + "\n");
  EXPECT_EQ(text_of_all(), line + "\n" + line + "\n");
}

TEST_F(ContainerLogTest, GoesOnWhereALogEnded) {
  { ContainerLog(directory_.path(), {}).append(LogStream::Stdout, "before\n"); }
  ContainerLog(directory_.path(), {}).append(LogStream::Stdout, "after\n");
  EXPECT_EQ(text_of_all(), "before\nafter\n");
}

TEST_F(ContainerLogTest, WithDriverNoneWritesNothing) {
  ContainerLog log(directory_.path(), {"none", 1000, 3});
  log.append(LogStream::Stdout, "text\n");
  EXPECT_TRUE(list_directory(directory_.path()).empty());
}

TEST_F(ContainerLogTest, CountsWhatCouldNotBeWrittenAndSaysSoLater) {
  ContainerLog log(directory_.path(), {});
  log.append(LogStream::Stdout, "before\n");
  const auto size = fs::file_size(directory_.path() / "log");
  rlimit old = {};
  ::getrlimit(RLIMIT_FSIZE, &old);
  const rlimit small = {size + 10, old.rlim_max};
  ::signal(SIGXFSZ, SIG_IGN);
  ::setrlimit(RLIMIT_FSIZE, &small);
  log.append(LogStream::Stdout, "lost\n");
  ::setrlimit(RLIMIT_FSIZE, &old);
  EXPECT_EQ(fs::file_size(directory_.path() / "log"), size);
  EXPECT_EQ(log.lost_bytes(), 5U);
  log.append(LogStream::Stdout, "after\n");
  const std::vector<LogLine> lines = lines_of("log");
  ASSERT_EQ(lines.size(), 3U);
  EXPECT_EQ(lines[1].text, "ctr: 5 bytes of output could not be written here\n");
  EXPECT_EQ(lines[2].text, "after\n");
}

}  // namespace
}  // namespace ctr
