// Error answers of registries and token servers, in whatever shape they come ({"errors": [...]}, {"details": "..."},
// plain text), and the sentence that Docker makes of them. Server text is cut and cleaned before it is shown.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "registry/http.h"

namespace ctr {

struct RegistryErrorItem {
  std::string code;     ///< "MANIFEST_UNKNOWN"
  std::string message;  ///< one line
};

/// Never throws; no items if the body says nothing.
std::vector<RegistryErrorItem> parse_registry_errors(std::string_view body);

/// "manifest unknown: manifest unknown"; several are joined with "; ". Falls back to the status.
std::string registry_sentence(int status, std::string_view body);

bool has_error_code(std::string_view body, std::string_view code);

/// What was asked for, so that the sentence can name it.
struct RegistryRequest {
  enum class Action { Ping, Resolve, PullBlob, Push, Delete, List } action = Action::Ping;
  std::string host;
  std::string name;       ///< as people write it: "busybox", "localhost:5000/app"
  std::string reference;  ///< "busybox:nope", "busybox@sha256:..."
};

/// An answer of the registry that ends the request.
class RegistryError : public Error {
 public:
  RegistryError(ErrorKind kind, const std::string& sentence, int status) : Error(kind, sentence), status_(status) {}
  int status() const noexcept { return status_; }

 private:
  int status_;
};

RegistryError registry_error(const RegistryRequest& request, const HttpResponse& response, std::string_view body);

/// One line of printable text, at most `limit` bytes.
std::string printable(std::string_view text, std::size_t limit = 400);

}  // namespace ctr
