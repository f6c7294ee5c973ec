// Amazon's Signature Version 4 for one request with a body in memory. Pure: time and keys come in, headers go out.
#pragma once

#include <string>
#include <string_view>

#include "base/time.h"
#include "registry/http.h"
#include "registry/url.h"

namespace ctr {

struct AwsKeys {
  std::string access_key_id = {};
  std::string secret_access_key = {};
  std::string session_token = {};
};

struct AwsScope {
  std::string region;
  std::string service;
};

/// Adds Host, X-Amz-Date, X-Amz-Security-Token and Authorization to `headers`, all of which are signed.
void sign_aws_request(HttpHeaders& headers, std::string_view method, const Url& url, std::string_view body,
                      const AwsKeys& keys, const AwsScope& scope, Time time);

/// HMAC-SHA256 (RFC 2104), 32 bytes.
std::string hmac_sha256(std::string_view key, std::string_view message);
/// Lower-case hexadecimal digits.
std::string to_hex(std::string_view bytes);

}  // namespace ctr
