#include "engine/events.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/stat.h>

#include <algorithm>

#include "base/error.h"
#include "base/file.h"
#include "base/text.h"
#include "base/time.h"

namespace ctr {
namespace {

constexpr off_t kRotateAt = 4 * 1024 * 1024;
constexpr std::size_t kLineLimit = kMiB;
constexpr int kFollowIntervalMs = 1000;  // should inotify be out of watches

std::int64_t unix_ns(Time time) { return time.time_since_epoch().count(); }

/// Renames a file that has grown too large; a writer that opened it before still writes into the renamed one.
void rotate(int file, const std::string& path) {
  if (::flock(file, LOCK_EX | LOCK_NB) != 0) return;
  struct stat opened {};
  struct stat named {};
  if (::fstat(file, &opened) == 0 && ::stat(path.c_str(), &named) == 0 && opened.st_ino == named.st_ino) {
    ::rename(path.c_str(), (path + ".1").c_str());
  }
}

std::optional<Event> parse_event(const std::string& line) {
  try {
    const Json json = Json::parse(line, "event");
    Event event;
    event.type = json.string_or("Type");
    event.action = json.string_or("Action");
    if (const Json* actor = json.find("Actor")) {
      event.actor_id = actor->string_or("ID");
      event.attributes = actor->string_map("Attributes");
    }
    event.time_ns = json.int_or("timeNano");
    return event;
  } catch (const Error&) {
    return std::nullopt;  // a line that a full disk cut off
  }
}

/// The action without its detail: "exec_create: sh" is exec_create.
std::string action_word(const std::string& action) { return action.substr(0, action.find(':')); }

bool actor_matches(const Event& event, const std::string& wanted) {
  if (wanted.empty()) return false;
  const auto name = event.attributes.find("name");
  return event.actor_id == wanted || (name != event.attributes.end() && name->second == wanted) ||
         (wanted.size() >= 4 && event.actor_id.starts_with(wanted));
}

bool kind_matches(const Event& event, const Filters& filters, const std::string& type) {
  if (!filters.has(type)) return true;
  if (event.type != type) return false;
  const std::vector<std::string>& wanted = filters.values(type);
  return std::any_of(wanted.begin(), wanted.end(), [&](const std::string& text) { return actor_matches(event, text); });
}

bool image_matches(const Event& event, const Filters& filters) {
  if (!filters.has("image")) return true;
  const std::vector<std::string>& wanted = filters.values("image");
  const auto image = event.attributes.find("image");
  return std::any_of(wanted.begin(), wanted.end(), [&](const std::string& text) {
    if (event.type == "image" && actor_matches(event, text)) return true;
    if (image == event.attributes.end()) return false;
    return image->second == text || image->second.substr(0, image->second.rfind(':')) == text;
  });
}

bool matches(const Event& event, const EventLog::Query& query) {
  if (query.since_ns && event.time_ns < *query.since_ns) return false;
  if (query.until_ns && event.time_ns > *query.until_ns) return false;
  const Filters& filters = query.filters;
  return filters.matches("type", event.type) &&
         (filters.matches("event", event.action) || filters.matches("event", action_word(event.action))) &&
         filters.matches("scope", "local") && kind_matches(event, filters, "container") &&
         kind_matches(event, filters, "network") && kind_matches(event, filters, "volume") &&
         image_matches(event, filters) && filters.matches_labels(event.attributes);
}

/// Reads whole lines from a file that others append to.
class LineReader {
 public:
  explicit LineReader(Fd file) : file_(std::move(file)) {}

  /// Calls `on_line` for each line that is complete by now; false if it wanted no more.
  bool drain(const std::function<bool(const std::string&)>& on_line) {
    char buffer[64 * 1024];
    for (;;) {
      const ssize_t count = check(::read(file_.get(), buffer, sizeof buffer), "read events");
      if (count == 0) return true;
      pending_.append(buffer, static_cast<std::size_t>(count));
      std::size_t start = 0;
      for (std::size_t end; (end = pending_.find('\n', start)) != std::string::npos; start = end + 1) {
        if (!on_line(pending_.substr(start, end - start))) return false;
      }
      pending_.erase(0, start);
      if (pending_.size() > kLineLimit) pending_.clear();
    }
  }

  bool is_still(const std::string& path) const {
    struct stat opened {};
    struct stat named {};
    return ::fstat(file_.get(), &opened) == 0 && ::stat(path.c_str(), &named) == 0 && opened.st_ino == named.st_ino;
  }

 private:
  Fd file_;
  std::string pending_;
};

std::optional<LineReader> open_lines(const std::string& path) {
  std::optional<Fd> file = find_at(AT_FDCWD, path, O_RDONLY);
  if (!file) return std::nullopt;
  return LineReader(*std::move(file));
}

/// Sleeps until something in the directory changes, or the time is over. False: it is over.
bool wait_for_change(int watch, const std::optional<std::int64_t>& until_ns) {
  int timeout = kFollowIntervalMs;
  if (until_ns) {
    const std::int64_t left_ms = (*until_ns - unix_ns(now())) / 1'000'000 + 1;
    if (left_ms <= 0) return false;
    timeout = static_cast<int>(std::min<std::int64_t>(timeout, left_ms));
  }
  pollfd descriptor{watch, POLLIN, 0};
  if (::poll(&descriptor, watch >= 0 ? 1 : 0, timeout) > 0) {
    char buffer[4096];
    while (::read(watch, buffer, sizeof buffer) > 0) {
    }
  }
  return true;
}

}  // namespace

Json to_json(const Event& event) {
  Json json = Json::object();
  if (event.type == "container") {
    json["status"] = event.action;
    json["id"] = event.actor_id;
    const auto image = event.attributes.find("image");
    if (image != event.attributes.end()) json["from"] = image->second;
  } else if (event.type == "image") {
    json["status"] = event.action;
    json["id"] = event.actor_id;
  }
  json["Type"] = event.type;
  json["Action"] = event.action;
  json["Actor"]["ID"] = event.actor_id;
  json["Actor"]["Attributes"] = Json(event.attributes);
  json["scope"] = "local";
  json["time"] = event.time_ns / 1'000'000'000;
  json["timeNano"] = event.time_ns;
  return json;
}

EventLog::EventLog(const Paths& paths) : path_(paths.root / "events.jsonl") {}

void EventLog::append(Event event) noexcept {
  try {
    if (event.time_ns == 0) event.time_ns = unix_ns(now());
    const std::string line = to_json(event).dump() + "\n";
    const Fd file = open_file(path_, O_WRONLY | O_APPEND | O_CREAT, 0644);
    write_all(file.get(), as_bytes(line), "events.jsonl");
    struct stat status {};
    if (::fstat(file.get(), &status) == 0 && status.st_size > kRotateAt) rotate(file.get(), path_);
  } catch (const std::exception&) {
    // What happened has happened; that nobody can read of it is no reason to fail.
  }
}

void EventLog::read(const Query& query, const std::function<bool(const Event&)>& on_event) const {
  const auto on_line = [&](const std::string& line) {
    const std::optional<Event> event = parse_event(line);
    return !event || !matches(*event, query) || on_event(*event);
  };
  Fd watch(query.follow ? ::inotify_init1(IN_CLOEXEC | IN_NONBLOCK) : -1);
  if (watch) ::inotify_add_watch(watch.get(), path_.substr(0, path_.rfind('/')).c_str(), IN_MODIFY | IN_CREATE | IN_MOVED_FROM);
  std::optional<LineReader> current = open_lines(path_);
  if (query.since_ns || query.until_ns || !query.follow) {
    std::optional<LineReader> older = open_lines(path_ + ".1");
    if (older && !older->drain(on_line)) return;
    if (current && !current->drain(on_line)) return;
  } else if (current) {
    current->drain([](const std::string&) { return true; });  // only what is new
  }
  while (query.follow && wait_for_change(watch.get(), query.until_ns)) {
    if (current && !current->drain(on_line)) return;
    if (current && current->is_still(path_)) continue;
    current = open_lines(path_);
    if (current && !current->drain(on_line)) return;
  }
}

Filters parse_event_filters(const std::vector<std::string>& texts) {
  return Filters(texts, {"config", "container", "daemon", "event", "image", "label", "label!", "network", "node", "plugin",
                         "scope", "secret", "service", "type", "volume"});
}

}  // namespace ctr
