#include "shim/event_writer.h"

#include <fcntl.h>

#include "base/file.h"
#include "base/time.h"

namespace ctr {

void write_event(const EventSettings& settings, std::string_view container_id, std::string_view action,
                 const std::vector<std::pair<std::string, std::string>>& more) noexcept {
  if (settings.file.empty()) return;
  try {
    Json attributes = Json::object();
    for (const auto& [name, value] : settings.attributes) attributes[name] = value;
    for (const auto& [name, value] : more) attributes[name] = value;
    const std::int64_t time_ns = now().time_since_epoch().count();
    Json event = Json::object({{"status", action}, {"id", container_id}});
    if (const Json* image = attributes.find("image")) event["from"] = *image;
    event["Type"] = "container";
    event["Action"] = action;
    event["Actor"] = Json::object({{"ID", container_id}, {"Attributes", std::move(attributes)}});
    event["scope"] = "local";
    event["time"] = time_ns / 1'000'000'000;
    event["timeNano"] = time_ns;
    const Fd file = open_file(settings.file, O_WRONLY | O_APPEND | O_CREAT, 0644);
    write_all(file.get(), as_bytes(event.dump() + "\n"), "events");
  } catch (const std::exception&) {
    // What happened has happened; that nobody can read of it is no reason to fail.
  }
}

}  // namespace ctr
