// SPDX-License-Identifier: Apache-2.0
#include "runtime/collective/segment_communicator.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <thread>
#include <utility>

#include <fmt/format.h>

#include "runtime/collective/checks.hpp"
#include "runtime/collective/cpu_relax.hpp"
#include "runtime/collective/in_pieces.hpp"
#include "runtime/collective/rank_order_sum.hpp"

namespace troupe {

namespace {

using namespace std::chrono_literals;

constexpr std::uint32_t chunk_bytes = 256U << 10;
constexpr int size_max = 64;
constexpr std::size_t ring_bytes_max = std::size_t{1} << 30;
/// A piece of a long message that the receiver may read while the sender writes the next.
constexpr std::size_t ring_piece_bytes = 256U << 10;
/// How often a sleeper looks whether its peer still lives.
constexpr auto liveness_interval = 50ms;

enum operation : std::uint32_t { op_all_reduce_sum = 1, op_all_gather, op_broadcast, op_barrier };

const char* name_of(std::uint32_t op) {
  switch (op) {
    case op_all_reduce_sum:
      return "all_reduce_sum";
    case op_all_gather:
      return "all_gather";
    case op_broadcast:
      return "broadcast";
    case op_barrier:
      return "barrier";
    default:
      return "nothing known";
  }
}

/// Spinning pays only when the peers have cores of their own.
std::chrono::nanoseconds spin_time(int size) {
  const auto cores = std::thread::hardware_concurrency();
  return cores >= static_cast<unsigned>(size) ? 40us : 2us;
}

double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

}  // namespace

segment_layout layout_for(const communicator_options& options) {
  check_membership(options, size_max);
  const auto ring = std::bit_ceil(std::clamp<std::size_t>(options.send_ahead_bytes, 4096, ring_bytes_max));
  return {.size = static_cast<std::uint32_t>(options.size),
          .chunk_bytes = chunk_bytes,
          .ring_bytes = static_cast<std::uint32_t>(ring)};
}

segment_communicator::segment_communicator(std::shared_ptr<segment> shared, const communicator_options& options)
    : shared_(std::move(shared)),
      name_(options.name),
      rank_(options.rank),
      size_(options.size),
      deadline_(options.deadline),
      progress_(options.progress),
      spin_(spin_time(options.size)),
      ring_reserved_(static_cast<std::size_t>(options.size), false) {}

segment_communicator::~segment_communicator() {
  shared_->slot(rank_).presence.store(rank_presence::left);
  shared_->wake_all();
}

void segment_communicator::all_reduce_sum(std::span<float> values) {
  const auto now = begin("all_reduce_sum");
  const round_tag tag{.operation = op_all_reduce_sum, .bytes = values.size_bytes()};
  in_pieces(values.size(), chunk_bytes / sizeof(float), [&](std::size_t offset, std::size_t count) {
    const auto part = values.subspan(offset, count);
    if (count != 0) std::memcpy(my_chunk(), part.data(), part.size_bytes());
    meet(now, tag);
    sum_in_rank_order(part, size_, [&](int peer) { return reinterpret_cast<const float*>(chunk_of(peer)); });
    next_round();
  });
}

void segment_communicator::all_gather(std::span<const std::byte> mine, std::span<std::byte> all) {
  check_gather_sizes(mine.size(), all.size(), size_);
  const auto now = begin("all_gather");
  const round_tag tag{.operation = op_all_gather, .bytes = mine.size()};
  in_pieces(mine.size(), chunk_bytes, [&](std::size_t offset, std::size_t count) {
    std::copy_n(mine.begin() + static_cast<std::ptrdiff_t>(offset), count, my_chunk());
    meet(now, tag);
    for (int peer = 0; peer < size_; ++peer)
      std::copy_n(chunk_of(peer), count, all.subspan(static_cast<std::size_t>(peer) * mine.size() + offset).begin());
    next_round();
  });
}

void segment_communicator::broadcast(std::span<std::byte> bytes, int root) {
  check_rank(root, size_);
  const auto now = begin("broadcast");
  const round_tag tag{.operation = op_broadcast, .root = root, .bytes = bytes.size()};
  in_pieces(bytes.size(), chunk_bytes, [&](std::size_t offset, std::size_t count) {
    const auto part = bytes.subspan(offset, count);
    if (rank_ == root) std::copy(part.begin(), part.end(), my_chunk());
    meet(now, tag);
    if (rank_ != root) std::copy_n(chunk_of(root), count, part.begin());
    next_round();
  });
}

void segment_communicator::barrier() {
  meet(begin("barrier"), {.operation = op_barrier});
  next_round();
}

void segment_communicator::send(std::span<const std::byte> bytes, int peer) {
  check_peer(peer);
  const auto now = begin("send");
  reserve_ring(now, peer);
  const std::uint64_t length = bytes.size();
  write_ring(now, std::as_bytes(std::span(&length, 1)), peer);
  write_ring(now, bytes, peer);
}

void segment_communicator::receive(std::span<std::byte> bytes, int peer) {
  check_peer(peer);
  const auto now = begin("receive");
  std::uint64_t length = 0;
  read_ring(now, std::as_writable_bytes(std::span(&length, 1)), peer);
  if (length != bytes.size())
    fail(now, fmt::format("rank {} sent {} bytes where {} were expected", peer, length, bytes.size()));
  read_ring(now, bytes, peer);
}

void segment_communicator::reserve_ring(const call& now, int peer) {
  auto reserved = ring_reserved_.begin() + peer;
  if (*reserved) return;
  *reserved = shared_->reserve_ring(rank_, peer);
  if (!*reserved)
    fail(now, fmt::format("no shared memory left for {} bytes on the way to rank {}: enlarge /dev/shm or set a smaller "
                          "send_ahead_bytes",
                          shared_->layout().ring_bytes, peer));
}

void segment_communicator::write_ring(const call& now, std::span<const std::byte> bytes, int peer) {
  auto& counters = shared_->counters(rank_, peer);
  auto* ring = shared_->ring(rank_, peer);
  const std::size_t capacity = shared_->layout().ring_bytes;
  auto written = counters.written.value.load(std::memory_order_relaxed);
  while (!bytes.empty()) {
    const auto room = [&](std::uint32_t read) { return capacity - (written - read); };
    wait(now, counters.read, peer, [&](std::uint32_t read) { return room(read) > 0; });
    const std::size_t at = written & (capacity - 1);
    const auto count = std::min(
        {bytes.size(), room(counters.read.value.load(std::memory_order_acquire)), capacity - at, ring_piece_bytes});
    std::memcpy(ring + at, bytes.data(), count);
    written += static_cast<std::uint32_t>(count);
    counters.written.publish(written);
    bytes = bytes.subspan(count);
  }
}

void segment_communicator::read_ring(const call& now, std::span<std::byte> bytes, int peer) {
  auto& counters = shared_->counters(peer, rank_);
  const auto* ring = shared_->ring(peer, rank_);
  const std::size_t capacity = shared_->layout().ring_bytes;
  auto read = counters.read.value.load(std::memory_order_relaxed);
  while (!bytes.empty()) {
    wait(now, counters.written, peer, [&](std::uint32_t written) { return written != read; });
    const std::size_t at = read & (capacity - 1);
    const std::size_t filled = counters.written.value.load(std::memory_order_acquire) - read;
    const auto count = std::min({bytes.size(), filled, capacity - at, ring_piece_bytes});
    std::memcpy(bytes.data(), ring + at, count);
    read += static_cast<std::uint32_t>(count);
    counters.read.publish(read);
    bytes = bytes.subspan(count);
  }
}

segment_communicator::call segment_communicator::begin(const char* name) const {
  const call now{.name = name};
  if (shared_->failed()) throw_failed(now);
  return now;
}

void segment_communicator::meet(const call& now, const round_tag& tag) {
  auto& mine = shared_->slot(rank_);
  mine.tags[round_ % 2] = tag;
  const auto target = round_ + 1;
  mine.arrived.publish(target);
  for (int peer = 0; peer < size_; ++peer) {
    if (peer == rank_) continue;
    wait(now, shared_->slot(peer).arrived, peer, [&](std::uint32_t arrived) { return reached(arrived, target); });
    check_same_call(now, tag, peer);
  }
}

void segment_communicator::check_same_call(const call& now, const round_tag& tag, int peer) {
  const auto& theirs = shared_->slot(peer).tags[round_ % 2];
  if (theirs == tag) return;
  fail(now,
       fmt::format("the ranks disagree: rank {} calls {} (root {}, {} bytes), rank {} calls {} (root {}, {} bytes)",
                   rank_, name_of(tag.operation), tag.root, tag.bytes, peer, name_of(theirs.operation), theirs.root,
                   theirs.bytes));
}

void segment_communicator::check_peer(int peer) const { check_other_rank(peer, rank_, size_); }

template <class Ready>
void segment_communicator::wait(const call& now, wait_word& word, int peer, Ready ready) {
  if (ready(word.value.load(std::memory_order_acquire)) || spin(word, ready)) return;
  block(now, word, peer, ready);
}

template <class Ready>
bool segment_communicator::spin(const wait_word& word, Ready ready) const {
  const auto end = clock::now() + spin_;
  do {
    for (int i = 0; i < 16; ++i) {
      cpu_relax();
      if (ready(word.value.load(std::memory_order_acquire))) return true;
    }
  } while (clock::now() < end);
  return false;
}

template <class Ready>
void segment_communicator::block(const call& now, wait_word& word, int peer, Ready ready) {
  auto look_at = clock::now() + liveness_interval;
  for (;;) {
    // In this order: a peer that has left, died or failed may have done its part before.
    const bool failed = shared_->failed();
    const bool left = shared_->slot(peer).presence.load() == rank_presence::left;
    const auto time = clock::now();
    const bool dead = time >= look_at && !is_alive(shared_->slot(peer).process);
    const auto seen = word.value.load(std::memory_order_seq_cst);
    if (ready(seen)) return;
    if (failed) throw_failed(now);
    if (left) fail(now, fmt::format("rank {} has left the group", peer));
    if (dead) fail(now, fmt::format("rank {} is gone: {}", peer, describe(shared_->slot(peer).process)));
    if (time >= now.start + deadline_)
      fail(now, fmt::format("rank {} did not come ({})", peer, describe(shared_->slot(peer).process)));
    if (time >= look_at) look_at = time + liveness_interval;
    if (progress_) progress_->advance();
    word.sleep_while(seen, std::min(look_at, now.start + deadline_) - time);
  }
}

void segment_communicator::fail(const call& now, const std::string& why) {
  const auto text = fmt::format("{} on rank {} of {} in group \"{}\" failed after {:.3f} s: {}", now.name, rank_, size_,
                                name_, seconds_since(now.start), why);
  shared_->fail(text);
  throw collective_error(text);
}

void segment_communicator::throw_failed(const call& now) const {
  throw collective_error(fmt::format("{} on rank {} of {} in group \"{}\" ended after {:.3f} s because: {}", now.name,
                                     rank_, size_, name_, seconds_since(now.start), shared_->failure()));
}

void segment_communicator::abort() noexcept {
  // Formatted without allocation: abort may be called when memory is short.
  std::array<char, 48> reason{};
  const auto end = fmt::format_to_n(reason.data(), reason.size(), "rank {} aborted the group", rank_);
  shared_->fail({reason.data(), std::min(end.size, reason.size())});
}

}  // namespace troupe
