#include "registry/aws_signature.h"

#include <algorithm>
#include <map>
#include <vector>

#include "base/text.h"
#include "image/digest.h"

namespace ctr {
namespace {

constexpr std::string_view kAlgorithm = "AWS4-HMAC-SHA256";

std::string sha256_bytes(std::string_view text) {
  const std::string hex = Digest::of(text).hex();
  std::string bytes;
  for (std::size_t i = 0; i < hex.size(); i += 2) {
    bytes += static_cast<char>(parse_uint(std::string_view(hex).substr(i, 2), 16).value_or(0));
  }
  return bytes;
}

// "20150830T123600Z"
std::string compact_time(Time time) {
  std::string text = format_time_seconds(time);
  std::erase_if(text, [](char character) { return character == '-' || character == ':'; });
  return text;
}

std::string canonical_query(const std::string& query) {
  if (query.empty()) return {};
  std::vector<std::string> parts = split(query, '&');
  for (std::string& part : parts) {
    if (part.find('=') == std::string::npos) part += '=';
  }
  std::sort(parts.begin(), parts.end());
  return join(parts, "&");
}

struct CanonicalHeaders {
  std::string lines;
  std::string names;
};

CanonicalHeaders canonical_headers(const HttpHeaders& headers) {
  std::map<std::string, std::string> sorted;
  for (const auto& [name, value] : headers.fields()) sorted[lower(name)] = std::string(trim(value));
  CanonicalHeaders result;
  for (const auto& [name, value] : sorted) {
    result.lines += name + ":" + value + "\n";
    result.names += (result.names.empty() ? "" : ";") + name;
  }
  return result;
}

}  // namespace

std::string to_hex(std::string_view bytes) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string text;
  for (const char character : bytes) {
    const auto byte = static_cast<unsigned char>(character);
    text += kDigits[byte >> 4];
    text += kDigits[byte & 15];
  }
  return text;
}

std::string hmac_sha256(std::string_view key, std::string_view message) {
  constexpr std::size_t kBlock = 64;
  std::string padded = key.size() > kBlock ? sha256_bytes(key) : std::string(key);
  padded.resize(kBlock, '\0');
  std::string inner = padded;
  std::string outer = padded;
  for (std::size_t i = 0; i < kBlock; ++i) {
    inner[i] = static_cast<char>(static_cast<unsigned char>(inner[i]) ^ 0x36u);
    outer[i] = static_cast<char>(static_cast<unsigned char>(outer[i]) ^ 0x5cu);
  }
  return sha256_bytes(outer + sha256_bytes(inner.append(message)));
}

void sign_aws_request(HttpHeaders& headers, std::string_view method, const Url& url, std::string_view body,
                      const AwsKeys& keys, const AwsScope& scope, Time time) {
  const std::string when = compact_time(time);
  const std::string day = when.substr(0, 8);
  headers.set("Host", url.authority());
  headers.set("X-Amz-Date", when);
  if (!keys.session_token.empty()) headers.set("X-Amz-Security-Token", keys.session_token);

  const CanonicalHeaders canonical = canonical_headers(headers);
  const std::string request = std::string(method) + "\n" + url.path + "\n" + canonical_query(url.query) + "\n" +
                              canonical.lines + "\n" + canonical.names + "\n" + Digest::of(body).hex();
  const std::string where = day + "/" + scope.region + "/" + scope.service + "/aws4_request";
  const std::vector<std::string> signed_lines = {std::string(kAlgorithm), when, where, Digest::of(request).hex()};
  const std::string to_sign = join(signed_lines, "\n");

  std::string key = hmac_sha256("AWS4" + keys.secret_access_key, day);
  key = hmac_sha256(key, scope.region);
  key = hmac_sha256(key, scope.service);
  key = hmac_sha256(key, "aws4_request");
  std::string value(kAlgorithm);
  value.append(" Credential=").append(keys.access_key_id).append("/").append(where);
  value.append(", SignedHeaders=").append(canonical.names);
  value.append(", Signature=").append(to_hex(hmac_sha256(key, to_sign)));
  headers.set("Authorization", value);
}

}  // namespace ctr
