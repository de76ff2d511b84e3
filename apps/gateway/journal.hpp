// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "runtime/generation.hpp"
#include "runtime/request_key.hpp"

namespace troupe {

/// A request that was accepted and has not ended, as far as a journal knows.
struct journal_entry {
  request_key key;
  generation what;
  std::vector<token_id> tokens;  ///< of the answer so far
};

struct journal_content {
  std::vector<journal_entry> unfinished;
  std::string warning;  ///< what could not be read and was left out, in one sentence; empty: all was read
};

/// Reads a journal; a file that is not there is an empty one. What follows the first record that is cut off or damaged
/// is left out.
journal_content read_journal(const std::filesystem::path& path);

struct journal_options {
  std::uint64_t bytes_max = 64 << 20;             ///< of the file; past it, it is written anew with what is unfinished
  std::chrono::milliseconds sync_interval{1000};  ///< between two fdatasync; at most so much is lost with the power
};

/// What a gateway has accepted and not ended, on disk: records of msgpack, each with its length and checksum, appended.
/// A record is with the operating system when the call returns (the end of the process does not lose it), and on the
/// disk a sync_interval later. Holds prompts: the file is for its owner only.
class journal {
 public:
  using clock = std::chrono::steady_clock;

  /// Begins the file anew with `unfinished`. Throws std::runtime_error naming the path.
  journal(std::filesystem::path path, std::vector<journal_entry> unfinished, journal_options options = {});
  journal(const journal&) = delete;
  journal& operator=(const journal&) = delete;
  ~journal();

  void accept(const request_key& key, const generation& what);
  void extend(const request_key& key, const std::vector<token_id>& tokens);
  void end(const request_key& key);

  /// To be called now and then: brings to disk what is due, and writes the file anew when it is too long.
  void keep_up(clock::time_point now);

  /// Why nothing is written any more (a full disk); empty: all is well.
  const std::string& problem() const { return problem_; }

 private:
  void append(const std::string& record);
  void rewrite();
  void close();

  std::filesystem::path path_;
  journal_options options_;
  std::map<request_key, journal_entry> live_;
  int file_ = -1;
  std::uint64_t bytes_ = 0;
  std::uint64_t bytes_live_ = 0;  ///< after it was last written anew
  bool dirty_ = false;
  clock::time_point synced_{};
  std::string problem_;
};

}  // namespace troupe
