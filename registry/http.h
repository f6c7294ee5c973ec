// HTTP as registries need it: one request at a time and thread, bodies streamed both ways, redirects handed
// back to the caller (who decides which headers may follow). The only implementation for production lives in
// the module ctr-http.so (libcurl), opened on first use, so that commands without a registry never load it.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "base/error.h"

namespace ctr {

/// Header fields in order; names compare without case.
class HttpHeaders {
 public:
  using Field = std::pair<std::string, std::string>;

  HttpHeaders() = default;
  HttpHeaders(std::initializer_list<Field> fields) : fields_(fields) {}

  void add(std::string name, std::string value);
  /// Replaces every field of that name.
  void set(std::string_view name, std::string value);
  void remove(std::string_view name);
  std::optional<std::string> find(std::string_view name) const;
  std::vector<std::string> find_all(std::string_view name) const;
  const std::vector<Field>& fields() const noexcept { return fields_; }

 private:
  std::vector<Field> fields_;
};

/// A body to send. It must be able to start again, because a request may be repeated.
class HttpBodySource {
 public:
  virtual ~HttpBodySource() = default;
  virtual std::uint64_t size() const = 0;
  /// Fills at most `into`; 0 is the end. Throws to abort the request.
  virtual std::size_t read(std::span<std::byte> into) = 0;
  virtual void rewind() = 0;
};

/// A body in memory.
class StringBody : public HttpBodySource {
 public:
  explicit StringBody(std::string text) : text_(std::move(text)) {}
  std::uint64_t size() const override { return text_.size(); }
  std::size_t read(std::span<std::byte> into) override;
  void rewind() override { offset_ = 0; }

 private:
  std::string text_;
  std::size_t offset_ = 0;
};

/// `size` bytes of a file from `offset` on, read with pread: `fd` is borrowed.
class FileBody : public HttpBodySource {
 public:
  FileBody(int fd, std::uint64_t offset, std::uint64_t size) : fd_(fd), start_(offset), size_(size) {}
  std::uint64_t size() const override { return size_; }
  std::size_t read(std::span<std::byte> into) override;
  void rewind() override { done_ = 0; }

 private:
  int fd_;
  std::uint64_t start_;
  std::uint64_t size_;
  std::uint64_t done_ = 0;
};

enum class TlsVerification { Full, Skip };

struct TlsOptions {
  TlsVerification verification = TlsVerification::Full;
  std::vector<std::string> authorities;  ///< PEM files trusted besides the system's
  std::string client_certificate;        ///< PEM file, or empty
  std::string client_key;
};

struct HttpTimeouts {
  std::chrono::milliseconds connect{15'000};
  /// A transfer in which neither side moved a byte for this long is broken off.
  std::chrono::milliseconds stall{30'000};
  /// The whole exchange; zero is unlimited.
  std::chrono::milliseconds total{0};
};

/// RefuseLocal: fail rather than connect to loopback, link-local or metadata addresses. For URLs that a remote server
/// chose (redirects, upload locations, token realms).
enum class AddressPolicy { Any, RefuseLocal };

struct HttpRequest {
  std::string method = "GET";
  std::string url;
  HttpHeaders headers;
  HttpBodySource* body = nullptr;  ///< borrowed
  TlsOptions tls;
  HttpTimeouts timeouts;
  AddressPolicy addresses = AddressPolicy::Any;
};

struct HttpResponse {
  int status = 0;
  HttpHeaders headers;
};

/// Receives a response. Everything runs in the thread that called perform.
class HttpBodySink {
 public:
  virtual ~HttpBodySink() = default;
  /// The final status and headers, before the first byte of the body. Throws to abort.
  virtual void begin(const HttpResponse& response) = 0;
  /// Throws to abort.
  virtual void write(Bytes data) = 0;
};

/// Keeps a body of bounded size; a longer one is an error of kind Corrupt.
class StringSinkBody : public HttpBodySink {
 public:
  explicit StringSinkBody(std::size_t limit) : limit_(limit) {}
  void begin(const HttpResponse&) override { text_.clear(); }
  void write(Bytes data) override;
  const std::string& text() const noexcept { return text_; }

 private:
  std::size_t limit_;
  std::string text_;
};

enum class TransportFailure { Resolve, Connect, NotTls, Certificate, Timeout, Broken, Refused };

/// No complete response arrived. Refused: the request itself is not allowed (scheme, bad URL).
class TransportError : public Error {
 public:
  TransportError(TransportFailure failure, const std::string& sentence);
  TransportFailure failure() const noexcept { return failure_; }

 private:
  TransportFailure failure_;
};

/// Virtual because tests play registries without sockets. Thread safe.
class HttpTransport {
 public:
  virtual ~HttpTransport() = default;
  /// One exchange; redirects and error statuses are responses like any other. Throws TransportError, or
  /// what the sink or the body source threw.
  virtual HttpResponse perform(const HttpRequest& request, HttpBodySink& sink) = 0;
};

/// The transport of ctr-http.so, which is loaded by the first call.
std::shared_ptr<HttpTransport> load_http_transport();

}  // namespace ctr
