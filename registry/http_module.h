// The border between ctr and its module ctr-http.so: plain C, so that no exception and no type of the C++ library
// crosses it (the program has its own, linked statically). Callbacks run in the thread that called perform.
#pragma once

#include <cstddef>
#include <cstdint>

namespace ctr {

inline constexpr unsigned kHttpModuleVersion = 1;
inline constexpr char kHttpModuleSymbol[] = "ctr_http_module";

extern "C" {

struct HttpModuleRequest {
  const char* method;
  const char* url;
  const char* const* headers;  // "Name: value"
  std::size_t header_count;
  const char* proxy;  // "" for none
  int has_body;
  std::uint64_t body_size;
  int skip_verification;
  int refuse_local_addresses;
  const char* authorities;  // PEM text to trust besides the system's, or null
  std::size_t authorities_size;
  const char* client_certificate;  // PEM files, or null
  const char* client_key;
  const char* user_agent;
  long connect_timeout_ms;
  long stall_timeout_ms;
  long total_timeout_ms;
};

// Each callback returns 0 to go on; anything else breaks the exchange off with kHttpModuleAborted.
struct HttpModuleCallbacks {
  void* context;
  int (*status)(void* context, int status);
  int (*header)(void* context, const char* name, std::size_t name_size, const char* value, std::size_t value_size);
  int (*headers_done)(void* context);
  int (*body)(void* context, const char* data, std::size_t size);
  std::ptrdiff_t (*read)(void* context, char* buffer, std::size_t capacity);  // -1 breaks off
  int (*rewind)(void* context);
};

enum HttpModuleOutcome {
  kHttpModuleDone = 0,
  kHttpModuleAborted,
  kHttpModuleResolve,
  kHttpModuleConnect,
  kHttpModuleNotTls,
  kHttpModuleCertificate,
  kHttpModuleTimeout,
  kHttpModuleBroken,
  kHttpModuleRefused,
};

struct HttpModuleFailure {
  int error_number;   // of the system call, or 0
  int verify_result;  // X509_V_ERR_*, or 0
  char text[256];
};

struct HttpModule {
  unsigned version;
  void* (*create)();
  void (*destroy)(void* pool);
  HttpModuleOutcome (*perform)(void* pool, const HttpModuleRequest* request, const HttpModuleCallbacks* callbacks,
                               HttpModuleFailure* failure);
};

using HttpModuleFunction = const HttpModule* (*)();

}  // extern "C"

}  // namespace ctr
