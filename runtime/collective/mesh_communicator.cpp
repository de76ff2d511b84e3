// SPDX-License-Identifier: Apache-2.0
#include "runtime/collective/mesh_communicator.hpp"

#include <algorithm>
#include <exception>
#include <utility>

#include <fmt/format.h>

#include "runtime/collective/checks.hpp"
#include "runtime/collective/in_pieces.hpp"
#include "runtime/collective/rank_order_sum.hpp"

namespace troupe {

namespace {

using std::chrono::milliseconds;

/// Up to this size a sum is one exchange in which everybody sends everything to everybody; above it, with more than two
/// ranks, each rank sums its part and sends the result around.
constexpr std::size_t one_exchange_floats = std::size_t{16} << 10;
/// Bounds the scratch memory: a longer sum is done in pieces of this size.
constexpr std::size_t piece_floats = std::size_t{1} << 20;

}  // namespace

mesh_communicator::mesh_communicator(std::unique_ptr<mesh> connections, const communicator_options& options)
    : mesh_(std::move(connections)),
      name_(options.name),
      rank_(options.rank),
      size_(options.size),
      deadline_(options.deadline),
      send_ahead_bytes_(options.send_ahead_bytes),
      peers_(static_cast<std::size_t>(options.size)) {}

mesh_communicator::~mesh_communicator() {
  try {
    const auto now = begin("leaving");
    for (auto& peer : peers_)
      while (!peer.ahead.empty())
        take_back_oldest(now, peer);
  } catch (const collective_error&) {
    // Nobody to tell here: the peers learn of it by the connections that close now.
  }
}

void mesh_communicator::all_reduce_sum(std::span<float> values) {
  const auto now = begin("all_reduce_sum");
  in_pieces(values.size(), piece_floats, [&](std::size_t offset, std::size_t count) {
    const auto piece = values.subspan(offset, count);
    if (size_ == 2 || count <= one_exchange_floats)
      sum_in_one_exchange(now, piece);
    else
      sum_by_parts(now, piece);
  });
}

void mesh_communicator::sum_in_one_exchange(const call& now, std::span<float> values) {
  const auto part = [&](int rank) { return scratch_of(rank, values.size()); };
  exchange(
      now, next_slot(operation::all_reduce_sum, values.size()), [&](int) { return std::as_bytes(values); },
      [&](int peer) { return std::as_writable_bytes(part(peer)); });
  std::copy(values.begin(), values.end(), part(rank_).begin());
  sum_in_rank_order(values, size_, [&](int rank) { return part(rank).data(); });
}

void mesh_communicator::sum_by_parts(const call& now, std::span<float> values) {
  const auto mine = part_of(values, rank_);
  const auto part = [&](int rank) { return scratch_of(rank, mine.size()); };
  exchange(
      now, next_slot(operation::all_reduce_sum, values.size()),
      [&](int peer) { return std::as_bytes(part_of(values, peer)); },
      [&](int peer) { return std::as_writable_bytes(part(peer)); });
  std::copy(mine.begin(), mine.end(), part(rank_).begin());
  sum_in_rank_order(mine, size_, [&](int rank) { return part(rank).data(); });
  exchange(
      now, next_slot(operation::all_reduce_sum, values.size()), [&](int) { return std::as_bytes(mine); },
      [&](int peer) { return std::as_writable_bytes(part_of(values, peer)); });
}

std::span<float> mesh_communicator::part_of(std::span<float> values, int rank) const {
  const auto ranks = static_cast<std::size_t>(size_);
  const auto index = static_cast<std::size_t>(rank);
  const auto first = values.size() * index / ranks;
  return values.subspan(first, values.size() * (index + 1) / ranks - first);
}

std::span<float> mesh_communicator::scratch_of(int rank, std::size_t count) {
  const auto needed = count * static_cast<std::size_t>(size_);
  if (scratch_.size() < needed) scratch_.resize(needed);
  return std::span(scratch_).subspan(count * static_cast<std::size_t>(rank), count);
}

void mesh_communicator::all_gather(std::span<const std::byte> mine, std::span<std::byte> all) {
  check_gather_sizes(mine.size(), all.size(), size_);
  const auto now = begin("all_gather");
  const auto place = [&](int rank) { return all.subspan(static_cast<std::size_t>(rank) * mine.size(), mine.size()); };
  exchange(
      now, next_slot(operation::all_gather, mine.size()), [&](int) { return mine; }, place);
  std::copy(mine.begin(), mine.end(), place(rank_).begin());
}

void mesh_communicator::broadcast(std::span<std::byte> bytes, int root) {
  check_rank(root, size_);
  const auto now = begin("broadcast");
  const auto slot = next_slot(operation::broadcast, bytes.size());
  std::vector<pending> moves;
  if (rank_ != root) moves.push_back(start_receive(now, bytes, root, slot));
  for (int peer = 0; peer < size_ && rank_ == root; ++peer)
    if (peer != rank_) moves.push_back(start_send(now, bytes, peer, slot));
  for (auto& one : moves)
    finish(now, one);
}

void mesh_communicator::barrier() {
  const auto now = begin("barrier");
  const std::byte mine{};
  std::vector<std::byte> theirs(static_cast<std::size_t>(size_));
  exchange(
      now, next_slot(operation::barrier, 1), [&](int) { return std::span(&mine, 1); },
      [&](int peer) { return std::span(theirs).subspan(static_cast<std::size_t>(peer), 1); });
}

template <class PartFor, class Place>
void mesh_communicator::exchange(const call& now, std::uint64_t slot, PartFor part_for, Place place) {
  std::vector<pending> moves;
  moves.reserve(2 * static_cast<std::size_t>(size_));
  for (int peer = 0; peer < size_; ++peer)
    if (peer != rank_) moves.push_back(start_receive(now, place(peer), peer, slot));
  for (int peer = 0; peer < size_; ++peer)
    if (peer != rank_) moves.push_back(start_send(now, part_for(peer), peer, slot));
  for (auto& one : moves)
    finish(now, one);
}

void mesh_communicator::send(std::span<const std::byte> bytes, int peer) {
  check_other_rank(peer, rank_, size_);
  const auto now = begin("send");
  auto& state = peers_[static_cast<std::size_t>(peer)];
  const auto slot = slot_of(operation::point_to_point, bytes.size(), state.messages_sent++);
  while (!state.ahead.empty() && state.bytes_ahead + bytes.size() > send_ahead_bytes_)
    take_back_oldest(now, state);
  if (bytes.size() > send_ahead_bytes_) {
    auto one = start_send(now, bytes, peer, slot);
    return finish(now, one);
  }
  auto& message = state.ahead.emplace_back();
  message.bytes.assign(bytes.begin(), bytes.end());
  message.sending = start_send(now, message.bytes, peer, slot);
  state.bytes_ahead += bytes.size();
}

void mesh_communicator::take_back_oldest(const call& now, peer_state& peer) {
  finish(now, peer.ahead.front().sending);
  peer.bytes_ahead -= peer.ahead.front().bytes.size();
  peer.ahead.pop_front();
}

void mesh_communicator::receive(std::span<std::byte> bytes, int peer) {
  check_other_rank(peer, rank_, size_);
  const auto now = begin("receive");
  auto& state = peers_[static_cast<std::size_t>(peer)];
  const auto slot = slot_of(operation::point_to_point, bytes.size(), state.messages_received++);
  auto one = start_receive(now, bytes, peer, slot);
  finish(now, one);
}

/// Ranks that call different operations, or the same with different sizes, get different slots: they then wait for each
/// other in vain instead of taking each other's data for their own.
std::uint64_t mesh_communicator::slot_of(operation op, std::size_t bytes, std::uint32_t number) {
  constexpr std::uint64_t mask = (std::uint64_t{1} << 28U) - 1;
  const auto size_bits = (bytes ^ (bytes >> 28U)) & mask;
  return std::uint64_t{number} << 32U | static_cast<std::uint64_t>(op) << 28U | size_bits;
}

mesh_communicator::pending mesh_communicator::start_send(const call& now, std::span<const std::byte> bytes, int peer,
                                                         std::uint64_t slot) {
  if (bytes.empty()) return {};
  try {
    return {.under_way = mesh_->send(bytes, peer, slot), .peer = peer};
  } catch (const std::exception& e) {
    fail(now, fmt::format("rank {} has left or died ({})", peer, e.what()));
  }
}

mesh_communicator::pending mesh_communicator::start_receive(const call& now, std::span<std::byte> bytes, int peer,
                                                            std::uint64_t slot) {
  if (bytes.empty()) return {};
  try {
    return {.under_way = mesh_->receive(bytes, peer, slot), .peer = peer};
  } catch (const std::exception& e) {
    fail(now, fmt::format("rank {} has left or died ({})", peer, e.what()));
  }
}

void mesh_communicator::finish(const call& now, pending& one) {
  if (!one.under_way) return;
  const auto deadline = now.start + deadline_;
  std::string error;
  try {
    if (!wait_unless_aborted(*one.under_way, deadline)) error = fmt::format("rank {} aborted the group", rank_);
  } catch (const std::exception& e) {
    error = clock::now() >= deadline ? fmt::format("rank {} did not come", one.peer)
                                     : fmt::format("rank {} has left or died ({})", one.peer, e.what());
  }
  one.under_way.reset();
  if (!error.empty()) fail(now, error);
}

bool mesh_communicator::wait_unless_aborted(transfer& one, clock::time_point deadline) {
  {
    const std::lock_guard lock(mutex_);
    if (aborted_) return false;
    waiting_for_ = &one;
  }
  struct forget {
    mesh_communicator& self;
    ~forget() {
      const std::lock_guard lock(self.mutex_);
      self.waiting_for_ = nullptr;
    }
  } const forget_it{*this};
  const auto left = std::chrono::ceil<milliseconds>(deadline - clock::now());
  return one.wait(std::max(left, milliseconds{1}));
}

mesh_communicator::call mesh_communicator::begin(const char* name) {
  const call now{.name = name};
  if (!failure_.empty())
    throw collective_error(fmt::format("{} on rank {} of {} in group \"{}\" is not possible because: {}", name, rank_,
                                       size_, name_, failure_));
  const std::lock_guard lock(mutex_);
  if (aborted_) fail(now, fmt::format("rank {} aborted the group", rank_));
  return now;
}

/// The connections are cut, so that the peers need not wait for their own deadlines.
void mesh_communicator::fail(const call& now, const std::string& why) {
  const std::chrono::duration<double> taken = clock::now() - now.start;
  failure_ = fmt::format("{} on rank {} of {} in group \"{}\" failed after {:.3f} s: {}", now.name, rank_, size_, name_,
                         taken.count(), why);
  mesh_->close();
  throw collective_error(failure_);
}

void mesh_communicator::abort() noexcept {
  {
    const std::lock_guard lock(mutex_);
    aborted_ = true;
    if (waiting_for_ != nullptr) waiting_for_->interrupt();
  }
  mesh_->close();
}

}  // namespace troupe
