// ~/.aws/config and ~/.aws/credentials: sections with keys. Knows the file format and which section belongs to a
// profile, not what the keys mean.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "base/file.h"

namespace ctr {

using AwsSection = std::map<std::string, std::string>;
using AwsSections = std::map<std::string, AwsSection, std::less<>>;

/// Lines that are neither section, key nor comment are passed over, as Amazon's own tools do.
AwsSections parse_aws_ini(std::string_view text);

class AwsConfig {
 public:
  /// $AWS_CONFIG_FILE and $AWS_SHARED_CREDENTIALS_FILE, or the files in ~/.aws.
  static AwsConfig of_user();
  AwsConfig(const fs::path& config_file, const fs::path& credentials_file);

  /// The keys of a profile from both files; credentials win. Nothing if neither has it.
  std::optional<AwsSection> profile(const std::string& name) const;
  /// [sso-session NAME]
  std::optional<AwsSection> sso_session(const std::string& name) const;

 private:
  AwsSections config_;
  AwsSections credentials_;
};

}  // namespace ctr
