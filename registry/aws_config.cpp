#include "registry/aws_config.h"

#include <cstdlib>

#include "base/text.h"

namespace ctr {
namespace {

constexpr std::uint64_t kLargestFile = 4 * kMiB;

fs::path file_of(const char* variable, const char* name) {
  const char* value = std::getenv(variable);
  if (value != nullptr && *value != '\0') return value;
  const char* home = std::getenv("HOME");
  return fs::path(home != nullptr ? home : "/") / ".aws" / name;
}

const AwsSection* find(const AwsSections& sections, const std::string& name) {
  const auto found = sections.find(name);
  return found == sections.end() ? nullptr : &found->second;
}

}  // namespace

AwsSections parse_aws_ini(std::string_view text) {
  AwsSections sections;
  AwsSection* current = nullptr;
  for (const std::string& raw : split(text, '\n')) {
    const std::string_view line = trim(raw);
    if (line.empty() || line.front() == '#' || line.front() == ';') continue;
    if (line.front() == '[') {
      const std::size_t end = line.find(']');
      if (end == std::string_view::npos) continue;
      current = &sections[join(split_words(line.substr(1, end - 1)), " ")];
      continue;
    }
    // An indented line belongs to a key with sub-keys (s3 =), of which none matters here.
    if (current == nullptr || raw.front() == ' ' || raw.front() == '\t') continue;
    const auto pair = cut(line, '=');
    if (!pair) continue;
    std::string value(trim(pair->second));
    for (const std::string_view comment : {" #", " ;"}) {
      if (const std::size_t at = value.find(comment); at != std::string::npos) value = trim(value.substr(0, at));
    }
    (*current)[lower(trim(pair->first))] = value;
  }
  return sections;
}

AwsConfig AwsConfig::of_user() {
  return AwsConfig(file_of("AWS_CONFIG_FILE", "config"), file_of("AWS_SHARED_CREDENTIALS_FILE", "credentials"));
}

AwsConfig::AwsConfig(const fs::path& config_file, const fs::path& credentials_file)
    : config_(parse_aws_ini(find_file(config_file, kLargestFile).value_or(""))),
      credentials_(parse_aws_ini(find_file(credentials_file, kLargestFile).value_or(""))) {}

std::optional<AwsSection> AwsConfig::profile(const std::string& name) const {
  const AwsSection* in_config = find(config_, "profile " + name);
  if (in_config == nullptr && name == "default") in_config = find(config_, name);
  const AwsSection* in_credentials = find(credentials_, name);
  if (in_config == nullptr && in_credentials == nullptr) return std::nullopt;
  AwsSection section = in_config != nullptr ? *in_config : AwsSection{};
  if (in_credentials != nullptr) {
    for (const auto& [key, value] : *in_credentials) section[key] = value;
  }
  return section;
}

std::optional<AwsSection> AwsConfig::sso_session(const std::string& name) const {
  const AwsSection* section = find(config_, "sso-session " + name);
  if (section == nullptr) return std::nullopt;
  return *section;
}

}  // namespace ctr
