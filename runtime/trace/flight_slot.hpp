// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>

#include "runtime/trace/trace_event.hpp"

namespace troupe {

/// An event as it lies in memory and file: 8 words of the machine, the last one its seal. The seal holds the event's
/// number from 1 (40 bits) and a checksum (24 bits) of number and words; 0 while the slot is being written.
using flight_words = std::array<std::uint64_t, 8>;

constexpr std::uint64_t flight_seal(const flight_words& words, std::uint64_t number) {
  constexpr std::uint64_t number_mask = (1ULL << 40U) - 1;
  auto sum = number * 0x9e3779b97f4a7c15U;
  for (std::size_t i = 0; i + 1 < words.size(); ++i)
    sum = (sum ^ words[i]) * 0xbf58476d1ce4e5b9U;
  return (number & number_mask) << 24U | (sum >> 40U);
}

constexpr std::uint64_t flight_number(std::uint64_t seal) { return seal >> 24U; }

constexpr flight_words to_words(const trace_event& event, std::uint64_t number) {
  flight_words words{event.time_ns,
                     event.request.high,
                     event.request.low,
                     event.epoch,
                     event.step,
                     std::uint64_t{event.position} << 32U | event.count,
                     std::uint64_t{event.group} << 48U | std::uint64_t{event.rank} << 32U |
                         static_cast<std::uint64_t>(event.hop) << 8U | event.code,
                     0};
  words.back() = flight_seal(words, number);
  return words;
}

constexpr trace_event from_words(const flight_words& words) {
  return {words[0],
          {words[1], words[2]},
          words[3],
          words[4],
          static_cast<std::uint32_t>(words[5] >> 32U),
          static_cast<std::uint32_t>(words[5]),
          static_cast<std::uint16_t>(words[6] >> 48U),
          static_cast<std::uint16_t>(words[6] >> 32U),
          static_cast<trace_hop>(static_cast<std::uint8_t>(words[6] >> 8U)),
          static_cast<std::uint8_t>(words[6])};
}

}  // namespace troupe
