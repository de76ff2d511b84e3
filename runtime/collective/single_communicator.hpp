// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>

#include "runtime/collective/communicator.hpp"

namespace troupe {

/// A group of one: every sum is the value itself.
class single_communicator final : public communicator {
 public:
  int rank() const override { return 0; }
  int size() const override { return 1; }
  void all_reduce_sum(std::span<float> values) override;
  void all_gather(std::span<const std::byte> mine, std::span<std::byte> all) override;
  void broadcast(std::span<std::byte> bytes, int root) override;
  void send(std::span<const std::byte> bytes, int peer) override;
  void receive(std::span<std::byte> bytes, int peer) override;
  void barrier() override;
  void abort() noexcept override { aborted_ = true; }

 private:
  void check_usable(const char* operation) const;

  std::atomic<bool> aborted_{false};
};

}  // namespace troupe
