// SPDX-License-Identifier: Apache-2.0
#include "runtime/trace/flight_record.hpp"

#include <algorithm>
#include <cstring>

#include <fmt/format.h>

#include "runtime/trace/flight_slot.hpp"

namespace troupe {
namespace {

/// Text up to its 0, printable: it goes to terminals.
std::string text_at(const char* from, std::size_t size) {
  std::string text{from, strnlen(from, size)};
  for (auto& c : text)
    if (c < ' ' || c > '~') c = '?';
  return text;
}

std::string problem_with(const flight_header& header) {
  if (header.magic != flight_magic) return "it does not begin as a flight record does";
  if (header.version != flight_version)
    return fmt::format("it has version {}, and this program reads version {}", header.version, flight_version);
  if (header.slot_bytes != sizeof(flight_words))
    return fmt::format("its events have {} bytes, not {}", header.slot_bytes, sizeof(flight_words));
  if (header.slots == 0 || header.slots > flight_slots_max)
    return fmt::format("it says to hold {} events; at most {} are right", header.slots, flight_slots_max);
  constexpr auto time_max = static_cast<std::int64_t>(flight_time_max);
  if (header.wall_offset_ns < -time_max || header.wall_offset_ns > time_max)
    return fmt::format("it says that its clock was {} ns away from the wall clock", header.wall_offset_ns);
  return {};
}

}  // namespace

flight_record parse_flight_record(std::span<const std::byte> bytes) {
  flight_record record;
  if (bytes.size() < flight_slots_offset) {
    record.problem =
        fmt::format("it has {} bytes and a flight record has more than {}", bytes.size(), flight_slots_offset);
    return record;
  }
  flight_header header;
  std::memcpy(&header, bytes.data(), sizeof header);
  if (record.problem = problem_with(header); !record.problem.empty()) return record;
  record.identity = {text_at(header.role.data(), header.role.size()),
                     text_at(header.node.data(), header.node.size()),
                     header.process,
                     header.machine,
                     header.started_ns,
                     header.wall_offset_ns};
  const auto* names = reinterpret_cast<const char*>(bytes.data()) + flight_names_offset;
  for (std::size_t i = 0; i < flight_names_max && names[i * flight_name_bytes] != 0; ++i)
    record.names.push_back(text_at(names + i * flight_name_bytes, flight_name_bytes));

  const auto whole = std::min<std::uint64_t>(header.slots, (bytes.size() - flight_slots_offset) / sizeof(flight_words));
  if (whole < header.slots)
    record.problem = fmt::format("it was cut off: {} of its {} places are there", whole, header.slots);
  std::vector<std::pair<std::uint64_t, trace_event>> numbered;
  std::uint64_t broken = 0;
  for (std::uint64_t i = 0; i < whole; ++i) {
    flight_words words;
    std::memcpy(words.data(), bytes.data() + flight_slots_offset + i * sizeof words, sizeof words);
    if (words.back() == 0) continue;  // never written, or being written when the process ended
    auto number = flight_number(words.back());
    auto event = from_words(words);
    if (number == 0 || (number - 1) % header.slots != i || flight_seal(words, number) != words.back() ||
        event.hop > last_trace_hop || event.time_ns > flight_time_max)
      ++broken;
    else
      numbered.emplace_back(number, event);
  }
  std::sort(numbered.begin(), numbered.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
  if (!numbered.empty()) record.lost = numbered.back().first - std::min(numbered.back().first, header.slots);
  record.events.reserve(numbered.size());
  for (const auto& [number, event] : numbered)
    record.events.push_back(event);
  if (broken > 0 && record.problem.empty())
    record.problem = fmt::format("{} of its events are damaged and left out", broken);
  return record;
}

}  // namespace troupe
