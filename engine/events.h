// What happened, as JSON lines in $CTR_ROOT/events.jsonl: appended by each process with one write under O_APPEND, so
// there is no daemon to ask; followers watch the file with inotify. The file is bounded: it is rotated at 4 MiB.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/json.h"
#include "base/paths.h"
#include "engine/filters.h"

namespace ctr {

struct Event {
  std::string type;    // container, image, network, volume, builder, daemon
  std::string action;  // create, start, die, "health_status: healthy", "exec_create: sh"
  std::string actor_id;
  std::map<std::string, std::string> attributes;  // name, image, exitCode, labels
  std::int64_t time_ns = 0;
};
/// Docker's event document: Type, Action, Actor{ID, Attributes}, scope, time, timeNano, status, id, from.
Json to_json(const Event& event);

class EventLog {
 public:
  explicit EventLog(const Paths& paths);
  /// Appends; sets the time if it is 0. Never throws: a full disk must not fail a stop.
  void append(Event event) noexcept;

  struct Query {
    std::optional<std::int64_t> since_ns;
    std::optional<std::int64_t> until_ns;
    Filters filters;
    bool follow = false;  // until `until_ns`, or until on_event returns false
  };
  /// Calls `on_event` for each matching one, oldest first, until it returns false.
  void read(const Query& query, const std::function<bool(const Event&)>& on_event) const;

 private:
  std::string path_;
};

Filters parse_event_filters(const std::vector<std::string>& texts);

}  // namespace ctr
