// SPDX-License-Identifier: Apache-2.0
#include "apps/troupe/process_launcher.hpp"

#include <cerrno>
#include <csignal>
#include <cstring>
#include <stdexcept>

#include <fmt/format.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

namespace troupe {
namespace {

/// SIGKILL comes from outside: an operator, the node itself, the kernel short of memory.
loss_cause cause_of(const process_end& end) {
  return end.by_signal && end.number == SIGKILL ? loss_cause::killed : loss_cause::crashed;
}

}  // namespace

process_launcher::process_launcher(std::vector<std::string> arguments)
    : arguments_(std::move(arguments)), waker_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
  if (!waker_.valid())
    throw std::runtime_error(fmt::format("the launcher of ranks could not be made: {}", strerror(errno)));
  watcher_ = std::thread([this] { watch(); });
}

process_launcher::~process_launcher() {
  {
    std::lock_guard lock{mutex_};
    over_ = true;
  }
  wake();
  watcher_.join();  // what still runs ends with the list
}

void process_launcher::launch(const rank_start& start, const node_actor& node) {
  auto words = arguments_;
  for (auto word :
       {std::string{"--device"}, start.device, std::string{"--incarnation"}, std::to_string(start.incarnation)})
    words.push_back(std::move(word));
  child_process process{std::move(words)};
  {
    std::lock_guard lock{mutex_};
    ranks_.push_back({start, node, std::move(process)});
  }
  wake();
}

void process_launcher::kill(const rank_start& start) {
  std::lock_guard lock{mutex_};
  for (auto& rank : ranks_)
    if (rank.start.device == start.device && rank.start.incarnation == start.incarnation) rank.process.kill();
}

void process_launcher::wake() {
  const std::uint64_t one = 1;
  [[maybe_unused]] auto written = ::write(waker_.get(), &one, sizeof one);
}

/// The watcher's thread: sleeps until a process ends or the list has changed.
void process_launcher::watch() {
  std::vector<pollfd> waited;
  for (;;) {
    waited.assign(1, {waker_.get(), POLLIN, 0});
    {
      std::lock_guard lock{mutex_};
      if (over_) return;
      for (const auto& rank : ranks_)
        waited.push_back({rank.process.descriptor(), POLLIN, 0});
    }
    if (::poll(waited.data(), waited.size(), -1) < 0) continue;
    std::uint64_t count = 0;
    [[maybe_unused]] auto taken = ::read(waker_.get(), &count, sizeof count);
    collect_ended();
  }
}

void process_launcher::collect_ended() {
  std::lock_guard lock{mutex_};
  for (auto rank = ranks_.begin(); rank != ranks_.end();) {
    auto end = rank->process.collect();
    if (!end) {
      ++rank;
      continue;
    }
    caf::anon_send(rank->node,
                   rank_exited{rank->start.device, rank->start.incarnation, cause_of(*end), to_string(*end)});
    rank = ranks_.erase(rank);
  }
}

}  // namespace troupe
