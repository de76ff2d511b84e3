// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstring>
#include <map>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "runtime/model/model_config.hpp"
#include "runtime/model/model_tensors.hpp"

namespace troupe {

/// A model of a few hundred weights, and safetensors files of it whose headers a test may damage.
inline model_config small_config(architecture kind = architecture::llama) {
  model_config config;
  config.kind = kind;
  config.hidden_size = 32;
  config.intermediate_size = 48;
  config.layers = 2;
  config.heads = 4;
  config.kv_heads = 2;
  config.head_size = 16;
  config.vocabulary_size = 11;
  config.positions_max = 128;
  return config;
}

/// One tensor as a header says it; the bytes are as many as `bytes` says.
struct header_entry {
  std::string name;
  std::string type = "BF16";
  std::string shape;
  std::uint64_t begin = 0;
  std::uint64_t end = 0;
};

inline std::vector<header_entry> header_of(const std::vector<tensor_spec>& specs) {
  std::vector<header_entry> entries;
  std::uint64_t offset = 0;
  for (const auto& spec : specs) {
    const auto bytes = spec.rows * spec.columns * 2;
    const auto shape =
        spec.vector ? fmt::format("[{}]", spec.columns) : fmt::format("[{},{}]", spec.rows, spec.columns);
    entries.push_back({spec.name, "BF16", shape, offset, offset + bytes});
    offset += bytes;
  }
  return entries;
}

inline std::string header_text(const std::vector<header_entry>& entries) {
  std::string text = R"({"__metadata__":{"format":"pt"})";
  for (const auto& entry : entries)
    text += fmt::format(R"(,"{}":{{"dtype":"{}","shape":{},"data_offsets":[{},{}]}})", entry.name, entry.type,
                        entry.shape, entry.begin, entry.end);
  return text + "}";
}

/// A whole file: header length, header, data whose i-th value is the low half of i.
inline std::string file_bytes(const std::string& header, std::uint64_t data_bytes) {
  std::string bytes(8, '\0');
  const std::uint64_t size = header.size();
  std::memcpy(bytes.data(), &size, 8);
  bytes += header;
  for (std::uint64_t i = 0; i < data_bytes; ++i)
    bytes += static_cast<char>(i % 2 == 0 ? (i / 2) & 0xff : (i / 2) >> 8);
  return bytes;
}

inline std::string file_bytes(const std::vector<header_entry>& entries) {
  return file_bytes(header_text(entries), entries.empty() ? 0 : entries.back().end);
}

}  // namespace troupe
