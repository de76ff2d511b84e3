// SPDX-License-Identifier: Apache-2.0
#include "topology/cluster_file.hpp"

#include <cerrno>
#include <cstring>
#include <memory>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

namespace troupe {

namespace {

constexpr std::size_t file_bytes_max = 1 << 20;

[[noreturn]] void refuse(const std::filesystem::path& path, const std::string& what) {
  throw cluster_file_error({fmt::format("{}: {}", path.string(), what)});
}

class descriptor {
 public:
  explicit descriptor(int value) : value_(value) {}
  descriptor(const descriptor&) = delete;
  descriptor& operator=(const descriptor&) = delete;
  ~descriptor() {
    if (value_ >= 0) ::close(value_);
  }
  int get() const { return value_; }

 private:
  int value_;
};

/// What is checked and what is read is one open file, so nobody can exchange it in between.
std::string read_checked(const std::filesystem::path& path) {
  // Non-blocking: opening a FIFO must not wait for a writer.
  const descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (file.get() < 0) refuse(path, fmt::format("cannot be opened ({}); give a topology file", std::strerror(errno)));
  struct stat status {};
  if (::fstat(file.get(), &status) != 0) refuse(path, fmt::format("cannot be looked at ({})", std::strerror(errno)));
  if (!S_ISREG(status.st_mode)) refuse(path, "is no regular file; give a topology file");
  if ((status.st_mode & S_IWOTH) != 0)
    refuse(path, fmt::format("can be written by everyone, who could then choose what runs here; chmod o-w {}",
                             path.string()));
  std::string text(file_bytes_max + 1, '\0');
  std::size_t size = 0;
  while (size < text.size()) {
    auto count = ::read(file.get(), text.data() + size, text.size() - size);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) refuse(path, fmt::format("cannot be read ({})", std::strerror(errno)));
    if (count == 0) break;
    size += static_cast<std::size_t>(count);
  }
  if (size > file_bytes_max) refuse(path, "is larger than 1 MiB; a topology file is at most 1 MiB");
  text.resize(size);
  return text;
}

std::string join_lines(const std::vector<std::string>& lines) {
  std::string out;
  for (const auto& line : lines)
    out += (out.empty() ? "" : "\n") + line;
  return out;
}

}  // namespace

cluster_file_error::cluster_file_error(std::vector<std::string> problems)
    : std::runtime_error(join_lines(problems)), problems_(std::move(problems)) {}

std::string to_string(rank_device x) {
  return fmt::format("{}:{}", x.kind == rank_device_kind::cpu ? "cpu" : "cuda", x.index);
}

std::string to_string(const rank_place& x) { return x.node + "/" + to_string(x.device); }

std::string to_string(const host_port& x) {
  return x.host.find(':') == std::string::npos ? fmt::format("{}:{}", x.host, x.port)
                                               : fmt::format("[{}]:{}", x.host, x.port);
}

const node_spec* cluster_file::find_node(std::string_view name) const {
  for (const auto& node : nodes)
    if (node.name == name) return &node;
  return nullptr;
}

cluster_file load_cluster_file(const std::filesystem::path& path, const cluster_file_options& options) {
  return parse_cluster_file(read_checked(path), path, options);
}

}  // namespace troupe
