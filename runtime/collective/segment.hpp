// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "runtime/collective/process_identity.hpp"
#include "runtime/collective/wait_word.hpp"

namespace troupe {

struct segment_layout {
  std::uint32_t size = 1;         ///< ranks
  std::uint32_t chunk_bytes = 0;  ///< a collective moves its data in pieces of this size; a multiple of 64
  std::uint32_t ring_bytes = 0;   ///< between each two ranks; a power of two
  friend bool operator==(const segment_layout&, const segment_layout&) = default;
};

/// Which collective a rank is in, so that ranks that call different ones learn it instead of exchanging nonsense.
struct round_tag {
  std::uint32_t operation = 0;
  std::int32_t root = 0;
  std::uint64_t bytes = 0;
  friend bool operator==(const round_tag&, const round_tag&) = default;
};

enum class rank_presence : std::uint32_t { absent, present, left };

/// What one rank tells the others. Written by that rank alone.
struct rank_slot {
  wait_word arrived;                ///< rounds for which it has laid out its part
  std::array<round_tag, 2> tags{};  ///< of the round under way and the one before
  process_identity process;         ///< valid unless absent
  std::atomic<rank_presence> presence{rank_presence::absent};
};

/// Bytes from one rank to another: `written - read` lie in the ring.
struct ring_counters {
  wait_word written;
  wait_word read;
};

enum class segment_fate : std::uint32_t { usable, failing, failed };

constexpr std::uint64_t segment_magic = 0x7472'6f75'7065'0001;  // "troupe", layout 1

/// Lets a joining rank look before it maps. The magic number is written last.
struct segment_identity {
  std::uint64_t magic = 0;
  segment_layout layout;
  process_identity creator;
};

struct segment_header {
  segment_identity identity;
  wait_word joined;
  std::atomic<segment_fate> fate{segment_fate::usable};
  std::array<char, 400> reason{};  ///< valid once the fate is failed
};

/// The memory that the ranks of one group share, each through a mapping of its own.
///
/// Each rank has two chunks and uses them in turn: when it writes one again, two rounds later, every rank has read it,
/// because they all have arrived at the round between.
class segment {
 public:
  /// Maps the shared memory file, which becomes this object's; -1 means new memory for the threads of this process.
  segment(const segment_layout& layout, int file);
  ~segment();
  segment(const segment&) = delete;
  segment& operator=(const segment&) = delete;

  static std::size_t bytes(const segment_layout& layout);
  /// Bytes at the start that collectives need; rings are added when first used.
  static std::size_t bytes_without_rings(const segment_layout& layout);

  const segment_layout& layout() const { return layout_; }
  int file() const { return file_; }
  segment_header& header() const { return *reinterpret_cast<segment_header*>(memory_); }
  rank_slot& slot(int rank) const;
  std::byte* chunk(int rank, std::uint32_t round) const;
  ring_counters& counters(int from, int to) const;
  std::byte* ring(int from, int to) const;

  /// Writes a fresh header. The caller knows that nobody else looks yet.
  void initialise();
  /// Gets memory for a ring, so that writing to it cannot fault. False when there is none left.
  bool reserve_ring(int from, int to) const;

  /// The first reason stays; everyone who waits is woken.
  void fail(std::string_view reason) noexcept;
  bool failed() const { return header().fate.load(std::memory_order_acquire) != segment_fate::usable; }
  std::string failure() const;
  void wake_all() noexcept;

 private:
  segment_layout layout_;
  int file_;
  std::byte* memory_ = nullptr;
};

}  // namespace troupe
