#include "engine/logs.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <thread>

#include "base/error.h"
#include "base/lock.h"
#include "base/time.h"
#include "shim/container_log.h"
#include "shim/protocol.h"

namespace ctr {
namespace {

std::string line_at(int second, std::string_view text, LogStream stream = LogStream::Stdout) {
  std::string line;
  append_log_line(line, text, stream, format_time(Time(std::chrono::seconds(1'700'000'000 + second))));
  return line;
}

class LogsTest : public testing::Test {
 protected:
  void write(const std::string& name, const std::string& content) {
    write_file_atomic(directory_.path() / name, content, Durability::Cached);
  }
  std::string read(const LogQuery& query) {
    std::string text;
    read_logs(directory_.path(), run_.path(), query, [&](const LogEntry& entry) {
      text += entry.text;
      return true;
    });
    return text;
  }
  static LogQuery tail(std::uint64_t lines) {
    LogQuery query;
    query.tail = lines;
    return query;
  }
  TempDirectory directory_;
  TempDirectory run_;
};

TEST_F(LogsTest, OfAContainerThatWroteNothingAreEmpty) {
  EXPECT_EQ(read({}), "");
}

TEST_F(LogsTest, ReadRotatedFilesOldestFirst) {
  write("log.2", line_at(0, "a\n"));
  write("log.1", line_at(1, "b\n"));
  write("log", line_at(2, "c\n"));
  EXPECT_EQ(read({}), "a\nb\nc\n");
}

TEST_F(LogsTest, TailCountsLinesAcrossFiles) {
  write("log.1", line_at(0, "a\n") + line_at(1, "b\n"));
  write("log", line_at(2, "c\n"));
  EXPECT_EQ(read(tail(0)), "");
  EXPECT_EQ(read(tail(1)), "c\n");
  EXPECT_EQ(read(tail(2)), "b\nc\n");
  EXPECT_EQ(read(tail(3)), "a\nb\nc\n");
  EXPECT_EQ(read(tail(9)), "a\nb\nc\n");
}

TEST_F(LogsTest, TailTakesUnfinishedEntriesAsPartsOfLines) {
  write("log", line_at(0, "a\n") + line_at(1, "b") + line_at(1, "c\n") + line_at(2, "d"));
  EXPECT_EQ(read(tail(1)), "d");
  EXPECT_EQ(read(tail(2)), "bc\nd");
}

TEST_F(LogsTest, TailFindsLinesInALargeFile) {
  std::string content;
  for (int i = 0; i < 20000; ++i) content += line_at(i, "line " + std::to_string(i) + "\n");
  write("log", content);
  EXPECT_EQ(read(tail(2)), "line 19998\nline 19999\n");
  const std::string many = read(tail(15000));
  EXPECT_TRUE(many.starts_with("line 5000\n"));
}

TEST_F(LogsTest, SinceAndUntilCutTheTime) {
  write("log", line_at(0, "a\n") + line_at(10, "b\n") + line_at(20, "c\n"));
  LogQuery query;
  query.since_ns = 1'700'000'005'000'000'000;
  EXPECT_EQ(read(query), "b\nc\n");
  query.until_ns = 1'700'000'015'000'000'000;
  EXPECT_EQ(read(query), "b\n");
}

TEST_F(LogsTest, SalvageALineThatAKilledShimDidNotFinish) {
  write("log", line_at(0, "a\n") + R"({"log":"half of a li)");
  EXPECT_EQ(read({}), "a\nhalf of a li");
  repair_log(directory_.path());
  EXPECT_EQ(read({}), "a\nhalf of a li");
  EXPECT_EQ(read_file(directory_.path() / "log").back(), '\n');
}

TEST_F(LogsTest, GiveBinaryBytesAsTheyWere) {
  const std::string bytes("\xff\0\x80 z\n", 6);
  write("log", line_at(0, bytes));
  EXPECT_EQ(read({}), bytes);
}

TEST_F(LogsTest, PrintTimesAtTheBeginningOfLinesOnly) {
  write("log", line_at(0, "a") + line_at(1, "b\n") + line_at(2, "e\n", LogStream::Stderr) + line_at(3, "c\n"));
  TempDirectory out;
  const Fd stdout_file = open_file(out.path() / "out", O_RDWR | O_CREAT);
  const Fd stderr_file = open_file(out.path() / "err", O_RDWR | O_CREAT);
  LogQuery query;
  query.timestamps = true;
  print_logs(directory_.path(), run_.path(), query, stdout_file.get(), stderr_file.get());
  EXPECT_EQ(read_file(out.path() / "out"), "2023-11-14T22:13:20.000000000Z ab\n2023-11-14T22:13:23.000000000Z c\n");
  EXPECT_EQ(read_file(out.path() / "err"), "2023-11-14T22:13:22.000000000Z e\n");
}

TEST_F(LogsTest, FollowedEndWhenTheShimIsDead) {
  write("log", line_at(0, "a\n"));
  LogQuery query;
  query.follow = true;
  EXPECT_EQ(read(query), "a\n");
}

TEST_F(LogsTest, FollowedLoseNothingToRotation) {
  std::optional<FileLock> alive = FileLock::acquire(run_.path() / kShimLock, LockMode::Exclusive);
  std::string written;
  std::thread writer([&] {
    ContainerLog log(directory_.path(), {"json-file", 4000, 100});
    for (int i = 0; i < 3000; ++i) {
      const std::string line = "line " + std::to_string(i) + "\n";
      log.append(LogStream::Stdout, line);
      written += line;
    }
    alive.reset();
  });
  LogQuery query;
  query.follow = true;
  const std::string got = read(query);
  writer.join();
  EXPECT_EQ(got, written);
}

TEST_F(LogsTest, AFileThatARotationIsMovingHidesNoOlderOnes) {
  write("log.3", line_at(0, "a\n"));
  write("log.2", line_at(1, "b\n"));  // log.1 is about to come
  write("log", line_at(2, "c\n"));
  EXPECT_EQ(read({}), "a\nb\nc\n");
}

TEST_F(LogsTest, TimesAreTakenAsPeopleWriteThem) {
  EXPECT_EQ(parse_log_time("2023-11-14T22:13:20Z"), 1'700'000'000'000'000'000);
  EXPECT_EQ(parse_log_time("1700000000.5"), 1'700'000'000'500'000'000);
  EXPECT_THROW(parse_log_time("yesterday"), Error);
}

}  // namespace
}  // namespace ctr
