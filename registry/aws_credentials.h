// Where a program on somebody's laptop, in a pod or on a virtual machine finds its AWS keys, in the order of Amazon's
// own tools: environment, web identity (IRSA), profile (keys, process, single sign-on, assumed role), container
// endpoint (ECS, EKS Pod Identity), instance metadata (IMDSv2). Stores nothing.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "registry/aws_config.h"
#include "registry/aws_signature.h"
#include "registry/http.h"

namespace ctr {

struct AwsCredentials {
  AwsKeys keys;
  std::string source;  ///< "the environment", "profile dev": for messages
};

class AwsCredentialChain {
 public:
  /// `environment` gives a variable or "".
  using Environment = std::function<std::string(const char*)>;

  AwsCredentialChain(HttpTransport& transport, AwsConfig config, Environment environment, std::string region);

  /// Throws Denied if there are none (naming what was looked at), or if a source that is configured fails.
  AwsCredentials find();

 private:
  std::optional<AwsCredentials> from_environment() const;
  std::optional<AwsCredentials> from_web_identity();
  std::optional<AwsCredentials> from_profile();
  std::optional<AwsCredentials> from_container();
  std::optional<AwsCredentials> from_instance();

  AwsCredentials profile_credentials(const std::string& name, int depth);
  AwsCredentials sso_credentials(const AwsSection& profile, const std::string& name);
  AwsCredentials process_credentials(const std::string& command, const std::string& name) const;
  AwsCredentials web_identity_credentials(const std::string& token_file, const std::string& role,
                                          const std::string& session, const std::string& source);
  AwsCredentials assume_role(const AwsCredentials& base, const AwsSection& profile, const std::string& name);
  AwsCredentials ask_sts(const std::string& query, const std::string& source, const AwsKeys* keys);
  std::string sts_region() const;
  std::string sts_endpoint() const;
  std::string get(const std::string& url, const HttpHeaders& headers, const std::string& method = "GET");

  HttpTransport& transport_;
  AwsConfig config_;
  Environment environment_;
  std::string region_;
};

/// The environment of this process.
AwsCredentialChain::Environment process_environment();

}  // namespace ctr
