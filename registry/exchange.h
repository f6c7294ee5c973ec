// A request to anything that is not a registry (token server, cloud service): one answer of bounded size, retried while
// the failure is a passing one.
#pragma once

#include <string>

#include "registry/http.h"
#include "registry/retry.h"

namespace ctr {

struct HttpAnswer {
  HttpResponse response;
  std::string body;
};

HttpAnswer exchange(HttpTransport& transport, const RetryPolicy& retry, const HttpRequest& request);

}  // namespace ctr
