// Answers in the words of the distribution-spec: {"errors": [{code, message, detail}]} and the headers that go with
// each.
#pragma once

#include <string>
#include <string_view>

#include "base/json.h"
#include "registry/server/http_server.h"

namespace ctr {

ServerReply error_reply(int status, std::string_view code, std::string_view message, const Json& detail = {});
ServerReply json_reply(const Json& json);
ServerReply empty_reply(int status, HttpHeaders headers = {});

/// Part of a sorted list: at most `n` names after `last`, with a Link to the rest. `path` is the endpoint's own.
ServerReply page_reply(const ServerRequest& request, const std::vector<std::string>& names, const std::string& member,
                       Json document);

}  // namespace ctr
