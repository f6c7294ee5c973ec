#include "image/platform.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <sys/utsname.h>
#include <utility>

#include "base/error.h"

namespace ctr {

namespace {

struct Spelling {
  std::string_view written;
  std::string_view architecture;
  std::string_view variant;
};

// What uname, Debian and people write for an architecture.
constexpr std::array kSpellings{
    Spelling{"x86_64", "amd64", ""},      Spelling{"x86-64", "amd64", ""},
    Spelling{"aarch64", "arm64", ""},     Spelling{"armhf", "arm", "v7"},
    Spelling{"armel", "arm", "v6"},       Spelling{"armv7l", "arm", "v7"},
    Spelling{"armv6l", "arm", "v6"},      Spelling{"armv5l", "arm", "v5"},
    Spelling{"armv8l", "arm", "v7"},      Spelling{"i386", "386", ""},
    Spelling{"i486", "386", ""},          Spelling{"i586", "386", ""},
    Spelling{"i686", "386", ""},          Spelling{"ppc64el", "ppc64le", ""},
    Spelling{"mips64el", "mips64le", ""}, Spelling{"loongarch64", "loong64", ""},
};

constexpr std::array<std::string_view, 14> kArchitectures{"386",     "amd64",   "arm",      "arm64",  "loong64",
                                                          "mips",    "mips64",  "mips64le", "mipsle", "ppc64",
                                                          "ppc64le", "riscv64", "s390x",    "wasm"};
constexpr std::array<std::string_view, 9> kSystems{"linux",   "windows", "darwin", "freebsd", "netbsd",
                                                   "openbsd", "solaris", "wasip1", "android"};

template <typename Names>
bool contains(const Names& names, std::string_view name) {
  return std::ranges::find(names, name) != names.end();
}

std::string lower_case(std::string_view text) {
  std::string result(text);
  for (char& c : result) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return result;
}

std::vector<std::string> split_slashes(std::string_view text) {
  std::vector<std::string> parts;
  for (std::size_t begin = 0;;) {
    const std::size_t slash = text.find('/', begin);
    parts.push_back(lower_case(text.substr(begin, slash - begin)));
    if (slash == std::string_view::npos) return parts;
    begin = slash + 1;
  }
}

bool is_component(std::string_view part) {
  return !part.empty() && part.size() <= 64 &&
         std::ranges::all_of(part, [](unsigned char c) { return std::isalnum(c) || c == '_' || c == '-' || c == '.'; });
}

std::string_view system_alias(std::string_view os) {
  return os == "macos" ? "darwin" : os;
}

// The number behind the 'v' of a variant; 0 if it is none.
int variant_number(std::string_view variant) {
  if (variant.size() != 2 || variant[0] != 'v' || variant[1] < '1' || variant[1] > '9') return 0;
  return variant[1] - '0';
}

int level_of(const Platform& platform) {
  if (const int number = variant_number(platform.variant)) return number;
  if (!platform.variant.empty()) return 0;
  if (platform.architecture == "amd64") return 1;
  if (platform.architecture == "arm") return 7;
  if (platform.architecture == "arm64") return 8;
  return 0;
}

#if defined(__x86_64__)
// The levels of the x86-64 psABI.
std::string amd64_variant() {
  __builtin_cpu_init();
  const bool is_v2 =
      __builtin_cpu_supports("sse4.2") && __builtin_cpu_supports("ssse3") && __builtin_cpu_supports("popcnt");
  const bool is_v3 = is_v2 && __builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi") &&
                     __builtin_cpu_supports("bmi2") && __builtin_cpu_supports("fma");
  const bool is_v4 = is_v3 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                     __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("avx512dq") &&
                     __builtin_cpu_supports("avx512vl");
  return is_v4 ? "v4" : is_v3 ? "v3" : is_v2 ? "v2" : "";
}
#else
std::string amd64_variant() {
  return "";
}
#endif

Platform detect_host() {
  struct utsname name = {};
  check(::uname(&name), "uname");
  Platform platform{"linux", name.machine};
  platform = normalised(std::move(platform));
  if (platform.architecture == "amd64") platform.variant = amd64_variant();
  return platform;
}

}  // namespace

std::string Platform::str() const {
  std::string result = os.empty() && architecture.empty() ? "unknown" : os + "/" + architecture;
  if (!variant.empty()) result += "/" + variant;
  return result;
}

Platform normalised(Platform platform) {
  platform.os = system_alias(lower_case(platform.os));
  platform.architecture = lower_case(platform.architecture);
  platform.variant = lower_case(platform.variant);
  const auto known = std::ranges::find(kSpellings, platform.architecture, &Spelling::written);
  if (known != kSpellings.end()) {
    platform.architecture = known->architecture;
    if (platform.variant.empty()) platform.variant = known->variant;
  }
  std::string& variant = platform.variant;
  if (variant.size() == 1 && variant[0] >= '1' && variant[0] <= '9') variant.insert(0, "v");
  if (platform.architecture == "arm64" && variant == "v8") variant.clear();
  if (platform.architecture == "amd64" && variant == "v1") variant.clear();
  if (platform.architecture == "arm" && variant.empty()) variant = "v7";
  if (platform.architecture == "386") variant.clear();
  return platform;
}

Platform parse_platform(std::string_view text) {
  const auto fail = [&](std::string_view why) -> Error {
    return Error(ErrorKind::Invalid,
                 "invalid platform \"" + std::string(text.substr(0, 100)) + "\": " + std::string(why));
  };
  const std::vector<std::string> parts = split_slashes(text);
  if (!std::ranges::all_of(parts, is_component)) throw fail("a part is empty or has a character that can't be there");
  if (parts.size() > 3) throw fail("it has more than os/architecture/variant");
  if (parts.size() > 1) return normalised({parts[0], parts[1], parts.size() == 3 ? parts[2] : ""});
  if (contains(kSystems, system_alias(parts[0]))) {
    Platform platform = host_platform();
    platform.os = system_alias(parts[0]);
    platform.variant = platform.architecture == "amd64" ? "" : platform.variant;
    return platform;
  }
  Platform platform = normalised({host_platform().os, parts[0]});
  if (!contains(kArchitectures, platform.architecture)) throw fail("unknown operating system or architecture");
  return platform;
}

const Platform& host_platform() {
  static const Platform host = detect_host();
  return host;
}

int platform_score(const Platform& host_given, const Platform& image_given) {
  const Platform host = normalised(host_given);
  const Platform image = normalised(image_given);
  if (host.os != image.os) return 0;
  if (!host.os_version.empty() && !image.os_version.empty() && host.os_version != image.os_version) return 0;
  if (host.architecture == "arm64" && image.architecture == "arm") {
    const int level = level_of(image);
    return level >= 5 && level <= 8 ? level : 0;
  }
  if (host.architecture != image.architecture) return 0;
  if (host.variant == image.variant) return 100;
  const int wanted = level_of(host);
  const int offered = level_of(image);
  if (wanted == 0 || offered == 0 || offered > wanted) return 0;
  return 50 + offered;
}

bool platform_matches(const Platform& wanted, const Platform& image) {
  return normalised(wanted).architecture == normalised(image).architecture && platform_score(wanted, image) > 0;
}

Platform platform_from_json(const Json& json) {
  Platform platform;
  platform.os = json.string_or("os");
  platform.architecture = json.string_or("architecture");
  platform.variant = json.string_or("variant");
  platform.os_version = json.string_or("os.version");
  platform.os_features = json.strings("os.features");
  return platform;
}

Json to_json(const Platform& platform) {
  Json json = Json::object({{"architecture", platform.architecture}, {"os", platform.os}});
  if (!platform.os_version.empty()) json["os.version"] = platform.os_version;
  if (!platform.os_features.empty()) json["os.features"] = platform.os_features;
  if (!platform.variant.empty()) json["variant"] = platform.variant;
  return json;
}

}  // namespace ctr
