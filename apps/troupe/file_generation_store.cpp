// SPDX-License-Identifier: Apache-2.0
#include "apps/troupe/file_generation_store.hpp"

#include <cerrno>
#include <charconv>
#include <cstring>
#include <fstream>
#include <stdexcept>

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

namespace troupe {
namespace {

constexpr const char* generation_name = "generation";
constexpr const char* drained_name = "drained";
constexpr std::size_t names_max = 512;  // all nodes and all groups of a topology file

class descriptor {
 public:
  descriptor(const std::filesystem::path& path, int flags, mode_t mode = 0)
      : path_(path), value_(::open(path.c_str(), flags | O_CLOEXEC, mode)) {
    if (value_ < 0) fail("opened");
  }
  descriptor(const descriptor&) = delete;
  descriptor& operator=(const descriptor&) = delete;
  ~descriptor() { ::close(value_); }

  void write(const std::string& text) {
    for (std::size_t done = 0; done < text.size();) {
      auto count = ::write(value_, text.data() + done, text.size() - done);
      if (count < 0 && errno == EINTR) continue;
      if (count <= 0) fail("written");
      done += static_cast<std::size_t>(count);
    }
  }
  void flush() {
    if (::fsync(value_) != 0) fail("flushed to disk");
  }

 private:
  [[noreturn]] void fail(const char* what) const {
    throw std::runtime_error(fmt::format("{} could not be {}: {}", path_.string(), what, std::strerror(errno)));
  }

  const std::filesystem::path& path_;
  int value_;
};

}  // namespace

bool file_generation_store::exists(const char* name) const {
  std::error_code error;
  const auto path = folder_ / name;
  const auto found = std::filesystem::exists(path, error);
  if (error) throw std::runtime_error(fmt::format("{} cannot be looked at: {}", path.string(), error.message()));
  return found;
}

std::uint64_t file_generation_store::load() {
  if (!exists(generation_name)) return 0;
  const auto path = folder_ / generation_name;
  std::string text;
  std::getline(std::ifstream{path}, text);
  std::uint64_t generation = 0;
  auto [rest, bad] = std::from_chars(text.data(), text.data() + text.size(), generation);
  constexpr std::uint64_t generation_max = 0xffff'ffff;
  if (bad != std::errc{} || rest != text.data() + text.size() || generation == 0 || generation > generation_max)
    throw std::runtime_error(
        fmt::format("{} holds no generation; remove it, and the greatest one is learned from the "
                    "nodes that still run",
                    path.string()));
  return generation;
}

void file_generation_store::store(std::uint64_t generation) {
  write(generation_name, std::to_string(generation) + "\n");
}

std::vector<std::string> file_generation_store::load_drained() {
  if (!exists(drained_name)) return {};
  const auto path = folder_ / drained_name;
  std::ifstream file{path};
  if (!file) throw std::runtime_error(fmt::format("{} cannot be read", path.string()));
  std::vector<std::string> names;
  for (std::string name; names.size() < names_max && std::getline(file, name);)
    names.push_back(name);
  return names;
}

void file_generation_store::store_drained(const std::vector<std::string>& names) {
  std::string text;
  for (const auto& name : names)
    text += name + "\n";
  write(drained_name, text);
}

void file_generation_store::write(const char* name, const std::string& text) const {
  std::error_code error;
  std::filesystem::create_directories(folder_, error);
  if (error) throw std::runtime_error(fmt::format("{} could not be made: {}", folder_.string(), error.message()));
  const auto path = folder_ / name;
  const auto draft = folder_ / (std::string{name} + ".new");
  {
    descriptor file{draft, O_WRONLY | O_CREAT | O_TRUNC, 0600};
    file.write(text);
    file.flush();
  }
  std::filesystem::rename(draft, path, error);
  if (error) throw std::runtime_error(fmt::format("{} could not be renamed: {}", draft.string(), error.message()));
  descriptor{folder_, O_RDONLY | O_DIRECTORY}.flush();
}

}  // namespace troupe
