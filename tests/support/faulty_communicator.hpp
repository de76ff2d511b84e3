// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <utility>

#include "runtime/collective/communicator.hpp"

namespace troupe::test {

struct communicator_fault {
  std::uint64_t at_call = 0;            ///< counted from 1 over all operations; 0 means never
  bool fails = true;                    ///< the call throws collective_error and the group is aborted
  std::function<void()> before_call{};  ///< run before that call: to hold it up, or to harm something else
};

/// A communicator that behaves until its fault comes.
class faulty_communicator final : public communicator {
 public:
  faulty_communicator(std::unique_ptr<communicator> inner, communicator_fault fault)
      : inner_(std::move(inner)), fault_(std::move(fault)) {}

  int rank() const override { return inner_->rank(); }
  int size() const override { return inner_->size(); }
  void all_reduce_sum(std::span<float> values) override { count(), inner_->all_reduce_sum(values); }
  void all_gather(std::span<const std::byte> mine, std::span<std::byte> all) override {
    count(), inner_->all_gather(mine, all);
  }
  void broadcast(std::span<std::byte> bytes, int root) override { count(), inner_->broadcast(bytes, root); }
  void send(std::span<const std::byte> bytes, int peer) override { count(), inner_->send(bytes, peer); }
  void receive(std::span<std::byte> bytes, int peer) override { count(), inner_->receive(bytes, peer); }
  void barrier() override { count(), inner_->barrier(); }
  void abort() noexcept override { inner_->abort(); }

  std::uint64_t calls() const { return calls_; }

 private:
  void count() {
    if (++calls_ != fault_.at_call) return;
    if (fault_.before_call) fault_.before_call();
    if (!fault_.fails) return;
    inner_->abort();
    throw collective_error("fault injected at call " + std::to_string(calls_));
  }

  std::unique_ptr<communicator> inner_;
  communicator_fault fault_;
  std::uint64_t calls_ = 0;
};

}  // namespace troupe::test
