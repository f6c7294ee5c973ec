// Opens ctr-http.so and speaks with it through http_module.h: turns callbacks into virtual calls, keeps what these
// throw on this side of the border, and makes sentences of failures.
#include <cstring>
#include <dlfcn.h>
#include <exception>
#include <mutex>

#include "base/file.h"
#include "base/json.h"
#include "base/process.h"
#include "base/text.h"
#include "registry/http.h"
#include "registry/http_module.h"
#include "registry/proxy.h"
#include "registry/url.h"

namespace ctr {
namespace {

constexpr std::uint64_t kLargestAuthorities = 8 * kMiB;
constexpr const char* kSystemAuthorities = "/etc/ssl/certs/ca-certificates.crt";

const HttpModule& load_module() {
  static std::mutex mutex;
  static const HttpModule* module = nullptr;
  const std::lock_guard guard(mutex);
  if (module != nullptr) return *module;
  const fs::path path = own_companion("ctr-http.so");
  // NODELETE: libcurl and OpenSSL leave handlers behind that must stay mapped until the process ends.
  void* library = ::dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
  if (library == nullptr) {
    const char* why = ::dlerror();
    throw Error(ErrorKind::Unavailable, "open " + path.native() + " failed: " + (why != nullptr ? why : "unknown"));
  }
  const auto function = reinterpret_cast<HttpModuleFunction>(::dlsym(library, kHttpModuleSymbol));
  const HttpModule* found = function != nullptr ? function() : nullptr;
  if (found == nullptr || found->version != kHttpModuleVersion) {
    throw Error(ErrorKind::Unavailable, path.native() + " belongs to another version of ctr");
  }
  module = found;
  return *module;
}

// One exchange as seen from the callbacks. An exception waits here until the module has returned.
struct Call {
  const HttpRequest& request;
  HttpBodySink& sink;
  HttpResponse response;
  std::exception_ptr thrown;

  template <typename Body>
  int guard(Body&& body) noexcept {
    try {
      body();
      return 0;
    } catch (...) {
      thrown = std::current_exception();
      return 1;
    }
  }
};

Call& call_of(void* context) {
  return *static_cast<Call*>(context);
}

int on_status(void* context, int status) {
  Call& call = call_of(context);
  return call.guard([&] {
    call.response.status = status;
    call.response.headers = {};
  });
}

int on_header(void* context, const char* name, std::size_t name_size, const char* value, std::size_t value_size) {
  Call& call = call_of(context);
  return call.guard([&] {
    if (call.response.headers.fields().size() >= 256) throw Error(ErrorKind::Corrupt, "an answer has too many headers");
    call.response.headers.add(std::string(name, name_size), std::string(value, value_size));
  });
}

int on_headers_done(void* context) {
  Call& call = call_of(context);
  return call.guard([&] { call.sink.begin(call.response); });
}

int on_body(void* context, const char* data, std::size_t size) {
  Call& call = call_of(context);
  return call.guard([&] { call.sink.write(as_bytes({data, size})); });
}

std::ptrdiff_t on_read(void* context, char* buffer, std::size_t capacity) {
  Call& call = call_of(context);
  std::size_t got = 0;
  const int result = call.guard([&] {
    got = call.request.body->read({reinterpret_cast<std::byte*>(buffer), capacity});
  });
  return result != 0 ? -1 : static_cast<std::ptrdiff_t>(got);
}

int on_rewind(void* context) {
  Call& call = call_of(context);
  return call.guard([&] {
    if (call.request.body != nullptr) call.request.body->rewind();
  });
}

// Go's x509 words, which people search for.
std::string certificate_sentence(const HttpModuleFailure& failure) {
  constexpr int kExpired = 10;
  constexpr int kNotYetValid = 9;
  constexpr std::string_view kLead = "tls: failed to verify certificate: x509: ";
  switch (failure.verify_result) {
    case kExpired:
    case kNotYetValid:
      return std::string(kLead) + "certificate has expired or is not yet valid";
    case 2:
    case 18:
    case 19:
    case 20:
    case 21:
      return std::string(kLead) + "certificate signed by unknown authority";
    default:
      return std::string(kLead) + failure.text;
  }
}

[[noreturn]] void throw_failure(HttpModuleOutcome outcome, const HttpModuleFailure& failure, const Url& url,
                                const HttpRequest& request) {
  const std::string method = request.method == "HEAD" ? "Head" : request.method == "GET" ? "Get" : request.method;
  const std::string lead = method + " \"" + url.origin() + url.path + "\": ";
  const std::string reason =
      failure.error_number != 0 ? std::string(std::strerror(failure.error_number)) : std::string(failure.text);
  switch (outcome) {
    case kHttpModuleResolve:
      throw TransportError(TransportFailure::Resolve, lead + "lookup " + url.host + ": no such host");
    case kHttpModuleConnect:
      throw TransportError(TransportFailure::Connect,
                           lead + "dial tcp " + url.authority() + ": connect: " + lower(reason));
    case kHttpModuleNotTls:
      throw TransportError(TransportFailure::NotTls, lead + "http: server gave HTTP response to HTTPS client");
    case kHttpModuleCertificate:
      throw TransportError(TransportFailure::Certificate, lead + certificate_sentence(failure));
    case kHttpModuleTimeout:
      throw TransportError(TransportFailure::Timeout, lead + "no answer in time");
    case kHttpModuleRefused:
      throw TransportError(TransportFailure::Refused, lead + "refused, because a server sent us to a local address");
    default:
      throw TransportError(TransportFailure::Broken, lead + "the connection broke: " + failure.text);
  }
}

std::string read_authorities(const TlsOptions& tls) {
  std::string text;
  for (const std::string& file : tls.authorities) text += read_file(file, kLargestAuthorities) + "\n";
  if (!text.empty()) text += find_file(kSystemAuthorities, kLargestAuthorities).value_or("");
  return text;
}

class ModuleTransport : public HttpTransport {
 public:
  explicit ModuleTransport(const HttpModule& module) : module_(module), pool_(module.create()) {
    if (pool_ == nullptr) throw Error(ErrorKind::Unavailable, "libcurl can't be initialised");
  }
  ~ModuleTransport() override { module_.destroy(pool_); }
  ModuleTransport(const ModuleTransport&) = delete;
  ModuleTransport& operator=(const ModuleTransport&) = delete;

  HttpResponse perform(const HttpRequest& request, HttpBodySink& sink) override {
    const Url url = Url::parse(request.url);
    const std::string proxy = proxies_.choose(url);
    const std::string authorities = read_authorities(request.tls);
    std::vector<std::string> lines;
    for (const auto& [name, value] : request.headers.fields()) lines.push_back(header_line(name, value));
    std::vector<const char*> pointers;
    for (const std::string& line : lines) pointers.push_back(line.c_str());

    const std::string text = url.str();
    HttpModuleRequest out{};
    out.method = request.method.c_str();
    out.url = text.c_str();
    out.headers = pointers.data();
    out.header_count = pointers.size();
    out.proxy = proxy.c_str();
    out.has_body = request.body != nullptr ? 1 : 0;
    out.body_size = request.body != nullptr ? request.body->size() : 0;
    out.skip_verification = request.tls.verification == TlsVerification::Skip ? 1 : 0;
    out.refuse_local_addresses = request.addresses == AddressPolicy::RefuseLocal && proxy.empty() ? 1 : 0;
    out.authorities = authorities.empty() ? nullptr : authorities.data();
    out.authorities_size = authorities.size();
    out.client_certificate = request.tls.client_certificate.empty() ? nullptr : request.tls.client_certificate.c_str();
    out.client_key = request.tls.client_key.empty() ? nullptr : request.tls.client_key.c_str();
    out.user_agent = "ctr/" CTR_VERSION;
    out.connect_timeout_ms = request.timeouts.connect.count();
    out.stall_timeout_ms = request.timeouts.stall.count();
    out.total_timeout_ms = request.timeouts.total.count();
    return run(out, request, sink, url);
  }

 private:
  // A header made from a file or an answer must not smuggle in a second one.
  static std::string header_line(const std::string& name, const std::string& value) {
    if (name.find_first_of("\r\n:") != std::string::npos || value.find_first_of("\r\n") != std::string::npos ||
        value.find('\0') != std::string::npos) {
      throw Error(ErrorKind::Invalid, "the header " + json_quote(name) + " holds a line break");
    }
    return value.empty() ? name + ";" : name + ": " + value;
  }

  HttpResponse run(const HttpModuleRequest& out, const HttpRequest& request, HttpBodySink& sink, const Url& url) {
    Call call{request, sink, {}, nullptr};
    const HttpModuleCallbacks callbacks{&call,    &on_status, &on_header, &on_headers_done,
                                        &on_body, &on_read,   &on_rewind};
    HttpModuleFailure failure{};
    const HttpModuleOutcome outcome = module_.perform(pool_, &out, &callbacks, &failure);
    if (call.thrown) std::rethrow_exception(call.thrown);
    if (outcome != kHttpModuleDone) throw_failure(outcome, failure, url, request);
    return std::move(call.response);
  }

  const HttpModule& module_;
  void* pool_;
  ProxySettings proxies_ = ProxySettings::of_environment();
};

}  // namespace

std::shared_ptr<HttpTransport> load_http_transport() {
  return std::make_shared<ModuleTransport>(load_module());
}

}  // namespace ctr
