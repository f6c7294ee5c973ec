#include "registry/exchange.h"

namespace ctr {
namespace {

constexpr std::size_t kLargestAnswer = 1024 * 1024;

}  // namespace

HttpAnswer exchange(HttpTransport& transport, const RetryPolicy& retry, const HttpRequest& request) {
  RetryBudget budget(retry);
  while (true) {
    StringSinkBody body(kLargestAnswer);
    try {
      HttpResponse response = transport.perform(request, body);
      const auto delay = is_retryable(response.status)
                             ? budget.next(parse_retry_after(response.headers.find("Retry-After")))
                             : std::nullopt;
      if (!delay) return {std::move(response), body.text()};
      budget.wait(*delay);
    } catch (const TransportError& error) {
      const auto delay = is_retryable(error.failure()) ? budget.next() : std::nullopt;
      if (!delay) throw;
      budget.wait(*delay);
    }
    if (request.body != nullptr) request.body->rewind();
  }
}

}  // namespace ctr
