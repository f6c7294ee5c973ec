// Uploads that are under way: a partial blob and an unguessable name, kept while the server lives. One request at a
// time works on a session; a connection that breaks leaves what arrived, for the client to go on.
#pragma once

#include <chrono>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "image/blob_store.h"

namespace ctr {

class UploadSessions {
 public:
  explicit UploadSessions(const BlobStore& blobs) : blobs_(blobs) {}

  struct Session {
    std::string id;
    std::string repository;
    BlobWriter writer;
    std::chrono::steady_clock::time_point last_use;
  };

  /// A session that one request works on. Goes back when destroyed, unless it was taken or forgotten.
  class Lease {
   public:
    Lease(UploadSessions& owner, std::unique_ptr<Session> session) : owner_(&owner), session_(std::move(session)) {}
    Lease(Lease&&) noexcept = default;
    Lease& operator=(Lease&&) = delete;
    ~Lease();

    Session& operator*() const { return *session_; }
    Session* operator->() const { return session_.get(); }
    /// Ends the session; the writer is the caller's.
    std::unique_ptr<Session> take();

   private:
    UploadSessions* owner_;
    std::unique_ptr<Session> session_;
  };

  /// Throws Busy if there are too many.
  Lease start(const std::string& repository);

  enum class Absence { Unknown, Busy };
  /// The session, or why it can't be had.
  std::optional<Lease> find(const std::string& repository, const std::string& id, Absence& absence);

  /// Drops sessions that nobody used for so long.
  void expire(std::chrono::seconds idle);

 private:
  friend class Lease;
  void give_back(std::unique_ptr<Session> session);
  void forget(const std::string& id);

  const BlobStore& blobs_;
  std::mutex mutex_;
  std::map<std::string, std::unique_ptr<Session>> sessions_;  // null while a request works on it
};

}  // namespace ctr
