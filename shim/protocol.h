// What ctr and ctr-shim say to each other, and the JSON files through which they meet. This header is all that engine/
// sees of shim/. One shim holds one process: a container's first one, or one exec'd process.
//
// Files of a container (E: engine/ writes, S: the shim writes; every file is replaced atomically):
//   $CTR_ROOT/containers/<id>/config.json    E  the OCI spec; runtime/sandbox.h's annotations name the user
//   $CTR_ROOT/containers/<id>/record.json    E  its member "shim" is ShimSettings; read at each start and each end
//   $CTR_ROOT/containers/<id>/log, log.1 …   S  one JSON object a line: log, stream, time (newest file has no number)
//   $CTR_ROOT/containers/<id>/exit.json      S  ProcessExit of the last run
//   $CTR_RUN/containers/<id>/shim.lock       S  flocked while the shim lives
//   $CTR_RUN/containers/<id>/shim.sock       S  AF_UNIX SOCK_SEQPACKET, reached as /proc/self/fd/N/shim.sock
//   $CTR_RUN/containers/<id>/state.json      S  ShimState
//   $CTR_RUN/containers/<id>/health.json     S  HealthReport, if there is a health check
// An exec'd process has its own directory with the same names, $CTR_RUN/containers/<id>/exec/<exec id>/, where engine/
// puts process.json (an OCI process object) and exec.json (ExecSettings); the shim adds shim.lock, shim.sock,
// state.json and exit.json. It joins the container's namespaces through the pid in ../../state.json.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/file.h"
#include "base/json.h"
#include "base/mount.h"

namespace ctr {

// ---- Messages -----------------------------------------------------------------------------------------------------
// One packet is one message: a MessageHeader, then the payload that the comments name, in the machine's byte order.
// A connection begins with Hello and Welcome. The starter's connection is a socketpair that the shim inherits: there
// the starter begins with any number of Network and one Begin, and gets Started or Failed; if Begin asked to attach, it
// is attached from the process's first byte.

inline constexpr std::uint16_t kShimProtocol = 1;        // spoken by this release
inline constexpr std::uint16_t kOldestShimProtocol = 1;  // still understood
inline constexpr std::uint32_t kHelloMagic = 0x63747273;
inline constexpr std::size_t kMaxPayload = 16 * 1024;
/// A client keeps at most this many bytes of stdin on their way, until the shim reports them as taken.
inline constexpr std::size_t kStdinWindow = 64 * 1024;

enum class MessageType : std::uint8_t {
  // To the shim.
  Hello = 1,     // HelloPayload
  Attach = 2,    // AttachPayload. Answered by Done, then output
  Stdin = 3,     // bytes
  StdinEnd = 4,  // the client has no more; closes the process's stdin if that is its rule (ShimSettings::stdin_once)
  Resize = 5,    // SizePayload. No answer
  Signal = 6,    // SignalPayload. Ends the process at once if nobody in it would ever take the signal. Done or Refused
  Stop = 7,      // StopPayload. Done when the process has ended (and will not be restarted)
  Pause = 8,     // Done or Refused
  Unpause = 9,   // Done or Refused
  Wait = 10,     // WaitPayload. Answered by Exited
  // TerminalPayload and the terminal's descriptor: to be set back if the client dies without doing it. Without a
  // descriptor: the client has done it. No answer.
  Terminal = 11,
  RawSignal = 12,   // SignalPayload. Sends it and looks no further. Done or Refused
  Network = 13,     // a NetworkService as JSON, with its descriptors. Done or Refused; to the starter no answer
  ClosePorts = 14,  // a JSON array of PublishedPort. Done or Refused
  Begin = 15,       // BeginPayload; only from the starter. Answered by Started or Failed

  // From the shim.
  Welcome = 64,     // WelcomePayload
  Started = 65,     // StartedPayload; only to the starter
  Failed = 66,      // FailurePayload and a sentence; only to the starter
  Stdout = 67,      // bytes; a terminal's output too
  Stderr = 68,      // bytes
  StdinTaken = 69,  // CountPayload: so many bytes of the client's stdin went into the process or were thrown away
  Exited = 70,   // ExitedPayload and, if the end has a cause to tell, a sentence. The last message to who is attached
  Dropped = 71,  // a sentence: the client did not read for too long. The last message
  Done = 72,     // the request before was carried out
  Refused = 73,  // FailurePayload and a sentence: the request before was not
};

struct MessageHeader {
  MessageType type;
  std::uint8_t reserved[3] = {};
};

struct HelloPayload {
  std::uint32_t magic = kHelloMagic;
  std::uint16_t oldest = kOldestShimProtocol;
  std::uint16_t newest = kShimProtocol;
};
struct WelcomePayload {
  std::uint16_t version;  // 0: there is no common one
  std::uint16_t reserved = 0;
  std::int32_t pid;  // of the process; 0 while it is being restarted
};
inline constexpr std::uint32_t kAttachStdin = 1;
inline constexpr std::uint32_t kAttachStdout = 2;
inline constexpr std::uint32_t kAttachStderr = 4;
struct AttachPayload {
  std::uint32_t streams;  // kAttachStdin | …
};
struct SizePayload {
  std::uint16_t rows;
  std::uint16_t columns;
};
struct BeginPayload {
  std::uint16_t version;  // kShimProtocol of the starter
  std::uint16_t reserved = 0;
  std::uint32_t streams;  // kAttachStdin | …; 0: the connection ends with the answer
  SizePayload size;       // of the terminal before the first instruction; zeros: unknown
};
struct SignalPayload {
  std::int32_t signal;
};
struct StopPayload {
  std::int32_t signal;           // 0: the container's stop signal
  std::int32_t timeout_seconds;  // until SIGKILL; -1: never; kDefaultStopTimeout: the container's
};
inline constexpr std::int32_t kDefaultStopTimeout = -2;
enum class WaitFor : std::uint32_t {
  NextExit = 0,
  NotRunning = 1
};  // NotRunning: an end after which no restart follows
struct WaitPayload {
  WaitFor condition;
};
struct StartedPayload {
  std::int32_t pid;
};
struct FailurePayload {
  std::int32_t exit_code;     // 125, 126, 127
  std::int32_t kind;          // ErrorKind
  std::int32_t error_number;  // errno or 0
};
struct CountPayload {
  std::uint32_t bytes;
};
inline constexpr std::uint32_t kExitedOom = 1;
inline constexpr std::uint32_t kExitedRestarting = 2;
struct ExitedPayload {
  std::int32_t exit_code;
  std::uint32_t flags;  // kExitedOom | …
};
struct TerminalPayload {
  std::array<std::byte, 64> before;  // struct termios as it was
  std::array<std::byte, 64> during;  // and as the client sets it; anything else is somebody else's by now
};

// ---- record.json, member "shim" -----------------------------------------------------------------------------------

struct LogSettings {
  std::string driver = "json-file";                // json-file, local, none
  std::int64_t max_size_bytes = 10 * 1000 * 1000;  // of one file; 0: unlimited
  std::int32_t max_files = 3;
};

struct RestartSettings {
  std::string policy = "no";     // no, on-failure, always, unless-stopped, on-unhealthy
  std::int32_t max_retries = 0;  // of on-failure; 0: no limit
};

/// A health check as the shim carries it out: `argv` is complete (a shell is already in front where one is wanted).
struct HealthSettings {
  std::vector<std::string> argv;
  std::int64_t interval_ns = 30'000'000'000;
  std::int64_t timeout_ns = 30'000'000'000;
  std::int64_t start_period_ns = 0;
  std::int64_t start_interval_ns = 5'000'000'000;
  std::int32_t retries = 3;
};

/// What the shim tells events.jsonl: its lines are engine/events.h's documents.
struct EventSettings {
  fs::path file;                                                // empty: no events
  std::vector<std::pair<std::string, std::string>> attributes;  // image (as the user named it), name, labels
};

struct ShimSettings {
  std::string id;
  bool tty = false;
  bool open_stdin = false;   // else stdin is /dev/null
  bool stdin_once = false;   // stdin closes when a client that attached it ends it or goes away
  bool auto_remove = false;  // state.json says "removing" after the last end
  std::string stop_signal;   // empty: SIGTERM; "SIGQUIT", "QUIT", "3"
  std::int32_t stop_timeout_seconds = 10;
  LogSettings log;
  RestartSettings restart;
  std::optional<HealthSettings> health;
  EventSettings events;
  std::optional<OverlayMount> root;  // the root filesystem; absent: the spec's root.path is a directory to be used
  fs::path layers_directory;         // what root's relative paths start from; empty: they are absolute
  fs::path seccomp_filter;           // raw BPF program; empty: seccomp.bpf beside config.json if there is one
  fs::path ctr_program;              // `<ctr_program> container-cleanup <id>` is spawned after the last end
  std::vector<std::string> cleanup_arguments;  // put before "container-cleanup", such as {"--root", "/x"}
  std::vector<fs::path> claims_while_running;  // symlinks (of names), unlinked at the last end if they name id
  std::vector<fs::path> claims_until_removed;  // symlinks (name), unlinked then as well with auto_remove
};
Json to_json(const ShimSettings& settings);
ShimSettings shim_settings_from_json(const Json& json);

/// exec/<exec id>/exec.json
struct ExecSettings {
  std::string id;  // the exec id
  std::string container_id;
  bool tty = false;
  bool open_stdin = false;
  std::string user;         // -u in Docker's syntax, resolved in the container's root; empty: process.json's user
  std::string cgroup;       // the container's linux.cgroupsPath
  fs::path seccomp_filter;  // raw BPF program; empty: none
  EventSettings events;
};
Json to_json(const ExecSettings& settings);
ExecSettings exec_settings_from_json(const Json& json);

// ---- What the shim writes -----------------------------------------------------------------------------------------

enum class ShimStatus { Created, Running, Paused, Restarting, Removing, Exited };

/// state.json. Only true while the shim holds its lock; what is left after its death describes its last breath.
struct ShimState {
  ShimStatus status = ShimStatus::Created;
  std::int32_t pid = 0;               // of the process, in the host's pid namespace; 0 when it has none
  std::uint64_t pid_start_ticks = 0;  // field 22 of /proc/<pid>/stat: together with pid it names the process for ever
  std::int32_t shim_pid = 0;
  std::string started_at;          // RFC 3339 with nanoseconds
  std::int32_t restart_count = 0;  // restarts by policy since the shim began
  std::string health;              // starting, healthy, unhealthy; empty: there is no health check
};
Json to_json(const ShimState& state);
ShimState shim_state_from_json(const Json& json);
/// "created", "running", "paused", "restarting", "removing", "exited".
std::string_view to_string(ShimStatus status) noexcept;

/// exit.json. Written before anybody is told of the end, and also when a start fails (then started_at is empty).
struct ProcessExit {
  std::int32_t exit_code = 0;
  bool oom_killed = false;
  std::string error;  // why it could not be started
  std::string started_at;
  std::string finished_at;
  std::int32_t restart_count = 0;
  bool stopped_by_request = false;  // Stop came before the end: no restart after a reboot for unless-stopped
};
Json to_json(const ProcessExit& exit);
ProcessExit process_exit_from_json(const Json& json);

/// health.json: the last five probes.
struct ProbeResult {
  std::string start;
  std::string end;
  std::int32_t exit_code = 0;
  std::string output;  // at most 4096 bytes
};
struct HealthReport {
  std::string status;
  std::int32_t failing_streak = 0;
  std::vector<ProbeResult> log;
};
Json to_json(const HealthReport& report);
HealthReport health_report_from_json(const Json& json);

// ---- The log ------------------------------------------------------------------------------------------------------
// A line is Docker's: {"log":"text\n","stream":"stdout","time":"2026-01-02T03:04:05.6Z"}. Text that is not UTF-8 has
// U+FFFD there, as with Docker, and its true bytes as base64 in one more member, "raw". A long line, or one that was
// not finished when it was read, continues in the stream's next object.

enum class LogStream : std::uint8_t { Stdout, Stderr };
struct LogLine {
  std::string text;  // raw bytes
  LogStream stream = LogStream::Stdout;
  std::string time;  // as written
};
/// Appends one JSON object and a newline.
void append_log_line(std::string& out, std::string_view text, LogStream stream, std::string_view time);
/// Fills `line` (reusing its memory) from one line without its newline; false if it is no log line.
bool parse_log_line(std::string_view json, LogLine& line);
/// What a line that broke off still tells; nothing if not one byte of its text is there.
std::optional<LogLine> salvage_log_line(std::string_view fragment);
/// If the file's last line broke off, puts what it still tells into a proper line. Returns the file's size.
/// REQUIRES: `log` is open for reading and writing, and nobody else writes to it.
std::uint64_t repair_log_file(int log);

inline constexpr std::string_view kStateFile = "state.json";
inline constexpr std::string_view kExitFile = "exit.json";
inline constexpr std::string_view kHealthFile = "health.json";
inline constexpr std::string_view kShimLock = "shim.lock";
inline constexpr std::string_view kShimSocket = "shim.sock";
inline constexpr std::string_view kLogFile = "log";
inline constexpr std::string_view kRecordFile = "record.json";
inline constexpr std::string_view kSpecFile = "config.json";
inline constexpr std::string_view kExecSettingsFile = "exec.json";
inline constexpr std::string_view kProcessFile = "process.json";

}  // namespace ctr
