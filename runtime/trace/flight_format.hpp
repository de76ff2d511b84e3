// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace troupe {

/// Layout of a flight record, in the machine's byte order: header, names, then `slots` slots of 64 bytes.
inline constexpr std::array<char, 8> flight_magic{'T', 'R', 'P', 'F', 'L', 'G', 'H', 'T'};
inline constexpr std::uint32_t flight_version = 1;
inline constexpr std::size_t flight_names_max = 60;
inline constexpr std::size_t flight_name_bytes = 64;
inline constexpr std::size_t flight_names_offset = 256;
inline constexpr std::size_t flight_slots_offset = 4096;
inline constexpr std::uint64_t flight_slots_max = 1ULL << 20U;
/// No time of a real clock is that far (73 years of nanoseconds); what is greater is damage.
inline constexpr std::uint64_t flight_time_max = 1ULL << 61U;
static_assert(flight_names_offset + flight_names_max * flight_name_bytes <= flight_slots_offset);

/// Who wrote a record, and how its clock lies to the wall clock.
struct flight_identity {
  std::string role;                 ///< node, or rank g0/1
  std::string node;                 ///< of the topology file
  std::uint64_t process = 0;        ///< process id
  std::uint64_t machine = 0;        ///< equal for processes that share a steady clock
  std::uint64_t started_ns = 0;     ///< steady clock
  std::int64_t wall_offset_ns = 0;  ///< what to add to the steady clock for nanoseconds since 1970, at the start
  friend bool operator==(const flight_identity&, const flight_identity&) = default;
};

/// The first bytes of a record. Written whole before the magic, so that a file without it is one that never began.
struct flight_header {
  std::array<char, 8> magic{};
  std::uint32_t version = 0;
  std::uint32_t slot_bytes = 0;
  std::uint64_t slots = 0;
  std::uint64_t process = 0;
  std::uint64_t machine = 0;
  std::uint64_t started_ns = 0;
  std::int64_t wall_offset_ns = 0;
  std::array<char, 64> role{};  ///< ended by 0
  std::array<char, 64> node{};
};
static_assert(sizeof(flight_header) <= flight_names_offset);

}  // namespace troupe
