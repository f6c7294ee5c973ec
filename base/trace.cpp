#include "base/trace.h"

#include <sys/syscall.h>
#include <time.h>

#include <mutex>
#include <vector>

#include "base/error.h"
#include "base/json.h"

namespace ctr {

namespace {

struct Event {
  std::string name;
  std::string detail;
  std::int64_t start_ns;
  std::int64_t end_ns;
  long thread;
};

struct Trace {
  fs::path file;
  std::mutex mutex;
  std::vector<Event> events;
};

/// Set once, before there are threads, and never freed: spans may end during the program's end.
Trace* active_trace = nullptr;

std::int64_t monotonic_ns() {
  struct timespec time = {};
  ::clock_gettime(CLOCK_MONOTONIC, &time);
  return time.tv_sec * 1000000000 + time.tv_nsec;
}

}  // namespace

void start_trace(const fs::path& file) {
  active_trace = new Trace;
  active_trace->file = file;
}

bool is_tracing() noexcept { return active_trace != nullptr; }

void write_trace() {
  if (active_trace == nullptr) return;
  Json document;
  document["displayTimeUnit"] = "ms";
  Json& events = document["traceEvents"] = Json::array();
  const std::lock_guard guard(active_trace->mutex);
  for (const Event& event : active_trace->events) {
    Json entry;
    entry["name"] = event.name;
    entry["ph"] = "X";
    entry["ts"] = static_cast<double>(event.start_ns) / 1e3;
    entry["dur"] = static_cast<double>(event.end_ns - event.start_ns) / 1e3;
    entry["pid"] = static_cast<long>(::getpid());
    entry["tid"] = event.thread;
    if (!event.detail.empty()) entry["args"]["on"] = event.detail;
    events.push_back(std::move(entry));
  }
  write_file_atomic(active_trace->file, document.dump() + "\n", Durability::Cached);
}

TraceSpan::TraceSpan(std::string_view name, std::string_view detail) {
  if (active_trace == nullptr) return;
  name_ = name;
  detail_ = detail;
  start_ns_ = monotonic_ns();
}

TraceSpan::~TraceSpan() {
  if (start_ns_ < 0 || active_trace == nullptr) return;
  Event event{std::move(name_), std::move(detail_), start_ns_, monotonic_ns(), ::syscall(SYS_gettid)};
  const std::lock_guard guard(active_trace->mutex);
  active_trace->events.push_back(std::move(event));
}

}  // namespace ctr
