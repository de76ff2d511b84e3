// SPDX-License-Identifier: Apache-2.0
#include "runtime/trace/flight_folder.hpp"

#include <algorithm>
#include <fstream>
#include <optional>
#include <stdexcept>
#include <system_error>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <unistd.h>

#include "runtime/trace/flight_slot.hpp"

namespace troupe {
namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t file_bytes_max = flight_slots_offset + flight_slots_max * sizeof(flight_words);

/// A process holds a lock on its record as long as it lives.
bool is_living(const fs::path& path) {
  int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0) return false;
  auto free = ::flock(file, LOCK_SH | LOCK_NB) == 0;
  ::close(file);
  return !free;
}

/// Sorted by name, which is by start.
std::vector<fs::path> records_in(const fs::path& folder) {
  std::vector<fs::path> found;
  std::error_code ignored;
  for (fs::directory_iterator entry{folder, ignored}, end; !ignored && entry != end; entry.increment(ignored))
    if (entry->path().extension() == ".flight" && entry->is_regular_file(ignored)) found.push_back(entry->path());
  std::sort(found.begin(), found.end());
  return found;
}

std::vector<std::byte> read_bytes(const fs::path& path) {
  std::ifstream file{path, std::ios::binary};
  std::error_code ignored;
  auto size = fs::file_size(path, ignored);
  std::vector<std::byte> bytes(ignored ? 0 : std::min<std::uint64_t>(size, file_bytes_max));
  file.read(reinterpret_cast<char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
  bytes.resize(static_cast<std::size_t>(std::max<std::streamsize>(file.gcount(), 0)));
  return bytes;
}

}  // namespace

void prune_flight_folder(const fs::path& folder, const flight_folder_limits& limits) {
  std::vector<std::pair<fs::path, std::uint64_t>> ended;
  std::uint64_t bytes = 0;
  for (const auto& path : records_in(folder)) {
    if (is_living(path)) continue;
    std::error_code ignored;
    auto size = fs::file_size(path, ignored);
    ended.emplace_back(path, ignored ? 0 : size);
    bytes += ended.back().second;
  }
  auto oldest = ended.begin();
  for (auto left = ended.size(); oldest != ended.end() && (left > limits.files_max || bytes > limits.bytes_max);
       --left) {
    std::error_code ignored;
    fs::remove(oldest->first, ignored);
    bytes -= oldest->second;
    ++oldest;
  }
}

std::vector<kept_record> read_flight_folder(const fs::path& folder) {
  std::vector<kept_record> found;
  for (const auto& path : records_in(folder))
    found.push_back({path, parse_flight_record(read_bytes(path)), is_living(path)});
  return found;
}

std::shared_ptr<flight_recorder> begin_flight_record(flight_recorder_options options, std::string& problem) {
  if (!options.folder.empty()) {
    try {
      fs::create_directories(options.folder);
      fs::permissions(options.folder, fs::perms::owner_all);
      prune_flight_folder(options.folder);
      return std::make_shared<flight_recorder>(options);
    } catch (const std::runtime_error& error) {
      problem = error.what();
    }
  }
  options.folder.clear();
  return std::make_shared<flight_recorder>(std::move(options));
}

}  // namespace troupe
