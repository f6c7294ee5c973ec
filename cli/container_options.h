// The flags that `run` and `create` share, and how they become a request to make a container.
#pragma once

#include <string>
#include <vector>

#include "cli/flags.h"
#include "engine/containers.h"

namespace ctr {

void define_container_flags(FlagTable& flags);

/// What --pull says.
enum class PullWhen { Missing, Always, Never };
PullWhen pull_policy(const ParsedFlags& flags);

/// The request of `ctr run [flags] IMAGE [COMMAND...]`; the arguments are those of `flags`. Throws UsageError for a
/// value that cannot be, Error for files that cannot be read.
CreateRequest container_request(const ParsedFlags& flags);

/// The platform of --platform, else of DOCKER_DEFAULT_PLATFORM; nothing: this machine's.
std::optional<Platform> platform_option(const ParsedFlags& flags);

/// --env-file and --label-file: a line an entry, "#" comments; a name alone takes its value from our environment.
std::vector<std::string> read_environment_file(const std::string& path);
/// "-e NAME" without a value takes it from our environment, or is dropped when that has none.
std::vector<std::string> environment_option(const std::vector<std::string>& files, const std::vector<std::string>& values);
/// "key=value" texts as a map; a key alone has an empty value.
StringMap label_map(const std::vector<std::string>& labels);

/// --ulimit nofile=1024:2048. Throws UsageError.
Ulimit parse_ulimit(const std::string& text);
/// --memory and its kin: bytes with units; -1 is unlimited. Throws UsageError naming the flag.
std::int64_t size_option(const ParsedFlags& flags, std::string_view name);
/// --restart no|always|unless-stopped|on-failure[:n]|on-unhealthy.
RestartPolicy parse_restart_policy(const std::string& text);
/// --cpus 1.5 in billionths.
std::int64_t cpus_option(const std::string& text);

}  // namespace ctr
