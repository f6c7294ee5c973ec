// The module ctr-http.so: libcurl behind the C border of http_module.h. A pool of easy handles, each used by one
// thread at a time; a handle keeps its connections, so a thread that asks for a host again gets one that talked to
// it before. All handles share resolved names and TLS sessions. Layers move on connections of their own rather than
// as streams of one HTTP/2 connection: the consumer (hash, inflate, write) then slows down only its own transfer.
#include <array>
#include <cctype>
#include <charconv>
#include <chrono>
#include <cstring>
#include <curl/curl.h>
#include <memory>
#include <mutex>
#include <netinet/in.h>
#include <string>
#include <string_view>
#include <sys/socket.h>
#include <unistd.h>
#include <vector>

#include "registry/http_module.h"

namespace ctr {
namespace {

using Clock = std::chrono::steady_clock;

struct HandleDeleter {
  void operator()(CURL* handle) const { curl_easy_cleanup(handle); }
};
using Handle = std::unique_ptr<CURL, HandleDeleter>;

struct ListDeleter {
  void operator()(curl_slist* list) const { curl_slist_free_all(list); }
};
using HeaderList = std::unique_ptr<curl_slist, ListDeleter>;

struct IdleHandle {
  std::string origin;
  Handle handle;
};

class Pool {
 public:
  Pool() : share_(curl_share_init()) {
    curl_share_setopt(share_, CURLSHOPT_LOCKFUNC, &Pool::lock);
    curl_share_setopt(share_, CURLSHOPT_UNLOCKFUNC, &Pool::unlock);
    curl_share_setopt(share_, CURLSHOPT_USERDATA, this);
    curl_share_setopt(share_, CURLSHOPT_SHARE, CURL_LOCK_DATA_DNS);
    curl_share_setopt(share_, CURLSHOPT_SHARE, CURL_LOCK_DATA_SSL_SESSION);
  }
  ~Pool() {
    idle_.clear();
    curl_share_cleanup(share_);
  }
  Pool(const Pool&) = delete;
  Pool& operator=(const Pool&) = delete;

  Handle take(const std::string& origin) {
    const std::lock_guard guard(mutex_);
    for (auto it = idle_.begin(); it != idle_.end(); ++it) {
      if (it->origin != origin) continue;
      Handle handle = std::move(it->handle);
      idle_.erase(it);
      return handle;
    }
    return Handle(curl_easy_init());
  }

  void give_back(std::string origin, Handle handle) {
    const std::lock_guard guard(mutex_);
    if (idle_.size() >= kMostIdle) idle_.erase(idle_.begin());
    idle_.push_back({std::move(origin), std::move(handle)});
  }

  CURLSH* share() const noexcept { return share_; }

 private:
  static constexpr std::size_t kMostIdle = 16;

  static void lock(CURL*, curl_lock_data data, curl_lock_access, void* pool) {
    static_cast<Pool*>(pool)->share_mutexes_[data].lock();
  }
  static void unlock(CURL*, curl_lock_data data, void* pool) {
    static_cast<Pool*>(pool)->share_mutexes_[data].unlock();
  }

  CURLSH* share_;
  std::array<std::mutex, CURL_LOCK_DATA_LAST> share_mutexes_;
  std::mutex mutex_;
  std::vector<IdleHandle> idle_;
};

// The state of one exchange while libcurl calls back.
struct Exchange {
  const HttpModuleRequest* request;
  const HttpModuleCallbacks* callbacks;
  Clock::time_point last_move = Clock::now();
  curl_off_t moved = 0;
  int status = 0;
  bool headers_done = false;
  bool aborted = false;
  bool stalled = false;
  bool refused_address = false;

  bool stop(int result) {
    if (result != 0) aborted = true;
    return result != 0;
  }
};

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && std::isspace(static_cast<unsigned char>(text.front())) != 0) text.remove_prefix(1);
  while (!text.empty() && std::isspace(static_cast<unsigned char>(text.back())) != 0) text.remove_suffix(1);
  return text;
}

bool on_status_line(Exchange& exchange, std::string_view line) {
  const std::size_t space = line.find(' ');
  int status = 0;
  if (space != std::string_view::npos) std::from_chars(line.data() + space + 1, line.data() + line.size(), status);
  exchange.status = status;
  return !exchange.stop(exchange.callbacks->status(exchange.callbacks->context, status));
}

std::size_t on_header(char* data, std::size_t size, std::size_t count, void* context) {
  auto& exchange = *static_cast<Exchange*>(context);
  const std::size_t total = size * count;
  exchange.last_move = Clock::now();
  if (exchange.headers_done) return total;  // trailers
  const std::string_view line = trimmed({data, total});
  if (line.substr(0, 5) == "HTTP/") return on_status_line(exchange, line) ? total : 0;
  if (line.empty()) {
    if (exchange.status < 200) return total;  // an interim answer: the next status line starts again
    exchange.headers_done = true;
    return exchange.stop(exchange.callbacks->headers_done(exchange.callbacks->context)) ? 0 : total;
  }
  const std::size_t colon = line.find(':');
  if (colon == std::string_view::npos || colon == 0) return total;
  const std::string_view name = line.substr(0, colon);
  const std::string_view value = trimmed(line.substr(colon + 1));
  const int result =
      exchange.callbacks->header(exchange.callbacks->context, name.data(), name.size(), value.data(), value.size());
  return exchange.stop(result) ? 0 : total;
}

std::size_t on_body(char* data, std::size_t size, std::size_t count, void* context) {
  auto& exchange = *static_cast<Exchange*>(context);
  const bool stop = exchange.stop(exchange.callbacks->body(exchange.callbacks->context, data, size * count));
  exchange.last_move = Clock::now();  // after the consumer: its slowness is not the network's
  return stop ? 0 : size * count;
}

std::size_t on_read(char* buffer, std::size_t size, std::size_t count, void* context) {
  auto& exchange = *static_cast<Exchange*>(context);
  const std::ptrdiff_t got = exchange.callbacks->read(exchange.callbacks->context, buffer, size * count);
  exchange.last_move = Clock::now();
  if (got < 0) {
    exchange.aborted = true;
    return CURL_READFUNC_ABORT;
  }
  return static_cast<std::size_t>(got);
}

int on_seek(void* context, curl_off_t offset, int origin) {
  auto& exchange = *static_cast<Exchange*>(context);
  if (offset != 0 || origin != SEEK_SET) return CURL_SEEKFUNC_CANTSEEK;
  return exchange.stop(exchange.callbacks->rewind(exchange.callbacks->context)) ? CURL_SEEKFUNC_FAIL : CURL_SEEKFUNC_OK;
}

int on_progress(void* context, curl_off_t, curl_off_t downloaded, curl_off_t, curl_off_t uploaded) {
  auto& exchange = *static_cast<Exchange*>(context);
  const auto now = Clock::now();
  if (downloaded + uploaded != exchange.moved) {
    exchange.moved = downloaded + uploaded;
    exchange.last_move = now;
  }
  if (exchange.request->stall_timeout_ms <= 0) return 0;
  exchange.stalled = now - exchange.last_move > std::chrono::milliseconds(exchange.request->stall_timeout_ms);
  return exchange.stalled ? 1 : 0;
}

// Loopback, link-local (where clouds keep their metadata services), unspecified, multicast.
bool is_local_address(const sockaddr* address) {
  if (address->sa_family == AF_INET) {
    const auto host = ntohl(reinterpret_cast<const sockaddr_in*>(address)->sin_addr.s_addr);
    return (host >> 24) == 127 || (host >> 24) == 0 || (host >> 16) == 0xA9FE || (host >> 28) == 0xE;
  }
  if (address->sa_family != AF_INET6) return true;
  const in6_addr& host = reinterpret_cast<const sockaddr_in6*>(address)->sin6_addr;
  if (IN6_IS_ADDR_V4MAPPED(&host)) {
    sockaddr_in mapped{};
    mapped.sin_family = AF_INET;
    std::memcpy(&mapped.sin_addr, &host.s6_addr[12], 4);
    return is_local_address(reinterpret_cast<const sockaddr*>(&mapped));
  }
  // fd00:ec2::254 is Amazon's metadata service over IPv6.
  static constexpr unsigned char kMetadata[16] = {0xfd, 0x00, 0x0e, 0xc2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x02, 0x54};
  return IN6_IS_ADDR_LOOPBACK(&host) || IN6_IS_ADDR_LINKLOCAL(&host) || IN6_IS_ADDR_UNSPECIFIED(&host) ||
         IN6_IS_ADDR_MULTICAST(&host) || std::memcmp(host.s6_addr, kMetadata, 16) == 0;
}

curl_socket_t on_socket(void* context, curlsocktype, curl_sockaddr* address) {
  auto& exchange = *static_cast<Exchange*>(context);
  if (exchange.request->refuse_local_addresses != 0 && is_local_address(&address->addr)) {
    exchange.refused_address = true;
    return CURL_SOCKET_BAD;
  }
  return ::socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

HeaderList make_headers(const HttpModuleRequest& request) {
  HeaderList list;
  const auto append = [&list](const char* line) { list.reset(curl_slist_append(list.release(), line)); };
  bool has_type = false;
  for (std::size_t i = 0; i < request.header_count; ++i) {
    append(request.headers[i]);
    if (strncasecmp(request.headers[i], "content-type:", 13) == 0) has_type = true;
  }
  append("Expect:");
  if (!has_type) append("Content-Type:");
  return list;
}

void set_method(CURL* handle, const HttpModuleRequest& request) {
  const std::string_view method = request.method;
  if (method == "HEAD") {
    curl_easy_setopt(handle, CURLOPT_NOBODY, 1L);
  } else if (request.has_body != 0 && request.body_size > 0) {
    curl_easy_setopt(handle, CURLOPT_UPLOAD, 1L);
    curl_easy_setopt(handle, CURLOPT_CUSTOMREQUEST, request.method);
    curl_easy_setopt(handle, CURLOPT_INFILESIZE_LARGE, static_cast<curl_off_t>(request.body_size));
  } else if (method == "POST" || method == "PUT" || method == "PATCH") {
    curl_easy_setopt(handle, CURLOPT_POST, 1L);
    curl_easy_setopt(handle, CURLOPT_POSTFIELDS, "");
    curl_easy_setopt(handle, CURLOPT_POSTFIELDSIZE_LARGE, curl_off_t{0});
    curl_easy_setopt(handle, CURLOPT_CUSTOMREQUEST, request.method);
  } else if (method != "GET") {
    curl_easy_setopt(handle, CURLOPT_CUSTOMREQUEST, request.method);
  }
}

void set_tls(CURL* handle, const HttpModuleRequest& request) {
  if (request.skip_verification != 0) {
    curl_easy_setopt(handle, CURLOPT_SSL_VERIFYPEER, 0L);
    curl_easy_setopt(handle, CURLOPT_SSL_VERIFYHOST, 0L);
  }
  if (const char* file = ::secure_getenv("SSL_CERT_FILE"); file != nullptr && *file != '\0') {
    curl_easy_setopt(handle, CURLOPT_CAINFO, file);
  }
  if (const char* directory = ::secure_getenv("SSL_CERT_DIR"); directory != nullptr && *directory != '\0') {
    curl_easy_setopt(handle, CURLOPT_CAPATH, directory);
  }
  if (request.authorities != nullptr) {
    curl_blob blob{const_cast<char*>(request.authorities), request.authorities_size, CURL_BLOB_COPY};
    curl_easy_setopt(handle, CURLOPT_CAINFO_BLOB, &blob);
  }
  if (request.client_certificate != nullptr) {
    curl_easy_setopt(handle, CURLOPT_SSLCERT, request.client_certificate);
    if (request.client_key != nullptr) curl_easy_setopt(handle, CURLOPT_SSLKEY, request.client_key);
  }
}

void set_callbacks(CURL* handle, Exchange& exchange) {
  curl_easy_setopt(handle, CURLOPT_HEADERFUNCTION, &on_header);
  curl_easy_setopt(handle, CURLOPT_HEADERDATA, &exchange);
  curl_easy_setopt(handle, CURLOPT_WRITEFUNCTION, &on_body);
  curl_easy_setopt(handle, CURLOPT_WRITEDATA, &exchange);
  curl_easy_setopt(handle, CURLOPT_READFUNCTION, &on_read);
  curl_easy_setopt(handle, CURLOPT_READDATA, &exchange);
  curl_easy_setopt(handle, CURLOPT_SEEKFUNCTION, &on_seek);
  curl_easy_setopt(handle, CURLOPT_SEEKDATA, &exchange);
  curl_easy_setopt(handle, CURLOPT_XFERINFOFUNCTION, &on_progress);
  curl_easy_setopt(handle, CURLOPT_XFERINFODATA, &exchange);
  curl_easy_setopt(handle, CURLOPT_NOPROGRESS, 0L);
  curl_easy_setopt(handle, CURLOPT_OPENSOCKETFUNCTION, &on_socket);
  curl_easy_setopt(handle, CURLOPT_OPENSOCKETDATA, &exchange);
}

void set_connection(CURL* handle, const HttpModuleRequest& request) {
  curl_easy_setopt(handle, CURLOPT_URL, request.url);
  curl_easy_setopt(handle, CURLOPT_PATH_AS_IS, 1L);
  curl_easy_setopt(handle, CURLOPT_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(handle, CURLOPT_PROXY, request.proxy);
  curl_easy_setopt(handle, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
  curl_easy_setopt(handle, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(handle, CURLOPT_HTTP_VERSION, static_cast<long>(CURL_HTTP_VERSION_2TLS));
  curl_easy_setopt(handle, CURLOPT_USERAGENT, request.user_agent);
  curl_easy_setopt(handle, CURLOPT_BUFFERSIZE, 512L * 1024);
  curl_easy_setopt(handle, CURLOPT_UPLOAD_BUFFERSIZE, 512L * 1024);
  curl_easy_setopt(handle, CURLOPT_TCP_KEEPALIVE, 1L);
  curl_easy_setopt(handle, CURLOPT_CONNECTTIMEOUT_MS, request.connect_timeout_ms);
  curl_easy_setopt(handle, CURLOPT_TIMEOUT_MS, request.total_timeout_ms);
}

HttpModuleOutcome outcome_of(CURLcode code, const Exchange& exchange, std::string_view text) {
  if (exchange.aborted) return kHttpModuleAborted;
  if (exchange.refused_address) return kHttpModuleRefused;
  if (exchange.stalled) return kHttpModuleTimeout;
  switch (code) {
    case CURLE_OK:
      return kHttpModuleDone;
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_RESOLVE_PROXY:
      return kHttpModuleResolve;
    case CURLE_COULDNT_CONNECT:
      return kHttpModuleConnect;
    case CURLE_SSL_CONNECT_ERROR:
      return text.find("wrong version number") != std::string_view::npos ||
                     text.find("packet length too long") != std::string_view::npos ||
                     text.find("http request") != std::string_view::npos
                 ? kHttpModuleNotTls
                 : kHttpModuleBroken;
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_ISSUER_ERROR:
      return kHttpModuleCertificate;
    case CURLE_OPERATION_TIMEDOUT:
      return kHttpModuleTimeout;
    case CURLE_UNSUPPORTED_PROTOCOL:
    case CURLE_URL_MALFORMAT:
      return kHttpModuleRefused;
    default:
      return kHttpModuleBroken;
  }
}

void describe(CURL* handle, CURLcode code, const char* text, HttpModuleFailure& failure) {
  long error_number = 0;
  long verify_result = 0;
  curl_easy_getinfo(handle, CURLINFO_OS_ERRNO, &error_number);
  curl_easy_getinfo(handle, CURLINFO_SSL_VERIFYRESULT, &verify_result);
  failure.error_number = static_cast<int>(error_number);
  failure.verify_result = static_cast<int>(verify_result);
  const char* sentence = *text != '\0' ? text : curl_easy_strerror(code);
  const std::size_t length = std::min(std::strlen(sentence), sizeof(failure.text) - 1);
  std::memcpy(failure.text, sentence, length);
  failure.text[length] = '\0';
}

std::string origin_of(const char* url) {
  const std::string_view text = url;
  const std::size_t host = text.find("://");
  if (host == std::string_view::npos) return std::string(text);
  return std::string(text.substr(0, text.find_first_of("/?", host + 3)));
}

HttpModuleOutcome perform(void* context, const HttpModuleRequest* request, const HttpModuleCallbacks* callbacks,
                          HttpModuleFailure* failure) {
  auto& pool = *static_cast<Pool*>(context);
  // A connection that was made while local addresses were allowed must not be reused where they are not.
  std::string origin = origin_of(request->url) + (request->refuse_local_addresses != 0 ? " remote" : "");
  Handle handle = pool.take(origin);
  curl_easy_reset(handle.get());
  curl_easy_setopt(handle.get(), CURLOPT_SHARE, pool.share());

  std::array<char, CURL_ERROR_SIZE> text{};
  curl_easy_setopt(handle.get(), CURLOPT_ERRORBUFFER, text.data());
  Exchange exchange{request, callbacks};
  const HeaderList headers = make_headers(*request);
  set_connection(handle.get(), *request);
  set_method(handle.get(), *request);
  set_tls(handle.get(), *request);
  set_callbacks(handle.get(), exchange);
  curl_easy_setopt(handle.get(), CURLOPT_HTTPHEADER, headers.get());

  const CURLcode code = curl_easy_perform(handle.get());
  if (code != CURLE_OK) describe(handle.get(), code, text.data(), *failure);
  const HttpModuleOutcome outcome = outcome_of(code, exchange, text.data());
  curl_easy_setopt(handle.get(), CURLOPT_ERRORBUFFER, nullptr);
  curl_easy_setopt(handle.get(), CURLOPT_HTTPHEADER, nullptr);
  pool.give_back(std::move(origin), std::move(handle));
  return outcome;
}

void* create() {
  static const CURLcode initialised = curl_global_init(CURL_GLOBAL_DEFAULT);
  return initialised == CURLE_OK ? new Pool : nullptr;
}

void destroy(void* pool) {
  delete static_cast<Pool*>(pool);
}

}  // namespace

extern "C" __attribute__((visibility("default"))) const HttpModule* ctr_http_module() {
  static const HttpModule module{kHttpModuleVersion, &create, &destroy, &perform};
  return &module;
}

}  // namespace ctr
