#include "engine/events.h"

#include <fcntl.h>
#include <gtest/gtest.h>

#include <thread>

#include "base/file.h"
#include "base/time.h"

namespace ctr {
namespace {

class EventLogTest : public testing::Test {
 protected:
  TempDirectory directory_;
  EventLog log_{Paths{directory_.path(), directory_.path() / "run", false}};

  std::vector<std::string> actions(const EventLog::Query& query) const {
    std::vector<std::string> found;
    log_.read(query, [&](const Event& event) {
      found.push_back(event.action);
      return true;
    });
    return found;
  }
};

TEST_F(EventLogTest, ReadsWhatWasAppendedInOrder) {
  log_.append({"container", "create", "id1", {{"name", "web"}}, 10});
  log_.append({"container", "start", "id1", {{"name", "web"}}, 20});
  EXPECT_EQ(actions({}), (std::vector<std::string>{"create", "start"}));
}

TEST_F(EventLogTest, SinceAndUntilAreBounds) {
  for (int i = 1; i <= 4; ++i) log_.append({"container", std::to_string(i), "id", {}, i});
  EventLog::Query query;
  query.since_ns = 2;
  query.until_ns = 3;
  EXPECT_EQ(actions(query), (std::vector<std::string>{"2", "3"}));
}

TEST_F(EventLogTest, FiltersByTypeNameImageAndAction) {
  log_.append({"container", "start", "abcdef", {{"name", "web"}, {"image", "busybox:1"}}, 1});
  log_.append({"container", "exec_create: sh", "abcdef", {{"name", "web"}, {"image", "busybox:1"}}, 2});
  log_.append({"image", "pull", "busybox:1", {}, 3});
  EventLog::Query query;
  query.filters = parse_event_filters({"container=web"});
  EXPECT_EQ(actions(query).size(), 2u);
  query.filters = parse_event_filters({"type=image"});
  EXPECT_EQ(actions(query), std::vector<std::string>{"pull"});
  query.filters = parse_event_filters({"event=exec_create"});
  EXPECT_EQ(actions(query), std::vector<std::string>{"exec_create: sh"});
  query.filters = parse_event_filters({"image=busybox", "type=container"});
  EXPECT_EQ(actions(query).size(), 2u);
}

TEST_F(EventLogTest, ALineThatBrokeOffIsSkipped) {
  log_.append({"container", "create", "id", {}, 1});
  const Fd file = open_file(directory_.path() / "events.jsonl", O_WRONLY | O_APPEND);
  write_all(file.get(), as_bytes("{\"Type\":\"cont\n"));
  log_.append({"container", "start", "id", {}, 2});
  EXPECT_EQ(actions({}), (std::vector<std::string>{"create", "start"}));
}

TEST_F(EventLogTest, ReadsTheRotatedFileFirst) {
  const std::string big(2 * 1024 * 1024, 'x');
  log_.append({"container", "1", "id", {{"big", big}}, 1});
  log_.append({"container", "2", "id", {{"big", big}}, 2});
  log_.append({"container", "3", "id", {}, 3});
  EXPECT_TRUE(path_exists(directory_.path() / "events.jsonl.1"));
  EXPECT_EQ(actions({}), std::vector<std::string>({"3"})) << "lines over the limit are not read back";
}

TEST_F(EventLogTest, FollowingSeesLaterEvents) {
  log_.append({"container", "create", "id", {}, 1});
  EventLog::Query query;
  query.follow = true;
  query.since_ns = 1;
  std::vector<std::string> found;
  std::thread writer;
  log_.read(query, [&](const Event& event) {
    found.push_back(event.action);
    if (event.action == "create") {
      writer = std::thread([this] { log_.append({"container", "start", "id", {}, 2}); });
    }
    return event.action != "start";
  });
  writer.join();
  EXPECT_EQ(found, (std::vector<std::string>{"create", "start"}));
}

TEST(Event, HasDockersMembers) {
  const Json json = to_json(Event{"container", "die", "id", {{"image", "busybox"}, {"exitCode", "3"}}, 1'500'000'000});
  EXPECT_EQ(json.dump(),
            R"({"status":"die","id":"id","from":"busybox","Type":"container","Action":"die",)"
            R"("Actor":{"ID":"id","Attributes":{"exitCode":"3","image":"busybox"}},"scope":"local","time":1,)"
            R"("timeNano":1500000000})");
}

}  // namespace
}  // namespace ctr
