// SPDX-License-Identifier: Apache-2.0
#include "runtime/collective/shared_memory_join.hpp"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <optional>
#include <system_error>
#include <utility>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runtime/collective/communicator.hpp"
#include "runtime/collective/segment_communicator.hpp"

namespace troupe {

namespace {

using namespace std::chrono_literals;
using clock = std::chrono::steady_clock;
constexpr auto look_interval = 50ms;

class joiner {
 public:
  explicit joiner(const communicator_options& options)
      : options_(options),
        layout_(layout_for(options)),
        name_(shared_memory_name(options)),
        deadline_(clock::now() + options.join_deadline) {}

  std::shared_ptr<segment> join() {
    std::shared_ptr<segment> joined;
    while (!joined)
      joined = try_join();
    wait_for_all(*joined);
    return joined;
  }

 private:
  /// Holds the lock on the file behind the name, so that one rank at a time creates, joins or removes it.
  class locked_file {
   public:
    explicit locked_file(int file) : file_(file) {}
    locked_file(locked_file&& other) noexcept : file_(std::exchange(other.file_, -1)) {}
    ~locked_file() {
      if (file_ < 0) return;
      flock(file_, LOCK_UN);  // the segment's copy of the descriptor would keep it
      close(file_);
    }
    int get() const { return file_; }

   private:
    int file_;
  };

  std::shared_ptr<segment> try_join();
  locked_file open_locked();
  std::shared_ptr<segment> create(const locked_file& file);
  std::shared_ptr<segment> open_existing(const locked_file& file, const struct stat& status);
  std::shared_ptr<segment> map(const locked_file& file);
  void take_slot(segment& shared);
  void wait_for_all(segment& shared);
  void give_up(segment& shared);
  std::string missing(const segment& shared) const;
  std::optional<int> dead_rank(const segment& shared) const;
  [[noreturn]] void fail(const std::string& why) const;
  [[noreturn]] void fail_with_errno(const char* attempt, int error) const {
    fail(fmt::format("{}: {}", attempt, std::strerror(error)));
  }

  const communicator_options& options_;
  segment_layout layout_;
  std::string name_;
  clock::time_point deadline_;
};

/// Nothing when the file behind the name was stale or went away meanwhile; then the next try finds or makes another.
std::shared_ptr<segment> joiner::try_join() {
  const auto file = open_locked();
  struct stat status {};
  if (fstat(file.get(), &status) != 0) fail_with_errno("looking at the shared memory", errno);
  if (status.st_nlink == 0) return nullptr;
  if (status.st_uid != geteuid()) fail(fmt::format("/dev/shm{} belongs to another user", name_));
  auto shared = status.st_size == 0 ? create(file) : open_existing(file, status);
  if (!shared) {
    shm_unlink(name_.c_str());
    return nullptr;
  }
  take_slot(*shared);
  return shared;
}

joiner::locked_file joiner::open_locked() {
  locked_file file(shm_open(name_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  if (file.get() < 0) fail_with_errno("opening the shared memory", errno);
  // Whoever holds the lock holds it for microseconds, unless it was stopped just then.
  while (flock(file.get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK && errno != EINTR) fail_with_errno("locking the shared memory", errno);
    if (clock::now() >= deadline_) fail(fmt::format("another process holds the lock on /dev/shm{}", name_));
    const timespec pause{.tv_sec = 0, .tv_nsec = 200'000};
    nanosleep(&pause, nullptr);
  }
  return file;
}

std::shared_ptr<segment> joiner::create(const locked_file& file) {
  if (ftruncate(file.get(), static_cast<off_t>(segment::bytes(layout_))) != 0)
    fail_with_errno("sizing the shared memory", errno);
  const auto needed = segment::bytes_without_rings(layout_);
  if (const int error = posix_fallocate(file.get(), 0, static_cast<off_t>(needed)); error != 0) {
    shm_unlink(name_.c_str());
    fail(fmt::format("no shared memory for {} bytes ({}): enlarge /dev/shm", needed, std::strerror(error)));
  }
  auto shared = map(file);
  shared->initialise();
  return shared;
}

/// Nothing for what a crash left behind. Throws when living ranks use it otherwise than this one would.
std::shared_ptr<segment> joiner::open_existing(const locked_file& file, const struct stat& status) {
  segment_identity found;
  if (pread(file.get(), &found, sizeof found, 0) != static_cast<ssize_t>(sizeof found)) return nullptr;
  if (found.magic != segment_magic) return nullptr;
  if (found.layout != layout_ && is_alive(found.creator))
    fail(
        fmt::format("process {} has opened a group of {} ranks with send_ahead_bytes {} under this name; this rank "
                    "expects {} ranks and {}",
                    found.creator.pid, found.layout.size, found.layout.ring_bytes, layout_.size, layout_.ring_bytes));
  if (found.layout != layout_ || status.st_size != static_cast<off_t>(segment::bytes(layout_))) return nullptr;
  auto shared = map(file);
  return shared->failed() || dead_rank(*shared) ? nullptr : shared;
}

std::shared_ptr<segment> joiner::map(const locked_file& file) {
  const int own = fcntl(file.get(), F_DUPFD_CLOEXEC, 0);
  if (own < 0) fail_with_errno("keeping the shared memory open", errno);
  return std::make_shared<segment>(layout_, own);
}

void joiner::take_slot(segment& shared) {
  auto& slot = shared.slot(options_.rank);
  if (slot.presence.load() != rank_presence::absent)
    fail(fmt::format("another rank {} has joined already ({})", options_.rank, describe(slot.process)));
  slot.process = this_process();
  slot.presence.store(rank_presence::present);
  auto& joined = shared.header().joined;
  const auto now = joined.value.load() + 1;
  if (now == layout_.size) shm_unlink(name_.c_str());  // before the others hear that all are there
  joined.publish(now);
}

void joiner::wait_for_all(segment& shared) {
  auto& joined = shared.header().joined;
  for (;;) {
    const auto seen = joined.value.load(std::memory_order_seq_cst);
    if (seen == layout_.size) return;
    const auto now = clock::now();
    const auto dead = dead_rank(shared);
    if (shared.failed() || dead || now >= deadline_) return give_up(shared);
    joined.sleep_while(seen, std::min<clock::duration>(look_interval, deadline_ - now));
  }
}

/// Decides under the lock, so that the last rank cannot join a group that the others have given up.
void joiner::give_up(segment& shared) {
  const int lock = shared.file();
  while (flock(lock, LOCK_EX) != 0 && errno == EINTR) {
  }
  const bool complete = shared.header().joined.value.load() == layout_.size;
  std::string why;
  if (!complete) {
    const auto dead = dead_rank(shared);
    why = shared.failed() ? shared.failure()
          : dead          ? fmt::format("rank {} is gone while ranks {} were awaited", *dead, missing(shared))
                 : fmt::format("after {} ms ranks {} have not come", options_.join_deadline.count(), missing(shared));
    struct stat status {};
    if (fstat(lock, &status) == 0 && status.st_nlink != 0) shm_unlink(name_.c_str());
    shared.fail(fmt::format("rank {} gave up joining: {}", options_.rank, why));
  }
  flock(lock, LOCK_UN);
  if (!complete) fail(why);
}

std::string joiner::missing(const segment& shared) const {
  std::string ranks;
  for (int rank = 0; rank < options_.size; ++rank)
    if (shared.slot(rank).presence.load() == rank_presence::absent)
      ranks += fmt::format("{}{}", ranks.empty() ? "" : ", ", rank);
  return ranks;
}

std::optional<int> joiner::dead_rank(const segment& shared) const {
  for (int rank = 0; rank < options_.size; ++rank) {
    const auto& slot = shared.slot(rank);
    const auto presence = slot.presence.load();
    if (presence == rank_presence::left) return rank;
    if (presence == rank_presence::present && !is_alive(slot.process)) return rank;
  }
  return std::nullopt;
}

void joiner::fail(const std::string& why) const {
  throw collective_error(
      fmt::format("rank {} of {} could not join group \"{}\": {}", options_.rank, options_.size, options_.name, why));
}

}  // namespace

std::string shared_memory_name(const communicator_options& options) {
  std::string name = options.name;
  std::replace(name.begin(), name.end(), '/', ':');
  // Two processes may use the same name for threads of their own.
  if (options.kind == communicator_kind::local) return fmt::format("/troupe-{}-{}", getpid(), name);
  return "/troupe-" + name;
}

std::shared_ptr<segment> join_shared_memory(const communicator_options& options) { return joiner(options).join(); }

}  // namespace troupe
