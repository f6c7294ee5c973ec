// The builder: a BuildRequest and a Dockerfile go in, an image in the store comes out.
// Dockerfile text -> lines -> instructions -> graph -> solver -> image: each arrow is one file of this folder. The
// builder knows no registry, no HTTP and no bridge: whoever calls it hands these in as functions (BuildServices).
// May depend on image/, runtime/ and base/ only.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/error.h"
#include "base/file.h"
#include "builder/build_options.h"
#include "builder/build_progress.h"
#include "builder/context_spec.h"
#include "builder/emulators.h"
#include "image/descriptor.h"
#include "image/platform.h"
#include "image/reference.h"

namespace ctr {

class Store;

// ---- what is asked for ----

enum class CacheUse { Use, Ignore };           // --no-cache
enum class BasePolicy { PreferLocal, Pull };   // --pull
enum class BuildAction { Build, Check, Outline, Targets };  // --call, --check
enum class FailureAction { Report, Shell };    // --on-failure=shell
enum class Explanations { Off, On };           // --explain

/// Limits of one build; zero means none.
struct BuildLimits {
  int jobs = 0;  ///< executions at the same time; 0: one for each processor
  std::uint64_t memory_bytes = 0;
  double cpus = 0;
};

/// One `ctr build`, as typed: strings that the builder itself checks and explains.
struct BuildRequest {
  std::string context = ".";     ///< PATH, "-", a git URL or an HTTP URL
  std::string dockerfile;        ///< -f; "" is the default name, "-" standard input
  int standard_input = 0;        ///< read where context or dockerfile is "-"
  std::vector<std::string> tags;
  std::string target;
  std::map<std::string, std::string> build_args;   ///< values already taken from the environment where `--build-arg X`
  std::vector<std::string> platforms;              ///< as typed; empty: this machine's
  std::map<std::string, std::string> labels;
  std::vector<std::string> annotations;            ///< `[type[platform]:]key=value`
  std::map<std::string, ContextSource> named_contexts;
  std::map<std::string, Descriptor> target_images; ///< by bake target: the image that a context `target:` stands for
  std::vector<SecretSpec> secrets;
  std::vector<SshSpec> ssh;
  std::vector<OutputSpec> outputs;               ///< empty: the image goes to the store
  std::vector<CacheSpec> cache_from;
  std::vector<CacheSpec> cache_to;
  std::vector<std::string> no_cache_stages;        ///< --no-cache-filter
  std::vector<std::string> entitlements;           ///< --allow
  std::vector<std::string> add_hosts;              ///< `name:address`
  std::vector<std::string> ulimits;                ///< `nofile=1024:2048`
  std::string network = "default";                 ///< default, none, host or the name of a network
  std::string cgroup_parent;
  std::string provenance;                          ///< "" or "false": none
  std::string source_date_epoch;                   ///< a number, "git", or empty
  std::uint64_t shm_size_bytes = 0;
  CacheUse cache = CacheUse::Use;
  BasePolicy base_policy = BasePolicy::PreferLocal;
  BuildAction action = BuildAction::Build;
  FailureAction on_failure = FailureAction::Report;
  Explanations explanations = Explanations::Off;
  HostRegistration host_registration = HostRegistration::Refused;
  BuildLimits limits;
};

// ---- what is handed in ----

/// Reports bytes that move: (what, current, total); total 0 if it is not known.
using ByteProgress = std::function<void(std::string_view item, std::uint64_t current, std::uint64_t total)>;

/// An answer to an HTTP request whose body went to a sink.
struct FetchedUrl {
  std::string final_url;
  std::string file_name;      ///< from Content-Disposition, else empty
  std::string media_type;
  std::string etag;
  std::optional<std::chrono::system_clock::time_point> last_modified;
};

struct UrlQuery {
  std::string url;
  std::map<std::string, std::string> headers;
  std::uint64_t limit_bytes = 0;
};

/// The network that RUN steps of one build share. Destroying it takes it away.
class BuildNetwork {
 public:
  virtual ~BuildNetwork() = default;
  virtual fs::path namespace_path() const = 0;  ///< empty: the host's network
  virtual std::string resolv_conf() const = 0;  ///< text for /etc/resolv.conf
  virtual std::string hosts() const = 0;        ///< lines for /etc/hosts, after localhost's
};

/// What the builder needs of the world and does not know. Each may be empty: a build that needs it then fails with one
/// sentence. All may be called from several threads at once.
struct BuildServices {
  /// Asks the registry for a name; keeps manifest, index, the platform's config and the name in the store. No layer
  /// moves. Returns what the name points at.
  std::function<Descriptor(const Reference&, const Platform&, const ByteProgress&)> pull_metadata;

  /// Brings those layers of the image that the store lacks. `manifest` is one platform's.
  std::function<void(const Reference&, const Descriptor& manifest, const ByteProgress&)> pull_layers;

  /// Sends an image or index of the store to its registry. `reference` names the tag, or has none (push by digest).
  std::function<void(const Reference&, const Descriptor&, const ByteProgress&)> push;

  /// For --cache-from: a manifest or index by name, kept as a blob; nothing if the registry has no such name.
  std::function<std::optional<Descriptor>(const Reference&)> fetch_manifest;

  /// For --cache-from: one blob of that repository, verified, kept in the store.
  std::function<void(const Reference&, const Descriptor&, const ByteProgress&)> fetch_blob;

  /// GET, following redirects. Throws NotFound, Denied or Unavailable with the URL in the sentence.
  std::function<FetchedUrl(const UrlQuery&, ByteSink& body)> fetch_url;

  /// Makes the network of `default`, `host` or a network's name ("none" never gets here).
  std::function<std::unique_ptr<BuildNetwork>(const std::string& mode)> open_network;

  /// --on-failure=shell: runs `argv` in the failed step's container on the caller's terminal (the builder hands in the
  /// functions that do it); empty where there is no terminal.
  std::function<void(const std::string& banner, const std::function<int()>& shell)> offer_shell;
};

// ---- what comes out ----

struct BuiltPlatform {
  Platform platform;
  Descriptor manifest;
  Digest config;
};

struct BuildResult {
  std::optional<Descriptor> image;      ///< manifest, or index for several platforms; none for cacheonly, local, tar
  std::string id;                       ///< of this build: its logs have that name
  std::string image_id;                 ///< for -q and --iidfile: the config's digest, or the index's
  std::vector<BuiltPlatform> platforms;
  std::vector<std::string> names;       ///< full names that were set, in the order of -t
  std::string metadata_json;            ///< for --metadata-file
  std::string report;                   ///< of Check, Outline and Targets: text for standard output
  int exit_code = 0;                    ///< of Check: 1 if a check failed
};

/// Builds. Throws BuildFailure when a step or the Dockerfile is at fault, Error otherwise.
BuildResult build(Store& store, const BuildRequest& request, const BuildServices& services, BuildProgress& progress);

/// Where in a Dockerfile something is, with the lines themselves.
struct SourceExcerpt {
  std::string file;    ///< "Dockerfile", as named by the user
  int first_line = 0;  ///< of the instruction, from 1
  int last_line = 0;
  std::string text;    ///< the whole file's text, to print lines around it
};

/// A step failed: what was run, where it stands, what it printed.
class BuildFailure : public Error {
 public:
  struct Details {
    std::string step;            ///< `[2/3] RUN false`, or empty if no step ran
    std::string output;          ///< the last lines of the step's output
    std::string output_file;     ///< the whole output, where it is longer than that
    SourceExcerpt where;
    int exit_code = 0;           ///< of the process, 0 if none ran
  };
  BuildFailure(ErrorKind kind, const std::string& message, Details details);
  const Details& details() const noexcept { return *details_; }

 private:
  std::shared_ptr<const Details> details_;
};

/// How many lines of a failed step's output are shown after it.
inline constexpr std::size_t kShownOutputLines = 200;

/// The text that BuildKit prints after a failure: the output between two rules, the lines of the Dockerfile with `>>>`,
/// and `ERROR: failed to solve: …`.
std::string render_failure(const BuildFailure& failure);

}  // namespace ctr
