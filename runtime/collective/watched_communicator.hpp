// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <memory>
#include <utility>

#include "runtime/collective/communicator.hpp"
#include "runtime/progress_counter.hpp"

namespace troupe {

/// A communicator that notes in a progress counter how long its calls wait for other ranks and, where they do so
/// without a sign of life, that they wait.
class watched_communicator final : public communicator {
 public:
  watched_communicator(std::unique_ptr<communicator> inner, std::shared_ptr<progress_counter> progress, bool silent)
      : inner_(std::move(inner)), progress_(std::move(progress)), silent_(silent) {}

  int rank() const override { return inner_->rank(); }
  int size() const override { return inner_->size(); }
  void all_reduce_sum(std::span<float> values) override {
    const wait_mark mark(*progress_, silent_);
    inner_->all_reduce_sum(values);
  }
  void all_gather(std::span<const std::byte> mine, std::span<std::byte> all) override {
    const wait_mark mark(*progress_, silent_);
    inner_->all_gather(mine, all);
  }
  void broadcast(std::span<std::byte> bytes, int root) override {
    const wait_mark mark(*progress_, silent_);
    inner_->broadcast(bytes, root);
  }
  void send(std::span<const std::byte> bytes, int peer) override {
    const wait_mark mark(*progress_, silent_);
    inner_->send(bytes, peer);
  }
  void receive(std::span<std::byte> bytes, int peer) override {
    const wait_mark mark(*progress_, silent_);
    inner_->receive(bytes, peer);
  }
  void barrier() override {
    const wait_mark mark(*progress_, silent_);
    inner_->barrier();
  }
  void abort() noexcept override { inner_->abort(); }

 private:
  class wait_mark {
   public:
    wait_mark(progress_counter& progress, bool silent) : progress_(progress) {
      if (silent) progress_.begin_wait();
    }
    wait_mark(const wait_mark&) = delete;
    wait_mark& operator=(const wait_mark&) = delete;
    ~wait_mark() {
      const auto waited = std::chrono::steady_clock::now() - begin_;
      progress_.end_wait(
          static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::microseconds>(waited).count()));
    }

   private:
    progress_counter& progress_;
    std::chrono::steady_clock::time_point begin_ = std::chrono::steady_clock::now();
  };

  std::unique_ptr<communicator> inner_;
  std::shared_ptr<progress_counter> progress_;
  bool silent_;
};

}  // namespace troupe
