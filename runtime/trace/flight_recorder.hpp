// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/trace/flight_format.hpp"
#include "runtime/trace/trace_event.hpp"

namespace troupe {

struct flight_recorder_options {
  flight_identity identity;         ///< process, machine and times are filled in
  std::filesystem::path folder;     ///< empty: the record is in memory only and ends with the process
  std::uint32_t slots = 1U << 15U;  ///< a power of two, 64 to flight_slots_max; 64 bytes each
};

/// The last events of this process, in a ring of fixed size that any thread writes without waiting. The ring is a file
/// mapped into memory: the kernel keeps what was written when the process is killed.
class flight_recorder {
 public:
  /// Makes the record. Throws std::runtime_error when the file cannot be made in its full size.
  explicit flight_recorder(flight_recorder_options options);
  flight_recorder(const flight_recorder&) = delete;
  flight_recorder& operator=(const flight_recorder&) = delete;
  ~flight_recorder();

  /// Takes the time now unless the event has one.
  void record(trace_event event) noexcept;

  /// The number under which events name a group; the same for the same name, trace_none when too many were named.
  std::uint16_t name(std::string_view group) noexcept;

  /// The record as the file has it: what parse_flight_record reads.
  std::vector<std::byte> bytes() const;

  const std::filesystem::path& path() const { return path_; }  ///< empty: in memory only

 private:
  using word = std::atomic<std::uint64_t>;
  static_assert(word::is_always_lock_free && sizeof(word) == sizeof(std::uint64_t));

  char* name_at(std::size_t index) const { return base_ + flight_names_offset + index * flight_name_bytes; }

  std::filesystem::path path_;
  int file_ = -1;  ///< locked while this process lives, so that nobody removes the record of a living process
  std::size_t size_ = 0;
  char* base_ = nullptr;
  word* slots_ = nullptr;
  std::uint64_t mask_ = 0;
  std::atomic<std::uint64_t> next_{0};
  std::mutex naming_;  ///< guards the adding of a name; readers go by names_
  std::atomic<std::size_t> names_{0};
};

/// Nanoseconds of the machine's steady clock, the time of every event.
std::uint64_t steady_now_ns() noexcept;

/// Equal for processes whose steady clocks are the same one: they run on one boot of one machine.
std::uint64_t machine_identity();

/// What actors hold: a recorder, or nothing, which costs nothing.
class tracer {
 public:
  tracer() = default;
  explicit tracer(std::shared_ptr<flight_recorder> recorder) : recorder_(std::move(recorder)) {}

  void operator()(const trace_event& event) const noexcept {
    if (recorder_) recorder_->record(event);
  }
  std::uint16_t name(std::string_view group) const noexcept { return recorder_ ? recorder_->name(group) : trace_none; }
  explicit operator bool() const { return recorder_ != nullptr; }

 private:
  std::shared_ptr<flight_recorder> recorder_;
};

}  // namespace troupe
