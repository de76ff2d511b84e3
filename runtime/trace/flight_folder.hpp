// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "runtime/trace/flight_record.hpp"
#include "runtime/trace/flight_recorder.hpp"

namespace troupe {

struct flight_folder_limits {
  std::size_t files_max = 24;  ///< kept records of processes that have ended
  std::uint64_t bytes_max = 64ULL << 20U;
};

/// One file of a folder.
struct kept_record {
  std::filesystem::path path;
  flight_record record;
  bool living = false;  ///< its process still writes
};

/// Removes the oldest records of processes that have ended until the rest is within the limits. Records of living
/// processes, and files that are no records by their name, are left alone.
void prune_flight_folder(const std::filesystem::path& folder, const flight_folder_limits& limits = {});

/// Every record of a folder that can be read, oldest first; a file that is none has a `problem`.
std::vector<kept_record> read_flight_folder(const std::filesystem::path& folder);

/// Makes the folder (for its owner alone) and this process's record in it. Without a folder, or when it cannot be made,
/// the record is in memory only; `problem` then says why in a sentence.
std::shared_ptr<flight_recorder> begin_flight_record(flight_recorder_options options, std::string& problem);

}  // namespace troupe
