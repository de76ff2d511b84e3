// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/trace/flight_record.hpp"

namespace troupe {

/// Packs records as msgpack: an array of [version, record...]; a record is a map of its identity, names and problem,
/// and its events are arrays of numbers.
std::string pack_records(const std::vector<flight_record>& records);

struct unpacked_records {
  std::vector<flight_record> records;
  std::string problem;  ///< why there are none, in a sentence
};

/// Reads what pack_records made, whatever the bytes are: a function of them alone.
unpacked_records unpack_records(std::string_view bytes);

/// An event takes no more than that when packed.
inline constexpr std::size_t packed_event_bytes_max = 72;

}  // namespace troupe
