// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "runtime/collective/communicator.hpp"
#include "runtime/collective/communicator_options.hpp"
#include "runtime/collective/segment.hpp"

namespace troupe {

/// The layout that these options need; throws std::invalid_argument for a size out of range.
segment_layout layout_for(const communicator_options& options);

/// One rank of a group that shares memory.
///
/// A collective is a row of rounds: each rank lays out its part in its chunk, says so, waits for the others, and reads
/// all parts. Waiting spins shortly (a peer is usually microseconds away) and then sleeps on a futex.
class segment_communicator final : public communicator {
 public:
  /// Every rank of the segment has joined.
  segment_communicator(std::shared_ptr<segment> shared, const communicator_options& options);
  ~segment_communicator() override;

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
  struct call {
    const char* name;
    clock::time_point start = clock::now();
  };

  call begin(const char* name) const;
  std::byte* my_chunk() const { return shared_->chunk(rank_, round_); }
  const std::byte* chunk_of(int peer) const { return shared_->chunk(peer, round_); }
  /// Says that this rank's chunk is laid out, waits until all are, and checks that all called the same.
  void meet(const call& now, const round_tag& tag);
  void check_same_call(const call& now, const round_tag& tag, int peer);
  void next_round() { ++round_; }

  void reserve_ring(const call& now, int peer);
  void write_ring(const call& now, std::span<const std::byte> bytes, int peer);
  void read_ring(const call& now, std::span<std::byte> bytes, int peer);
  void check_peer(int peer) const;

  /// Returns once `ready` holds for the word's value, which only `peer` changes.
  template <class Ready>
  void wait(const call& now, wait_word& word, int peer, Ready ready);
  template <class Ready>
  bool spin(const wait_word& word, Ready ready) const;
  template <class Ready>
  void block(const call& now, wait_word& word, int peer, Ready ready);
  [[noreturn]] void fail(const call& now, const std::string& why);
  [[noreturn]] void throw_failed(const call& now) const;

  std::shared_ptr<segment> shared_;
  std::string name_;
  int rank_;
  int size_;
  clock::duration deadline_;
  std::shared_ptr<progress_counter> progress_;  ///< may be null
  clock::duration spin_;
  std::uint32_t round_ = 0;          ///< rounds finished
  std::vector<bool> ring_reserved_;  ///< by receiver: this rank's rings that have memory
};

}  // namespace troupe
