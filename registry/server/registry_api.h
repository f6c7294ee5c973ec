// The distribution-spec's endpoints on top of Repositories: reads the path, checks names and rights, answers. Knows
// nothing about sockets.
#pragma once

#include <memory>
#include <string>

#include "registry/server/htpasswd.h"
#include "registry/server/http_server.h"
#include "registry/server/repositories.h"
#include "registry/server/upload_sessions.h"

namespace ctr {

enum class WriteAccess { Allowed, ReadOnly };

class RegistryApi {
 public:
  /// `passwords` may be null: everybody may do everything.
  RegistryApi(Repositories& repositories, UploadSessions& uploads, Htpasswd* passwords, WriteAccess access)
      : repositories_(repositories), uploads_(uploads), passwords_(passwords), access_(access) {}

  /// Thread safe.
  ServerAction handle(const ServerRequest& request);

 private:
  struct Target;

  ServerAction route(const ServerRequest& request);
  ServerReply catalog(const ServerRequest& request);
  ServerReply tags(const ServerRequest& request, const std::string& name);
  ServerReply referrers(const ServerRequest& request, const std::string& name, const std::string& subject);
  ServerAction manifest(const ServerRequest& request, const std::string& name, const std::string& reference);
  ServerReply get_manifest(const ServerRequest& request, const std::string& name, const std::string& reference);
  ServerReply delete_manifest(const std::string& name, const std::string& reference);
  ServerReply blob(const ServerRequest& request, const std::string& name, const std::string& reference);
  ServerReply get_blob(const ServerRequest& request, const Digest& digest);
  ServerAction start_upload(const ServerRequest& request, const std::string& name);
  ServerAction upload(const ServerRequest& request, const std::string& name, const std::string& id);

  Repositories& repositories_;
  UploadSessions& uploads_;
  Htpasswd* passwords_;
  WriteAccess access_;
};

}  // namespace ctr
