#include <fcntl.h>
#include <gtest/gtest.h>

#include "base/file.h"
#include "base/random.h"
#include "shim/protocol.h"

namespace ctr {
namespace {

constexpr std::string_view kTime = "2026-01-02T03:04:05.6Z";

std::string encode(std::string_view text, LogStream stream = LogStream::Stdout) {
  std::string out;
  append_log_line(out, text, stream, kTime);
  return out;
}

TEST(LogLine, IsWrittenAsDockerWritesIt) {
  EXPECT_EQ(encode("hello \"<world>\" & \\ \t\r\n"),
            "{\"log\":\"hello \\\"\\u003cworld\\u003e\\\" \\u0026 \\\\ \\u0009\\r\\n\",\"stream\":\"stdout\","
            "\"time\":\"2026-01-02T03:04:05.6Z\"}\n");
}

TEST(LogLine, IsJsonWhateverTheBytes) {
  std::string every;
  for (int i = 0; i < 256; ++i) every += static_cast<char>(i);
  const std::string line = encode(every, LogStream::Stderr);
  const Json json = Json::parse(line, "line");
  EXPECT_EQ(json.string_or("stream"), "stderr");
  EXPECT_TRUE(json.contains("raw"));
}

TEST(LogLine, GivesBackTheBytesThatWentIn) {
  for (const std::string& text :
       {std::string("plain\n"), std::string("\0\x01\xff\xfe z", 6), std::string("\xf0\x9f\x98\x80 é\n"),
        std::string("cut \xe2\x82"), std::string("\xe2\x80\xa8"), std::string("a")}) {
    const std::string encoded = encode(text);
    LogLine line;
    ASSERT_TRUE(parse_log_line(std::string_view(encoded).substr(0, encoded.size() - 1), line));
    EXPECT_EQ(line.text, text);
    EXPECT_EQ(line.time, kTime);
  }
}

TEST(LogLine, OfValidTextHasNoRawMember) {
  EXPECT_EQ(encode("é\n").find("raw"), std::string::npos);
}

TEST(LogLine, IsReadWithMembersThatOthersAdd) {
  LogLine line;
  ASSERT_TRUE(
      parse_log_line(R"({"attrs":{"a":["}"]},"log":"\ud83d\ude00\/","stream":"stderr","n":-1.5,"time":"t"})", line));
  EXPECT_EQ(line.text, "\xf0\x9f\x98\x80/");
  EXPECT_EQ(line.stream, LogStream::Stderr);
}

TEST(LogLine, RefusesWhatIsNone) {
  LogLine line;
  for (const char* text : {"", "{", "{}", "[]", R"({"log":"a")", R"({"log":"a"}x)", R"({"log":1})", R"({"log":"\x"})",
                           R"({"log":"\ud800"})"}) {
    EXPECT_FALSE(parse_log_line(text, line)) << text;
  }
}

TEST(LogLine, IsSalvagedFromEveryCut) {
  const std::string whole = encode("some text \xff\n", LogStream::Stderr);
  for (std::size_t length = 0; length < whole.size() - 1; ++length) {
    const auto line = salvage_log_line(std::string_view(whole).substr(0, length));
    if (length >= 9) {
      ASSERT_TRUE(line.has_value()) << length;
      EXPECT_TRUE(line->text.starts_with("s")) << length;
    } else {
      EXPECT_FALSE(line.has_value()) << length;
    }
  }
}

class RepairLogFile : public testing::Test {
 protected:
  std::string repair(const std::string& content) {
    const fs::path path = directory_.path() / "log";
    write_file_atomic(path, content, Durability::Cached);
    const Fd file = open_file(path, O_RDWR);
    const std::uint64_t size = repair_log_file(file.get());
    const std::string result = read_file(path);
    EXPECT_EQ(size, result.size());
    return result;
  }
  TempDirectory directory_;
};

TEST_F(RepairLogFile, LeavesWholeFilesAlone) {
  EXPECT_EQ(repair(""), "");
  EXPECT_EQ(repair(encode("a\n") + encode("b\n")), encode("a\n") + encode("b\n"));
}

TEST_F(RepairLogFile, KeepsWhatABrokenLastLineTells) {
  const std::string good = encode("first\n");
  const std::string repaired = repair(good + R"({"log":"sec)");
  ASSERT_TRUE(repaired.starts_with(good));
  LogLine line;
  ASSERT_TRUE(parse_log_line(repaired.substr(good.size(), repaired.size() - good.size() - 1), line));
  EXPECT_EQ(line.text, "sec");
  EXPECT_FALSE(line.time.empty());
}

TEST_F(RepairLogFile, DropsALastLineThatTellsNothing) {
  EXPECT_EQ(repair(encode("a\n") + R"({"lo)"), encode("a\n"));
}

TEST_F(RepairLogFile, FindsTheStartOfALongLine) {
  const std::string text(20000, 'x');
  const std::string whole = encode(text);
  const std::string repaired = repair(encode("a\n") + whole.substr(0, whole.size() - 5));
  EXPECT_NE(repaired.find(text), std::string::npos);
  EXPECT_EQ(repaired.back(), '\n');
}

}  // namespace
}  // namespace ctr
