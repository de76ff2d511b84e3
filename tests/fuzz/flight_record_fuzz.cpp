// SPDX-License-Identifier: Apache-2.0
// The records of processes that were killed, and those that another node sends.
#include <algorithm>
#include <cstring>
#include <span>
#include <vector>

#include "runtime/trace/flight_record.hpp"
#include "runtime/trace/flight_slot.hpp"
#include "runtime/trace/trace_report.hpp"
#include "tests/fuzz/fuzz_target.hpp"

using namespace troupe;

namespace {

constexpr std::size_t slot_bytes = sizeof(flight_words);

void read_file(std::span<const std::byte> bytes) {
  const auto record = parse_flight_record(bytes);
  require(record.events.size() <= bytes.size() / slot_bytes);
  // What could be read travels unchanged.
  const auto again = unpack_records(pack_records({record}));
  require(again.problem.empty() && again.records.size() == 1 && again.records.front().events == record.events);
}

/// A file whose header comes first, then a name, then slots; the bytes between, which a fuzzer need not guess, are 0.
std::vector<std::byte> spread(std::span<const std::byte> bytes) {
  std::vector<std::byte> file(flight_slots_offset);
  auto take = [&bytes](std::size_t count) {
    auto first = bytes.first(std::min(count, bytes.size()));
    bytes = bytes.subspan(first.size());
    return first;
  };
  std::ranges::copy(take(sizeof(flight_header)), file.begin());
  std::ranges::copy(take(flight_name_bytes), file.begin() + flight_names_offset);
  file.insert(file.end(), bytes.begin(), bytes.end());
  return file;
}

/// Seals every slot as its writer would have, so that damage behind a right seal is reached, too.
void seal(std::vector<std::byte>& file) {
  std::uint64_t number = 0;
  for (auto at = flight_slots_offset; at + slot_bytes <= file.size(); at += slot_bytes) {
    flight_words words;
    std::memcpy(words.data(), file.data() + at, slot_bytes);
    words.back() = flight_seal(words, ++number);
    std::memcpy(file.data() + at, words.data(), slot_bytes);
  }
}

}  // namespace

/// The first byte picks the form: 0 the file as it is, 1 a message, 2 a file spread, 3 spread and sealed.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const auto form = data[0] % 4;
  const auto bytes = std::as_bytes(std::span{data + 1, size - 1});
  if (form == 1) {
    const auto unpacked = unpack_records(as_text(data + 1, size - 1));
    require(unpacked.problem.empty() || unpacked.records.empty());
    return 0;
  }
  if (form == 0) {
    read_file(bytes);
    return 0;
  }
  auto file = spread(bytes);
  if (form == 3) seal(file);
  read_file(file);
  return 0;
}
