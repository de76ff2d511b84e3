// SPDX-License-Identifier: Apache-2.0
#include "tests/support/random_checkpoint.hpp"

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <string>
#include <system_error>
#include <vector>

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include "kernels/cpu/worker_pool.hpp"
#include "runtime/model/model.hpp"
#include "runtime/model/model_tensors.hpp"

namespace troupe {

namespace {

constexpr std::size_t piece_elements = std::size_t{4} << 20;

std::uint64_t bytes_of(const tensor_spec& spec) { return std::uint64_t{spec.rows} * spec.columns * sizeof(bf16); }

/// The length of the header and the header, padded so that tensors are aligned.
std::string header_of(const std::vector<tensor_spec>& specs) {
  std::string text = "{";
  std::uint64_t at = 0;
  for (const auto& spec : specs) {
    const auto shape =
        spec.vector ? fmt::format("[{}]", spec.columns) : fmt::format("[{},{}]", spec.rows, spec.columns);
    text += fmt::format(R"({}"{}":{{"dtype":"BF16","shape":{},"data_offsets":[{},{}]}})", at == 0 ? "" : ",", spec.name,
                        shape, at, at + bytes_of(spec));
    at += bytes_of(spec);
  }
  text += "}";
  text.resize((text.size() + 63) / 64 * 64 + 56, ' ');  // with the length before it a multiple of 64
  const std::uint64_t size = text.size();
  return std::string(reinterpret_cast<const char*>(&size), sizeof size) + text;
}

class output_file {
 public:
  explicit output_file(const std::filesystem::path& path)
      : path_(path.string()), descriptor_(open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644)) {
    if (descriptor_ < 0) fail();
  }
  output_file(const output_file&) = delete;
  output_file& operator=(const output_file&) = delete;
  ~output_file() { close(descriptor_); }

  void write(const void* data, std::size_t bytes, std::uint64_t at) const {
    const auto* from = static_cast<const char*>(data);
    while (bytes > 0) {
      const auto done = pwrite(descriptor_, from, bytes, static_cast<off_t>(at));
      if (done <= 0) fail();
      from += done, at += static_cast<std::uint64_t>(done), bytes -= static_cast<std::size_t>(done);
    }
  }

 private:
  [[noreturn]] void fail() const { throw std::system_error(errno, std::generic_category(), path_); }

  std::string path_;
  int descriptor_;
};

/// Some rows of a tensor, and where in the file they go.
struct piece {
  const tensor_spec* spec;
  index_range rows;
  std::uint64_t at;
};

std::vector<piece> pieces_of(const std::vector<tensor_spec>& specs, std::uint64_t at) {
  std::vector<piece> pieces;
  for (const auto& spec : specs) {
    const auto rows_each = std::max<std::size_t>(1, piece_elements / spec.columns);
    for (std::size_t row = 0; row < spec.rows; row += rows_each)
      pieces.push_back({&spec, {row, std::min(rows_each, spec.rows - row)}, at + row * spec.columns * sizeof(bf16)});
    at += bytes_of(spec);
  }
  return pieces;
}

}  // namespace

void write_random_checkpoint(const std::filesystem::path& folder, std::size_t threads) {
  const auto source = open_model("random:" + folder.string());
  const auto specs = model_tensors(source.config);
  const auto header = header_of(specs);
  const auto pieces = pieces_of(specs, header.size());
  const output_file file(folder / "model.safetensors");
  file.write(header.data(), header.size(), 0);
  std::atomic<int> error{0};
  worker_pool pool(threads);
  pool.run(pieces.size(), [&](std::size_t i) {
    const auto& x = pieces[i];
    std::vector<bf16> values(x.rows.count * x.spec->columns);
    source.weights->read(*x.spec, {x.rows, {0, x.spec->columns}}, values.data());
    try {
      file.write(values.data(), values.size() * sizeof(bf16), x.at);
    } catch (const std::system_error& failure) {
      error = failure.code().value();  // an item of the pool must not throw
    }
  });
  if (error != 0) throw std::system_error(error, std::generic_category(), folder.string());
}

}  // namespace troupe
