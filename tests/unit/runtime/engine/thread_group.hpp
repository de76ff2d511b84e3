// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <exception>
#include <map>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "runtime/collective/communicator.hpp"

namespace troupe {

/// Mailboxes between the ranks of a test, one for each ordered pair.
struct thread_mailboxes {
  std::mutex mutex;
  std::condition_variable changed;
  std::map<std::pair<int, int>, std::deque<std::vector<std::byte>>> queues;
  bool aborted = false;
};

/// The simplest communicator that is right: everything is a message through a mutex. For ranks that are threads.
class thread_communicator final : public communicator {
 public:
  thread_communicator(std::shared_ptr<thread_mailboxes> boxes, int rank, int size)
      : boxes_(std::move(boxes)), rank_(rank), size_(size) {}

  int rank() const override { return rank_; }
  int size() const override { return size_; }

  void all_reduce_sum(std::span<float> values) override {
    std::vector<float> all(values.size() * static_cast<std::size_t>(size_));
    all_gather(std::as_bytes(values), std::as_writable_bytes(std::span(all)));
    for (std::size_t i = 0; i < values.size(); ++i) {
      float sum = all[i];
      for (std::size_t r = 1; r < static_cast<std::size_t>(size_); ++r)
        sum += all[r * values.size() + i];
      values[i] = sum;
    }
  }

  void all_gather(std::span<const std::byte> mine, std::span<std::byte> all) override {
    for (int peer = 0; peer < size_; ++peer)
      send(mine, peer);
    for (int peer = 0; peer < size_; ++peer)
      receive(all.subspan(static_cast<std::size_t>(peer) * mine.size(), mine.size()), peer);
  }

  void broadcast(std::span<std::byte> bytes, int root) override {
    if (rank_ != root) return receive(bytes, root);
    for (int peer = 0; peer < size_; ++peer)
      if (peer != root) send(bytes, peer);
  }

  void send(std::span<const std::byte> bytes, int peer) override {
    const std::lock_guard lock(boxes_->mutex);
    if (boxes_->aborted) throw collective_error("send: aborted");
    boxes_->queues[{rank_, peer}].emplace_back(bytes.begin(), bytes.end());
    boxes_->changed.notify_all();
  }

  void receive(std::span<std::byte> bytes, int peer) override {
    std::unique_lock lock(boxes_->mutex);
    auto& queue = boxes_->queues[{peer, rank_}];
    boxes_->changed.wait(lock, [&] { return boxes_->aborted || !queue.empty(); });
    if (boxes_->aborted) throw collective_error("receive: aborted");
    if (queue.front().size() != bytes.size()) throw collective_error("receive: another size was sent");
    std::copy(queue.front().begin(), queue.front().end(), bytes.begin());
    queue.pop_front();
  }

  void barrier() override {
    std::byte token{};
    std::vector<std::byte> all(static_cast<std::size_t>(size_));
    all_gather({&token, 1}, all);
  }

  void abort() noexcept override {
    const std::lock_guard lock(boxes_->mutex);
    boxes_->aborted = true;
    boxes_->changed.notify_all();
  }

 private:
  std::shared_ptr<thread_mailboxes> boxes_;
  int rank_;
  int size_;
};

/// Runs body(i) for each rank on a thread of its own; throws what the first of them threw.
template <class Body>
void run_on_threads(std::size_t ranks, Body body) {
  std::vector<std::exception_ptr> errors(ranks);
  std::vector<std::thread> threads;
  for (std::size_t i = 0; i < ranks; ++i) {
    threads.emplace_back([&, i] {
      try {
        body(i);
      } catch (...) {
        errors[i] = std::current_exception();
      }
    });
  }
  for (auto& thread : threads)
    thread.join();
  for (const auto& error : errors)
    if (error) std::rethrow_exception(error);
}

}  // namespace troupe
