#include "registry/credential_helper.h"

#include "base/error.h"
#include "base/json.h"
#include "base/process.h"
#include "base/text.h"

namespace ctr {
namespace {

constexpr std::uint64_t kLargestAnswer = 1024 * 1024;

bool is_valid_name(std::string_view helper) {
  return !helper.empty() &&
         helper.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.") ==
             std::string_view::npos;
}

struct Answer {
  bool success = false;
  std::string text;  ///< standard output: on failure the reason
};

Answer ask(const std::string& helper, const std::string& verb, std::string_view input) {
  if (!is_valid_name(helper)) throw Error(ErrorKind::Invalid, "invalid credential helper name " + json_quote(helper));
  Command command;
  command.argv = {"docker-credential-" + helper, verb};
  const CommandOutput output = run_command(std::move(command), input, kLargestAnswer);
  std::string text(trim(output.standard_out));
  if (!output.status.success() && text.empty()) text = std::string(trim(output.standard_error));
  return {output.status.success(), std::move(text)};
}

[[noreturn]] void throw_failure(const std::string& helper, const std::string& verb, const Answer& answer) {
  throw Error(ErrorKind::Unavailable,
              "docker-credential-" + helper + " " + verb + " failed: " + answer.text.substr(0, 500));
}

}  // namespace

std::optional<HelperSecret> helper_get(const std::string& helper, const std::string& server) {
  const Answer answer = ask(helper, "get", server);
  if (!answer.success) {
    if (answer.text.find("credentials not found") != std::string::npos ||
        answer.text.find("no credentials server URL") != std::string::npos ||
        answer.text.find("no credentials username") != std::string::npos) {
      return std::nullopt;
    }
    throw_failure(helper, "get", answer);
  }
  const Json json = Json::parse(answer.text, "docker-credential-" + helper);
  HelperSecret secret{json.string_or("Username"), json.string_or("Secret")};
  if (secret.username.empty() && secret.secret.empty()) return std::nullopt;
  return secret;
}

void helper_store(const std::string& helper, const std::string& server, const HelperSecret& secret) {
  const Json json =
      Json::object({{"ServerURL", Json(server)}, {"Username", Json(secret.username)}, {"Secret", Json(secret.secret)}});
  const Answer answer = ask(helper, "store", json.dump());
  if (!answer.success) throw_failure(helper, "store", answer);
}

void helper_erase(const std::string& helper, const std::string& server) {
  const Answer answer = ask(helper, "erase", server);
  if (!answer.success) throw_failure(helper, "erase", answer);
}

}  // namespace ctr
