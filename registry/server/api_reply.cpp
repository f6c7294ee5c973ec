#include "registry/server/api_reply.h"

#include <algorithm>

#include "base/text.h"
#include "registry/url.h"

namespace ctr {
namespace {

constexpr std::size_t kLongestPage = 10'000;

}  // namespace

ServerReply error_reply(int status, std::string_view code, std::string_view message, const Json& detail) {
  Json error = Json::object({{"code", Json(code)}, {"message", Json(message)}});
  if (!detail.is_null()) error["detail"] = detail;
  Json errors = Json::array();
  errors.push_back(std::move(error));
  ServerReply reply = json_reply(Json::object({{"errors", std::move(errors)}}));
  reply.status = status;
  return reply;
}

ServerReply json_reply(const Json& json) {
  ServerReply reply;
  reply.headers.add("Content-Type", "application/json");
  reply.body = json.dump() + "\n";
  return reply;
}

ServerReply empty_reply(int status, HttpHeaders headers) {
  ServerReply reply;
  reply.status = status;
  reply.headers = std::move(headers);
  return reply;
}

ServerReply page_reply(const ServerRequest& request, const std::vector<std::string>& names, const std::string& member,
                       Json document) {
  std::size_t limit = kLongestPage;
  if (const auto text = request.parameter("n")) {
    const auto number = parse_uint(*text);
    if (!number) return error_reply(400, "PAGINATION_NUMBER_INVALID", "n is not a number");
    limit = static_cast<std::size_t>(std::min<std::uint64_t>(*number, kLongestPage));
  }
  auto from = names.begin();
  if (const auto last = request.parameter("last")) from = std::upper_bound(names.begin(), names.end(), *last);
  const auto count = std::min<std::size_t>(limit, static_cast<std::size_t>(names.end() - from));
  const auto to = from + static_cast<std::ptrdiff_t>(count);
  document[member] = Json(std::vector<std::string>(from, to));
  ServerReply reply = json_reply(document);
  if (to != names.end() && count > 0) {
    const std::string query = add_query(add_query("", "last", *(to - 1)), "n", std::to_string(limit));
    reply.headers.add("Link", "<" + request.path + "?" + query + ">; rel=\"next\"");
  }
  return reply;
}

}  // namespace ctr
