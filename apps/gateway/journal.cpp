// SPDX-License-Identifier: Apache-2.0
#include "apps/gateway/journal.hpp"

#include <cerrno>
#include <cstring>
#include <fstream>
#include <iterator>
#include <stdexcept>
#include <utility>

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include "apps/gateway/journal_record.hpp"

namespace troupe {

namespace {

constexpr std::uint64_t file_bytes_max = std::uint64_t{1} << 30;  // a journal is written anew long before

void apply(std::map<request_key, journal_entry>& live, journal_record record) {
  if (auto* accepted = std::get_if<journal_accepted>(&record)) {
    live[accepted->key] = {accepted->key, std::move(accepted->what), {}};
  } else if (auto* extended = std::get_if<journal_extended>(&record)) {
    if (auto found = live.find(extended->key); found != live.end())
      found->second.tokens.insert(found->second.tokens.end(), extended->tokens.begin(), extended->tokens.end());
  } else {
    live.erase(std::get<journal_ended>(record).key);
  }
}

[[noreturn]] void raise(const std::filesystem::path& path) {
  throw std::runtime_error(fmt::format("the journal {} cannot be written: {}", path.string(), std::strerror(errno)));
}

void write_all(int file, std::string_view bytes, const std::filesystem::path& path) {
  while (!bytes.empty()) {
    const auto written = ::write(file, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) raise(path);
    bytes.remove_prefix(static_cast<std::size_t>(written));
  }
}

}  // namespace

journal_content read_journal(const std::filesystem::path& path) {
  journal_content content;
  std::error_code failure;
  const auto size = std::filesystem::file_size(path, failure);
  if (failure) return content;
  if (size > file_bytes_max) {
    content.warning = fmt::format("the journal {} has {} bytes and may have {}; nothing of it was read", path.string(),
                                  size, file_bytes_max);
    return content;
  }
  std::ifstream file(path, std::ios::binary);
  const std::string bytes{std::istreambuf_iterator<char>(file), {}};
  std::string_view rest = bytes;
  std::map<request_key, journal_entry> live;
  while (auto record = take_journal_record(rest))
    apply(live, std::move(*record));
  if (!rest.empty())
    content.warning = fmt::format("the journal {} is cut off or damaged at byte {} of {}; what follows was left out",
                                  path.string(), bytes.size() - rest.size(), bytes.size());
  for (auto& [key, entry] : live)
    content.unfinished.push_back(std::move(entry));
  return content;
}

journal::journal(std::filesystem::path path, std::vector<journal_entry> unfinished, journal_options options)
    : path_(std::move(path)), options_(options) {
  for (auto& entry : unfinished)
    live_[entry.key] = std::move(entry);
  rewrite();
}

journal::~journal() { close(); }

void journal::close() {
  if (file_ >= 0) ::close(std::exchange(file_, -1));
}

/// Beside the old one and then in its place, so that one of the two is always whole.
void journal::rewrite() {
  auto draft = path_;
  draft += ".new";
  const int file = ::open(draft.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, S_IRUSR | S_IWUSR);
  if (file < 0) raise(draft);
  std::uint64_t bytes = 0;
  try {
    for (const auto& [key, entry] : live_) {
      auto record = format_journal_record(journal_accepted{key, entry.what});
      if (!entry.tokens.empty()) record += format_journal_record(journal_extended{key, entry.tokens});
      write_all(file, record, draft);
      bytes += record.size();
    }
    if (::fdatasync(file) != 0 || ::rename(draft.c_str(), path_.c_str()) != 0) raise(draft);
  } catch (const std::runtime_error&) {
    ::close(file);
    throw;
  }
  close();
  file_ = file;
  bytes_ = bytes_live_ = bytes;
  dirty_ = false;
}

void journal::append(const std::string& record) {
  if (file_ < 0) return;
  try {
    write_all(file_, record, path_);
  } catch (const std::runtime_error& error) {
    // Serving goes on; a restarted gateway will know less.
    problem_ = error.what();
    close();
    return;
  }
  bytes_ += record.size();
  dirty_ = true;
}

void journal::accept(const request_key& key, const generation& what) {
  append(format_journal_record(journal_accepted{key, what}));
  live_[key] = {key, what, {}};
}

void journal::extend(const request_key& key, const std::vector<token_id>& tokens) {
  auto found = live_.find(key);
  if (found == live_.end() || tokens.empty()) return;
  append(format_journal_record(journal_extended{key, tokens}));
  found->second.tokens.insert(found->second.tokens.end(), tokens.begin(), tokens.end());
}

void journal::end(const request_key& key) {
  if (live_.erase(key) > 0) append(format_journal_record(journal_ended{key}));
}

void journal::keep_up(clock::time_point now) {
  if (file_ < 0) return;
  try {
    if (bytes_ > options_.bytes_max && bytes_ > 2 * bytes_live_) rewrite();
    if (!dirty_ || now - synced_ < options_.sync_interval) return;
    if (::fdatasync(file_) != 0) raise(path_);
    dirty_ = false;
    synced_ = now;
  } catch (const std::runtime_error& error) {
    problem_ = error.what();
    close();
  }
}

}  // namespace troupe
