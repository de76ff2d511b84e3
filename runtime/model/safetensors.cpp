// SPDX-License-Identifier: Apache-2.0
#include "runtime/model/safetensors.hpp"

#include <algorithm>
#include <cstring>
#include <optional>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "runtime/model/errors.hpp"
#include "runtime/model/json_check.hpp"

namespace troupe {

namespace {

using nlohmann::json;

constexpr std::uint64_t header_bytes_max = 16U << 20;
constexpr std::size_t name_bytes_max = 512;

std::uint64_t bits_of(const std::string& type) {
  static constexpr std::pair<const char*, std::uint64_t> known[] = {
      {"BOOL", 8},  {"U8", 8},   {"I8", 8},   {"F8_E4M3", 8}, {"F8_E5M2", 8}, {"I16", 16}, {"U16", 16}, {"F16", 16},
      {"BF16", 16}, {"I32", 32}, {"U32", 32}, {"F32", 32},    {"I64", 64},    {"U64", 64}, {"F64", 64}};
  for (const auto& [name, bits] : known)
    if (type == name) return bits;
  return 0;
}

/// Bytes of a tensor, or nothing when the product overflows.
std::optional<std::uint64_t> bytes_of(const std::vector<std::uint64_t>& shape, std::uint64_t bits) {
  std::uint64_t bytes = bits / 8;
  for (auto extent : shape)
    if (__builtin_mul_overflow(bytes, extent, &bytes)) return std::nullopt;
  return bytes;
}

/// Reads and checks one file's header.
class header_reader {
 public:
  header_reader(std::string file, std::span<const std::byte> bytes) : file_(std::move(file)), bytes_(bytes) {}

  std::map<std::string, stored_tensor> read() {
    const auto header = parse_header();
    std::map<std::string, stored_tensor> tensors;
    for (const auto& [name, value] : header.items())
      if (name != "__metadata__") tensors.emplace(name, read_tensor(name, value));
    check_cover();
    return tensors;
  }

 private:
  struct byte_range {
    std::uint64_t begin, end;
    std::string name;
  };

  [[noreturn]] void fail(const std::string& what) const { throw weights_error(fmt::format("{}: {}", file_, what)); }
  [[noreturn]] void fail(const std::string& name, const std::string& what) const {
    fail(fmt::format("tensor \"{}\": {}", name.substr(0, 128), what));
  }

  json parse_header() {
    std::uint64_t size = 0;
    if (bytes_.size() < sizeof(size)) fail("it is too short to be a safetensors file");
    std::memcpy(&size, bytes_.data(), sizeof(size));  // little-endian, as is every machine this runs on
    if (size > header_bytes_max)
      fail(fmt::format("its header says it has {} bytes; at most {} are allowed", size, header_bytes_max));
    if (size > bytes_.size() - sizeof(size))
      fail(fmt::format("it is truncated: its header has {} bytes and the file {}", size, bytes_.size()));
    const std::string_view text(reinterpret_cast<const char*>(bytes_.data()) + sizeof(size), size);
    data_ = bytes_.subspan(sizeof(size) + size);
    if (auto error = find_json_error(text); !error.empty()) fail("its header: " + error);
    return json::parse(text);
  }

  stored_tensor read_tensor(const std::string& name, const json& value) {
    if (name.empty() || name.size() > name_bytes_max) fail(name, "its name must have 1 to 512 bytes");
    if (!value.is_object() || !value.contains("dtype") || !value["dtype"].is_string() || !value.contains("shape") ||
        !value["shape"].is_array() || !value.contains("data_offsets") || !value["data_offsets"].is_array())
      fail(name, "it must have dtype, shape and data_offsets");
    stored_tensor tensor;
    tensor.type = value["dtype"].get<std::string>();
    const auto bits = bits_of(tensor.type);
    if (bits == 0) fail(name, fmt::format("its dtype {} is not known", tensor.type.substr(0, 32)));
    tensor.shape = numbers(name, value["shape"], 8);
    const auto offsets = numbers(name, value["data_offsets"], 2);
    if (offsets.size() != 2 || offsets[0] > offsets[1]) fail(name, "its data_offsets must be [begin, end]");
    if (offsets[1] > data_.size())
      fail(name, fmt::format(
                     "its bytes end at {} and the file's data at {}: the file is truncated or not what its header says",
                     offsets[1], data_.size()));
    const auto bytes = bytes_of(tensor.shape, bits);
    if (!bytes || *bytes != offsets[1] - offsets[0])
      fail(name, fmt::format("its shape [{}] of {} does not take the {} bytes that its data_offsets give it",
                             fmt::join(tensor.shape, ", "), tensor.type, offsets[1] - offsets[0]));
    tensor.bytes = data_.subspan(offsets[0], offsets[1] - offsets[0]);
    extents_.push_back({offsets[0], offsets[1], name});
    return tensor;
  }

  std::vector<std::uint64_t> numbers(const std::string& name, const json& values, std::size_t most) const {
    std::vector<std::uint64_t> result;
    for (const auto& value : values) {
      if (!value.is_number_unsigned() || result.size() == most)
        fail(name, fmt::format("shape and data_offsets must be whole numbers, at most {} of them", most));
      result.push_back(value.get<std::uint64_t>());
    }
    return result;
  }

  void check_cover() {
    std::sort(extents_.begin(), extents_.end(), [](const byte_range& a, const byte_range& b) {
      return std::tie(a.begin, a.end) < std::tie(b.begin, b.end);
    });
    std::uint64_t end = 0;
    for (const auto& extent : extents_) {
      if (extent.begin < end) fail(extent.name, "its bytes overlap another tensor's");
      if (extent.begin > end)
        fail(extent.name, fmt::format("{} bytes before it belong to no tensor", extent.begin - end));
      end = extent.end;
    }
    if (end != data_.size()) fail(fmt::format("{} bytes at its end belong to no tensor", data_.size() - end));
  }

  std::string file_;
  std::span<const std::byte> bytes_;
  std::span<const std::byte> data_;
  std::vector<byte_range> extents_;
};

}  // namespace

safetensors_file::safetensors_file(const std::filesystem::path& file)
    : mapping_(file), tensors_(header_reader(file.string(), mapping_.bytes()).read()) {}

}  // namespace troupe
