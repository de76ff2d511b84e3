// SPDX-License-Identifier: Apache-2.0
#include "runtime/collective/segment.hpp"

#include <algorithm>
#include <cerrno>
#include <new>
#include <system_error>

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

namespace troupe {

namespace {

constexpr std::size_t page = 4096;

constexpr std::size_t whole_pages(std::size_t bytes) { return (bytes + page - 1) / page * page; }

std::size_t slots_at() { return whole_pages(sizeof(segment_header)); }
std::size_t counters_at(const segment_layout& l) { return slots_at() + whole_pages(l.size * sizeof(rank_slot)); }
std::size_t chunks_at(const segment_layout& l) {
  return counters_at(l) + whole_pages(std::size_t{l.size} * l.size * sizeof(ring_counters));
}
std::size_t ring_index(const segment_layout& l, int from, int to) {
  return static_cast<std::size_t>(from) * l.size + static_cast<std::size_t>(to);
}
std::size_t ring_at(const segment_layout& l, int from, int to) {
  return segment::bytes_without_rings(l) + ring_index(l, from, to) * l.ring_bytes;
}

}  // namespace

std::size_t segment::bytes_without_rings(const segment_layout& l) {
  return chunks_at(l) + whole_pages(std::size_t{2} * l.size * l.chunk_bytes);
}

std::size_t segment::bytes(const segment_layout& l) {
  return bytes_without_rings(l) + std::size_t{l.size} * l.size * l.ring_bytes;
}

segment::segment(const segment_layout& layout, int file) : layout_(layout), file_(file) {
  const int flags = MAP_SHARED | MAP_NORESERVE | (file < 0 ? MAP_ANONYMOUS : 0);
  void* memory = mmap(nullptr, bytes(layout), PROT_READ | PROT_WRITE, flags, file, 0);
  if (memory == MAP_FAILED) {
    const int error = errno;
    if (file >= 0) close(file);
    throw std::system_error(error, std::generic_category(), "mapping the memory that the ranks share");
  }
  memory_ = static_cast<std::byte*>(memory);
}

segment::~segment() {
  munmap(memory_, bytes(layout_));
  if (file_ >= 0) close(file_);
}

rank_slot& segment::slot(int rank) const { return reinterpret_cast<rank_slot*>(memory_ + slots_at())[rank]; }

std::byte* segment::chunk(int rank, std::uint32_t round) const {
  const auto index = static_cast<std::size_t>(rank) * 2 + round % 2;
  return memory_ + chunks_at(layout_) + index * layout_.chunk_bytes;
}

ring_counters& segment::counters(int from, int to) const {
  return reinterpret_cast<ring_counters*>(memory_ + counters_at(layout_))[ring_index(layout_, from, to)];
}

std::byte* segment::ring(int from, int to) const { return memory_ + ring_at(layout_, from, to); }

void segment::initialise() {
  auto* header = new (memory_) segment_header;
  header->identity.layout = layout_;
  header->identity.creator = this_process();
  const auto ranks = static_cast<int>(layout_.size);
  for (int rank = 0; rank < ranks; ++rank) {
    new (&slot(rank)) rank_slot;
    for (int peer = 0; peer < ranks; ++peer)
      new (&counters(rank, peer)) ring_counters;
  }
  header->identity.magic = segment_magic;
}

bool segment::reserve_ring(int from, int to) const {
  if (file_ < 0) return true;
  const auto offset = static_cast<off_t>(ring_at(layout_, from, to));
  return posix_fallocate(file_, offset, layout_.ring_bytes) == 0;
}

void segment::fail(std::string_view reason) noexcept {
  auto& head = header();
  auto expected = segment_fate::usable;
  if (head.fate.compare_exchange_strong(expected, segment_fate::failing)) {
    const auto length = std::min(reason.size(), head.reason.size() - 1);
    std::copy_n(reason.begin(), length, head.reason.begin());
    head.reason[length] = '\0';
    head.fate.store(segment_fate::failed, std::memory_order_release);
  }
  wake_all();
}

std::string segment::failure() const {
  const auto fate = header().fate.load(std::memory_order_acquire);
  return fate == segment_fate::failed ? std::string(header().reason.data()) : "another rank failed";
}

void segment::wake_all() noexcept {
  const auto ranks = static_cast<int>(layout_.size);
  header().joined.wake();
  for (int rank = 0; rank < ranks; ++rank) {
    slot(rank).arrived.wake();
    for (int peer = 0; peer < ranks; ++peer) {
      counters(rank, peer).written.wake();
      counters(rank, peer).read.wake();
    }
  }
}

}  // namespace troupe
