// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "runtime/collective/communicator.hpp"
#include "runtime/collective/communicator_options.hpp"
#include "runtime/collective/mesh.hpp"

namespace troupe {

/// One rank of a group whose ranks are connected pairwise. Sums are added in rank order, as over shared memory.
class mesh_communicator final : public communicator {
 public:
  mesh_communicator(std::unique_ptr<mesh> connections, const communicator_options& options);
  ~mesh_communicator() override;

  int rank() const override { return rank_; }
  int size() const override { return size_; }
  void all_reduce_sum(std::span<float> values) override;
  void all_gather(std::span<const std::byte> mine, std::span<std::byte> all) override;
  void broadcast(std::span<std::byte> bytes, int root) override;
  void send(std::span<const std::byte> bytes, int peer) override;
  void receive(std::span<std::byte> bytes, int peer) override;
  void barrier() override;
  void abort() noexcept override;

 private:
  using clock = std::chrono::steady_clock;
  enum class operation : std::uint8_t { all_reduce_sum = 1, all_gather, broadcast, barrier, point_to_point };

  struct call {
    const char* name;
    clock::time_point start = clock::now();
  };

  struct pending {
    std::unique_ptr<transfer> under_way;  ///< none when there was nothing to move
    int peer = 0;
  };

  /// A message that its receiver has not yet taken, kept here so that the sender could go on.
  struct message_ahead {
    std::vector<std::byte> bytes;
    pending sending;
  };

  struct peer_state {
    std::uint32_t messages_sent = 0;
    std::uint32_t messages_received = 0;
    std::deque<message_ahead> ahead;
    std::size_t bytes_ahead = 0;
  };

  call begin(const char* name);
  static std::uint64_t slot_of(operation op, std::size_t bytes, std::uint32_t number);
  std::uint64_t next_slot(operation op, std::size_t bytes) { return slot_of(op, bytes, collectives_++); }

  pending start_send(const call& now, std::span<const std::byte> bytes, int peer, std::uint64_t slot);
  pending start_receive(const call& now, std::span<std::byte> bytes, int peer, std::uint64_t slot);
  void finish(const call& now, pending& one);
  bool wait_unless_aborted(transfer& one, clock::time_point deadline);
  void take_back_oldest(const call& now, peer_state& peer);

  /// Sends each peer `part_for(peer)` and gets each peer's part where `place(peer)` says.
  template <class PartFor, class Place>
  void exchange(const call& now, std::uint64_t slot, PartFor part_for, Place place);
  void sum_in_one_exchange(const call& now, std::span<float> values);
  void sum_by_parts(const call& now, std::span<float> values);
  std::span<float> part_of(std::span<float> values, int rank) const;
  /// Room for `count` values of each rank, in rank order.
  std::span<float> scratch_of(int rank, std::size_t count);

  [[noreturn]] void fail(const call& now, const std::string& why);

  std::unique_ptr<mesh> mesh_;
  std::string name_;
  int rank_;
  int size_;
  clock::duration deadline_;
  std::size_t send_ahead_bytes_;
  std::uint32_t collectives_ = 0;  ///< numbers them, so that one never takes another's data
  std::vector<peer_state> peers_;
  std::vector<float> scratch_;
  std::string failure_;  ///< why this rank gave up; empty while usable

  std::mutex mutex_;  ///< guards what follows, which abort uses from another thread
  bool aborted_ = false;
  transfer* waiting_for_ = nullptr;
};

}  // namespace troupe
