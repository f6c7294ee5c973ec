#include "registry/server/upload_sessions.h"

#include <vector>

#include "base/error.h"
#include "base/random.h"

namespace ctr {
namespace {

constexpr std::size_t kMostSessions = 1024;

}  // namespace

UploadSessions::Lease::~Lease() {
  if (session_) owner_->give_back(std::move(session_));
}

std::unique_ptr<UploadSessions::Session> UploadSessions::Lease::take() {
  owner_->forget(session_->id);
  return std::move(session_);
}

UploadSessions::Lease UploadSessions::start(const std::string& repository) {
  auto session =
      std::make_unique<Session>(Session{random_hex(16), repository, blobs_.ingest(), std::chrono::steady_clock::now()});
  const std::lock_guard guard(mutex_);
  if (sessions_.size() >= kMostSessions) throw Error(ErrorKind::Busy, "too many uploads are under way");
  sessions_[session->id] = nullptr;
  return Lease(*this, std::move(session));
}

std::optional<UploadSessions::Lease> UploadSessions::find(const std::string& repository, const std::string& id,
                                                          Absence& absence) {
  const std::lock_guard guard(mutex_);
  const auto found = sessions_.find(id);
  absence = Absence::Unknown;
  if (found == sessions_.end()) return std::nullopt;
  if (!found->second) {
    absence = Absence::Busy;
    return std::nullopt;
  }
  if (found->second->repository != repository) return std::nullopt;
  return Lease(*this, std::move(found->second));
}

void UploadSessions::give_back(std::unique_ptr<Session> session) {
  session->last_use = std::chrono::steady_clock::now();
  const std::lock_guard guard(mutex_);
  const auto place = sessions_.find(session->id);
  if (place != sessions_.end()) place->second = std::move(session);
}

void UploadSessions::forget(const std::string& id) {
  const std::lock_guard guard(mutex_);
  sessions_.erase(id);
}

void UploadSessions::expire(std::chrono::seconds idle) {
  const auto now = std::chrono::steady_clock::now();
  std::vector<std::unique_ptr<Session>> expired;  // their files are removed outside the lock
  const std::lock_guard guard(mutex_);
  for (auto it = sessions_.begin(); it != sessions_.end();) {
    if (it->second && now - it->second->last_use > idle) {
      expired.push_back(std::move(it->second));
      it = sessions_.erase(it);
    } else {
      ++it;
    }
  }
}

}  // namespace ctr
