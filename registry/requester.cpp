#include "registry/requester.h"

#include "base/error.h"
#include "base/text.h"
#include "base/trace.h"
#include "registry/ecr.h"
#include "registry/registry_error.h"

namespace ctr {
namespace {

constexpr int kMostRedirects = 6;
constexpr int kMostChallenges = 3;

bool is_success(int status) {
  return status >= 200 && status < 300;
}

bool is_redirect(const HttpResponse& response) {
  const int status = response.status;
  return (status == 301 || status == 302 || status == 303 || status == 307 || status == 308) &&
         response.headers.find("Location").has_value();
}

// Sends the body where it belongs once the status is known.
class AnswerSink : public HttpBodySink {
 public:
  AnswerSink(HttpBodySink* stream, std::size_t limit) : stream_(stream), limit_(limit) {}

  void begin(const HttpResponse& response) override {
    text_.clear();
    is_success_ = is_success(response.status);
    is_streaming_ = stream_ != nullptr && is_success_;
    if (is_streaming_) stream_->begin(response);
  }
  void write(Bytes data) override {
    if (is_streaming_) return stream_->write(data);
    const std::size_t room = limit_ - text_.size();
    if (data.size() <= room) {
      text_.append(as_chars(data));
    } else if (is_success_) {
      throw Error(ErrorKind::Corrupt, "an answer is longer than " + std::to_string(limit_) + " bytes");
    }  // the rest of an error page is of no interest
  }

  bool is_streaming() const noexcept { return is_streaming_; }
  std::string& text() noexcept { return text_; }

 private:
  HttpBodySink* stream_;
  std::size_t limit_;
  std::string text_;
  bool is_success_ = false;
  bool is_streaming_ = false;
};

// A failure after the first byte of a stream was handed out: nobody but the receiver knows how to go on.
class StreamBroken : public TransportError {
 public:
  explicit StreamBroken(const TransportError& cause) : TransportError(cause.failure(), cause.what()) {}
};

std::string_view actions_of(Access access) {
  switch (access) {
    case Access::Push:
      return "pull,push";
    case Access::Delete:
      return "delete,pull";
    default:
      return "pull";
  }
}

Url call_url(const RegistryEndpoint& endpoint, const RegistryCall& call) {
  if (call.url) return *call.url;
  std::string query = call.query;
  if (!endpoint.query.empty()) query += (query.empty() ? "" : "&") + endpoint.query;
  return Url::parse(endpoint.api_root + call.path + (query.empty() ? "" : "?" + query));
}

// Amazon answers 403, not 401, when its 12-hour token has expired; to HEAD without a word.
bool is_expired_amazon_token(const RegistryAnswer& answer, const std::string& host, const std::string& method) {
  if (answer.response.status != 403) return false;
  if (lower(answer.body).find("authorization token has expired") != std::string::npos) return true;
  return method == "HEAD" && parse_ecr_host(host).has_value();
}

}  // namespace

Url follow_location(const Url& current, std::string_view location, Downgrade downgrade) {
  Url target = current.resolve(location);
  if (current.scheme == "https" && target.scheme == "http") {
    if (target.host == current.host) {
      target.scheme = "https";
      target.port = current.port;
    } else if (downgrade == Downgrade::Refuse) {
      throw TransportError(TransportFailure::Refused,
                           current.authority() + " sends us to " + target.origin() + " over plain HTTP: refused");
    }
  }
  if (is_loopback_host(target.host) && !is_loopback_host(current.host)) {
    throw TransportError(TransportFailure::Refused,
                         current.authority() + " sends us to " + target.authority() + ", a local address: refused");
  }
  return target;
}

Requester::Requester(RegistrySession& session, std::string host, std::string repository, Access access)
    : session_(session),
      host_(std::move(host)),
      repository_(std::move(repository)),
      access_(access),
      endpoints_(session.hosts().endpoints(host_)) {}

std::vector<RegistryEndpoint> Requester::usable_endpoints(const RegistryCall& call) const {
  const bool writes = access_ != Access::Pull || (call.method != "GET" && call.method != "HEAD");
  std::vector<RegistryEndpoint> usable;
  for (const RegistryEndpoint& endpoint : endpoints_) {
    if (!(writes ? endpoint.can_push : endpoint.can_pull)) continue;
    if (session_.has_failed(endpoint.api_root)) continue;
    if (call.url && Url::parse(endpoint.api_root).origin() != call.url->origin()) continue;
    usable.push_back(endpoint);
    // Plain HTTP is for hosts that don't speak TLS, not a second chance.
    if (session_.has_answered(endpoint.api_root) && !endpoint.is_mirror) break;
  }
  // A Location on another host belongs to the endpoint that named it, whose credentials it will not get.
  if (usable.empty() && call.url && !endpoints_.empty()) usable.push_back(endpoints_.back());
  if (usable.empty() && !endpoints_.empty()) usable.push_back(endpoints_.back());
  if (usable.empty()) throw Error(ErrorKind::Invalid, "no endpoint of " + host_ + " may be used for this");
  return usable;
}

RegistryAnswer Requester::send(const RegistryCall& call) {
  const std::vector<RegistryEndpoint> endpoints = usable_endpoints(call);
  for (std::size_t i = 0; i < endpoints.size(); ++i) {
    const RegistryEndpoint& endpoint = endpoints[i];
    const bool is_last = i + 1 == endpoints.size();
    try {
      RegistryAnswer answer = send_to(endpoint, call);
      if (is_last || !endpoint.is_mirror || answer.response.status < 400) return answer;
    } catch (const StreamBroken&) {
      throw;
    } catch (const TransportError& error) {
      const bool may_go_on = endpoint.is_mirror || (!is_last && endpoints[i + 1].is_plain_fallback &&
                                                    (error.failure() == TransportFailure::NotTls ||
                                                     error.failure() == TransportFailure::Connect ||
                                                     error.failure() == TransportFailure::Timeout ||
                                                     error.failure() == TransportFailure::Broken));
      if (is_last || !may_go_on || session_.has_answered(endpoint.api_root)) throw;
      session_.note_failure(endpoint.api_root);
    } catch (const RegistryError&) {
      if (is_last || !endpoint.is_mirror) throw;  // a mirror's token server
    }
    if (call.body != nullptr) call.body->rewind();
  }
  throw Error(ErrorKind::Unavailable, "no endpoint of " + host_ + " answered");
}

bool Requester::wait_before_retry(RetryBudget& budget, const RegistryCall& call, const std::string& reason,
                                  std::optional<std::chrono::seconds> retry_after) {
  if (call.repeat == Repeat::Never) return false;
  const auto delay = budget.next(retry_after);
  if (!delay) return false;
  if (retry_listener_) retry_listener_(reason, *delay);
  budget.wait(*delay);
  if (call.body != nullptr) call.body->rewind();
  return true;
}

RegistryAnswer Requester::send_to(const RegistryEndpoint& endpoint, const RegistryCall& call) {
  Authorizer& authorizer = session_.authorizer();
  AuthorizationTarget target{host_, repository_, call.more_scopes};
  if (!repository_.empty()) target.scopes.insert(repository_scope(repository_, actions_of(access_)));
  std::optional<std::string> authorization = authorizer.authorization(endpoint, target);
  RetryBudget budget(session_.retry());
  int challenges = 0;
  while (true) {
    RegistryAnswer answer;
    try {
      answer = send_once(endpoint, call, authorization);
    } catch (const StreamBroken&) {
      throw;
    } catch (const TransportError& error) {
      // A host that never answered is not there; one that did may come back.
      const bool is_worth_it = is_retryable(error.failure()) && (error.failure() != TransportFailure::Connect ||
                                                                 session_.has_answered(endpoint.api_root));
      if (!is_worth_it || endpoint.is_mirror || !wait_before_retry(budget, call, error.what())) throw;
      continue;
    }
    session_.note_answer(endpoint.api_root);
    if ((answer.response.status == 401 || is_expired_amazon_token(answer, host_, call.method)) &&
        challenges++ < kMostChallenges) {
      auto next = authorizer.answer_challenge(endpoint, target, answer.response, authorization.value_or(""));
      if (!next) return answer;
      authorization = std::move(next);
      if (call.body != nullptr) call.body->rewind();
      continue;
    }
    const bool is_throttled = answer.response.status >= 400 && has_error_code(answer.body, "TOOMANYREQUESTS");
    if (!is_throttled && !is_retryable(answer.response.status)) return answer;
    const auto retry_after = parse_retry_after(answer.response.headers.find("Retry-After"));
    if (!wait_before_retry(budget, call, registry_sentence(answer.response.status, answer.body), retry_after)) {
      return answer;
    }
  }
}

RegistryAnswer Requester::send_once(const RegistryEndpoint& endpoint, const RegistryCall& call,
                                    const std::optional<std::string>& authorization) {
  const Url api = Url::parse(endpoint.api_root);
  RegistryAnswer answer;
  answer.endpoint = endpoint;
  answer.url = call_url(endpoint, call);
  HttpRequest request;
  request.method = call.method;
  request.body = call.body;
  request.timeouts = endpoint.timeouts;
  for (int redirects = 0;; ++redirects) {
    const TraceSpan span("http", request.method + " " + answer.url.host + answer.url.path);
    const bool is_own = answer.url.origin() == api.origin();
    request.url = answer.url.str();
    request.headers = call.headers;
    request.tls = answer.url.host == api.host ? endpoint.tls : session_.hosts().tls_options(answer.url.authority());
    request.addresses = is_own || is_loopback_host(api.host) ? AddressPolicy::Any : AddressPolicy::RefuseLocal;
    if (is_own) {
      for (const auto& [name, value] : session_.user_headers().fields()) request.headers.add(name, value);
      for (const auto& [name, value] : endpoint.headers.fields()) request.headers.add(name, value);
      if (authorization) request.headers.set("Authorization", *authorization);
    }
    AnswerSink sink(call.stream, call.answer_limit);
    try {
      answer.response = session_.transport().perform(request, sink);
    } catch (const TransportError& error) {
      if (sink.is_streaming()) throw StreamBroken(error);
      throw;
    }
    answer.body = std::move(sink.text());
    if (!is_redirect(answer.response)) return answer;
    const bool keeps_method = answer.response.status == 307 || answer.response.status == 308;
    if (call.method != "GET" && call.method != "HEAD" && !keeps_method) return answer;
    if (redirects >= kMostRedirects) {
      throw TransportError(TransportFailure::Refused, "too many redirects from " + api.authority());
    }
    const Downgrade downgrade = call.stream != nullptr ? Downgrade::Allow : Downgrade::Refuse;
    answer.url = follow_location(answer.url, *answer.response.headers.find("Location"), downgrade);
    if (call.body != nullptr) call.body->rewind();
  }
}

}  // namespace ctr
